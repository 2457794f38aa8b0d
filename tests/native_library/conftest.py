"""What the tests of the native library share: the published ctypes table."""

from __future__ import annotations

import ctypes
import importlib
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ci import derive_cdef


class _AnyFunction:
    """Stands in for a function of a ctypes library: takes every attribute."""


class _AnyLibrary:
    """Stands in for a ctypes library, so that the table can be read without loading one."""

    def __init__(self) -> None:
        self.functions: dict[str, _AnyFunction] = {}

    def __getattr__(self, name: str) -> _AnyFunction:
        if name.startswith("__"):
            raise AttributeError(name)
        return self.functions.setdefault(name, _AnyFunction())


@pytest.fixture(scope="session")
def table(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[types.ModuleType]:
    """The ctypes table of the locked wheel, run as Python against a library that is not there.

    The program in ci/ reads the table as a syntax tree; here ctypes itself lays the structures
    out, so that the two do not share their mistakes.
    """
    directory = tmp_path_factory.mktemp("table")
    package = directory / "published_table"
    package.mkdir()
    package.joinpath("__init__.py").write_text("")
    for name, source in zip(("_bindings.py", "_ffi.py"), derive_cdef.read_table(wheel)):
        package.joinpath(name).write_text(source, encoding="utf-8")
    library = _AnyLibrary()
    loader: Any = ctypes.cdll
    loader.LoadLibrary = lambda name: library
    sys.path.insert(0, str(directory))
    try:
        # The two halves import each other; this is the order in which it works out.
        written = importlib.import_module("published_table._ffi")
        module = importlib.import_module("published_table._bindings")
        module.wasm_val_t = written.wasm_val_t  # type: ignore[attr-defined]
        module.functions = library.functions  # type: ignore[attr-defined]
        yield module
    finally:
        sys.path.remove(str(directory))
        del loader.LoadLibrary
        for name in [name for name in sys.modules if name.startswith("published_table")]:
            del sys.modules[name]
