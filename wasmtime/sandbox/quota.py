"""Quotas of directories, watched by a thread while a guest runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Protocol

from .collecting import disk_usage
from .directory import Preopen
from .reasons import Reason

__all__ = ["watching"]

#: Seconds between two looks, and how much longer than the looking itself takes.
_INTERVAL, _FACTOR = 0.02, 5


class Stoppable(Protocol):
    """What has a guest that can be stopped."""

    def stop(self, reason: Reason) -> None:
        """End the guest, from any thread."""


@contextmanager
def watching(guest: Stoppable, preopens: Sequence[Preopen]) -> Iterator[None]:
    """Stop a guest when one of its directories exceeds its quota."""
    watched = [preopen for preopen in preopens if preopen.quota is not None]
    if not watched:
        yield
        return
    over = threading.Event()
    watcher = threading.Thread(
        target=_watch, args=(guest, watched, over), name="quota", daemon=True
    )
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _watch(guest: Stoppable, watched: list[Preopen], over: threading.Event) -> None:
    wait = _INTERVAL
    while not over.wait(wait):
        began = monotonic()
        if any(_exceeds(preopen) for preopen in watched):
            guest.stop(Reason.DISK_LIMIT)
        wait = max(_INTERVAL, _FACTOR * (monotonic() - began))


def _exceeds(preopen: Preopen) -> bool:
    assert preopen.quota is not None
    return disk_usage(preopen.host, preopen.quota) > preopen.quota
