"""
What blocks has an asynchronous form, in which the event loop goes on and cancelling stops guests.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from pathlib import Path
from typing import Any

import anyio
import pytest
from support import started_threads

from wasmtime.sandbox import (
    Exports,
    Interpreter,
    InterpreterSession,
    Plugin,
    PluginSession,
    Pool,
    Program,
    Reason,
    ResourceLimits,
    Running,
    SandboxError,
    Snapshot,
    engines,
    run_async,
)

from . import guests
from .test_event_loops import LOOPS

LONG = ResourceLimits(timeout=300)

#: What needs no asynchronous form: it returns at once.
AT_ONCE = {
    "submit",  # gives a future; `run_async` is the same, and gives the result
    "submit_nowait",
    "metrics",
    "run_here",  # of the pool's own threads, as the next
    "enqueue",
    "start",  # gives a `Running`, which has them
    "bind",
    "explain",
    "cancel",
    "close_input",
    "write",  # of `Running`, as the next
    # They make an interpreter, and compile it, as constructors do.
    "python",
    "micropython",
    "javascript",
}

#: A library that takes its time to begin, and counts what it is told.
LATE = """
(module
  (import "env" "ask" (func $ask (param i32) (result i32)))
  (func (export "_initialize") (loop $again (br_if $again (call $ask (i32.const 1)))))
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
"""


@pytest.mark.parametrize(
    "kind",
    [Program, Plugin, PluginSession, Interpreter, InterpreterSession, Pool, Running, Snapshot],
    ids=lambda kind: kind.__name__,
)
def test_everything_has_an_asynchronous_form(kind: Any) -> None:
    names = {name for name, value in inspect.getmembers(kind, callable) if name[0] != "_"}
    lacking = {name for name in names - AT_ONCE if not name.endswith("_async")}
    assert {name for name in lacking if f"{name}_async" not in names} == set()
    for name in names:
        plain, twin = getattr(kind, name), getattr(kind, f"{name}_async", None)
        if twin is not None:  # and it takes the same
            parameters = list(inspect.signature(plain).parameters.values())
            assert list(inspect.signature(twin).parameters.values()) == parameters


@LOOPS
def test_sessions_and_snapshots(run: Any, tmp_path: Path) -> None:
    plugin = Plugin(guests.COUNTER)

    async def main() -> None:
        async with await plugin.open_async() as session:
            assert await session.call_async("next") == 1
            snapshot = await session.snapshot_async()
        assert session.ended is Reason.EXITED
        await snapshot.save_async(tmp_path / "state")
        loaded = await Snapshot.load_async(tmp_path / "state", plugin)
        async with await loaded.open_async() as copy:
            assert await copy.call_async("next") == 2
        assert await Plugin(await snapshot.bake_async()).call_async("next") == 2

    run(main)


@LOOPS
def test_sessions_of_interpreters(run: Any) -> None:
    echo = Interpreter(guests.text_plugin(), Exports("same"))

    async def main() -> None:
        assert (await echo.run_async("a")).value == "a"
        async with await echo.open_async() as session:
            assert (await session.eval_async("b")).value == "b"
            copy = await (await session.snapshot_async()).open_async()
            assert (await copy.eval_async("c")).value == "c"
            await copy.cancel_async()
            assert not (await copy.eval_async("d")).ok

    run(main)


@LOOPS
def test_a_session_that_is_being_opened_is_stopped(run: Any) -> None:
    asked = []

    async def ask(number: int) -> int:
        asked.append(number)
        await anyio.sleep(0.001)
        return 1  # for ever

    plugin = Plugin(LATE, functions={"ask": ask}, limits=LONG)

    async def main() -> None:
        with anyio.move_on_after(0.1) as scope:
            await plugin.open_async()
        assert scope.cancelled_caught

    run(main)
    assert asked


@LOOPS
def test_coroutines_of_the_host_serve_a_session_that_is_opened(run: Any) -> None:
    async def ask(number: int) -> int:
        await anyio.sleep(0)
        return 0

    async def main() -> int:
        async with await Plugin(LATE, functions={"ask": ask}).open_async() as session:
            return int(await session.call_async("add", 5, 3))

    assert run(main) == 8


@LOOPS
def test_maps_are_iterated(run: Any) -> None:
    plugin, program = Plugin(guests.ADD), Program(guests.HELLO)
    echo = Interpreter(guests.text_plugin(), Exports("same"))

    async def main() -> None:
        numbers = [(n, 1) for n in range(20)]
        sums = [result.value async for result in plugin.map_async("add", numbers)]
        assert sums == list(range(1, 21))
        assert [r.text async for r in program.map_async([(), ("x",)])] == ["hello", "hello"]
        assert [r.value async for r in echo.map_async(["a", "b"])] == ["a", "b"]
        with pytest.raises(TypeError):
            async for _ in program.map_async(5):  # type: ignore[arg-type]
                pass

    run(main)


@LOOPS
def test_a_map_that_is_cancelled_stops_its_guests(run: Any) -> None:
    program = Program(guests.SPIN, limits=LONG)
    before = started_threads()

    async def main() -> None:
        with anyio.move_on_after(0.1) as scope:
            async for _ in program.map_async([()] * 4):
                pass
        assert scope.cancelled_caught

    run(main)
    deadline = time.monotonic() + 60
    while started_threads() - before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not started_threads() - before


def test_a_program_that_was_not_made_before() -> None:
    assert asyncio.run(run_async(guests.HELLO)).text == "hello"
    with pytest.raises(SandboxError):
        asyncio.run(run_async(guests.HELLO, check=True))


@LOOPS
def test_compiling_that_is_cancelled_is_not_waited_for(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, begun = threading.Event(), threading.Event()

    def compile() -> Any:
        begun.set()
        release.wait(300)
        raise OSError("late")

    monkeypatch.setattr(engines, "_compiler", lambda *_: compile)

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(run_async, f"(module (func ${run.__name__}))")
            while not begun.is_set():
                await anyio.sleep(0.005)
            group.cancel_scope.cancel()

    try:
        run(main)
    finally:
        release.set()


@LOOPS
def test_pools_are_mapped_over_and_closed(run: Any) -> None:
    async def main() -> None:
        async with Pool(Plugin(guests.ADD), workers=2) as pool:
            numbers = [(n, 1) for n in range(20)]
            sums = [result.value async for result in pool.map_async(numbers, name="add")]
            assert sums == list(range(1, 21))
            future = pool.submit("add", 5, 3)
        assert future.result().value == 8  # leaving the block waits for it
        with pytest.raises(SandboxError, match="closed"):
            pool.submit("add", 5, 3)

    run(main)


@LOOPS
def test_a_map_of_a_pool_that_is_cancelled_stops_its_guests_alone(run: Any) -> None:
    async def main() -> None:
        async with Pool(Program(guests.SPIN, limits=LONG), workers=2) as pool:
            with anyio.move_on_after(0.1) as scope:
                async for _ in pool.map_async([()] * 4):
                    pass
            assert scope.cancelled_caught
            other = pool.submit()
            with anyio.move_on_after(0.1) as scope:
                await pool.close_async()  # which waits for it, until it is cancelled
            assert scope.cancelled_caught
            assert other.result().reason is Reason.CANCELLED

    run(main)


def test_a_pool_serves_its_loop_while_it_closes() -> None:
    async def ask(number: int) -> int:
        await asyncio.sleep(0.01)
        return 0

    async def main() -> int:
        async with Pool(Plugin(LATE, functions={"ask": ask}), workers=1) as pool:
            running = asyncio.ensure_future(pool.run_async("add", 5, 3))
            await asyncio.sleep(0)
        return int((await running).value)

    assert asyncio.run(main()) == 8
