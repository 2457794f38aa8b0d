"""
The benchmarks run with the installed package, their figures are kept round by round, and the table
and the picture are made of them.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Optional

import pytest

pytest.importorskip("pyperf", reason="pyperf measures and keeps the figures")

import pyperf

import benchmarks.__main__ as command
from benchmarks import figures, plot, rows, table
from benchmarks.measure import COMMAND

MEASURED = ["calls", "host_calls", "traps", "memory", "globals_tables", "instantiation"]


@pytest.mark.slow
def test_every_row_can_be_measured(tmp_path: Path) -> None:
    # In one process: pyperf's workers are its own business, and take long to start.
    only = [f"--only={concern}" for concern in MEASURED]
    results = tmp_path / "results.json"
    subprocess.run(
        [sys.executable, *COMMAND, "--quiet", "--debug-single-value", "-o", results, *only],
        check=True,
        timeout=100,
    )
    suite = pyperf.BenchmarkSuite.load(str(results))
    assert suite.get_benchmark_names() == [row.key for row in rows.select(MEASURED)]
    assert all(value > 0 for one in suite.get_benchmarks() for value in one.get_values())


def test_a_loop_counts_what_it_repeats() -> None:
    seen: list[int] = []
    work = rows.Work("note(1)\nnote(2)", note=seen.append)
    assert work.loop()(3) >= 0
    assert seen == [1, 2] * 3


def test_an_unknown_row_is_refused() -> None:
    with pytest.raises(SystemExit, match="no such rows: nonsense; there are: calls"):
        rows.select(["nonsense"])


def _suite(**values: Optional[list[float]]) -> object:
    details = {
        "unit": "second",
        "cpu_model_name": "Abacus",
        "cpu_count": 2,
        "machine": "wood",
        "system": "Table",
        "python_version": "3.11.7 (64-bit)",
        "wasmtime": "50.0.1",
        "date": "2026-11-22 12:00:00",
    }
    return pyperf.BenchmarkSuite(
        [
            pyperf.Benchmark(
                [
                    pyperf.Run([one], metadata={**details, "name": name}, collect_metadata=False)
                    for one in found
                ]
            )
            for name, found in values.items()
            if found is not None
        ]
    )


#: What pyperf notes of a machine that nobody else need know, some of it of each run anew.
PRIVATE = {
    "hostname": "abacus.example",
    "python_executable": "/home/alice/venv/bin/python",
    "python_config_args": "--prefix=/home/alice/python",
    "python_cflags": "-ffile-prefix-map=/home/alice=.",
    "platform": "Table-6.1-alice",
    "boot_time": "2026-11-20 12:00:00",
    "load_avg_1min": 0.5,
    "uptime": 7.5,
}


def _round(path: Path, cpu: str = "Abacus", **notes: object) -> Path:
    """Write what pyperf finds in one round: a calibration and two values of one row."""
    shared = {"name": "calls.add", "unit": "second", "cpu_model_name": cpu, "wasmtime": "50.0.1"}
    details = {**shared, **PRIVATE, **notes, "date": "2026-11-22 12:00:00"}
    runs = [
        pyperf.Run([], [(8, 1e-7)], {**details, "calibrate_loops": 8}, collect_metadata=False),
        pyperf.Run([2e-7, 3e-7], [(8, 1e-7)], {**details, "loops": 8}, collect_metadata=False),
    ]
    pyperf.BenchmarkSuite([pyperf.Benchmark(runs)]).dump(str(path))
    return path


def test_what_tells_whose_machine_it_was_is_not_kept(tmp_path: Path) -> None:
    kept = tmp_path / "ours.json"
    figures.add(_round(tmp_path / "found.json"), kept)
    text = kept.read_text(encoding="utf-8")
    assert [note for note in (*PRIVATE, "alice", "abacus.example") if note in text] == []
    measured = pyperf.BenchmarkSuite.load(str(kept)).get_benchmark("calls.add")
    calibration, run = measured.get_runs()
    assert (calibration.values, calibration.warmups) == ((), ((8, 1e-7),))
    assert (run.values, run.warmups) == ((2e-7, 3e-7), ((8, 1e-7),))
    assert run.get_metadata() == {
        "name": "calls.add",
        "unit": "second",
        "loops": 8,
        "cpu_model_name": "Abacus",
        "wasmtime": "50.0.1",
        "date": "2026-11-22 12:00:00",
    }


def test_a_later_round_adds_to_those_that_are_kept(tmp_path: Path) -> None:
    # The first was kept as pyperf wrote it, the second comes from an environment at another place.
    kept = _round(tmp_path / "ours.json")
    later = _round(tmp_path / "found.json", python_executable="/tmp/other/python", aslr="Full")
    figures.add(later, kept)
    assert "alice" not in kept.read_text(encoding="utf-8")
    measured = pyperf.BenchmarkSuite.load(str(kept)).get_benchmark("calls.add")
    assert measured.get_values() == (2e-7, 3e-7, 2e-7, 3e-7)
    assert {path.name for path in tmp_path.iterdir()} == {"ours.json", "found.json"}


def test_figures_of_another_machine_are_not_added(tmp_path: Path) -> None:
    kept = _round(tmp_path / "ours.json")
    before = kept.read_bytes()
    with pytest.raises(SystemExit, match=r"ours.json has figures that these do not go with: .*cpu"):
        figures.add(_round(tmp_path / "found.json", cpu="Slide rule"), kept)
    assert kept.read_bytes() == before


def test_a_round_that_fails_keeps_the_rows_that_it_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = _round(tmp_path / "measured.json")
    program = "import shutil, sys; shutil.copy(sys.argv[1], sys.argv[4]); sys.exit('no more')"
    monkeypatch.setattr(command, "COMMAND", ("-c", program, str(measured)))
    with pytest.raises(SystemExit, match=r"the measurement with .* failed"):
        command.measure(sys.executable, tmp_path / "ours.json")
    assert (tmp_path / "ours.json").exists()


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch) -> table.Results:
    """Figures of rows that reach what is asked for, and of rows that do not."""
    made: dict[str, rows.Row] = {}
    monkeypatch.setattr(rows, "ROWS", made)
    monkeypatch.setattr(rows, "CONCERNS", ())
    ours, published = {}, {}

    def add(name: str, here: float, there: Optional[float] = None, **details: object) -> None:
        rows.row(name, f"`{name}` & more", **details)(lambda: rows.Work("pass"))
        ours[name] = [here * 2, here] if details.get("unit") != "ratio" else [here / 2, here]
        published[name] = None if there is None else [there]

    add("reached", 100e-9, 21600e-9, target=150)
    add("missed", 100e-9, 200e-9, target=3)
    add("builtin", 20e-9)
    add("bound", 60e-9, baseline="builtin", limit=2.5)
    add("throughput", 1.0, 0.5, unit="ratio", limit=0.9)
    return table.Results(_suite(**ours), _suite(**published))


def test_each_row_shows_the_best_of_all_rounds(results: table.Results) -> None:
    lines = table.markdown(results, rows.select()).splitlines()
    assert lines[2:7] == [
        "| `reached` & more | 21.6 µs | 100 ns | 216 × |",
        "| `missed` & more | 200 ns | 100 ns | 2.0 × |",
        "| `builtin` & more | – | 20.0 ns |  |",
        "| `bound` & more | – | 60.0 ns | 3.00 × the C builtin |",
        "| `throughput` & more | 0.50 | 1.00 |  |",
    ]
    assert lines[-1] == (
        "Measured on Abacus (wood, 2 cores); Table; CPython 3.11.7; this package 50.0.1, "
        "published package 50.0.1; 2026-11-22. The best of one round or more."
    )


def test_rows_that_ours_alone_has_need_no_figures_of_the_other(
    results: table.Results, tmp_path: Path
) -> None:
    results.ours.dump(str(tmp_path / "ours.json"))
    lines = table.markdown(table.Results.load(tmp_path), rows.select()).splitlines()
    assert lines[2] == "| `reached` & more | – | 100 ns |  |"
    assert "; this package 50.0.1; 2026-11-22." in lines[-1]


def test_a_row_that_was_not_measured_yet_is_not_shown(results: table.Results) -> None:
    shown = table.markdown(results, rows.select())
    rows.row("new", "never measured")(lambda: rows.Work("pass"))
    assert table.markdown(results, rows.select()) == shown


def test_rows_that_miss_their_target_are_named(results: table.Results) -> None:
    said = list(table.missed(results, rows.select()))
    assert said == ["missed: 2 × instead of 3 ×", "bound: 3.00 × builtin instead of 2.5 ×"]


def test_the_table_is_put_between_its_marks(results: table.Results, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n", encoding="utf-8")
    results.ours.dump(str(tmp_path / "ours.json"))
    results.published.dump(str(tmp_path / "published.json"))
    assert table.main([str(tmp_path), "--all", "--into", str(readme)]) == 0
    text = readme.read_text(encoding="utf-8")
    assert text.startswith(f"before\n{table.BEGIN}\n| work |")
    assert text.endswith(f"{table.END}\nafter\n")
    assert "old" not in text


def test_the_picture_has_both_times_of_each_row(results: table.Results, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib draws the picture")
    assert plot.texts(results) == [
        ("reached & more  (216 ×)", "21.6 µs", "100 ns"),
        ("missed & more  (2.0 ×)", "200 ns", "100 ns"),
    ]
    for name in ("one.svg", "two.svg"):
        plot.draw(results, tmp_path / name)
    first, second = (tmp_path.joinpath(name).read_bytes() for name in ("one.svg", "two.svg"))
    assert first == second
    assert b">21.6 " in first


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (74.31e-9, "s", "74.3 ns"),
        (102.4e-9, "s", "102 ns"),
        (23.9e-6, "s", "23.9 µs"),
        (2.65, "s", "2.65 s"),
        (5e-3, "s", "5.00 ms"),
        (0.987, "ratio", "0.99"),
        (None, "s", "–"),
    ],
)
def test_figures_have_three_digits_and_a_unit_that_suits_them(
    value: Optional[float], unit: str, text: str
) -> None:
    assert table.human(value, unit) == text
