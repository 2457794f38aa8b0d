"""Waiting, in a coroutine, for what a thread does; and on a thread, for what a coroutine does.

A guest of `run_async` that may block runs on a thread, so that the event loop goes on whatever it
does. What it asks of the loop (functions that are ``async def``, asynchronous input) is awaited
there. The loop is asyncio's, or what takes its place, or trio's.
"""

from __future__ import annotations

import contextvars
import inspect
import threading
from concurrent.futures import CancelledError, Future
from time import monotonic
from typing import Any, Callable, Optional, TypeVar

from .. import InterruptTrap, TimeoutTrap

__all__ = ["AsyncInput", "LoopWaiter", "in_thread", "until"]

_T = TypeVar("_T")
#: Seconds between two requests to stop.
_PATIENCE = 0.01


async def in_thread(work: Callable[[], _T], stop: Callable[[], None]) -> _T:
    """Do something on another thread, and wait for it.

    Args:
        work: What to do.
        stop: Lets it end soon; it is called, perhaps again and again, when this is cancelled.

    Returns:
        What `work` returned.
    """
    from .._event_loops import in_thread, resumed

    outcome: Future[_T] = Future()
    context = contextvars.copy_context()

    def run() -> None:
        try:
            outcome.set_result(context.run(work))
        except BaseException as error:
            outcome.set_exception(error)

    def has_ended() -> bool:
        if not outcome.done():
            stop()
        return outcome.done()

    try:
        await resumed(in_thread(run, may_block=True))
    except BaseException:
        await until(has_ended)
        raise
    return outcome.result()


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something holds, which will be soon, however often this is cancelled meanwhile.

    Args:
        condition: It is called again and again.
    """
    trio = _trio()
    if trio is not None:
        with trio.CancelScope(shield=True):
            while not condition():
                await trio.sleep(_PATIENCE)
        return
    import asyncio

    while not condition():
        try:
            await asyncio.sleep(_PATIENCE)
        except asyncio.CancelledError:
            pass  # whoever cancelled this is told soon


def _trio() -> Any:
    """The module trio, if its loop runs on this thread."""
    from .._event_loops import running_trio

    return running_trio()


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
        self._submit: Optional[Callable[[Any], Future[Any]]] = None
        self._awaited: Optional[Future[Any]] = None
        self._is_stopped = False

    async def in_thread(self, work: Callable[[], _T], stop: Callable[[], None]) -> _T:
        """As the function of that name; `work` may wait for this event loop meanwhile."""
        self._submit = _submitter()
        try:
            return await in_thread(work, stop)
        finally:
            self._submit = None

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
        submit = self._submit
        if submit is None:
            if inspect.iscoroutine(awaitable):
                awaitable.close()
            raise RuntimeError("a function of the host is async def: use run_async or call_async")

        async def wait() -> Any:
            return await awaitable

        future = self._awaited = submit(wait())
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


class AsyncInput:
    """Standard input from an asynchronous iterator, or from an object with an async ``read``.

    Args:
        source: The iterator of bytes, or the object, such as an `asyncio.StreamReader`.
    """

    def __init__(self, source: Any) -> None:
        self._source = source
        self._rest = b""

    @staticmethod
    def is_needed(source: Any) -> bool:
        """Whether something is such a source."""
        return hasattr(source, "__aiter__") or inspect.iscoroutinefunction(
            getattr(source, "read", None)
        )

    async def read(self, size: int) -> bytes:
        """Up to so many bytes; none at the end."""
        if inspect.iscoroutinefunction(getattr(self._source, "read", None)):
            return bytes(await self._source.read(size))
        while not self._rest:
            try:
                self._rest = bytes(await self._source.__anext__())
            except StopAsyncIteration:
                return b""
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken
