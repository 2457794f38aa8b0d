"""
What the documents say: links lead somewhere, and figures are those that were measured.
"""

from __future__ import annotations

import re
import xml.dom.minidom
from pathlib import Path

import pytest
from support import CHECKOUT

from benchmarks import plot, rows, table

DOCUMENTS = [*sorted(CHECKOUT.glob("*.md")), *sorted((CHECKOUT / "docs").rglob("*.md"))]


def _anchors(page: Path) -> set[str]:
    """
    The names of a page's headings in links.
    """
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _leads_somewhere(page: Path, target: str) -> bool:
    path, _, anchor = target.partition("#")
    place = page.parent / path if path else page
    return place.exists() and (not anchor or anchor in _anchors(place))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = [target for target in re.findall(r"\]\(([^)\s]+)", text) if "://" not in target]
    assert [target for target in targets if not _leads_somewhere(path, target)] == []


def _newest_results() -> table.Results:
    pytest.importorskip("pyperf", reason="pyperf reads the figures")
    kept = [path.parent for path in (CHECKOUT / "benchmarks" / "results").glob("*/ours.json")]
    return max(map(table.Results.load, kept), key=lambda results: results.ours.get_dates())


@pytest.mark.parametrize("name", ["README.md", "docs/benchmarks.md"])
def test_the_figures_are_those_that_were_measured(name: str) -> None:
    text = (CHECKOUT / name).read_text(encoding="utf-8")
    shown = text.partition(table.BEGIN)[2].partition(table.END)[0].strip()
    shown_rows = rows.select(table.HEADLINES if name == "README.md" else ())
    assert shown == table.markdown(_newest_results(), shown_rows)


def test_the_picture_is_drawn_from_what_was_measured() -> None:
    picture = xml.dom.minidom.parse(str(CHECKOUT / "docs" / "benchmarks.svg"))
    written = {node.firstChild.nodeValue for node in picture.getElementsByTagName("text")}
    for texts in plot.texts(_newest_results()):
        assert set(texts) <= written
