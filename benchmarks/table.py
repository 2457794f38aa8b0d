"""
Tables from the JSON that ``python -m benchmarks --json`` writes.

``python -m benchmarks.table results.json`` prints the Markdown table of the README, and with
``--into README.md`` puts it between the two marks there; ``--all`` is for docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

#: The rows of the README: one of each concern, and where it is hardest to gain something.
HEADLINES = (
    "calls.add",
    "calls.six",
    "calls.bound_gil",
    "host_calls.python",
    "traps.caught",
    "memory.write_16",
    "memory.write_1m",
    "globals_tables.set",
    "instantiation.linker",
    "component.add",
    "component.bytes_64k",
    "threads.long",
    "import_time.import",
)

#: What the two packages are called where both appear.
NAMES = {"ours": "this package", "published": "published package"}

BEGIN = "<!-- benchmarks: begin -->"
END = "<!-- benchmarks: end -->"


def figure(value: float, unit: str) -> str:
    """
    A figure as text: three digits that mean something, groups of thousands.
    """
    if unit != "ns":
        return f"{value:.2f}"
    if value >= 1000:
        digits = len(str(int(value))) - 3
        return f"{round(value, -digits):,.0f}".replace(",", " ")
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def human(value: float, unit: str) -> str:
    """
    A figure with a unit that suits it.
    """
    if unit != "ns":
        return figure(value, unit)
    scales = ((1.0, "ns"), (1e3, "µs"), (1e6, "ms"), (1e9, "s"))
    size, name = max(scale for scale in scales if scale[0] <= max(value, 1.0))
    return f"{value / size:#.3g}".rstrip(".") + f" {name}"


def label(result: dict[str, Any]) -> str:
    """
    What a row is about, in a table of all concerns.
    """
    prefix = "component: " if result["key"].startswith("component.") else ""
    return f"{prefix}{result['title']}"


def ratio(result: dict[str, Any]) -> Optional[float]:
    """
    How much better ours is; None where there is nothing to compare.
    """
    if "ours" not in result or "published" not in result:
        return None
    ours, published = result["ours"]["best"], result["published"]["best"]
    return float(published / ours if result["unit"] == "ns" else ours / published)


def quotient(result: dict[str, Any], document: dict[str, Any]) -> Optional[float]:
    """
    What a row's `limit` is about: the figure in terms of that of its `baseline`, or itself.
    """
    if "ours" not in result:
        return None
    own = float(result["ours"]["best"])
    if result["baseline"] is None:
        return own if result["unit"] != "ns" else None
    for other in document["results"]:
        if other["key"] == result["baseline"] and "ours" in other:
            return own / float(other["ours"]["best"])
    return None


def _times(value: Optional[float]) -> str:
    if value is None:
        return ""
    return f"{value:.0f} ×" if value >= 10 else f"{value:.1f} ×" if value >= 2 else f"{value:.2f} ×"


def cells(
    result: dict[str, Any], document: dict[str, Any], show: Callable[[float, str], str]
) -> tuple[str, ...]:
    """
    A row: work, published, ours, ratio, target.

    Args:
        result: The row.
        document: All of them.
        show: Makes text of a figure and its unit.
    """
    unit = result["unit"]
    published, ours = (
        show(result[name]["best"], unit) if name in result else "" for name in ("published", "ours")
    )
    title = label(result)
    reached = ratio(result)
    wanted = result["target"]
    if result["baseline"] is not None:
        of = quotient(result, document)
        gained = "" if of is None else f"{of:.2f} × the C builtin"
        target = "" if result["limit"] is None else f"≤ {result['limit']:g}"
        return (title, published or "–", ours, gained, target)
    if unit != "ns":
        target = "" if result["limit"] is None else f"≥ {result['limit']:g}"
        return (title, published or "–", ours, "", target)
    target = "" if wanted is None else f"≥ {wanted:g}"
    return (title, published or "–", ours, _times(reached), target)


def met(result: dict[str, Any], document: dict[str, Any]) -> Optional[bool]:
    """
    Whether a row reaches what was asked for; None where nothing was, or it was not measured.
    """
    if result["limit"] is not None:
        of = quotient(result, document)
        if of is None:
            return None
        below = bool(of <= result["limit"])
        return below if result["baseline"] is not None else bool(of >= result["limit"])
    reached = ratio(result)
    if result["target"] is None or reached is None:
        return None
    return bool(reached >= result["target"])


HEAD = ("work", "published, ns", "ours, ns", "published / ours", "to reach")


def text(document: dict[str, Any]) -> str:
    """
    The table for a terminal.
    """
    rows = [HEAD, *(cells(result, document, figure) for result in document["results"])]
    marks = ["", *("  missed" * (met(row, document) is False) for row in document["results"])]
    width = max(len(row[0]) for row in rows)
    lines = []
    for (work, published, ours, reached, target), mark in zip(rows, marks):
        lines.append(f"{work:{width}} {published:>14} {ours:>12} {reached:>20} {target:>9}{mark}")
    lines.append(where(document))
    return "\n".join(lines)


def where(document: dict[str, Any]) -> str:
    """
    One line on the machine, the date and the versions.
    """
    machine = document["machine"]
    versions = document["versions"]
    parts = [
        f"{machine['cpu']} ({machine['architecture']}, {machine['cores']} cores)",
        machine["system"],
        f"CPython {document['python']}",
        ", ".join(f"{NAMES[name]} {version}" for name, version in versions.items()),
        document["date"],
    ]
    return "; ".join(parts)


def markdown(document: dict[str, Any], everything: bool = False) -> str:
    """
    The table for a document.

    Args:
        document: The JSON.
        everything: All rows, not the headlines only.
    """
    lines = [
        "| work | published | here | published ÷ here |",
        "|---|---:|---:|---:|",
    ]
    for result in document["results"]:
        if not everything and result["key"] not in HEADLINES:
            continue
        row = cells(result, document, human)
        lines.append(f"| {row[0]} | {row[1]} | {row[2]} | {row[3]} |")
    lines += [
        "",
        f"Measured on {where(document)}. The best of {document['rounds']} rounds or more.",
    ]
    return "\n".join(lines)


def main(argv: Optional[list[str]] = None) -> int:
    """
    Print the Markdown table, or put it into a file.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.table", description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--into", type=Path, metavar="FILE", help="replace the table in this file")
    parser.add_argument("--all", action="store_true", help="every row")
    options = parser.parse_args(argv)
    document = json.loads(options.results.read_text(encoding="utf-8"))
    lines = markdown(document, options.all)
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
