"""
The command line: compiling, and programs that come through pipes.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest
import wasi_programs as programs
from support import posix

from wasmtime import wat2wasm

from .commands import COMPONENT, Run, on_a_terminal


class TestCompile:
    def test_a_compiled_program_runs_when_allowed(
        self, run: Run, module: Any, tmp_path: Path
    ) -> None:
        program = module(programs.exits(6), "some.program.wat")
        assert run("compile", program).returncode == 0
        compiled = tmp_path / "cwd" / "some.program.cwasm"
        assert [path.name for path in (tmp_path / "cwd").iterdir()] == [compiled.name]
        assert run("run", compiled).returncode == 1
        assert run("run", "--allow-precompiled", compiled).returncode == 6

    def test_code_that_counts_fuel_runs_with_fuel_alone(
        self, run: Run, module: Any, tmp_path: Path
    ) -> None:
        program = module(programs.exits(6))
        output = tmp_path / "with fuel"
        assert run("compile", "--consume-fuel", "-o", output, program).returncode == 0
        assert run("run", "--allow-precompiled", "--fuel", "1000", output).returncode == 6
        done = run("run", "--allow-precompiled", output)
        assert done.returncode == 1
        assert b"fuel" in done.stderr

    def test_files_that_cannot_be_read_or_written(
        self, run: Run, module: Any, tmp_path: Path
    ) -> None:
        done = run("compile", tmp_path / "nowhere")
        assert done.returncode == 1
        done = run("compile", "-o", tmp_path / "no" / "such", module(programs.HELLO))
        assert done.returncode == 1
        assert b"Traceback" not in done.stderr

    def test_code_goes_to_standard_output(self, run: Run, module: Any, tmp_path: Path) -> None:
        done = run("compile", "-o", "-", module(programs.exits(6)))
        assert (done.returncode, done.stderr) == (0, b"")
        assert list((tmp_path / "cwd").iterdir()) == []
        (tmp_path / "compiled").write_bytes(done.stdout)
        assert run("run", "--allow-precompiled", tmp_path / "compiled").returncode == 6

    def test_a_program_comes_from_standard_input(self, run: Run, tmp_path: Path) -> None:
        source = programs.exits(6).encode()
        assert run("compile", "-", "-o", "compiled", input=source).returncode == 0
        assert run("run", "--allow-precompiled", "compiled").returncode == 6
        done = run("compile", "-", input=source)
        assert done.returncode == 2
        assert b"-o" in done.stderr

    def test_a_component_is_compiled_as_well(self, run: Run, module: Any) -> None:
        assert run("compile", "-o", "compiled", module(COMPONENT)).returncode == 0
        done = run("run", "--allow-precompiled", "--invoke", "greet", "compiled")
        assert (done.returncode, done.stdout) == (0, b"a\x1b[1m\n")

    @posix
    def test_a_link_is_followed_and_a_pipe_stays_one(
        self, run: Run, module: Any, tmp_path: Path
    ) -> None:
        program = module(programs.exits(6))
        (tmp_path / "link").symlink_to("target")
        assert run("compile", "-o", tmp_path / "link", program).returncode == 0
        assert (tmp_path / "link").is_symlink()
        assert run("run", "--allow-precompiled", tmp_path / "target").returncode == 6
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        received: list[bytes] = []
        reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()), daemon=True)
        reader.start()
        assert run("compile", "-o", pipe, program).returncode == 0
        assert pipe.is_fifo()
        reader.join(60)
        assert received == [(tmp_path / "target").read_bytes()]

    @posix
    def test_no_code_goes_to_a_terminal(self, module: Any) -> None:
        program = module(programs.HELLO)
        status, output = on_a_terminal("compile", "-o", "-", program, cwd=program.parent)
        assert status == 2
        assert b"terminal" in output
        assert b"ELF" not in output


@posix
class TestPipes:
    """
    A program in a pipe can be read once only.
    """

    @pytest.mark.parametrize("name", ["-", "/dev/stdin"])
    def test_the_program_is_standard_input(self, run: Run, name: str) -> None:
        assert run("run", name, input=programs.exits(7).encode()).returncode == 7
        assert run("run", name, input=bytes(wat2wasm(programs.exits(7)))).returncode == 7
        done = run("run", "--invoke", "greet", name, input=bytes(wat2wasm(COMPONENT)))
        assert (done.returncode, done.stdout) == (0, b"a\x1b[1m\n")

    def test_the_program_is_a_named_pipe(self, run: Run, tmp_path: Path) -> None:
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        writer = threading.Thread(target=pipe.write_bytes, args=[wat2wasm(programs.exits(7))])
        writer.start()
        assert run("run", pipe).returncode == 7
        writer.join()

    def test_an_empty_pipe_is_no_program(self, run: Run) -> None:
        done = run("run", "-")
        assert done.returncode == 1
        assert b"Traceback" not in done.stderr
