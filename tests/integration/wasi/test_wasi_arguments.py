"""
WASI preview 1: arguments and environment, and what a guest has before anything is set.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from typing import Any, Optional

import pytest
import wasi_programs as programs
from support import HELPERS, posix, run_in_subprocess

from wasmtime import WasiConfig


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

    def test_no_directory_is_open(self, run: Any) -> None:
        text = programs.opens("f", 0, programs.RIGHT_READ)
        assert run(text, WasiConfig()) == programs.ERRNO_BADF

    def test_no_configuration_at_all(self) -> None:
        # In a process of its own, since the library aborts the process if nothing prevents it.
        ended = run_in_subprocess(
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
            """,
            preamble="",
            env=HELPERS,
        ).check()
        assert ended.output.strip() == "refused"


class TestArgv:
    def test_a_list_is_assigned(self, output_of: Any) -> None:
        wasi = WasiConfig()
        wasi.argv = ["prog", "", "ä", "two words"]
        assert split(output_of(programs.ARGUMENTS, wasi)) == [
            b"prog",
            b"",
            "ä".encode(),
            b"two words",
        ]

    def test_the_setting_can_be_called(self, output_of: Any) -> None:
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
    def test_what_is_no_list_of_strings_is_refused(
        self, argv: Any, error: Any, words: Optional[str]
    ) -> None:
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
            [sys.executable, "-c", script, "one", "two"],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert done.stdout.strip() == repr(["-c", script, "one", "two"])

    @posix
    def test_inherited_but_not_unicode(self) -> None:
        script = "import wasmtime; wasmtime.WasiConfig().inherit_argv()"
        done = subprocess.run(
            [sys.executable, "-c", script, b"\xff"], capture_output=True, timeout=60
        )
        assert done.returncode == 1
        assert b"ValueError: argv[3]" in done.stderr


class TestEnv:
    def test_pairs_are_assigned_or_given_in_a_call(self, output_of: Any) -> None:
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

    @posix
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
    def test_what_are_no_pairs_of_strings_is_refused(
        self, env: Any, error: Any, words: Optional[str]
    ) -> None:
        wasi = WasiConfig()
        with pytest.raises(error, match=words):
            wasi.env = env
        assert wasi.env == []
