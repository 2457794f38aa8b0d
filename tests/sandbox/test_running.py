"""
Programs that run while their host does something else: on threads and in event loops.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
import time
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any, Callable

import anyio
import pytest
import wasi_programs

from wasmtime.sandbox import Program, Reason, ResourceLimits, SandboxError

from . import guests
from .test_event_loops import LOOPS

#: Longer than any test takes: what ends earlier was ended.
LONG = ResourceLimits(timeout=300)
#: More than a pipe has room for.
MUCH = b"x" * (300 << 10)

#: Asks its host, and prints nothing.
ASKING = """
(module (import "env" "ask" (func $ask (param i32) (result i32)))
  (func (export "_start") (if (i32.ne (call $ask (i32.const 4)) (i32.const 8)) (then unreachable))))
"""

#: Asks its host again and again, for ever.
ASKING_ON = """
(module (import "env" "ask" (func $ask (param i32) (result i32)))
  (func (export "_start") (loop $again (drop (call $ask (i32.const 4))) (br $again))))
"""


@pytest.mark.parametrize("isolation", guests.TIERS)
def test_output_is_iterated_in_a_loop(isolation: Any) -> None:
    program = Program(guests.HELLO, isolation=isolation)

    async def main() -> None:
        async with program.start() as running:
            chunks = [chunk async for chunk in running]
            result = await running.wait_async()
            with pytest.raises(SandboxError):
                await running.wait_async(check=True)
        assert chunks == [("stdout", b"hello"), ("stderr", b"oh")]
        assert (result.exit_code, result.text) == (3, "hello")

    asyncio.run(main())


@pytest.mark.parametrize("isolation", guests.TIERS)
def test_a_conversation_in_a_loop(isolation: Any) -> None:
    program = Program(wasi_programs.CAT, isolation=isolation, limits=LONG)

    async def main() -> None:
        async with program.start() as running:
            for line in (b"one", b"two"):
                await running.write_async(line)
                heard = b""
                while heard != line:
                    stream, data = await running.__anext__()
                    assert stream == "stdout"
                    heard += data
            running.close_input()
            assert [chunk async for chunk in running] == []
            assert (await running.wait_async(check=True)).text == "onetwo"

    asyncio.run(main())


@LOOPS
def test_writing_waits_for_room_and_the_loop_goes_on(run: Any) -> None:
    program = Program(wasi_programs.CAT, limits=LONG.replace(output=None))

    async def main() -> None:
        heard = bytearray()
        async with program.start() as running, anyio.create_task_group() as tasks:

            async def read() -> None:
                async for _, data in running:
                    heard.extend(data)

            tasks.start_soon(read)
            await running.write_async(MUCH)
            running.close_input()
        assert bytes(heard) == MUCH

    run(main)


@LOOPS
@pytest.mark.parametrize("text", [guests.SPIN, guests.SLEEP], ids=["spinning", "sleeping"])
def test_leaving_the_block_ends_the_program(run: Any, text: str) -> None:
    program = Program(text, limits=LONG)

    async def main() -> Any:
        with anyio.move_on_after(0.05):
            async with program.start() as running:
                async for _ in running:
                    pass
        assert running.is_over
        return running.wait()

    assert run(main).reason is Reason.CANCELLED


@LOOPS
def test_cancelling_the_wait_ends_the_program_and_its_timeout_does_not(run: Any) -> None:
    running = Program(guests.SLEEP, limits=LONG).start()

    async def main() -> None:
        with pytest.raises(TimeoutError, match="has not ended"):
            await running.wait_async(0.01)
        assert not running.is_over
        with anyio.move_on_after(0.05) as scope:
            await running.wait_async()
        assert scope.cancel_called

    run(main)
    assert running.wait().reason is Reason.CANCELLED


@pytest.mark.slow
def test_cancelling_the_wait_ends_a_worker() -> None:
    running = Program(guests.SPIN, isolation="process", limits=LONG).start()

    async def main() -> None:
        task = asyncio.ensure_future(running.wait_async())
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert running.wait().reason is Reason.CANCELLED


def test_cancelling_a_read_leaves_the_program_running() -> None:
    program = Program(wasi_programs.CAT, limits=LONG)

    async def main() -> None:
        async with program.start() as running:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(running.__anext__(), 0.02)
            await running.write_async("still here")
            assert await running.__anext__() == ("stdout", b"still here")

    asyncio.run(main())


def test_several_wait_for_one_program() -> None:
    running = Program(wasi_programs.CAT, limits=LONG).start()
    results = []
    thread = threading.Thread(target=lambda: results.append(running.wait()))
    thread.start()

    async def main() -> None:
        waits = [asyncio.ensure_future(running.wait_async()) for _ in range(3)]
        await asyncio.sleep(0.01)
        running.close_input()
        results.extend(await asyncio.gather(*waits))

    asyncio.run(main())
    thread.join()
    assert [result.exit_code for result in results] == [0] * 4


@pytest.mark.parametrize("isolation", guests.TIERS)
def test_a_program_whose_output_nobody_reads_waits_until_its_time_is_up(isolation: Any) -> None:
    limits = ResourceLimits(timeout=0.2, output=None)
    running = Program(guests.FLOOD, isolation=isolation, limits=limits).start()
    deadline = time.monotonic() + 60
    while not running.is_over and time.monotonic() < deadline:
        time.sleep(0.01)
    assert running.is_over
    assert sum(len(data) for _, data in running) < 4 << 20
    assert running.wait().reason is Reason.TIMEOUT


@LOOPS
def test_coroutines_of_the_host_serve_a_program_that_was_started_in_their_loop(run: Any) -> None:
    where = []
    name: contextvars.ContextVar[str] = contextvars.ContextVar("name", default="nobody")

    async def ask(number: int) -> int:
        await anyio.sleep(0)
        where.append((threading.current_thread(), name.get()))
        return number * 2

    async def lines() -> AsyncIterator[bytes]:
        for line in (b"one", b"two"):
            await anyio.sleep(0)
            yield line

    async def main() -> str:
        name.set("somebody")
        async with Program(ASKING, functions={"ask": ask}).start() as running:
            assert (await running.wait_async(check=True)).ok
        async with Program(wasi_programs.CAT).start(stdin=lines()) as running:
            return (await running.wait_async()).text

    assert run(main) == "onetwo"
    assert where == [(threading.current_thread(), "somebody")]


def test_a_host_function_may_cancel_the_program_that_called_it() -> None:
    started: list[Any] = []
    ready = threading.Event()

    def ask(number: int) -> int:
        ready.wait(60)
        started[0].cancel()
        return number * 2

    with Program(ASKING_ON, functions={"ask": ask}, limits=LONG).start() as running:
        started.append(running)
        ready.set()
        assert running.wait(60).reason is Reason.CANCELLED


def test_what_is_written_reaches_no_other_file_when_the_program_ends(tmp_path: Path) -> None:
    # The descriptor of the input is free again then, and another file's next.
    running = Program(guests.SLEEP, limits=LONG).start()
    failures = []

    def write() -> None:
        try:
            running.write(MUCH)
        except BrokenPipeError as error:
            failures.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    time.sleep(0.05)  # it waits for room
    running.cancel()
    files = [os.open(tmp_path / str(number), os.O_CREAT | os.O_WRONLY) for number in range(20)]
    thread.join(60)
    for file in files:
        assert os.fstat(file).st_size == 0
        os.close(file)
    assert len(failures) == 1


@LOOPS
def test_writing_to_what_does_not_read_ends_with_it(run: Any) -> None:
    program = Program(guests.SPIN, limits=ResourceLimits(timeout=0.15))

    async def main() -> None:
        async with program.start() as running:
            with pytest.raises(BrokenPipeError):
                await running.write_async(MUCH)
            with pytest.raises(BrokenPipeError, match="has ended"):
                running.write("more")

    run(main)


def test_there_is_nothing_to_write_to_beside_an_input_of_ones_own() -> None:
    with Program(wasi_programs.CAT).start(stdin="mine") as running:
        with pytest.raises(ValueError, match="started with stdin="):
            running.write("yours")
        assert running.wait().text == "mine"


def drop(begin: Callable[[], Awaitable[Any]]) -> None:
    """
    Begin a coroutine in a loop that closes without having ended it.
    """
    coroutine: Any = begin()
    loop = asyncio.new_event_loop()
    try:

        async def main() -> None:
            coroutine.send(None)
            await asyncio.sleep(0.05)

        loop.run_until_complete(main())
    finally:
        loop.close()
    coroutine.close()


def test_a_coroutine_that_is_dropped_ends_its_program() -> None:
    running = Program(guests.SPIN, limits=LONG).start()
    drop(running.wait_async)
    assert running.wait(60).reason is Reason.CANCELLED


@pytest.mark.parametrize("isolation", guests.TIERS)
def test_a_run_that_is_dropped_ends_its_guest(isolation: Any) -> None:
    asked = 0

    def ask(number: int) -> int:
        nonlocal asked
        asked += 1
        return number

    program = Program(ASKING_ON, functions={"ask": ask}, limits=LONG, isolation=isolation)
    drop(program.run_async)
    deadline, before = time.monotonic() + 60, -1
    while asked != before and time.monotonic() < deadline:
        before = asked
        time.sleep(0.1)
    assert asked == before
