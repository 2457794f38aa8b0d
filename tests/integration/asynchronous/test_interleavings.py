"""
Random orders of calls, answers, cancellations, interrupts, nested calls and closings, over several
guests and two loops.
"""

from __future__ import annotations

import asyncio
import gc
from typing import Any, Optional, Union

from hypothesis import given, settings
from hypothesis import strategies as st

from wasmtime import InterruptTrap, WasmtimeError

from .guests import Guest, Guests

ACTIONS = [
    "call", "answer", "fail", "cancel", "interrupt", "nest", "nest now", "call now", "close",
    "drop", "collect", "turn",
]  # fmt: skip


class Failure(Exception):
    pass


class Model:
    """A guest whose host function waits for what the test says, and what is expected of it."""

    def __init__(self) -> None:
        self.guest: Optional[Guest] = None
        self.task: Optional[asyncio.Task[int]] = None
        self.gate: Optional[asyncio.Future[Union[int, str]]] = None
        self.expected: Any = None

    async def ask(self, n: int) -> int:
        while True:
            self.gate = asyncio.get_running_loop().create_future()
            answer = await self.gate
            if isinstance(answer, int):
                return answer
            assert self.guest is not None
            if answer == "nest":
                assert await self.guest.start("add", n, 1) == n + 1
            else:
                assert self.guest.now("add", n, 1) == n + 1

    async def begin(self, guests: Guests) -> None:
        self.guest = await guests.make(self.ask)

    @property
    def waits(self) -> bool:
        return self.task is not None and self.gate is not None and not self.gate.done()

    async def end(self) -> None:
        """Look at the outcome of a task that has ended, or is about to."""
        task, self.task, expected = self.task, None, self.expected
        assert task is not None
        outcome = (await asyncio.gather(task, return_exceptions=True))[0]
        assert outcome == expected or (isinstance(expected, type) and isinstance(outcome, expected))

    async def act(self, action: str, number: int) -> None:
        guest = self.guest
        if guest is None:
            return
        if action == "call" and self.task is None:
            self.task = asyncio.ensure_future(guest.start("run", number))
            await asyncio.sleep(0)
        elif action == "call now":
            try:
                assert guest.now("add", number, 1) == number + 1
                assert self.task is None
            except WasmtimeError:
                assert self.task is not None
        elif action == "close":
            try:
                guest.store.close()
                assert self.task is None
                self.guest = None
            except WasmtimeError:
                assert self.task is not None
        elif self.waits:
            await self.act_on_one_that_waits(action, number)

    async def act_on_one_that_waits(self, action: str, number: int) -> None:
        assert self.gate is not None
        assert self.task is not None
        assert self.guest is not None
        if action == "answer":
            self.expected = number
            self.gate.set_result(number)
            await self.end()
        elif action == "fail":
            error = Failure()
            self.expected = error
            self.gate.set_exception(error)
            await self.end()
        elif action == "cancel":
            self.expected = asyncio.CancelledError
            self.task.cancel()
            await self.end()
        elif action == "interrupt":
            self.expected = InterruptTrap
            self.guest.store.interrupt()
            await self.end()
        elif action in ("nest", "nest now"):
            self.gate.set_result(action)
            await asyncio.sleep(0)
            await asyncio.sleep(0)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from(ACTIONS), st.integers(0, 1000)), max_size=40
    )
)
def test_random_interleavings(guests: Guests, actions: list[tuple[int, str, int]]) -> None:
    async def part(actions: list[tuple[int, str, int]]) -> None:
        models = [Model() for _ in range(3)]
        for model in models:
            await model.begin(guests)
        for index, action, number in actions:
            if action == "collect":
                gc.collect(0)
            elif action == "turn":
                await asyncio.sleep(0)
            elif action == "drop":
                guest = models[index].guest
                if guest is not None:
                    guest.start("add", number, 1).close()
            else:
                await models[index].act(action, number)
        left = [model.task for model in models if model.task is not None]
        for task in left[::2]:
            task.cancel()  # asyncio.run() cancels the others

    middle = len(actions) // 2
    asyncio.run(part(actions[:middle]))
    asyncio.run(part(actions[middle:]))
