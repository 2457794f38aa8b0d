"""Waiting, in a coroutine, for what a thread does; and on a thread, for what a coroutine does.

A guest of `run_async` runs on a thread, so that the event loop goes on whatever it does. What it
asks of the loop (functions that are ``async def``, asynchronous input) is awaited there.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from concurrent.futures import CancelledError, Future
from time import monotonic
from typing import Any, Callable, Optional, TypeVar

from .. import InterruptTrap, TimeoutTrap

__all__ = ["AsyncInput", "LoopWaiter", "in_thread"]

_T = TypeVar("_T")
#: Seconds between two requests to stop.
_PATIENCE = 0.05


async def in_thread(work: Callable[[], _T], stop: Callable[[], None]) -> _T:
    """Do something on a thread of its own, and wait for it.

    Args:
        work: What to do.
        stop: Lets it end soon; it is called, perhaps again and again, when this is cancelled.

    Returns:
        What `work` returned.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_T] = loop.create_future()

    def finish(result: Optional[_T], error: Optional[BaseException]) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)  # type: ignore[arg-type]
        else:
            future.set_exception(error)

    def run() -> None:
        result, caught = None, None
        try:
            result = work()
        except BaseException as error:
            caught = error
        try:
            loop.call_soon_threadsafe(finish, result, caught)
        except RuntimeError:
            pass  # the loop is closed, and nobody waits

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(run,), name="sandbox", daemon=True).start()
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        while not future.done():
            stop()
            await asyncio.wait([future], timeout=_PATIENCE)
        if not future.cancelled():
            future.exception()  # nobody else looks at it
        raise


class LoopWaiter:
    """Waits on the thread of a guest for what an event loop does.

    Attributes:
        loop: The loop of the coroutine that runs the guest; None where there is none.
    """

    def __init__(self) -> None:
        self.loop: Optional[asyncio.AbstractEventLoop] = None
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
        if self.loop is None:
            if inspect.iscoroutine(awaitable):
                awaitable.close()
            raise RuntimeError("a function of the host is async def: use run_async or call_async")

        async def wait() -> Any:
            return await awaitable

        future = self._awaited = asyncio.run_coroutine_threadsafe(wait(), self.loop)
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
