"""Locks of stores: threads that call functions of imported modules take turns.

A store serves one thread at a time, and refuses a second one. Threads that call functions which
were imported from WebAssembly files do not know that they share a store, so the second one waits
here for its turn.

Two threads could wait for each other for ever: each inside of the store that the other one waits
for. A thread whose waiting would close such a circle gets an error instead. What else a thread may
wait for inside of a store (a lock, another thread) is not known here.
"""

from __future__ import annotations

import math
import os
import sys
import time
import weakref
from _thread import RLock, allocate_lock, get_ident
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar

from .._error import WasmtimeError

if TYPE_CHECKING:
    from .._store import Store

__all__ = ["StoreLock", "lock_of"]

_Result = TypeVar("_Result")

#: Whether Ctrl-C does not interrupt a thread that waits for a lock. The thread then stops waiting
#: from time to time to notice it.
_DEAF = sys.platform == "win32"
#: The longest single wait, in seconds.
_SLICE = 0.05 if _DEAF else 3600.0

#: Protects what follows.
_guard = allocate_lock()
_locks: weakref.WeakKeyDictionary[Store, StoreLock] = weakref.WeakKeyDictionary()
#: For each thread that waits while it is inside of a store: the lock that it waits for, and those
#: that it holds.
_waiting: dict[int, tuple[StoreLock, list[StoreLock]]] = {}

#: Whether a thread must announce what it waits for before it does. It is read without the guard: a
#: thread that waited before the second lock was made is inside of no other store.
_careful = _DEAF


class StoreLock:
    """The lock of one store. The thread that holds it can take it again."""

    __slots__ = ("__weakref__", "_turn")

    def __init__(self) -> None:
        """Make a lock that no thread holds."""
        # From `_thread`: libraries replace the locks in `threading` by ones that are not held by
        # threads.
        self._turn: Any = RLock()

    def wrap(self, function: Callable[..., _Result]) -> Callable[..., _Result]:
        """A function that calls another one when its turn has come.

        Args:
            function: What to call.
        """
        turn = self._turn

        def call(*args: Any) -> _Result:
            if _careful:
                with self.hold():
                    return function(*args)
            # Only this statement takes and releases the lock without a gap between two instructions
            # of Python. In a gap, the exception of a signal handler would leave the lock taken.
            with turn:
                return function(*args)

        return call

    @contextmanager
    def hold(self, timeout: Optional[float] = None) -> Iterator[None]:
        """Wait for the turn and keep it inside of the block.

        Args:
            timeout: How many seconds to wait; None for as long as it takes.

        Raises:
            WasmtimeError: The time is up, or the thread that has the turn waits for a store that
                this thread is inside of.
        """
        self._announce()
        try:
            if timeout is not None or _DEAF:
                self._wait(timeout)
            with self._turn:
                yield
        finally:
            _waiting.pop(get_ident(), None)

    def _wait(self, timeout: Optional[float]) -> None:
        """Wait until the lock is free. Another thread may still be the next to take it."""
        end = math.inf if timeout is None else time.monotonic() + timeout
        while not self._turn.acquire(timeout=max(min(end - time.monotonic(), _SLICE), 0.0)):
            if time.monotonic() >= end:
                raise WasmtimeError(
                    f"the store has been in use by another thread for {timeout:g} seconds"
                )
        self._turn.release()

    def _announce(self) -> None:
        """Note what this thread is going to wait for, if it holds what others may wait for."""
        # Only one call is in the block: where a `with` block is left from its middle, CPython 3.13
        # may attribute a signal's exception to the code behind the block, and keep the lock.
        with _guard:
            self._announce_guarded()

    def _announce_guarded(self) -> None:
        held = [lock for lock in list(_locks.values()) if lock._turn._is_owned()]
        if not held or self in held:
            return
        if _closes_circle(self, held):
            raise WasmtimeError(
                "this thread would wait for ever: it is inside of a WebAssembly module whose store "
                "the thread that it would wait for is waiting for"
            )
        _waiting[get_ident()] = self, held

    def _forked(self) -> None:
        """Release the lock in a forked child if a thread holds it that does not exist there."""
        if not self._turn._is_owned():
            self._turn._at_fork_reinit()


def lock_of(store: Store) -> StoreLock:
    """The one lock for a store.

    Args:
        store: The store.
    """
    global _careful
    with _guard:
        lock = _locks.get(store)
        if lock is None:
            lock = _locks[store] = StoreLock()
            _careful = _careful or len(_locks) > 1
    return lock


def _closes_circle(wanted: StoreLock, held: list[StoreLock]) -> bool:
    """Whether the thread that holds `wanted` waits, perhaps through others, for one of `held`."""
    seen: list[StoreLock] = []
    while wanted not in seen:
        seen.append(wanted)
        for next_wanted, theirs in _waiting.values():
            if wanted in theirs:
                wanted = next_wanted
                break
        if wanted in held:
            return True
    return False


def _after_fork() -> None:
    global _guard
    _guard = allocate_lock()
    _waiting.clear()
    for lock in list(_locks.values()):
        lock._forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
