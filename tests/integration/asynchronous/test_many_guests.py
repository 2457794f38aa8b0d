"""
More guests than the system has memory mappings for.
"""

from __future__ import annotations

import asyncio
import sys
import time

import pytest
from support import run_in_subprocess

from .guests import Guests


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the number of mappings")
def test_twenty_thousand_guests_end_in_exceptions() -> None:
    run_in_subprocess(
        """
import asyncio
engine = Engine()
module = Module(engine, \'\'\'
    (import "" "f" (func $f)) (memory 1) (func (export "run") (call $f))\'\'\')
linker = Linker(engine)
async def main():
    leave = asyncio.Event()
    async def f():
        await leave.wait()
    linker.define_func("", "f", FuncType([], []), f)
    pre = linker.instantiate_pre(module)
    async def guest():
        store = Store(engine)
        instance = await pre.instantiate_async(store)
        await instance.exports(store)["run"].call_async(store)
    tasks = [asyncio.create_task(guest()) for _ in range(20_000)]
    for _ in range(100):
        await asyncio.sleep(0.01)
    leave.set()
    return await asyncio.gather(*tasks, return_exceptions=True)
outcomes = asyncio.run(main())
failures = [outcome for outcome in outcomes if outcome is not None]
assert len(failures) < 19_000
assert all("max_map_count" in str(failure) for failure in failures), failures[0]
del outcomes
gc.collect()
assert asyncio.run(linker.instantiate_async(Store(engine), module))
"""
    ).check()


def test_a_guest_that_nobody_resumes_does_not_keep_the_others(guests: Guests) -> None:
    """
    Its turn has come, and it does not come.
    """

    async def main() -> None:
        left = (await guests.make()).start("spin")
        for _ in range(20):
            left.send(None)  # until it queues, and is the one whose turn comes
        spinner = asyncio.create_task((await guests.make()).start("spin"))
        assert await asyncio.wait_for((await guests.make()).start("add", 1, 1), 10) == 2
        left.close()
        spinner.cancel()

    asyncio.run(main())


@pytest.mark.parametrize("awaits", [False, True])
def test_host_calls_without_end_do_not_keep_the_loop(guests: Guests, awaits: bool) -> None:
    # What the host functions take counts, too: the guest itself hardly runs.
    turns = 0

    def ask(number: int) -> int:
        time.sleep(0.0005)
        return number

    async def ask_async(number: int) -> int:
        return ask(number)

    async def beat() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async def main() -> None:
        guest = await guests.make(ask_async if awaits else ask)
        beating = asyncio.ensure_future(beat())
        await guest.start("many", 400)
        beating.cancel()

    asyncio.run(main())
    assert turns >= 20
