"""
A look into a binary module before the library gets it.

One thing has to be known beforehand: whether a table that the module imports or exports has
64-bit limits that do not fit into 32 bits. Such modules are valid (memory64 proposal) and run, but
the C API describes tables with 32-bit numbers (`wasm_tabletype_limits`) and ends the process when
asked for the type of such a table. There is no other function to ask, so they are refused.

Everything that is not understood here is left to the library's validation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

from ._error import WasmtimeError

__all__ = ["check_tables", "tables_of_64_bits"]

_HEADER = b"\0asm\x01\0\0\0"
_IMPORTS, _TABLES, _EXPORTS = 2, 4, 7
_FUNC, _TABLE, _MEMORY, _GLOBAL, _TAG = range(5)


def check_tables(wasm: bytes) -> None:
    """
    Refuses a binary module that imports or exports a table with limits of more than 32 bits.

    Args:
        wasm: a binary module. Anything else, valid or not, passes.

    Raises:
        WasmtimeError: there is such a table.
    """
    if not wasm.startswith(_HEADER):
        return
    try:
        wide = _wide_table(wasm)
    except (_Unknown, IndexError):
        return
    if wide is not None:
        raise WasmtimeError(
            f"{wide} has limits of more than 32 bits, which the C API of the library cannot "
            "describe; declare a maximum below 2**32 - 1"
        )


class _Unknown(Exception):
    """Something in the module is not known here."""


def _sections(wasm: bytes, reader: type[_Reader]) -> dict[int, _Reader]:
    sections: dict[int, _Reader] = {}
    at = len(_HEADER)
    while at < len(wasm):
        kind = wasm[at]
        size, at = _number(wasm, at + 1)
        if kind in (_IMPORTS, _TABLES, _EXPORTS):
            sections.setdefault(kind, reader(wasm, at, at + size))
        at += size
    return sections


def _wide_table(wasm: bytes) -> Optional[str]:
    sections = _sections(wasm, _Reader)
    imported = 0
    if _IMPORTS in sections:
        imported, wide_import = _read_imports(sections[_IMPORTS])
        if wide_import is not None:
            return f"the imported table {wide_import}"
    if _TABLES not in sections or _EXPORTS not in sections:
        return None
    wide = _read_tables(sections[_TABLES], imported)
    if not wide:
        return None
    reader = sections[_EXPORTS]
    for _ in range(reader.number()):
        name = reader.name()
        kind = reader.byte()
        if reader.number() in wide and kind == _TABLE:
            return f"the exported table {name!r}"
    return None


def _read_imports(reader: _Reader) -> tuple[int, Optional[str]]:
    """Returns how many tables are imported, and the names of one with wide limits."""
    tables = 0
    for module, name, is_table, wide in _each_import(reader):
        tables += is_table
        if wide:
            return tables, f"{module!r} {name!r}"
    return tables, None


def _each_import(reader: _Reader) -> Iterator[tuple[str, str, bool, bool]]:
    """Yields the names of each import, whether it is a table, and whether it is a wide one."""
    for _ in range(reader.number()):
        module, name = reader.name(), reader.name()
        kind = reader.byte()
        if name == "" and kind == 0x7F:  # compact imports: several of one module
            for _ in range(reader.number()):
                name = reader.name()
                kind = reader.byte()
                yield module, name, kind == _TABLE, reader.extern(kind)
        elif name == "" and kind == 0x7E:  # compact imports: several of one module and type
            kind = reader.byte()
            wide = reader.extern(kind)
            for _ in range(reader.number()):
                yield module, reader.name(), kind == _TABLE, wide
        else:
            yield module, name, kind == _TABLE, reader.extern(kind)


def _read_tables(reader: _Reader, index: int) -> set[int]:
    """Returns the indices of the defined tables with wide limits."""
    wide = set()
    for i in range(index, index + reader.number()):
        initialised = reader.peek() == 0x40
        if initialised:
            reader.byte()
            reader.byte()
        if reader.table():
            wide.add(i)
        if initialised:
            reader.skip_expression()
    return wide


def _number(data: bytes, at: int) -> tuple[int, int]:
    """Reads an unsigned LEB128 number; returns it and the place behind it."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise _Unknown


class _Reader:
    """The contents of one section."""

    def __init__(self, data: bytes, at: int, end: int) -> None:
        self.data = data
        self.at = at
        self.end = end

    def peek(self) -> int:
        if self.at >= self.end:
            raise _Unknown
        return self.data[self.at]

    def byte(self) -> int:
        value = self.peek()
        self.at += 1
        return value

    def number(self) -> int:
        value, self.at = _number(self.data, self.at)
        if self.at > self.end:
            raise _Unknown
        return value

    def name(self) -> str:
        size = self.number()
        start = self.at
        self.at += size
        return self.data[start : self.at].decode("utf-8", "replace")

    def skip_type(self) -> None:
        if self.byte() in (0x63, 0x64):  # (ref null ht), (ref ht)
            self.number()  # a heap type is a signed LEB128 number, of the same length

    def limits(self) -> bool:
        """Reads limits; returns whether they need more than 32 bits."""
        flags = self.byte()
        if flags & ~0b1111:
            raise _Unknown
        wide = self.number() >= 1 << 32
        if flags & 0b0001:
            wide |= self.number() >= 1 << 32
        if flags & 0b1000:
            self.number()  # custom page size
        return wide

    def table(self) -> bool:
        self.skip_type()
        return self.limits()

    def extern(self, kind: int) -> bool:
        """Reads the type of an import; returns whether it is a table with wide limits."""
        if kind == _TABLE:
            return self.table()
        if kind == _FUNC:
            self.number()
        elif kind == _MEMORY:
            self.limits()
        elif kind == _GLOBAL:
            self.skip_type()
            self.byte()
        elif kind == _TAG:
            self.byte()
            self.number()
        else:
            raise _Unknown
        return False

    def skip_expression(self) -> None:
        while True:
            opcode = self.byte()
            if opcode == 0x0B:  # end
                return
            if opcode in (0x41, 0x42, 0x23, 0xD0, 0xD2):  # one number
                self.number()
            elif opcode == 0x43:  # f32.const
                self.at += 4
            elif opcode == 0x44:  # f64.const
                self.at += 8
            elif opcode in (0x6A, 0x6B, 0x6C, 0x7C, 0x7D, 0x7E):  # add, sub, mul
                pass
            elif opcode == 0xFB:  # GC
                self._skip_gc()
            elif opcode == 0xFD and self.number() == 12:  # v128.const
                self.at += 16
            else:
                raise _Unknown

    def _skip_gc(self) -> None:
        opcode = self.number()
        if opcode in (0, 1, 6, 7):  # struct.new, struct.new_default, array.new, ..._default
            self.number()
        elif opcode == 8:  # array.new_fixed
            self.number()
            self.number()
        elif opcode not in (26, 27, 28):  # any.convert_extern, extern.convert_any, ref.i31
            raise _Unknown


class _IndexReader(_Reader):
    """As the other, but what it tells of limits is whether they are of 64-bit indices."""

    def limits(self) -> bool:
        index64 = bool(self.peek() & 0b0100)
        super().limits()
        return index64


def tables_of_64_bits(wasm: bytes) -> tuple[list[int], list[str]]:
    """
    Tells which imports of a module, by position, and which exports, by name, are tables with 64-bit
    indices: the C API does not.

    Args:
        wasm: a binary module. Anything else, valid or not, has none.
    """
    imports: list[int] = []
    exports: list[str] = []
    try:
        if wasm.startswith(_HEADER):
            _find_64(wasm, imports, exports)
    except (_Unknown, IndexError):
        pass
    return imports, exports


def _find_64(wasm: bytes, imports: list[int], exports: list[str]) -> None:
    sections = _sections(wasm, _IndexReader)
    tables = 0
    found = set()
    if _IMPORTS in sections:
        for position, (_, _, is_table, index64) in enumerate(_each_import(sections[_IMPORTS])):
            if index64:
                imports.append(position)
                found.add(tables)
            tables += is_table
    if _TABLES in sections:
        found |= _read_tables(sections[_TABLES], tables)
    if not found or _EXPORTS not in sections:
        return
    reader = sections[_EXPORTS]
    for _ in range(reader.number()):
        name, kind, index = reader.name(), reader.byte(), reader.number()
        if kind == _TABLE and index in found:
            exports.append(name)
