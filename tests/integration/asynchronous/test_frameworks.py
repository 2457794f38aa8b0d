"""
One object runs under every event loop.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import nullcontext
from typing import Any

import pytest
from support import repeatedly

from wasmtime import InterruptTrap, Store, TimeoutTrap

from .guests import Guests, until_waits


def test_trio(guests: Guests) -> None:
    trio = pytest.importorskip("trio")
    values = []

    async def ask(n: int) -> int:
        await trio.sleep(0.001)
        values.append(n)
        return n

    async def main() -> None:
        guest = await guests.make(ask)
        assert await guest.start("run", 1) == 1
        async with trio.open_nursery() as nursery:
            nursery.start_soon(guest.exports.get_func("run").call_async, guest.store, 2)
        spinners = [await guests.make() for _ in range(5)]
        with trio.move_on_after(0.02) as scope:
            async with trio.open_nursery() as nursery:
                for spinner in spinners:
                    nursery.start_soon(spinner.exports.get_func("spin").call_async, spinner.store)
        assert scope.cancelled_caught
        assert await spinners[0].start("add", 1, 1) == 2
        with trio.move_on_after(0.01) as scope:
            await (await guests.make(lambda n: trio.sleep(10))).start("run", 1)
        assert scope.cancelled_caught

    trio.run(main)
    assert values == [1, 2]


@pytest.mark.parametrize("end", ["timeout", "interrupt", "thread"])
def test_the_end_of_a_guest_reaches_its_host_function_under_trio(guests: Guests, end: str) -> None:
    trio = pytest.importorskip("trio")
    events = []

    async def ask(n: int) -> int:
        try:
            await trio.sleep(60)
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(0.01)
            events.append("cleaned up")
        return n

    async def main() -> None:
        guest = await guests.make(ask)
        if end == "timeout":
            guest.store.set_timeout(0.02)
        async with trio.open_nursery() as nursery:
            if end == "interrupt":
                nursery.start_soon(interrupt, guest.store)
            from_a_thread = repeatedly(guest.store.interrupt) if end == "thread" else nullcontext()
            expected = TimeoutTrap if end == "timeout" else InterruptTrap
            with from_a_thread, pytest.raises(expected):
                await guest.start("run", 1)
        assert events == ["cleaned up"]
        guest.store.set_timeout(None)
        assert await guest.start("add", 1, 1) == 2

    async def interrupt(store: Store) -> None:
        await trio.sleep(0.02)
        store.interrupt()

    trio.run(main)


def test_calls_in_calls_under_trio(guests: Guests) -> None:
    """
    Cancel scopes end in the order in which they began.
    """
    trio = pytest.importorskip("trio")

    async def main() -> None:
        async def ask(n: int) -> int:
            with trio.move_on_after(0.01 if n == 3 else 60) as scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(trio.sleep, 0)
                if n:
                    return 1 + await guest.start("run", n - 1)  # type: ignore[no-any-return]
                await trio.sleep(60)
            assert scope.cancelled_caught
            return 100

        guest = await guests.make(ask)
        assert await guest.start("run", 5) == 102
        assert await guest.start("add", 1, 1) == 2

    trio.run(main)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_anyio(guests: Guests, backend: str) -> None:
    anyio = pytest.importorskip("anyio")
    pytest.importorskip(backend)

    async def ask(n: int) -> int:
        await anyio.sleep(0.001)
        return n

    async def main() -> None:
        guest = await guests.make(ask)
        assert await guest.start("run", 1) == 1
        spinner = await guests.make()
        with anyio.move_on_after(0.02) as scope:
            await spinner.start("spin")
        assert scope.cancel_called
        run = guest.exports.get_func("run").call_async
        results = []

        async def task() -> None:
            results.append(await run(guest.store, 2))

        async with anyio.create_task_group() as group:
            group.start_soon(task)
            if sys.version_info >= (3, 10):  # the last one for 3.9 takes coroutines of Python alone
                other = await guests.make(ask)
                group.start_soon(other.exports.get_func("run").call_async, other.store, 2)
        assert results == [2]

    anyio.run(main, backend=backend)


def test_uvloop(guests: Guests) -> None:
    uvloop = pytest.importorskip("uvloop")

    async def ask(n: int) -> int:
        await asyncio.sleep(0.001)
        return n

    async def main() -> None:
        guest = await guests.make(ask)
        assert await asyncio.gather(
            guest.start("run", 1), (await guests.make(ask)).start("run", 2)
        ) == [1, 2]
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for((await guests.make()).start("spin"), 0.02)

    loop: Any = uvloop.new_event_loop()
    loop.run_until_complete(main())
    loop.close()


def test_one_loop_in_each_thread(guests: Guests) -> None:
    from concurrent.futures import ThreadPoolExecutor

    async def ask(n: int) -> int:
        await asyncio.sleep(0.001)
        return n

    async def main() -> list[int]:
        made = [await guests.make(ask) for _ in range(5)]
        return await asyncio.gather(*(guest.start("run", n) for n, guest in enumerate(made)))

    with ThreadPoolExecutor(4) as pool:
        results = [pool.submit(asyncio.run, main()) for _ in range(8)]
        assert [result.result() for result in results] == [[0, 1, 2, 3, 4]] * 8


def test_another_loop_cannot_step_a_call_that_waits(guests: Guests) -> None:
    asked = []

    async def ask(n: int) -> int:
        asked.append(n)
        await asyncio.sleep(10)
        return n

    async def begin() -> Any:
        guest = await guests.make(ask)
        call = guest.start("run", 1)
        until_waits(call, lambda: asked)
        return guest, call

    guest, call = asyncio.run(begin())
    call.close()
    assert asyncio.run(guest.start("add", 1, 1)) == 2
