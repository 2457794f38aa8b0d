"""
Which guests of coroutines need a thread, and which their event loop runs: asyncio's and trio's.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Awaitable
from typing import Any, Callable

import anyio
import pytest
import trio
import wasi_programs

from wasmtime import _event_loops
from wasmtime.component import Ok
from wasmtime.sandbox import Directory, Plugin, Program, Reason, ResourceLimits, SandboxError

from . import guests
from .test_plugins import ASK

Main = Callable[[], Awaitable[Any]]


def on_asyncio(main: Main) -> Any:
    return asyncio.run(_awaited(main))


async def _awaited(main: Main) -> Any:
    return await main()


def on_trio(main: Main) -> Any:
    return trio.run(main)


LOOPS = pytest.mark.parametrize("run", [on_asyncio, on_trio])


async def double(number: int) -> int:
    await anyio.sleep(0.01)
    return number * 2


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """
    The work that went to other threads: what may block, and what computes.
    """
    noted: list[str] = []
    for name in ("_blocking", "_computing"):
        workers = getattr(_event_loops, name)

        def run(work: Any, name: str = name, begin: Any = workers.run) -> None:
            noted.append(name)
            begin(work)

        monkeypatch.setattr(workers, "run", run)
    return noted


@LOOPS
def test_a_guest_that_cannot_block_needs_no_thread(run: Any, threads: list[str]) -> None:
    async def main() -> None:
        assert (await Program(guests.HELLO).run_async()).text == "hello"
        assert await Plugin(guests.ADD).call_async("add", 5, 3) == 8
        assert await Plugin(guests.text_plugin()).call_async("same", "héllo") == "héllo"
        assert await Plugin(ASK, functions={"ask": double}).call_async("run", 4) == 8
        cat = Program(wasi_programs.CAT)
        assert (await cat.run_async(stdin="in")).text == "in"

    run(main)
    assert "_blocking" not in threads


@LOOPS
def test_a_function_that_may_block_gets_a_thread(run: Any, threads: list[str]) -> None:
    here = []

    def ask(number: int) -> int:
        here.append(threading.current_thread() is threading.main_thread())
        return number * 2

    async def main() -> None:
        assert await Plugin(ASK, functions={"ask": ask}).call_async("run", 4) == 8

    run(main)
    assert here == [False]
    assert threads == ["_blocking"]


@LOOPS
def test_components_and_workers_have_threads_and_await_functions(
    run: Any, threads: list[str]
) -> None:
    seen = []

    async def ask(n: int) -> Any:
        seen.append(threading.current_thread() is threading.main_thread())
        await anyio.sleep(0)
        return Ok(None)

    async def main() -> None:
        plugin = Plugin(guests.ASKING, functions={"ask": ask})
        await plugin.call_async("run", 1)

    run(main)
    assert seen == [True]
    assert threads == ["_blocking"]


@pytest.mark.slow
@LOOPS
def test_a_worker_asks_the_loop(run: Any) -> None:
    async def main() -> None:
        plugin = Plugin(ASK, functions={"ask": double}, isolation="process")
        assert await plugin.call_async("run", 4) == 8

    run(main)


async def _lines() -> AsyncIterator[bytes]:
    for line in (b"one\n", b"two\n"):
        await anyio.sleep(0.001)
        yield line


@LOOPS
def test_asynchronous_input_is_read_in_the_loop(run: Any, threads: list[str]) -> None:
    async def main() -> str:
        return (await Program(wasi_programs.CAT).run_async(stdin=_lines())).text

    assert run(main) == "one\ntwo\n"
    assert threads == []


@LOOPS
@pytest.mark.parametrize("isolation", guests.TIERS)
def test_asynchronous_input_is_read_beside_what_may_block(run: Any, isolation: Any) -> None:
    program = Program(
        wasi_programs.CAT.replace("(module", '(module (import "env" "f" (func))', 1),
        functions={"f": lambda: None},
        isolation=isolation,
    )

    async def main() -> str:
        return (await program.run_async(stdin=_lines())).text

    assert run(main) == "one\ntwo\n"


@pytest.mark.parametrize("isolation", guests.TIERS)
@pytest.mark.parametrize("given", ["text", 1 << 50, None])
def test_input_that_is_none_is_the_fault_of_the_host(isolation: Any, given: Any) -> None:
    program = Program(wasi_programs.CAT, isolation=isolation)

    async def pieces() -> AsyncIterator[Any]:
        yield given

    async def main() -> Any:
        return await program.run_async(stdin=pieces())

    for result in (asyncio.run(main()), program.run(stdin=lambda size: given)):
        assert result.reason is Reason.HOST_ERROR
        assert "standard input must be bytes" in result.message


@LOOPS
def test_what_asynchronous_input_raises_is_the_cause(run: Any) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        raise KeyError("tea")

    async def main() -> None:
        with pytest.raises(SandboxError) as caught:
            await Program(wasi_programs.CAT).run_async(stdin=pieces(), check=True)
        assert caught.value.result.reason is Reason.HOST_ERROR
        assert isinstance(caught.value.__cause__, KeyError)

    run(main)


@LOOPS
@pytest.mark.parametrize("isolation", guests.TIERS)
def test_time_ends_a_guest_that_waits_for_asynchronous_input(run: Any, isolation: Any) -> None:
    limits = ResourceLimits(timeout=0.1)
    program = Program(wasi_programs.CAT, limits=limits, isolation=isolation)
    ended = []

    async def never() -> AsyncIterator[bytes]:
        try:
            await anyio.sleep(300)
        finally:
            ended.append(True)
        yield b""

    async def main() -> Any:
        return await program.run_async(stdin=never())

    assert run(main).reason is Reason.TIMEOUT
    assert ended == [True]


@LOOPS
@pytest.mark.parametrize("text", [guests.SPIN, guests.SLEEP], ids=["spinning", "sleeping"])
def test_time_ends_a_guest_of_a_loop(run: Any, text: str) -> None:
    program = Program(text, limits=ResourceLimits(timeout=0.1))

    async def main() -> Any:
        return await program.run_async()

    result = run(main)
    assert result.reason is Reason.TIMEOUT
    assert 0.1 <= result.duration < 5


@LOOPS
@pytest.mark.parametrize("blocking", [False, True], ids=["awaited", "in a thread"])
def test_time_ends_what_a_guest_awaits(run: Any, blocking: bool) -> None:
    ended = []

    async def ask(n: int) -> int:
        try:
            await anyio.sleep(60)
        finally:
            ended.append(n)
        return n

    functions: dict[str, Any] = {"ask": ask}
    text = ASK
    if blocking:  # another function might
        functions["log"] = lambda: None
        text = ASK.replace("(module", '(module (import "env" "log" (func))', 1)
    plugin = Plugin(text, functions=functions, limits=ResourceLimits(timeout=0.1))

    async def main() -> Any:
        result = await plugin.try_call_async("run", 3)
        for _ in range(500):
            if ended:
                break
            await anyio.sleep(0.01)
        return result

    assert run(main).reason is Reason.TIMEOUT
    assert ended == [3]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("text", [guests.SPIN, guests.SLEEP], ids=["spinning", "sleeping"])
def test_cancelling_stops_a_guest_of_a_loop_and_leaves_nothing(backend: str, text: str) -> None:
    # anyio cancels again and again until the scope is left.
    program = Program(text, limits=ResourceLimits(timeout=60), dirs={"/": Directory.temporary()})
    before = set(os.listdir(tempfile.gettempdir()))

    async def main() -> None:
        with anyio.move_on_after(0.05) as scope:
            await program.run_async()
        assert scope.cancel_called
        assert set(os.listdir(tempfile.gettempdir())) <= before | _others()

    def _others() -> set[str]:
        return {
            name for name in os.listdir(tempfile.gettempdir()) if not name.startswith("wasmtime-")
        }

    anyio.run(main, backend=backend)


def test_an_allocator_that_spins_does_not_hold_the_loop() -> None:
    # The guest's allocator is called for the result of a function of the host.
    text = """
    (module
      (import "env" "name" (func $name (result i64)))
      (memory (export "memory") 1)
      (func (export "malloc") (param i32) (result i32) (loop (br 0)) unreachable)
      (func (export "run") (drop (call $name))))
    """

    async def name() -> str:
        return "tea"

    plugin = Plugin(text, functions={"name": name}, limits=ResourceLimits(timeout=0.2))
    beats = []

    async def main() -> Any:
        task = asyncio.ensure_future(plugin.try_call_async("run"))
        while not task.done():
            beats.append(time.monotonic())
            await asyncio.sleep(0.005)
        return await task

    assert asyncio.run(main()).reason is Reason.TIMEOUT
    assert len(beats) >= 3


def test_text_is_given_and_returned_by_functions_that_are_awaited() -> None:
    text = guests.text_plugin(
        body="""
        (func (export "run") (param i32 i32) (result i64)
          (call $shout (local.get 0) (local.get 1)))
        """
    ).replace(
        "(module", '(module (import "env" "shout" (func $shout (param i32 i32) (result i64)))'
    )

    async def shout(what: str) -> str:
        await asyncio.sleep(0)
        return what.upper()

    plugin = Plugin(text, functions={"shout": shout})
    assert asyncio.run(plugin.call_async("run", "tea")) == "TEA"


def test_what_an_awaited_function_raises_is_the_cause() -> None:
    async def ask(number: int) -> int:
        await asyncio.sleep(0)
        raise KeyError("tea")

    plugin = Plugin(ASK, functions={"ask": ask})
    with pytest.raises(SandboxError) as caught:
        asyncio.run(plugin.call_async("run", 1))
    assert caught.value.result.reason is Reason.HOST_ERROR
    assert isinstance(caught.value.__cause__, KeyError)


def test_hundreds_of_guests_wait_without_threads(threads: list[str]) -> None:
    arrived = 0

    async def main() -> list[Any]:
        everybody = asyncio.Event()

        async def ask(number: int) -> int:
            nonlocal arrived
            arrived += 1
            if arrived == 300:
                everybody.set()
            await everybody.wait()
            return number

        plugin = Plugin(ASK, functions={"ask": ask}, limits=ResourceLimits(timeout=60))
        return await asyncio.gather(*(plugin.call_async("run", n) for n in range(300)))

    assert asyncio.run(main()) == list(range(300))
    assert "_blocking" not in threads
