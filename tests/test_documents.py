"""
What the documents say: links lead somewhere, programs run, figures are those that were measured.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import plot, table

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]



@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8"))
    missing = [
        target for target in targets if "://" not in target and not (path.parent / target).exists()
    ]
    assert missing == []


def test_the_program_of_the_readme_runs() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    programs = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(programs) == 1
    done = subprocess.run(
        [sys.executable, "-"], input=programs[0], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout.splitlines()[0] == "Hello from Python, 3 to go"


def _newest_results() -> Path:
    results = ROOT / "benchmarks" / "results"
    return max(
        results.glob("*.json"),
        key=lambda path: json.loads(path.read_text(encoding="utf-8"))["date"],
    )


@pytest.mark.parametrize("name", ["README.md", "docs/benchmarks.md"])
def test_the_figures_are_those_that_were_measured(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    shown = text.partition(table.BEGIN)[2].partition(table.END)[0].strip()
    document = json.loads(_newest_results().read_text(encoding="utf-8"))
    assert shown == table.markdown(document, everything=name != "README.md")


def test_the_picture_is_drawn_from_what_was_measured() -> None:
    document = json.loads(_newest_results().read_text(encoding="utf-8"))
    assert (ROOT / "docs" / "benchmarks.svg").read_text(encoding="utf-8") == plot.svg(document)
