"""Temporary directories that guests write to: for this user alone, and gone afterwards.

Each has mode 0700 and a lock, which the process that made it holds for as long as it lives. One
that a killed process left behind is recognised by its free lock, and removed by the next process of
the user that makes a temporary directory.

A guest may leave anything there: trees thousands of levels deep, names that are no UTF-8, links to
anywhere. Removing them follows no link, needs two descriptors, and no recursion.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
import time
from typing import Any, Optional

__all__ = ["TemporaryTree"]

_NAME, _UNFINISHED, _LOCK, _TREE = "wasmtime-guest-", "wasmtime-new-", "lock", "tree"
#: One that was not finished for so many seconds was left by a process that was killed.
_ABANDONED = 3600
_HAS_DESCRIPTORS = os.open in os.supports_dir_fd and os.scandir in os.supports_fd

_swept = False


class TemporaryTree:
    """A temporary directory, until it is closed.

    Attributes:
        path: The directory that the guest sees.
    """

    def __init__(self) -> None:
        _sweep_once()
        made = tempfile.mkdtemp(prefix=_UNFINISHED)
        self._lock = _take_lock(os.path.join(made, _LOCK), create=True)
        os.mkdir(os.path.join(made, _TREE), 0o700)
        self._home = made.replace(_UNFINISHED, _NAME)
        os.rename(made, self._home)
        self.path = os.path.join(self._home, _TREE)

    def close(self) -> None:
        """Remove the directory and all that is in it."""
        remove_tree(self._home)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _take_lock(path: str, create: bool) -> Optional[int]:
    """Lock a file for as long as its descriptor is open.

    Returns:
        The descriptor; None where there are no such locks, or another process holds it.
    """
    if sys.platform == "win32":
        return None
    import fcntl

    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT | os.O_EXCL if create else 0)
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError:
        if create:
            raise
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _sweep_once() -> None:
    """Remove what killed processes of this user left behind, once in each process."""
    global _swept
    if _swept or sys.platform == "win32":
        return
    _swept = True
    try:
        names = os.listdir(tempfile.gettempdir())
    except OSError:
        return
    for name in names:
        if name.startswith((_NAME, _UNFINISHED)):
            _sweep(os.path.join(tempfile.gettempdir(), name))


def _sweep(path: str) -> None:
    try:
        status = os.lstat(path)
    except OSError:
        return  # another process removed it
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        return
    if _UNFINISHED in path and status.st_mtime > time.time() - _ABANDONED:
        return
    lock = _take_lock(os.path.join(path, _LOCK), create=False)
    if lock is None and _UNFINISHED not in path:
        return  # its process lives
    try:
        remove_tree(path)
    finally:
        if lock is not None:
            os.close(lock)


def remove_tree(path: str) -> None:
    """Remove a directory and what is in it, as far as the system lets it be removed."""
    if not _HAS_DESCRIPTORS:
        shutil.rmtree(path, ignore_errors=True)
        return
    try:
        top = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return
    try:
        _empty(top)
    finally:
        os.close(top)
    try:
        os.rmdir(path)
    except OSError:
        pass


def _empty(top: int) -> None:
    """Remove everything in a directory: what is in the directories in it is moved up first."""
    moved = 0
    while True:
        directories = _remove_files(top)
        if not directories:
            return
        for name in directories:
            try:
                moved = _move_up(top, name, moved)
                os.rmdir(name, dir_fd=top)
            except OSError:
                return  # what cannot be removed stays; trying for ever would not help


def _remove_files(directory: int) -> list[str]:
    """Remove what is no directory; returns the names of directories."""
    directories = []
    with os.scandir(directory) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_directory in found:
        if is_directory:
            directories.append(name)
        else:
            os.unlink(name, dir_fd=directory)
    return directories


def _move_up(top: int, name: str, moved: int) -> int:
    """Remove the files of a directory, and move the directories in it beside it."""
    flags: Any = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    inner = os.open(name, flags, dir_fd=top)
    try:
        for each in _remove_files(inner):
            moved += 1
            os.rename(
                each, f".moved-{moved}-{os.urandom(4).hex()}", src_dir_fd=inner, dst_dir_fd=top
            )
    finally:
        os.close(inner)
    return moved


def _after_fork() -> None:
    global _swept
    _swept = True  # what the parent holds is locked, and the child need not look


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
