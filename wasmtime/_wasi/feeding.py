"""Standard input of components from what may keep a guest waiting: pipes, sockets, terminals.

The library reads in native code, which hears neither a timeout nor `Store.interrupt`. So it gets a
pipe of ours, which a thread fills, and which ends when the guest's time is up, or when it is
interrupted: the guest comes back from native code then, and ends.

Ownership: the thread owns its ends of the pipes, and what it reads from if that was opened for it.
The store owns the end that cuts the input off; when that is closed with the store, the thread ends.
"""

from __future__ import annotations

import os
import selectors
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Optional

from .own import gone
from .streams import Stream

if TYPE_CHECKING:
    from .._store import Store

__all__ = ["fed"]

#: Bytes that are read at once; what the guest does not read of them is lost for others.
_PIECE = 4096


@contextmanager
def fed(store: Store, stream: Stream) -> Iterator[Optional[bytes]]:
    """Let a thread feed the standard input of a store, if its guest might wait for that.

    What the process inherits is left to the library, which hands on what one guest does not read,
    unless the store has a timeout.

    Args:
        store: The store.
        stream: Where the input comes from.

    Yields:
        The name of the pipe's end to read from, until the library has opened it; None where no
        thread is needed, or none can be had.
    """
    source = None if sys.platform == "win32" else _source(store, stream)
    if source is None:
        yield None
        return
    with ExitStack() as undo:
        if source[1]:
            undo.callback(os.close, source[0])
        reading, writing = _pipe(undo)
        cut, cutting = _pipe(undo)
        os.set_blocking(writing, False)
        os.set_blocking(cutting, False)
        store._cut_input(os.dup(cutting))
        thread = threading.Thread(
            target=_feed, args=(*source, writing, cut), name="wasmtime-stdin", daemon=True
        )
        thread.start()
        undo.pop_all()
    os.close(cutting)
    try:
        yield b"/dev/fd/%d" % reading
    finally:
        os.close(reading)


def _pipe(undo: ExitStack) -> tuple[int, int]:
    ends = os.pipe()
    for end in ends:
        undo.callback(os.close, end)
    return ends


def _source(store: Store, stream: Stream) -> Optional[tuple[int, bool]]:
    """A descriptor to feed from, and whether it was opened for that; None: none is needed."""
    if stream.kind == "inherit":
        return (0, False) if store.timeout is not None and _may_wait(os.fstat, 0) else None
    if stream.kind != "file" or not _may_wait(os.stat, stream.native):
        return None
    try:
        return os.open(stream.native, os.O_RDONLY), True
    except OSError as error:
        raise gone("stdin file", stream) from error


def _may_wait(status: Any, of: Any) -> bool:
    try:
        mode = status(of).st_mode
    except OSError:
        return False  # the library says what is wrong with it
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or (stat.S_ISCHR(mode) and _is_terminal(of))


def _is_terminal(of: Any) -> bool:
    if isinstance(of, int):
        return os.isatty(of)
    with suppress(OSError):
        descriptor = os.open(of, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            return os.isatty(descriptor)
        finally:
            os.close(descriptor)
    return False


def _feed(source: int, owned: bool, sink: int, cut: int) -> None:
    """On the thread: hand on what can be read, until either side ends, or it is cut off."""
    try:
        with selectors.DefaultSelector() as input, selectors.DefaultSelector() as output:
            for selector in (input, output):
                selector.register(cut, selectors.EVENT_READ)
            input.register(source, selectors.EVENT_READ)
            output.register(sink, selectors.EVENT_WRITE)
            while not _is_cut(input, cut):
                data = os.read(source, _PIECE)
                if not data or not _hand_on(output, sink, cut, data):
                    break
    except OSError:
        pass  # an end of the input, or a guest that does not want any more
    finally:
        for descriptor in (sink, cut, *([source] if owned else [])):
            os.close(descriptor)


def _is_cut(selector: selectors.BaseSelector, cut: int) -> bool:
    return any(key.fd == cut for key, _ in selector.select())


def _hand_on(output: selectors.BaseSelector, sink: int, cut: int, data: bytes) -> bool:
    """Write all of it; False: it was cut off before."""
    while data:
        if _is_cut(output, cut):
            return False
        with suppress(BlockingIOError):
            data = data[os.write(sink, data) :]
    return True
