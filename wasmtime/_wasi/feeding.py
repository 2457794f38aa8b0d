"""Standard input of components from what may keep a guest waiting: pipes, sockets, terminals.

The library reads in native code, which hears neither a timeout nor `Store.interrupt`. So it gets a
pipe of ours, which a native thread fills, and which ends when the guest's time is up, or when it is
interrupted (csrc/core/runtime/feed.c): the guest comes back from native code then, and ends.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from .._native import core
from .input import descriptor_of
from .own import gone
from .streams import Stream

if TYPE_CHECKING:
    from .._store import Store

__all__ = ["fed"]


class _Source(NamedTuple):
    """What a guest is to read: a descriptor, which is for the feed alone."""

    descriptor: int
    #: Whether the program may read the same: it is not read before the guest asks for it.
    shared: bool
    #: Whether it is read at once.
    begun: bool


@contextmanager
def fed(store: Store, stream: Stream) -> Iterator[Optional[bytes]]:
    """Let the standard input of a store be fed, if its guest might wait for that.

    Args:
        store: The store.
        stream: Where the input comes from.

    Yields:
        The name of the pipe's end to read from, until the library has opened it; None where the
        library can read by itself.
    """
    source = _source(store, stream) if hasattr(store, "_make_feed") else None
    if source is None:
        yield None
        return
    try:
        reading = store._make_feed(source.descriptor, source.shared)
    except BaseException:
        os.close(source.descriptor)
        raise
    try:
        yield b"/dev/fd/%d" % reading
    finally:
        os.close(reading)
    if source.begun:
        store._begin_feed()


def _source(store: Store, stream: Stream) -> Optional[_Source]:
    if stream.kind == "inherit":
        return _inherited(store)
    if stream.kind == "custom":
        descriptor = descriptor_of(stream.value)
        return None if descriptor < 0 else _Source(os.dup(descriptor), False, True)
    if stream.kind != "file" or not (_is_pipe(stream.native) or _is_terminal(stream.native)):
        return None
    try:
        return _Source(os.open(stream.native, os.O_RDONLY), False, True)
    except OSError as error:
        raise gone("stdin file", stream) from error


def _inherited(store: Store) -> Optional[_Source]:
    """What the process reads itself, if that waits.

    In asynchronous calls nothing says when the guest asks for it; and one that is fed does not see
    that it is a terminal. In both cases a timeout says that the store's time counts for more.
    """
    timed, asynchronous = store.timeout is not None, core.links_asynchronously(store)
    wanted = (_is_pipe(0) and (timed or not asynchronous)) or (os.isatty(0) and timed)
    return _Source(os.dup(0), True, asynchronous) if wanted else None


def _is_pipe(file: Any) -> bool:
    try:
        mode = os.stat(file).st_mode
    except OSError:
        return False  # the library says what is wrong with it
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _is_terminal(path: Any) -> bool:
    with suppress(OSError):
        if stat.S_ISCHR(os.stat(path).st_mode):
            descriptor = os.open(path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
            try:
                return os.isatty(descriptor)
            finally:
                os.close(descriptor)
    return False
