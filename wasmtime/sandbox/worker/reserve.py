"""The workers of one pool, which nobody else uses.

A reserve starts a worker for each guest that runs at the same time, and keeps it for the next one.
A worker that died is not missed: the guest that comes next starts another. It owns the workers that
wait, and those that are given back when it is closed; it closes both.
"""

from __future__ import annotations

import os
import threading
import weakref
from time import monotonic

from ..settings import Settings
from ..source import Code, refusal
from . import pool
from .channel import ChannelClosed, Expired, Malformed

__all__ = ["Reserve"]

#: Seconds that a worker may take to make its instances.
_PATIENCE = 60.0

_reserves: weakref.WeakSet[Reserve] = weakref.WeakSet()


class Reserve:
    """Workers that have compiled one code, held to one set of limits.

    Args:
        code: The code.
        settings: What they are held to.
        is_program: Whether the code is to be a program.
        warm: How many instances wait in each of them.

    Attributes:
        lost: How many workers died, or were killed with their guest.
        warm: How many instances wait in each of them.
    """

    def __init__(self, code: Code, settings: Settings, is_program: bool, warm: int) -> None:
        self._code, self._settings, self._is_program = code, settings, is_program
        self._key = pool.key_of(code, settings)
        self._lock = threading.Lock()
        self._idle: list[pool.Loaded] = []
        self._is_closed = False
        self.lost, self.warm = 0, warm
        _reserves.add(self)

    def __len__(self) -> int:
        return len(self._idle)

    def start(self) -> None:
        """Start one more worker, and let it wait.

        Raises:
            SandboxError: It cannot be started, the code is not accepted, or so many instances do
                not fit into it.
        """
        self.give_back(self._start())

    def borrow(self, code: Code, settings: Settings, is_program: bool) -> pool.Loaded:
        """A worker for a guest, as `pool.borrow`; one that is not of this code is not kept."""
        if pool.key_of(code, settings) != self._key:
            return pool.borrow(code, settings, is_program)
        with self._lock:
            while self._idle:
                loaded = self._idle.pop()
                if loaded.worker.is_alive:
                    return loaded
                loaded.worker.close()
        return self._start()

    def give_back(self, loaded: pool.Loaded) -> None:
        """Let a worker wait, or close it if it is dead or the reserve is closed."""
        if loaded.key != self._key:
            pool.give_back(loaded)
            return
        with self._lock:
            if loaded.worker.is_alive and not self._is_closed:
                self._idle.append(loaded)
                return
            self.lost += not loaded.worker.is_alive
        loaded.worker.close()

    def close(self) -> None:
        """End the workers that wait."""
        with self._lock:
            self._is_closed = True
            waiting, self._idle = self._idle, []
        for loaded in waiting:
            loaded.worker.close()

    def _start(self) -> pool.Loaded:
        loaded = pool.start(self._code, self._settings, self._is_program)
        if self.warm:
            try:
                self._make_ahead(loaded)
            except BaseException:
                loaded.worker.close()
                raise
        return loaded

    def _make_ahead(self, loaded: pool.Loaded) -> None:
        """Have a worker make instances that wait for their run."""
        worker, deadline = loaded.worker, monotonic() + _PATIENCE
        try:
            worker.send({"op": "make_ahead", "count": self.warm}, (), deadline)
            answer, _ = worker.receive(1 << 16, deadline)
        except (ChannelClosed, Expired, Malformed) as error:
            worker.kill()
            raise refusal(
                "RuntimeError", f"a worker that made instances ahead was lost: {worker.death}"
            ) from error
        why = answer.get("why")
        if why is not None:
            raise refusal("ValueError", f"warm={self.warm}: {str(why)[:2000]}")

    def _forget(self) -> None:
        """Give the parent's workers up, in a forked child."""
        self._lock = threading.Lock()
        self._idle = []


def _after_fork() -> None:
    for reserve in list(_reserves):
        reserve._forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
