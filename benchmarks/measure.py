"""The program that pyperf runs in each of the two environments, and in each of its workers.

``python -m benchmarks.measure --only calls`` measures the package of the interpreter at hand; all
options of pyperf are there, too.
"""

from __future__ import annotations

import argparse
import platform
from functools import cache
from importlib import metadata
from pathlib import Path

import pyperf

from . import rows

#: Imports the benchmarks from the checkout, and everything else from the environment.
START = (
    f"import sys; sys.path.append({str(Path(__file__).resolve().parent.parent)!r})\n"
    "from benchmarks.measure import main; main()"
)
COMMAND = ("-I", "-c", START)


@cache
def _loop(key: str) -> rows.Loop:
    return rows.ROWS[key].loop()


def timed(count: int, key: str) -> float:
    """Run a row's work; it is prepared in the worker that measures it, and in no other."""
    return _loop(key)(count)


def _pass_on(command: list[str], options: argparse.Namespace) -> None:
    """Give our options to the workers, too."""
    for name in options.only:
        command += ["--only", name]
    command += ["--published"] * options.published


def main() -> None:
    """Measure."""
    runner = pyperf.Runner(program_args=COMMAND, add_cmdline_args=_pass_on)
    runner.argparser.add_argument("--only", action="append", default=[])
    runner.argparser.add_argument("--published", action="store_true")
    options = runner.parse_args()
    runner.metadata.update(
        machine=platform.machine(),
        system=platform.system(),
        wasmtime=metadata.version("wasmtime"),
    )
    usual: int = options.values
    for one in rows.select(options.only):
        if not (options.published and one.ours_only):
            options.values = min(usual, one.values or usual)
            runner.bench_time_func(one.key, timed, one.key, inner_loops=one.inner)


if __name__ == "__main__":
    main()
