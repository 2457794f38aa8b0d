"""
WASI preview 2 in asynchronous calls: its functions block, and the event loop does not.
"""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any, Callable

import pytest
from support import needs

from wasmtime import Config, Engine, Store, WasiConfig, WasmtimeError, _event_loops
from wasmtime.component import (
    Component,
    ComponentInterruptTrap,
    ComponentTimeoutTrap,
    Linker,
)

from .asynchronous import closed

#: `sleep` sleeps for so many nanoseconds, then asks the host; `spin` never ends.
SLEEPER = """(component
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $t (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $t))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer 1 $pollable (type $t))
    (export "pollable" (type $tt (eq $t)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $tt))))))
  (import "ask" (func $ask (result u32)))
  (core func $subscribe (canon lower (func $clock "subscribe-duration")))
  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core func $drop (canon resource.drop $pollable))
  (core func $ask (canon lower (func $ask)))
  (core module $m
    (import "" "subscribe" (func $subscribe (param i64) (result i32)))
    (import "" "block" (func $block (param i32)))
    (import "" "drop" (func $drop (param i32)))
    (import "" "ask" (func $ask (result i32)))
    (func (export "sleep") (param i64) (result i32) (local $pollable i32)
      (local.set $pollable (call $subscribe (local.get 0)))
      (call $block (local.get $pollable))
      (call $drop (local.get $pollable))
      (call $ask))
    (func (export "spin") (loop (br 0))))
  (core instance $m (instantiate $m (with "" (instance
    (export "subscribe" (func $subscribe)) (export "block" (func $block))
    (export "drop" (func $drop)) (export "ask" (func $ask))))))
  (func (export "sleep") (param "time" u64) (result u32) (canon lift (core func $m "sleep")))
  (func (export "spin") (canon lift (core func $m "spin"))))"""

MILLISECOND = 1_000_000


@pytest.fixture(scope="module")
def component() -> Component:
    return Component(Engine(Config()), SLEEPER)


async def sleeper(component: Component) -> tuple[Store, Any]:
    """
    An instance in a store of its own, and its functions.
    """

    async def ask() -> int:
        assert threading.current_thread() is threading.main_thread()
        return 42

    linker, store = Linker(component.engine), Store(component.engine)
    linker.add_wasip2()
    linker.define_imports(component, {"ask": ask})
    store.set_wasi(WasiConfig())
    return store, (await linker.instantiate_async(store, component)).exports(store)


def test_guests_sleep_beside_each_other_and_the_loop_runs(component: Component) -> None:
    async def main() -> None:
        guests = [await sleeper(component) for _ in range(50)]
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        ticking = asyncio.create_task(tick())
        started = time.monotonic()
        calls = [exports.sleep.call_async(store, 200 * MILLISECOND) for store, exports in guests]
        assert await asyncio.gather(*calls) == [42] * 50
        assert time.monotonic() - started < 9  # one after the other: 10 s
        assert ticks >= 3
        ticking.cancel()

    asyncio.run(main())


def test_a_cancelled_sleep_leaves_a_store_that_refuses(component: Component) -> None:
    """
    Until the guest wakes up, on the other thread; then it is over, and can be closed.
    """

    async def main() -> None:
        store, exports = await sleeper(component)
        task = asyncio.create_task(exports.sleep.call_async(store, 300 * MILLISECOND))
        await asyncio.sleep(0.05)
        with pytest.raises(WasmtimeError, match="in use"):
            await exports.sleep.call_async(store, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(WasmtimeError, match="in use"):
            store.close()
        with pytest.raises(WasmtimeError, match="in use"):
            await exports.sleep.call_async(store, 1)
        await closed(store)

    asyncio.run(main())


def test_the_other_thread_may_begin_at_once(
    component: Component, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    And wait for its turn before the one that started it has gone on.
    """

    def run(work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    monkeypatch.setattr(_event_loops._blocking, "run", run)

    async def main() -> None:
        store, exports = await sleeper(component)
        await asyncio.wait_for(exports.sleep.call_async(store, MILLISECOND), 60)
        store.close()

    asyncio.run(main())


def test_a_timeout_ends_a_guest_that_spins_on_another_thread(component: Component) -> None:
    async def main() -> None:
        store, exports = await sleeper(component)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(exports.spin.call_async(store), 0.05)
        await closed(store)

    asyncio.run(main())


def test_the_loop_ends_while_a_guest_sleeps(component: Component) -> None:
    async def main() -> None:
        store, exports = await sleeper(component)
        tasks.append(asyncio.create_task(exports.sleep.call_async(store, 100 * MILLISECOND)))
        await asyncio.sleep(0.02)

    tasks: list[Any] = []
    asyncio.run(main())
    assert tasks[0].cancelled()


@pytest.mark.parametrize("function", ["sleep", "spin"])
def test_a_guest_on_another_thread_ends_with_its_time(component: Component, function: str) -> None:
    async def main() -> None:
        store, exports = await sleeper(component)
        store.set_timeout(0.05)
        arguments = [500 * MILLISECOND] if function == "sleep" else []
        with pytest.raises(ComponentTimeoutTrap):
            await getattr(exports, function).call_async(store, *arguments)
        await closed(store)

    asyncio.run(main())


def test_a_guest_that_sleeps_on_another_thread_can_be_interrupted(component: Component) -> None:
    async def main() -> None:
        store, exports = await sleeper(component)
        started = time.monotonic()
        asyncio.get_running_loop().call_later(0.05, store.interrupt)
        with pytest.raises(ComponentInterruptTrap):
            await exports.sleep.call_async(store, 500 * MILLISECOND)
        assert time.monotonic() - started >= 0.05
        await closed(store)

    asyncio.run(main())


def test_a_sleep_within_the_time_goes_on(component: Component) -> None:
    async def main() -> None:
        store, exports = await sleeper(component)
        store.set_timeout(100)
        assert await exports.sleep.call_async(store, MILLISECOND) == 42
        assert await exports.sleep.call_async(store, MILLISECOND) == 42

    asyncio.run(main())


@needs("trio")
def test_a_guest_on_another_thread_ends_with_its_time_under_trio(component: Component) -> None:
    import trio

    async def main() -> None:
        store, exports = await sleeper(component)
        store.set_timeout(0.05)
        with pytest.raises(ComponentTimeoutTrap):
            await exports.sleep.call_async(store, 300 * MILLISECOND)
        other, its = await sleeper(component)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(interrupt, other)
            with pytest.raises(ComponentInterruptTrap):
                await its.sleep.call_async(other, 300 * MILLISECOND)

    async def interrupt(store: Store) -> None:
        await trio.sleep(0.05)
        store.interrupt()

    trio.run(main)


@needs("trio")
def test_the_same_under_trio(component: Component) -> None:
    import trio

    async def main() -> None:
        store, exports = await sleeper(component)
        assert await exports.sleep.call_async(store, 10 * MILLISECOND) == 42
        with trio.move_on_after(0.05) as scope:
            await exports.sleep.call_async(store, 200 * MILLISECOND)
        assert scope.cancelled_caught

    trio.run(main)
