"""
What people do who use the sandbox for the first time: each mistake is named where it is made.
"""

from __future__ import annotations

import asyncio
import io
import pickle
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import wasi_programs

from wasmtime.sandbox import (
    Directory,
    Interpreter,
    Plugin,
    Program,
    Reason,
    ResourceLimits,
    SandboxError,
)

from . import guests
from .test_interpreters import fetch_interpreter


@pytest.mark.parametrize("given", [["a"], "text", 5], ids=["list", "text", "number"])
@pytest.mark.parametrize("name", ["env", "dirs", "functions"])
def test_what_is_no_mapping_is_named(name: str, given: Any) -> None:
    refused = f"{name} must be a mapping"
    with pytest.raises(TypeError, match=refused):
        Program(guests.QUIET, **{name: given})
    if name != "functions":
        with pytest.raises(TypeError, match=refused):
            Program(guests.QUIET).run(**{name: given})


def test_files_are_a_mapping_too() -> None:
    files: Any = ["a.txt"]
    with pytest.raises(TypeError, match="files must be a mapping"):
        Program(guests.QUIET).run(files=files)
    with pytest.raises(TypeError, match="files must be a mapping"):
        Directory.temporary(files)


@pytest.mark.parametrize("start", ["run", "start"])
@pytest.mark.parametrize("stdin", [5, ["a"], Path("input.txt")], ids=["number", "list", "path"])
def test_what_cannot_be_read_is_no_input(start: str, stdin: Any) -> None:
    with pytest.raises(TypeError, match="stdin must be text, bytes, a file"):
        getattr(Program(wasi_programs.CAT), start)(stdin=stdin)


def test_a_file_for_text_is_no_input() -> None:
    with pytest.raises(TypeError, match="give its buffer"):
        Program(wasi_programs.CAT).run(stdin=io.StringIO("text"))


def test_the_name_of_a_function_is_text() -> None:
    name: Any = len
    plugin = Plugin(guests.COUNTER)
    with plugin.open() as session:
        for call in (plugin.call, plugin.try_call, session.call, session.try_call):
            with pytest.raises(TypeError, match="name must be the name of a function"):
                call(name)
        assert session.call("next") == 1  # it lives


def test_a_cache_is_a_directory_or_a_bool() -> None:
    cache: Any = 5
    with pytest.raises(TypeError, match="cache must be a bool or a directory, not int"):
        Program(guests.QUIET, cache=cache)


def test_what_runs_cannot_be_pickled() -> None:
    with Program(wasi_programs.CAT).start() as running, Plugin(guests.COUNTER).open() as session:
        for alive in (running, session):
            with pytest.raises(
                TypeError, match=f"a {type(alive).__name__} belongs to this process"
            ):
                pickle.dumps(alive)


def test_only_bytes_and_text_are_written() -> None:
    data: Any = 5
    with Program(wasi_programs.CAT).start() as running:
        with pytest.raises(TypeError, match="data must be bytes or text, not int"):
            running.write(data)


def test_everything_may_be_closed_twice_and_used_after() -> None:
    running = Program(wasi_programs.CAT).start()
    for _ in range(2):
        running.close()
        running.close_input()
        running.cancel()
        assert list(running) == []
        assert running.wait(0).reason is Reason.CANCELLED
    with pytest.raises(BrokenPipeError):
        running.write("late")


def test_a_running_program_that_is_forgotten_ends_with_its_time() -> None:
    before = set(threading.enumerate())
    Program(guests.SPIN, limits=ResourceLimits(timeout=0.2)).start()
    deadline = time.monotonic() + 60
    while set(threading.enumerate()) - before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert set(threading.enumerate()) - before == set()


#: Asks its host once, and then computes for ever if it is to.
ASKING = """
(module (import "env" "ask" (func $ask (param i32) (result i32)))
  (func (export "run") (param i32) (result i32) (call $ask (local.get 0)))
  (func (export "spin") (drop (call $ask (i32.const 1))) (loop (br 0)))
  (func (export "same") (param i32) (result i32) (local.get 0)))
"""


@pytest.mark.parametrize("isolation", guests.TIERS)
def test_a_host_function_cannot_use_the_session_that_calls_it(isolation: Any) -> None:
    opened: list[Any] = []

    def ask(number: int) -> int:
        refused = opened[0].try_call("same", number)
        assert "a function of the host cannot use the session" in refused.message
        with pytest.raises(SandboxError, match="cannot use the session that calls it"):
            opened[0].snapshot()
        return number * 2

    with Plugin(ASKING, functions={"ask": ask}, isolation=isolation).open() as session:
        opened.append(session)
        assert session.call("run", 4) == 8
        assert asyncio.run(session.call_async("run", 5)) == 10
        assert session.call("same", 3) == 3


@pytest.mark.parametrize("isolation", guests.TIERS)
@pytest.mark.parametrize("end", ["close", "cancel"])
def test_a_host_function_may_end_the_session_that_calls_it(isolation: Any, end: str) -> None:
    opened: list[Any] = []
    limits = ResourceLimits(timeout=300)

    def ask(number: int) -> int:
        getattr(opened[0], end)()
        return number

    plugin = Plugin(ASKING, functions={"ask": ask}, isolation=isolation, limits=limits)
    with plugin.open() as session:
        opened.append(session)
        assert session.try_call("spin").reason is Reason.CANCELLED
        assert session.ended is Reason.CANCELLED
        assert "has ended" in session.try_call("same", 1).message


@pytest.mark.parametrize("isolation", guests.TIERS)
def test_a_session_may_be_closed_while_another_thread_calls_it(isolation: Any) -> None:
    begun = threading.Event()

    def ask(number: int) -> int:
        begun.set()
        return number

    results = []
    limits = ResourceLimits(timeout=300)
    session = Plugin(ASKING, functions={"ask": ask}, isolation=isolation, limits=limits).open()
    thread = threading.Thread(target=lambda: results.append(session.try_call("spin")))
    thread.start()
    begun.wait(60)
    session.close()
    thread.join(60)
    assert [result.reason for result in results] == [Reason.CANCELLED]


@pytest.mark.network
def test_a_host_function_cannot_use_the_interpreter_that_calls_it() -> None:
    opened: list[Any] = []

    def again(code: str) -> str:
        try:
            opened[0].eval(code)
        except SandboxError as error:
            opened[0].close()
            return str(error)
        return "it has run"

    interpreter = Interpreter(fetch_interpreter("javascript"), functions={"again": again})
    with interpreter.open() as session:
        opened.append(session)
        result = session.eval("again('1'); for (;;) {}")
        assert result.reason is Reason.CANCELLED
