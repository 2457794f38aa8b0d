"""Calls of a guest, written once for threads and for event loops.

What instantiates and calls a guest is a generator: it yields each call as a `Step`, and is sent
what that returned, or thrown what it raised. `take` makes the calls, one after the other;
`take_async` awaits them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Generator
from typing import Any, Callable, NamedTuple, TypeVar

__all__ = ["Step", "Steps", "calling", "take", "take_async"]

_T = TypeVar("_T")


class Step(NamedTuple):
    """A call of a guest, in both ways.

    Attributes:
        now: Makes it.
        later: Makes it in an event loop: returns what is awaited.
        args: The arguments of both.
    """

    now: Callable[..., Any]
    later: Callable[..., Awaitable[Any]]
    args: tuple[Any, ...]


#: What is done in steps, and what comes of it.
Steps = Generator[Step, Any, _T]


def calling(func: Any, *args: Any) -> Step:
    """The call of a function that a guest exports; its store is the first argument."""
    return Step(func, func.call_async, args)


def take(steps: Steps[_T]) -> _T:
    """Take steps on this thread."""
    value, raised = None, None
    while True:
        try:
            step = steps.send(value) if raised is None else steps.throw(raised)
        except StopIteration as end:
            result: _T = end.value
            return result
        value, raised = None, None
        try:
            value = step.now(*step.args)
        except StopIteration:  # which no generator lets through
            steps.close()
            raise
        except BaseException as error:
            raised = error


async def take_async(steps: Steps[_T]) -> _T:
    """Take steps in an event loop."""
    value, raised = None, None
    while True:
        try:
            step = steps.send(value) if raised is None else steps.throw(raised)
        except StopIteration as end:
            result: _T = end.value
            return result
        value, raised = None, None
        try:
            value = await step.later(*step.args)
        except BaseException as error:
            raised = error
