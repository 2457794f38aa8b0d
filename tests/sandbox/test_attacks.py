"""
Attacks on a host that waits in an event loop, or follows the output of what runs.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import wasi_programs
from wasi_programs import program

from wasmtime.sandbox import Directory, Program, Reason, ResourceLimits, running

from . import guests
from .test_async import beating
from .test_running import ASKING_ON

SHORT = ResourceLimits(timeout=0.2)

#: Writes one byte to each stream in turn, for ever.
TINY_WRITES = program(
    "fd_write",
    """
    (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 1))
    (loop $again
      (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))
      (drop (call $fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 16)))
      (br $again))
    """,
)

#: Reads its input ten bytes at a time, for ever.
READ_ON = program(
    "fd_read",
    """
    (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 10))
    (loop $again
      (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16)))
      (br $again))
    """,
)

#: Asks for the time until then, which is over, for ever.
POLL_ON = program(
    "poll_oneoff",
    """
    (i32.store (i32.const 16) (i32.const 1))
    (loop $again
      (drop (call $poll_oneoff (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))
      (br $again))
    """,
)

#: Sleeps for 2**64 - 1 nanoseconds.
SLEEP_LONGEST = program(
    "poll_oneoff",
    """
    (i64.store (i32.const 24) (i64.const -1)) (i32.store (i32.const 16) (i32.const 1))
    (drop (call $poll_oneoff (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))
    """,
)

#: Fills a hundred megabytes at a time, each of which is a single instruction.
FILL = """
(module (memory 1600) (func (export "_start")
  (loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 100000000)) (br 0))))
"""

#: Makes directories in each other, 2000 deep: no path of the system is so long.
DEEP = program(
    "path_create_directory path_open fd_close proc_exit",
    """
    (local.set $n (i32.const 2000))
    (i32.store (i32.const 100) (i32.const 3))
    (loop $again
      (if (call $path_create_directory (i32.load (i32.const 100)) (i32.const 64) (i32.const 1))
        (then (call $proc_exit (i32.const 9))))
      (if (call $path_open (i32.load (i32.const 100)) (i32.const 0) (i32.const 64) (i32.const 1)
            (i32.const 2) (i64.const 0x6000) (i64.const 0x6000) (i32.const 0) (i32.const 104))
        (then (call $proc_exit (i32.const 8))))
      (if (i32.ne (i32.load (i32.const 100)) (i32.const 3))
        (then (drop (call $fd_close (i32.load (i32.const 100))))))
      (i32.store (i32.const 100) (i32.load (i32.const 104)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    """,
    '(data (i32.const 64) "d")',
)


async def at_once(number: int) -> int:
    return number


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield b"0123456789"


@pytest.mark.parametrize(
    ("text", "stdin"),
    [
        (ASKING_ON, None),
        (READ_ON, endless),
        (POLL_ON, None),
        (TINY_WRITES, None),
        (FILL, None),
        (SLEEP_LONGEST, None),
    ],
    ids=["host calls", "input", "polls", "writes", "long instructions", "the longest sleep"],
)
def test_the_loop_goes_on_and_time_ends_what_never_waits(text: str, stdin: Any) -> None:
    functions = {"ask": at_once} if text is ASKING_ON else {}
    program = Program(text, functions=functions, limits=SHORT)
    source = None if stdin is None else stdin()
    result, beats = beating(lambda: program.run_async(stdin=source))
    assert result.reason is Reason.TIMEOUT
    assert beats >= 3


@pytest.mark.parametrize("isolation", guests.TIERS)
def test_tiny_writes_that_nobody_reads_take_no_more_memory_than_large_ones(isolation: Any) -> None:
    limits = ResourceLimits(timeout=0.3, output=None)
    with Program(TINY_WRITES, isolation=isolation, limits=limits).start() as started:
        deadline = time.monotonic() + 60
        while not started.is_over and time.monotonic() < deadline:
            time.sleep(0.01)
        pieces = list(started)
        assert started.wait().reason is Reason.TIMEOUT
    assert len(pieces) * running._PIECE <= 2 * running._MOST_UNREAD


@pytest.mark.slow
@pytest.mark.parametrize("isolation", guests.BOTH_TIERS)
def test_directories_deeper_than_any_path_are_removed(isolation: Any) -> None:
    before = set(os.listdir(tempfile.gettempdir()))
    directory = Directory.temporary(collect=["*", "**/*"], quota=None)
    result = Program(DEEP, isolation=isolation, limits=ResourceLimits(timeout=300)).run(
        dirs={"/": directory}
    )
    assert (result.reason, result.exit_code) == (Reason.EXITED, 0)
    left = set(os.listdir(tempfile.gettempdir())) - before
    assert not [name for name in left if name.startswith("wasmtime-")]


def test_guests_that_were_awaited_leave_nothing_in_the_loop() -> None:
    limits = ResourceLimits(timeout=0.05)

    async def main() -> set[Any]:
        for text in (guests.SPIN, guests.SLEEP):
            await Program(text, limits=limits).run_async()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(Program(wasi_programs.CAT).run_async(stdin=_never()), 0.05)
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert asyncio.run(main()) == set()


async def _never() -> AsyncIterator[bytes]:
    await asyncio.sleep(300)
    yield b""
