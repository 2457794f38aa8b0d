"""
The command line: Ctrl-C.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import Any

import pytest
import wasi_programs as programs

import wasmtime._cli as command_line

from .commands import started


def _interrupt(process: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        process.send_signal(signal.CTRL_C_EVENT)
    else:
        process.send_signal(signal.SIGINT)


def test_before_a_command_has_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command_line, "_declare", interrupted)
    assert command_line.main(["run", "program.wasm"]) == 130


@pytest.mark.skipif(sys.platform == "win32", reason="a test cannot press Ctrl-C for one process")
class TestInterrupt:
    @pytest.mark.parametrize(
        "options", [[], ["--timeout", "60"], ["--fuel", "1000000000000"], ["--no-cache"]]
    )
    def test_a_spinning_guest(self, module: Any, options: list[str]) -> None:
        text = programs.program(
            "fd_write",
            """
            (i32.store (i32.const 0) (i32.const 100))
            (i32.store (i32.const 4) (i32.const 1))
            (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
            (loop $again (br $again))
            """,
            '(data (i32.const 100) "!")',
        )
        with started("run", *options, module(text), stdin=subprocess.DEVNULL) as process:
            assert process.stdout.read(1) == b"!"
            _interrupt(process)
            assert process.stderr.read() == b""
            assert process.wait(30) == 130

    def test_a_guest_that_waits_for_input(self, module: Any) -> None:
        with started("run", module(programs.CAT), bufsize=0) as process:
            process.stdin.write(b"x")
            assert process.stdout.read(1) == b"x"
            _interrupt(process)
            assert process.stderr.read() == b""
            assert process.wait(30) == 130

    def test_a_guest_that_writes_without_end(self, module: Any) -> None:
        with started("run", module(programs.CHATTER), stdin=subprocess.DEVNULL) as process:
            process.stdout.read(1000)
            _interrupt(process)
            # whoever reads slowly keeps the guest inside of a write
            time.sleep(0.1)
            while process.stdout.read(1 << 16):
                pass
            assert process.wait(30) == 130
