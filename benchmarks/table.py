"""Tables from the figures that ``python -m benchmarks --results DIRECTORY`` keeps.

``python -m benchmarks.table DIRECTORY`` prints the Markdown table of the README, and with
``--into README.md`` puts it between the two marks there; ``--all`` is for docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from .rows import Row, select

#: The rows of the README: one of each concern, and where it is hardest to gain something.
HEADLINES = (
    "calls.add",
    "host_calls.python",
    "memory.write_16",
    "component.bytes_64k",
)

#: What the rows that others are divided by are called beside a quotient, unless it is a C builtin.
BASELINES = {"asynchronous.timers_alone": "the timers alone"}

BEGIN = "<!-- benchmarks: begin -->"
END = "<!-- benchmarks: end -->"


@dataclass
class Results:
    """The figures of both packages, as pyperf keeps them."""

    ours: Any
    published: Any

    @classmethod
    def load(cls, directory: Path) -> Results:
        """Read the two files of a directory; there is one where only rows of ours were measured."""
        import pyperf

        paths = [directory / f"{name}.json" for name in ("ours", "published")]
        return cls(
            *(pyperf.BenchmarkSuite.load(str(path)) if path.exists() else None for path in paths)
        )

    def suites(self) -> list[Any]:
        """The one or two that there are."""
        return [suite for suite in (self.ours, self.published) if suite is not None]

    def best(self, who: str, row: Row) -> Optional[float]:
        """The best value of all rounds: what disturbs a measurement only ever makes it longer."""
        suite = getattr(self, who)
        if suite is None or row.key not in suite.get_benchmark_names():
            return None
        values = suite.get_benchmark(row.key).get_values()
        return float(max(values) if row.unit == "ratio" else min(values))

    def ratio(self, row: Row) -> Optional[float]:
        """How many times ours is faster; None where there is nothing to compare."""
        ours, published = self.best("ours", row), self.best("published", row)
        if row.unit != "s" or ours is None or published is None:
            return None
        return published / ours

    def quotient(self, row: Row) -> Optional[float]:
        """How many times longer ours takes than the row's baseline."""
        ours = self.best("ours", row)
        rows = {other.key: other for other in select()}
        base = self.best("ours", rows[row.baseline]) if row.baseline else None
        return None if ours is None or base is None else ours / base

    def rounds(self) -> int:
        """How often every row was measured, at least."""
        measured = [one for suite in self.suites() for one in suite]
        return min(sum(bool(run.values) for run in one.get_runs()) for one in measured)

    def where(self) -> str:
        """One line on the machine, the date and the versions."""
        ours = self.ours.get_metadata()
        cores = f"{ours['machine']}, {ours['cpu_count']} cores"
        whose = zip(("this package", "published package"), self.suites())
        parts = [
            f"{ours.get('cpu_model_name', 'unknown processor')} ({cores})",
            ours["system"],
            f"CPython {ours['python_version'].split()[0]}",
            ", ".join(f"{name} {suite.get_metadata()['wasmtime']}" for name, suite in whose),
            max(suite.get_dates()[1] for suite in self.suites()).date().isoformat(),
        ]
        return "; ".join(parts)


def human(value: Optional[float], unit: str) -> str:
    """A figure with three digits and a unit that suits it."""
    if value is None:
        return "–"
    if unit == "B":
        return f"{value / 1024:.1f} KiB"
    if unit != "s":
        return f"{value:.2f}"
    scales = ((1e-9, "ns"), (1e-6, "µs"), (1e-3, "ms"), (1.0, "s"))
    size, name = max(scale for scale in scales if scale[0] <= max(value, 1e-9))
    return f"{value / size:#.3g}".rstrip(".") + f" {name}"


def label(row: Row) -> str:
    """What a row is about, in a table of all concerns."""
    return ("component: " if row.key.startswith("component.") else "") + row.title


def gained(results: Results, row: Row) -> str:
    """The last cell of a row."""
    quotient, ratio = results.quotient(row), results.ratio(row)
    if quotient is not None:
        return f"{quotient:.2f} × {BASELINES.get(str(row.baseline), 'the C builtin')}"
    if ratio is None:
        return ""
    return f"{ratio:.0f} ×" if ratio >= 10 else f"{ratio:.1f} ×" if ratio >= 2 else f"{ratio:.2f} ×"


def missed(results: Results, rows: Sequence[Row]) -> Iterator[str]:
    """Give the rows that do not reach what was asked for."""
    for row in rows:
        ratio, quotient = results.ratio(row), results.quotient(row)
        ours = results.best("ours", row)
        if row.target is not None and ratio is not None and ratio < row.target:
            yield f"{row.key}: {ratio:.3g} × instead of {row.target:g} ×"
        elif row.limit is None:
            continue
        elif quotient is not None and quotient > row.limit:
            yield f"{row.key}: {quotient:.2f} × {row.baseline} instead of {row.limit:g} ×"
        elif row.unit == "ratio" and ours is not None and ours < row.limit:
            yield f"{row.key}: {ours:.2f} instead of {row.limit:g}"


def _several(rounds: int) -> str:
    return "one round or more" if rounds == 1 else f"{rounds} rounds or more"


def markdown(results: Results, rows: Sequence[Row]) -> str:
    """The table, for a terminal and for documents, of the rows that have been measured."""
    lines = [
        "| work | published | here | published ÷ here |",
        "|---|---:|---:|---:|",
    ]
    for row in rows:
        if results.best("ours", row) is None:
            continue
        ours, published = (human(results.best(n, row), row.unit) for n in ("ours", "published"))
        lines.append(f"| {label(row)} | {published} | {ours} | {gained(results, row)} |")
    lines += [
        "",
        f"Measured on {results.where()}. The best of {_several(results.rounds())}.",
    ]
    return "\n".join(lines)


def main(argv: Optional[list[str]] = None) -> int:
    """Print the Markdown table, or put it into a file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.table", description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--into", type=Path, metavar="FILE", help="replace the table in this file")
    parser.add_argument("--all", action="store_true", help="every row")
    options = parser.parse_args(argv)
    lines = markdown(Results.load(options.results), select(() if options.all else HEADLINES))
    if options.into is None:
        print(lines)
        return 0
    old = options.into.read_text(encoding="utf-8")
    before, begin, rest = old.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        parser.error(f"{options.into} has no lines '{BEGIN}' and '{END}'")
    options.into.write_text(f"{before}{begin}\n{lines}\n{end}{after}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
