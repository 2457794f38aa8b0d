"""The standard input of a program that runs: a pipe that the host writes to while it does.

An `InputPipe` owns both ends. Whoever writes has a descriptor of its own meanwhile: the end of the
program may close ours at any time, and its number may be another file's then.
"""

from __future__ import annotations

import io
import os
import select
import sys
import threading
from collections.abc import Iterator
from typing import Any

from .waiting import in_thread

__all__ = ["InputPipe"]

#: Whether a pipe can be waited for until it has room; elsewhere, writing itself waits.
_HAS_POLL = sys.platform != "win32"

_NOBODY = "the program has ended, or its input was closed"


class InputPipe:
    """What a program reads from its standard input.

    Attributes:
        reader: The program's end.
    """

    def __init__(self) -> None:
        descriptor, self._writer = os.pipe()
        self.reader = io.FileIO(descriptor, "rb")
        self._lock = threading.Lock()
        if _HAS_POLL:
            os.set_blocking(self._writer, False)

    def write(self, data: Any) -> None:
        """Write all of some bytes or text; wait while there is no room.

        Raises:
            BrokenPipeError: Nobody reads any more, or this end is closed.
        """
        for descriptor in self._writing(data):
            if sys.platform != "win32":
                poll = select.poll()
                poll.register(descriptor, select.POLLOUT)
                poll.poll()

    async def write_async(self, data: Any) -> None:
        """As `write`, for a coroutine."""
        from .._event_loops import wait

        if not _HAS_POLL:
            await in_thread(lambda: self.write(data), self.close)
            return
        for descriptor in self._writing(data):
            await wait(-1, [(descriptor, True)])

    def _writing(self, data: Any) -> Iterator[int]:
        """Write what there is room for, and give the descriptor that has to be waited for."""
        if not isinstance(data, (str, bytes, bytearray, memoryview)):
            raise TypeError(f"data must be bytes or text, not {type(data).__name__}")
        left = memoryview(data.encode() if isinstance(data, str) else data).cast("B")
        descriptor = self._duplicate()
        try:
            while left:
                try:
                    left = left[os.write(descriptor, left) :]
                except BlockingIOError:
                    yield descriptor
                except BrokenPipeError:
                    raise BrokenPipeError(_NOBODY) from None
        finally:
            os.close(descriptor)

    def _duplicate(self) -> int:
        with self._lock:
            if self._writer < 0:
                raise BrokenPipeError(_NOBODY)
            return os.dup(self._writer)

    def close_writer(self) -> None:
        """Let the program find the end of its input."""
        with self._lock:
            descriptor, self._writer = self._writer, -1
        if descriptor >= 0:
            os.close(descriptor)

    def close(self) -> None:
        """Close both ends: whoever writes hears of it."""
        self.close_writer()
        self.reader.close()
