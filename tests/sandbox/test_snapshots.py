"""
Snapshots of sessions, and interpreters that are set up once.
"""

from __future__ import annotations

import gc
import json
import os
import pickle
import subprocess
import sys
import threading
import weakref
from pathlib import Path
from typing import Any, Protocol

import pytest
from asyncified import PROGRAM

from wasmtime import Engine, Func, Instance, Module, Store, Trap, WasmtimeError, wat2wasm
from wasmtime.sandbox import (
    Argv,
    Exports,
    Interpreter,
    InterpreterSession,
    Plugin,
    PluginSession,
    Reason,
    ResourceLimits,
    SandboxError,
    Snapshot,
    engines,
)
from wasmtime.sandbox.execution import Execution
from wasmtime.sandbox.interpreters import drivers

COUNTER = """
(module (memory (export "memory") 1 40) (global $n (mut i32) (i32.const 0))
  (func (export "next") (result i32)
    (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "put") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
  (func (export "at") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "spin") (loop (br 0))))
"""

#: Writes one character, or many.
WRITER = """
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1) (data (i32.const 0) "\\64\\00\\00\\00\\01")
  (func $put (export "write") (param i32)
    (i32.store8 (i32.const 100) (local.get 0))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
  (func (export "many") (loop (call $put (i32.const 46)) (br 0))))
"""

#: Opens a file of a directory, and keeps or closes it.
OPENER = """
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
  (memory (export "memory") 1) (data (i32.const 0) "file.txt")
  (func (export "open") (result i32)
    (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 8) (i32.const 0)
      (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 100)))
  (func (export "close") (param i32) (result i32) (call $close (local.get 0))))
"""

#: An interpreter of a language whose snippets are numbers: it adds them up.
ADDER = """
(module (memory (export "memory") 1) (global $sum (mut i32) (i32.const 0))
  (global $top (mut i32) (i32.const 1024))
  (func (export "malloc") (param i32) (result i32)
    (global.get $top)
    (global.set $top (i32.add (global.get $top) (local.get 0))))
  (func (export "free") (param i32))
  (func (export "eval") (param $at i32) (param $size i32) (result i64)
    (global.set $sum (i32.add (global.get $sum)
      (i32.sub (i32.load8_u (local.get $at)) (i32.const 48))))
    (i32.store8 (i32.const 0) (i32.add (global.get $sum) (i32.const 48)))
    (i64.const 1)))
"""


def test_copies_begin_where_the_session_was_and_go_their_own_ways() -> None:
    with Plugin(COUNTER).open() as session:
        session.call("next")
        session.call("put", 100, 7)
        snapshot = session.snapshot()
        assert isinstance(snapshot, Snapshot)
        assert session.call("next") == 2  # the session goes on
    with snapshot.open() as one, snapshot.open() as other:
        assert isinstance(one, PluginSession)
        one.call("put", 100, 8)
        assert (one.call("next"), one.call("next"), other.call("next")) == (2, 3, 2)
        assert (one.call("at", 100), other.call("at", 100)) == (8, 7)


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """
    The hash of each module that is compiled, by a process that has compiled nothing yet.
    """
    digests = []
    compile = Module._of_digest

    def counted(engine: Any, wasm: Any, cache: Any, digest: Any) -> Any:
        digests.append(digest)
        return compile(engine, wasm, cache, digest)

    monkeypatch.setattr(Module, "_of_digest", counted)
    engines.forget()
    return digests


class Counter(Protocol):
    def next(self) -> int: ...


def test_calls_sessions_and_copies_of_a_plugin_share_one_compilation(
    compilations: list[Any],
) -> None:
    plugin = Plugin(COUNTER)
    assert plugin.call("next") == plugin.bind(Counter).next() == 1
    with plugin.open() as session:
        assert session.bind(Counter).next() == 1
        snapshot = session.snapshot()
    with snapshot.open() as copy:
        assert copy.call("next") == 2
    assert pickle.loads(pickle.dumps(plugin)).call("next") == 1
    assert len(compilations) == 1


@pytest.mark.parametrize("warm", [True, False])
def test_snippets_and_sessions_of_a_library_share_one_compilation(
    compilations: list[Any], warm: bool
) -> None:
    interpreter = Interpreter(ADDER, Exports(), warm=warm)
    assert interpreter.run("1").value == "1"
    with interpreter.open() as session:
        assert session.eval("2").value == "2"
        with session.snapshot().open() as copy:
            assert copy.eval("3").value == "5"
    assert len(compilations) == 1


#: A function of the table traps; the table that is added for snapshots has more elements.
TRAPPING = """
(module (memory (export "memory") 1) (table 1 funcref) (elem (i32.const 0) $h)
  (func $h (export "h") unreachable) (func $f (export "f") call $h) (export "f2" (func $f)))
"""


def test_what_is_added_for_snapshots_does_not_show() -> None:
    """
    Neither in names, nor in the offsets of frames, nor in the limits.
    """
    plugin = Plugin(TRAPPING, limits=ResourceLimits(table_elements=1))
    told = plugin.try_call("missing").exception
    assert told is not None
    assert told.text.endswith("it has 'h', 'f', 'f2'")
    hidden = plugin.try_call("snapshot:memory0").exception
    assert hidden is not None
    assert hidden.type == "LookupError"

    engine = Engine()
    store = Store(engine)
    start = Instance(store, Module(engine, TRAPPING), []).exports(store)["f"]
    assert isinstance(start, Func)
    with pytest.raises(Trap) as caught:
        start(store)
    trap = plugin.try_call("f").trap
    assert trap is not None
    assert list(trap.frames) == caught.value.frames
    assert trap.message == caught.value.message


def test_code_that_is_not_valid_is_told_of_as_it_was_given() -> None:
    binary = wat2wasm('(module (table 1 funcref) (func (export "f") (result i32) i32.const 1))')
    broken = binary.replace(b"\x41\x01\x0b", b"\x41\x01\x01")
    with pytest.raises(WasmtimeError) as refused:
        Module(Engine(), broken)
    with pytest.raises(SandboxError) as caught:
        Plugin(broken)
    told = caught.value.result.exception
    assert told is not None
    assert str(refused.value) in told.text


def test_a_copy_can_be_captured_again() -> None:
    snapshot = Plugin(COUNTER).open().snapshot()
    for expected in (1, 2, 3):
        with snapshot.open() as session:
            assert session.call("next") == expected
            snapshot = session.snapshot()


def test_copies_have_limits_and_time_of_their_own() -> None:
    plugin = Plugin(COUNTER, limits=ResourceLimits(timeout=0.2, memory=4 << 16))
    with plugin.open() as session:
        session.call("grow", 1)
        snapshot = session.snapshot()
    with snapshot.open() as one, snapshot.open() as other:
        assert other.call("grow", 1) == 2
        assert other.call("grow", 3) == -1
        assert one.try_call("spin").reason is Reason.TIMEOUT
        assert other.call("next") == 1


def test_copies_have_fuel_of_their_own() -> None:
    plugin = Plugin(COUNTER, limits=ResourceLimits(fuel=10_000))
    with plugin.open() as session:
        used = session.try_call("next").fuel_used
        assert used
        assert session.try_call("next").fuel_used == 2 * used  # of the session, until now
        snapshot = session.snapshot()
    with snapshot.open() as one, snapshot.open() as other:
        assert one.try_call("spin").reason is Reason.OUT_OF_FUEL
        result = other.try_call("next")
        assert (result.value, result.fuel_used) == (3, used)


def test_copies_have_streams_of_their_own() -> None:
    """
    What one writes is in its own result alone, and the bound on output is each one's.
    """
    limits = ResourceLimits(output=8, on_output_limit="stop")
    plugin = Plugin(WRITER, limits=limits)
    with plugin.open() as session:
        assert session.try_call("write", 65).stdout == b"A"
        snapshot = session.snapshot()
    with snapshot.open() as one, snapshot.open() as other:
        assert one.try_call("write", 66).stdout == b"B"
        assert other.try_call("write", 67).stdout == b"C"
        assert one.try_call("many").reason is Reason.OUTPUT_LIMIT
        assert other.try_call("write", 68).stdout == b"D"


def test_a_snapshot_that_is_too_large_for_the_limits_does_not_start(tmp_path: Path) -> None:
    with Plugin(COUNTER).open() as session:
        session.call("grow", 30)
        snapshot = session.snapshot()
    snapshot.save(tmp_path / "large")
    small = Plugin(COUNTER, limits=ResourceLimits(memory=10 << 16))
    loaded = Snapshot.load(tmp_path / "large", small)
    with pytest.raises(SandboxError) as caught:
        loaded.open()
    assert caught.value.result.reason is Reason.NOT_STARTED


def test_a_saved_snapshot_is_loaded_for_the_same_module(tmp_path: Path) -> None:
    with Plugin(COUNTER).open() as session:
        session.call("next")
        session.snapshot().save(tmp_path / "counter.snapshot")
    loaded = Snapshot.load(tmp_path / "counter.snapshot", Plugin(COUNTER))
    assert loaded.open().call("next") == 2
    assert [each.name for each in tmp_path.iterdir()] == ["counter.snapshot"]
    with pytest.raises(SandboxError, match="another module"):
        Snapshot.load(tmp_path / "counter.snapshot", Plugin(ADDER))
    content = (tmp_path / "counter.snapshot").read_bytes()
    (tmp_path / "damaged").write_bytes(content[:-40] + b"\1" + content[-39:])
    with pytest.raises(SandboxError, match="checksum"):
        Snapshot.load(tmp_path / "damaged", Plugin(COUNTER))


def test_a_baked_module_begins_with_the_state() -> None:
    with Plugin(COUNTER).open() as session:
        session.call("next")
        baked = session.snapshot().bake()
        assert baked == session.snapshot().bake()
    assert Plugin(baked).call("next") == 2


def test_open_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text("text")
    with Plugin(OPENER, dirs={"/": tmp_path}).open() as session:
        session.snapshot()
        assert session.call("open") == 0
        with pytest.raises(SandboxError, match="opened descriptor 4"):
            session.snapshot()
        assert session.call("close", 4) == 0
        session.snapshot()
        assert session.call("close", 3) == 0
        with pytest.raises(SandboxError, match="closed descriptor 3"):
            session.snapshot()


def test_the_look_at_descriptors_counts_against_no_limit(tmp_path: Path) -> None:
    limits = ResourceLimits(instances=1, memory=1 << 16)
    with Plugin(OPENER, limits=limits, dirs={"/": tmp_path}).open() as session:
        session.snapshot().open().close()


def test_environment_variables_are_not_taken_along() -> None:
    with Plugin(COUNTER, env={"TOKEN": "secret"}).open() as session:
        with pytest.raises(SandboxError, match="environment variables"):
            session.snapshot()


@pytest.mark.workers
def test_what_has_no_snapshots_says_why() -> None:
    with Plugin('(module (memory (export "memory") 1))', isolation="process").open() as session:
        with pytest.raises(SandboxError, match="another process"):
            session.snapshot()
    session = Plugin(COUNTER).open()
    session.close()
    with pytest.raises(SandboxError, match="has ended"):
        session.snapshot()


def test_a_component_has_none() -> None:
    with Plugin("(component)").open() as session:
        with pytest.raises(SandboxError, match="component"):
            session.snapshot()


def test_an_interpreter_that_is_a_library_is_set_up_once() -> None:
    interpreter = Interpreter(ADDER, Exports("eval"), setup="5")
    assert "once" in interpreter.explain()["setup"]
    assert [interpreter.run("1").value, interpreter.run("2").value] == ["6", "7"]
    cold = Interpreter(ADDER, Exports("eval"), setup="", warm=False)
    assert "warm is False" in cold.explain()["setup"]


def test_sessions_of_a_library_can_be_captured() -> None:
    with Interpreter(ADDER, Exports("eval")).open() as session:
        session.eval("3")
        snapshot = session.snapshot()
    with snapshot.open() as one, snapshot.open() as other:
        assert isinstance(one, InterpreterSession)
        assert [one.eval("1").value, one.eval("1").value, other.eval("1").value] == ["4", "5", "4"]


#: It has 2 MiB of ones and as many zeros, and writes a byte to so many pages of 4 KiB.
WRITTEN = """
(module (memory 64)
  (func (export "set_up") (memory.fill (i32.const 0) (i32.const 1) (i32.const 0x200000)))
  (func (export "write") (param $pages i32) (param $byte i32) (local $at i32)
    (loop $on
      (i32.store8 (local.get $at) (local.get $byte))
      (local.set $at (i32.add (local.get $at) (i32.const 4096)))
      (br_if $on (i32.lt_u (local.get $at) (i32.mul (local.get $pages) (i32.const 4096))))))
  (func (export "sum") (result i32) (local $at i32) (local $sum i32)
    (loop $on
      (local.set $sum (i32.add (local.get $sum) (i32.load8_u (local.get $at))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $on (i32.lt_u (local.get $at) (i32.const 0x200000))))
    (local.get $sum)))
"""


def _written() -> Snapshot[PluginSession]:
    # The pool does not take guests that may have so much memory.
    with Plugin(WRITTEN, limits=ResourceLimits(memory="1 GiB")).open() as session:
        session.call("set_up")
        return session.snapshot()


@pytest.fixture
def written() -> Snapshot[PluginSession]:
    return _written()


def test_what_copies_have_written_to_is_given_to_others_as_it_was(
    written: Snapshot[PluginSession],
) -> None:
    for pages in (10, 10, 10, 5, 20):
        with written.open() as copy:
            assert copy.call("sum") == 0x200000
            copy.call("write", pages, 3)
            assert copy.call("sum") == 0x200000 + 2 * pages


def _use(snapshot: Snapshot[PluginSession], pages: int = 5) -> None:
    with snapshot.open() as copy:
        assert copy.call("sum") == 0x200000
        copy.call("write", pages, 3)


def _waiting(snapshot: Snapshot[PluginSession]) -> list[Any]:
    return [execution for _, execution in snapshot._state.left]


@pytest.fixture
def renewed(written: Snapshot[PluginSession]) -> Snapshot[PluginSession]:
    """A snapshot of which a copy has run, and waits."""
    for _ in range(3):
        _use(written)
    assert len(_waiting(written)) == 1
    return written


@pytest.mark.skipif(sys.platform != "linux", reason="copies are renewed on Linux")
class TestRenewedCopies:
    def test_the_next_run_takes_the_one_that_waits(self, renewed: Snapshot[PluginSession]) -> None:
        before = _waiting(renewed)
        with renewed.open() as copy:
            assert not _waiting(renewed)
            assert copy.call("sum") == 0x200000
        assert _waiting(renewed) == before

    def test_several_wait_after_several_at_once(self, renewed: Snapshot[PluginSession]) -> None:
        copies = [renewed.open() for _ in range(12)]
        for number, copy in enumerate(copies):
            copy.call("write", number + 1, 2)
        assert [copy.call("sum") for copy in copies] == [0x200001 + n for n in range(12)]
        for copy in copies:
            copy.close()
        assert len(_waiting(renewed)) == 8
        assert len(set(map(id, _waiting(renewed)))) == 8

    def test_one_that_trapped_does_not_wait(self, renewed: Snapshot[PluginSession]) -> None:
        with renewed.open() as copy, pytest.raises(SandboxError):
            copy.call("write", 0x7FFF_FFFF, 1)
        assert not _waiting(renewed)

    def test_one_that_was_interrupted_does_not_wait(
        self, renewed: Snapshot[PluginSession], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupted(*_: Any) -> None:
            raise KeyboardInterrupt

        with renewed.open() as copy:
            copy.call("sum")
            monkeypatch.setattr("wasmtime.sandbox.here.take", interrupted)
            with pytest.raises(KeyboardInterrupt):
                copy.call("sum")
        assert not _waiting(renewed)

    def test_one_that_gets_no_world_is_told_of_as_a_new_one(
        self, renewed: Snapshot[PluginSession], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(_: Any) -> None:
            raise WasmtimeError("there is no such directory")

        monkeypatch.setattr(Execution, "_furnish", refuse)
        with pytest.raises(SandboxError, match="no such directory"):
            renewed.open()
        assert not _waiting(renewed)

    def test_nothing_of_its_run_is_kept(self, renewed: Snapshot[PluginSession]) -> None:
        [waiting] = _waiting(renewed)
        assert (waiting._task.args, waiting._task.stdin, waiting._streams) == ((), None, None)

    def test_who_asks_for_its_end_later_does_not_end_the_next_run(
        self, renewed: Snapshot[PluginSession]
    ) -> None:
        first = renewed.open()
        first.close()
        with renewed.open() as copy:
            first.cancel()
            assert copy.call("sum") == 0x200000

    def test_another_process_makes_its_own(
        self, renewed: Snapshot[PluginSession], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        [inherited] = _waiting(renewed)
        monkeypatch.setattr(os, "getpid", lambda: -1)
        _use(renewed)
        assert inherited not in _waiting(renewed)

    def test_they_go_with_the_snapshot(self) -> None:
        snapshot = _written()
        for _ in range(3):
            _use(snapshot)
        stores = [weakref.ref(execution.store) for execution in _waiting(snapshot)]
        del snapshot
        gc.collect()
        assert [store() for store in stores] == [None]


@pytest.mark.skipif(sys.platform != "linux", reason="pages are looked at on Linux")
def test_two_copies_that_write_to_few_pages_tell_what_others_will_write_to(
    written: Snapshot[PluginSession],
) -> None:
    def learns_of(pages: int) -> bool:
        with written.open() as copy:
            copy.call("write", pages, 2)
        return written._state.learns

    assert [learns_of(600), learns_of(10), learns_of(600), learns_of(10)] == [
        True,
        True,
        True,
        False,
    ]


def test_copies_run_on_threads_at_once() -> None:
    interpreter = Interpreter(ADDER, Exports("eval"), setup="2")
    values: list[Any] = []
    threads = [
        threading.Thread(
            target=lambda: values.extend(interpreter.run("1").value for _ in range(20))
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert values == ["3"] * 80


def test_an_asyncified_program_is_captured_where_it_reads() -> None:
    interpreter = Interpreter(PROGRAM, Argv(("-e",), language="javascript"))
    assert "stopped where it reads" in interpreter.explain()["setup"]
    # It echoes what it is told: the snippet, and a seed that no two copies share.
    texts = [interpreter.run("hello").text for _ in range(2)]
    assert [text.startswith('A["code", "hello", [') for text in texts] == [True, True]
    assert texts[0] != texts[1]
    seeded = Interpreter(PROGRAM, Argv(("-e",), language="javascript"), seed=1)
    assert seeded.run("x").text == seeded.run("x").text


def test_an_interpreter_is_pickled_and_set_up_again() -> None:
    interpreter = Interpreter(ADDER, Exports("eval"), setup="5")
    assert interpreter.run("1").value == "6"
    assert pickle.loads(pickle.dumps(interpreter)).run("2").value == "7"


def test_an_environment_makes_each_copy_start_anew() -> None:
    interpreter = Interpreter(
        PROGRAM, Argv(("-e",), language="javascript"), env={"TOKEN": "secret"}
    )
    assert "environment" in interpreter.explain()["setup"]


# -- real interpreters: set up once


@pytest.mark.network
def test_a_program_that_cannot_be_stopped_is_started_ahead() -> None:
    from .test_interpreters import fetch_interpreter

    python = Interpreter(
        fetch_interpreter("python"), setup="import json; n = [1]", functions={"fail": _fail}
    )
    assert "ahead" in python.explain()["setup"]
    for _ in range(2):
        assert python.run("n.append(2); print(json.dumps(n))").text == "[1, 2]\n"
    failed = python.run("raise SystemExit(3)")
    assert (failed.reason, failed.exit_code) == (Reason.EXITED, 3)
    with pytest.raises(SandboxError) as caught:
        python.run("fail()", check=True)
    assert isinstance(caught.value.__cause__, KeyError)
    broken = Interpreter(fetch_interpreter("python"), setup="nonsense")
    with pytest.raises(SandboxError):
        broken.run("print(1)")


def _fail() -> None:
    raise KeyError("no")


@pytest.mark.network
def test_what_waits_ahead_is_not_the_childs_after_a_fork() -> None:
    from support import run_in_subprocess

    from .test_interpreters import fetch_interpreter

    path = fetch_interpreter("micropython")
    run_in_subprocess(
        f"""
        import os, time
        from wasmtime.sandbox import Interpreter
        python = Interpreter({str(path)!r}, setup="n = 1")
        assert python.run("print(n)").text.strip() == "1"
        time.sleep(0.5)
        child = os.fork()
        if not child:
            os._exit(0 if python.run("print(n)").text.strip() == "1" else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert python.run("print(n)").text.strip() == "1"
        """
    ).check()


def test_settling_leaves_no_names_behind() -> None:
    scope: dict[str, object] = {}
    exec(f"x = 1{drivers.settling('python')}", scope)
    gc.unfreeze()
    assert set(scope) == {"__builtins__", "x"}
    assert drivers.settling("javascript") == ""


def test_the_driver_of_python_lets_generators_begin_anew() -> None:
    driver = drivers.session("python", "@", [], "import random, uuid; random.seed(1); uuid.uuid1()")
    code = "print(random.random(), uuid._node)"

    def drawn(seed: list[int]) -> bytes:
        done = subprocess.run(
            [sys.executable, "-c", driver],
            input=json.dumps(["code", code, seed]).encode() + b"\n",
            capture_output=True,
            check=True,
        )
        return next(line for line in done.stdout.splitlines() if not line.startswith(b"@"))

    assert drawn([1, 2, 3, 4]) == drawn([1, 2, 3, 4]) != drawn([5, 6, 7, 8])
    assert drawn([1, 2, 3, 4]).endswith(b"None")


def test_what_a_snippet_has_written_is_there_when_the_driver_asks_for_the_next() -> None:
    driver = drivers.session("python", "@", [], "import sys")
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", driver], stdin=pipe, stdout=pipe, stderr=pipe
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        code = "sys.stderr.write('no line'); sys.stdout.write('none either')"
        process.stdin.write(json.dumps(["code", code]).encode() + b"\n")
        process.stdin.flush()
        assert process.stdout.readline().startswith(b"@")
        assert process.stdout.readline().startswith(b"none either@")
        assert process.stderr.read1(100) == b"no line"  # type: ignore[attr-defined]


def test_a_snippet_for_a_library_lets_generators_begin_anew() -> None:
    import random

    before = random.getstate()
    try:
        drawn = []
        for words in ([1, 2, 3, 4], [1, 2, 3, 4], [5, 6, 7, 8]):
            exec(drivers.reseeding("python", words), {})
            drawn.append(random.random())
    finally:
        random.setstate(before)
    assert drawn[0] == drawn[1] != drawn[2]
