"""
Programs: what they see, what they give back, and how they are run.
"""

from __future__ import annotations

import pickle
import threading
from pathlib import Path
from typing import Any

import pytest
import wasi_programs

from wasmtime import Config, Engine, Module, wat2wasm
from wasmtime.sandbox import Directory, Program, Reason, ResourceLimits, SandboxError, run

from . import guests


@pytest.mark.parametrize("isolation", guests.BOTH_TIERS)
def test_a_program_prints_and_exits(isolation: Any) -> None:
    result = Program(guests.HELLO, isolation=isolation).run()
    assert (result.reason, result.exit_code, result.ok) == (Reason.EXITED, 3, False)
    assert (result.stdout, result.text, result.stderr) == (b"hello", "hello", b"oh")
    assert result.memory_size == 2 * 65536
    assert 0 < result.duration < 10
    assert (result.value, result.fuel_used, result.truncated, result.files) == (
        None,
        None,
        False,
        {},
    )
    assert (result.trap, result.exception) == (None, None)


@pytest.mark.parametrize("isolation", guests.TIERS)
def test_a_program_sees_what_it_is_given(isolation: Any) -> None:
    arguments = Program(wasi_programs.ARGUMENTS, isolation=isolation)
    assert arguments.run("--count", "é").text == "guest.wat\0--count\0é\0"
    environment = Program(wasi_programs.ENVIRONMENT, env={"LANG": "C"}, isolation=isolation)
    assert environment.run().text == "LANG=C\0"
    # It replaces, and does not merge.
    assert environment.run(env={"A": "b"}).text == "A=b\0"
    assert Program(wasi_programs.CAT, isolation=isolation).run(stdin="a b c").text == "a b c"


def test_nothing_of_the_host_is_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "s3cr3t")
    assert run(wasi_programs.ENVIRONMENT).stdout == b""
    assert run(wasi_programs.CAT).stdout == b""
    assert run(wasi_programs.ARGUMENTS).text == "guest.wat\0"
    assert Program(guests.HELLO).run().files == {}


def test_a_program_is_known_by_the_name_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "tool.wasm"
    path.write_bytes(wat2wasm(wasi_programs.ARGUMENTS))
    assert Program(path).run().text == "tool.wasm\0"
    assert Program(str(path)).run().text == "tool.wasm\0"
    assert repr(Program(path)) == "<wasmtime.sandbox.Program 'tool.wasm'>"


def test_every_kind_of_source_is_taken(tmp_path: Path) -> None:
    text = "  ;; a comment\n (; another ;) " + guests.HELLO
    path = tmp_path / "hello.wat"
    path.write_text(text)
    module = Module(Engine(), guests.HELLO)
    for source in (text, text.encode(), bytes(wat2wasm(text)), wat2wasm(text), path, module):
        assert Program(source).run().exit_code == 3


def test_a_module_needs_an_engine_that_can_hold_its_limits() -> None:
    config = Config()
    config.epoch_interruption = False
    module = Module(Engine(config), guests.HELLO)
    with pytest.raises(SandboxError, match="epoch"):
        Program(module)
    with pytest.raises(SandboxError, match="fuel"):
        Program(Module(Engine(), guests.HELLO), limits=ResourceLimits(fuel=100))


def test_what_is_no_program_is_refused_by_the_constructor(tmp_path: Path) -> None:
    for source, told in [
        ("(module (func", "is not valid"),
        (b"\0asm\x01\0\0\0\xff", "is not valid"),
        (b"", "is not valid"),
        (guests.ADD, "does not export _start"),
        (guests.MATH, "does not export wasi:cli/run"),
        (tmp_path / "missing.wasm", "cannot read"),
        (b"\x7fELF", "is native code"),
    ]:
        with pytest.raises(SandboxError, match=told) as caught:
            Program(source)
        assert caught.value.result.reason is Reason.NOT_STARTED
    with pytest.raises(SandboxError, match="more than the 10 that are accepted"):
        Program(guests.HELLO, limits=ResourceLimits(module=10))


@pytest.mark.parametrize(
    ("keyword", "value", "error", "told"),
    [
        ("limits", {}, TypeError, "limits must be"),
        ("env", {"A": 1}, TypeError, "env must have text"),
        ("env", {"A=": "x"}, ValueError, "'A=' cannot be a variable"),
        ("env", {"A": "\0"}, ValueError, "'A' cannot be a variable"),
        ("dirs", {"": "."}, ValueError, "'' is no name of a directory"),
        ("dirs", {"/": 5}, TypeError, "os.PathLike"),
        ("functions", {1: print}, TypeError, "functions must have text"),
        ("seed", 1.5, TypeError, "seed must be"),
        ("clock", "now", TypeError, "clock must be"),
        ("network", 1, TypeError, "network must be"),
        ("isolation", "moon", ValueError, "isolation must be"),
        ("limit", 5, TypeError, "limit"),
    ],
)
def test_arguments_that_are_wrong_are_named(
    keyword: str, value: Any, error: Any, told: str
) -> None:
    with pytest.raises(error, match=told):
        Program(guests.HELLO, **{keyword: value})


def test_arguments_of_a_run_are_checked() -> None:
    program = Program(guests.HELLO)
    with pytest.raises(TypeError, match="arguments of a program must be str"):
        program.run(5)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        program.run(stdni="x")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="limits"):
        program.run(limits=5)  # type: ignore[arg-type]


def test_raising_is_asked_for() -> None:
    program = Program(guests.HELLO)
    with pytest.raises(SandboxError, match="exited with status 3: oh") as caught:
        program.run(check=True)
    assert caught.value.result.stdout == b"hello"
    assert Program(guests.QUIET).run(check=True).ok


def test_imports_that_are_missing_are_what_a_run_reports() -> None:
    program = Program('(module (import "env" "f" (func)) (func (export "_start")))')
    result = program.run()
    assert result.reason is Reason.NOT_STARTED
    assert result.exception is not None
    assert "'env' 'f'" in result.exception.text


def test_a_directory_that_is_not_there_is_what_a_run_reports(tmp_path: Path) -> None:
    result = Program(guests.HELLO, dirs={"/data": tmp_path / "missing"}).run()
    assert result.reason is Reason.NOT_STARTED
    assert "missing" in result.message


def test_programs_pickle(tmp_path: Path) -> None:
    path = tmp_path / "args.wasm"
    path.write_bytes(wat2wasm(wasi_programs.ARGUMENTS))
    for program in (Program(wasi_programs.ARGUMENTS), Program(path, env={"A": "B"})):
        copied = pickle.loads(pickle.dumps(program))
        assert copied.run("x").stdout == program.run("x").stdout


def test_a_file_that_has_changed_is_not_run_again(tmp_path: Path) -> None:
    path = tmp_path / "tool.wasm"
    path.write_bytes(wat2wasm(guests.HELLO))
    program = pickle.loads(pickle.dumps(Program(path)))
    path.write_bytes(wat2wasm(guests.QUIET))
    # Other limits make other code of it.
    result = program.run(limits=ResourceLimits(fuel=1000))
    assert result.reason is Reason.NOT_STARTED
    assert "has changed" in result.message


def test_programs_of_the_same_code_compile_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from wasmtime.sandbox import engines

    made = []

    class Counted(Module):
        def _obtain(self, *args: Any, **kwargs: Any) -> None:
            made.append(args)
            super()._obtain(*args, **kwargs)

    monkeypatch.setattr(engines, "class_for", lambda kind: Counted)
    text = '(module (func (export "_start")) (func $unique))'
    for _ in range(3):
        assert run(text).ok
    assert len(made) == 1


def test_a_program_serves_many_threads() -> None:
    program = Program(wasi_programs.ARGUMENTS)
    wrong: list[Any] = []

    def work(name: str) -> None:
        for _ in range(50):
            result = program.run(name)
            if result.text != f"guest.wat\0{name}\0":
                wrong.append(result)

    threads = [threading.Thread(target=work, args=(str(n),)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("isolation", guests.TIERS)
def test_fuel_is_counted(isolation: Any) -> None:
    program = Program(guests.QUIET, limits=ResourceLimits(fuel=10_000), isolation=isolation)
    first, second = program.run(), program.run()
    assert first.ok
    assert first.fuel_used == second.fuel_used
    assert first.fuel_used is not None
    assert 0 < first.fuel_used < 100


def test_functions_of_the_host_are_called() -> None:
    seen: list[Any] = []
    program = Program(
        '(module (import "env" "note" (func $note (param i32)))'
        '  (func (export "_start") (call $note (i32.const 42))))',
        functions={"note": seen.append},
    )
    assert program.run().ok
    assert seen == [42]


def test_limits_say_how_they_are_enforced() -> None:
    program = Program(guests.HELLO)
    told = program.explain()
    assert "use isolation='process'" in told["file_size"]
    assert told["fuel"].startswith("not bounded")
    assert set(vars(ResourceLimits())) - {"on_output_limit"} <= set(told)


def test_a_running_program_streams_its_output() -> None:
    with Program(guests.HELLO).start() as running:
        assert list(running) == [("stdout", b"hello"), ("stderr", b"oh")]
        result = running.wait()
        assert running.is_over
    assert (result.exit_code, result.stdout, result.stderr) == (3, b"hello", b"oh")
    with pytest.raises(SandboxError):
        running.wait(check=True)


@pytest.mark.parametrize("isolation", guests.BOTH_TIERS)
def test_a_running_program_reads_what_is_written_to_it(isolation: Any) -> None:
    with Program(wasi_programs.CAT, isolation=isolation).start() as running:
        running.write("one")
        assert next(running) == ("stdout", b"one")
        running.write(b"two")
        assert next(running) == ("stdout", b"two")
        running.close_input()
        assert running.wait().text == "onetwo"
        with pytest.raises(BrokenPipeError):
            running.write("three")


@pytest.mark.parametrize("isolation", guests.TIERS)
def test_a_running_program_is_cancelled(isolation: Any) -> None:
    with Program(guests.SPIN, isolation=isolation).start() as running:
        with pytest.raises(TimeoutError):
            running.wait(0.02)
        running.cancel()
        assert running.wait().reason is Reason.CANCELLED


def test_leaving_the_block_cancels_a_program() -> None:
    with Program(guests.SPIN).start() as running:
        pass
    assert running.wait().reason is Reason.CANCELLED


def test_a_program_waits_for_whoever_reads_its_output() -> None:
    limits = ResourceLimits(output=None, timeout=5)
    with Program(guests.FLOOD, limits=limits).start() as running:
        seen = 0
        for _, data in running:
            seen += len(data)
            if seen > 8 << 20:
                break
        assert running._unread <= (1 << 20) + 65536
        running.cancel()


def test_files_are_found_at_the_root_and_not_changed() -> None:
    program = Program(
        wasi_programs.program(
            "path_open fd_read fd_write",
            """
            (if (call $path_open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 6)
                  (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 100))
              (then unreachable))
            (i32.store (i32.const 0) (i32.const 4096)) (i32.store (i32.const 4) (i32.const 100))
            (if (call $fd_read (i32.load (i32.const 100)) (i32.const 0) (i32.const 1) (i32.const 8))
              (then unreachable))
            (i32.store (i32.const 4) (i32.load (i32.const 8)))
            (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
            """,
            '(data (i32.const 64) "in.txt")',
        )
    )
    assert program.run(files={"in.txt": "contents"}).text == "contents"
    with pytest.raises(ValueError, match="both name '/'"):
        program.run(files={"in.txt": ""}, dirs={"/": Directory.temporary()})
