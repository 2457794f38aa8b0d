"""
Guests that roam: what computes for long is polled on other threads, beside the loop.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, Callable

import pytest
import trio
from support import posix, run_in_subprocess

from wasmtime import InterruptTrap, TimeoutTrap, WasmtimeError, _event_loops

from .guests import Guest, Guests

#: Counts down, which takes long, asks the host, and counts down again.
COUNTING = """
(module
  (import "host" "ask" (func $ask (param i32) (result i32)))
  (import "host" "swap" (func $swap (param externref) (result externref)))
  (func $count (local i64)
    (local.set 0 (i64.const 100_000_000))
    (loop (br_if 0 (i64.ne (i64.const 0) (local.tee 0 (i64.sub (local.get 0) (i64.const 1)))))))
  (func (export "run") (param i32) (result i32)
    (call $count) (drop (call $ask (local.get 0))) (call $count)
    (call $ask (local.get 0))))
"""


@pytest.fixture
def polls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """
    The polls on other threads, and what the tests add.
    """
    noted: list[str] = []
    run = _event_loops._computing.run

    def noting(work: Callable[[], None]) -> None:
        noted.append("away")
        run(work)

    monkeypatch.setattr(_event_loops._computing, "run", noting)
    return noted


async def roaming(guests: Guests, *args: Any) -> Guest:
    made = await guests.make(*args)
    made.store._roams = True
    return made


async def closed(store: Any) -> None:
    """Wait until the last poll of a call that was cancelled is over, and close the store."""
    for _ in range(2000):
        try:
            store.close()
        except WasmtimeError:
            await asyncio.sleep(0.01)
        else:
            return
    pytest.fail("the guest was not stopped")


def counting() -> Guests:
    from wasmtime import Module

    guests = Guests()
    guests.module = Module(guests.engine, COUNTING)
    return guests


FRAMEWORKS: list[Any] = [
    lambda main: asyncio.run(main()),
    pytest.param(lambda main: trio.run(main), id="trio"),
]


@pytest.mark.parametrize("run", FRAMEWORKS)
def test_what_computes_is_polled_elsewhere_and_the_host_is_called_here(
    polls: list[str], run: Callable[[Callable[[], Coroutine[Any, Any, None]]], None]
) -> None:
    async def ask(n: int) -> int:
        assert threading.current_thread() is threading.main_thread()
        polls.append("ask")
        return n + 1

    async def main() -> None:
        guest = await roaming(counting(), ask)
        assert await guest.start("run", 1) == 2

    run(main)
    stretches = "".join(polls).replace("away", ".").split("ask")
    assert len(stretches) == 3
    assert stretches[0].startswith(".")
    assert stretches[1].startswith(".")
    assert stretches[2] == ""


def test_what_is_over_soon_stays_with_its_loop(guests: Guests, polls: list[str]) -> None:
    async def main() -> None:
        guest = await roaming(guests, lambda n: n)
        for n in range(100):
            assert await guest.start("run", n) == n

    asyncio.run(main())
    assert len(polls) < 50  # none, but where the system stopped this thread in the middle


def test_a_synchronous_call_of_a_store_that_roams_stays(polls: list[str]) -> None:
    async def main() -> None:
        guest = await roaming(counting(), lambda n: n)
        assert guest.now("run", 5) == 5

    asyncio.run(main())
    assert polls == []


def test_a_cancelled_guest_ends_elsewhere(guests: Guests, polls: list[str]) -> None:
    async def main() -> None:
        guest = await roaming(guests)
        task = asyncio.ensure_future(guest.start("spin"))
        while len(polls) < 3:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await closed(guest.store)

    asyncio.run(main())


def test_time_and_interrupts_reach_a_guest_elsewhere(guests: Guests, polls: list[str]) -> None:
    async def main() -> None:
        guest = await roaming(guests)
        guest.store.set_timeout(0.1)
        with pytest.raises(TimeoutTrap):
            await guest.start("spin")
        guest.store.set_timeout(None)
        task = asyncio.ensure_future(guest.start("spin"))
        del polls[:]
        while not polls:
            await asyncio.sleep(0.001)
        guest.store.interrupt()
        with pytest.raises(InterruptTrap):
            await task

    asyncio.run(main())


def test_guests_that_compute_share_a_few_threads(guests: Guests) -> None:
    async def main() -> None:
        spinning = [await roaming(guests) for _ in range(20)]
        for guest in spinning:
            guest.store.set_timeout(0.2)
        ends = await asyncio.gather(
            *(guest.start("spin") for guest in spinning), return_exceptions=True
        )
        assert {type(end) for end in ends} == {TimeoutTrap}
        assert _event_loops._computing._count <= _event_loops.processors()

    asyncio.run(main())


@posix
def test_a_forked_child_has_threads_of_its_own() -> None:
    run_in_subprocess(
        """
import asyncio
engine = Engine()
module = Module(engine, '(module (func (export "spin") (loop (br 0))))')
async def main():
    store = Store(engine)
    store._roams = True
    instance = await Linker(engine).instantiate_async(store, module)
    store.set_timeout(0.05)
    try:
        await instance.exports(store)["spin"].call_async(store)
    except TimeoutTrap:
        return
    raise AssertionError
asyncio.run(main())
pid = os.fork()
if pid == 0:
    try:
        asyncio.run(main())
    except BaseException:
        os._exit(1)
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
""",
        preamble="from wasmtime import *\nimport os\n",
    ).check()
