"""
Run operations while one allocation after the other fails: a program for a process of its own.

    python program.py FILE [--exact | NAME ...]

Each operation is tried with its first allocation failing, then with its second, and so on until
it needs no more: with that allocation alone failing, and with the next two as well. (With all that
follow, CPython itself ends the process.)
The file always says what is being tried, for the case that this process dies. Results are lines
of JSON on standard output.
"""

from __future__ import annotations

import _testcapi
import ctypes
import gc
import json
import os
import re
import sys
import traceback
from typing import Any, Callable

import wasmtime
from wasmtime._extern import core

MOST_ALLOCATIONS = 20_000
ROUNDS, MOST_ROUNDS = 5, 7
STRAYS = 2  # objects that the last traceback may still hold
REPETITIONS = 30  # of each attempt when leaks are looked for


class _MallInfo(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def native_bytes() -> int:
    """
    Bytes that are allocated with malloc in this process; 0 where the C library does not tell.
    """
    try:
        mallinfo2 = ctypes.CDLL(None).mallinfo2
    except (AttributeError, OSError):
        return 0
    mallinfo2.restype = _MallInfo
    info = mallinfo2()
    return int(info.uordblks + info.hblkhd)


def living() -> dict[str, int]:
    """
    How many objects of each class of the package there are: each refers to its class.
    """
    classes = [value for value in vars(core).values() if isinstance(value, type)]
    classes += [value for value in vars(wasmtime).values() if isinstance(value, type)]
    return {f"{cls.__module__}.{cls.__name__}": sys.getrefcount(cls) for cls in classes}


def attempt(
    run: Callable[[Any], Any], world: Any, start: int, failures: int, probes: list[Any]
) -> tuple[Any, bool]:
    """
    Run an operation with `failures` allocations from `start` on failing.

    Returns:
        The exception that it ended with, or None, and whether an allocation of it failed at all.
    """
    raised: Any = None
    reached = True
    _testcapi.set_nomemory(start, start + failures)
    try:
        run(world)
    except BaseException as error:
        raised = error
    # When the operation needed fewer allocations, one of these meets the failure instead. A failure
    # that came too early for that is over: these succeed.
    try:
        for index in range(len(probes)):
            probes[index] = bytearray(8)
    except MemoryError:
        reached = False
    _testcapi.remove_mem_hooks()
    try:
        return raised, reached
    finally:
        raised = None  # its traceback refers to this frame


def lost_by_cpython(raised: Any) -> bool:
    """
    Whether CPython itself lost the exception: 3.11 does where it has no memory for the frame
    object that a traceback wants. (Of a function in C it would not say "<function".)
    """
    return isinstance(raised, SystemError) and bool(
        re.match("error return without exception set|<function .* returned NULL", str(raised))
    )


def try_all(
    name: str, operation: Any, world: Any, progress: int, limit: int, leaks: bool
) -> tuple[int, list[str]]:
    """
    Let one allocation after the other fail; the two that follow it too if there is a `limit`,
    which is how many to try then. Each several times if `leaks` are looked for.

    Returns:
        How many allocations the operation makes, and what went wrong.
    """
    wrong: list[str] = []
    probes: list[Any] = [None] * 16
    start = 0
    failures = 3 if limit else 1
    while start < (limit or MOST_ALLOCATIONS):
        os.pwrite(progress, f"{name}: {failures} from allocation {start}".ljust(80).encode(), 0)
        raised, reached = attempt(operation.run, world, start, failures, probes)
        expected = (type(None), MemoryError, *operation.expected)
        if not isinstance(raised, expected) and not lost_by_cpython(raised):
            wrong.append(
                f"{failures} failures from allocation {start}: "
                + "".join(traceback.format_exception(type(raised), raised, raised.__traceback__))
            )
        raised = None
        if not reached and not limit:
            break
        if leaks:
            for _ in range(REPETITIONS - 1):
                attempt(operation.run, world, start, failures, probes)
        else:
            try:
                world.check()
            except BaseException:
                broken = f"the store is broken after allocation {start}: "
                wrong.append(broken + traceback.format_exc())
                world.renew()
        start += 1
    return start, wrong


def run_operation(name: str, operation: Any, world: Any, progress: int) -> dict[str, Any]:
    """
    All attempts with one operation, each round in a store of its own, and what a round leaves.
    """
    wrong: list[str] = []
    growth = []
    left: list[dict[str, int]] = []
    count = 0
    for round_ in range(MOST_ROUNDS):
        # What is lost is lost in each round; what caches take, in some: more rounds tell.
        if round_ >= ROUNDS and min(growth[2:]) <= 0:
            break
        gc.collect()
        before, objects = native_bytes(), living()
        world.renew()
        if round_ == 0:
            try:
                operation.run(world)
            except operation.expected:
                pass
        # The first rounds also fill caches; the last ones are measured.
        limit = count if round_ == 1 else 0
        count, found = try_all(name, operation, world, progress, limit, round_ >= 2)
        wrong += found
        try:
            world.check()
            world.let_go()
        except BaseException:
            wrong.append("the store cannot be used and closed: " + traceback.format_exc())
        found = []
        gc.collect()
        growth.append(native_bytes() - before)
        left.append({key: number - objects[key] for key, number in living().items()})
    return {
        "name": name,
        "exact": operation.exact,
        "allocations": count,
        "wrong": wrong,
        "native_growth": min(growth[2:]),
        "left": {key: n for key in living() if (n := min(r[key] for r in left[2:])) > STRAYS},
    }


def main() -> None:
    """
    Try what the command line names.
    """
    sys.path.insert(0, os.path.dirname(__file__))
    import operations

    progress = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
    world = operations.World()
    gc.disable()
    names = sys.argv[2:] or list(operations.OPERATIONS)
    if names == ["--exact"]:
        names = [name for name, operation in operations.OPERATIONS.items() if operation.exact]
    for name in names:
        operation = operations.OPERATIONS[name]
        print(json.dumps(run_operation(name, operation, world, progress)), flush=True)


if __name__ == "__main__":
    main()
