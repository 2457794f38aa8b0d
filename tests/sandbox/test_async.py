"""
Guests of coroutines: the event loop goes on, and cancelling stops the guest.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

import pytest
import wasi_programs

from wasmtime.sandbox import (
    Interpreter,
    Plugin,
    Program,
    Reason,
    ResourceLimits,
    SandboxError,
)

from . import guests
from .test_interpreters import fetch_interpreter
from .test_plugins import ASK


def beating(work: Callable[[], Awaitable[Any]]) -> tuple[Any, int]:
    """
    Run a coroutine beside a heartbeat; what it returned, and how often the heart beat.
    """

    async def main() -> tuple[Any, int]:
        beats = 0

        async def beat() -> None:
            nonlocal beats
            while True:
                await asyncio.sleep(0.005)
                beats += 1

        heart = asyncio.ensure_future(beat())
        try:
            return await work(), beats
        finally:
            heart.cancel()

    return asyncio.run(main())


@pytest.mark.parametrize("isolation", guests.TIERS)
def test_a_program_is_awaited(isolation: Any) -> None:
    program = Program(guests.HELLO, isolation=isolation)
    result = asyncio.run(program.run_async())
    assert (result.exit_code, result.text) == (3, "hello")
    with pytest.raises(SandboxError):
        asyncio.run(program.run_async(check=True))


@pytest.mark.parametrize("isolation", guests.TIERS)
def test_the_loop_goes_on_while_a_guest_spins(isolation: Any) -> None:
    program = Program(guests.SPIN, isolation=isolation, limits=ResourceLimits(timeout=0.2))
    result, beats = beating(program.run_async)
    assert result.reason is Reason.TIMEOUT
    assert beats >= 3


@pytest.mark.parametrize(
    ("text", "isolation"),
    [
        (guests.SPIN, "thread"),
        (guests.SLEEP, "thread"),
        (guests.SPIN, "process"),
        pytest.param(guests.SLEEP, "process", marks=pytest.mark.slow),
    ],
    ids=["spinning", "sleeping", "spinning in a worker", "sleeping in a worker"],
)
def test_cancelling_stops_the_guest(isolation: Any, text: str) -> None:
    program = Program(text, isolation=isolation, limits=ResourceLimits(timeout=60))

    async def main() -> float:
        task = asyncio.ensure_future(program.run_async())
        await asyncio.sleep(0.1)
        began = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return time.monotonic() - began

    assert asyncio.run(main()) < 5


def test_guests_run_at_once() -> None:
    program = Program(guests.SLEEP, limits=ResourceLimits(timeout=0.2))

    async def main() -> list[Any]:
        return await asyncio.gather(*(program.run_async() for _ in range(10)))

    began = time.monotonic()
    results = asyncio.run(main())
    assert {result.reason for result in results} == {Reason.TIMEOUT}
    assert time.monotonic() - began < 1.5


@pytest.mark.parametrize("isolation", guests.TIERS)
def test_functions_of_the_host_may_be_async(isolation: Any) -> None:
    async def ask(number: int) -> int:
        await asyncio.sleep(0.01)
        return number * 2

    async def main() -> int:
        return int(
            await Plugin(ASK, functions={"ask": ask}, isolation=isolation).call_async("run", 4)
        )

    assert asyncio.run(main()) == 8
    with pytest.raises(SandboxError, match="use run_async or call_async"):
        Plugin(ASK, functions={"ask": ask}, isolation=isolation).call("run", 4)


def test_context_variables_reach_functions_of_the_host() -> None:
    name: contextvars.ContextVar[str] = contextvars.ContextVar("name", default="nobody")
    seen = []

    def ask(number: int) -> int:
        seen.append(name.get())
        return number

    async def main() -> None:
        name.set("somebody")
        await Plugin(ASK, functions={"ask": ask}).call_async("run", 1)

    asyncio.run(main())
    assert seen == ["somebody"]


@pytest.mark.parametrize("isolation", guests.TIERS)
def test_a_guest_that_waits_for_the_host_is_stopped(isolation: Any) -> None:
    cancelled = []

    async def ask(number: int) -> int:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(number)
            raise
        return number

    limits = ResourceLimits(timeout=0.15)
    plugin = Plugin(ASK, functions={"ask": ask}, isolation=isolation, limits=limits)

    async def main() -> None:
        result = await plugin.try_call_async("run", 1)
        assert result.reason is Reason.TIMEOUT
        task = asyncio.ensure_future(plugin.try_call_async("run", 2))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0.01)

    asyncio.run(main())
    assert cancelled == [1, 2]


async def _lines() -> AsyncIterator[bytes]:
    for line in (b"one\n", b"two\n"):
        await asyncio.sleep(0.005)
        yield line


@pytest.mark.parametrize("isolation", guests.TIERS)
def test_standard_input_may_be_asynchronous(isolation: Any) -> None:
    program = Program(wasi_programs.CAT, isolation=isolation)

    async def main() -> list[str]:
        reader = asyncio.StreamReader()
        reader.feed_data(b"three")
        reader.feed_eof()
        return [
            (await program.run_async(stdin=source)).text for source in (_lines(), reader, "four")
        ]

    assert asyncio.run(main()) == ["one\ntwo\n", "three", "four"]


def test_sessions_and_protocols_are_awaited() -> None:
    class Counter(Protocol):
        async def next(self) -> int: ...

    async def main() -> None:
        with Plugin(guests.COUNTER).open() as session:
            assert await session.call_async("next") == 1
            assert await session.bind(Counter).next() == 2
            calls = [session.try_call_async("spin"), session.try_call_async("next")]
            first = asyncio.ensure_future(calls[0])
            await asyncio.sleep(0.02)
            refused = await calls[1]
            assert "is in use" in refused.message
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            assert session.ended is Reason.CANCELLED

    asyncio.run(main())


@pytest.mark.network
def test_snippets_are_awaited() -> None:
    path = fetch_interpreter("javascript")

    async def main() -> None:
        interpreter = Interpreter(path)
        assert (await interpreter.run_async("print(1 + 1)")).text == "2\n"
        with interpreter.open() as session:
            assert (await session.eval_async("var x = 1")).ok
            assert (await session.eval_async("x + 1")).value == 2

    asyncio.run(main())
