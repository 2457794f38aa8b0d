"""
The script that runs in each of the two environments: measures rows and writes JSON.

It is started by `benchmarks.__main__`. ``python -m benchmarks.child --only calls`` measures the
checkout that it is started in, where it was built in place.
"""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import sys
from typing import Any, Optional

from . import harness

#: The concerns, in the table's order.
CONCERNS = (
    "calls",
    "host_calls",
    "traps",
    "memory",
    "globals_tables",
    "instantiation",
    "component",
    "threads",
    "import_time",
)


def load_rows(only: list[str]) -> list[harness.Row]:
    """
    The rows to measure.

    Args:
        only: Concerns or keys of rows; all if empty.

    Raises:
        SystemExit: A name is neither.
    """
    for concern in CONCERNS:
        name = f"{__package__}.{concern}"
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:
                raise
    rows = list(harness.ROWS)
    known = {row.key for row in rows} | {row.concern for row in rows}
    unknown = sorted(set(only) - known)
    if unknown:
        listed = ", ".join(sorted(known))
        raise SystemExit(f"no such rows: {', '.join(unknown)}; there are: {listed}")
    return [row for row in rows if not only or row.key in only or row.concern in only]


def version() -> str:
    """
    The version of the package that is measured.
    """
    from importlib import metadata

    return metadata.version("wasmtime")


def run(only: list[str], quick: bool, published: bool) -> dict[str, Any]:
    """
    Measure.

    Args:
        only: As for `load_rows`.
        quick: As for `harness.measure`.
        published: Leave out the rows that are about this package alone.

    Returns:
        What `main` prints.
    """
    figures: dict[str, list[float]] = {}
    skipped: dict[str, str] = {}
    for row in load_rows(only):
        if published and row.ours_only:
            continue
        try:
            figures[row.key] = harness.measure(row.make(), quick)
        except harness.Skip as reason:
            skipped[row.key] = str(reason)
    return {
        "version": version(),
        "python": platform.python_version(),
        "compiler": platform.python_compiler(),
        "figures": figures,
        "skipped": skipped,
    }


def main(argv: Optional[list[str]] = None) -> None:
    """
    Measure, and print one JSON object.
    """
    parser = argparse.ArgumentParser(prog="benchmarks.child", description=__doc__)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--published", action="store_true")
    options = parser.parse_args(argv)
    json.dump(run(options.only, options.quick, options.published), sys.stdout)
    print()


if __name__ == "__main__":
    main()
