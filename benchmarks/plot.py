"""
A picture of the comparison: ``python -m benchmarks.plot results.json docs/benchmarks.svg``.

It writes an SVG, made of nothing but the figures in the JSON; and, where matplotlib is installed, a
PNG beside it with ``--png``. Two bars for each row, the published package's and ours, on a
logarithmic scale of nanoseconds.
"""

from __future__ import annotations

import argparse
import json
import math
from html import escape
from pathlib import Path
from typing import Any, NamedTuple, Optional

from .table import human, label, ratio, where

WIDTH, LABELS, RIGHT = 1040, 440, 130
ROW, TOP, BOTTOM = 40, 64, 56
PUBLISHED, OURS, INK, GRID = "#b0b7c3", "#4f46e5", "#1f2430", "#e3e6ec"


class Bar(NamedTuple):
    """
    What is drawn of a row.
    """

    title: str
    published: float
    ours: float
    ratio: float


def bars(document: dict[str, Any]) -> list[Bar]:
    """
    The rows that have a time in both packages.
    """
    found = []
    for result in document["results"]:
        times = ratio(result)
        if result["unit"] == "ns" and times is not None:
            title = label(result).replace("`", "")
            found.append(Bar(title, result["published"]["best"], result["ours"]["best"], times))
    return found


def decades(rows: list[Bar]) -> tuple[int, int]:
    """
    The powers of ten that the axis runs between.
    """
    values = [value for row in rows for value in (row.published, row.ours)]
    return math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))


def _text(x: float, y: float, text: str, anchor: str = "start", extra: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{extra}>{escape(text)}</text>'


def svg(document: dict[str, Any]) -> str:
    """
    The picture.
    """
    rows = bars(document)
    if not rows:
        raise SystemExit("there is nothing to compare: the results are of one package only")
    low, high = decades(rows)
    height = TOP + ROW * len(rows) + BOTTOM
    span = WIDTH - LABELS - RIGHT

    def position(value: float) -> float:
        return LABELS + span * (math.log10(value) - low) / (high - low)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="system-ui, sans-serif" font-size="13" '
        f'fill="{INK}" role="img">',
        "<title>Time per operation, published package and this one</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        _text(
            16, 26, "Time per operation (logarithmic; shorter is better)", extra=' font-size="16"'
        ),
        f'<rect x="{LABELS}" y="40" width="12" height="12" fill="{PUBLISHED}"/>',
        _text(LABELS + 18, 51, f"published package {document['versions']['published']}"),
        f'<rect x="{LABELS + 220}" y="40" width="12" height="12" fill="{OURS}"/>',
        _text(LABELS + 238, 51, f"this package {document['versions']['ours']}"),
    ]
    bottom = height - BOTTOM
    for power in range(low, high + 1):
        x = position(10.0**power)
        parts.append(f'<path d="M{x:.1f} {TOP}V{bottom}" stroke="{GRID}"/>')
        label = {0: "1 ns", 3: "1 µs", 6: "1 ms", 9: "1 s"}.get(power)
        if label:
            parts.append(_text(x, bottom + 16, label, "middle"))
    for index, row in enumerate(rows):
        y = TOP + ROW * index
        parts.append(_text(LABELS - 10, y + 24, row.title, "end"))
        for offset, value, colour in ((6, row.published, PUBLISHED), (20, row.ours, OURS)):
            width = max(position(value) - LABELS, 1)
            parts.append(
                f'<rect x="{LABELS}" y="{y + offset}" width="{width:.1f}" height="12" '
                f'fill="{colour}"/>'
            )
            parts.append(
                _text(
                    LABELS + width + 5,
                    y + offset + 10,
                    human(value, "ns"),
                    extra=' font-size="11"',
                )
            )
        parts.append(_text(WIDTH - 16, y + 24, f"{row.ratio:.3g} ×", "end", ' font-weight="bold"'))
    parts.append(_text(16, height - 14, where(document), extra=' font-size="11"'))
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def png(document: dict[str, Any], path: Path) -> None:
    """
    The same as a PNG, with matplotlib.

    Raises:
        ImportError: matplotlib is not installed.
    """
    import importlib

    matplotlib = importlib.import_module("matplotlib")
    matplotlib.use("Agg")
    pyplot = importlib.import_module("matplotlib.pyplot")
    rows = list(reversed(bars(document)))
    figure_, axes = pyplot.subplots(figsize=(10, 0.45 * len(rows) + 1.5))
    places = range(len(rows))
    axes.barh(
        [place + 0.2 for place in places],
        [row.published for row in rows],
        0.38,
        color=PUBLISHED,
        label=f"published package {document['versions']['published']}",
    )
    axes.barh(
        [place - 0.2 for place in places],
        [row.ours for row in rows],
        0.38,
        color=OURS,
        label=f"this package {document['versions']['ours']}",
    )
    axes.set_xscale("log")
    axes.set_yticks(list(places), [f"{row.title}  ({row.ratio:.3g} ×)" for row in rows])
    axes.set_xlabel("ns, logarithmic; shorter is better\n" + where(document), fontsize=8)
    axes.legend(fontsize=8)
    figure_.tight_layout()
    figure_.savefig(path, dpi=120)


def main(argv: Optional[list[str]] = None) -> int:
    """
    Read the JSON, write the picture.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plot", description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("svg", type=Path, nargs="?", help="default: the same name, ending in .svg")
    parser.add_argument("--png", action="store_true", help="a PNG, too, if matplotlib is there")
    options = parser.parse_args(argv)
    document = json.loads(options.results.read_text(encoding="utf-8"))
    target: Path = options.svg or options.results.with_suffix(".svg")
    target.write_text(svg(document), encoding="utf-8")
    print(target)
    if options.png:
        picture = target.with_suffix(".png")
        try:
            png(document, picture)
        except ImportError:
            print("no PNG: matplotlib is not installed")
        else:
            print(picture)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
