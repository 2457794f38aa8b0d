"""The thread that stops a guest on Ctrl-C and when its time is up."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from types import TracebackType
from typing import Optional

from .._engine import Engine
from .status import STATUS_INTERRUPTED, STATUS_TRAP
from .terminal import complain

__all__ = ["Watch"]

#: How long a guest may take to notice that it is to stop, in seconds. A guest that computes is
#: stopped at its next loop or call; only one that waits inside of the library (for standard input,
#: say) needs to be cut off.
GRACE = 1.0


class Watch:
    """Stops the guest on Ctrl-C and when its time is up, from a thread of its own.

    The main thread is inside of WebAssembly, or of the compiler, and may not come back to Python
    for long. Python's own handler of the signal still writes to a socket at once (`signal
    .set_wakeup_fd`), and the thread that waits there asks the guest to stop, gives it `GRACE`
    seconds, and then ends the process.
    """

    def __init__(self) -> None:
        self.engine: Optional[Engine] = None
        self.interrupted = False
        self.expired = False
        self._deadline: Optional[float] = None
        self._finished = threading.Event()
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        self._previous_fd: Optional[int] = None
        self._thread = threading.Thread(target=self._wait, name="wasmtime-watch", daemon=True)

    def __enter__(self) -> Watch:
        if threading.current_thread() is threading.main_thread():
            self._previous_fd = signal.set_wakeup_fd(
                self._writer.fileno(), warn_on_full_buffer=False
            )
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: Optional[type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self._finished.set()
        if self._previous_fd is not None:
            signal.set_wakeup_fd(self._previous_fd)
        self._wake()
        self._thread.join()
        self._reader.close()
        self._writer.close()

    def limit(self, seconds: float) -> None:
        """Start the clock: the guest is stopped after so many seconds."""
        self._deadline = time.monotonic() + seconds
        self._wake()

    def _wake(self) -> None:
        try:
            self._writer.send(b"\0")
        except OSError:
            pass  # a full socket wakes the thread just as well

    def _wait(self) -> None:
        while True:
            deadline = self._deadline
            left = None if deadline is None else max(deadline - time.monotonic(), 0.0)
            # A time of zero would mean "do not wait" to a socket, and raise another exception.
            self._reader.settimeout(None if left is None else max(left, 0.001))
            try:
                received = self._reader.recv(256)
            except socket.timeout:
                self.expired = True
                status = STATUS_TRAP
                break
            if self._finished.is_set():
                return
            if signal.SIGINT in received:
                self.interrupted = True
                status = STATUS_INTERRUPTED
                break
        engine = self.engine
        if engine is not None:
            engine.increment_epoch()
        if not self._finished.wait(GRACE):
            if self.expired:
                complain("the time given with --timeout is up, and the program cannot be asked")
            os._exit(status)
