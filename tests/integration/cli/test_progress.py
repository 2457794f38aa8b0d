"""
The command line: what a person at a terminal sees while a program is compiled.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from typing import Any

import pytest

from wasmtime._cli import progress
from wasmtime._cli.programs import announced


class Terminal(io.StringIO):
    """
    Standard error that is a terminal, and tells when something was written to it.
    """

    encoding = "utf-8"

    def __init__(self) -> None:
        super().__init__()
        self.written = threading.Event()

    def isatty(self) -> bool:
        return True

    def flush(self) -> None:
        self.written.set()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    terminal = Terminal()
    monkeypatch.setattr(progress, "_PATIENCE", 0.001)
    monkeypatch.setenv("COLUMNS", "40")
    return terminal


@contextmanager
def compiling(name: str, stream: Any) -> Iterator[None]:
    """
    Compile something, with a stream as standard error.
    """
    with redirect_stderr(stream), announced(name):
        yield


def test_what_takes_long_is_told_and_wiped_away(terminal: Terminal) -> None:
    with compiling("big.wasm", terminal):
        assert terminal.written.wait(60)
    first, *_, wiped, last = terminal.getvalue().lstrip("\r").split("\r")
    assert first == "compiling big.wasm … 0 s"
    assert wiped == " " * len(first)
    assert last == ""


def test_a_name_cannot_write_over_the_terminal(terminal: Terminal) -> None:
    with compiling("\x1b[2J\n" + "long" * 100, terminal):
        assert terminal.written.wait(60)
    lines = terminal.getvalue().split("\r")
    assert all(line.isprintable() and len(line) < 40 for line in lines)
    assert r"\x1b[2J\n" in lines[1]


def test_what_is_quick_is_not_told(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_PATIENCE", 3600.0)
    with compiling("small.wasm", terminal):
        pass
    assert terminal.getvalue() == ""


@pytest.mark.parametrize("stream", [io.StringIO(), None], ids=["a file", "nothing"])
def test_elsewhere_nothing_is_told(stream: Any) -> None:
    threads = threading.active_count()
    with compiling("big.wasm", stream):
        assert threading.active_count() == threads


def test_a_terminal_that_went_away_is_no_error(terminal: Terminal) -> None:
    terminal.close()
    with compiling("big.wasm", terminal):
        pass
