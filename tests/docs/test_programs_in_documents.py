"""
Programs in the documents: each runs, and prints what the document says.
"""

from __future__ import annotations

import doctest
import re
import threading

import pytest
from support import CHECKOUT, run_in_subprocess

import wasmtime.bindgen


def programs_of(name: str) -> list[str]:
    """
    The Python programs that a document shows.
    """
    text = (CHECKOUT / name).read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def test_the_program_of_the_readme() -> None:
    (program,) = programs_of("README.md")
    ended = run_in_subprocess(program, preamble="").check()
    assert ended.errors == ""
    assert ended.output.splitlines()[0] == "Hello from Python, 3 to go"


def test_the_program_with_a_generated_package() -> None:
    (program,) = programs_of("docs/bindgen.md")
    ended = run_in_subprocess(program, preamble="").check()
    assert (ended.output, ended.errors) == ("", "")


def test_the_programs_with_configurations(capsys: pytest.CaptureFixture[str]) -> None:
    size = threading.stack_size()
    programs = programs_of("docs/configuration.md")
    assert len(programs) >= 6
    try:
        for program in programs:
            exec(compile(program, "docs/configuration.md", "exec"), {})
    finally:
        threading.stack_size(size)
    printed = capsys.readouterr().out
    assert "Config(consume_fuel=True, wasm_threads=False)" in printed
    assert "wasm_relaxed_simd needs wasm_simd: switch both off, or neither" in printed


def test_examples_in_docstrings() -> None:
    result = doctest.testmod(wasmtime.bindgen)
    assert result.attempted > 0
    assert result.failed == 0
