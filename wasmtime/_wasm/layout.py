"""What a core module consists of, item by item: its index spaces, segments and exports.

`module` asks a binary a few questions; this takes it apart, so that it can be put together again
with changes. Function bodies are left as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional

from .module import (
    each_export,
    each_import,
    extern_type,
    recursive_types,
    skip_expression,
    value_type,
)
from .reader import MalformedBinary, Reader, kind_of

__all__ = [
    "ACTIVE",
    "CODE",
    "DATA",
    "DATA_COUNT",
    "DECLARED",
    "ELEMENTS",
    "EXPORTS",
    "FUNCREF",
    "FUNCTIONS",
    "FUNCTION_KIND",
    "GLOBALS",
    "GLOBAL_KIND",
    "MEMORIES",
    "MEMORY_KIND",
    "PASSIVE",
    "SECTION_ORDER",
    "START",
    "TABLES",
    "TABLE_KIND",
    "TAG_KIND",
    "TYPES",
    "DataSegment",
    "ElementSegment",
    "Global",
    "Import",
    "Layout",
    "Limits",
    "Table",
    "read_layout",
    "section_start",
]

CUSTOM, TYPES, IMPORTS, FUNCTIONS, TABLES, MEMORIES, GLOBALS = range(7)
EXPORTS, START, ELEMENTS, CODE, DATA, DATA_COUNT, TAGS = range(7, 14)
#: Sections come in this order; custom ones stand anywhere.
SECTION_ORDER = (
    TYPES,
    IMPORTS,
    FUNCTIONS,
    TABLES,
    MEMORIES,
    TAGS,
    GLOBALS,
    EXPORTS,
    START,
    ELEMENTS,
    DATA_COUNT,
    CODE,
    DATA,
)

FUNCTION_KIND, TABLE_KIND, MEMORY_KIND, GLOBAL_KIND, TAG_KIND = range(5)
#: What can become of a segment: it is copied when the module is instantiated, or when an
#: instruction says so, or it only declares which functions are referred to.
ACTIVE, PASSIVE, DECLARED = range(3)

#: No library accepts a module that has more of anything; what is longer is not read for hours.
_MOST_ITEMS = 1_000_000

#: The type of references to any function.
FUNCREF = b"\x70"


@dataclass(frozen=True)
class Import:
    """One import: where from, its kind, and its encoded type."""

    module: str
    name: str
    kind: int
    type: bytes


@dataclass(frozen=True)
class Limits:
    """The limits of a memory or table.

    Attributes:
        flags: As they are encoded; `has_maximum`, `shared` and `wide` read them.
        minimum: The initial size, in pages or elements.
        maximum: The largest size, if there is one.
        page_size: The bytes of a page, of memories.
    """

    flags: int
    minimum: int
    maximum: Optional[int]
    page_size: int = 0x10000

    @property
    def shared(self) -> bool:
        """Whether several threads may use it."""
        return bool(self.flags & 0b0010)

    @property
    def wide(self) -> bool:
        """Whether its indices have 64 bits."""
        return bool(self.flags & 0b0100)


@dataclass(frozen=True)
class Table:
    """A table that the module defines.

    Attributes:
        type: The encoded type of its elements.
        limits: How large it may be.
        initial: The encoded expression that it is filled with, if there is one.
    """

    type: bytes
    limits: Limits
    initial: Optional[bytes]


@dataclass(frozen=True)
class Global:
    """A global that the module defines: its encoded type, and the expression of its value."""

    type: bytes
    mutable: bool
    initial: bytes


@dataclass(frozen=True)
class ElementSegment:
    """Elements for tables.

    Attributes:
        mode: `ACTIVE`, `PASSIVE` or `DECLARED`.
        type: The encoded type of the elements.
        size: How many elements there are.
        encoded: The segment as it stands in the binary.
    """

    mode: int
    type: bytes
    size: int
    encoded: bytes


@dataclass(frozen=True)
class DataSegment:
    """Bytes for memories: `ACTIVE` or `PASSIVE`, how many, and the segment as it stands."""

    mode: int
    size: int
    encoded: bytes


@dataclass
class Layout:
    """A module, taken apart.

    Attributes:
        binary: The whole binary.
        sections: The code of each section, and where it lies, from its code to its end.
        type_count: How many types there are.
        functions_defined: How many functions have bodies.
        referenced: The functions that a reference can be made to, in order: those that stand
            outside of the code.
        start: The function that runs when the module is instantiated, if there is one.
        counts_data: Whether the number of data segments comes before the code, as instructions
            that name them need it.
    """

    binary: bytes
    sections: list[tuple[int, int, int]] = field(default_factory=list)
    type_count: int = 0
    imports: list[Import] = field(default_factory=list)
    function_types: list[int] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    memories: list[Limits] = field(default_factory=list)
    globals: list[Global] = field(default_factory=list)
    exports: list[tuple[str, int, int]] = field(default_factory=list)
    start: Optional[int] = None
    elements: list[ElementSegment] = field(default_factory=list)
    data: list[DataSegment] = field(default_factory=list)
    counts_data: bool = False
    referenced: set[int] = field(default_factory=set)

    def imported(self, kind: int) -> list[Import]:
        """Return the imports of a kind: they come first in its index space."""
        return [item for item in self.imports if item.kind == kind]

    def exported(self, name: str) -> Optional[tuple[int, int]]:
        """Return the kind and index of an export, or None."""
        for exported, kind, index in self.exports:
            if exported == name:
                return kind, index
        return None

    def contents(self, code: int) -> Optional[Reader]:
        """Return a reader of a section's contents, or None."""
        for section, start, end in self.sections:
            if section == code:
                reader = Reader(self.binary, start + 1, end)
                reader.number()
                return reader
        return None


def read_layout(binary: bytes) -> Layout:
    """Take a module apart.

    Args:
        binary: A core module. Whether it is valid is found out when it is compiled.

    Raises:
        MalformedBinary: It is no module, or uses parts of the format that are not known here.
    """
    if kind_of(binary) != "module":
        raise MalformedBinary("not a core module")
    layout = Layout(binary)
    reader = Reader(binary, at=8)
    while reader.at < reader.end:
        start = reader.at
        code = reader.byte()
        contents = reader.part(reader.number())
        layout.sections.append((code, start, reader.at))
        if code in _READERS:
            _READERS[code](layout, contents)
        elif code not in (CUSTOM, CODE, TAGS):
            raise MalformedBinary(f"a section of an unknown kind ({code})")
    layout.referenced.update(i for _, kind, i in layout.exports if kind == FUNCTION_KIND)
    return layout


def section_start(binary: bytes, code: int) -> int:
    """Return where the contents of a section begin; where the module ends if it has none."""
    reader = Reader(binary, at=8)
    while reader.at < reader.end:
        found = reader.byte()
        contents = reader.part(reader.number())
        if found == code:
            return contents.at
    return reader.end


# --- sections ------------------------------------------------------------------------------------


def _count(reader: Reader) -> int:
    """Read how many items follow."""
    count = reader.number()
    if count > _MOST_ITEMS:
        raise MalformedBinary(f"{count} items in a section, more than are accepted")
    return count


def _types(layout: Layout, reader: Reader) -> None:
    for _ in range(_count(reader)):
        layout.type_count += recursive_types(reader)[0]


def _imports(layout: Layout, reader: Reader) -> None:
    layout.imports += [Import(*item) for item in each_import(reader, _extern_type)]


def _extern_type(reader: Reader, kind: int) -> bytes:
    start = reader.at
    extern_type(reader, kind)
    return reader.data[start : reader.at]


def _functions(layout: Layout, reader: Reader) -> None:
    layout.function_types = [reader.number() for _ in range(_count(reader))]


def _tables(layout: Layout, reader: Reader) -> None:
    for _ in range(_count(reader)):
        initialised = reader.peek() == 0x40
        if initialised:
            reader.skip(2)
        element_type, limits = _value_type(reader), _limits(reader)
        initial = _expression(layout, reader) if initialised else None
        layout.tables.append(Table(element_type, limits, initial))


def _memories(layout: Layout, reader: Reader) -> None:
    layout.memories = [_limits(reader) for _ in range(_count(reader))]


def _globals(layout: Layout, reader: Reader) -> None:
    for _ in range(_count(reader)):
        content, flags = _value_type(reader), reader.byte()
        layout.globals.append(Global(content, flags == 1, _expression(layout, reader)))


def _exports(layout: Layout, reader: Reader) -> None:
    layout.exports = list(each_export(reader))


def _start(layout: Layout, reader: Reader) -> None:
    layout.start = reader.number()


def _elements(layout: Layout, reader: Reader) -> None:
    for _ in range(_count(reader)):
        start = reader.at
        flags = reader.number()
        if flags & ~0b111:
            raise MalformedBinary(f"an element segment of an unknown form ({flags:#x})")
        mode = ACTIVE if not flags & 1 else DECLARED if flags & 2 else PASSIVE
        if mode == ACTIVE:
            if flags & 2:
                reader.number()
            _expression(layout, reader)
        element_type = FUNCREF
        if flags & 0b100 and flags & 0b011:
            element_type = _value_type(reader)
        elif flags & 0b011:
            reader.byte()  # the kind: functions
        size = _count(reader)
        for _ in range(size):
            if flags & 0b100:
                _expression(layout, reader)
            else:
                layout.referenced.add(reader.number())
        encoded = reader.data[start : reader.at]
        layout.elements.append(ElementSegment(mode, element_type, size, encoded))


def _data_count(layout: Layout, _: Reader) -> None:
    layout.counts_data = True


def _data(layout: Layout, reader: Reader) -> None:
    for _ in range(_count(reader)):
        start = reader.at
        flags = reader.number()
        if flags > 2:
            raise MalformedBinary(f"a data segment of an unknown form ({flags:#x})")
        if flags == 2:
            reader.number()
        if flags != 1:
            _expression(layout, reader)
        size = reader.number()
        reader.skip(size)
        mode = PASSIVE if flags == 1 else ACTIVE
        layout.data.append(DataSegment(mode, size, reader.data[start : reader.at]))


_READERS = {
    TYPES: _types,
    IMPORTS: _imports,
    FUNCTIONS: _functions,
    TABLES: _tables,
    MEMORIES: _memories,
    GLOBALS: _globals,
    EXPORTS: _exports,
    START: _start,
    ELEMENTS: _elements,
    DATA_COUNT: _data_count,
    DATA: _data,
}


# --- parts ---------------------------------------------------------------------------------------


def _value_type(reader: Reader) -> bytes:
    start = reader.at
    value_type(reader)
    return reader.data[start : reader.at]


def _limits(reader: Reader) -> Limits:
    flags = reader.byte()
    if flags & ~0b1111:
        raise MalformedBinary(f"limits of an unknown form ({flags:#x})")
    minimum = reader.number()
    maximum = reader.number() if flags & 0b0001 else None
    page_size = 0x10000
    if flags & 0b1000:
        exponent = reader.number()
        if exponent > 16:
            raise MalformedBinary(f"pages of an unknown size (2**{exponent})")
        page_size = 1 << exponent
    return Limits(flags, minimum, maximum, page_size)


def _expression(layout: Layout, reader: Reader) -> bytes:
    """Read a constant expression; note the functions that it refers to."""
    start = reader.at
    layout.referenced.update(skip_expression(reader))
    return reader.data[start : reader.at]
