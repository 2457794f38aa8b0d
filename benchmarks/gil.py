"""Calls beside other threads: who has Python's lock, and for how long others wait for it.

Each row with the default has one with ``release_gil=True`` beside it, which gives the lock away at
each call. Rows with two threads say something on a machine with two idle cores only.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Optional

from .rows import Loop, Make, row
from .threads import MODULE

#: Durations of a guest call, in microseconds.
SHORT, LONG, MILLISECOND, LONGEST = 0.05, 100, 1_000, 20_000
SECONDS = 0.2
#: How often one thread and two take turns for a ratio.
TURNS = 3
#: How many values there are in a round.
VALUES = 3

Release = Optional[bool]
Call = Callable[[], object]


def guest(microseconds: float, release: Release) -> Call:
    """A call that computes for so long, in a store of its own."""
    from functools import partial

    from wasmtime import Instance, Module, Store

    store = Store()
    work: Any = Instance(store, Module(store.engine, MODULE), []).exports(store)["work"]
    bound = partial(work, store) if release is None else work.bind(store, release_gil=release)
    many = 1_000_000
    taken = min(elapsed(lambda: bound(many)) for _ in range(5))
    call = partial(bound, max(1, int(many * microseconds * 1e-6 / taken)))
    for _ in range(200):
        call()
    return call


def elapsed(call: Call) -> float:
    """Seconds that a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


@contextmanager
def beside(run: Callable[[list[int]], object]) -> Iterator[None]:
    """Run a function in a thread meanwhile; it ends when its argument is no longer empty."""
    stop: list[int] = []
    thread = threading.Thread(target=run, args=[stop])
    thread.start()
    try:
        yield
    finally:
        stop.append(1)
        thread.join()


def beside_a_busy_thread(microseconds: float, release: Release) -> Loop:
    """How long a call takes while another thread computes in Python."""
    call = guest(microseconds, release)

    def compute(stop: list[int]) -> None:
        while not stop:
            pass

    def loop(count: int) -> float:
        with beside(compute):
            calls, start = 0, time.perf_counter()
            while time.perf_counter() - start < SECONDS:
                for _ in range(100 if microseconds < 1 else 1):
                    call()
                    calls += 1
            return count * (time.perf_counter() - start) / calls

    return loop


def in_two_threads(microseconds: float, release: Release) -> Loop:
    """How much more two threads do than one."""
    calls = [guest(microseconds, release) for _ in range(2)]
    many = int(SECONDS * 1e6 / microseconds)

    def run(call: Call) -> None:
        for _ in range(many):
            call()

    def both() -> None:
        threads = [threading.Thread(target=run, args=[call]) for call in calls]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def loop(count: int) -> float:
        # In turns, so that what disturbs them does not disturb one alone.
        turns = [(elapsed(lambda: run(calls[0])), elapsed(both)) for _ in range(TURNS)]
        one, two = (min(taken) for taken in zip(*turns))
        return float(count * 2 * one / two)

    return loop


def wake_up(microseconds: float, release: Release) -> Loop:
    """How late another thread wakes up during the calls: 99 of 100 times no later."""
    call = guest(microseconds, release)
    nap = 0.003

    def loop(count: int) -> float:
        late: list[float] = []

        def sleep(stop: list[int]) -> None:
            while not stop:
                late.append(elapsed(lambda: time.sleep(nap)) - nap)

        with beside(sleep):
            start = time.perf_counter()
            while time.perf_counter() - start < 2 * SECONDS:
                call()
        late.sort()
        return count * late[len(late) * 99 // 100]

    return loop


def with_and_without(
    key: str,
    title: str,
    measure: Callable[[float, Release], Loop],
    microseconds: float,
    **details: Any,
) -> None:
    """Make two rows, one of them with ``release_gil=True``."""

    def make(release: Release) -> Make:
        return lambda: measure(microseconds, release)

    published = measure is beside_a_busy_thread
    row(key, title, ours_only=not published, values=VALUES, **details)(make(None))
    details.pop("limit", None)
    row(f"{key}_given", "the same, `release_gil=True`", ours_only=True, values=VALUES, **details)(
        make(True)
    )


for name, title, microseconds in (
    ("short", "a call of 50 ns", SHORT),
    ("100us", "a call of 100 µs", LONG),
    ("1ms", "a call of 1 ms", MILLISECOND),
):
    with_and_without(
        f"gil.busy_{name}",
        f"{title} beside a thread that computes in Python",
        beside_a_busy_thread,
        microseconds,
    )
for name, title, microseconds in (
    ("100us", "100 µs", LONG),
    ("1ms", "1 ms", MILLISECOND),
    ("20ms", "20 ms", LONGEST),
):
    with_and_without(
        f"gil.two_{name}",
        f"two threads with calls of {title}, in terms of one",
        in_two_threads,
        microseconds,
        unit="ratio",
        limit=1.9,
    )
for name, title, microseconds in (
    ("short", "50 ns", SHORT),
    ("100us", "100 µs", LONG),
    ("20ms", "20 ms", LONGEST),
):
    with_and_without(
        f"gil.wake_{name}",
        f"how late a thread wakes up during calls of {title} (99 of 100 times)",
        wake_up,
        microseconds,
    )
