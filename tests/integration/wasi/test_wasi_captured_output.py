"""
WASI preview 1: output that Python gets, as a whole or as it is written.
"""

from __future__ import annotations

import copy
import io
import os
import pickle
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import wasi_programs as programs
from support import HELPERS, run_in_subprocess

from wasmtime import Engine, FuncType, Linker, Module, Store, Trap, WasiConfig, WasmtimeError


class TestCapture:
    def test_both_streams_are_captured_separately(self, run: Any) -> None:
        wasi = WasiConfig()
        out, err = wasi.capture_stdout(), wasi.capture_stderr()
        assert run(programs.HELLO, wasi) == 0
        assert out.getvalue() == b"to stdout\n" * 2
        assert err.getvalue() == b"to stderr\n" * 2
        assert out.getvalue() == b"to stdout\n" * 2  # it stays there
        assert (bytes(out), len(out), out.total) == (out.getvalue(), 20, 20)
        assert out.text() == "to stdout\n" * 2
        assert out.read() == b"to stdout\n" * 2
        assert (out.read(), out.getvalue(), len(out), out.total) == (b"", b"", 0, 20)
        assert out  # an empty output is still one
        assert not out.truncated
        assert "20 bytes" in repr(out)

    def test_both_streams_are_captured_together_in_order(self, run: Any) -> None:
        wasi = WasiConfig()
        output = wasi.capture_output()
        assert run(programs.HELLO, wasi) == 0
        assert output.text().split() == ["to", "stdout", "to", "stderr"] * 2

    def test_only_one_of_them_together(self, run: Any, tmp_path: Path) -> None:
        wasi = WasiConfig()
        output = wasi.capture_output()
        wasi.stdout_file = tmp_path / "out"
        assert run(programs.HELLO, wasi) == 0
        assert output.getvalue() == b"to stderr\n" * 2

    def test_output_that_is_not_utf8_is_decoded_on_demand(self, run: Any) -> None:
        wasi = WasiConfig()
        output = wasi.capture_stdout()
        wasi.stdin_bytes = b"\xff"
        run(programs.CAT, wasi)
        with pytest.raises(UnicodeDecodeError):
            output.text()
        assert output.text(errors="replace") == "\ufffd"
        assert output.text("latin-1") == "ÿ"

    def test_the_output_outlives_everything(self, engine: Engine, run: Any) -> None:
        wasi = WasiConfig()
        output = wasi.capture_stdout()
        store = Store(engine)
        assert run(programs.HELLO, wasi, store) == 0
        store.close()
        wasi.close()
        del store, wasi
        assert output.getvalue() == b"to stdout\n" * 2

    def test_read_from_a_host_function(self, engine: Engine) -> None:
        text = programs.HELLO.replace("(memory", '(import "" "look" (func $look)) (memory').replace(
            "(call $print (i32.const 1) (i32.const 100))",
            "(call $print (i32.const 1) (i32.const 100)) (call $look)",
        )
        wasi = WasiConfig()
        output = wasi.capture_stdout()
        seen: list[bytes] = []
        linker = Linker(engine)
        linker.define_wasi()
        linker.define_func("", "look", FuncType([], []), lambda: seen.append(output.read()))
        store = Store(engine)
        store.set_wasi(wasi)
        instance = linker.instantiate(store, Module(engine, text))
        instance.exports(store)["_start"](store)
        assert seen == [b"to stdout\n"] * 2

    def test_read_from_another_thread_while_it_runs(self, engine: Engine, start_of: Any) -> None:
        wasi = WasiConfig()
        output = wasi.capture_stdout()
        store = Store(engine)
        store.set_epoch_deadline(1)
        start = start_of(programs.CHATTER, wasi, store)
        seen: list[bytes] = []

        def reader() -> None:
            while sum(map(len, seen)) < 1000:
                seen.append(output.read())
                time.sleep(0.001)
            engine.increment_epoch()

        thread = threading.Thread(target=reader)
        thread.start()
        with pytest.raises(Trap):
            start()
        thread.join()
        everything = b"".join(seen) + output.read()
        assert len(everything) == output.total
        assert everything == b"to stdout\n" * (len(everything) // 10)

    @pytest.mark.parametrize("limit", [0, 5, 19])
    def test_a_limit_stops_the_program(self, run: Any, limit: int) -> None:
        wasi = WasiConfig()
        output = wasi.capture_stdout(limit=limit)
        assert output.limit == limit
        assert run(programs.write_status(10, 3), wasi) != 0
        assert len(output.getvalue()) <= limit
        assert output.truncated

    def test_a_limit_that_is_enough_changes_nothing(self, run: Any) -> None:
        wasi = WasiConfig()
        output = wasi.capture_stdout(limit=30)
        assert run(programs.write_status(10, 3), wasi) == 0
        assert len(output.getvalue()) == 30
        assert not output.truncated

    @pytest.mark.parametrize(
        ("limit", "error"),
        [(-1, ValueError), ("1", TypeError), (1.0, TypeError), (True, TypeError)],
    )
    def test_what_is_no_limit_is_refused(self, limit: Any, error: Any) -> None:
        for method in ("capture_stdout", "capture_stderr", "capture_output"):
            with pytest.raises(error, match="limit"):
                getattr(WasiConfig(), method)(limit)

    def test_an_output_belongs_to_one_store(self, run: Any) -> None:
        wasi = WasiConfig()
        first = wasi.capture_stdout()
        run(programs.HELLO, wasi)
        with pytest.raises(WasmtimeError, match="capture_stdout"):
            run(programs.HELLO, wasi)
        second = wasi.capture_stdout()
        run(programs.HELLO, wasi)
        assert first.getvalue() == second.getvalue() == b"to stdout\n" * 2

    def test_an_output_cannot_be_copied(self) -> None:
        output = WasiConfig().capture_stdout()
        for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match="Output"):
                attempt(output)

    def test_a_large_output_is_captured(self, run: Any) -> None:
        data = os.urandom(4 << 20)
        wasi = WasiConfig()
        wasi.stdin_bytes = data
        output = wasi.capture_stdout()
        run(programs.CAT, wasi)
        assert output.getvalue() == data


class TestCallables:
    def test_a_callable_is_assigned_or_given_in_a_call(self, run: Any) -> None:
        out: list[bytes] = []
        err = io.BytesIO()
        wasi = WasiConfig()
        wasi.stdout_custom = out.append
        wasi.stderr_custom(callback=err.write)  # returns how many bytes it took
        assert run(programs.HELLO, wasi) == 0
        assert b"".join(out) == b"to stdout\n" * 2
        assert err.getvalue() == b"to stderr\n" * 2
        assert all(type(data) is bytes and data for data in out)

    def test_reads_as_the_callable(self) -> None:
        wasi = WasiConfig()
        assert not wasi.stdout_custom
        wasi.stdout_custom = print
        assert wasi.stdout_custom == print
        assert wasi.stdout_custom.callback is print
        wasi.inherit_stdout()
        assert wasi.stdout_custom.callback is None

    @pytest.mark.parametrize("value", [None, 3, "print"])
    def test_what_cannot_be_called_is_refused(self, value: Any) -> None:
        with pytest.raises(TypeError, match="stdout_custom"):
            WasiConfig().stdout_custom = value
        with pytest.raises(TypeError, match="stderr_custom"):
            WasiConfig().stderr_custom = value

    @pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt, SystemExit])
    def test_an_exception_comes_out_unchanged(self, run: Any, kind: Any) -> None:
        raised = kind("from the callable")

        def callback(data: bytes) -> None:
            raise raised

        wasi = WasiConfig()
        wasi.stdout_custom = callback
        with pytest.raises(kind) as caught:
            run(programs.HELLO, wasi)
        assert caught.value is raised

    def test_called_on_the_calling_thread(self, run: Any) -> None:
        threads: set[int] = set()
        wasi = WasiConfig()
        wasi.stdout_custom = lambda data: threads.add(threading.get_ident())
        run(programs.HELLO, wasi)
        assert threads == {threading.get_ident()}

    def test_it_may_call_the_store_that_prints(self, engine: Engine) -> None:
        """
        Output is delivered while the guest goes on, which is a tick of the epoch.
        """
        module = Module(
            engine,
            """
            (import "wasi_snapshot_preview1" "fd_write"
                (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 0) "\\08\\00\\00\\00\\01\\00\\00\\00!")
            (global $stop (mut i32) (i32.const 0))
            (func (export "stop") (loop) (global.set $stop (i32.const 1)))
            (func (export "run")
                (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))
                (loop (br_if 0 (i32.eqz (global.get $stop)))))
            """,
        )
        store = Store(engine)
        linker = Linker(engine)
        linker.define_wasi()
        exports: Any = {}
        wasi = WasiConfig()
        wasi.stdout_custom = lambda data: exports["stop"](store)
        store.set_wasi(wasi)
        exports = linker.instantiate(store, module).exports(store)
        exports["run"](store)

    def test_a_callable_may_take_a_part(self, run: Any) -> None:
        seen: list[bytes] = []

        def three(data: bytes) -> int:
            seen.append(data[:3])
            return len(data[:3])

        wasi = WasiConfig()
        wasi.stdout_custom = three
        run(programs.HELLO, wasi)
        assert b"".join(seen) == b"to stdout\n" * 2

    @pytest.mark.parametrize(
        ("result", "error"),
        [
            (0, ValueError),
            (10_000, ValueError),
            (-5, OSError),
            ("10", TypeError),
            (True, TypeError),
        ],
    )
    def test_a_result_that_means_nothing(self, run: Any, result: Any, error: Any) -> None:
        wasi = WasiConfig()
        wasi.stdout_custom = lambda data: result
        with pytest.raises(error):
            run(programs.HELLO, wasi)

    def test_a_program_that_never_ends_is_heard(self, start_of: Any) -> None:
        class Enough(Exception):
            pass

        received = 0

        def callback(data: bytes) -> None:
            nonlocal received
            received += len(data)
            if received > 100:
                raise Enough

        wasi = WasiConfig()
        wasi.stdout_custom = callback
        start = start_of(programs.CHATTER, wasi)
        with pytest.raises(Enough):
            start()

    def test_output_before_a_trap_and_before_an_exit(self, run: Any) -> None:
        body = """
            (i32.store (i32.const 0) (i32.const 100))
            (i32.store (i32.const 4) (i32.const 4))
            (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
        """
        data = '(data (i32.const 100) "last")'
        seen: list[bytes] = []
        wasi = WasiConfig()
        wasi.stdout_custom = seen.append
        exits = programs.program(
            "fd_write proc_exit", body + "(call $proc_exit (i32.const 5))", data
        )
        assert run(exits, wasi) == 5
        assert seen == [b"last"]
        with pytest.raises(Trap):
            run(programs.program("fd_write", body + "unreachable", data), wasi)
        assert seen == [b"last"] * 2

    def test_output_of_the_start_section(self, engine: Engine) -> None:
        text = programs.HELLO.replace('(func (export "_start")', "(start $main) (func $main")
        seen: list[bytes] = []
        wasi = WasiConfig()
        wasi.stdout_custom = seen.append
        store = Store(engine)
        store.set_wasi(wasi)
        linker = Linker(engine)
        linker.define_wasi()
        linker.instantiate(store, Module(engine, text))
        assert b"".join(seen) == b"to stdout\n" * 2

    def test_one_configuration_serves_many_stores(self, run: Any) -> None:
        seen: list[bytes] = []
        wasi = WasiConfig()
        wasi.stdout_custom = seen.append
        for _ in range(3):
            assert run(programs.HELLO, wasi) == 0
        assert b"".join(seen) == b"to stdout\n" * 6

    def test_nothing_is_printed_at_the_end_of_the_process(self) -> None:
        ended = run_in_subprocess(
            """
            from wasmtime import Engine, Linker, Module, Store, WasiConfig
            import wasi_programs as programs
            engine = Engine()
            store, linker, wasi = Store(engine), Linker(engine), WasiConfig()
            wasi.stdout_custom = lambda data: None
            output = wasi.capture_stderr()
            linker.define_wasi()
            store.set_wasi(wasi)
            instance = linker.instantiate(store, Module(engine, programs.HELLO))
            instance.exports(store)["_start"](store)
            """,
            "-X",
            "dev",
            preamble="",
            env=HELPERS,
        ).check()
        assert (ended.output, ended.errors) == ("", "")
