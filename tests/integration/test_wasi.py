"""
WASI preview 1: what a guest is given, and what comes back from it.
"""

from __future__ import annotations

import copy
import io
import os
import pickle
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any, Callable, Optional

import pytest
import wasi_programs as programs
from support import HELPERS

from wasmtime import (
    DirPerms,
    Engine,
    ExitTrap,
    FilePerms,
    Func,
    FuncType,
    Linker,
    Module,
    Store,
    Trap,
    ValType,
    WasiConfig,
    WasmtimeError,
)

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="this is POSIX behaviour")


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine()


@pytest.fixture
def run(engine: Engine) -> Callable[..., int]:
    """
    Run a program with a configuration; the result is its exit status.
    """

    def run(text: str, wasi: WasiConfig, store: Optional[Store] = None) -> int:
        store = store or Store(engine)
        linker = Linker(engine)
        linker.define_wasi()
        store.set_wasi(wasi)
        instance = linker.instantiate(store, Module(engine, text))
        start = instance.exports(store)["_start"]
        assert isinstance(start, Func)
        try:
            start(store)
        except ExitTrap as trap:
            return trap.code
        return 0

    return run


@pytest.fixture
def output_of(run: Callable[..., int]) -> Callable[..., bytes]:
    """
    Run a program with a configuration; the result is what it wrote to standard output.
    """

    def output_of(text: str, wasi: WasiConfig) -> bytes:
        output = wasi.capture_stdout()
        assert run(text, wasi) == 0
        return output.getvalue()

    return output_of


def with_programs() -> dict[str, str]:
    """
    This environment, for a Python that shall find the programs of these tests too.
    """
    return {**os.environ, **HELPERS}


def split(data: bytes) -> list[bytes]:
    """
    The strings of a NUL-terminated list.
    """
    assert not data or data.endswith(b"\0")
    return data.split(b"\0")[:-1]


class TestNothing:
    """
    What a guest has before anything is set.
    """

    def test_no_arguments_no_environment_no_input(self, output_of: Any) -> None:
        assert output_of(programs.ARGUMENTS, WasiConfig()) == b""
        assert output_of(programs.ENVIRONMENT, WasiConfig()) == b""
        assert output_of(programs.CAT, WasiConfig()) == b""

    def test_output_goes_nowhere(self, run: Any, capfd: Any) -> None:
        assert run(programs.HELLO, WasiConfig()) == 0
        assert capfd.readouterr() == ("", "")

    def test_no_directory(self, run: Any) -> None:
        text = programs.opens("f", 0, programs.RIGHT_READ)
        assert run(text, WasiConfig()) == programs.ERRNO_BADF

    def test_no_configuration_at_all(self) -> None:
        # In a process of its own, since the library aborts the process if nothing prevents it.
        script = textwrap.dedent(
            """
            from wasmtime import Engine, Linker, Module, Store, WasmtimeError
            import wasi_programs as programs
            engine = Engine()
            linker = Linker(engine)
            linker.define_wasi()
            store = Store(engine)
            module = Module(engine, programs.HELLO)
            try:
                linker.instantiate(store, module).exports(store)["_start"](store)
            except WasmtimeError as error:
                assert "set_wasi" in str(error), error
                print("refused")
            """
        )
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, env=with_programs()
        )
        assert (done.stdout.strip(), done.returncode) == (b"refused", 0), done.stderr


class TestArgv:
    def test_assigned(self, output_of: Any) -> None:
        wasi = WasiConfig()
        wasi.argv = ["prog", "", "ä", "two words"]
        assert split(output_of(programs.ARGUMENTS, wasi)) == [
            b"prog",
            b"",
            "ä".encode(),
            b"two words",
        ]

    def test_called(self, output_of: Any) -> None:
        wasi = WasiConfig()
        wasi.argv(["prog", "x"])
        assert split(output_of(programs.ARGUMENTS, wasi)) == [b"prog", b"x"]
        wasi.argv(argv=("other",))
        assert split(output_of(programs.ARGUMENTS, wasi)) == [b"other"]

    def test_reads_as_a_sequence(self) -> None:
        wasi = WasiConfig()
        assert wasi.argv == []
        wasi.argv = (word for word in ("a", "b", "c"))
        assert wasi.argv == ["a", "b", "c"]
        assert wasi.argv == ("a", "b", "c")
        assert wasi.argv != ["a"]
        assert wasi.argv != 3
        assert list(wasi.argv) == ["a", "b", "c"]
        assert (len(wasi.argv), wasi.argv[0], wasi.argv[1:]) == (3, "a", ["b", "c"])
        assert repr(wasi.argv) == "['a', 'b', 'c']"

    def test_the_list_is_copied(self) -> None:
        words = ["a"]
        wasi = WasiConfig()
        wasi.argv = words
        words.append("b")
        assert wasi.argv == ["a"]

    @pytest.mark.parametrize(
        ("argv", "error", "words"),
        [
            ("prog", TypeError, "single str"),
            (b"prog", TypeError, "single bytes"),
            (["a", b"b"], TypeError, r"argv\[1\]"),
            (["a", 1], TypeError, r"argv\[1\]"),
            (["a\0b"], ValueError, r"argv\[0\]"),
            (["\udc80"], ValueError, r"argv\[0\]"),
            (3, TypeError, None),
        ],
    )
    def test_refused(self, argv: Any, error: Any, words: Optional[str]) -> None:
        wasi = WasiConfig()
        wasi.argv = ["kept"]
        with pytest.raises(error, match=words):
            wasi.argv = argv
        with pytest.raises(error, match=words):
            wasi.argv(argv)
        assert wasi.argv == ["kept"]

    def test_inherited_is_the_interpreters(self) -> None:
        script = textwrap.dedent(
            """
            from wasmtime import WasiConfig
            wasi = WasiConfig()
            wasi.argv = ["replaced"]
            wasi.inherit_argv()
            print(list(wasi.argv)[1:])
            """
        )
        done = subprocess.run(
            [sys.executable, "-c", script, "one", "two"], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == repr(["-c", script, "one", "two"])

    @posix_only
    def test_inherited_but_not_unicode(self) -> None:
        script = "import wasmtime; wasmtime.WasiConfig().inherit_argv()"
        done = subprocess.run([sys.executable, "-c", script, b"\xff"], capture_output=True)
        assert done.returncode == 1
        assert b"ValueError: argv[3]" in done.stderr


class TestEnv:
    def test_both_forms(self, output_of: Any) -> None:
        wasi = WasiConfig()
        wasi.env = [["A", "1"], ("B", "")]
        assert split(output_of(programs.ENVIRONMENT, wasi)) == [b"A=1", b"B="]
        wasi.env(env={"ä": "x=y"})
        assert split(output_of(programs.ENVIRONMENT, wasi)) == ["ä=x=y".encode()]

    def test_reads_as_pairs(self) -> None:
        wasi = WasiConfig()
        wasi.env = {"A": "1", "B": "2"}
        assert wasi.env == [("A", "1"), ("B", "2")]
        assert wasi.env == (["A", "1"], ["B", "2"])
        assert wasi.env == {"B": "2", "A": "1"}
        assert wasi.env != [1]
        assert wasi.env != "A"
        assert (len(wasi.env), wasi.env[1], wasi.env[:1]) == (2, ("B", "2"), [("A", "1")])

    @pytest.mark.parametrize("first", ["inherit", "set"])
    def test_set_wins_over_inherited(
        self, output_of: Any, monkeypatch: pytest.MonkeyPatch, first: str
    ) -> None:
        monkeypatch.setenv("WASI_TEST_A", "inherited")
        monkeypatch.setenv("WASI_TEST_B", "inherited")
        wasi = WasiConfig()
        if first == "inherit":
            wasi.inherit_env()
            wasi.env = {"WASI_TEST_A": "set"}
        else:
            wasi.env = {"WASI_TEST_A": "set"}
            wasi.inherit_env()
        seen = split(output_of(programs.ENVIRONMENT, wasi))
        assert [item for item in seen if item.startswith(b"WASI_TEST_A")] == [b"WASI_TEST_A=set"]
        assert b"WASI_TEST_B=inherited" in seen

    @posix_only
    def test_an_inherited_variable_that_is_not_unicode_is_left_out(
        self, output_of: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(os.environb, b"WASI_TEST_VALUE", b"\xff")
        monkeypatch.setitem(os.environb, b"WASI_TEST_NAME_\xff", b"value")
        monkeypatch.setenv("WASI_TEST_GOOD", "good")
        wasi = WasiConfig()
        with pytest.warns(RuntimeWarning, match="WASI_TEST_(VALUE|NAME).*UTF-8") as told:
            wasi.inherit_env()
        assert [warning.filename for warning in told] == [__file__] * 2
        seen = split(output_of(programs.ENVIRONMENT, wasi))
        assert b"WASI_TEST_GOOD=good" in seen
        assert not [item for item in seen if item.startswith((b"WASI_TEST_V", b"WASI_TEST_N"))]

    @pytest.mark.parametrize(
        ("env", "error", "words"),
        [
            ("A=1", TypeError, "not a str"),
            (["A=1"], TypeError, r"env\[0\]"),
            ([("A",)], ValueError, r"env\[0\].*1 items"),
            ([("A", "1", "2")], ValueError, r"env\[0\].*3 items"),
            ([("", "1")], ValueError, "empty"),
            ([("A=B", "1")], ValueError, "'A=B'"),
            ([("A", 1)], TypeError, "'A'"),
            ([(b"A", "1")], TypeError, r"env\[0\]"),
            ([("A", "\0")], ValueError, "'A'"),
            ([("\udc80", "1")], ValueError, r"env\[0\]"),
            (7, TypeError, None),
        ],
    )
    def test_refused(self, env: Any, error: Any, words: Optional[str]) -> None:
        wasi = WasiConfig()
        with pytest.raises(error, match=words):
            wasi.env = env
        assert wasi.env == []


class TestStdin:
    @pytest.mark.parametrize("form", [str, os.fsencode, Path])
    def test_file(self, output_of: Any, tmp_path: Path, form: Any) -> None:
        path = tmp_path / "in put ä"
        path.write_bytes(b"x" * 10_000)
        wasi = WasiConfig()
        wasi.stdin_file = form(str(path))
        assert output_of(programs.CAT, wasi) == b"x" * 10_000
        wasi.stdin_file(path=form(str(path)))
        assert wasi.stdin_file == path
        assert wasi.stdin_file.path == str(path)

    @pytest.mark.parametrize("form", [bytes, bytearray, memoryview])
    def test_bytes(self, output_of: Any, form: Any) -> None:
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
    def test_bytes_refused(self, data: Any) -> None:
        with pytest.raises(TypeError, match="stdin_bytes"):
            WasiConfig().stdin_bytes = data

    def test_file_refused(self, tmp_path: Path) -> None:
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

    def test_file_gone_before_the_store_takes_it(self, run: Any, tmp_path: Path) -> None:
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

    @posix_only
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
    def test_both(self, run: Any, tmp_path: Path, form: Any) -> None:
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

    def test_refused(self, tmp_path: Path) -> None:
        wasi = WasiConfig()
        for setting in ("stdout_file", "stderr_file"):
            with pytest.raises(WasmtimeError, match=f"failed to set {setting[:6]} file"):
                setattr(wasi, setting, tmp_path / "no" / "such")
            with pytest.raises(WasmtimeError, match=f"failed to set {setting[:6]} file"):
                setattr(wasi, setting, tmp_path)
            with pytest.raises(ValueError, match=setting):
                setattr(wasi, setting, "\0")


class TestInherited:
    def test_all_three_streams(self) -> None:
        script = textwrap.dedent(
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
            """
        )
        done = subprocess.run(
            [sys.executable, "-c", script],
            input=b"input\n",
            capture_output=True,
            env=with_programs(),
        )
        assert done.stderr == b"to stderr\n" * 2
        assert done.stdout == b"input\n" + b"to stdout\n" * 2
        assert done.returncode == 0


class TestCapture:
    def test_separately(self, run: Any) -> None:
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

    def test_together_in_order(self, run: Any) -> None:
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

    def test_undecodable(self, run: Any) -> None:
        wasi = WasiConfig()
        output = wasi.capture_stdout()
        wasi.stdin_bytes = b"\xff"
        run(programs.CAT, wasi)
        with pytest.raises(UnicodeDecodeError):
            output.text()
        assert output.text(errors="replace") == "\ufffd"
        assert output.text("latin-1") == "ÿ"

    def test_outlives_everything(self, engine: Engine, run: Any) -> None:
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

    def test_read_from_another_thread_while_it_runs(self, engine: Engine) -> None:
        wasi = WasiConfig()
        output = wasi.capture_stdout()
        store = Store(engine)
        store.set_epoch_deadline(1)
        store.set_wasi(wasi)
        linker = Linker(engine)
        linker.define_wasi()
        instance = linker.instantiate(store, Module(engine, programs.CHATTER))
        seen: list[bytes] = []

        def reader() -> None:
            while sum(map(len, seen)) < 1000:
                seen.append(output.read())
                time.sleep(0.001)
            engine.increment_epoch()

        thread = threading.Thread(target=reader)
        thread.start()
        with pytest.raises(Trap):
            instance.exports(store)["_start"](store)
        thread.join()
        everything = b"".join(seen) + output.read()
        assert len(everything) == output.total
        assert everything == b"to stdout\n" * (len(everything) // 10)

    @pytest.mark.parametrize("limit", [0, 5, 19])
    def test_limit(self, run: Any, limit: int) -> None:
        wasi = WasiConfig()
        output = wasi.capture_stdout(limit=limit)
        assert output.limit == limit
        assert run(programs.write_status(10, 3), wasi) != 0
        assert len(output.getvalue()) <= limit
        assert output.truncated

    def test_limit_that_is_enough(self, run: Any) -> None:
        wasi = WasiConfig()
        output = wasi.capture_stdout(limit=30)
        assert run(programs.write_status(10, 3), wasi) == 0
        assert len(output.getvalue()) == 30
        assert not output.truncated

    @pytest.mark.parametrize(
        ("limit", "error"),
        [(-1, ValueError), ("1", TypeError), (1.0, TypeError), (True, TypeError)],
    )
    def test_limit_refused(self, limit: Any, error: Any) -> None:
        for method in ("capture_stdout", "capture_stderr", "capture_output"):
            with pytest.raises(error, match="limit"):
                getattr(WasiConfig(), method)(limit)

    def test_belongs_to_one_store(self, run: Any) -> None:
        wasi = WasiConfig()
        first = wasi.capture_stdout()
        run(programs.HELLO, wasi)
        with pytest.raises(WasmtimeError, match="capture_stdout"):
            run(programs.HELLO, wasi)
        second = wasi.capture_stdout()
        run(programs.HELLO, wasi)
        assert first.getvalue() == second.getvalue() == b"to stdout\n" * 2

    def test_cannot_be_copied(self) -> None:
        output = WasiConfig().capture_stdout()
        for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match="Output"):
                attempt(output)

    def test_a_large_output(self, run: Any) -> None:
        data = os.urandom(4 << 20)
        wasi = WasiConfig()
        wasi.stdin_bytes = data
        output = wasi.capture_stdout()
        run(programs.CAT, wasi)
        assert output.getvalue() == data


class TestCallables:
    def test_both_forms(self, run: Any) -> None:
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
    def test_refused(self, value: Any) -> None:
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

    def test_a_part_taken(self, run: Any) -> None:
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

    def test_a_program_that_never_ends_is_heard(self, engine: Engine) -> None:
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
        store = Store(engine)
        store.set_wasi(wasi)
        linker = Linker(engine)
        linker.define_wasi()
        instance = linker.instantiate(store, Module(engine, programs.CHATTER))
        with pytest.raises(Enough):
            instance.exports(store)["_start"](store)

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
        script = textwrap.dedent(
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
            """
        )
        done = subprocess.run(
            [sys.executable, "-X", "dev", "-c", script],
            capture_output=True,
            env=with_programs(),
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """
    A directory with a file in it, and a file beside it that must stay out of reach.
    """
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "file").write_text("x")
    (tmp_path / "secret").write_text("x")
    return tmp_path / "open"


_READ = programs.opens("file", 0, programs.RIGHT_READ)
_CHANGES = {
    "open for writing": programs.opens("file", 0, programs.RIGHT_WRITE),
    "open for both": programs.opens("file", 0, programs.RIGHT_READ | programs.RIGHT_WRITE),
    "empty": programs.opens("file", programs.TRUNCATE, programs.RIGHT_WRITE),
    "create": programs.opens("new", programs.CREATE, programs.RIGHT_WRITE),
    "make a directory": programs.path_call("path_create_directory", "dir"),
    "remove": programs.path_call("path_unlink_file", "file"),
}


class TestDirectories:
    @pytest.mark.parametrize("form", [str, os.fsencode, Path])
    def test_forms_of_the_path(self, run: Any, tree: Path, form: Any) -> None:
        wasi = WasiConfig()
        wasi.preopen_dir(form(str(tree)), "/")
        assert run(_READ, wasi) == 0

    def test_keywords(self, run: Any, tree: Path) -> None:
        wasi = WasiConfig()
        wasi.preopen_dir(path=str(tree), guest_path="/", perms=DirPerms.READ_ONLY)
        assert run(_READ, wasi) == 0

    @pytest.mark.parametrize("change", list(_CHANGES))
    @pytest.mark.parametrize(
        ("args", "kwargs"),
        [
            ((), {}),
            ((True,), {}),
            ((), {"fs_mutable": True}),
            ((DirPerms.READ_WRITE,), {}),
            ((DirPerms.READ_WRITE, FilePerms.READ_WRITE), {}),
            ((), {"dir_perms": DirPerms.READ_WRITE, "file_perms": FilePerms.READ_WRITE}),
            ((), {"perms": DirPerms.READ_WRITE}),
        ],
    )
    def test_read_write(self, run: Any, tree: Path, change: str, args: Any, kwargs: Any) -> None:
        wasi = WasiConfig()
        wasi.preopen_dir(tree, "/", *args, **kwargs)
        assert run(_READ, wasi) == 0
        assert run(_CHANGES[change], wasi) == 0

    @pytest.mark.parametrize("change", list(_CHANGES))
    @pytest.mark.parametrize(
        ("args", "kwargs"),
        [
            ((False,), {}),
            ((), {"fs_mutable": False}),
            ((DirPerms.READ_ONLY,), {}),
            ((DirPerms.READ_ONLY, FilePerms.READ_ONLY), {}),
            ((), {"dir_perms": DirPerms.READ_ONLY}),
            ((), {"perms": DirPerms.READ_ONLY, "file_perms": FilePerms.READ_ONLY}),
        ],
    )
    def test_read_only(self, run: Any, tree: Path, change: str, args: Any, kwargs: Any) -> None:
        wasi = WasiConfig()
        wasi.preopen_dir(tree, "/", *args, **kwargs)
        assert run(_READ, wasi) == 0
        assert run(_CHANGES[change], wasi) == programs.ERRNO_PERM
        assert [path.name for path in tree.iterdir()] == ["file"]
        assert (tree / "file").read_text() == "x"

    @pytest.mark.parametrize(
        ("directories", "files"),
        [
            (DirPerms.READ_WRITE, FilePerms.READ_ONLY),
            (DirPerms.READ_WRITE, FilePerms.WRITE_ONLY),
            (DirPerms.READ_ONLY, FilePerms.READ_WRITE),
            (DirPerms.READ_ONLY, FilePerms.WRITE_ONLY),
            (DirPerms.WRITE_ONLY, FilePerms.READ_ONLY),
            (DirPerms.WRITE_ONLY, FilePerms.READ_WRITE),
            (DirPerms.WRITE_ONLY, FilePerms.WRITE_ONLY),
            (DirPerms.WRITE_ONLY, None),
            (None, FilePerms.READ_ONLY),
            (None, FilePerms.WRITE_ONLY),
        ],
    )
    def test_what_cannot_be_enforced_is_refused(
        self, run: Any, tree: Path, directories: Any, files: Any
    ) -> None:
        wasi = WasiConfig()
        with pytest.raises(WasmtimeError, match="cannot be enforced"):
            wasi.preopen_dir(tree, "/", directories, files)
        assert run(_READ, wasi) == programs.ERRNO_BADF

    @pytest.mark.parametrize(
        ("args", "kwargs"),
        [
            ((True,), {"fs_mutable": True}),
            ((True, FilePerms.READ_ONLY), {}),
            ((DirPerms.READ_ONLY,), {"perms": DirPerms.READ_ONLY}),
            ((DirPerms.READ_ONLY,), {"fs_mutable": False}),
            ((1,), {}),
            (("READ_ONLY",), {}),
            ((FilePerms.READ_ONLY,), {}),
            ((DirPerms.READ_ONLY, DirPerms.READ_ONLY), {}),
            ((), {"fs_mutable": 1}),
        ],
    )
    def test_permissions_of_the_wrong_kind(self, tree: Path, args: Any, kwargs: Any) -> None:
        with pytest.raises(TypeError):
            WasiConfig().preopen_dir(tree, "/", *args, **kwargs)

    def test_paths_refused(self, tree: Path) -> None:
        wasi = WasiConfig()
        with pytest.raises(WasmtimeError, match="nowhere"):
            wasi.preopen_dir(tree / "nowhere", "/")
        with pytest.raises(WasmtimeError, match="file"):
            wasi.preopen_dir(tree / "file", "/")
        with pytest.raises(ValueError, match="path"):
            wasi.preopen_dir("\0", "/")
        with pytest.raises(ValueError, match="guest_path"):
            wasi.preopen_dir(tree, "\0")
        with pytest.raises(ValueError, match="guest_path"):
            wasi.preopen_dir(tree, "\udc80")
        with pytest.raises(TypeError):
            wasi.preopen_dir(tree, 3)  # type: ignore[arg-type]

    @pytest.mark.parametrize("path", ["../secret", "/etc/hosts", "link/secret"])
    def test_no_way_out(self, run: Any, tree: Path, path: str) -> None:
        if path.startswith("link"):
            try:
                (tree / "link").symlink_to("..")
            except OSError:
                pytest.skip("this user cannot make symbolic links")
        wasi = WasiConfig()
        wasi.preopen_dir(tree, "/")
        status = run(programs.opens(path, 0, programs.RIGHT_READ), wasi)
        assert status in (programs.ERRNO_PERM, programs.ERRNO_NOTCAPABLE, programs.ERRNO_NOENT)

    def test_several(self, run: Any, tree: Path) -> None:
        (tree / "inner").mkdir()
        (tree / "inner" / "deep").touch()
        wasi = WasiConfig()
        wasi.preopen_dir(tree / "inner", "/inner", False)
        wasi.preopen_dir(tree, "/", True)
        # the first is file descriptor 3
        assert run(programs.opens("deep", 0, programs.RIGHT_READ), wasi) == 0
        assert run(programs.opens("deep", 0, programs.RIGHT_WRITE), wasi) == programs.ERRNO_PERM


class TestExit:
    @pytest.mark.parametrize("code", [0, 1, 42, 125])
    def test_status(self, run: Any, code: int) -> None:
        assert run(programs.exits(code), WasiConfig()) == code

    def test_exception(self, engine: Engine) -> None:
        linker = Linker(engine)
        linker.define_wasi()
        store = Store(engine)
        store.set_wasi(WasiConfig())
        instance = linker.instantiate(store, Module(engine, programs.exits(7)))
        with pytest.raises(ExitTrap, match="exit status 7") as caught:
            instance.exports(store)["_start"](store)
        assert caught.value.code == 7

    # The library's own exit refuses these, and does not say what they were.
    @pytest.mark.parametrize("code", [126, 127, 200, 255, 256, -1, 2**31 - 1])
    def test_no_status_is_lost(self, run: Any, code: int) -> None:
        assert run(programs.exits(code), WasiConfig()) == code

    def test_where_the_program_was(self, engine: Engine) -> None:
        linker = Linker(engine)
        linker.define_wasi()
        store = Store(engine)
        store.set_wasi(WasiConfig())
        instance = linker.instantiate(store, Module(engine, programs.exits(200)))
        with pytest.raises(ExitTrap, match="exit status 200") as caught:
            instance.exports(store)["_start"](store)
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

    def test_copied(self, output_of: Any) -> None:
        wasi = WasiConfig()
        wasi.argv = ["a"]
        for copied in (copy.copy(wasi), copy.deepcopy(wasi), pickle.loads(pickle.dumps(wasi))):
            copied.argv = ["b"]
            assert wasi.argv == ["a"]
            assert output_of(programs.ARGUMENTS, copied) == b"b\0"

    def test_closed(self) -> None:
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

    def test_network(self, run: Any) -> None:
        wasi = WasiConfig()
        wasi.inherit_network()
        wasi.allow_ip_name_lookup()
        wasi.allow_ip_name_lookup(enable=False)
        with pytest.raises(TypeError, match="enable"):
            wasi.allow_ip_name_lookup(1)  # type: ignore[arg-type]
        assert run(programs.exits(3), wasi) == 3

    def test_repr(self) -> None:
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
