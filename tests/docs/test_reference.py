"""
The reference holds everything public, once.
"""

from __future__ import annotations

import importlib
import re
from collections import Counter

import pytest
from support import CHECKOUT

REFERENCE = CHECKOUT / "docs" / "reference"
DIRECTIVE = re.compile(r"^\.\. (currentmodule|auto\w+):: (\S+)$", re.MULTILINE)


def entries() -> Counter[str]:
    """
    The full names that the reference describes, and how often.
    """
    found: Counter[str] = Counter()
    for page in REFERENCE.glob("*.md"):
        module = ""
        for directive, name in DIRECTIVE.findall(page.read_text(encoding="utf-8")):
            if directive == "currentmodule":
                module = name
            else:
                found[f"{module}.{name}"] += 1
    return found


@pytest.mark.parametrize(
    "module",
    ["wasmtime", "wasmtime.component", "wasmtime.bindgen", "wasmtime.loader", "wasmtime.sandbox"],
)
def test_everything_public_is_in_the_reference_once(module: str) -> None:
    names = importlib.import_module(module).__all__
    public = {f"{module}.{name}" for name in names if not name.startswith("__")}
    described = entries()
    assert public - described.keys() == set()
    assert [name for name in public if described[name] > 1] == []


def test_every_page_of_the_reference_is_in_its_index() -> None:
    index = (REFERENCE / "index.md").read_text(encoding="utf-8").split()
    pages = {page.stem for page in REFERENCE.glob("*.md")} - {"index"}
    assert pages - set(index) == set()
