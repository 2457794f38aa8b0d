"""
The command line, seen as a user sees it: a process with streams and an exit status.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable, Optional

import pytest
import wasi_programs as programs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wasmtime import wat2wasm

TRAPPED = 3 if sys.platform == "win32" else 134
COMMAND = [sys.executable, "-m", "wasmtime"]

Run = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """
    Run the command line in an empty directory, with its cache in another one.
    """
    (tmp_path / "cwd").mkdir()

    def run(*arguments: Any, **options: Any) -> subprocess.CompletedProcess[bytes]:
        options.setdefault("input", b"")
        environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
        environment.update(options.pop("extra_env", {}))
        return subprocess.run(
            [*COMMAND, *map(os.fspath, arguments)],
            capture_output=True,
            cwd=str(tmp_path / "cwd"),
            env=environment,
            timeout=60,
            **options,
        )

    return run


@pytest.fixture
def module(tmp_path: Path) -> Callable[..., Path]:
    """
    Write a program to a file, as binary or as text.
    """

    def module(text: str, name: str = "program.wasm") -> Path:
        path = tmp_path / name
        if name.endswith(".wat"):
            path.write_text(text)
        else:
            path.write_bytes(wat2wasm(text))
        return path

    return module


CALCULATOR = """
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "add") (param i32 i32) (result i32)
    (i32.add (local.get 0) (local.get 1)))
  (func (export "mul64") (param i64 i64) (result i64)
    (i64.mul (local.get 0) (local.get 1)))
  (func (export "single") (param f32) (result f32) (local.get 0))
  (func (export "double") (param f64) (result f64) (local.get 0))
  (func (export "pair") (result i32 f64) (i32.const 1) (f64.const 2.5))
  (func (export "nothing"))
  (func (export "null") (result externref) (ref.null extern))
  (func (export "takes-ref") (param externref))
  (func (export "leave") (param i32) (call $exit (local.get 0)))
  (func (export "divide") (param i32 i32) (result i32)
    (i32.div_s (local.get 0) (local.get 1))))
"""


COMPONENT = r"""
(component
  (core module $m
    (memory (export "memory") 1)
    (data (i32.const 8) "\10\00\00\00\05\00\00\00")
    (data (i32.const 16) "a\1b[1m")
    (func (export "greet") (result i32) (i32.const 8))
    (func (export "sum") (param i32 i32) (result i32) (local.get 1))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
  (core instance $i (instantiate $m))
  (alias core export $i "memory" (core memory $memory))
  (alias core export $i "realloc" (core func $realloc))
  (func (export "greet") (result string)
    (canon lift (core func $i "greet") (memory $memory)))
  (func (export "sum") (param "xs" (list u32)) (result u32)
    (canon lift (core func $i "sum") (memory $memory) (realloc $realloc))))
"""

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs what only POSIX has")


class TestTop:
    def test_version(self, run: Run) -> None:
        import wasmtime

        done = run("--version")
        assert done.returncode == 0
        assert done.stdout.decode().startswith(f"wasmtime {wasmtime.__version__} (")
        assert sys.platform in done.stdout.decode()

    def test_help(self, run: Run) -> None:
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
            ["compile"],
            ["compile", "-o"],
        ],
    )
    def test_usage_errors(self, run: Run, arguments: list[str]) -> None:
        done = run(*arguments)
        assert done.returncode == 2
        assert b"usage: python -m wasmtime" in done.stderr
        assert b"Traceback" not in done.stderr


class TestRun:
    def test_streams(self, run: Run, module: Any) -> None:
        done = run("run", module(programs.CAT), input=b"in\0put\xff")
        assert (done.returncode, done.stdout, done.stderr) == (0, b"in\0put\xff", b"")
        done = run("run", module(programs.HELLO))
        assert (done.stdout, done.stderr) == (b"to stdout\n" * 2, b"to stderr\n" * 2)

    def test_arguments(self, run: Run, module: Any) -> None:
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

    def test_environment(self, run: Run, module: Any) -> None:
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
    def test_exit_status(self, run: Run, module: Any, code: int) -> None:
        done = run("run", module(programs.exits(code)))
        assert (done.returncode, done.stdout, done.stderr) == (code, b"", b"")

    def test_trap(self, run: Run, module: Any) -> None:
        done = run("run", module(programs.TRAP))
        assert done.returncode == TRAPPED
        assert b"unreachable" in done.stderr
        assert b"Traceback" not in done.stderr

    def test_text_format(self, run: Run, module: Any) -> None:
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
    def test_directories(
        self, run: Run, module: Any, tmp_path: Path, option: str, read: int, write: int
    ) -> None:
        cwd = tmp_path / "cwd"
        (cwd / "file").write_text("x")
        option = option.format(cwd)
        for rights, status in ((programs.RIGHT_READ, read), (programs.RIGHT_WRITE, write)):
            program = module(programs.opens("file", 0, rights))
            assert run("run", "--dir", option, program).returncode == status
        assert run("run", program).returncode == programs.ERRNO_BADF

    def test_missing_directory(self, run: Run, module: Any) -> None:
        done = run("run", "--dir", "nowhere", module(programs.HELLO))
        assert done.returncode == 1
        assert b"nowhere" in done.stderr
        assert b"Traceback" not in done.stderr

    def test_reactor(self, run: Run, module: Any) -> None:
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

    def test_start_section_alone(self, run: Run, module: Any) -> None:
        text = programs.HELLO.replace('(func (export "_start")', "(start $main) (func $main")
        done = run("run", module(text))
        assert (done.returncode, done.stdout) == (0, b"to stdout\n" * 2)

    def test_preload(self, run: Run, module: Any) -> None:
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

    def test_unknown_imports(self, run: Run, module: Any) -> None:
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
    def test_cache(self, run: Run, module: Any, tmp_path: Path) -> None:
        for _ in range(2):
            assert run("run", module(programs.exits(4))).returncode == 4
        assert list((tmp_path / "cache").rglob("*"))

    @pytest.mark.skipif(sys.platform != "linux", reason="the cache lies elsewhere")
    def test_cache_that_cannot_be_written(self, run: Run, module: Any, tmp_path: Path) -> None:
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
    def test_results(self, run: Run, module: Any, arguments: list[str], output: bytes) -> None:
        done = run("run", "--invoke", arguments[0], module(CALCULATOR), *arguments[1:])
        assert (done.returncode, done.stdout, done.stderr) == (0, output, b"")

    def test_exit_status(self, run: Run, module: Any) -> None:
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
    def test_refused(
        self, run: Run, module: Any, arguments: list[str], status: int, words: bytes
    ) -> None:
        done = run("run", "--invoke", arguments[0], module(CALCULATOR), *arguments[1:])
        assert done.returncode == status
        assert words in done.stderr
        assert b"Traceback" not in done.stderr


class TestLimits:
    def test_fuel(self, run: Run, module: Any) -> None:
        done = run("run", "--fuel", "100000", module(programs.SPIN))
        assert done.returncode == TRAPPED
        assert b"all fuel consumed" in done.stderr
        assert run("run", "--fuel", "100000", module(programs.exits(3))).returncode == 3

    def test_timeout(self, run: Run, module: Any) -> None:
        begun = time.monotonic()
        done = run("run", "--timeout", "300ms", module(programs.SPIN))
        assert done.returncode == TRAPPED
        assert b"after 0.3 seconds" in done.stderr
        assert time.monotonic() - begun < 30
        assert run("run", "--timeout", "30", module(programs.exits(3))).returncode == 3

    def test_timeout_while_it_waits_for_input(self, module: Any) -> None:
        process = subprocess.Popen(
            [*COMMAND, "run", "--timeout", "0.3", str(module(programs.CAT))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        with process:
            assert process.stderr is not None
            assert b"--timeout" in process.stderr.read()
            assert process.wait(30) == TRAPPED

    def test_timeout_while_it_is_compiled(self, run: Run, module: Any) -> None:
        text = "(component $c0 (core module $m) (core instance (instantiate $m)))"
        for level in range(1, 40):
            twice = f"(instance (instantiate $c{level - 1}))" * 2
            text = f"(component $c{level} {text}{twice})"
        done = run("run", "--no-cache", "--timeout", "0.3", module(text, "bomb.wat"))
        assert done.returncode == TRAPPED
        assert b"--timeout" in done.stderr

    def test_memory(self, run: Run, module: Any) -> None:
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
    def test_file(self, run: Run, tmp_path: Path, data: bytes, words: bytes) -> None:
        path = tmp_path / "bad.wasm"
        path.write_bytes(data)
        done = run("run", path)
        assert done.returncode == 1
        assert b"bad.wasm" in done.stderr
        assert words in done.stderr
        assert b"Traceback" not in done.stderr

    def test_missing_file(self, run: Run, tmp_path: Path) -> None:
        done = run("run", tmp_path / "nowhere.wasm")
        assert done.returncode == 1
        assert b"nowhere.wasm" in done.stderr
        assert run("run", tmp_path).returncode == 1

    def test_something_else_for_precompiled(self, run: Run, tmp_path: Path) -> None:
        path = tmp_path / "bad.cwasm"
        path.write_bytes(b"\x7fELF" + b"\0" * 100)
        done = run("run", "--allow-precompiled", path)
        assert done.returncode == 1
        assert b"Traceback" not in done.stderr

    @pytest.mark.skipif(sys.platform == "win32", reason="arguments are Unicode there")
    def test_argument_that_is_not_unicode(self, run: Run, module: Any) -> None:
        done = run("run", module(programs.HELLO), b"\xff".decode(errors="surrogateescape"))
        assert done.returncode == 1
        assert b"Traceback" not in done.stderr


class TestCompile:
    def test_and_run(self, run: Run, module: Any, tmp_path: Path) -> None:
        program = module(programs.exits(6), "some.program.wat")
        assert run("compile", program).returncode == 0
        compiled = tmp_path / "cwd" / "some.program.cwasm"
        assert [path.name for path in (tmp_path / "cwd").iterdir()] == [compiled.name]
        assert run("run", compiled).returncode == 1
        assert run("run", "--allow-precompiled", compiled).returncode == 6

    def test_with_fuel(self, run: Run, module: Any, tmp_path: Path) -> None:
        program = module(programs.exits(6))
        output = tmp_path / "with fuel"
        assert run("compile", "--consume-fuel", "-o", output, program).returncode == 0
        assert run("run", "--allow-precompiled", "--fuel", "1000", output).returncode == 6
        done = run("run", "--allow-precompiled", output)
        assert done.returncode == 1
        assert b"fuel" in done.stderr

    def test_refused(self, run: Run, module: Any, tmp_path: Path) -> None:
        done = run("compile", tmp_path / "nowhere")
        assert done.returncode == 1
        done = run("compile", "-o", tmp_path / "no" / "such", module(programs.HELLO))
        assert done.returncode == 1
        assert b"Traceback" not in done.stderr

    def test_to_standard_output(self, run: Run, module: Any, tmp_path: Path) -> None:
        done = run("compile", "-o", "-", module(programs.exits(6)))
        assert (done.returncode, done.stderr) == (0, b"")
        assert list((tmp_path / "cwd").iterdir()) == []
        (tmp_path / "compiled").write_bytes(done.stdout)
        assert run("run", "--allow-precompiled", tmp_path / "compiled").returncode == 6

    def test_from_standard_input(self, run: Run, tmp_path: Path) -> None:
        source = programs.exits(6).encode()
        assert run("compile", "-", "-o", "compiled", input=source).returncode == 0
        assert run("run", "--allow-precompiled", "compiled").returncode == 6
        done = run("compile", "-", input=source)
        assert done.returncode == 2
        assert b"-o" in done.stderr

    def test_a_component(self, run: Run, module: Any) -> None:
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
    def test_not_to_a_terminal(self, module: Any) -> None:
        program = module(programs.HELLO)
        status, output = _on_a_terminal("compile", "-o", "-", program, cwd=program.parent)
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

    def test_nothing_in_it(self, run: Run) -> None:
        done = run("run", "-")
        assert done.returncode == 1
        assert b"Traceback" not in done.stderr


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
    def test_names(self, run: Run, module: Any, options: Any, text: str, status: int) -> None:
        name = "".join(f"\\{byte:02x}" for byte in ESCAPES.encode())
        done = run("run", *options, module(text.replace("NAME", name)))
        assert done.returncode == status
        assert ESCAPED in done.stderr
        assert not any(escape.encode() in done.stderr for escape in ESCAPES if escape not in "[2J")

    def test_file_names(self, run: Run, module: Any) -> None:
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
            status, output = _on_a_terminal("run", "--invoke", "greet", module(COMPONENT))
            assert (status, output) == (0, b"a\\x1b[1m\r\n")

    def test_results_beyond_the_encoding(self, run: Run, module: Any) -> None:
        text = COMPONENT.replace("a\\1b[1m", "\\e2\\82\\ac  ")
        done = run(
            "run", "--invoke", "greet", module(text), extra_env={"PYTHONIOENCODING": "ascii"}
        )
        assert (done.returncode, done.stdout) == (0, b"\\u20ac  \n")

    def test_bindings(self, tmp_path: Path) -> None:
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
    def test_of_a_component(self, run: Run, module: Any, arguments: Any, words: bytes) -> None:
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
    def test_of_any_kind(self, tmp_path: Path, capfd: Any, data: st.DataObject) -> None:
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


def _on_a_terminal(*arguments: Any, cwd: Optional[Path] = None) -> tuple[int, bytes]:
    """
    The exit status of a command, and what it wrote to the terminal that it was run on.
    """
    import pty

    controller, terminal = pty.openpty()
    try:
        process = subprocess.Popen(
            [*COMMAND, *map(os.fspath, arguments)],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            cwd=cwd,
        )
        status = process.wait(60)
        return status, os.read(controller, 1 << 16)
    finally:
        os.close(controller)
        os.close(terminal)


def _interrupt(process: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        process.send_signal(signal.CTRL_C_EVENT)
    else:
        process.send_signal(signal.SIGINT)


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
        process = subprocess.Popen(
            [*COMMAND, "run", *options, str(module(text))],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        with process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.read(1) == b"!"
            _interrupt(process)
            assert process.stderr.read() == b""
            assert process.wait(30) == 130

    def test_a_guest_that_waits_for_input(self, module: Any) -> None:
        process = subprocess.Popen(
            [*COMMAND, "run", str(module(programs.CAT))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )
        with process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdin.write(b"x")
            assert process.stdout.read(1) == b"x"
            _interrupt(process)
            assert process.stderr.read() == b""
            assert process.wait(30) == 130

    def test_a_guest_that_writes_without_end(self, module: Any) -> None:
        process = subprocess.Popen(
            [*COMMAND, "run", str(module(programs.CHATTER))],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        with process:
            assert process.stdout is not None
            process.stdout.read(1000)
            _interrupt(process)
            # whoever reads slowly keeps the guest inside of a write
            time.sleep(0.1)
            while process.stdout.read(1 << 16):
                pass
            assert process.wait(30) == 130


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
