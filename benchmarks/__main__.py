"""The command: ``python -m benchmarks``."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Optional

from . import environments, figures, rows, table
from .measure import COMMAND

#: A value is the time of a loop of 8 ms; the shortest of all values of all rounds counts.
USUAL = ("--processes", "1", "--values", "12", "--min-time", "0.008")
QUICK = ("--processes", "1", "--values", "4", "--min-time", "0.002")


def measure(interpreter: str, kept: Path, *options: str) -> None:
    """Let pyperf measure once in an environment, and add what it finds to a file."""
    with tempfile.TemporaryDirectory() as scratch:
        found = Path(scratch, "found.json")
        command = [interpreter, *COMMAND, "--quiet", "--append", str(found), *options]
        try:
            # Its warnings are about single rounds, of which there are several.
            done = subprocess.run(command, stdout=subprocess.DEVNULL)
        finally:
            # A round that an error or an interrupt ends has measured its first rows.
            if found.exists():
                figures.add(found, kept)
    if done.returncode != 0:
        raise SystemExit(f"the measurement with {interpreter} failed, see above")


def main(argv: Optional[list[str]] = None) -> int:
    """Measure, print the table, keep the figures."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure this checkout and the published package, side by side.",
    )
    parser.add_argument("--quick", action="store_true", help="a first look: fewer, shorter loops")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help="a concern (calls, memory, ...) or the key of a row; repeatable",
    )
    parser.add_argument(
        "--results",
        type=Path,
        metavar="DIRECTORY",
        help="keep the figures there; they are added to those that are there already, which must "
        "be of the same machine, Python and sources; what tells whose machine it is is left out",
    )
    parser.add_argument("--python", default=sys.executable, help="the interpreter to measure with")
    parser.add_argument("--rounds", type=int, default=6, help="how often both are run (default 6)")
    parser.add_argument("--list", action="store_true", help="print the rows, and measure nothing")
    options = parser.parse_args(argv)
    chosen = rows.select(options.only)
    if options.list:
        for row in chosen:
            print(f"{row.key:24} {row.title}")
        return 0
    given = [*(QUICK if options.quick else USUAL), *(f"--only={row.key}" for row in chosen)]
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        results: Path = options.results or work / "results"
        results.mkdir(parents=True, exist_ok=True)
        who = {
            "ours": (environments.ours(work, options.python), ()),
            "published": (environments.published(work, options.python), ("--published",)),
        }
        for number in range(options.rounds):
            # The one that comes first in a round may find a machine of another temperature.
            for name in who if number % 2 == 0 else reversed(who):
                print(f"round {number + 1} of {options.rounds}: {name}", file=sys.stderr)
                interpreter, extra = who[name]
                measure(interpreter, results / f"{name}.json", *given, *extra)
        found = table.Results.load(results)
        print(table.markdown(found, chosen))
        for missed in table.missed(found, chosen):
            print(f"missed: {missed}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
