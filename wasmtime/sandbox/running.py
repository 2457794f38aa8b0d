"""Programs that run while their host does something else.

The guest runs on a thread of its own, in both tiers, and waits there while too much of its output
is unread. Its host waits for it on threads, or in event loops.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator
from time import monotonic
from typing import Any, Literal, Optional

from .closing import Closing
from .directory import Directories
from .errors import SandboxError, raise_unless_ok
from .piping import InputPipe
from .program import task_of, with_files
from .result import Result
from .settings import Settings
from .source import Code
from .tiers import Guest, new_guest
from .waiting import Changes, for_loop, until
from .world import Task

__all__ = ["Running"]

#: A guest waits when so many bytes of its output have not been read.
_MOST_UNREAD = 1 << 20
#: What each piece of it takes besides, so that many small ones do not take more memory than that.
_PIECE = 256
#: Seconds between two looks at whether a guest that waits has been stopped.
_PATIENCE = 0.05

#: Names of the two streams of output.
StreamName = Literal["stdout", "stderr"]
#: What iterating gives.
Chunk = tuple[StreamName, bytes]
_END: Chunk = ("stdout", b"")  # which nobody writes


class Running(Closing):
    """A program that runs: `Program.start` makes them.

    Iterating gives its output as it comes, as pairs of ``"stdout"`` or ``"stderr"`` and bytes, and
    ends with the program. What is written while nobody reads is kept up to one MiB; then the
    program waits, at the latest until its time is up. It is a context manager, which cancels the
    program at the end; one that is forgotten runs on until its end.

    In a coroutine there are ``async with``, ``async for``, `write_async`, `wait_async` and
    `cancel_async`, which let the event loop go on: asyncio's or trio's.

    Example:
        >>> from wasmtime.sandbox import Program
        >>> program = Program('(module (func (export "_start")))')
        >>> with program.start() as running:
        ...     for stream, data in running:
        ...         print(stream, data)
        ...     running.wait().ok
        True
        >>> async def main():
        ...     async with program.start() as running:
        ...         async for stream, data in running:
        ...             print(stream, data)
        ...         return (await running.wait_async()).ok
        >>> import asyncio
        >>> asyncio.run(main())
        True
    """

    def __init__(self, code: Code, settings: Settings, args: tuple[str, ...], stdin: Any) -> None:
        self._changes = Changes()
        self._chunks: deque[Chunk] = deque()
        self._unread = 0
        self._stopped = self._over = False
        self._due: Optional[float] = None
        self._result: Optional[Result] = None
        self._cause: Optional[BaseException] = None
        self._guest: Optional[Guest] = None
        self._directories = Directories(settings.dirs)
        self._pipe: Optional[InputPipe] = None
        try:
            if stdin is None:
                self._pipe = InputPipe()
                stdin = self._pipe.reader
            task = task_of(settings, args, stdin, self._directories, self._show)
            self._thread = threading.Thread(
                target=for_loop(self._run),
                args=(code, settings, task),
                name=code.name,
                daemon=True,
            )
            self._thread.start()
        except BaseException:
            self._release()
            raise

    # -- the thread of the guest

    def _run(self, code: Code, settings: Settings, task: Task) -> None:
        result, cause = None, None
        try:
            result, cause = self._run_guest(code, settings, task)
        except BaseException as error:
            cause = error
        finally:
            self._release()
            with self._changes:
                self._result, self._cause = result, cause
                self._over = True
                self._changes.tell()

    def _run_guest(
        self, code: Code, settings: Settings, task: Task
    ) -> tuple[Result, Optional[BaseException]]:
        try:
            guest = new_guest(code, settings, task)
        except SandboxError as refused:
            return refused.result, refused
        try:
            with self._changes:
                self._guest = guest
                if self._stopped:
                    guest.cancel()
                limit = task.limits.timeout
                self._due = None if limit is None else monotonic() + limit
            result = guest.run(None)
            return with_files(result, self._directories), guest.cause
        finally:
            with self._changes:
                self._guest = None
            guest.close()

    def _show(self, stream: StreamName, data: bytes) -> None:
        """Take what the guest wrote; wait while too much is unread."""
        with self._changes:
            while self._unread >= _MOST_UNREAD and not self._is_ending():
                self._changes.wait(_PATIENCE)
            self._chunks.append((stream, data))
            self._unread += len(data) + _PIECE
            self._changes.tell()

    def _is_ending(self) -> bool:
        """Whether the guest, which waits here, is to hear that it was stopped or is out of time."""
        return self._stopped or (self._due is not None and monotonic() >= self._due)

    def _release(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
        self._directories.close()

    # -- its output

    def __iter__(self) -> Iterator[Chunk]:
        return self

    def __next__(self) -> Chunk:
        chunk: Chunk = self._changes.wait_for(self._next)
        if chunk is _END:
            raise StopIteration
        return chunk

    def __aiter__(self) -> AsyncIterator[Chunk]:
        return self

    async def __anext__(self) -> Chunk:
        chunk: Chunk = await self._changes.wait_for_async(self._next)
        if chunk is _END:
            raise StopAsyncIteration
        return chunk

    def _next(self) -> Any:
        """What comes next of the output; `_END` behind it, None while there is nothing."""
        if not self._chunks:
            return _END if self._over else None
        chunk = self._chunks.popleft()
        self._unread -= len(chunk[1]) + _PIECE
        self._changes.tell()
        return chunk

    # -- its input

    def write(self, data: Any) -> None:
        """Write to the program's standard input; wait while it has not read what came before.

        Args:
            data: Bytes, or text, which becomes UTF-8.

        Raises:
            BrokenPipeError: The program has ended, or `close_input` has been called.
            ValueError: The program was started with a standard input of its own.
        """
        self._own_pipe().write(data)

    async def write_async(self, data: Any) -> None:
        """As `write`, for a coroutine: cancelling leaves the rest unwritten."""
        await self._own_pipe().write_async(data)

    def close_input(self) -> None:
        """Let the program find the end of its standard input."""
        if self._pipe is not None:
            self._pipe.close_writer()

    def _own_pipe(self) -> InputPipe:
        if self._pipe is None:
            raise ValueError(
                "the program was started with stdin=, so there is nothing to write to: leave it out"
            )
        return self._pipe

    # -- its end

    def cancel(self) -> None:
        """End the program, whatever it does, from any thread; `wait` tells what became of it.

        It returns when the program has ended; and at once in one of its own host functions, which
        has to return first.
        """
        with self._changes:
            while not self._stop() and threading.current_thread() is not self._thread:
                self._changes.wait(_PATIENCE)

    async def cancel_async(self) -> None:
        """As `cancel`, for a coroutine; it waits for the program's end even if it is cancelled."""
        await until(self._stop)

    def _stop(self) -> bool:
        """Ask the program to end, and tell whether it has."""
        with self._changes:
            self._stopped = True
            if self._guest is not None:
                self._guest.cancel()
            self._changes.tell()
            return self._over

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
        self._read_no_more()
        return self._ended(self._changes.wait_for(self._has_ended, timeout), timeout, check)

    async def wait_async(self, timeout: Optional[float] = None, *, check: bool = False) -> Result:
        """As `wait`, for a coroutine.

        Cancelling this stops the program, as it does with `Program.run_async`; when `timeout` is
        over, it runs on.
        """
        self._read_no_more()
        try:
            has_ended = await self._changes.wait_for_async(self._has_ended, timeout)
        except GeneratorExit:  # nobody runs this coroutine any more, so it cannot wait
            self._stop()
            raise
        except BaseException:
            await self.cancel_async()
            raise
        return self._ended(has_ended, timeout, check)

    def _has_ended(self) -> bool:
        return self._over

    def _read_no_more(self) -> None:
        """Let nobody have to read what it writes from now on."""
        with self._changes:
            self._unread = -(1 << 62)
            self._changes.tell()

    def _ended(self, has_ended: bool, timeout: Optional[float], check: bool) -> Result:
        if not has_ended:
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

    def close(self) -> None:
        """Cancel the program if it runs still, and wait for its end."""
        self.cancel()

    async def close_async(self) -> None:
        """As `close`, for a coroutine."""
        await self.cancel_async()
