"""
The command: ``python -m benchmarks``.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any, Optional

from . import environments, table
from .child import load_rows
from .harness import Row

ROUNDS = 6
_START = (
    "import sys; sys.path.append({root!r})\nfrom benchmarks.child import main; main(sys.argv[1:])"
)


def run_child(interpreter: str, rows: list[Row], quick: bool, published: bool) -> dict[str, Any]:
    """
    Measure once in an environment.
    """
    command = [interpreter, "-I", "-c", _START.format(root=str(environments.ROOT))]
    for row in rows:
        command += ["--only", row.key]
    command += ["--quick"] * quick + ["--published"] * published
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise SystemExit(f"the measurement with {interpreter} failed, see above")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def cpu_model() -> str:
    """
    The processor's name, as the operating system tells it.
    """
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith(("model name", "Model")):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    if sys.platform == "darwin":
        done = subprocess.run(
            ["sysctl", "-n", "machdep.cpu.brand_string"],
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode == 0:
            return done.stdout.strip()
    return platform.processor() or platform.machine()


def summary(rounds: list[list[float]], more_is_better: bool) -> dict[str, Any]:
    """
    The figure of a row, and its spread.

    Args:
        rounds: The figures of each round.
        more_is_better: Whether the figure is a throughput.

    Returns:
        The best of all, the median of all, and the best of each round.
    """
    best = max if more_is_better else min
    bests = [best(figures) for figures in rounds]
    return {
        "best": best(bests),
        "median": statistics.median(figure for figures in rounds for figure in figures),
        "rounds": bests,
    }


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """
    Measure all rows in both environments, and put everything together.
    """
    rows = load_rows(options.only)
    who: dict[str, str] = {}
    if not options.no_ours:
        who["ours"] = environments.ours(options.python)
    if not options.no_published:
        who["published"] = environments.published(options.python)
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in who}
    for number in range(options.rounds):
        # The one that comes first in a round may find a machine of another temperature.
        order = list(who) if number % 2 == 0 else list(reversed(who))
        for name in order:
            print(f"round {number + 1} of {options.rounds}: {name}", file=sys.stderr, flush=True)
            rounds[name].append(run_child(who[name], rows, options.quick, name == "published"))
    results: list[dict[str, Any]] = []
    for row in rows:
        result: dict[str, Any] = {
            "key": row.key,
            "title": row.title,
            "unit": row.unit,
            "target": row.target,
            "limit": row.limit,
            "baseline": row.baseline,
            "note": row.note,
        }
        for name, runs in rounds.items():
            measured = [run["figures"][row.key] for run in runs if row.key in run["figures"]]
            if measured:
                result[name] = summary(measured, row.unit != "ns")
        results.append(result)
    return {
        "machine": {
            "cpu": cpu_model(),
            "cores": os.cpu_count(),
            "architecture": platform.machine(),
            "system": platform.system(),
            # Distances of the load average tell a reader how quiet the machine was.
            "load": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        },
        "date": datetime.date.today().isoformat(),
        "quick": options.quick,
        "rounds": options.rounds,
        "python": next((run["python"] for runs in rounds.values() for run in runs), None),
        "compiler": next((run["compiler"] for runs in rounds.values() for run in runs), None),
        "versions": {name: runs[0]["version"] for name, runs in rounds.items() if runs},
        "sources": environments.stamp(),
        "results": results,
    }


def add(old: dict[str, Any], new: dict[str, Any]) -> None:
    """
    Add the rounds of a second measurement to those of a first.

    On a machine that others use, too, a quiet moment is not long enough for everything. What is
    added must have been measured with the same processor, Python and versions; and with the same
    sources, as far as it is ours.

    Args:
        old: The first, which is changed.
        new: The second.

    Raises:
        SystemExit: They cannot be compared.
    """
    for key in ("cpu", "cores", "system"):
        if old["machine"][key] != new["machine"][key]:
            raise SystemExit(f"cannot add: the other was measured on another machine ({key})")
    if old["python"] != new["python"] or old["quick"] != new["quick"]:
        raise SystemExit("cannot add: the other was measured with another Python, or --quick")
    if "ours" in new["versions"] and old.get("sources") != new["sources"]:
        raise SystemExit("cannot add: this package has changed since; --no-ours adds the other")
    rows = {result["key"]: result for result in old["results"]}
    for result in new["results"]:
        row = rows.get(result["key"])
        if row is None:
            old["results"].append(result)
            continue
        for name in ("ours", "published"):
            if name in result and name in row:
                better = min if row["unit"] == "ns" else max
                row[name]["rounds"] += result[name]["rounds"]
                row[name]["best"] = better(row[name]["rounds"])
            elif name in result:
                row[name] = result[name]
    old["date"] = max(old["date"], new["date"])


def main(argv: Optional[list[str]] = None) -> int:
    """
    Measure, print the table, write the JSON.
    """
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
    parser.add_argument("--json", metavar="FILE", help="write all figures to this file")
    parser.add_argument(
        "--add", action="store_true", help="add to the figures that the file of --json has"
    )
    parser.add_argument("--python", default=sys.executable, help="the interpreter to measure with")
    parser.add_argument("--no-published", action="store_true", help="measure this checkout alone")
    parser.add_argument("--no-ours", action="store_true", help="measure the published one alone")
    parser.add_argument("--rounds", type=int, help=f"how often both are run (default {ROUNDS})")
    parser.add_argument("--list", action="store_true", help="print the rows, and measure nothing")
    options = parser.parse_args(argv)
    if options.rounds is None:
        options.rounds = 2 if options.quick else ROUNDS
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    if options.list:
        for row in load_rows(options.only):
            print(f"{row.key:24} {row.title}")
        return 0
    document = measure(options)
    if options.add and options.json and os.path.exists(options.json):
        with open(options.json, encoding="utf-8") as stream:
            before = json.load(stream)
        add(before, document)
        document = before
    print(table.text(document))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as stream:
            json.dump(document, stream, indent=1, ensure_ascii=False)
            stream.write("\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
