"""A picture of the comparison: ``python -m benchmarks.plot DIRECTORY docs/benchmarks.svg``.

Two bars for each row, the published package's and ours, on a logarithmic scale, drawn by matplotlib
from the figures in the directory.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Optional

from .rows import select
from .table import Results, gained, human, label

PUBLISHED, OURS = "#b0b7c3", "#4f46e5"


def texts(results: Results) -> list[tuple[str, str, str]]:
    """What is written beside each pair of bars: the work with what is gained, and both times."""
    return [
        (
            f"{label(row).replace('`', '')}  ({gained(results, row)})",
            human(results.best("published", row), row.unit),
            human(results.best("ours", row), row.unit),
        )
        for row in select()
        if results.ratio(row) is not None
    ]


def draw(results: Results, path: Path) -> None:
    """Write the picture, in the format that the name of the file asks for."""
    import matplotlib
    import matplotlib.figure

    rows = [row for row in select() if results.ratio(row) is not None]
    titles, *times = zip(*texts(results))
    # Text stays text, and the same figures give the same file.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "benchmarks"})
    figure = matplotlib.figure.Figure(figsize=(12, 0.45 * len(rows) + 1.5), layout="constrained")
    axes: Any = figure.add_subplot()
    for index, (who, name, colour) in enumerate(
        (("published", "published package", PUBLISHED), ("ours", "this package", OURS))
    ):
        places = [place + 0.38 * index for place in range(len(rows))]
        values = [results.best(who, row) for row in rows]
        axes.bar_label(
            axes.barh(places, values, 0.36, color=colour, label=name), times[index], padding=3
        )
    axes.set_yticks([place + 0.19 for place in range(len(rows))], titles)
    axes.set_xscale("log")
    axes.set_xticks([1e-6, 1e-3, 1.0], ["1 µs", "1 ms", "1 s"])
    axes.invert_yaxis()
    axes.margins(x=0.1, y=0.01)
    axes.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("time per operation, logarithmic; shorter is better\n" + results.where())
    figure.legend(loc="outside upper right", ncols=2)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def main(argv: Optional[list[str]] = None) -> int:
    """Read the figures, write the picture."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plot", description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("picture", type=Path)
    options = parser.parse_args(argv)
    draw(Results.load(options.results), options.picture)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
