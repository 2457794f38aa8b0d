"""Turns at a store, for several threads that share one without knowing of each other.

A store serves one thread at a time, and refuses a second one. Where nobody can be expected to
arrange for turns, as with functions that were imported from WebAssembly files, the second thread
waits here.

A thread that waits for one store while it is inside of another could wait for ever: for a thread
that waits for the first. Whoever would close such a circle is refused. What else a thread inside
may wait for (a lock, another thread) is not known here.
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

from ._error import WasmtimeError

if TYPE_CHECKING:
    from ._store import Store

__all__ = ["StoreLock", "lock_of"]

_Result = TypeVar("_Result")

#: Whether a thread that waits for a lock does not hear Ctrl-C. It looks up from time to time then.
_DEAF = sys.platform == "win32"
#: The longest single wait, in seconds.
_SLICE = 0.05 if _DEAF else 3600.0

#: Protects what follows.
_guard = allocate_lock()
_locks: weakref.WeakKeyDictionary[Store, StoreLock] = weakref.WeakKeyDictionary()
#: For each thread that waits inside of a store: what for, and what it holds.
_waiting: dict[int, tuple[StoreLock, list[StoreLock]]] = {}

#: Whether waiting needs more than a lock. Read without the guard: a thread that waited before the
#: second lock was made is inside of no other store.
_careful = _DEAF


class StoreLock:
    """The right to be inside of a store; a thread that has it can take it again."""

    __slots__ = ("__weakref__", "_turn")

    def __init__(self) -> None:
        # Python's own, whatever takes the place of those in `threading`: it belongs to a thread.
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
            # Nothing but this statement takes and returns the lock without a gap between two
            # instructions of Python, where a signal's exception would leave it taken for ever.
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
        """Wait until the turn can be had, which is then at hand for all but certain."""
        end = math.inf if timeout is None else time.monotonic() + timeout
        while not self._turn.acquire(timeout=max(min(end - time.monotonic(), _SLICE), 0.0)):
            if time.monotonic() >= end:
                raise WasmtimeError(
                    f"the store has been in use by another thread for {timeout:g} seconds"
                )
        self._turn.release()

    def _announce(self) -> None:
        """Say what this thread is going to wait for, unless it holds nothing that others wait for."""
        # One call and no more: where a `with` block is left from its middle, CPython 3.13 may take
        # a signal's exception for what comes after it, and keep the lock.
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
        """In a forked child: forget a thread that does not exist here."""
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
    """Whether who has `wanted` waits, directly or through others, for one of `held`."""
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
