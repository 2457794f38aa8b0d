"""
The command line: files and arguments that are wrong.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import wasi_programs as programs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .commands import CALCULATOR, COMPONENT, Run


class TestBadInput:
    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (b"", b""),
            (b"\0asm", b""),
            (b"\0asm\x01\0\0\0\xff", b""),
            (b"(module", b""),
            (b"\xff" * 100, b""),
            (b"\0asm\x0d\0\x01\0", b"component"),
            (b"\x7fELF" + b"\0" * 100, b"--allow-precompiled"),
        ],
    )
    def test_a_file_that_is_no_program_is_named(
        self, run: Run, tmp_path: Path, data: bytes, words: bytes
    ) -> None:
        path = tmp_path / "bad.wasm"
        path.write_bytes(data)
        done = run("run", path)
        assert done.returncode == 1
        assert b"bad.wasm" in done.stderr
        assert words in done.stderr
        assert b"Traceback" not in done.stderr

    def test_a_missing_file_is_named(self, run: Run, tmp_path: Path) -> None:
        done = run("run", tmp_path / "nowhere.wasm")
        assert done.returncode == 1
        assert b"nowhere.wasm" in done.stderr
        assert run("run", tmp_path).returncode == 1

    def test_a_file_that_is_no_compiled_code(self, run: Run, tmp_path: Path) -> None:
        path = tmp_path / "bad.cwasm"
        path.write_bytes(b"\x7fELF" + b"\0" * 100)
        done = run("run", "--allow-precompiled", path)
        assert done.returncode == 1
        assert b"Traceback" not in done.stderr

    @pytest.mark.skipif(sys.platform == "win32", reason="arguments are Unicode there")
    def test_an_argument_that_is_not_unicode_is_refused(self, run: Run, module: Any) -> None:
        done = run("run", module(programs.HELLO), b"\xff".decode(errors="surrogateescape"))
        assert done.returncode == 1
        assert b"Traceback" not in done.stderr


class TestArguments:
    """
    Whatever the arguments are, the answer is a message and an exit status.
    """

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["sum", "[" * 100_000], b"nested too deeply"),
            (["sum", "[1, -2]"], b"xs[1]: -2 is not in the range"),
            (["sum", "5"], b"expected list, got int"),
            (["sum", "[1"], b"is not a value of type list<u32>"),
            (["sum"], b"takes 1 arguments, but 0"),
        ],
        ids=["deep", "out of range", "of another type", "no JSON", "too few"],
    )
    @pytest.mark.slow
    def test_arguments_of_a_component_are_told_apart(
        self, run: Run, module: Any, arguments: Any, words: bytes
    ) -> None:
        done = run("run", "--invoke", arguments[0], module(COMPONENT), *arguments[1:])
        assert done.returncode == 2
        assert words in done.stderr
        assert b"Traceback" not in done.stderr

    @settings(
        max_examples=150,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(data=st.data())
    @pytest.mark.slow
    def test_any_argument_is_a_result_or_an_error(
        self, tmp_path: Path, capfd: Any, data: st.DataObject
    ) -> None:
        from wasmtime._cli import main

        files = {"core.wat": CALCULATOR, "component.wat": COMPONENT}
        for name, text in files.items():
            (tmp_path / name).write_text(text)
        odd = ["", "-", "--", "0x", "1e999", "nan", "-1", "[[1]]", "{}", "null", "9" * 30]
        words = st.sampled_from(odd) | st.text(
            st.characters(exclude_characters="\0", exclude_categories=[]), max_size=20
        )
        options = st.sampled_from(
            ["--fuel", "--timeout", "--max-memory-size", "--env", "--dir", "--argv0", "--preload"]
        )
        functions = ["add", "mul64", "single", "double", "takes-ref", "leave", "greet", "sum"]
        arguments = ["run", "--no-cache"]
        for option, value in data.draw(st.lists(st.tuples(options, words), max_size=2)):
            arguments.append(f"{option}={value}")
        arguments += ["--invoke", data.draw(st.sampled_from(functions) | words)]
        arguments.append(str(tmp_path / data.draw(st.sampled_from(sorted(files)))))
        arguments += data.draw(st.lists(words, max_size=3))
        try:
            status = main(arguments)
        except SystemExit as error:
            status = error.code
        assert isinstance(status, int)
        capfd.readouterr()
