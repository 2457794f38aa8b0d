"""Reading what a guest left in a directory: regular files, never through links, within bounds."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Optional

__all__ = ["collect", "disk_usage"]

#: How deep directories are looked into.
_MAX_DEPTH = 64
#: What an entry takes at least, so that very many empty files count too.
_ENTRY_SIZE = 4096

_READ = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
#: Neither a link nor a pipe that nobody writes to is opened by mistake.
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def collect(
    path: str, patterns: Sequence[str], most_files: int, most_bytes: int
) -> tuple[dict[str, bytes], bool]:
    """Read the files in a directory whose paths match one of some patterns.

    Args:
        path: The directory.
        patterns: As `fnmatch` has them, for paths with slashes; ``*`` matches slashes too.
        most_files: How many files are read.
        most_bytes: How many bytes they have together.

    Returns:
        The contents by path; and whether there was more.
    """
    files: dict[str, bytes] = {}
    left = most_bytes
    for name, full in _regular_files(path):
        if not any(fnmatchcase(name, pattern) for pattern in patterns):
            continue
        if len(files) == most_files:
            return files, True
        data = _read(full, left)
        if data is None:
            continue
        if len(data) > left:
            return files, True
        files[name] = data
        left -= len(data)
    return files, False


def _regular_files(top: str) -> Iterator[tuple[str, str]]:
    """Yield the paths of regular files: inside of the directory, with slashes; and as they are."""
    waiting = [("", top, 0)]
    while waiting:
        prefix, path, depth = waiting.pop()
        for entry in _entries(path):
            name = prefix + os.fsencode(entry.name).decode("utf-8", "replace")
            try:
                if entry.is_file(follow_symlinks=False):
                    yield name, entry.path
                elif entry.is_dir(follow_symlinks=False) and depth < _MAX_DEPTH:
                    waiting.append((f"{name}/", entry.path, depth + 1))
            except OSError:
                continue


def _entries(path: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []


def _read(path: str, most: int) -> Optional[bytes]:
    """Read a file, one byte more than may be; None if it is no regular file after all."""
    try:
        descriptor = os.open(path, _READ | _NO_LINKS)
    except OSError:
        return None
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        return file.read(most + 1)


def disk_usage(path: str, most: int) -> int:
    """Bytes that a directory takes on the disk; counting ends when they are more than `most`."""
    total, waiting = 0, [path]
    while waiting and total <= most:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    total += _size(entry)
                    if total > most:
                        break
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
        except OSError:
            continue  # removed, or too deep for a path
    return total


def _size(entry: os.DirEntry[str]) -> int:
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError:
        return _ENTRY_SIZE
    blocks = getattr(status, "st_blocks", None)
    return max(_ENTRY_SIZE, status.st_size if blocks is None else blocks * 512)
