"""
WASI preview 1: input and output that are files, bytes or the process's own.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest
import wasi_programs as programs
from support import HELPERS, posix, run_in_subprocess

from wasmtime import WasiConfig, WasmtimeError


class TestStdin:
    @pytest.mark.parametrize("form", [str, os.fsencode, Path])
    def test_a_file_is_read(self, output_of: Any, tmp_path: Path, form: Any) -> None:
        path = tmp_path / "in put ä"
        path.write_bytes(b"x" * 10_000)
        wasi = WasiConfig()
        wasi.stdin_file = form(str(path))
        assert output_of(programs.CAT, wasi) == b"x" * 10_000
        wasi.stdin_file(path=form(str(path)))
        assert wasi.stdin_file == path
        assert wasi.stdin_file.path == str(path)

    @pytest.mark.parametrize("form", [bytes, bytearray, memoryview])
    def test_bytes_are_read(self, output_of: Any, form: Any) -> None:
        data = bytes(range(256)) * 100
        wasi = WasiConfig()
        wasi.stdin_bytes = form(data)
        assert wasi.stdin_bytes == data
        assert output_of(programs.CAT, wasi) == data
        wasi.stdin_bytes(b"")
        assert output_of(programs.CAT, wasi) == b""

    def test_the_last_setting_counts(self, output_of: Any, tmp_path: Path) -> None:
        (tmp_path / "f").write_bytes(b"file")
        wasi = WasiConfig()
        wasi.stdin_file = tmp_path / "f"
        wasi.stdin_bytes = b"bytes"
        assert not wasi.stdin_file
        assert wasi.stdin_file.path is None
        with pytest.raises(TypeError, match="not set"):
            os.fspath(wasi.stdin_file)
        assert output_of(programs.CAT, wasi) == b"bytes"
        wasi.stdin_file = tmp_path / "f"
        assert not wasi.stdin_bytes
        assert wasi.stdin_bytes.data is None
        assert output_of(programs.CAT, wasi) == b"file"

    @pytest.mark.parametrize("data", ["text", 3, None])
    def test_what_are_no_bytes_is_refused(self, data: Any) -> None:
        with pytest.raises(TypeError, match="stdin_bytes"):
            WasiConfig().stdin_bytes = data

    def test_a_file_that_cannot_be_opened_is_refused(self, tmp_path: Path) -> None:
        wasi = WasiConfig()
        with pytest.raises(WasmtimeError, match=r"failed to set stdin file: .*nowhere"):
            wasi.stdin_file = tmp_path / "nowhere"
        with pytest.raises(WasmtimeError, match="failed to set stdin file"):
            wasi.stdin_file = tmp_path
        with pytest.raises(ValueError, match="stdin_file"):
            wasi.stdin_file = "a\0b"
        with pytest.raises(TypeError, match="stdin_file"):
            wasi.stdin_file = 3  # type: ignore[assignment]
        assert not wasi.stdin_file

    def test_a_file_may_be_gone_before_the_store_takes_it(self, run: Any, tmp_path: Path) -> None:
        path = tmp_path / "f"
        path.touch()
        wasi = WasiConfig()
        wasi.stdin_file = path
        path.unlink()
        with pytest.raises(WasmtimeError, match="not any more"):
            run(programs.CAT, wasi)

    def test_relative_path_counts_from_where_it_was_set(
        self, output_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "f").write_bytes(b"here")
        (tmp_path / "elsewhere").mkdir()
        wasi = WasiConfig()
        monkeypatch.chdir(tmp_path)
        wasi.stdin_file = "f"
        monkeypatch.chdir(tmp_path / "elsewhere")
        assert output_of(programs.CAT, wasi) == b"here"

    @posix
    def test_a_pipe_is_opened_once(self, output_of: Any, tmp_path: Path) -> None:
        path = tmp_path / "pipe"
        os.mkfifo(path)
        wasi = WasiConfig()
        wasi.stdin_file = path  # would wait here if it were opened
        writer = threading.Thread(target=path.write_bytes, args=(b"through a pipe",))
        writer.start()
        assert output_of(programs.CAT, wasi) == b"through a pipe"
        writer.join()


class TestOutputFiles:
    @pytest.mark.parametrize("form", [str, os.fsencode, Path])
    def test_both_streams_are_written_to_files(self, run: Any, tmp_path: Path, form: Any) -> None:
        out, err = tmp_path / "out", tmp_path / "err"
        out.write_bytes(b"old contents that go away")
        wasi = WasiConfig()
        wasi.stdout_file = form(str(out))
        wasi.stderr_file(form(str(err)))
        assert (out.read_bytes(), err.read_bytes()) == (b"", b"")
        assert (wasi.stdout_file == out, wasi.stderr_file == str(err)) == (True, True)
        assert run(programs.HELLO, wasi) == 0
        assert out.read_bytes() == b"to stdout\n" * 2
        assert err.read_bytes() == b"to stderr\n" * 2

    def test_files_that_cannot_be_made_are_refused(self, tmp_path: Path) -> None:
        wasi = WasiConfig()
        for setting in ("stdout_file", "stderr_file"):
            with pytest.raises(WasmtimeError, match=f"failed to set {setting[:6]} file"):
                setattr(wasi, setting, tmp_path / "no" / "such")
            with pytest.raises(WasmtimeError, match=f"failed to set {setting[:6]} file"):
                setattr(wasi, setting, tmp_path)
            with pytest.raises(ValueError, match=setting):
                setattr(wasi, setting, "\0")


class TestInherited:
    def test_all_three_streams_are_the_processs(self) -> None:
        ended = run_in_subprocess(
            """
            import sys
            from wasmtime import Engine, Linker, Module, Store, WasiConfig
            import wasi_programs as programs
            engine = Engine()
            for text in (programs.CAT, programs.HELLO):
                store, linker, wasi = Store(engine), Linker(engine), WasiConfig()
                wasi.inherit_stdin()
                wasi.inherit_stdout()
                wasi.inherit_stderr()
                linker.define_wasi()
                store.set_wasi(wasi)
                instance = linker.instantiate(store, Module(engine, text))
                instance.exports(store)["_start"](store)
            """,
            input="input\n",
            preamble="",
            env=HELPERS,
        ).check()
        assert ended.errors == "to stderr\n" * 2
        assert ended.output == "input\n" + "to stdout\n" * 2
