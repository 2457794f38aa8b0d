"""Programs that run while their host does something else."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator
from typing import Any, Literal, Optional

from .directory import Directories
from .errors import SandboxError, raise_unless_ok
from .program import task_of, with_files
from .reasons import Reason
from .result import Result
from .settings import Settings
from .source import Code
from .tiers import Guest, new_guest

__all__ = ["Running"]

#: A guest waits when so many bytes of its output have not been read.
_MOST_UNREAD = 1 << 20
#: Seconds between two looks at whether a guest that waits has been stopped.
_PATIENCE = 0.05

#: Names of the two streams of output.
StreamName = Literal["stdout", "stderr"]


class Running:
    """A program that runs: `Program.start` makes them.

    Iterating gives its output as it comes, as pairs of ``"stdout"`` or ``"stderr"`` and bytes, and
    ends with the program. What is written while nobody reads is kept up to one MiB; then the
    program waits. It is a context manager, which cancels the program at the end.

    Example:
        >>> from wasmtime.sandbox import Program
        >>> program = Program('(module (func (export "_start")))')
        >>> with program.start() as running:
        ...     for stream, data in running:
        ...         print(stream, data)
        ...     running.wait().ok
        True
    """

    def __init__(self, code: Code, settings: Settings, args: tuple[str, ...], stdin: Any) -> None:
        self._changed = threading.Condition()
        self._chunks: deque[tuple[StreamName, bytes]] = deque()
        self._unread = 0
        self._stopped = False
        self._result: Optional[Result] = None
        self._cause: Optional[BaseException] = None
        self._input: Optional[int] = None
        self._guest: Optional[Guest] = None
        self._directories = Directories(settings.dirs)
        reader: Any = None
        try:
            if stdin is None:
                descriptor, self._input = os.pipe()
                reader = stdin = open(descriptor, "rb", buffering=0)  # noqa: SIM115
            task = task_of(settings, args, stdin, self._directories, self._show)
        except BaseException:
            self._release(reader)
            raise
        self._thread = threading.Thread(
            target=self._run, args=(code, settings, task, reader), name=code.name, daemon=True
        )
        self._thread.start()

    # -- the thread of the guest

    def _run(self, code: Code, settings: Settings, task: Any, reader: Any) -> None:
        result, cause = None, None
        try:
            result, cause = self._run_guest(code, settings, task)
        except BaseException as error:
            cause = error
        finally:
            self._release(reader)
            with self._changed:
                self._result, self._cause = result, cause
                self._guest = None
                self._over = True
                self._changed.notify_all()

    _over = False

    def _run_guest(
        self, code: Code, settings: Settings, task: Any
    ) -> tuple[Result, Optional[BaseException]]:
        try:
            guest = new_guest(code, settings, task)
        except SandboxError as refused:
            return refused.result, refused
        try:
            with self._changed:
                self._guest = guest
                if self._stopped:
                    guest.stop(Reason.CANCELLED)
            result = guest.run(None)
            return with_files(result, self._directories), guest.cause
        finally:
            with self._changed:
                self._guest = None
            guest.close()

    def _show(self, stream: StreamName, data: bytes) -> None:
        """Take what the guest wrote; wait while too much is unread."""
        with self._changed:
            while self._unread >= _MOST_UNREAD and not self._stopped:
                self._changed.wait(_PATIENCE)
            self._chunks.append((stream, data))
            self._unread += len(data)
            self._changed.notify_all()

    def _release(self, reader: Any) -> None:
        if reader is not None:
            reader.close()
        self.close_input()
        self._directories.close()

    # -- everybody else

    def __iter__(self) -> Iterator[tuple[StreamName, bytes]]:
        return self

    def __next__(self) -> tuple[StreamName, bytes]:
        with self._changed:
            while not self._chunks and not self._over:
                self._changed.wait()
            if not self._chunks:
                raise StopIteration
            stream, data = self._chunks.popleft()
            self._unread -= len(data)
            self._changed.notify_all()
            return stream, data

    def write(self, data: Any) -> None:
        """Write to the program's standard input; wait while it has not read what came before.

        Args:
            data: Bytes, or text, which becomes UTF-8.

        Raises:
            BrokenPipeError: The program has ended, or `close_input` has been called.
            ValueError: The program was started with a standard input of its own.
        """
        left = memoryview(data.encode() if isinstance(data, str) else data).cast("B")
        descriptor = self._input
        if descriptor is None:
            raise BrokenPipeError("the program has ended, or its input was closed")
        while left:
            left = left[os.write(descriptor, left) :]

    def close_input(self) -> None:
        """Let the program find the end of its standard input."""
        descriptor, self._input = self._input, None
        if descriptor is not None:
            os.close(descriptor)

    def cancel(self) -> None:
        """End the program, whatever it does, from any thread; `wait` tells what became of it."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
            while not self._over:
                if self._guest is not None:
                    self._guest.stop(Reason.CANCELLED)
                self._changed.wait(_PATIENCE)

    def wait(self, timeout: Optional[float] = None, *, check: bool = False) -> Result:
        """Wait for the program's end.

        What it wrote is in the result too, and need not be read: it does not wait any more.

        Args:
            timeout: How many seconds to wait; None for as long as it takes.
            check: Raise unless it exits with status 0.

        Raises:
            TimeoutError: It runs still.
            SandboxError: It did not end well, and `check` is true.
        """
        with self._changed:
            self._unread = -(1 << 62)  # nobody has to read what it writes from now on
            self._changed.notify_all()
            if not self._changed.wait_for(lambda: self._over, timeout):
                raise TimeoutError(f"the program has not ended within {timeout} s")
        self._thread.join()
        if self._result is None:
            assert self._cause is not None
            raise self._cause
        return raise_unless_ok(self._result, self._cause) if check else self._result

    @property
    def is_over(self) -> bool:
        """Whether the program has ended."""
        return self._over

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Cancel the program if it runs still, and wait for its end."""
        self.cancel()
        self._thread.join()
