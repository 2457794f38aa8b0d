"""
The command line: what it prints to a terminal, a file, and to nobody.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import wasi_programs as programs
from support import posix

from .commands import CALCULATOR, COMMAND, COMPONENT, TRAPPED, Run, on_a_terminal

#: What would clear the screen, ring, or turn the direction of writing.
ESCAPES = "\x1b[2J\x07\u202e\x9b"


ESCAPED = rb"\x1b[2J\x07\u202e\x9b"


class TestEscapes:
    """
    Nothing of a guest's reaches the terminal in a message that the terminal would obey.
    """

    @pytest.mark.parametrize(
        ("options", "text", "status"),
        [
            ([], '(module (func (export "NAME")))', 1),
            (["--invoke", "x"], '(module (func (export "NAME")))', 1),
            ([], '(module (import "NAME" "NAME" (func)))', 1),
            ([], '(module (func $"NAME" (export "_start") unreachable))', TRAPPED),
        ],
        ids=["exports", "other exports", "imports", "names of functions"],
    )
    def test_names_of_the_guest_are_escaped(
        self, run: Run, module: Any, options: Any, text: str, status: int
    ) -> None:
        name = "".join(f"\\{byte:02x}" for byte in ESCAPES.encode())
        done = run("run", *options, module(text.replace("NAME", name)))
        assert done.returncode == status
        assert ESCAPED in done.stderr
        assert not any(escape.encode() in done.stderr for escape in ESCAPES if escape not in "[2J")

    def test_names_of_files_are_escaped(self, run: Run, module: Any) -> None:
        name = "a\x1b[2J.wasm" if sys.platform != "win32" else "a\u202e.wasm"
        done = run("run", module("(module (func))", name).with_name(name + "x"))
        assert done.returncode == 1
        assert rb"a\x1b[2J" in done.stderr or rb"a\u202e" in done.stderr

    def test_a_name_cannot_pretend_to_be_a_line_of_ours(self, run: Run, module: Any) -> None:
        done = run("run", module(r'(module (func (export "a\nerror: x")))'))
        assert rb"a\nerror: x" in done.stderr

    def test_results_are_exact_unless_a_terminal_shows_them(self, run: Run, module: Any) -> None:
        assert run("run", "--invoke", "greet", module(COMPONENT)).stdout == b"a\x1b[1m\n"
        if sys.platform != "win32":
            status, output = on_a_terminal("run", "--invoke", "greet", module(COMPONENT))
            assert (status, output) == (0, b"a\\x1b[1m\r\n")

    def test_results_beyond_the_encoding_are_escaped(self, run: Run, module: Any) -> None:
        text = COMPONENT.replace("a\\1b[1m", "\\e2\\82\\ac  ")
        done = run(
            "run", "--invoke", "greet", module(text), extra_env={"PYTHONIOENCODING": "ascii"}
        )
        assert (done.returncode, done.stdout) == (0, b"\\u20ac  \n")

    def test_the_generator_escapes_as_well(self, tmp_path: Path) -> None:
        path = tmp_path / "bad\u202e.wat"
        path.write_text("(module")
        done = subprocess.run(
            [sys.executable, "-m", "wasmtime.bindgen", str(path), "--out-dir", str(tmp_path)],
            capture_output=True,
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
            timeout=60,
        )
        assert done.returncode == 1
        assert rb"\u202e" in done.stderr


@posix
class TestStreams:
    """
    The standard streams may be closed, or lead to where nothing can be written.
    """

    def test_a_full_disk(self, module: Any) -> None:
        if not os.path.exists("/dev/full"):
            pytest.skip("this system has no /dev/full")
        for arguments in (["--invoke", "add", str(module(CALCULATOR)), "1", "2"], ["--help"]):
            with open("/dev/full", "wb") as full:
                done = subprocess.run(
                    [*COMMAND, "run", *arguments], stdout=full, stderr=subprocess.PIPE, timeout=60
                )
            assert done.returncode == 1 or arguments == ["--help"]
            assert b"Traceback" not in done.stderr
            assert b"Exception" not in done.stderr

    @pytest.mark.parametrize("closed", [">&-", "<&-", "2>&-", ">&- <&- 2>&-"])
    @pytest.mark.slow
    def test_closed_ones_are_not_replaced_by_files_of_ours(self, module: Any, closed: str) -> None:
        """
        Were one of our own sockets behind its streams, the guest would wait for ever when it reads,
        and its words would be taken for signals when it writes.
        """
        for text, status in ((programs.HELLO, 0), (programs.CAT, 0), (programs.exits(5), 5)):
            command = " ".join(shlex.quote(word) for word in [*COMMAND, "run", str(module(text))])
            done = subprocess.run(
                ["sh", "-c", f"{command} {closed}"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=60,
            )
            assert done.returncode == status
            assert b"Traceback" not in done.stderr

    def test_results_without_a_standard_output(self, module: Any) -> None:
        program = shlex.quote(str(module(CALCULATOR)))
        command = " ".join(map(shlex.quote, COMMAND))
        done = subprocess.run(
            ["sh", "-c", f"{command} run --invoke add {program} 1 2 >&-"],
            stderr=subprocess.PIPE,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, b"")

    def test_the_reader_of_the_help_is_gone(self) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, "wb") as stdout:
            done = subprocess.run(
                [*COMMAND, "--help"], stdout=stdout, stderr=subprocess.PIPE, timeout=60
            )
        assert done.stderr == b""


def test_reader_of_results_gone(module: Any) -> None:
    """
    ``python -m wasmtime run --invoke add ... | true`` complains neither loudly nor for ever.
    """
    if sys.platform == "win32":
        pytest.skip("pipes close differently there")
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as stdout:
        done = subprocess.run(
            [*COMMAND, "run", "--invoke", "add", str(module(CALCULATOR)), "1", "2"],
            stdout=stdout,
            stderr=subprocess.PIPE,
            timeout=60,
        )
    assert done.returncode == 1
    assert done.stderr == b""


def test_main_can_be_called(module: Any, capfd: Any) -> None:
    from wasmtime._cli import main

    assert main(["run", "--no-cache", str(module(programs.HELLO))]) == 0
    assert capfd.readouterr() == ("to stdout\n" * 2, "to stderr\n" * 2)
    with pytest.raises(SystemExit):
        main(["--version"])
