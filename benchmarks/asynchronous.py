"""Asynchronous calls, beside what the event loop itself costs.

Each figure has a twin without a guest: the same coroutine, or the same timers. Each measurement
runs in a loop of asyncio's of its own.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Coroutine
from typing import Any, Callable

from .rows import Loop, instantiate, row

#: So many guests wait for a timer at once.
MANY = 10_000

#: So many guests compute at once, and so often the timer beside them goes off.
SPINNERS, BEATS = 1_000, 100

#: So many guests are looked at for the memory of one.
MEASURED = 10_000

ADD = '(func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))'

CALLER = """
(import "host" "ask" (func $ask (param i32) (result i32)))
(memory 1)
(func (export "ask") (param i32) (loop
  (drop (call $ask (i32.const 1)))
  (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
(func (export "spin") (loop (br 0)))
"""


def run(main: Callable[[int], Coroutine[Any, Any, float]]) -> Loop:
    """Seconds that a coroutine measures, in a loop of its own."""
    return lambda count: asyncio.run(main(count))


async def guest(ask: Any, engine: Any = None) -> tuple[Any, Any]:
    """A store, and the exports of an instance in it."""
    from wasmtime import Engine, FuncType, Linker, Module, Store, ValType

    engine = engine or Engine()
    linker = Linker(engine)
    linker.define_func("host", "ask", FuncType([ValType.I32], [ValType.I32]), ask)
    store = Store(engine)
    instance = await linker.instantiate_async(store, Module(engine, CALLER))
    return store, instance.exports(store)


def at_once(n: int) -> int:
    """A plain host function."""
    return n


async def at_once_too(n: int) -> int:
    """A coroutine function that does not wait."""
    return n


async def after_a_turn(n: int) -> int:
    """A coroutine function that waits for a turn of the loop."""
    await asyncio.sleep(0)
    return n


@row(
    "asynchronous.add",
    "`await f.call_async(store, 5, 3)`, i32 + i32 → i32",
    ours_only=True,
    note="nothing waits",
)
def add() -> Loop:
    async def main(count: int) -> float:
        store, exports = instantiate(ADD)
        f = exports["add"]
        f.param_arity()
        started = time.perf_counter()
        for _ in range(count):
            await f.call_async(store, 5, 3)
        return time.perf_counter() - started

    return run(main)


@row("asynchronous.add_now", "`f(store, 5, 3)` in a store without Python functions", ours_only=True)
def add_now() -> Loop:
    async def main(count: int) -> float:
        store, exports = instantiate(ADD)
        f = exports["add"]
        started = time.perf_counter()
        for _ in range(count):
            f(store, 5, 3)
        return time.perf_counter() - started

    return run(main)


def asking(ask: Any) -> Loop:
    """A guest that calls a host function many times in one call."""

    async def main(count: int) -> float:
        store, exports = await guest(ask)
        call = exports["ask"].call_async(store, count)
        started = time.perf_counter()
        await call
        return time.perf_counter() - started

    return run(main)


@row("asynchronous.host", "host call of a plain function, in an asynchronous call", ours_only=True)
def host() -> Loop:
    return asking(at_once)


@row("asynchronous.host_async", "the same of an `async def` that does not wait", ours_only=True)
def host_async() -> Loop:
    return asking(at_once_too)


@row("asynchronous.host_waits", "the same of one that awaits `sleep(0)`", ours_only=True)
def host_waits() -> Loop:
    return asking(after_a_turn)


@row("asynchronous.loop", "awaiting `sleep(0)` in Python, without a guest", ours_only=True)
def loop_alone() -> Loop:
    async def main(count: int) -> float:
        started = time.perf_counter()
        for _ in range(count):
            await after_a_turn(1)
        return time.perf_counter() - started

    return run(main)


def pooled(count: int, ask: Any) -> tuple[Any, Any]:
    """An engine that has room for so many guests, and the guest, ready to be instantiated."""
    from wasmtime import (
        Config,
        Engine,
        FuncType,
        Linker,
        Module,
        PoolingAllocationConfig,
        ValType,
    )

    config = Config()
    config.memory_reservation = 65536
    config.memory_guard_size = 0
    config.allocation_strategy = PoolingAllocationConfig(
        total_stacks=count,
        total_core_instances=count,
        total_memories=count,
        max_memory_size=65536,
    )
    engine = Engine(config)
    linker = Linker(engine)
    linker.define_func("host", "ask", FuncType([ValType.I32], [ValType.I32]), ask)
    return engine, linker.instantiate_pre(Module(engine, CALLER))


@row("asynchronous.timers_alone", f"{MANY:,} timers of 10 ms, without guests", ours_only=True)
def timers_alone() -> Loop:
    async def main(count: int) -> float:
        started = time.perf_counter()
        for _ in range(count):
            await asyncio.gather(*(asyncio.sleep(0.01) for _ in range(MANY)))
        return time.perf_counter() - started

    return run(main)


@row(
    "asynchronous.timers",
    f"{MANY:,} guests, each made and waiting for a timer of 10 ms",
    ours_only=True,
    baseline="asynchronous.timers_alone",
    limit=4,
    note="a pool of instances",
)
def timers() -> Loop:
    from wasmtime import Store

    async def wait(n: int) -> int:
        await asyncio.sleep(0.01)
        return n

    engine, pre = pooled(MANY, wait)

    async def one() -> None:
        with Store(engine) as store:
            instance = await pre.instantiate_async(store)
            await instance.exports(store)["ask"].call_async(store, 1)

    async def main(count: int) -> float:
        started = time.perf_counter()
        for _ in range(count):
            await asyncio.gather(*(one() for _ in range(MANY)))
        return time.perf_counter() - started

    return run(main)


def resident() -> int:
    """Bytes of memory that this process has."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@row(
    "asynchronous.memory",
    "memory of a guest that waits, with its store",
    unit="B",
    ours_only=True,
    note="no page of its own memory is touched",
)
def memory() -> Loop:
    from wasmtime import Store

    async def wait(n: int) -> int:
        await asyncio.sleep(60)
        return n

    async def main() -> float:
        engine, pre = pooled(MEASURED, wait)
        before, calls = resident(), []
        for _ in range(MEASURED):
            store = Store(engine)
            instance = await pre.instantiate_async(store)
            calls.append(instance.exports(store)["ask"].call_async(store, 1))
            calls[-1].send(None)
        used = resident() - before
        for call in calls:
            call.close()
        return used / MEASURED

    used = asyncio.run(main())  # once: what is freed is not given back to the system
    return lambda count: used * count


@row(
    "asynchronous.heartbeat",
    f"how late a timer of 10 ms is beside {SPINNERS:,} guests that compute",
    ours_only=True,
    values=2,
    note="99 % of the time at most",
)
def heartbeat() -> Loop:
    async def main(count: int) -> float:
        from wasmtime import Engine

        engine = Engine()
        guests = [await guest(at_once, engine) for _ in range(SPINNERS)]
        tasks = [
            asyncio.create_task(exports["spin"].call_async(store)) for store, exports in guests
        ]
        await asyncio.sleep(0.05)
        late = []
        for _ in range(BEATS):
            started = time.perf_counter()
            await asyncio.sleep(0.01)
            late.append(time.perf_counter() - started - 0.01)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return sorted(late)[BEATS * 99 // 100 - 1] * count

    return run(main)


@row("asynchronous.timeout", "how late `asyncio.wait_for` ends a guest in a loop", ours_only=True)
def timeout() -> Loop:
    async def main(count: int) -> float:
        store, exports = await guest(at_once)
        late = 0.0
        for _ in range(count):
            started = time.perf_counter()
            try:
                await asyncio.wait_for(exports["spin"].call_async(store), 0.01)
            except asyncio.TimeoutError:
                late += time.perf_counter() - started - 0.01
        return late

    return run(main)


@row("asynchronous.sigint", "Ctrl-C ends `asyncio.run()` with a guest in a loop", ours_only=True)
def sigint() -> Loop:
    async def spin(sent: list[float]) -> None:
        store, exports = await guest(at_once)
        threading.Timer(0.02, interrupt, [sent]).start()
        await exports["spin"].call_async(store)

    def interrupt(sent: list[float]) -> None:
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    def loop(count: int) -> float:
        late = 0.0
        for _ in range(count):
            sent: list[float] = []
            try:
                asyncio.run(spin(sent))
            except KeyboardInterrupt:
                late += time.perf_counter() - sent[0]
        return late

    return loop
