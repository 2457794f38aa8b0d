"""
The document on generated packages: its program runs.
"""

from __future__ import annotations

import doctest
import re
import subprocess
import sys

from support import CHECKOUT

import wasmtime.bindgen

DOCUMENT = CHECKOUT / "docs" / "bindgen.md"


def test_the_program_runs() -> None:
    programs = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert len(programs) == 1
    done = subprocess.run(
        [sys.executable, "-"],
        input=programs[0].encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
        check=False,
    )
    assert done.stdout == b""
    assert done.returncode == 0


def test_examples_in_the_documentation() -> None:
    result = doctest.testmod(wasmtime.bindgen)
    assert result.attempted > 0
    assert result.failed == 0
