"""
The benchmarks run with the installed package, and their table and picture are made of the figures.
"""

from __future__ import annotations

import json
import subprocess
import sys
import xml.dom.minidom
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
CONCERNS = ["calls", "host_calls", "traps", "memory", "globals_tables", "instantiation"]

sys.path.append(str(ROOT))

from benchmarks import harness, plot, table  # noqa: E402
from benchmarks.__main__ import add, summary  # noqa: E402


def test_every_row_can_be_measured() -> None:
    code = "import sys; sys.path.append(sys.argv.pop(1)); from benchmarks.child import main; main()"
    only = [argument for concern in CONCERNS for argument in ("--only", concern)]
    done = subprocess.run(
        [sys.executable, "-c", code, str(ROOT), "--quick", *only],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    measured = set(result["figures"])
    assert {key.partition(".")[0] for key in measured} == set(CONCERNS)
    assert set(result["skipped"]) <= {"calls.builtin"}
    assert all(figure > 0 for figures in result["figures"].values() for figure in figures)


def test_a_loop_counts_what_it_repeats() -> None:
    seen: list[int] = []
    work = harness.Work("note(1)\nnote(2)", note=seen.append)
    assert work.loop()(3) >= 0
    assert seen == [1, 2] * 3


def _document() -> dict[str, Any]:
    def result(key: str, ours: float, published: float = 0, **details: Any) -> dict[str, Any]:
        given = {"unit": "ns", "target": None, "limit": None, "baseline": None, "note": ""}
        row = {"key": key, "title": f"`{key}` & more", **given, **details}
        row["ours"] = summary([[ours, ours * 2]], row["unit"] != "ns")
        if published:
            row["published"] = summary([[published]], row["unit"] != "ns")
        return row

    return {
        "machine": {"cpu": "Abacus", "cores": 2, "architecture": "wood", "system": "Table"},
        "date": "2026-11-22",
        "python": "3.11.7",
        "quick": False,
        "sources": "abc",
        "rounds": 1,
        "versions": {"ours": "50.0.1", "published": "50.0.1"},
        "results": [
            result("a.reached", 100.0, 21600.0, target=150),
            result("a.missed", 100.0, 200.0, target=3),
            result("a.builtin", 20.0),
            result("a.bound", 60.0, baseline="a.builtin", limit=2.5),
            result("a.throughput", 0.5, 0.5, unit="ratio", limit=0.9),
        ],
    }


def test_rounds_are_added_to_what_was_measured_before() -> None:
    document, second = _document(), _document()
    second["results"] = second["results"][:1]
    second["results"][0]["published"] = summary([[20000.0]], False)
    second["results"][0]["ours"] = summary([[150.0]], False)
    add(document, second)
    row = document["results"][0]
    assert (row["published"]["best"], row["published"]["rounds"]) == (20000.0, [21600.0, 20000.0])
    assert (row["ours"]["best"], row["ours"]["rounds"]) == (100.0, [100.0, 150.0])


def test_rounds_of_other_sources_are_not_added() -> None:
    second = _document()
    second["sources"] = "def"
    with pytest.raises(SystemExit, match="has changed since"):
        add(_document(), second)
    del second["versions"]["ours"]
    add(_document(), second)


def test_the_table_judges_each_row() -> None:
    document = _document()
    judged = [table.met(result, document) for result in document["results"]]
    assert judged == [True, False, None, False, True]  # the best of 0.5 and 1.0 is 1.0
    lines = table.text(document).splitlines()
    assert "21 600" in lines[1]
    assert "216 ×" in lines[1]
    assert [line.endswith("missed") for line in lines[1:6]] == [False, True, False, True, False]
    assert "3.00 × the C builtin" in lines[4]
    assert "Abacus" in lines[-1]


def test_the_table_is_put_between_its_marks(tmp_path: Path) -> None:
    results, readme = tmp_path / "r.json", tmp_path / "README.md"
    results.write_text(json.dumps(_document()), encoding="utf-8")
    readme.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n", encoding="utf-8")
    assert table.main([str(results), "--into", str(readme)]) == 0
    text = readme.read_text(encoding="utf-8")
    assert text.startswith(f"before\n{table.BEGIN}\n| work |")
    assert text.endswith(f"{table.END}\nafter\n")
    assert "old" not in text


def test_the_picture_has_a_bar_for_each_figure() -> None:
    document = xml.dom.minidom.parseString(plot.svg(_document()))
    bars = [
        node
        for node in document.getElementsByTagName("rect")
        if node.getAttribute("height") == "12" and node.getAttribute("y") != "40"
    ]
    assert len(bars) == 4
    assert float(bars[0].getAttribute("width")) > float(bars[1].getAttribute("width"))


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(15.94, "ns", "15.9"), (123.4, "ns", "123"), (21649.0, "ns", "21 600"), (0.987, "r", "0.99")],
)
def test_figures_have_three_digits(value: float, unit: str, text: str) -> None:
    assert table.figure(value, unit) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (74.31, "74.3 ns"),
        (102.4, "102 ns"),
        (23_900, "23.9 µs"),
        (2.65e9, "2.65 s"),
        (5e6, "5.00 ms"),
    ],
)
def test_figures_have_a_unit_that_suits_them(value: float, text: str) -> None:
    assert table.human(value, "ns") == text
