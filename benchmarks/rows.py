"""What a row of the benchmarks is.

A concern's file makes rows with the decorator `row`:

    @row("calls.add", "`f(store, 5, 3)`, i32 + i32 → i32", target=150)
    def add() -> Work:
        store, exports = instantiate('(module ...)')
        return Work("f(store, 5, 3)", f=exports["add"], store=store)

The function runs in the environment that is measured. What is measured is the statement in a
``for`` loop, as `timeit` does it: the names of `Work` are local variables of the loop. The loop's
own step (about 10 to 20 ns) and the loading of the names are part of every figure, of both
packages; nothing is subtracted. Python's garbage collector stays on, as it is in a program.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import repeat
from time import perf_counter
from typing import Any, Optional, Union

#: The concerns, in the table's order.
CONCERNS = (
    "calls",
    "host_calls",
    "traps",
    "memory",
    "globals_tables",
    "instantiation",
    "wasi",
    "timeouts",
    "asynchronous",
    "artifacts",
    "component",
    "bulk",
    "threads",
    "gil",
    "sandbox",
    "scale",
    "snapshots",
    "import_time",
)

#: Runs the work so many times, and returns the seconds that it took.
Loop = Callable[[int], float]


class Work:
    """A statement and the names that it uses.

    Args:
        statement: One or more lines of Python.
        names: The variables of the statement.
    """

    def __init__(self, statement: str, **names: Any) -> None:
        """Keep what `loop` makes a program of."""
        self.statement = statement
        self.names = names

    def loop(self) -> Loop:
        """The statement in a loop."""
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
        return lambda count: float(run(count, *values))


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        key: ``concern.name``, for ``--only``.
        title: What is done, for the table (Markdown).
        make: Prepares the work, in the environment that is measured; a loop of its own where one
            over a statement does not do.
        target: The ratio published / ours to reach; None if there is none.
        unit: ``s``, ``B`` for bytes, or ``ratio``, of which more is better.
        ours_only: The published package has nothing to compare with.
        baseline: Key of another row of ours, whose figure this row's is divided by.
        limit: The greatest quotient by `baseline`, or the least ratio, that is asked for.
        inner: How often a step of the loop does the work.
        values: How many values are measured in a round at the most, where one takes its time.
        note: What else the reader should know.
    """

    key: str
    title: str
    make: Callable[[], Union[Work, Loop]]
    target: Optional[float] = None
    unit: str = "s"
    ours_only: bool = False
    baseline: Optional[str] = None
    limit: Optional[float] = None
    inner: int = 1
    values: Optional[int] = None
    note: str = ""

    def loop(self) -> Loop:
        """What is measured."""
        made = self.make()
        return made.loop() if isinstance(made, Work) else made


#: All rows of the concerns that have been imported, in the table's order.
ROWS: dict[str, Row] = {}

Make = Callable[[], Union[Work, Loop]]


def row(key: str, title: str, **details: Any) -> Callable[[Make], Make]:
    """Make a row of the decorated function; see `Row` for the arguments."""

    def add(make: Make) -> Make:
        ROWS[key] = Row(key, title, make, **details)
        return make

    return add


def select(only: Sequence[str] = ()) -> list[Row]:
    """Return rows.

    Args:
        only: Concerns or keys of rows; all if empty.

    Raises:
        SystemExit: A name is neither.
    """
    for concern in CONCERNS:
        importlib.import_module(f"{__package__}.{concern}")
    unknown = sorted(set(only) - set(CONCERNS) - set(ROWS))
    if unknown:
        known = ", ".join([*CONCERNS, *ROWS])
        raise SystemExit(f"no such rows: {', '.join(unknown)}; there are: {known}")
    wanted = set(only or ROWS)
    return [one for one in ROWS.values() if wanted & {one.key, one.key.partition(".")[0]}]


def instantiate(
    wat: str, imports: Union[Sequence[Any], Callable[[Any], Sequence[Any]]] = ()
) -> tuple[Any, Any]:
    """A fresh store, and the exports of a module in it.

    Args:
        wat: The module's text.
        imports: Its imports in order, or a function that makes them for a store.
    """
    import wasmtime

    store = wasmtime.Store()
    given: list[Any] = list(imports(store) if callable(imports) else imports)
    module = wasmtime.Module(store.engine, wat)
    return store, wasmtime.Instance(store, module, given).exports(store)
