"""
Operations with faults, which the harness must find: run like `program.py`.
"""

from __future__ import annotations

from typing import Any

import operations
import program

from wasmtime import Func
from wasmtime._extern import core

KEPT: list[Any] = []
DOORS: list[Any] = []


@operations.operation()
def keeps_a_reference(world: Any) -> None:
    """
    Lose an object where memory ends.
    """
    func = Func(world.store, world.unary, operations.Thing)
    try:
        bytearray(8)
    except MemoryError:
        KEPT.append(func)


@operations.operation()
def swaps_the_exception(world: Any) -> None:
    """
    End in another exception.
    """
    try:
        bytearray(8)
    except MemoryError:
        raise KeyError from None


@operations.operation()
def stays_inside(world: Any) -> None:
    """
    Leave a store entered.
    """
    door = core.Door(world.store)
    door.__enter__()
    try:
        bytearray(8)
        door.__exit__(None, None, None)
    except MemoryError:
        DOORS.append(door)


if __name__ == "__main__":
    program.main()
