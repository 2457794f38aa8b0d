"""A look into a binary module before the library gets it. (`component._scan` looks into components.).

One thing has to be known beforehand: whether a table that the module imports or exports has
64-bit limits that do not fit into 32 bits. Such modules are valid (memory64 proposal) and run, but
the C API describes tables with 32-bit numbers (`wasm_tabletype_limits`) and ends the process when
asked for the type of such a table. There is no other function to ask, so they are refused.

Another thing the C API does not tell at all: which tables have 64-bit indices.

Everything that is not understood here is left to the library's validation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Optional

from ._error import WasmtimeError

__all__ = [
    "CONCRETE",
    "ODD",
    "WIDE",
    "Reader",
    "UnknownForm",
    "check_tables",
    "each_section",
    "odd_items",
    "tables_of_64_bits",
    "wide_table",
]

_HEADER = b"\0asm\x01\0\0\0"
_IMPORTS, _TABLES, _GLOBALS, _EXPORTS = 2, 4, 6, 7
_FUNC, _TABLE, _MEMORY, _GLOBAL, _TAG = range(5)
_NAMES = {_TABLE: "table", _GLOBAL: "global"}


#: What is special about an item that a module imports or exports: it is a table with limits of more
#: than 32 bits; it is a table or global of a type that the module defines; it is a table with
#: 64-bit indices.
WIDE, CONCRETE, INDEX64 = 1, 2, 4
#: Of these, what the library may be unable to describe.
ODD = WIDE | CONCRETE


def check_tables(wasm: bytes) -> None:
    """Refuses a binary module that imports or exports a table with limits of more than 32 bits.

    Args:
        wasm: a binary module. Anything else, valid or not, passes.

    Raises:
        WasmtimeError: there is such a table.
    """
    if not wasm.startswith(_HEADER):
        return
    for item, oddity in odd_items(wasm, (_TABLE,)):
        if oddity & WIDE:
            raise wide_table(item)


def wide_table(item: str) -> WasmtimeError:
    """The error for a table with wide limits."""
    return WasmtimeError(
        f"{item} has limits of more than 32 bits, which the C API of the library cannot "
        "describe; declare a maximum below 2**32 - 1"
    )


class UnknownForm(Exception):
    """Something in the binary is not known here."""


def odd_items(wasm: bytes, kinds: Sequence[int] = (_TABLE, _GLOBAL)) -> Iterator[tuple[str, int]]:
    """Yields what a module imports or exports that is odd: its kind and name, and how it is.

    Args:
        wasm: a binary module.
        kinds: what is looked at.
    """
    for kind in kinds:
        try:
            for position, name, module, marks in _marked_items(wasm, kind):
                if marks & ODD and position is None:
                    yield f"the exported {_NAMES[kind]} {name!r}", marks & ODD
                elif marks & ODD:
                    yield f"the imported {_NAMES[kind]} {module!r} {name!r}", marks & ODD
        except (UnknownForm, IndexError):
            continue


def tables_of_64_bits(wasm: bytes) -> tuple[list[int], list[str]]:
    """Tells which imports of a module, by position, and which exports, by name, are tables with 64-bit
    indices: the C API does not.

    Args:
        wasm: a binary module. Anything else, valid or not, has none.
    """
    imports: list[int] = []
    exports: list[str] = []
    if not wasm.startswith(_HEADER):
        return imports, exports
    try:
        for position, name, _, marks in _marked_items(wasm, _TABLE):
            if not marks & INDEX64:
                continue
            if position is None:
                exports.append(name)
            else:
                imports.append(position)
    except (UnknownForm, IndexError):
        pass
    return imports, exports


def each_section(wasm: bytes, at: int, end: int) -> Iterator[tuple[int, Reader]]:
    """Yields the kind and the contents of each section between two places."""
    while at < end:
        kind = wasm[at]
        size, at = _number(wasm, at + 1)
        yield kind, Reader(wasm, at, at + size)
        at += size


def _marked_items(wasm: bytes, kind: int) -> Iterator[tuple[Optional[int], str, str, int]]:
    """Yields the imports and exports of a kind that have something special: the position among all
    imports (None: an export), the name, the module that it is imported from, and what it is.
    """
    sections: dict[int, Reader] = {}
    for section, reader in each_section(wasm, len(_HEADER), len(wasm)):
        sections.setdefault(section, reader)
    items: list[int] = []  # the marks of each
    if _IMPORTS in sections:
        for position, (module, name, imported, marks) in enumerate(
            _each_import(sections[_IMPORTS])
        ):
            if imported == kind:
                items.append(marks)
                if marks:
                    yield position, name, module, marks
    if kind == _TABLE and _TABLES in sections:
        items.extend(_each_table(sections[_TABLES]))
    if kind == _GLOBAL and _GLOBALS in sections:
        items.extend(_each_global(sections[_GLOBALS]))
    if _EXPORTS not in sections or not any(items):
        return
    reader = sections[_EXPORTS]
    for _ in range(reader.number()):
        name, exported, index = reader.name(), reader.byte(), reader.number()
        if exported == kind and items[index]:
            yield None, name, "", items[index]


def _each_import(reader: Reader) -> Iterator[tuple[str, str, int, int]]:
    """Yields the names of each import, its kind, and its marks."""
    for _ in range(reader.number()):
        module, name = reader.name(), reader.name()
        kind = reader.byte()
        if name == "" and kind == 0x7F:  # compact imports: several of one module
            for _ in range(reader.number()):
                name = reader.name()
                kind = reader.byte()
                yield module, name, kind, reader.extern(kind)
        elif name == "" and kind == 0x7E:  # compact imports: several of one module and type
            kind = reader.byte()
            marks = reader.extern(kind)
            for _ in range(reader.number()):
                yield module, reader.name(), kind, marks
        else:
            yield module, name, kind, reader.extern(kind)


def _each_table(reader: Reader) -> Iterator[int]:
    """Yields the marks of each defined table."""
    for _ in range(reader.number()):
        initialised = reader.peek() == 0x40
        if initialised:
            reader.byte()
            reader.byte()
        yield reader.table()
        if initialised:
            reader.skip_expression()


def _each_global(reader: Reader) -> Iterator[int]:
    """Yields the marks of each defined global."""
    for _ in range(reader.number()):
        yield reader.extern(_GLOBAL)
        reader.skip_expression()


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
            raise UnknownForm


class Reader:
    """A part of a binary, such as the contents of one section."""

    def __init__(self, data: bytes, at: int, end: int) -> None:
        self.data = data
        self.at = at
        self.end = end

    def peek(self) -> int:
        if self.at >= self.end:
            raise UnknownForm
        return self.data[self.at]

    def byte(self) -> int:
        value = self.peek()
        self.at += 1
        return value

    def number(self) -> int:
        value, self.at = _number(self.data, self.at)
        if self.at > self.end:
            raise UnknownForm
        return value

    def name(self) -> str:
        size = self.number()
        start = self.at
        self.at += size
        return self.data[start : self.at].decode("utf-8", "replace")

    def value_type(self) -> int:
        """Reads a value type, packed ones of fields too; returns CONCRETE if it names another."""
        if self.byte() not in (0x63, 0x64):  # (ref null ht), (ref ht)
            return 0
        named = self.peek() < 0x40 or self.peek() >= 0x80  # a signed number: negative ones are
        self.number()  # not, as far as they take one byte
        return CONCRETE if named else 0

    def limits(self) -> int:
        """Reads limits; returns WIDE and INDEX64 as far as they apply."""
        flags = self.byte()
        if flags & ~0b1111:
            raise UnknownForm
        wide = self.number() >= 1 << 32
        if flags & 0b0001:
            wide |= self.number() >= 1 << 32
        if flags & 0b1000:
            self.number()  # custom page size
        return (WIDE if wide else 0) | (INDEX64 if flags & 0b0100 else 0)

    def table(self) -> int:
        """Reads the type of a table; returns its marks."""
        return self.value_type() | self.limits()

    def extern(self, kind: int) -> int:
        """Reads the type of an import; returns its marks."""
        if kind == _TABLE:
            return self.table()
        if kind == _FUNC:
            self.number()
        elif kind == _MEMORY:
            self.limits()
        elif kind == _GLOBAL:
            marks = self.value_type()
            self.byte()
            return marks
        elif kind == _TAG:
            self.byte()
            self.number()
        else:
            raise UnknownForm
        return 0

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
                raise UnknownForm

    def _skip_gc(self) -> None:
        opcode = self.number()
        if opcode in (0, 1, 6, 7):  # struct.new, struct.new_default, array.new, ..._default
            self.number()
        elif opcode == 8:  # array.new_fixed
            self.number()
            self.number()
        elif opcode not in (26, 27, 28):  # any.convert_extern, extern.convert_any, ref.i31
            raise UnknownForm
