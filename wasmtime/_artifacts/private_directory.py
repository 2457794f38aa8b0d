"""Directories that this user alone can change, and the files in them.

What lies in a cache of compiled code runs in this process, so nobody else may have put it there. A
path that is checked and then used can be exchanged in between. So a path is walked once: every
directory on it is opened relative to the one before, without following links, and what was opened
is looked at through its descriptor. Each has to belong to root or this user, and nobody else may
be able to rename what is in it; the last one has to belong to this user. Links that root or this
user made are followed, in the same way. Files are reached through the descriptor of the directory,
and each that is read has to be a regular file of this user's.

Windows has no calls relative to a directory, and ``stat`` does not tell its permissions: there,
files have to be regular and have one name, and that is all that is checked.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Optional

from .._error import WasmtimeError

__all__ = ["PrivateDirectory", "check_tree", "danger_of_file"]

_HAS_PERMISSIONS = os.open in os.supports_dir_fd and hasattr(os, "geteuid")
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_DIRECTORY = getattr(os, "O_DIRECTORY", 0) | _NO_LINK
#: To pass through a directory, where that does not need the permission to read it.
_PASS = _DIRECTORY | getattr(os, "O_PATH", getattr(os, "O_SEARCH", os.O_RDONLY))
#: Not to wait for the writer of a FIFO; and no conversion of line ends on Windows.
_READ = os.O_RDONLY | _NO_LINK | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
_MOST_LINKS = 40


class PrivateDirectory:
    """An open directory that belongs to this user alone.

    Args:
        path: The directory. What does not exist of it is made, for this user alone.
        what: What it is, for errors.

    Raises:
        OSError: It cannot be made or opened.
        WasmtimeError: Others could exchange what is in it; the message names the directory on the
            path, its owner and its mode.
    """

    def __init__(self, path: str, what: str) -> None:
        self._path = path
        self._descriptor: Optional[int] = None
        if _HAS_PERMISSIONS:
            with _refusing(path, what):
                self._descriptor, _ = _open_private(path)
        else:
            os.makedirs(path, mode=0o700, exist_ok=True)

    def __enter__(self) -> PrivateDirectory:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    def _at(self, name: str) -> tuple[str, dict[str, Any]]:
        """Return the arguments of a function of `os` for a file in this directory."""
        if self._descriptor is None:
            return os.path.join(self._path, name), {}
        return name, {"dir_fd": self._descriptor}

    def open(self, name: str) -> BinaryIO:
        """Open a file to read it.

        Raises:
            OSError: It cannot be read, or it is not a regular file of this user's alone.
        """
        path, at = self._at(name)
        file = open(os.open(path, _READ, **at), "rb")  # noqa: SIM115
        danger = danger_of_file(os.fstat(file.fileno()))
        if danger is not None:
            file.close()
            raise PermissionError(f"{os.path.join(self._path, name)!r} {danger}")
        return file

    def write(self, name: str, contents: Any) -> None:
        """Put a file in place, at once: readers see the old one or the whole new one.

        Raises:
            OSError: It cannot be written.
        """
        temporary = f"{os.urandom(8).hex()}.tmp"
        path, at = self._at(temporary)
        descriptor = os.open(path, _CREATE, 0o600, **at)
        try:
            with open(descriptor, "wb") as file:
                file.write(contents)
            here = self._descriptor
            os.replace(path, self._at(name)[0], src_dir_fd=here, dst_dir_fd=here)
        except BaseException:
            self.remove(temporary)
            raise

    def touch(self, name: str) -> None:
        """Set the time when a file was last changed to now.

        Raises:
            OSError: There is none.
        """
        path, at = self._at(name)
        os.utime(path, **at)

    def remove(self, name: str) -> None:
        """Remove a file, if there is one.

        Raises:
            OSError: It cannot be removed.
        """
        path, at = self._at(name)
        try:
            os.unlink(path, **at)
        except FileNotFoundError:
            pass

    def files(self) -> Iterator[tuple[float, int, str]]:
        """Yield of each file when it was last changed, its size in bytes and its name."""
        with os.scandir(self._path if self._descriptor is None else self._descriptor) as entries:
            for entry in entries:
                try:
                    status = entry.stat(follow_symlinks=False)
                except OSError:
                    continue  # another process removed it
                if stat.S_ISREG(status.st_mode):
                    yield status.st_mtime, status.st_size, entry.name


def check_tree(path: str, what: str) -> None:
    """Make a directory, and check it and those in it, for a library that uses it by its path.

    Raises:
        OSError: It cannot be made or opened.
        WasmtimeError: As for `PrivateDirectory`.
    """
    if _HAS_PERMISSIONS:
        with _refusing(path, what):
            descriptor, reached = _open_private(path)
            try:
                _check_below(descriptor, reached)
            finally:
                os.close(descriptor)


def danger_of_file(status: os.stat_result) -> Optional[str]:
    """Tell what is wrong with an open file that only this user should be able to change.

    Returns:
        The end of a sentence that begins with the file's path, or None if nothing is wrong.
    """
    if not stat.S_ISREG(status.st_mode):
        return "is not a regular file"
    if status.st_nlink > 1:
        return f"has {status.st_nlink} names"
    if _HAS_PERMISSIONS:
        if status.st_uid != os.geteuid():
            return f"belongs to user {status.st_uid}"
        if status.st_mode & 0o022:
            return f"has mode {_mode(status)}, so that others can write to it"
    return None


# --- walking -------------------------------------------------------------------------------------


class _Danger(Exception):
    """A place on a path that somebody else could exchange, and why."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(place, reason)
        self.place = place
        self.reason = reason


@contextmanager
def _refusing(path: str, what: str) -> Iterator[None]:
    try:
        yield
    except _Danger as danger:
        raise WasmtimeError(
            f"{what} {path!r} is not safe: {danger.place!r} {danger.reason}, and machine code that "
            "runs in this process must not be in anybody else's power. Take a directory that "
            "belongs to this user alone (chmod 700), below ones that others cannot write to"
        ) from None


def _open_private(path: str) -> tuple[int, str]:
    """Open the directory at a path; return a descriptor to read it, and its path without links."""
    passing, place = _walk(path if os.path.isabs(path) else os.path.join(os.getcwd(), path))
    try:
        with _naming(place):
            # One that was opened without the permission to read cannot be read from.
            descriptor = os.open(".", os.O_RDONLY | _DIRECTORY, dir_fd=passing)
    finally:
        os.close(passing)
    try:
        _check_directory(descriptor, place, is_above=False)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, place


def _walk(path: str, links: int = _MOST_LINKS) -> tuple[int, str]:
    """Walk to the directory at an absolute path, checking all directories above it.

    What does not exist is made.

    Returns:
        A descriptor to pass through it, and its path without links.
    """
    here, place = os.open("/", _PASS), "/"
    names = deque(name for name in path.split("/") if name not in ("", "."))
    try:
        while names:
            name = names.popleft()
            _check_directory(here, place, is_above=True)
            inner = os.path.normpath(os.path.join(place, name))
            with _naming(inner):
                target = _link_target(name, here, inner)
                if target is not None:
                    break
                there = _enter(name, here)
            os.close(here)
            here, place = there, inner
        else:
            return here, place
    except BaseException:
        os.close(here)
        raise
    os.close(here)
    if links == 0:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
    return _walk(os.path.join(place, target, *names), links - 1)


def _link_target(name: str, here: int, place: str) -> Optional[str]:
    """Return where a link leads to, None if it is none."""
    try:
        status = os.stat(name, dir_fd=here, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISLNK(status.st_mode):
        return None
    if status.st_uid not in (0, os.geteuid()):
        raise _Danger(place, f"is a link of user {status.st_uid}")
    return os.readlink(name, dir_fd=here)


def _enter(name: str, here: int) -> int:
    """Open a directory to pass through it, and make it for this user alone if it is not there."""
    try:
        return os.open(name, _PASS, dir_fd=here)
    except FileNotFoundError:
        pass
    try:
        os.mkdir(name, 0o700, dir_fd=here)
    except FileExistsError:
        pass  # another process made it just now
    return os.open(name, _PASS, dir_fd=here)


@contextmanager
def _naming(path: str) -> Iterator[None]:
    """Let errors of the operating system name a whole path, not only its last part."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None


# --- checking ------------------------------------------------------------------------------------


def _check_directory(directory: int, place: str, *, is_above: bool) -> None:
    """Refuse a directory whose contents another user could exchange.

    One above the private directory may be root's, and others may add entries to it if it is
    sticky: then only the owner of an entry can exchange it, and owners are checked.
    """
    status = os.fstat(directory)
    user = os.geteuid()
    if status.st_uid != user and not (is_above and status.st_uid == 0):
        raise _Danger(place, f"belongs to user {status.st_uid} (mode {_mode(status)})")
    is_protected = is_above and status.st_mode & stat.S_ISVTX
    if not is_protected and _others_can_write(directory, status):
        raise _Danger(place, f"has mode {_mode(status)}, so that others can write to it")


def _check_below(directory: int, place: str) -> None:
    """Check the directories in a directory, where others can reach them."""
    if not os.fstat(directory).st_mode & (stat.S_IXGRP | stat.S_IXOTH):
        return
    with os.scandir(directory) as entries:
        names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    for name in names:
        inner = os.path.join(place, name)
        with _naming(inner):
            descriptor = os.open(name, os.O_RDONLY | _DIRECTORY, dir_fd=directory)
        try:
            _check_directory(descriptor, inner, is_above=False)
            _check_below(descriptor, inner)
        finally:
            os.close(descriptor)


def _others_can_write(directory: int, status: os.stat_result) -> bool:
    """Tell whether users besides the owner and root can write to a directory.

    Many systems give each user a group of their own, and let the group write by default.
    """
    if status.st_mode & stat.S_IWOTH:
        return True
    if not status.st_mode & stat.S_IWGRP:
        return False
    return _has_access_list(directory) or not _is_group_of_one(status.st_gid, status.st_uid)


def _has_access_list(directory: int) -> bool:
    """Tell whether the bits of the group stand for a list of users and groups, as Linux has it."""
    try:
        names = os.listxattr(directory)
    except (AttributeError, OSError):
        return False
    return "system.posix_acl_access" in names


def _is_group_of_one(group: int, user: int) -> bool:
    """Tell whether a group is a user's own: of the user's name, and with no other members."""
    if group == 0:
        return False  # containers put users of any number into it
    import grp
    import pwd

    try:
        account, entry = pwd.getpwuid(user), grp.getgrgid(group)
    except KeyError:
        return False
    alone = set(entry.gr_mem) <= {account.pw_name}
    return alone and account.pw_gid == group and entry.gr_name == account.pw_name


def _mode(status: os.stat_result) -> str:
    return format(stat.S_IMODE(status.st_mode), "04o")
