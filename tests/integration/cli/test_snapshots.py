"""
The command line: modules that begin where another one was.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from asyncified import PROGRAM

from .commands import COMPONENT, Run

RULES = """
(module (memory (export "memory") 1) (global $n (mut i32) (i32.const 0))
  (func (export "_initialize") (global.set $n (i32.const 1)))
  (func (export "load") (global.set $n (i32.add (global.get $n) (i32.const 10))))
  (func (export "get") (result i32) (global.get $n)))
"""


def test_a_library_is_initialised_and_asked_to_set_itself_up(
    run: Run, module: Any, tmp_path: Path
) -> None:
    done = run("snapshot", "--call", "load", module(RULES, "rules.wat"))
    assert done.returncode == 0, done.stderr
    baked = tmp_path / "cwd" / "rules.snapshot.wasm"
    assert run("run", "--invoke", "get", baked).stdout.strip() == b"11"
    # What has run already is no export any more.
    assert run("run", "--invoke", "load", baked).returncode != 0


def test_a_program_goes_on_with_its_input(run: Run, module: Any, tmp_path: Path) -> None:
    output = tmp_path / "baked.wasm"
    done = run("snapshot", "-o", output, module(PROGRAM))
    assert done.returncode == 0, done.stderr
    assert run("run", output, input=b"text").stdout == b"Atext"


def test_what_has_no_snapshot_says_why(run: Run, module: Any) -> None:
    for text, why in (
        ('(module (memory (export "memory") 1) (func (export "_start")))', b"asyncify"),
        ('(module (import "m" "m" (memory 1)))', b"imported"),
        (COMPONENT, b"not a core module"),
    ):
        done = run("snapshot", "-o", "unused.wasm", module(text))
        assert done.returncode == 1
        assert why in done.stderr
    done = run("snapshot", "--call", "missing", "-o", "unused.wasm", module(RULES))
    assert done.returncode == 2
    assert b"'missing'" in done.stderr
