"""Digests of large files, which are read again only if they may have changed.

The name of an entry in the cache is made of the SHA-256 digest of a file, and to read and hash a
large file takes longer than to load what it was compiled to. So the digest is noted in the cache's
directory, under all that tells this file and its state from others: path, device, inode, size, and
the times of the last change of its contents and of its status. Whatever writes to the file changes
the last of these, which no program can set.

A file is not noted that was changed in the last seconds: times are coarse, so it may be changed
once more without another one showing. Where a file system keeps no time of changes (Windows),
nothing is noted.

A note that is wrong (the clock was set back, or a file was written to in a mapping of memory, which
may show late) does no worse than what the file held before is run, which was hashed and accepted
then. Who can write notes can write compiled code, so they lie where this user alone can write.
"""

from __future__ import annotations

import hashlib
import os
import time
from typing import TYPE_CHECKING, NamedTuple, Optional

from .cache import open_cache

if TYPE_CHECKING:
    from .cache import CacheOption

__all__ = ["Note", "recall", "remember"]

#: Files of fewer bytes are read in less time than it takes to look for a note.
_WORTH_A_NOTE = 4 << 20
#: Seconds for which a file must not have changed.
_SETTLED = 2.0


class Note(NamedTuple):
    """What is known of a file's contents.

    Attributes:
        digest: Their SHA-256 digest.
        kind: What they are, "module" or "component".
    """

    digest: bytes
    kind: str


def recall(cache: CacheOption, path: str, status: os.stat_result) -> Optional[Note]:
    """What was noted of a file, if it has not changed since; None if there is nothing.

    Args:
        cache: The cache.
        path: The file's absolute path.
        status: What `os.fstat` tells of the open file.
    """
    if not _is_worth_it(cache, status):
        return None
    words = (open_cache(cache).recall(_name(path, status)) or b"").split()
    if len(words) != 3 or words[2] != _sum(words[0], words[1]):
        return None
    return Note(bytes.fromhex(words[0].decode()), words[1].decode())


def remember(
    cache: CacheOption, path: str, before: os.stat_result, after: os.stat_result, note: Note
) -> None:
    """Note what a file holds, if that can be told by its status later.

    Args:
        cache: The cache.
        path: The file's absolute path.
        before: What `os.fstat` told of the open file before it was read.
        after: The same behind that.
        note: What it holds.
    """
    changed = max(after.st_mtime, after.st_ctime)
    if not _is_worth_it(cache, after) or time.time() - changed < _SETTLED:
        return
    name = _name(path, after)
    if name != _name(path, before):
        return
    digest, kind = note.digest.hex().encode(), note.kind.encode()
    contents = b" ".join((digest, kind, _sum(digest, kind)))
    open_cache(cache).remember(name, contents)


def _is_worth_it(cache: CacheOption, status: os.stat_result) -> bool:
    usable = cache is not None and cache is not False and os.name != "nt"
    return usable and status.st_size >= _WORTH_A_NOTE


def _name(path: str, status: os.stat_result) -> str:
    parts = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    key = hashlib.sha256(os.fsencode(path))
    for part in parts:
        key.update(b"\0%d" % part)
    return key.hexdigest()


def _sum(digest: bytes, kind: bytes) -> bytes:
    """What a note that is whole ends with."""
    return hashlib.sha256(digest + b" " + kind).hexdigest().encode()
