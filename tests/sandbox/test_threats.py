"""
What hostile guests do, against the limits that a new user has: each ends, for the right reason.

A neighbour guest of the same process is called meanwhile: it neither fails nor waits.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import wasi_programs
from support import posix, started_threads

from wasmtime import Caller, Func
from wasmtime.sandbox import (
    Directory,
    Plugin,
    Program,
    Reason,
    ResourceLimits,
    Result,
    SandboxError,
    run,
)

from . import guests

#: The defaults, with less time: everything else is what a new user gets.
LIMITS = ResourceLimits(timeout=0.25)
#: How late a guest may end on a machine that is busy with other tests.
LATE = 5.0


class Neighbour:
    """
    A guest that is called again and again on a thread of its own.
    """

    def __init__(self) -> None:
        self._plugin = Plugin(guests.ADD)
        self._stop = threading.Event()
        self.latencies: list[float] = []
        self.failures: list[BaseException] = []
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        while not self._stop.is_set():
            began = time.perf_counter()
            try:
                assert self._plugin.call("add", 5, 3) == 8
            except BaseException as error:
                self.failures.append(error)
            self.latencies.append(time.perf_counter() - began)
            time.sleep(0.002)

    def close(self) -> None:
        self._stop.set()
        self._thread.join()


@pytest.fixture
def neighbour() -> Iterator[Neighbour]:
    """
    The neighbour; it is asked afterwards how it fared.
    """
    made = Neighbour()
    try:
        yield made
    finally:
        made.close()
    assert not made.failures
    assert made.latencies
    made.latencies.sort()
    assert made.latencies[len(made.latencies) // 2] < 0.1, "the neighbour had to wait"


@contextmanager
def nothing_left_behind() -> Iterator[None]:
    """
    Check that no thread, descriptor or temporary directory is left.
    """
    gc.collect()
    threads, descriptors = started_threads(), _descriptors()
    yield
    gc.collect()
    deadline = time.monotonic() + 2
    while started_threads() - threads and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not started_threads() - threads
    assert _descriptors() <= descriptors + 4  # the library's own, which it keeps


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0


def ended(result: Result, reason: Reason) -> None:
    """
    Check why a guest ended, and that this did not take much longer than it may.
    """
    assert result.reason is reason, result
    assert result.duration < LATE, result


START_SPINS = "(module (func $spin (loop $again (br $again))) (start $spin)"

#: Guests that must be stopped, and why they end.
BOMBS: dict[str, tuple[str, Reason]] = {
    "a loop": (guests.SPIN, Reason.TIMEOUT),
    "a loop in the start function": (
        f'{START_SPINS} (func (export "_start")))',
        Reason.TIMEOUT,
    ),
    "mutual calls without end": (
        '(module (func $a (call $b)) (func $b (call $a)) (func (export "_start") (call $a)))',
        Reason.TRAPPED,
    ),
    "tail calls without end": (
        '(module (func $a (return_call $a)) (func (export "_start") (call $a)))',
        Reason.TIMEOUT,
    ),
    "sleeping": (guests.SLEEP, Reason.TIMEOUT),
    "a memory that grows": (guests.MEMORY_BOMB, Reason.OUT_OF_MEMORY),
    "a memory that is large from the start": (
        '(module (memory 65535) (func (export "_start")))',
        Reason.NOT_STARTED,
    ),
    "many memories": (
        f'(module {"(memory 100)" * 90} (func (export "_start")))',
        Reason.NOT_STARTED,
    ),
    "a table that grows": (
        '(module (table 0 externref) (func (export "_start") (loop $more (br_if $more'
        " (i32.ne (table.grow (ref.null extern) (i32.const 1000)) (i32.const -1)))) unreachable))",
        Reason.TRAPPED,
    ),
    "a table that is large from the start": (
        '(module (table 10000000 funcref) (func (export "_start")))',
        Reason.NOT_STARTED,
    ),
    "many tables": (
        f'(module {"(table 1000 funcref)" * 90} (func (export "_start")))',
        Reason.NOT_STARTED,
    ),
    "objects without end": (
        """(module (type $list (struct (field (ref null $list)) (field i64)))
          (func (export "_start") (local $head (ref null $list))
            (loop $more
              (local.set $head (struct.new $list (local.get $head) (i64.const 1)))
              (br $more))))""",
        Reason.TRAPPED,
    ),
    "an array that is too large": (
        """(module (type $bytes (array (mut i8)))
          (func (export "_start") (drop (array.new_default $bytes (i32.const -1)))))""",
        Reason.TRAPPED,
    ),
    "deep recursion": (
        "(module (func $dive (param i32) (call $dive (i32.add (local.get 0) (i32.const 1))))"
        ' (func (export "_start") (call $dive (i32.const 0))))',
        Reason.TRAPPED,
    ),
    "an instruction that is not there": (
        '(module (func (export "_start") unreachable))',
        Reason.TRAPPED,
    ),
    "exceptions that nobody catches": (
        '(module (tag $t) (func (export "_start") (throw $t)))',
        Reason.TRAPPED,
    ),
}


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.slow
def test_every_bomb_ends_for_the_right_reason(name: str, neighbour: Neighbour) -> None:
    text, reason = BOMBS[name]
    limits = LIMITS if reason is Reason.TIMEOUT else LIMITS.replace(timeout=5)
    program = Program(text, limits=limits)
    with nothing_left_behind():
        ended(program.run(), reason)
    ended(Program(guests.QUIET).run(), Reason.EXITED)


@pytest.mark.slow
@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.workers
def test_every_bomb_ends_in_a_worker(name: str, neighbour: Neighbour) -> None:
    text, reason = BOMBS[name]
    # Time enough for what must trap: workers of other tests are started meanwhile.
    limits = LIMITS if reason is Reason.TIMEOUT else LIMITS.replace(timeout=5)
    ended(Program(text, limits=limits, isolation="process").run(), reason)


def test_memories_are_bounded_together() -> None:
    # Two memories that grow in turn, and a limit of 4 MiB for both.
    text = """(module (memory (export "a") 1) (memory (export "b") 1)
      (func (export "_start")
        (loop $more
          (br_if $more (i32.or
            (i32.ne (memory.grow 0 (i32.const 1)) (i32.const -1))
            (i32.ne (memory.grow 1 (i32.const 1)) (i32.const -1)))))))"""
    result = run(text, limits=ResourceLimits(memory="4 MiB"))
    assert result.ok
    assert result.memory_size is not None
    assert result.memory_size <= 4 << 20


def test_a_guest_of_several_memories_gets_a_share_for_each() -> None:
    text = '(module (memory 3) (memory 3) (memory 3) (func (export "_start")))'
    assert run(text, limits=ResourceLimits(memory="1 MiB")).ok
    # Fewer bytes than that refuse it, and that is not remembered.
    refused = run(text, limits=ResourceLimits(memory="0.5 MiB"))
    assert refused.reason is Reason.NOT_STARTED
    assert run(text, limits=ResourceLimits(memory="1 MiB")).ok


@posix
def test_a_pipe_that_nobody_writes_to() -> None:
    reader, writer = os.pipe()
    with open(reader, "rb", buffering=0) as file, nothing_left_behind():
        result = Program(wasi_programs.CAT, limits=LIMITS).run(stdin=file)
        ended(result, Reason.TIMEOUT)
    os.close(writer)


@pytest.mark.parametrize("on_limit", ["truncate", "stop"])
def test_output_without_end_on_both_streams(on_limit: Any, neighbour: Neighbour) -> None:
    limits = LIMITS.replace(on_output_limit=on_limit)
    result = Program(guests.FLOOD, limits=limits).run()
    ended(result, Reason.TIMEOUT if on_limit == "truncate" else Reason.OUTPUT_LIMIT)
    assert len(result.stdout) == 1 << 20
    assert len(result.stderr) <= 1 << 20
    assert result.truncated


def test_host_calls_that_call_back_for_ever(neighbour: Neighbour) -> None:
    def again(caller: Caller) -> None:
        back = caller["run"]
        assert isinstance(back, Func)
        back(caller)

    plugin = Plugin(
        '(module (import "env" "again" (func $again)) (func (export "run") (call $again)))',
        functions={"again": again},
        limits=LIMITS,
    )
    result = plugin.try_call("run")
    # Whichever limit comes first: Python's recursion, the stack, or the time.
    assert result.reason in (Reason.HOST_ERROR, Reason.TRAPPED, Reason.TIMEOUT)
    assert result.duration < LATE


def test_a_loop_of_host_calls_ends() -> None:
    plugin = Plugin(
        '(module (import "env" "f" (func $f))'
        ' (func (export "run") (loop $again (call $f) (br $again))))',
        functions={"f": lambda: None},
        limits=LIMITS,
    )
    ended(plugin.try_call("run"), Reason.TIMEOUT)


def test_a_guest_in_a_host_call_of_a_loop_does_not_outlive_the_loop() -> None:
    # The guest that is called back is the one that spins.
    def ask(caller: Caller) -> None:
        spin = caller["spin"]
        assert isinstance(spin, Func)
        spin(caller)

    plugin = Plugin(
        '(module (import "env" "ask" (func $ask)) (func (export "run") (call $ask))'
        ' (func (export "spin") (loop $again (br $again))))',
        functions={"ask": ask},
        limits=LIMITS,
    )
    ended(plugin.try_call("run"), Reason.TIMEOUT)


# -- compiling


def _nested(depth: int) -> str:
    return f'(module (func (export "_start") {"(block " * depth}{")" * depth}))'


COMPILE_BOMBS: dict[str, str] = {
    "deep nesting of text": "(module " + "(" * 200_000,
    "deep nesting of blocks": _nested(50_000),
    "many types": f"(module {'(type (func (param i32 i64 f32)))' * 200_000})",
    "nested components": "(component " * 5000 + ")" * 5000,
    "a component of many instances": "(component (core module $m)"
    + "(core instance (instantiate $m))" * 20_000
    + ")",
    "many locals": '(module (func (export "_start") (local ' + "i64 " * 60_000 + ")))",
}


@pytest.mark.parametrize("name", COMPILE_BOMBS)
def test_code_that_is_a_bomb_is_refused_or_compiled_in_time(name: str) -> None:
    text = COMPILE_BOMBS[name]
    began = time.monotonic()
    limits = ResourceLimits(compile_timeout=2.0, timeout=1.0)
    reason = Reason.EXITED
    try:
        Plugin(text, limits=limits, cache=False)
    except SandboxError as refused:
        reason = refused.result.reason
    assert reason in (Reason.EXITED, Reason.NOT_STARTED)
    assert time.monotonic() - began < 2.0 + LATE


def _slow_to_compile() -> str:
    body = "(local.set 0 (i32.add (local.get 0) (i32.mul (local.get 0) (i32.const 3))))" * 60
    functions = f"(func (param i32) (result i32) {body} (local.get 0))" * 4000
    return f'(module (func (export "_start")) {functions})'


@pytest.mark.slow
@pytest.mark.workers
def test_the_caller_of_a_slow_compilation_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = ResourceLimits(compile_timeout=0.05)
    text = _slow_to_compile()
    began = time.monotonic()
    with pytest.raises(SandboxError, match="takes longer than"):
        Plugin(text, limits=limits, cache=False)
    assert time.monotonic() - began < LATE
    with pytest.raises(SandboxError, match="takes longer than"):
        Plugin(text, limits=limits, cache=False, isolation="process")


def test_no_more_is_compiled_than_a_few_that_nobody_waits_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from wasmtime.sandbox import compiling, engines

    monkeypatch.setattr(compiling, "_abandoned", set())  # those of other tests may run on
    held = threading.Event()

    def hold(*args: Any, **kwargs: Any) -> Any:
        held.wait(30)
        raise ValueError("never mind")

    monkeypatch.setattr(engines, "class_for", lambda kind: SimpleNamespace(_of_digest=hold))
    limits = ResourceLimits(compile_timeout=0.01)
    try:
        for number in range(compiling.MOST_ABANDONED):
            with pytest.raises(SandboxError, match="takes longer than"):
                Plugin(f"(module (func $held-{number}))", limits=limits)
        with pytest.raises(SandboxError, match="are still running"):
            Plugin("(module (func $one-too-many))", limits=limits)
    finally:
        held.set()
    deadline = time.monotonic() + 10
    while compiling._abandoned and time.monotonic() < deadline:
        time.sleep(0.01)
    monkeypatch.undo()
    # With the usual time: a busy machine may take longer than a hundredth of a second.
    assert Plugin("(module (func $one-too-many))").explain()


# -- what is shown


def test_names_of_the_guest_are_not_obeyed_where_they_are_shown() -> None:
    plugin = Plugin('(module (func (export "\\1b[31m<script>") unreachable))')
    result = plugin.try_call("\x1b[31m<script>")
    for shown in (repr(result), result.message, result._repr_html_()):
        assert "\x1b" not in shown
    with pytest.raises(SandboxError) as caught:
        plugin.call("nothing")
    assert "\x1b" not in str(caught.value)
    assert "<script>" not in caught.value.result._repr_html_()


def test_json_that_is_deep_or_huge() -> None:
    pages = 64
    text = guests.text_plugin(
        body=f"""
        (func (export "deep") (param i32 i32) (result i64)
          (drop (memory.grow (i32.const {pages})))
          (memory.fill (i32.const 65536) (i32.const 91) (i32.const 1000000))
          (i64.const {(65536 << 32) | 1_000_000}))
        (func (export "huge") (param i32 i32) (result i64)
          (drop (memory.grow (i32.const 512)))
          (memory.fill (i32.const 65536) (i32.const 32) (i32.const 30000000))
          (i64.const {(65536 << 32) | 30_000_000}))
        """
    )
    ended(Plugin(text).try_call("deep", {}), Reason.TRAPPED)
    ended(Plugin(text).try_call("huge", {}), Reason.OUTPUT_LIMIT)


# -- files


def opener(path: str, directory_flags: int = 0, body: str = "unreachable") -> str:
    """
    A program that opens a path below its first directory, and does something if that works.

    It exits with the error of opening as its status.
    """
    return wasi_programs.program(
        "path_open fd_read fd_write proc_exit",
        f"""
        (local.set $n (call $path_open (i32.const 3) (i32.const {directory_flags}) (i32.const 64)
          (i32.const {len(path.encode())}) (i32.const 0) (i64.const 2) (i64.const 0)
          (i32.const 0) (i32.const 16)))
        (if (local.get $n) (then (call $proc_exit (local.get $n))))
        {body}
        """,
        f'(data (i32.const 64) "{path}")',
    )


@pytest.fixture
def jail(tmp_path: Path) -> Path:
    """
    A directory with a secret beside it, and links to that in it.
    """
    (tmp_path / "secret.txt").write_text("secret")
    inside = tmp_path / "jail"
    inside.mkdir()
    (inside / "own.txt").write_text("own")
    if hasattr(os, "symlink"):
        os.symlink("../secret.txt", inside / "relative")
        os.symlink(tmp_path / "secret.txt", inside / "absolute")
        os.symlink("..", inside / "up")
    return inside


@posix
@pytest.mark.parametrize(
    "path",
    [
        "../secret.txt",
        "own.txt/../../secret.txt",
        "/etc/passwd",
        "relative",
        "absolute",
        "up/secret.txt",
        "../jail/own.txt",
    ],
)
def test_no_path_leads_out_of_a_directory(jail: Path, path: str) -> None:
    for flags in (0, 1):  # without following links, and with
        result = Program(opener(path, flags), dirs={"/": jail}).run()
        assert result.reason is Reason.EXITED, result
        assert result.exit_code not in (None, 0)


def test_a_directory_is_not_changed_unless_it_may_be(tmp_path: Path) -> None:
    text = wasi_programs.program(
        "path_create_directory proc_exit",
        "(call $proc_exit (call $path_create_directory"
        " (i32.const 3) (i32.const 64) (i32.const 3)))",
        '(data (i32.const 64) "new")',
    )
    assert Program(text, dirs={"/": tmp_path}).run().exit_code != 0
    assert not (tmp_path / "new").exists()
    assert Program(text, dirs={"/": Directory(tmp_path, "read-write")}).run().exit_code == 0
    assert (tmp_path / "new").is_dir()


WRITER = wasi_programs.program(
    "path_open fd_write proc_exit",
    """
    (if (call $path_open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 7) (i32.const 9)
          (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 16)) (then unreachable))
    (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 65536))
    (loop $again
      (if (call $fd_write (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) (i32.const 24))
        (then (call $proc_exit (i32.const 9))))
      (br $again))
    """,
    '(data (i32.const 64) "big.bin")',
)


def test_a_disk_is_not_filled_beyond_the_quota() -> None:
    dirs = {"/": Directory.temporary(quota="1 MiB", collect=["*"])}
    with nothing_left_behind():
        result = Program(WRITER, limits=ResourceLimits(timeout=5), dirs=dirs).run()
    ended(result, Reason.DISK_LIMIT)


@posix
@pytest.mark.workers
def test_a_file_is_bounded_exactly_in_a_worker() -> None:
    limits = ResourceLimits(timeout=5, file_size="64 KiB")
    dirs = {"/": Directory.temporary(collect=["*"])}
    result = Program(WRITER, limits=limits, dirs=dirs, isolation="process").run()
    assert (result.reason, result.exit_code) == (Reason.EXITED, 9)
    assert len(result.files["/big.bin"]) == 65536


OPEN_MANY = wasi_programs.program(
    "path_open proc_exit",
    """
    (loop $again
      (if (call $path_open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 2)
            (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 16))
        (then (call $proc_exit (local.get $n))))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $n) (i32.const 5000))))
    (call $proc_exit (i32.const -1))
    """,
    '(data (i32.const 64) ".")',
)


@posix
@pytest.mark.workers
def test_descriptors_are_bounded_in_a_worker(tmp_path: Path) -> None:
    limits = ResourceLimits(open_files=50)
    result = Program(OPEN_MANY, limits=limits, dirs={"/": tmp_path}, isolation="process").run()
    assert result.reason is Reason.EXITED
    assert result.exit_code is not None
    assert 0 < result.exit_code <= 100


def test_the_root_directory_of_the_host_is_not_there() -> None:
    result = run(opener("etc/passwd"))
    assert (result.reason, result.exit_code) == (Reason.EXITED, wasi_programs.ERRNO_BADF)
