"""
What is different on Windows, as far as it can be seen elsewhere.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from support import CHECKOUT

from ci import update_library
from vendor import fetch
from wasmtime import _native
from wasmtime._native import files

LOCK = fetch.read_lock()
NAMES = {entry.library for name, entry in LOCK.platforms.items() if name.startswith("win_")}


def test_the_dll_has_a_name_that_no_other_package_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A process that has loaded some ``wasmtime.dll`` takes it for every other of this name.
    """
    monkeypatch.setattr(sys, "platform", "win32")
    assert {files.library_name()} == NAMES
    assert LOCK.version.replace(".", "_") in files.library_name()


def test_the_next_lock_has_such_a_name_too() -> None:
    assert update_library.bundled_name("wasmtime/win32-x86_64/_wasmtime.dll", "51.0.2") == (
        "wasmtime_51_0_2.dll"
    )
    assert update_library.bundled_name("wasmtime/linux-x86_64/_libwasmtime.so", "51.0.2") == (
        "libwasmtime.so"
    )


def test_the_repair_of_a_wheel_leaves_the_dll_alone() -> None:
    settings = (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8")
    assert "delvewheel repair --ignore-existing " in settings


def test_paths_are_utf8_whatever_the_encoding_of_the_file_system(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    PYTHONLEGACYWINDOWSFSENCODING makes it that of the language of the machine.
    """
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(os, "fsencode", lambda path: os.fspath(path).encode("cp1252"))
    for path in ("C:\\Gr\u00fc\u00dfe", Path("C:\\Gr\u00fc\u00dfe")):
        encoded = _native.encode_path(path, "path")
        assert encoded == "C:\\Gr\u00fc\u00dfe".encode()
        assert _native.decode_path(encoded) == "C:\\Gr\u00fc\u00dfe"
    with pytest.raises(ValueError, match="path is not a valid path"):
        _native.encode_path("C:\\\udc80", "path")
