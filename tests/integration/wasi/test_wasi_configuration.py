"""
WASI preview 1: exits, and the life of a configuration.
"""

from __future__ import annotations

import copy
import pickle
import threading
from typing import Any, Callable

import pytest
import wasi_programs as programs

from wasmtime import (
    Engine,
    ExitTrap,
    FuncType,
    Linker,
    Module,
    Store,
    ValType,
    WasiConfig,
    WasmtimeError,
)


class TestExit:
    @pytest.mark.parametrize("code", [0, 1, 42, 125])
    def test_an_exit_has_a_status(self, run: Any, code: int) -> None:
        assert run(programs.exits(code), WasiConfig()) == code

    def test_an_exit_is_an_exception_in_python(self, start_of: Any) -> None:
        start = start_of(programs.exits(7), WasiConfig())
        with pytest.raises(ExitTrap, match="exit status 7") as caught:
            start()
        assert caught.value.code == 7

    # The library's own exit refuses these, and does not say what they were.
    @pytest.mark.parametrize("code", [126, 127, 200, 255, 256, -1, 2**31 - 1])
    def test_no_status_is_lost(self, run: Any, code: int) -> None:
        assert run(programs.exits(code), WasiConfig()) == code

    def test_an_exit_tells_where_the_program_was(self, start_of: Any) -> None:
        start = start_of(programs.exits(200), WasiConfig())
        with pytest.raises(ExitTrap, match="exit status 200") as caught:
            start()
        assert caught.value.frames
        again = pickle.loads(pickle.dumps(caught.value))
        assert (again.code, again.frames) == (200, caught.value.frames)

    def test_an_exit_of_ones_own_takes_its_place(self, engine: Engine) -> None:
        seen: list[int] = []
        linker = Linker(engine)
        linker.define_wasi()
        names = "wasi_snapshot_preview1", "proc_exit"
        with pytest.raises(WasmtimeError, match="defined twice"):
            linker.define_func(*names, FuncType([ValType.I32], []), seen.append)
        linker.allow_shadowing = True
        linker.define_func(*names, FuncType([ValType.I32], []), seen.append)
        store = Store(engine)
        store.set_wasi(WasiConfig())
        module = Module(
            engine,
            """(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (func (export "f") (call $exit (i32.const 9)))""",
        )
        linker.instantiate(store, module).exports(store)["f"](store)
        assert seen == [9]


class TestConfiguration:
    def test_later_changes_concern_later_stores(self, engine: Engine, output_of: Any) -> None:
        wasi = WasiConfig()
        wasi.argv = ["before"]
        output = wasi.capture_stdout()
        store = Store(engine)
        store.set_wasi(wasi)
        wasi.argv = ["after"]
        linker = Linker(engine)
        linker.define_wasi()
        instance = linker.instantiate(store, Module(engine, programs.ARGUMENTS))
        instance.exports(store)["_start"](store)
        assert output.getvalue() == b"before\0"
        assert output_of(programs.ARGUMENTS, wasi) == b"after\0"

    def test_copies_are_independent(self, output_of: Any) -> None:
        wasi = WasiConfig()
        wasi.argv = ["a"]
        for copied in (copy.copy(wasi), copy.deepcopy(wasi), pickle.loads(pickle.dumps(wasi))):
            copied.argv = ["b"]
            assert wasi.argv == ["a"]
            assert output_of(programs.ARGUMENTS, copied) == b"b\0"

    def test_a_closed_configuration_says_so(self) -> None:
        with WasiConfig() as wasi:
            wasi.argv = ["a"]
        wasi.close()
        uses: list[Callable[[], Any]] = [
            lambda: setattr(wasi, "argv", []),
            lambda: wasi.argv,
            wasi.inherit_argv,
            wasi.inherit_env,
            wasi.inherit_stdin,
            wasi.inherit_stdout,
            wasi.inherit_stderr,
            wasi.capture_stdout,
            wasi.capture_stderr,
            wasi.capture_output,
            wasi.inherit_network,
            wasi.allow_ip_name_lookup,
            wasi.allow_http,
            wasi.__enter__,
            lambda: wasi.preopen_dir(".", "."),
            lambda: Store().set_wasi(wasi),
        ]
        for use in uses:
            with pytest.raises(ValueError, match="already closed"):
                use()
        assert repr(wasi) == "<wasmtime.WasiConfig: closed>"

    def test_define_wasi_with_a_store(self, engine: Engine) -> None:
        wasi = WasiConfig()
        output = wasi.capture_stdout()
        store = Store(engine)
        linker = Linker(engine)
        linker.define_wasi(store, wasi)
        instance = linker.instantiate(store, Module(engine, programs.HELLO))
        instance.exports(store)["_start"](store)
        assert output.getvalue() == b"to stdout\n" * 2

    def test_the_network_can_be_allowed(self, run: Any) -> None:
        wasi = WasiConfig()
        wasi.inherit_network()
        wasi.allow_ip_name_lookup()
        wasi.allow_ip_name_lookup(enable=False)
        with pytest.raises(TypeError, match="enable"):
            wasi.allow_ip_name_lookup(1)  # type: ignore[arg-type]
        assert run(programs.exits(3), wasi) == 3

    def test_the_repr_counts_what_is_set(self) -> None:
        wasi = WasiConfig()
        wasi.argv = ["a", "b"]
        wasi.stdin_bytes = b"x"
        wasi.capture_stdout()
        assert repr(wasi) == (
            "<wasmtime.WasiConfig: 2 arguments, 0 variables, stdin: bytes, stdout: capture, "
            "stderr: nothing, 0 directories>"
        )

    def test_settings_are_documented(self) -> None:
        for name in ("argv", "env", "stdin_file", "stdin_bytes", "stdout_file", "stdout_custom"):
            assert getattr(WasiConfig, name).__doc__
            assert type(getattr(WasiConfig(), name)).__call__.__doc__

    def test_many_stores_on_many_threads(self, engine: Engine) -> None:
        module = Module(engine, programs.CAT)
        linker = Linker(engine)
        linker.define_wasi()
        failures: list[str] = []

        def work(number: int) -> None:
            for turn in range(20):
                data = f"{number}/{turn}".encode() * 50
                wasi = WasiConfig()
                wasi.stdin_bytes = data
                output = wasi.capture_stdout()
                store = Store(engine)
                store.set_wasi(wasi)
                linker.instantiate(store, module).exports(store)["_start"](store)
                if output.getvalue() != data:
                    failures.append(f"{number}/{turn}")

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
