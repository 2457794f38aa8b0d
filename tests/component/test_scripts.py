"""
Scripts of the specification's kind, through the public API.

Those beside this file are run always. ``WASMTIME_COMPONENT_SCRIPTS`` names a directory of more, for
instance the ``test`` directory of the component model's repository: each must end without ending
the process, and what it asserts is reported.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from . import wast

OWN = sorted((Path(__file__).parent / "scripts").glob("*.wast"))
OTHERS = os.environ.get("WASMTIME_COMPONENT_SCRIPTS")


WAYS = pytest.mark.parametrize("asynchronous", [False, True], ids=["called", "awaited"])


@WAYS
@pytest.mark.parametrize("path", OWN, ids=lambda path: path.stem)
def test_a_script_of_our_own(path: Path, asynchronous: bool) -> None:
    assert sum(wast.run_file(path, asynchronous).values()) >= 9


@WAYS
@pytest.mark.skipif(OTHERS is None, reason="WASMTIME_COMPONENT_SCRIPTS is not set")
@pytest.mark.parametrize(
    "path", sorted(Path(OTHERS or "nowhere").rglob("*.wast")), ids=lambda path: path.stem
)
def test_a_script_of_others(path: Path, asynchronous: bool) -> None:
    try:
        wast.run_file(path, asynchronous)
    except AssertionError as error:
        pytest.xfail(str(error)[:500])


def test_the_runner_notices(tmp_path: Path) -> None:
    script = tmp_path / "wrong.wast"
    head = """(component (core module $m (func (export "f") (result i32) (i32.const 1)))
      (core instance $m (instantiate $m))
      (func (export "f") (result u32) (canon lift (core func $m "f"))))"""
    for command in (
        '(assert_return (invoke "f") (u32.const 2))',
        '(assert_trap (invoke "f") "unreachable")',
        "(assert_invalid (component))",
        "(assert_unlinkable (component))",
        '(assert_return (invoke "g"))',
        "(unknown)",
    ):
        script.write_text(f"{head} (; a (; nested ;) comment ;) {command}", encoding="utf-8")
        with pytest.raises(AssertionError):
            wast.run_file(script)
    for text in ("(component", ")", "(component \x00"):
        script.write_text(text, encoding="utf-8")
        with pytest.raises((ValueError, AssertionError, IndexError)):
            wast.run_file(script)
