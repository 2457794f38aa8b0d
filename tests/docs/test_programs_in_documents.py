"""
Programs in the documents: each runs, and prints what the document says.

The blocks of a page run one after the other in one namespace, as a reader would type them, in a
process and an empty directory of their own. ``<!-- skip: next "why" -->`` before a block leaves it
out.
"""

from __future__ import annotations

import doctest
import re
import sys
from pathlib import Path

import pytest
from support import CHECKOUT, run_in_subprocess

import wasmtime.bindgen

PROGRAM = """
from pathlib import Path
from unittest import SkipTest

from sybil import Sybil
from sybil.parsers.myst import PythonCodeBlockParser, SkipParser


def run(page):
    sybil = Sybil(parsers=[PythonCodeBlockParser(), SkipParser()], path=str(page.parent))
    document = sybil.parse(page)
    document.namespace["__name__"] = "__main__"
    for example in document.examples():
        try:
            example.evaluate()
        except SkipTest:
            pass


if __name__ == "__main__":  # processes that a program starts import this again
    run(Path({page!r}))
"""

PAGES = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").rglob("*.md"))]


def blocks_of(page: Path) -> list[str]:
    """
    The Python programs that a page shows.
    """
    return re.findall(r"```(?:python|pycon)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Sybil is for newer versions of Python")
@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if blocks_of(page)],
    ids=lambda page: str(page.relative_to(CHECKOUT)),
)
def test_the_programs_of_a_page_run(page: Path) -> None:
    run_in_subprocess(PROGRAM.format(page=str(page)), preamble="").check()


def test_the_programs_of_the_readme_print_what_they_say() -> None:
    sandbox, call = blocks_of(CHECKOUT / "README.md")
    assert run_in_subprocess(sandbox, preamble="").check().output == "timeout \n"
    ended = run_in_subprocess(call, preamble="").check()
    assert ended.errors == ""
    assert ended.output.splitlines()[0] == "Hello from Python, 3 to go"


def test_the_programs_with_configurations_print_what_they_say() -> None:
    program = "\n".join(blocks_of(CHECKOUT / "docs" / "configuration.md"))
    printed = run_in_subprocess(program, preamble="").check().output
    assert "Config(consume_fuel=True, wasm_threads=False)" in printed
    assert "wasm_relaxed_simd needs wasm_simd: switch both off, or neither" in printed


def test_examples_in_docstrings() -> None:
    result = doctest.testmod(wasmtime.bindgen)
    assert result.attempted > 0
    assert result.failed == 0
