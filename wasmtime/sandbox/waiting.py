"""Waiting, in a coroutine, for what a thread does; and on a thread, for what a coroutine does.

A guest of `run_async` that may block runs on a thread, so that the event loop goes on whatever it
does. What it asks of the loop (functions that are ``async def``, asynchronous input) is awaited
there. The loop is asyncio's, or what takes its place, or trio's.
"""

from __future__ import annotations

import contextvars
import sys
import threading
import weakref
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import CancelledError, Future
from time import monotonic
from typing import Any, Callable, Optional, Protocol, TypeVar

from .. import InterruptTrap, TimeoutTrap
from .reasons import Reason

__all__ = [
    "Changes",
    "Errand",
    "LoopWaiter",
    "for_loop",
    "in_context",
    "in_thread",
    "iterate",
    "runs_loop",
    "until",
    "watch",
]

_T = TypeVar("_T")
#: Seconds between two requests to stop.
_PATIENCE = 0.01


def _nothing() -> None:
    pass


class Errand:
    """What a coroutine has another thread do, and waits for.

    Guests that are made meanwhile are stopped when the coroutine is cancelled; and their functions
    that are ``async def``, and their asynchronous input, are awaited in its loop.

    Args:
        stop: Lets it end soon; it may be called again and again.
    """

    def __init__(self, stop: Callable[[], None] = _nothing) -> None:
        self.submit = _submitter()
        self._stop, self._is_stopped = stop, False
        self._guests: weakref.WeakSet[Stoppable] = weakref.WeakSet()
        self._lock = threading.Lock()

    def do(self, work: Callable[[], _T]) -> _T:
        """Do it, in a context of its own."""
        _errand.set(self)
        return work()

    def watch(self, guest: Stoppable) -> None:
        """Remember what has to be stopped."""
        with self._lock:
            self._guests.add(guest)
        if self._is_stopped:
            guest.stop(Reason.CANCELLED)

    def stop(self) -> None:
        """Let it end soon; it may be asked for again until it has ended."""
        self._is_stopped = True
        with self._lock:
            guests = list(self._guests)
        for guest in guests:
            guest.stop(Reason.CANCELLED)
        self._stop()


class Stoppable(Protocol):
    """What can be stopped from any thread, again and again."""

    def stop(self, reason: Reason) -> None: ...


_errand: contextvars.ContextVar[Optional[Errand]] = contextvars.ContextVar("errand", default=None)


def watch(guest: Stoppable) -> None:
    """If a coroutine waits for what this thread does, have a guest stopped with it."""
    errand = _errand.get()
    if errand is not None:
        errand.watch(guest)


async def in_thread(
    work: Callable[[], _T],
    stop: Callable[[], None] = _nothing,
    errand: Optional[Errand] = None,
) -> _T:
    """Do something on another thread, and wait for it: see `Errand`.

    Args:
        work: What to do.
        stop: Lets it end soon, beside its guests; it is called, perhaps again and again, when this
            is cancelled.
        errand: What it is a part of; None for one of its own.

    Returns:
        What `work` returned.
    """
    from .._event_loops import in_thread, resumed

    outcome: Future[_T] = Future()
    context = contextvars.copy_context()
    whole = Errand(stop) if errand is None else errand

    def run() -> None:
        try:
            outcome.set_result(context.run(whole.do, work))
        except BaseException as error:
            outcome.set_exception(error)

    def has_ended() -> bool:
        if not outcome.done():
            whole.stop()
        return outcome.done()

    try:
        await resumed(in_thread(run, may_block=True))
    except GeneratorExit:  # nobody runs this coroutine any more, so it cannot wait
        whole.stop()
        raise
    except BaseException:
        await until(has_ended)
        raise
    return outcome.result()


async def iterate(begin: Callable[[], Iterator[_T]]) -> AsyncIterator[_T]:
    """Iterate in a coroutine over what blocks; where that is cancelled, its guests are stopped.

    Args:
        begin: Gives what is iterated over, a generator.
    """
    errand = Errand()
    iterator: Any = await in_thread(begin, errand=errand)
    try:
        while True:
            item: Any = await in_thread(lambda: next(iterator, errand), errand=errand)
            if item is errand:
                return
            yield item
    finally:
        await in_thread(iterator.close, errand=errand)


def in_context(work: Callable[..., _T]) -> Callable[..., _T]:
    """What another thread is to do, in the context of this one, and so as a part of its errand."""
    context = contextvars.copy_context()
    return lambda *args: context.run(work, *args)


def for_loop(work: Callable[..., None]) -> Callable[..., None]:
    """As `in_context`; and the loop of this thread, if there is one, serves the guests."""
    if not runs_loop():
        return in_context(work)
    errand = Errand()
    return in_context(lambda *args: errand.do(lambda: work(*args)))


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something holds, which will be soon, however often this is cancelled meanwhile.

    Args:
        condition: It is called again and again.

    Raises:
        CancelledError: It holds, and this was cancelled meanwhile.
    """
    trio = _trio()
    if trio is not None:
        with trio.CancelScope(shield=True):
            while not condition():
                await trio.sleep(_PATIENCE)
        return
    import asyncio

    cancelled: Optional[BaseException] = None
    while not condition():
        try:
            await asyncio.sleep(_PATIENCE)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


def _trio() -> Any:
    """The module trio, if its loop runs on this thread."""
    from .._event_loops import running_trio

    return running_trio()


def runs_loop() -> bool:
    """Whether an event loop runs on this thread."""
    asyncio = sys.modules.get("asyncio")
    return (asyncio is not None and asyncio._get_running_loop() is not None) or _trio() is not None


def _submitter() -> Callable[[Any], Future[Any]]:
    """What awaits a coroutine in the event loop of this thread, called on another thread."""
    trio = _trio()
    if trio is not None:
        token = trio.lowlevel.current_trio_token()
        return lambda coroutine: _submit_to_trio(trio, token, coroutine)
    import asyncio

    loop = asyncio.get_running_loop()
    return lambda coroutine: asyncio.run_coroutine_threadsafe(coroutine, loop)


def _submit_to_trio(trio: Any, token: Any, coroutine: Any) -> Future[Any]:
    future: Future[Any] = Future()
    scope = trio.CancelScope()

    async def task() -> None:
        value, raised = None, None
        with scope:
            try:
                value = await coroutine
            except Exception as error:
                raised = error
        if not future.set_running_or_notify_cancel():
            return
        if raised is None:
            future.set_result(value)
        else:
            future.set_exception(raised)

    def ended(_: Future[Any]) -> None:
        if future.cancelled():
            token.run_sync_soon(scope.cancel)

    future.add_done_callback(ended)
    context = contextvars.copy_context()
    token.run_sync_soon(lambda: trio.lowlevel.spawn_system_task(task, context=context))
    return future


class LoopWaiter:
    """Waits on the thread of a guest for what an event loop does."""

    def __init__(self) -> None:
        self._awaited: Optional[Future[Any]] = None
        self._is_stopped = False

    def wait_for(self, awaitable: Any, deadline: Optional[float]) -> Any:
        """What an awaitable gives.

        Args:
            awaitable: It is awaited on the loop.
            deadline: The time, as `monotonic` tells it, at which it is cancelled.

        Raises:
            RuntimeError: There is no loop: the guest is not run by a coroutine.
            TimeoutTrap: The deadline has come.
            InterruptTrap: `stop` was called.
            BaseException: What it raised.
        """
        errand = _errand.get()
        if errand is None or runs_loop():  # a loop cannot wait for itself
            close = getattr(awaitable, "close", None)
            if close is not None:  # a coroutine, which would warn otherwise
                close()
            raise RuntimeError("the host is asynchronous here: use run_async or call_async")

        async def wait() -> Any:
            return await awaitable

        future = self._awaited = errand.submit(wait())
        if self._is_stopped:
            future.cancel()
        try:
            if deadline is not None and not _is_done(future, max(0.0, deadline - monotonic())):
                future.cancel()
                raise TimeoutTrap("the time of the guest was up while it waited for the host")
            return future.result()
        except CancelledError:
            raise InterruptTrap("the guest was stopped while it waited for the host") from None
        finally:
            self._awaited = None

    def stop(self) -> None:
        """Cancel what is waited for, and what will be."""
        self._is_stopped = True
        awaited = self._awaited
        if awaited is not None:
            awaited.cancel()


def _is_done(future: Future[Any], seconds: float) -> bool:
    """Wait for a future, whatever comes of it."""
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    return done.wait(seconds)


class Changes:
    """What threads and coroutines wait for: a condition variable for both.

    It is a context manager, which holds its lock.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._bells: list[Any] = []

    def __enter__(self) -> Changes:
        self._changed.__enter__()
        return self

    def __exit__(self, *exc: Any) -> None:
        self._changed.__exit__(*exc)

    def tell(self) -> None:
        """Let everybody look again; with the lock."""
        self._changed.notify_all()
        for bell in self._bells:
            bell.ring()

    def wait(self, seconds: Optional[float] = None) -> None:
        """Wait for a change, on this thread; with the lock."""
        self._changed.wait(seconds)

    def wait_for(self, what: Callable[[], _T], seconds: Optional[float] = None) -> _T:
        """Wait on this thread until something is true, and return it; or whatever it is then.

        Args:
            what: It is called with the lock.
            seconds: How long to wait; None for as long as it takes.
        """
        with self._changed:
            return self._changed.wait_for(what, seconds)

    async def wait_for_async(self, what: Callable[[], _T], seconds: Optional[float] = None) -> _T:
        """As `wait_for`, for a coroutine."""
        from .._event_loops import new_bell

        due = None if seconds is None else monotonic() + seconds
        while True:
            with self._changed:
                found = what()
                left = None if due is None else due - monotonic()
                if found or (left is not None and left <= 0):
                    return found
                bell = new_bell()
                self._bells.append(bell)
            try:
                await bell.wait(left)
            finally:
                with self._changed:
                    self._bells.remove(bell)
