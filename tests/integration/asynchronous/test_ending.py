"""
Asynchronous calls that are cancelled, interrupted, or out of time.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import time
from typing import Any
from unittest import mock

import pytest
from support import repeatedly, run_in_subprocess

from wasmtime import Config, Engine, InterruptTrap, TimeoutTrap, Trap

from .guests import Guests, until, until_waits


def test_the_host_function_gets_the_cancellation_and_may_await(guests: Guests) -> None:
    events = []

    async def ask(n: int) -> int:
        try:
            events.append("waits")
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            events.append("cancelled")
            raise
        finally:
            await asyncio.sleep(0)
            events.append("cleaned up")
        return n

    async def main() -> None:
        guest = await guests.make(ask)
        task = asyncio.create_task(guest.start("run", 1))
        await until(lambda: events)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert events == ["waits", "cancelled", "cleaned up"]
        assert guest.now("add", 1, 1) == 2
        assert await guest.start("add", 1, 1) == 2

    asyncio.run(main())


def test_a_host_function_may_go_on_after_a_cancellation(guests: Guests) -> None:
    waiting = []

    async def ask(n: int) -> int:
        try:
            waiting.append(n)
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            return 7
        return n

    async def main() -> None:
        guest = await guests.make(ask)
        task = asyncio.create_task(guest.start("run", 1))
        await until(lambda: waiting)
        task.cancel()
        assert await task == 7

    asyncio.run(main())


def test_a_timeout_ends_a_tight_loop(guests: Guests) -> None:
    async def main() -> None:
        guest = await guests.make()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(guest.start("spin"), 0.02)
        assert await guest.start("add", 1, 1) == 2

    asyncio.run(main())


def test_a_nested_call_is_cancelled_from_the_inside(guests: Guests) -> None:
    ended = []
    waiting = []

    async def main() -> None:
        async def ask(n: int) -> int:
            try:
                if n:
                    return await guest.start("run", n - 1)  # type: ignore[no-any-return]
                waiting.append(n)
                await asyncio.sleep(10)
            finally:
                ended.append(n)
            return n

        guest = await guests.make(ask)
        task = asyncio.create_task(guest.start("run", 3))
        await until(lambda: waiting)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended == [0, 1, 2, 3]
        assert await guest.start("add", 1, 1) == 2

    asyncio.run(main())


def test_an_interrupt_from_another_thread_ends_a_host_function_that_waits(guests: Guests) -> None:
    events = []

    async def ask(n: int) -> int:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            events.append("cancelled")
            raise
        return n

    async def main() -> None:
        guest = await guests.make(ask)
        with repeatedly(guest.store.interrupt), pytest.raises(InterruptTrap):
            await guest.start("run", 1)
        assert events == ["cancelled"]
        assert await guest.start("add", 1, 1) == 2

    asyncio.run(main())


def test_an_interrupt_that_comes_before_the_host_function_waits(guests: Guests) -> None:
    async def ask(n: int) -> int:
        guest.store.interrupt()
        await asyncio.sleep(60)
        return n

    async def main() -> None:
        nonlocal guest
        guest = await guests.make(ask)
        with pytest.raises(InterruptTrap):
            await guest.start("run", 1)
        assert await guest.start("add", 1, 1) == 2

    guest: Any = None
    asyncio.run(main())


@pytest.mark.parametrize("end", ["timeout", "interrupt"])
def test_a_host_function_is_told_once_and_may_wait_while_it_cleans_up(
    guests: Guests, end: str
) -> None:
    events = []

    async def ask(n: int) -> int:
        try:
            await asyncio.sleep(60)
        finally:
            events.append("told")
            await asyncio.sleep(0.05)
            events.append("cleaned up")
        return n

    async def main() -> None:
        guest = await guests.make(ask)
        if end == "timeout":
            guest.store.set_timeout(0.02)
        else:
            asyncio.get_running_loop().call_later(0.02, guest.store.interrupt)
        with pytest.raises(Trap, match=end) as caught:
            await guest.start("run", 1)
        assert isinstance(caught.value, TimeoutTrap if end == "timeout" else InterruptTrap)
        assert events == ["told", "cleaned up"]

    asyncio.run(main())


def test_a_host_function_within_a_nested_call_is_told(guests: Guests) -> None:
    """
    The innermost hears of it first; those around it may clean up, too.
    """
    events = []

    async def ask(n: int) -> int:
        try:
            if n:
                return await guest.start("run", n - 1)  # type: ignore[no-any-return]
            asyncio.get_running_loop().call_soon(guest.store.interrupt)
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.001)
            events.append(n)
        return n

    async def main() -> None:
        nonlocal guest
        guest = await guests.make(ask)
        with pytest.raises(InterruptTrap):
            await guest.start("run", 2)
        assert events == [0, 1, 2]

    guest: Any = None
    asyncio.run(main())


def test_many_waits_of_a_call_share_a_timer(guests: Guests) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        timers = []

        async def ask(n: int) -> int:
            future = loop.create_future()
            loop.call_soon(future.set_result, n)
            timers.append(call.call_count)
            return await future  # type: ignore[no-any-return]

        guest = await guests.make(ask)
        guest.store.set_timeout(60)
        with mock.patch.object(loop, "call_later", wraps=loop.call_later) as call:
            pending = guest.start("many", 50)
            assert await pending == 50
        assert len(timers) == 50
        assert timers[-1] - timers[1] <= 10  # a slow machine's turns make some of their own
        assert timers[-1] >= 1

    asyncio.run(main())


def test_a_timer_does_not_keep_a_call_that_nobody_awaits(guests: Guests) -> None:
    asked, ended = [], []

    async def ask(n: int) -> int:
        try:
            asked.append(n)
            await asyncio.sleep(60)
        finally:
            ended.append(n)
        return n

    async def main() -> None:
        guest = await guests.make(ask)
        guest.store.set_timeout(60)
        call = guest.start("run", 3)
        until_waits(call, lambda: asked)
        del call
        gc.collect()
        assert ended == [3]
        assert guest.now("add", 1, 1) == 2

    asyncio.run(main())


def test_an_interrupt_ends_a_guest_that_computes(guests: Guests) -> None:
    async def main() -> None:
        guest = await guests.make()
        asyncio.get_running_loop().call_later(0.01, guest.store.interrupt)
        with pytest.raises(InterruptTrap):
            await guest.start("spin")
        assert await guest.start("add", 1, 1) == 2

    asyncio.run(main())


@pytest.mark.parametrize("name", ["spin", "run"])
def test_the_time_of_a_store_runs_in_asynchronous_calls(guests: Guests, name: str) -> None:
    async def ask(n: int) -> int:
        await asyncio.sleep(10)
        return n

    async def main() -> None:
        guest = await guests.make(ask)
        guest.store.set_timeout(0.02)
        with pytest.raises(TimeoutTrap):
            await guest.start(name, *([1] if name == "run" else []))
        guest.store.set_timeout(None)
        assert await guest.start("add", 1, 1) == 2

    asyncio.run(main())


def test_epoch_deadlines_end_asynchronous_calls() -> None:
    config = Config()
    config.epoch_interruption = True
    guests = Guests(Engine(config))

    async def main() -> None:
        guest = await guests.make()
        guest.store.set_epoch_deadline(1)
        asyncio.get_running_loop().call_later(0.01, guests.engine.increment_epoch)
        with pytest.raises(Trap, match="interrupt"):
            await guest.start("spin")

    asyncio.run(main())


def test_what_the_end_of_a_loop_leaves(guests: Guests) -> None:
    """
    asyncio.run() cancels what still runs; the store can be used by the next loop.
    """

    async def ask(n: int) -> int:
        await asyncio.sleep(0 if n else 10)
        return n

    async def first() -> object:
        guest = await guests.make(ask)
        task = asyncio.create_task(guest.start("run", 0))
        spinner = asyncio.create_task((await guests.make()).start("spin"))
        await asyncio.sleep(0)
        return guest, task, spinner

    async def second(guest: object) -> None:
        assert await guest.start("run", 5) == 5  # type: ignore[attr-defined]

    guest, *tasks = asyncio.run(first())  # type: ignore[misc]
    assert all(task.cancelled() for task in tasks)
    asyncio.run(second(guest))


def test_spinning_guests_let_timers_run(guests: Guests) -> None:
    async def main() -> None:
        made = [await guests.make() for _ in range(20)]
        tasks = [asyncio.create_task(guest.start("spin")) for guest in made]
        for _ in range(5):
            await asyncio.sleep(0.001)
        begun = time.monotonic()
        await asyncio.sleep(0.01)
        assert time.monotonic() - begun < 5
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())


def test_a_loop_that_is_gone_leaves_no_queue(guests: Guests) -> None:
    """
    Guests that queued in it are not waited for.
    """

    async def spin() -> list[object]:
        made = [await guests.make() for _ in range(5)]
        tasks = [asyncio.ensure_future(guest.start("spin")) for guest in made]
        await asyncio.sleep(0.02)
        return [*tasks]

    async def main() -> None:
        assert await asyncio.wait_for((await guests.make()).start("add", 1, 1), 10) == 2
        tasks = [asyncio.create_task((await guests.make()).start("spin")) for _ in range(5)]
        await asyncio.sleep(0.02)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    loop = asyncio.new_event_loop()
    kept = loop.run_until_complete(spin())
    loop.close()
    asyncio.run(main())
    del kept


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to one process")
def test_ctrl_c_ends_a_loop_with_a_guest_that_computes() -> None:
    ended = run_in_subprocess(
        f"""
import asyncio, os, signal, threading, time
engine = Engine()
module = Module(engine, '(func (export "spin") (loop (br 0)))')
async def main():
    store = Store(engine)
    instance = await Linker(engine).instantiate_async(store, module)
    threading.Timer(0.1, os.kill, (os.getpid(), {signal.SIGINT.value})).start()
    await instance.exports(store)["spin"].call_async(store)
try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted")
"""
    )
    ended.check()
    assert "interrupted" in ended.output
    assert os.getpid()
