"""
The command line: `run --json`, which tells how a guest ended, and `run --isolate`.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, Callable

import pytest
import wasi_programs as programs

import wasmtime._cli as command_line

from .commands import CALCULATOR, COMPONENT, TRAPPED, Run, started

Main = Callable[..., tuple[int, str, str]]


@pytest.fixture
def main(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Main:
    """
    Run the command line in this process, which is quicker; its exit status and what it wrote.
    """
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def main(*arguments: Any) -> tuple[int, str, str]:
        status = command_line.main(list(map(os.fspath, arguments)))
        return (status, *capfd.readouterr())

    return main


#: Both tiers of the sandbox.
TIERS = [
    pytest.param([], id="here"),
    pytest.param(["--isolate"], id="isolated", marks=pytest.mark.workers),
]


@pytest.mark.parametrize("tier", TIERS)
class TestJson:
    def test_a_program_is_told_of_as_one_object(self, run: Run, module: Any, tier: Any) -> None:
        done = run("run", "--json", *tier, module(programs.CAT), input=b"in\xff")
        told = json.loads(done.stdout)
        assert told["reason"] == "exited"
        assert told["ok"] is True
        assert told["stdout"] == {"base64": "aW7/"}
        assert told["memory_size"] == 131072
        assert done.returncode == 0
        assert done.stderr == b""

    @pytest.mark.parametrize(
        ("options", "program", "reason", "status"),
        [
            ([], programs.exits(7), "exited", 7),
            ([], programs.TRAP, "trapped", TRAPPED),
            (["--fuel", "10000"], programs.SPIN, "out-of-fuel", TRAPPED),
            (["--timeout", "200ms"], programs.SPIN, "timeout", TRAPPED),
            (["--output-limit", "1KiB"], programs.CHATTER, "output-limit", TRAPPED),
            (["--max-memory-size", "64KiB"], "(memory 2)", "not-started", 1),
            ([], "(func)", "not-started", 1),
        ],
        ids=["status", "trap", "fuel", "timeout", "output", "memory", "no program"],
    )
    def test_how_it_ended_is_told(
        self,
        main: Main,
        module: Any,
        tier: Any,
        options: Any,
        program: str,
        reason: str,
        status: int,
    ) -> None:
        left, output, _ = main("run", "--json", *tier, *options, module(program))
        assert (json.loads(output)["reason"], left) == (reason, status)

    def test_what_a_function_returns_is_the_value(self, main: Main, module: Any, tier: Any) -> None:
        path = module(CALCULATOR)

        def value(*arguments: str) -> Any:
            return json.loads(main("run", "--json", *tier, "--invoke", *arguments)[1])["value"]

        assert value("add", path, "40", "0x2") == 42
        assert value("pair", path) == [1, 2.5]
        assert value("nothing", path) is None
        assert value("greet", module(COMPONENT, "component.wasm")) == "a\x1b[1m"

    def test_what_cannot_be_called_is_told(self, main: Main, module: Any, tier: Any) -> None:
        status, output, _ = main("run", "--json", *tier, "--invoke", "no", module(CALCULATOR))
        assert status == 1
        assert "exports no function 'no'" in json.loads(output)["exception"]["text"]


def test_output_is_cut_off_where_nothing_limits_it(main: Main, module: Any) -> None:
    program = programs.write_status(1 << 16, 20)
    told = json.loads(main("run", "--json", module(program))[1])
    assert told["truncated"] is True
    assert len(told["stdout"]) == 1 << 20


@pytest.mark.workers
class TestIsolation:
    def test_output_and_status_are_those_of_the_program(self, main: Main, module: Any) -> None:
        status, output, errors = main("run", "--isolate", module(programs.HELLO))
        assert (status, output, errors) == (0, "to stdout\n" * 2, "to stderr\n" * 2)
        assert main("run", "--isolate", module(programs.exits(7)))[0] == 7
        status, output, errors = main("run", "--isolate", module(programs.TRAP))
        assert status == TRAPPED
        assert "unreachable" in errors

    def test_input_is_passed_on_as_it_comes(self, module: Any) -> None:
        with started("run", "--isolate", module(programs.CAT), stderr=None, bufsize=0) as process:
            for letter in (b"x", b"y"):
                process.stdin.write(letter)
                assert process.stdout.read(1) == letter
            process.stdin.close()
            assert process.stdout.read() == b""
            assert process.wait(30) == 0

    def test_arguments_variables_and_directories_are_given(
        self, main: Main, module: Any, tmp_path: Path
    ) -> None:
        path = module(programs.ARGUMENTS, "tool.wasm")
        assert main("run", "--isolate", path, "a", "--b")[1] == "tool.wasm\0a\0--b\0"
        variables = module(programs.ENVIRONMENT)
        assert main("run", "--isolate", "--env", "A=1", variables)[1] == "A=1\0"
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "name").write_text("it")
        opens = module(programs.opens("name", 0, programs.RIGHT_READ))
        assert main("run", "--isolate", "--dir", f"{tmp_path / 'data'}::/::ro", opens)[0] == 0
        assert main("run", "--isolate", opens)[0] == programs.ERRNO_BADF

    def test_a_program_comes_from_standard_input(self, run: Run, module: Any) -> None:
        done = run("run", "--isolate", "-", input=module(programs.HELLO).read_bytes())
        assert done.stdout.split() == [b"to", b"stdout"] * 2

    def test_it_ends_when_nobody_reads_what_it_writes(self, module: Any) -> None:
        with started("run", "--isolate", module(programs.CHATTER), stdin=None) as process:
            assert len(process.stdout.read(10)) == 10
            process.stdout.close()
            assert process.wait(60) == 1
            assert process.stderr.read() == b""

    @pytest.mark.skipif(sys.platform == "win32", reason="a test cannot press Ctrl-C there")
    def test_ctrl_c_ends_it(self, module: Any) -> None:
        import signal

        with started("run", "--isolate", module(programs.CAT), bufsize=0) as process:
            process.stdin.write(b"x")
            assert process.stdout.read(1) == b"x"
            process.send_signal(signal.SIGINT)
            assert process.stderr.read() == b""
            assert process.wait(30) == 130


@pytest.mark.parametrize("choice", ["--json", "--isolate"])
@pytest.mark.parametrize(
    "options",
    [
        ["-W", "simd=n"],
        ["--preload", "a=b.wasm"],
        ["--argv0", "a"],
        ["--allow-precompiled"],
        ["--unknown-imports-trap"],
    ],
    ids=lambda options: options[0],
)
def test_options_for_code_in_this_process_are_refused(
    main: Main, module: Any, choice: str, options: Any
) -> None:
    status, _, errors = main("run", choice, *options, module(programs.HELLO))
    assert status == 2
    assert choice in errors
    assert options[0] in errors


#: Writes eight bytes that depend on chance, and eight that depend on the time of day.
CHANCE = programs.program(
    "random_get clock_time_get fd_write",
    """
    (if (call $random_get (i32.const 104) (i32.const 8)) (then unreachable))
    (if (call $clock_time_get (i32.const 0) (i64.const 1) (i32.const 112)) (then unreachable))
    (i32.store (i32.const 0) (i32.const 104))
    (i32.store (i32.const 4) (i32.const 16))
    (if (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))
      (then unreachable))
    """,
)


@pytest.mark.parametrize("tier", [[], pytest.param(["--isolate"], marks=pytest.mark.workers)])
def test_runs_can_be_the_same_each_time(
    capfdbinary: pytest.CaptureFixture[bytes], module: Any, tier: Any
) -> None:
    path = str(module(CHANCE))

    def output(*options: str) -> bytes:
        assert command_line.main(["run", *tier, *options, path]) == 0
        return bytes(capfdbinary.readouterr().out)

    moment = ["--clock", "2030-01-01T00:00:00Z"]
    first = output("--seed", "any text", *moment)
    assert len(first) == 16
    assert output("--seed", "any text", "--clock", "1893456000")[:8] == first[:8]
    assert int.from_bytes(first[8:], "little") // 10**9 == 1893456000
    assert output("--seed", "7", *moment)[:8] != first[:8]
    assert output() != first


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--clock", "tomorrow"),
        ("--clock", "-1"),
        ("--clock", "1e300"),
        ("--clock", "2030-13-01T00:00:00Z"),
        ("--clock", "1900-01-01"),
        ("--clock", "9" * 400),
        ("--output-limit", "many"),
    ],
)
def test_what_is_no_moment_or_size_is_refused(
    main: Main, capfd: pytest.CaptureFixture[str], option: str, value: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main("run", f"{option}={value}", "program.wasm")
    assert value[:50] in capfd.readouterr().err


def test_components_have_no_seed(main: Main, module: Any) -> None:
    status, _, errors = main("run", "--seed", "1", "--invoke", "greet", module(COMPONENT))
    assert status == 2
    assert "core modules" in errors


def test_the_limit_of_output_holds_for_each_stream(main: Main, module: Any) -> None:
    status, output, errors = main("run", "--output-limit", "5", module(programs.HELLO))
    assert (status, output) == (TRAPPED, "to st")
    assert "limit of 5 bytes" in errors
    status, output, errors = main("run", "--output-limit", "1MB", module(programs.HELLO))
    assert (status, output, errors) == (0, "to stdout\n" * 2, "to stderr\n" * 2)
