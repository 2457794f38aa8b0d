"""
What a row of the benchmarks is, and how it is measured.

A concern's file makes rows with the decorator `row`:

    @row("calls.add", "`f(store, 5, 3)`, i32 + i32 → i32", target=150)
    def add() -> Work:
        store, exports = instantiate('(module ...)')
        return Work("f(store, 5, 3)", f=exports["add"], store=store)

The function runs in the environment that is measured; it may use what both packages have, or skip
itself with `Skip` where the row is about something that only one has.

What is measured is the statement in a ``for`` loop, as `timeit` does it: the names of `Work` are
local variables of the loop. The loop's own step (about 10 to 20 ns) and the loading of the names
are part of every figure, of both packages; nothing is subtracted. Python's garbage collector stays
on, as it is in a program. A statement that repeats the work itself says so with `inner`, by which
the time is divided.

One measurement is a loop of `LOOP_SECONDS`; a row's figure is the shortest of all measurements of
all rounds, and the JSON has the shortest of each round for the spread: what disturbs a measurement
only ever makes it longer.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import repeat
from time import perf_counter
from typing import Any, Optional, Union

__all__ = ["ROWS", "Measured", "Row", "Skip", "Work", "instantiate", "measure", "row"]

#: How long one loop runs, in seconds.
LOOP_SECONDS = 0.008

#: How many loops are measured for a row, in each round.
LOOPS = 12

#: How long a row may take in each round, in seconds, if its step is not longer by itself.
LONGEST = 2.0


class Skip(Exception):
    """
    The row cannot be measured with this package; the message says why.
    """


class Work:
    """
    A statement and the names that it uses.

    Args:
        statement: One or more lines of Python.
        inner: How often the statement does the work by itself.
        names: The variables of the statement.
    """

    def __init__(self, statement: str, *, inner: int = 1, **names: Any) -> None:
        self.statement = statement
        self.inner = inner
        self.names = names

    def loop(self) -> Callable[[int], float]:
        """
        A function that runs the statement so many times and returns the seconds that it took.
        """
        body = "\n".join(f"        {line}" for line in self.statement.splitlines())
        source = (
            f"def run(_count, {', '.join(self.names)}):\n"
            "    _steps = _repeat(None, _count)\n"
            "    _start = _clock()\n"
            "    for _ in _steps:\n"
            f"{body}\n"
            "    return _clock() - _start\n"
        )
        scope: dict[str, Any] = {"_repeat": repeat, "_clock": perf_counter}
        exec(compile(source, "<work>", "exec"), scope)
        run, values = scope["run"], tuple(self.names.values())
        return lambda count: run(count, *values)


@dataclass(frozen=True)
class Measured:
    """
    Figures that a row measured by itself, where a loop over a statement does not do.

    Attributes:
        values: The figure of each measurement.
    """

    values: tuple[float, ...]


@dataclass(frozen=True)
class Row:
    """
    One row of the table.

    Attributes:
        key: ``concern.name``, for ``--only``.
        title: What is done, for the table (Markdown).
        make: Prepares the work, in the environment that is measured.
        target: The ratio published / ours to reach; None if there is none.
        unit: ``ns``, or ``/s`` for a throughput, where more is better, or ``ratio``.
        ours_only: The published package has nothing to compare with.
        baseline: Key of another row of ours, whose figure this row's is divided by.
        limit: The greatest quotient by `baseline` that is asked for.
        note: What else the reader should know.
    """

    key: str
    title: str
    make: Callable[[], Union[Work, Measured]]
    target: Optional[float] = None
    unit: str = "ns"
    ours_only: bool = False
    baseline: Optional[str] = None
    limit: Optional[float] = None
    note: str = ""

    @property
    def concern(self) -> str:
        """
        The file that the row is in.
        """
        return self.key.partition(".")[0]


#: All rows of the concerns that have been imported, in the table's order.
ROWS: list[Row] = []


def row(
    key: str, title: str, **details: Any
) -> Callable[[Callable[[], Union[Work, Measured]]], Callable[[], Union[Work, Measured]]]:
    """
    Make a row of the decorated function.

    Args:
        key: As `Row.key`.
        title: As `Row.title`.
        details: The other attributes of `Row`.
    """

    def add(make: Callable[[], Union[Work, Measured]]) -> Callable[[], Union[Work, Measured]]:
        ROWS.append(Row(key, title, make, **details))
        return make

    return add


def instantiate(
    wat: str, imports: Union[Sequence[Any], Callable[[Any], Sequence[Any]]] = ()
) -> tuple[Any, Any]:
    """
    A fresh store, and the exports of a module in it.

    Args:
        wat: The module's text.
        imports: Its imports in order, or a function that makes them for a store.
    """
    import wasmtime

    store = wasmtime.Store()
    given: list[Any] = list(imports(store) if callable(imports) else imports)
    module = wasmtime.Module(store.engine, wat)
    return store, wasmtime.Instance(store, module, given).exports(store)


def measure(work: Union[Work, Measured], quick: bool = False) -> list[float]:
    """
    Measure the work.

    Args:
        work: What a row's function made.
        quick: Measure less, for a first look.

    Returns:
        The nanoseconds of one unit of the work, for each loop; or the row's own figures.
    """
    if isinstance(work, Measured):
        return list(work.values)
    loop = work.loop()
    seconds = LOOP_SECONDS / 4 if quick else LOOP_SECONDS
    count = 1
    while True:
        taken = loop(count)
        if taken >= seconds / 2:
            break
        count = max(count * 2, min(count * 100, int(count * seconds / max(taken, 1e-9))))
    once = taken / count
    count = max(1, int(seconds / once))
    gc.collect()
    # A step that takes long by itself has fewer loops; there are several rounds of them.
    loops = min(4 if quick else LOOPS, max(3, int(LONGEST / (count * once))))
    return [loop(count) / count / work.inner * 1e9 for _ in range(loops)]
