"""Pools: so many guests at a time, and the others in a queue.

A pool has threads, each of which runs one guest at a time; in the process tier, each has a worker
process, which the pool owns and replaces when it dies. A pool closes what it owns: threads,
workers, and instances that wait.
"""

from __future__ import annotations

import threading
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from concurrent.futures import CancelledError, Future
from typing import TYPE_CHECKING, Any, Callable, Optional

from ..._native.host import processors
from ..limits import parse_whole
from ..result import Result
from ..settings import Isolation
from ..waiting import in_thread, iterate
from .queueing import Queue
from .supply import supply_for
from .targets import Input, check_target, is_plugin, run_input

if TYPE_CHECKING:
    from ..scale.progress import Progress
    from .targets import Target

__all__ = ["Pool"]

#: Seconds between two requests to stop what runs.
_PATIENCE = 0.05
#: Seconds between two looks at whether an event loop is still there.
_LOOP_PATIENCE = 1.0


class Pool:
    """Runs guests, so many at a time; the others wait, first in, first out.

    It takes what a `Program`, `Plugin` or `Interpreter` takes, from any number of threads and
    coroutines, and gives a `Result` for each, whatever becomes of the guest. It is a context
    manager: leaving the block waits for everything that was submitted.

    Args:
        target: The `Program`, `Plugin` or `Interpreter`, which is compiled already.
        workers: How many guests run at a time; None for one for each processor.
        isolation: ``"thread"`` or ``"process"``; None for the target's own. In the process tier
            the pool has its worker processes to itself, and replaces those that die.
        warm: How many instances wait, made ahead of their runs: they are used once each, and made
            anew when a thread has nothing else to do.
        queue: How many runs may wait for a thread, until `submit` waits; None for any number.
        retries: How often a guest is run again whose worker process was lost; then its result says
            ``worker-lost``. A run whose standard input is read from a file or callable is not.

    Raises:
        SandboxError: Workers cannot be started; or so many warm instances do not fit, and the
            message says how many do.
        TypeError: An argument is of a wrong type.
        ValueError: An argument is out of range.

    Example:
        >>> from wasmtime.sandbox import Plugin, Pool
        >>> plugin = Plugin('''
        ...     (module (func (export "double") (param i32) (result i32)
        ...         (i32.mul (local.get 0) (i32.const 2))))''')
        >>> with Pool(plugin, workers=2, warm=4) as pool:
        ...     future = pool.submit("double", 21)
        ...     future.result().value, [r.value for r in pool.map([1, 2, 3], name="double")]
        (42, [2, 4, 6])
    """

    def __init__(
        self,
        target: Target,
        *,
        workers: Optional[int] = None,
        isolation: Optional[Isolation] = None,
        warm: int = 0,
        queue: Optional[int] = 1000,
        retries: int = 1,
    ) -> None:
        check_target(target)
        if isolation not in (None, "thread", "process"):
            raise ValueError(f'isolation must be "thread" or "process", not {isolation!r}')
        self._workers = processors() if workers is None else parse_whole("workers", workers, 1)
        self._retries = parse_whole("retries", retries, 0)
        self._reasons: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._queue = Queue(None if queue is None else parse_whole("queue", queue, 1))
        self._target, self._supply = supply_for(
            target, isolation, parse_whole("warm", warm, 0), self._workers
        )
        self._abandon = weakref.finalize(self, _abandon, self._queue, self._supply)
        self._abandon.atexit = False  # daemon threads, and workers that die with this process
        supply = self._supply
        name = f"pool of {target._code.name}"
        self._queue.start(self._workers, name, supply.prepare_thread, supply.refill)

    # -- what is asked for

    def submit(self, *args: Any, **keywords: Any) -> Future[Result]:
        """Have a guest run, and go on; wait while the queue is full.

        Args:
            args: What `Program.run` takes; a snippet first for an `Interpreter`; the name of a
                function and its arguments for a `Plugin`.
            keywords: What `Program.run` takes.

        Returns:
            A future of the `Result`. Cancelling it takes the run out of the queue; what runs
            already is ended by `close` alone, or by its own limits.

        Raises:
            SandboxError: The pool is closed; or its queue is full, and it is one of its own guests
                that submits, for which nobody would make room.
        """
        return self._queue.put(self._work(args, keywords), waits=True)

    def submit_nowait(self, *args: Any, **keywords: Any) -> Future[Result]:
        """As `submit`, for who would rather refuse work than wait.

        Raises:
            SandboxError: The queue is full, or the pool is closed.
        """
        return self._queue.put(self._work(args, keywords), waits=False)

    async def run_async(self, *args: Any, **keywords: Any) -> Result:
        """As `submit`, for a coroutine: the event loop goes on while the run waits its turn.

        Functions of the host may be ``async def``, and cancelling stops the guest, or takes the run
        out of the queue.

        Returns:
            The result.

        Raises:
            SandboxError: The pool is closed.
        """
        given = _input(self._target, args, keywords)
        turn = _Turn(lambda: self._run_async(given))
        future = self._queue.put(turn.take, waits=True, bounded=False)
        return await turn.wait(future)

    def map(
        self,
        inputs: Iterable[Any],
        *,
        name: Optional[str] = None,
        ordered: bool = True,
        chunksize: Optional[int] = None,
        progress: Progress = None,
    ) -> Iterator[Result]:
        """Run a guest for each input, a few of which are taken ahead of the results.

        Args:
            inputs: As for `Program.map`.
            name: The function of a plug-in.
            ordered: Whether results come in the order of the inputs, or as they are there.
            chunksize: How many inputs a thread takes at a time; None for what their measured cost
                makes worth while.
            progress: As for `Program.map`.

        Returns:
            An iterator of results. Closing it cancels what has not begun.

        Raises:
            SandboxError: The pool is closed.
            TypeError: `inputs` cannot be iterated, or `name` is missing or of no use.
        """
        from ..scale.mapping import map_in_pool

        return map_in_pool(self, inputs, name, ordered, chunksize, progress)

    def map_async(
        self,
        inputs: Iterable[Any],
        *,
        name: Optional[str] = None,
        ordered: bool = True,
        chunksize: Optional[int] = None,
        progress: Progress = None,
    ) -> AsyncIterator[Result]:
        """As `map`, for ``async for``: cancelling stops the guests of this map."""
        return iterate(
            lambda: self.map(
                inputs, name=name, ordered=ordered, chunksize=chunksize, progress=progress
            )
        )

    def metrics(self) -> dict[str, Any]:
        """What the pool does now, and has done.

        Returns:
            ``workers``, how many guests may run; ``queued`` and ``running``; ``warm``, how many
            instances wait; ``completed`` and ``cancelled``; ``workers_lost``, how many worker
            processes died or were killed; and ``reasons``, how many guests ended for which reason.
        """
        queue, supply = self._queue, self._supply
        with self._lock:
            reasons = dict(sorted(self._reasons.items()))
        return {
            "workers": self._workers,
            "queued": len(queue),
            "running": queue.running,
            "warm": supply.warm,
            "completed": sum(reasons.values()),
            "cancelled": queue.cancelled,
            "workers_lost": supply.lost,
            "reasons": reasons,
        }

    def close(self, *, cancel: bool = False) -> None:
        """Take nothing more, wait for everything that was submitted, and give all up.

        Args:
            cancel: End what runs (``cancelled``), and cancel what waits in the queue.
        """
        self._queue.close(cancel)
        while not self._queue.join(_PATIENCE):
            if cancel:
                self._supply.stop()
        self._supply.close()
        self._abandon.detach()

    async def close_async(self, *, cancel: bool = False) -> None:
        """As `close`, for a coroutine, whose loop serves what runs meanwhile.

        Where this is cancelled, so is everything that was submitted.
        """
        await in_thread(lambda: self.close(cancel=cancel), self._cancel)

    def _cancel(self) -> None:
        self._queue.close(cancel=True)
        self._supply.stop()

    @property
    def workers(self) -> int:
        """How many guests may run at a time."""
        return self._workers

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, kind: Optional[type[BaseException]], *_: object) -> None:
        self.close(cancel=kind is not None)

    async def __aenter__(self) -> Pool:
        return self

    async def __aexit__(self, kind: Optional[type[BaseException]], *_: object) -> None:
        await self.close_async(cancel=kind is not None)

    def __repr__(self) -> str:
        return f"<wasmtime.sandbox.Pool of {self._target!r}, {self._workers} workers>"

    # -- what the threads do

    def _work(self, args: tuple[Any, ...], keywords: dict[str, Any]) -> Callable[[], Result]:
        given = _input(self._target, args, keywords)
        return lambda: self.run_here(given)

    def run_here(self, given: Input) -> Result:
        """Run a guest on this thread, which is one of the pool's, and count how it ended."""
        try:
            result = run_input(self._target, given, self._retries)
        finally:
            self._supply.forget()
        self._note(result)
        return result

    def enqueue(self, work: Callable[[], Any]) -> Future[Any]:
        """Have a thread do something; the caller sees to it that not too much waits."""
        return self._queue.put(work, waits=False, bounded=False)

    async def _run_async(self, given: Input) -> Result:
        target = self._target
        run = target.try_call_async if is_plugin(target) else target.run_async
        result: Result = await run(*given.args, **given.keywords)
        self._note(result)
        return result

    def _note(self, result: Result) -> None:
        with self._lock:
            self._reasons[result.reason.value] += 1


class _Turn:
    """A coroutine that has its turn when a thread of the pool takes it; it runs on its loop."""

    def __init__(self, begin: Callable[[], Coroutine[Any, Any, Result]]) -> None:
        import asyncio  # who runs a loop has it already

        self._begin = begin
        self._loop = asyncio.get_running_loop()
        self._running: Optional[Future[Result]] = None
        self._is_cancelled = False

    def take(self) -> Result:
        """Let it run, and wait for it, on a thread of the pool."""
        import asyncio

        running = asyncio.run_coroutine_threadsafe(self._begin(), self._loop)
        self._running = running
        if self._is_cancelled:
            running.cancel()
        done = threading.Event()
        running.add_done_callback(lambda _: done.set())
        while not done.wait(_LOOP_PATIENCE):
            if self._loop.is_closed():
                raise CancelledError
        return running.result()

    async def wait(self, future: Future[Result]) -> Result:
        """Wait for its end, on the loop; cancelling ends it, or takes it out of the queue."""
        import asyncio

        waiting = asyncio.wrap_future(future, loop=self._loop)
        try:
            return await asyncio.shield(waiting)
        except asyncio.CancelledError:
            self._is_cancelled = True
            if not future.cancel():
                if self._running is not None:
                    self._running.cancel()
                await asyncio.wait([waiting])
            raise


def _abandon(queue: Queue, supply: Any) -> None:
    """Give up what belongs to a pool that nobody has any more, and nobody has closed."""
    queue.close(cancel=True)
    supply.close()


def _input(target: Target, args: tuple[Any, ...], keywords: dict[str, Any]) -> Input:
    """What a run is given.

    Raises:
        TypeError: A plug-in lacks the name of a function, or has keywords.
    """
    if is_plugin(target):
        if keywords:
            raise TypeError(f"functions of a plug-in have no keywords: {sorted(keywords)}")
        if not args or not isinstance(args[0], str):
            raise TypeError("the first argument must be the name of a function of the plug-in")
    return Input(args, keywords)
