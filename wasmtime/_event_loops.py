"""How asynchronous calls wait: the few things that they ask of an event loop.

A call yields what its host functions await, whatever that is, so that it runs under any framework.
For itself it needs a turn of the loop, and a thread where WebAssembly may block. Both are made
here, for asyncio (and what takes its place, such as uvloop) and for trio. The core calls them.
"""

from __future__ import annotations

import os
import sys
from _thread import _local, allocate_lock, start_new_thread
from asyncio import CancelledError, _get_running_loop
from collections import deque
from types import coroutine
from typing import Any, Callable, Optional, Union
from weakref import ref

from ._native import core
from ._native.host import processors

__all__ = [
    "end_later",
    "in_scope",
    "in_thread",
    "new_bell",
    "resumed",
    "running_trio",
    "tell_soon",
    "turn",
    "wait",
    "wake",
]


def running_trio() -> Any:
    """The module trio, if it runs on this thread."""
    trio = sys.modules.get("trio")
    try:
        return trio if trio is not None and trio.lowlevel.in_trio_run() else None
    except AttributeError:  # it is being imported, or is an old one
        return None


def turn(awake: bool) -> tuple[int, Optional[Any], Optional[Any]]:
    """Let the loop do other things.

    Args:
        awake: For one turn of it; or else until `wake` is called.

    Returns:
        Which loop it is; an iterator that waits, or None for asyncio's plain turn; and what to give
        to `wake`, or None.
    """
    loop = _get_running_loop()
    trio = None if loop is not None else running_trio()
    if trio is None:
        if awake or loop is None:
            return id(loop), None, None
        _watch_turns(loop)
        future = loop.create_future()
        return id(loop), future.__await__(), future
    token = id(trio.lowlevel.current_trio_token())
    if awake:
        return token, trio.lowlevel.checkpoint().__await__(), None
    event = trio.Event()
    return token, _trio_turn(trio, event).__await__(), event


async def _trio_turn(trio: Any, event: Any) -> None:
    with trio.move_on_after(_ABSENCE):  # the core looks then whether somebody is absent
        await event.wait()


def _no_loop() -> Any:
    return None


class _Watched(_local):
    """The loop of this thread that looks after its turns, as a weak reference."""

    def __init__(self) -> None:
        self.loop: Callable[[], Any] = _no_loop


_watched = _Watched()


def _watch_turns(loop: Any) -> None:
    """Look, from time to time, whether the one whose turn it is has come."""
    if _watched.loop() is not loop:
        _watched.loop = ref(loop)
        loop.call_later(_ABSENCE, _look_after_turns, loop)


def _look_after_turns(loop: Any) -> None:
    _watched.loop = _no_loop
    if core.skip_absent_turn():
        _watch_turns(loop)


#: Seconds after which one whose turn has come, and who has not, is taken for absent.
_ABSENCE = 0.1


def wake(waiter: Any) -> None:
    """Let one go on that `turn` had wait.

    Args:
        waiter: A future of asyncio's, or an event of trio's.
    """
    done = getattr(waiter, "done", None)
    if done is None:
        waiter.set()
    elif not done():
        try:
            waiter.set_result(None)
        except RuntimeError:  # the loop is closed: it waits for nothing any more
            pass


class _AsyncioBell:
    """What a coroutine of asyncio waits for until another thread rings."""

    def __init__(self, loop: Any) -> None:
        self._loop, self._rung = loop, loop.create_future()

    def ring(self) -> None:
        """End the wait, from any thread."""
        try:
            self._loop.call_soon_threadsafe(self._finish)
        except RuntimeError:  # the loop is closed: nobody waits any more
            pass

    def _finish(self) -> None:
        if not self._rung.done():
            self._rung.set_result(None)

    async def wait(self, seconds: Optional[float] = None) -> None:
        """Wait for that, or until so many seconds are over."""
        timer = None if seconds is None else self._loop.call_later(seconds, self._finish)
        try:
            await self._rung
        finally:
            if timer is not None:
                timer.cancel()


class _TrioBell:
    """What a coroutine of trio waits for until another thread rings."""

    def __init__(self, trio: Any) -> None:
        self._trio, self._rung = trio, trio.Event()
        self._token = trio.lowlevel.current_trio_token()

    def ring(self) -> None:
        """End the wait, from any thread."""
        try:
            self._token.run_sync_soon(self._rung.set)
        except self._trio.RunFinishedError:
            pass

    async def wait(self, seconds: Optional[float] = None) -> None:
        """Wait for that, or until so many seconds are over."""
        with self._trio.move_on_after(float("inf") if seconds is None else seconds):
            await self._rung.wait()


def new_bell() -> Union[_AsyncioBell, _TrioBell]:
    """What the loop of this thread waits for until another thread rings."""
    loop = _get_running_loop()
    return _AsyncioBell(loop) if loop is not None else _TrioBell(running_trio())


def in_thread(function: Callable[[], None], may_block: bool) -> Any:
    """Call a function on another thread, and wait until it has returned.

    Args:
        function: The function. Where the wait is cancelled, it goes on, and nobody hears of its
            end.
        may_block: Whether it needs a thread of its own. One that computes shares as many as there
            are processors.

    Returns:
        An iterator that waits.
    """
    bell = new_bell()

    def run() -> None:
        function()
        bell.ring()

    (_blocking if may_block else _computing).run(run)
    return bell.wait().__await__()


@coroutine
def resumed(iterator: Any) -> Any:
    """Await what an iterator waits for."""
    return (yield from iterator)


class _Scope:
    """What a host function awaits under trio, in a cancel scope of its own.

    The core cancels it as it cancels a future of asyncio's.
    """

    def __init__(self, trio: Any, iterator: Any, seconds: float) -> None:
        self._scope = trio.CancelScope()
        if seconds >= 0:
            self._scope.deadline = trio.current_time() + seconds + _ROUNDING
        self._token = trio.lowlevel.current_trio_token()
        self._iterator = iterator

    async def run(self) -> Any:
        """Await it."""
        with self._scope:
            return await resumed(self._iterator)
        raise CancelledError

    def cancel(self) -> None:
        """End the wait."""
        self._scope.cancel()

    def get_loop(self) -> _Scope:
        return self

    def call_soon_threadsafe(self, function: Callable[..., Any], *args: Any) -> None:
        """Call something on the thread of trio's loop."""
        self._token.run_sync_soon(function, *args)


def in_scope(iterator: Any, seconds: float) -> Optional[tuple[_Scope, Any]]:
    """Await something so that the core can end that.

    Args:
        iterator: What the awaitable gave.
        seconds: How long it may take; less than 0 for any time.

    Returns:
        What the core can cancel, and the iterator to be driven; None where trio does not run.
    """
    trio = running_trio() if _get_running_loop() is None else None
    if trio is None:
        return None
    scope = _Scope(trio, iterator, seconds)
    return scope, scope.run().__await__()


def tell_soon(store: Any, awaited: Any) -> None:
    """Have the loop cancel what a host function waits for; from any thread.

    Args:
        store: The store whose guest is to end.
        awaited: A future of asyncio's, or what `in_scope` gave; nothing else can be cancelled.
    """
    get_loop = getattr(awaited, "get_loop", None)
    if get_loop is not None:
        try:
            get_loop().call_soon_threadsafe(core.end_wait, store)
        except RuntimeError:  # the loop is closed: nobody waits any more
            pass


class _Timer:
    """A timer that only its own loop cancels: nothing else may touch a loop of another thread."""

    def __init__(self, loop: Any, seconds: float, store: Any) -> None:
        self._loop = loop
        self._handle = loop.call_later(seconds + _ROUNDING, _end_wait, ref(store))

    def cancel(self) -> None:
        if _get_running_loop() is self._loop:
            self._handle.cancel()


def _end_wait(reference: Callable[[], Any]) -> None:
    store = reference()
    if store is not None:
        core.end_wait(store)


def end_later(store: Any, awaited: Any, seconds: float) -> Optional[_Timer]:
    """Cancel what host functions wait for when the time of their store is up.

    Args:
        store: The store.
        awaited: What the event loop got to wait for; see `tell_soon`.
        seconds: The time that is left.

    Returns:
        The timer; None where there is none, or trio's scope looks after it.
    """
    get_loop = getattr(awaited, "get_loop", None)
    if get_loop is None or isinstance(awaited, _Scope):
        return None
    return _Timer(get_loop(), seconds, store)


#: Seconds that the timers of some loops may be early.
_ROUNDING = 0.001


def wait(seconds: float, descriptors: list[tuple[int, bool]]) -> Any:
    """Wait for a moment, or until a descriptor is ready.

    Args:
        seconds: When the wait is over at the latest; less than 0 for never.
        descriptors: Each with whether it is to be written to, and not read from.

    Returns:
        An awaitable.
    """
    loop = _get_running_loop()
    if loop is not None:
        return _asyncio_descriptors(loop, seconds, descriptors)
    return _trio_descriptors(running_trio(), seconds, descriptors)


async def _asyncio_descriptors(
    loop: Any, seconds: float, descriptors: list[tuple[int, bool]]
) -> None:
    done = loop.create_future()

    def finish() -> None:
        if not done.done():
            done.set_result(None)

    timer = None if seconds < 0 else loop.call_later(seconds, finish)
    watched = []
    try:
        for descriptor, writing in descriptors:
            # One of our own: a loop serves one reader for each descriptor.
            own = os.dup(descriptor)
            remove = loop.remove_writer if writing else loop.remove_reader
            try:
                (loop.add_writer if writing else loop.add_reader)(own, finish)
            except PermissionError:  # a file, which is ready at any time
                os.close(own)
                finish()
            except NotImplementedError:  # Windows' usual loop: look again soon
                os.close(own)
                loop.call_later(_LOOK_AGAIN, finish)
            else:
                watched.append((own, remove))
        await done
    finally:
        if timer is not None:
            timer.cancel()
        for own, remove in watched:
            remove(own)
            os.close(own)


async def _trio_descriptors(trio: Any, seconds: float, descriptors: list[tuple[int, bool]]) -> None:
    async with trio.open_nursery() as nursery:

        async def watch(descriptor: int, writing: bool) -> None:
            try:
                await (trio.lowlevel.wait_writable if writing else trio.lowlevel.wait_readable)(
                    descriptor
                )
            except PermissionError:  # a file, which is ready at any time
                pass
            nursery.cancel_scope.cancel()

        for descriptor, writing in descriptors:
            nursery.start_soon(watch, descriptor, writing)
        if seconds >= 0:
            await trio.sleep(seconds)
            nursery.cancel_scope.cancel()


#: Seconds until a descriptor is looked at again that an event loop cannot wait for.
_LOOK_AGAIN = 0.01


class _Workers:
    """Threads that wait for work for a while, and that do not keep the process from ending.

    Args:
        most: How many there may be; work queues where more would be needed. None for any number.
    """

    def __init__(self, most: Optional[int] = None) -> None:
        self._most = most
        self.forget()

    def forget(self) -> None:
        """Begin anew, in a forked child: the threads are the parent's."""
        self._lock = allocate_lock()
        self._idle: list[list[Any]] = []
        self._queue: deque[Callable[[], None]] = deque()
        self._count = 0

    def run(self, work: Callable[[], None]) -> None:
        """Do something on a thread that is idle, or on a new one, or on the next one that is."""
        with self._lock:
            worker = self._idle.pop() if self._idle else None
            if worker is None:
                if self._count == self._most:
                    self._queue.append(work)
                    return
                self._count += 1
        if worker is None:
            start_new_thread(self._serve, (work,))
        else:
            worker[1] = work
            worker[0].release()

    def _serve(self, work: Optional[Callable[[], None]]) -> None:
        wake = allocate_lock()
        wake.acquire()
        worker: list[Any] = [wake, None]
        while work is not None:
            work()
            work = worker[1] = None
            work = self._next(worker)

    def _next(self, worker: list[Any]) -> Optional[Callable[[], None]]:
        """Wait for more work; None where none comes."""
        with self._lock:
            if self._queue:
                return self._queue.popleft()
            self._idle.append(worker)
        if not worker[0].acquire(timeout=_PATIENCE):
            with self._lock:
                if worker in self._idle:
                    self._idle.remove(worker)
                    self._count -= 1
                    return None
            worker[0].acquire()
        work: Callable[[], None] = worker[1]
        return work


#: Seconds until a thread that has nothing to do ends.
_PATIENCE = 5.0
#: Of polls that may block, and of guests that compute.
_blocking, _computing = _Workers(), _Workers(processors())


def _after_fork() -> None:
    _blocking.forget()
    _computing.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
