"""
The command line: running modules, calling their exports, limits.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import wasi_programs as programs

from .commands import CALCULATOR, TRAPPED, Run, started


class TestTop:
    def test_the_version_names_the_system_too(self, run: Run) -> None:
        import wasmtime

        done = run("--version")
        assert done.returncode == 0
        assert done.stdout.decode().startswith(f"wasmtime {wasmtime.__version__} (")
        assert sys.platform in done.stdout.decode()

    def test_help_names_the_commands(self, run: Run) -> None:
        done = run("--help")
        assert done.returncode == 0
        assert b"run " in done.stdout
        assert b"compile" in done.stdout
        for command in ("run", "compile"):
            assert run(command, "--help").returncode == 0

    @pytest.mark.parametrize(
        "arguments",
        [
            [],
            ["walk"],
            ["--nonsense"],
            ["run"],
            ["run", "--nonsense", "x.wasm"],
            ["run", "--env", "=x", "x.wasm"],
            ["run", "--dir", "::x", "x.wasm"],
            ["run", "--dir", "a::b::c", "x.wasm"],
            ["run", "--dir", "a::b::ro::x", "x.wasm"],
            ["run", "--fuel", "-1", "x.wasm"],
            ["run", "--fuel", "x", "x.wasm"],
            ["run", "--fuel=--", "x.wasm"],
            ["run", "--env=--", "x.wasm"],
            ["run", "--fuel", "1" + "0" * 23, "x.wasm"],
            ["run", "--fuel", "1" + "0" * 5000, "x.wasm"],
            ["run", "--timeout", "0", "x.wasm"],
            ["run", "--timeout", "1y", "x.wasm"],
            ["run", "--max-memory-size", "x", "x.wasm"],
            ["run", "--max-memory-size", str(1 << 63), "x.wasm"],
            ["run", "--preload", "x", "x.wasm"],
            ["inspect", "--functions=-1", "x.wasm"],
            ["compile"],
            ["compile", "-o"],
        ],
    )
    @pytest.mark.slow
    def test_wrong_usage_is_status_2(self, run: Run, arguments: list[str]) -> None:
        done = run(*arguments)
        assert done.returncode == 2
        assert b"usage: python -m wasmtime" in done.stderr
        assert b"Traceback" not in done.stderr


class TestRun:
    def test_streams_are_those_of_the_process(self, run: Run, module: Any) -> None:
        done = run("run", module(programs.CAT), input=b"in\0put\xff")
        assert (done.returncode, done.stdout, done.stderr) == (0, b"in\0put\xff", b"")
        done = run("run", module(programs.HELLO))
        assert (done.stdout, done.stderr) == (b"to stdout\n" * 2, b"to stderr\n" * 2)

    def test_arguments_after_the_program_are_its_own(self, run: Run, module: Any) -> None:
        done = run("run", module(programs.ARGUMENTS), "a", "--dir", "--", "-x", "--help", "")
        assert done.stdout.split(b"\0")[:-1] == [
            b"program.wasm",
            b"a",
            b"--dir",
            b"--",
            b"-x",
            b"--help",
            b"",
        ]
        done = run("run", "--argv0", "other", "--", module(programs.ARGUMENTS), "a")
        assert done.stdout.split(b"\0")[:-1] == [b"other", b"a"]

    def test_the_environment_holds_what_was_named(self, run: Run, module: Any) -> None:
        program = module(programs.ENVIRONMENT)
        assert run("run", program).stdout == b""
        done = run(
            "run",
            *("--env", "A=1", "--env", "B=x=y", "--env", "WASI_TEST_C", "--env", "WASI_TEST_D"),
            *("--env", "A=2"),
            program,
            extra_env={"WASI_TEST_C": "inherited"},
        )
        assert done.stdout.split(b"\0")[:-1] == [b"A=2", b"B=x=y", b"WASI_TEST_C=inherited"]

    @pytest.mark.parametrize("code", [0, 1, 125])
    def test_the_exit_status_is_the_programs(self, run: Run, module: Any, code: int) -> None:
        done = run("run", module(programs.exits(code)))
        assert (done.returncode, done.stdout, done.stderr) == (code, b"", b"")

    def test_a_trap_is_told_without_a_traceback(self, run: Run, module: Any) -> None:
        done = run("run", module(programs.TRAP))
        assert done.returncode == TRAPPED
        assert b"unreachable" in done.stderr
        assert b"Traceback" not in done.stderr

    def test_text_is_run_as_well(self, run: Run, module: Any) -> None:
        assert run("run", module(programs.exits(9), "program.wat")).returncode == 9

    @pytest.mark.parametrize(
        ("option", "read", "write"),
        [
            ("{0}::/", 0, 0),
            ("{0}::/::rw", 0, 0),
            ("{0}::/::ro", 0, programs.ERRNO_PERM),
            ("{0}", 0, 0),
            (".", 0, 0),
        ],
    )
    @pytest.mark.slow
    def test_directories_are_open_as_the_option_says(
        self, run: Run, module: Any, tmp_path: Path, option: str, read: int, write: int
    ) -> None:
        cwd = tmp_path / "cwd"
        (cwd / "file").write_text("x")
        option = option.format(cwd)
        for rights, status in ((programs.RIGHT_READ, read), (programs.RIGHT_WRITE, write)):
            program = module(programs.opens("file", 0, rights))
            assert run("run", "--dir", option, program).returncode == status
        assert run("run", program).returncode == programs.ERRNO_BADF

    def test_a_missing_directory_is_named(self, run: Run, module: Any) -> None:
        done = run("run", "--dir", "nowhere", module(programs.HELLO))
        assert done.returncode == 1
        assert b"nowhere" in done.stderr
        assert b"Traceback" not in done.stderr

    def test_a_reactor_is_initialized_first(self, run: Run, module: Any) -> None:
        program = module(
            """
            (module
              (global $ready (mut i32) (i32.const 0))
              (func (export "_initialize") (global.set $ready (i32.const 42)))
              (func (export "answer") (result i32) (global.get $ready)))
            """
        )
        assert run("run", "--invoke", "answer", program).stdout == b"42\n"
        done = run("run", program)
        assert done.returncode == 1
        assert b"--invoke" in done.stderr
        assert b"answer" in done.stderr

    def test_a_start_section_is_enough(self, run: Run, module: Any) -> None:
        text = programs.HELLO.replace('(func (export "_start")', "(start $main) (func $main")
        done = run("run", module(text))
        assert (done.returncode, done.stdout) == (0, b"to stdout\n" * 2)

    def test_preloaded_modules_serve_imports(self, run: Run, module: Any) -> None:
        library = module(
            '(module (func (export "answer") (result i32) (i32.const 42)))', "library.wasm"
        )
        program = module(
            """
            (module (import "lib" "answer" (func $answer (result i32)))
              (func (export "twice") (result i32) (i32.mul (call $answer) (i32.const 2))))
            """
        )
        done = run("run", "--preload", f"lib={library}", "--invoke", "twice", program)
        assert done.stdout == b"84\n"
        done = run("run", "--invoke", "twice", program)
        assert done.returncode == 1
        assert b"answer" in done.stderr

    def test_unknown_imports_are_told_or_trap(self, run: Run, module: Any) -> None:
        program = module(
            '(module (import "host" "missing" (func $f)) (func (export "_start"))'
            ' (func (export "use") (call $f)))'
        )
        done = run("run", program)
        assert done.returncode == 1
        assert b"missing" in done.stderr
        assert run("run", "--unknown-imports-trap", program).returncode == 0
        done = run("run", "--unknown-imports-trap", "--invoke", "use", program)
        assert done.returncode in (1, TRAPPED)
        assert b"missing" in done.stderr

    def test_nothing_is_left_behind_without_cache(
        self, run: Run, module: Any, tmp_path: Path
    ) -> None:
        assert run("run", "--no-cache", module(programs.HELLO)).returncode == 0
        assert not (tmp_path / "cache").exists()

    @pytest.mark.skipif(sys.platform != "linux", reason="the cache lies elsewhere")
    def test_the_cache_is_used_twice(self, run: Run, module: Any, tmp_path: Path) -> None:
        for _ in range(2):
            assert run("run", module(programs.exits(4))).returncode == 4
        assert list((tmp_path / "cache").rglob("*"))

    @pytest.mark.skipif(sys.platform != "linux", reason="the cache lies elsewhere")
    def test_a_cache_that_cannot_be_written_does_no_harm(
        self, run: Run, module: Any, tmp_path: Path
    ) -> None:
        (tmp_path / "cache").write_text("in the way")
        assert run("run", module(programs.exits(4))).returncode == 4


class TestInvoke:
    @pytest.mark.parametrize(
        ("arguments", "output"),
        [
            (["add", "1", "2"], b"3\n"),
            (["add", "-1", "0xffffffff"], b"-2\n"),
            (["add", "0x7fffffff", "+1"], b"-2147483648\n"),
            (["mul64", "-0x10", "1000000000000"], b"-16000000000000\n"),
            (["single", "1.1"], b"1.1\n"),
            (["single", "1e30"], b"1e+30\n"),
            (["single", "0.333333343"], b"0.33333334\n"),
            (["single", "inf"], b"inf\n"),
            (["double", "1.1"], b"1.1\n"),
            (["double", "nan"], b"nan\n"),
            (["pair"], b"1\n2.5\n"),
            (["nothing"], b""),
            (["null"], b"<null externref>\n"),
        ],
    )
    @pytest.mark.slow
    def test_results_are_printed_one_a_line(
        self, run: Run, module: Any, arguments: list[str], output: bytes
    ) -> None:
        done = run("run", "--invoke", arguments[0], module(CALCULATOR), *arguments[1:])
        assert (done.returncode, done.stdout, done.stderr) == (0, output, b"")

    def test_exits_and_traps_have_their_status(self, run: Run, module: Any) -> None:
        assert run("run", "--invoke", "leave", module(CALCULATOR), "7").returncode == 7
        assert run("run", "--invoke", "divide", module(CALCULATOR), "1", "0").returncode == TRAPPED

    @pytest.mark.parametrize(
        ("arguments", "status", "words"),
        [
            (["subtract"], 1, b"'subtract'"),
            (["memory"], 1, b"'memory'"),
            (["add", "1"], 2, b"takes 2 arguments, but 1"),
            (["add", "1", "2", "3"], 2, b"takes 2 arguments, but 3"),
            (["add", "1", "x"], 2, b"argument 2 of 'add'"),
            (["add", "1", "1.5"], 2, b"argument 2 of 'add'"),
            (["add", "1", "4294967296"], 2, b"out of range"),
            (["add", "1", "-2147483649"], 2, b"out of range"),
            (["single", "one"], 2, b"argument 1 of 'single'"),
            (["takes-ref", "x"], 2, b"externref"),
        ],
    )
    @pytest.mark.slow
    def test_wrong_names_and_arguments_are_told(
        self, run: Run, module: Any, arguments: list[str], status: int, words: bytes
    ) -> None:
        done = run("run", "--invoke", arguments[0], module(CALCULATOR), *arguments[1:])
        assert done.returncode == status
        assert words in done.stderr
        assert b"Traceback" not in done.stderr


class TestLimits:
    def test_fuel_ends_a_loop(self, run: Run, module: Any) -> None:
        done = run("run", "--fuel", "100000", module(programs.SPIN))
        assert done.returncode == TRAPPED
        assert b"all fuel consumed" in done.stderr
        assert run("run", "--fuel", "100000", module(programs.exits(3))).returncode == 3

    def test_a_timeout_ends_a_loop(self, run: Run, module: Any) -> None:
        begun = time.monotonic()
        done = run("run", "--timeout", "300ms", module(programs.SPIN))
        assert done.returncode == TRAPPED
        assert b"after 0.3 seconds" in done.stderr
        assert time.monotonic() - begun < 30
        assert run("run", "--timeout", "30", module(programs.exits(3))).returncode == 3

    def test_timeout_while_it_waits_for_input(self, module: Any) -> None:
        with started("run", "--timeout", "0.3", module(programs.CAT)) as process:
            assert b"was stopped after 0.3 seconds" in process.stderr.read()
            assert process.wait(30) == TRAPPED

    @pytest.mark.slow
    def test_timeout_while_it_is_compiled(self, run: Run, module: Any) -> None:
        text = "(component $c0 (core module $m) (core instance (instantiate $m)))"
        for level in range(1, 40):
            twice = f"(instance (instantiate $c{level - 1}))" * 2
            text = f"(component $c{level} {text}{twice})"
        done = run("run", "--no-cache", "--timeout", "0.3", module(text, "bomb.wat"))
        assert done.returncode == TRAPPED
        assert b"--timeout" in done.stderr

    def test_memory_grows_no_further(self, run: Run, module: Any) -> None:
        program = module(
            """
            (module (memory 1)
              (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))
            """
        )
        for pages, result in (("1", b"1\n"), ("2", b"-1\n")):
            done = run("run", "--max-memory-size", str(2 << 16), "--invoke", "grow", program, pages)
            assert done.stdout == result
        assert run("run", "--max-memory-size", "1000", "--invoke", "grow", program, "1").returncode


def test_a_core_module_does_not_pay_for_components(module: Any) -> None:
    program = f"""
import sys
from wasmtime._cli import main
assert main(["run", "--no-cache", {str(module(programs.exits(0)))!r}]) == 0
print([name for name in sys.modules if name.startswith("wasmtime.component")])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "[]\n", done.stderr
