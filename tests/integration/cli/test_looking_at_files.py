"""
The commands that look at files: inspect, validate, wat2wasm, profile, cache, and the default.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support import needs

import wasmtime._cli as command_line

from .commands import CALCULATOR, COMPONENT, Run

SPIN = """
(module
  (func $<b>inner</b> (export "inner") (param i32)
    (loop $again (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
  (func $work (export "_start") (call 0 (i32.const 30000000))))
"""


@pytest.fixture
def run(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> Run:
    """
    Run commands in the process of the tests, which is quicker, but for those that are given input.
    """
    in_its_process = run
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path / "cwd")

    def run(*arguments: Any, **options: Any) -> subprocess.CompletedProcess[bytes]:
        if options:
            return in_its_process(*arguments, **options)
        command = list(map(os.fspath, arguments))
        try:
            status: Any = command_line.main(command)
        except SystemExit as end:
            status = end.code
        return subprocess.CompletedProcess(command, status, *capfdbinary.readouterr())

    return run


def test_a_file_without_a_command_is_run(run: Run, module: Any) -> None:
    done = run("--invoke", "add", module(CALCULATOR), "5", "3")
    assert (done.returncode, done.stdout) == (0, b"8\n")


def test_help_names_every_command_and_shows_examples(run: Run) -> None:
    told = run("--help").stdout.decode()
    for command in ("run", "compile", "inspect", "validate", "wat2wasm", "profile", "cache"):
        assert f"  {command} " in told
        assert "examples" in run(command, "--help").stdout.decode()


class TestInspect:
    """
    What is in a file, for people and for programs.
    """

    def test_a_module(self, run: Run, module: Any) -> None:
        done = run("inspect", "--json", module(CALCULATOR))
        report = json.loads(done.stdout)
        assert report["kind"] == "module"
        assert {"name": "memory", "type": "(memory 1)"} in report["exports"]
        imported = {"module": "wasi_snapshot_preview1", "name": "proc_exit"}
        assert report["imports"] == [{**imported, "type": "(func (param i32))"}]
        # The import is function 0, and does not count among the bodies.
        assert {body["position"] for body in report["largest_functions"]} == set(range(1, 10 + 1))

    def test_a_component(self, run: Run, module: Any) -> None:
        report = json.loads(run("inspect", "--json", module(COMPONENT)).stdout)
        assert "export sum: func(xs: list<u32>) -> u32;" in report["wit"]
        assert report["kind"] == "component"

    def test_names_are_escaped(self, run: Run, module: Any) -> None:
        done = run("inspect", module(r'(module (func $"\1b[2J" (export "a\0ab")))'))
        assert b"\x1b" not in done.stdout
        assert rb"\x1b[2J" in done.stdout
        assert rb"a\nb" in done.stdout

    def test_what_is_not_valid_is_named(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "bad.wasm").write_bytes(b"\0asm\1\0\0\0\xff")
        done = run("inspect", tmp_path / "bad.wasm")
        assert done.returncode == 1
        assert b"bad.wasm cannot be inspected" in done.stderr


class TestValidate:
    """
    Whether files are valid: status 0 and silence, or 1 and the reason for each.
    """

    def test_each_file_is_looked_at(self, run: Run, module: Any) -> None:
        good = module(CALCULATOR, "good.wasm")
        bad = module("(module (func (result i32)))", "bad.wasm")
        assert run("validate", good, module(COMPONENT, "component.wasm")).stdout == b""
        done = run("validate", bad, good)
        assert done.returncode == 1
        assert b"bad.wasm is not valid" in done.stderr

    def test_proposals_can_be_switched_off(self, run: Run, module: Any) -> None:
        simd = module('(module (func (export "f") (result v128) (v128.const i64x2 0 0)))')
        assert run("validate", simd).returncode == 0
        assert run("validate", "-W", "simd=n,relaxed-simd=n", simd).returncode == 1


class TestGroups:
    """
    The grouped options of the official command line.
    """

    def test_limits(self, run: Run, module: Any) -> None:
        done = run("-W", "fuel=1000", module(SPIN))
        assert b"fuel" in done.stderr

    @pytest.mark.parametrize(
        ("option", "words"),
        [
            ("-W nosuch", b"no key 'nosuch'"),
            ("-O opt-level=7", b"'7' is not one of 0, 1, 2, s"),
            ("-W fuel", b"'' is not a number"),
        ],
    )
    def test_what_is_wrong_is_named(self, run: Run, module: Any, option: str, words: bytes) -> None:
        done = run(*option.split(), module(SPIN))
        assert done.returncode == 2
        assert words in done.stderr

    def test_settings_that_do_not_go_together(self, run: Run, module: Any) -> None:
        done = run("-W", "simd=n", module(CALCULATOR))
        assert done.returncode == 2
        assert b"do not go together" in done.stderr

    def test_help_lists_the_keys(self, run: Run) -> None:
        assert b"max-wasm-stack\n" in run("run", "-W", "help").stdout


def test_text_becomes_binary(run: Run, tmp_path: Path) -> None:
    (tmp_path / "cwd" / "a.wat").write_text(CALCULATOR)
    assert run("wat2wasm", "a.wat").returncode == 0
    assert (tmp_path / "cwd" / "a.wasm").read_bytes()[:4] == b"\0asm"
    assert run("wat2wasm", "-", input=b"(module)").stdout == b"\0asm\1\0\0\0"


class TestProfile:
    """
    Where a program spends its time.
    """

    def test_a_flame_graph_in_one_page(self, run: Run, module: Any, tmp_path: Path) -> None:
        program = module(SPIN.replace("$<b>inner</b>", '$"<b>inner</b>"'))
        assert run("profile", program).returncode == 0
        page = (tmp_path / "cwd" / "program.profile.html").read_text()
        assert "&lt;b&gt;inner&lt;/b&gt;" in page
        assert "<b>" not in page
        assert "http" not in page.replace("https://profiler.firefox.com", "")

    def test_the_profile_itself(self, run: Run, module: Any, tmp_path: Path) -> None:
        program = module(SPIN.replace("$<b>inner</b>", "$inner"))
        assert run("profile", "-o", "p.json", program).returncode == 0
        profile = json.loads((tmp_path / "cwd" / "p.json").read_text())
        assert "inner" in profile["threads"][0]["stringArray"]


def test_the_cache_is_listed_and_emptied(run: Run) -> None:
    (path,) = run("cache", "path").stdout.decode().split()
    assert path.endswith("compiled")
    assert run("cache", "clear").stdout == b"0 entries removed, 0 bytes\n"
    assert run("cache", "ls").stdout == b""


@needs("shtab")
def test_a_shell_completes_commands(run: Run) -> None:
    assert b"inspect" in run("completion", "bash").stdout
