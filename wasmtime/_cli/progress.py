"""A line at the terminal that tells what takes so long, and for how long it has."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from types import TracebackType
from typing import Optional

from .._printable import clip, printable

__all__ = ["Progress"]

#: Seconds before there is a line, and between two changes of it.
_PATIENCE = 0.5
_STEP = 1.0


class Progress:
    """Shows a line on standard error, from a thread of its own, until the block is left.

    Args:
        text: What happens; characters that a terminal obeys are escaped.
    """

    def __init__(self, text: str) -> None:
        self._text = printable(text, layout="")
        self._over = threading.Event()
        self._width = 0
        self._thread = threading.Thread(target=self._run, name="wasmtime-progress", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(
        self,
        exc_type: Optional[type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        start = time.monotonic()
        pause = _PATIENCE
        try:
            while not self._over.wait(pause):
                pause = _STEP
                self._show(f"{self._text} … {time.monotonic() - start:.0f} s")
            self._show("")
        except (OSError, ValueError):  # nobody is there to be told
            pass

    def _show(self, line: str) -> None:
        """Write a line over the one before."""
        stream = sys.stderr
        if stream is None or (not line and not self._width):
            return
        columns = shutil.get_terminal_size().columns - 1
        line = clip(line, columns - 1)
        encoding = stream.encoding or "ascii"
        line = line.encode(encoding, "replace").decode(encoding)
        stream.write(f"\r{line.ljust(self._width)}\r{line}")
        stream.flush()
        self._width = len(line)
