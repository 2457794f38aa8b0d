"""A look into a core module before the library gets it, as `component` is one into components.

One thing has to be known beforehand: whether a table that the module imports or exports has
64-bit limits that do not fit into 32 bits. Such modules are valid (memory64 proposal) and run, but
the C API describes tables with 32-bit numbers (`wasm_tabletype_limits`) and ends the process when
asked for the type of such a table. There is no other function to ask, so they are refused.

Other things the C API does not tell at all: which tables have 64-bit indices, and the names of
parameters.

Everything that is not understood here is left to the library's validation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Callable, Optional, TypeVar

from .._error import WasmtimeError
from .reader import MalformedBinary, Reader, kind_of

__all__ = [
    "CONCRETE",
    "ODD",
    "WIDE",
    "check_tables",
    "each_export",
    "each_import",
    "extern_type",
    "odd_items",
    "parameter_names",
    "recursive_types",
    "skip_expression",
    "tables_of_64_bits",
    "value_type",
    "wide_table",
]

_T = TypeVar("_T")

_CUSTOM, _IMPORTS, _TABLES, _GLOBALS, _EXPORTS = 0, 2, 4, 6, 7
_FUNC, _TABLE, _MEMORY, _GLOBAL, _TAG = range(5)
_NAMES = {_TABLE: "table", _GLOBAL: "global"}
#: The part of the name section that names locals, the first of which are the parameters.
_MODULE_NAME, _LOCAL_NAMES = 0, 2

#: What is special about an item that a module imports or exports: it is a table with limits of more
#: than 32 bits; it is a table or global of a type that the module defines; it is a table with
#: 64-bit indices.
WIDE, CONCRETE, INDEX64 = 1, 2, 4
#: Of these, what the library may be unable to describe.
ODD = WIDE | CONCRETE


def check_tables(wasm: bytes) -> None:
    """Refuse a binary module that imports or exports a table with limits of more than 32 bits.

    Args:
        wasm: A binary module. Anything else, valid or not, passes.

    Raises:
        WasmtimeError: There is such a table.
    """
    if kind_of(wasm) != "module":
        return
    for item, oddity in odd_items(Reader(wasm), (_TABLE,)):
        if oddity & WIDE:
            raise wide_table(item)


def wide_table(item: str) -> WasmtimeError:
    """Make the error for a table with wide limits."""
    return WasmtimeError(
        f"{item} has limits of more than 32 bits, which the C API of the library cannot "
        "describe; declare a maximum below 2**32 - 1"
    )


def odd_items(
    module: Reader, kinds: Sequence[int] = (_TABLE, _GLOBAL)
) -> Iterator[tuple[str, int]]:
    """Yield what a module imports or exports that is odd: its kind and name, and how it is.

    Args:
        module: A binary module, from its preamble to its end.
        kinds: What is looked at.
    """
    for kind in kinds:
        try:
            for position, name, source, marks in _marked_items(module, kind):
                if marks & ODD and position is None:
                    yield f"the exported {_NAMES[kind]} {name!r}", marks & ODD
                elif marks & ODD:
                    yield f"the imported {_NAMES[kind]} {source!r} {name!r}", marks & ODD
        except MalformedBinary:
            continue


def tables_of_64_bits(wasm: bytes) -> tuple[list[int], list[str]]:
    """Find the tables with 64-bit indices, of which the C API does not tell.

    Args:
        wasm: A binary module. Anything else, valid or not, has none.

    Returns:
        Which imports are such tables, by position, and which exports, by name.
    """
    imports: list[int] = []
    exports: list[str] = []
    if kind_of(wasm) != "module":
        return imports, exports
    try:
        for position, name, _, marks in _marked_items(Reader(wasm), _TABLE):
            if not marks & INDEX64:
                continue
            if position is None:
                exports.append(name)
            else:
                imports.append(position)
    except MalformedBinary:
        pass
    return imports, exports


def _marked_items(module: Reader, kind: int) -> Iterator[tuple[Optional[int], str, str, int]]:
    """Yield the imports and exports of a kind that have something special.

    Yields:
        The position among all imports (None: an export), the name, the module that it is imported
        from, and what it is.
    """
    sections: dict[int, Reader] = {}
    for code, section in Reader(module.data, module.at, module.end).sections_of_binary():
        sections.setdefault(code, section)
    items: list[int] = []  # the marks of each
    if _IMPORTS in sections:
        for position, (source, name, imported, marks) in enumerate(
            each_import(sections[_IMPORTS], extern_type)
        ):
            if imported == kind:
                items.append(marks)
                if marks:
                    yield position, name, source, marks
    if kind == _TABLE and _TABLES in sections:
        items.extend(_each_table(sections[_TABLES]))
    if kind == _GLOBAL and _GLOBALS in sections:
        items.extend(_each_global(sections[_GLOBALS]))
    if _EXPORTS not in sections or not any(items):
        return
    for name, exported, index in each_export(sections[_EXPORTS]):
        if exported == kind and _at(items, index):
            yield None, name, "", items[index]


def _at(items: Sequence[int], index: int) -> int:
    """Return the marks of an item that an export names."""
    if index >= len(items):
        raise MalformedBinary(f"an export of an item that does not exist: {index}")
    return items[index]


def each_export(reader: Reader) -> Iterator[tuple[str, int, int]]:
    """Yield the name of each export, its kind and its index."""
    for _ in range(reader.number()):
        yield reader.name(), reader.byte(), reader.number()


def each_import(
    reader: Reader, read_type: Callable[[Reader, int], _T]
) -> Iterator[tuple[str, str, int, _T]]:
    """Yield the names of each import, its kind, and its type.

    Args:
        reader: The section.
        read_type: Reads the type of an item of a kind: `extern_type`, or what passes over as much.
    """
    for _ in range(reader.number()):
        source, name = reader.name(), reader.name()
        kind = reader.byte()
        if name == "" and kind == 0x7F:  # compact imports: several of one module
            for _ in range(reader.number()):
                name = reader.name()
                kind = reader.byte()
                yield source, name, kind, read_type(reader, kind)
        elif name == "" and kind == 0x7E:  # compact imports: several of one module and type
            kind = reader.byte()
            item_type = read_type(reader, kind)
            for _ in range(reader.number()):
                yield source, reader.name(), kind, item_type
        else:
            yield source, name, kind, read_type(reader, kind)


def _each_table(reader: Reader) -> Iterator[int]:
    """Yield the marks of each defined table."""
    for _ in range(reader.number()):
        initialised = reader.peek() == 0x40
        if initialised:
            reader.skip(2)
        yield _table_type(reader)
        if initialised:
            skip_expression(reader)


def _each_global(reader: Reader) -> Iterator[int]:
    """Yield the marks of each defined global."""
    for _ in range(reader.number()):
        yield extern_type(reader, _GLOBAL)
        skip_expression(reader)


# --- types ---------------------------------------------------------------------------------------


def value_type(reader: Reader) -> int:
    """Read a value type, packed ones of fields too; return CONCRETE if it names another."""
    if reader.byte() not in (0x63, 0x64):  # (ref null ht), (ref ht)
        return 0
    # A signed number: an index is not negative, abstract types are.
    return CONCRETE if reader.signed() >= 0 else 0


def _limits(reader: Reader) -> int:
    """Read limits; return WIDE and INDEX64 as far as they apply."""
    flags = reader.byte()
    if flags & ~0b1111:
        raise MalformedBinary(f"limits of an unknown form ({flags:#x})")
    wide = reader.number() >= 1 << 32
    if flags & 0b0001:
        wide |= reader.number() >= 1 << 32
    if flags & 0b1000:
        reader.number()  # custom page size
    return (WIDE if wide else 0) | (INDEX64 if flags & 0b0100 else 0)


def _table_type(reader: Reader) -> int:
    """Read the type of a table; return its marks."""
    return value_type(reader) | _limits(reader)


def extern_type(reader: Reader, kind: int) -> int:
    """Read the type of an import or export of a kind; return its marks."""
    if kind == _TABLE:
        return _table_type(reader)
    if kind == _FUNC:
        reader.number()
    elif kind == _MEMORY:
        _limits(reader)
    elif kind == _GLOBAL:
        marks = value_type(reader)
        reader.byte()
        return marks
    elif kind == _TAG:
        reader.byte()
        reader.number()
    else:
        raise MalformedBinary(f"an item of an unknown kind ({kind:#x})")
    return 0


def recursive_types(reader: Reader) -> tuple[int, int]:
    """Read one type, or a group of types that know each other.

    Returns:
        How many types these are, and CONCRETE if one names another.
    """
    count = 1
    if reader.peek() == 0x4E:
        reader.byte()
        count = reader.number()
    oddity = 0
    for _ in range(count):
        oddity |= _composite_type(reader)
    return count, oddity


def _composite_type(reader: Reader) -> int:
    """Read a type of functions, arrays or structs; return CONCRETE if it names another type."""
    code = reader.byte()
    if code in (0x4F, 0x50):  # with supertypes
        for _ in range(reader.number()):
            reader.number()
        code = reader.byte()
    oddity = 0
    if code == 0x60:  # a function: parameters, results
        for _ in range(2):
            for _ in range(reader.number()):
                oddity |= value_type(reader)
    elif code in (0x5E, 0x5F):  # an array, a struct
        for _ in range(1 if code == 0x5E else reader.number()):
            oddity |= value_type(reader)
            reader.byte()
    else:
        raise MalformedBinary(f"a core type of an unknown form ({code:#x})")
    return oddity & CONCRETE


# --- constant expressions ------------------------------------------------------------------------


def skip_expression(reader: Reader) -> list[int]:
    """Pass over a constant expression; return the functions that it refers to."""
    functions: list[int] = []
    while True:
        opcode = reader.byte()
        if opcode == 0x0B:  # end
            return functions
        if opcode == 0xD2:  # ref.func
            functions.append(reader.number())
        elif opcode in (0x41, 0x42, 0x23, 0xD0):  # one number
            reader.number()
        elif opcode == 0x43:  # f32.const
            reader.skip(4)
        elif opcode == 0x44:  # f64.const
            reader.skip(8)
        elif opcode in (0x6A, 0x6B, 0x6C, 0x7C, 0x7D, 0x7E):  # add, sub, mul
            pass
        elif opcode == 0xFB:  # GC
            _skip_gc_operands(reader)
        elif opcode == 0xFD and reader.number() == 12:  # v128.const
            reader.skip(16)
        else:
            raise MalformedBinary(f"an instruction that is not constant ({opcode:#x})")


def _skip_gc_operands(reader: Reader) -> None:
    """Pass over what follows the prefix of a GC instruction."""
    opcode = reader.number()
    if opcode in (0, 1, 6, 7):  # struct.new, struct.new_default, array.new, ..._default
        reader.number()
    elif opcode == 8:  # array.new_fixed
        reader.number()
        reader.number()
    elif opcode not in (26, 27, 28):  # any.convert_extern, extern.convert_any, ref.i31
        raise MalformedBinary(f"a GC instruction that is not constant ({opcode})")


# --- names ---------------------------------------------------------------------------------------


def module_name(wasm: bytes) -> Optional[str]:
    """Return the name that a module gives itself in its name section, if it does.

    Args:
        wasm: A binary module.
    """
    try:
        for code, section in Reader(wasm).sections_of_binary():
            if code == _CUSTOM and section.name() == "name":
                for part, content in section.sections():
                    if part == _MODULE_NAME:
                        return content.name()
    except MalformedBinary:  # a custom section may hold anything
        pass
    return None


def parameter_names(wasm: bytes) -> dict[str, dict[int, str]]:
    """Return the names of the parameters of exported functions, where there is a name section.

    Args:
        wasm: A binary module.

    Returns:
        By the name of the export, the names by position. Empty if something is not understood: a
        custom section may hold anything.
    """
    places: dict[str, int] = {}
    locals_of: dict[int, dict[int, str]] = {}
    try:
        for code, section in Reader(wasm).sections_of_binary():
            if code == _EXPORTS:
                for name, kind, index in each_export(section):
                    if kind == _FUNC:
                        places[name] = index
            elif code == _CUSTOM and section.name() == "name":
                for part, content in section.sections():
                    if part == _LOCAL_NAMES:
                        locals_of.update(_each_local_names(content))
    except MalformedBinary:
        return {}
    return {name: locals_of.get(index, {}) for name, index in places.items()}


def _each_local_names(reader: Reader) -> Iterator[tuple[int, dict[int, str]]]:
    """Yield the index of each function that has named locals, and their names by index."""
    for _ in range(reader.number()):
        index = reader.number()
        yield index, {reader.number(): reader.name() for _ in range(reader.number())}
