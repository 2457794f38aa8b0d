"""The declarations in csrc/cdef against the library and against the published ctypes table."""

from __future__ import annotations

import ctypes
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from support import CHECKOUT, PACKAGE

from ci import derive_cdef
from vendor import fetch
from wasmtime._native import ffi, lib


def declared_functions() -> set[str]:
    names: dict[str, Any] = {"__file__": str(CHECKOUT / "csrc" / "ffi_build.py")}
    source = (CHECKOUT / "csrc" / "ffi_build.py").read_text(encoding="utf-8")
    exec(compile(source, "ffi_build.py", "exec"), names)
    return set(names["function_names"]())


def exported_functions() -> set[str]:
    if not sys.platform.startswith("linux"):
        pytest.skip("the export table is read on Linux, the declarations are the same everywhere")
    elffile = pytest.importorskip("elftools.elf.elffile")
    with open(PACKAGE / "_lib" / "libwasmtime.so", "rb") as file:
        symbols = elffile.ELFFile(file).get_section_by_name(".dynsym").iter_symbols()
        return {
            symbol.name
            for symbol in symbols
            if symbol["st_shndx"] != "SHN_UNDEF" and symbol["st_info"]["bind"] == "STB_GLOBAL"
        }


def test_committed_declarations_are_the_derived_ones(wheel: Path) -> None:
    assert derive_cdef.check(derive_cdef.derive(*derive_cdef.read_table(wheel))) == []


def test_the_declarations_do_not_name_a_version(wheel: Path) -> None:
    # A new version of the library changes the files whose declarations changed, and no others.
    version = fetch.read_lock().version
    files = derive_cdef.derive(*derive_cdef.read_table(wheel))
    assert [name for name, text in files.items() if version in text] == []


def test_declared_names_are_the_exported_ones() -> None:
    exported = exported_functions()
    debugger = {name for name in exported if name.startswith(derive_cdef.DEBUGGER_SYMBOLS)}
    assert len(debugger) == 2
    assert declared_functions() == exported - debugger


def test_every_declared_function_is_in_the_cffi_module() -> None:
    assert declared_functions() <= set(dir(lib))


def c_name(record: type) -> str:
    """Return how C calls a structure of the table; the empty string when it has no name."""
    name = record.__name__
    for spelling in (name, f"{name}_t"):
        try:
            ffi.typeof(spelling)
        except ffi.error:
            continue
        return spelling
    return ""


def offsets_by_ctypes(record: Any, base: int = 0, prefix: str = "") -> dict[str, tuple[int, int]]:
    """Return offset and size of each field, those of nested structures included."""
    found = {}
    for name, kind in record._fields_:
        descriptor = getattr(record, name)
        place = base + descriptor.offset
        inner = prefix if name.startswith("_anon_") else f"{prefix}{name}."
        if not name.startswith("_anon_"):
            found[prefix + name] = (place, ctypes.sizeof(kind))
        if isinstance(kind, type) and issubclass(kind, (ctypes.Structure, ctypes.Union)):
            found.update(offsets_by_ctypes(kind, place, inner))
    return found


def offsets_by_cffi(record: Any, base: int = 0, prefix: str = "") -> dict[str, tuple[int, int]]:
    """Return what :func:`offsets_by_ctypes` returns, as the C compiler has it."""
    found = {}
    for name, field in record.fields:
        place = base + field.offset
        inner = f"{prefix}{name}." if name else prefix
        if name:
            found[prefix + name] = (place, ffi.sizeof(field.type))
        if field.type.kind in ("struct", "union"):
            found.update(offsets_by_cffi(field.type, place, inner))
    return found


def test_structures_are_laid_out_as_in_the_table(table: types.ModuleType) -> None:
    records = [
        value
        for value in vars(table).values()
        if isinstance(value, type)
        and issubclass(value, (ctypes.Structure, ctypes.Union))
        and getattr(value, "_fields_", None)
    ]
    named = {c_name(record): record for record in records}
    # Those without a C name are compared as parts of the structure that they stand in.
    unnamed = {record.__name__ for record in records if not c_name(record)}
    assert all("_anon_" in name for name in unnamed)
    assert len(records) > 60
    named.pop("", None)
    for name, record in named.items():
        assert (ffi.sizeof(name), ffi.alignof(name)) == (
            ctypes.sizeof(record),
            ctypes.alignment(record),
        ), name
        assert offsets_by_cffi(ffi.typeof(name)) == offsets_by_ctypes(record), name


def shape_by_ctypes(kind: Any) -> str:
    """Reduce a type of the table to what a call depends on."""
    if kind is None:
        return "void"
    if issubclass(kind, (ctypes._Pointer, ctypes._CFuncPtr)) or kind is ctypes.c_void_p:
        return "pointer"
    if issubclass(kind, (ctypes.Structure, ctypes.Union)):
        return f"{kind.__name__}, {ctypes.sizeof(kind)} bytes"
    if kind in (ctypes.c_float, ctypes.c_double):
        return f"float of {ctypes.sizeof(kind)}"
    signed = kind.__name__ in ("c_int", "c_long", "c_longlong", "c_short", "c_byte")
    if kind is ctypes.c_bool:
        return "bool"
    return f"{'signed' if signed else 'unsigned'} of {ctypes.sizeof(kind)}"


def shape_by_cffi(kind: Any) -> str:
    """Return what :func:`shape_by_ctypes` returns, for a type of cffi."""
    if kind.kind in ("void", "pointer"):
        return str(kind.kind)
    if kind.kind == "function":
        return "pointer"
    if kind.kind in ("struct", "union"):
        return f"{kind.cname.split()[-1]}, {ffi.sizeof(kind)} bytes"
    if kind.cname in ("float", "double"):
        return f"float of {ffi.sizeof(kind)}"
    if kind.cname == "_Bool":
        return "bool"
    signed = int(ffi.cast(kind, -1)) < 0
    return f"{'signed' if signed else 'unsigned'} of {ffi.sizeof(kind)}"


def test_functions_take_and_return_what_the_table_says(table: types.ModuleType) -> None:
    assert len(table.functions) > 700
    for name, function in table.functions.items():
        kind = ffi.typeof(getattr(lib, name))
        assert [shape_by_cffi(one) for one in kind.args] == [
            shape_by_ctypes(one) for one in function.argtypes
        ], name
        assert shape_by_cffi(kind.result) == shape_by_ctypes(function.restype), name


def test_functions_missing_from_the_table_are_the_listed_ones(table: types.ModuleType) -> None:
    extra = declared_functions() - set(table.functions)
    listed = "\n".join(line for lines in derive_cdef.MISSING.values() for line in lines)
    assert extra
    assert all(f"{name}(" in listed for name in extra)


class TestDerivation:
    """The program refuses what it does not understand, instead of guessing."""

    TABLE = (
        "import ctypes\n"
        "{0} = ctypes.c_uint8\n"
        "thing_callback = ctypes.CFUNCTYPE(ctypes.c_size_t, ctypes.c_void_p)\n"
    )

    def test_an_unknown_callback_result_is_refused(self) -> None:
        table = derive_cdef.Table(self.TABLE.format("thing_t"), "")
        with pytest.raises(derive_cdef.DeriveError, match="CALLBACK_RESULTS"):
            list(table.emit())

    def test_a_known_callback_result_is_restored(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(derive_cdef, "CALLBACK_RESULTS", {"thing_callback": "thing_t *"})
        table = derive_cdef.Table(self.TABLE.format("thing_t"), "")
        assert dict(table.emit()) == {
            "thing_t": "typedef uint8_t thing_t;",
            "thing_callback": "typedef thing_t *(*thing_callback)(void *);",
        }

    def test_an_unknown_statement_is_refused(self) -> None:
        with pytest.raises(derive_cdef.DeriveError, match="unknown statement"):
            list(derive_cdef.Table("for x in y: pass", "").emit())

    def test_a_constant_that_disagrees_is_refused(self) -> None:
        table = derive_cdef.Table("", "WASMTIME_I64 = c_uint8(7)")
        with pytest.raises(derive_cdef.DeriveError, match="WASMTIME_I64 = 7"):
            table.macros("val")

    def test_a_difference_is_shown_as_a_diff(self, tmp_path: Path) -> None:
        tmp_path.joinpath("a.h").write_text("int a;\n")
        tmp_path.joinpath("old.h").write_text("int old;\n")
        lines = derive_cdef.check({"a.h": "int b;\n", "new.h": "int n;\n"}, tmp_path)
        assert {"-int a;", "+int b;", "-int old;", "+int n;"} <= set(lines)
        assert derive_cdef.check({"a.h": "int a;\n", "old.h": "int old;\n"}, tmp_path) == []
