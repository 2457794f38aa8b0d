"""A look into a binary component: whether it uses the asynchronous canonical ABI, and whether its core
modules are such that the library can say what they are.

A call into an asynchronous component needs the library's event loop, even if the function that is
called is an ordinary one: it must be made as an asynchronous call, which costs more. The C API does
not tell which components those are; their binary does.

The core modules that a component imports or exports have types. The library ends the process where
one names a table with limits of more than 32 bits (see `wasmtime._scan`), or a type that the module
defines itself (``(ref $t)``). Which modules are concerned is not followed through all of the
component: none of those inside of it may have such a table; and none may have a table or global of
a type of its own, if the component exports modules at all.

Everything that is not understood here is left to the library's validation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

from .._error import WasmtimeError
from .._scan import CONCRETE, ODD, WIDE, Reader, UnknownForm, each_section, odd_items, wide_table

__all__ = ["check_modules", "uses_async"]

_HEADER = b"\0asm\x0d\0\x01\0"
_MODULE, _CORE_TYPES, _COMPONENT, _INSTANCES, _TYPES, _CANON, _EXPORTS = 1, 3, 4, 5, 7, 8, 11
_ASYNC_OPTION = 6
#: Options that are followed by an index: memory, realloc, post-return, callback.
_INDEXED = (3, 4, 5, 7)
_LIFT, _LOWER, _RESOURCE_NEW, _RESOURCE_DROP, _RESOURCE_REP = range(5)


def uses_async(binary: bytes) -> bool:
    """Whether a binary component, or one inside of it, lifts, lowers or does anything else
    asynchronously.

    Args:
        binary: The component. Anything else uses nothing.
    """
    try:
        return _component(binary, 0, len(binary))
    except IndexError:
        return False


def _component(data: bytes, at: int, end: int) -> bool:
    if data[at : at + len(_HEADER)] != _HEADER:
        return False
    at += len(_HEADER)
    while at < end:
        section = data[at]
        size, at = _number(data, at + 1)
        if section == _COMPONENT and _component(data, at, at + size):
            return True
        if section == _CANON and _canon(data, at):
            return True
        at += size
    return False


def _canon(data: bytes, at: int) -> bool:
    count, at = _number(data, at)
    for _ in range(count):
        kind = data[at]
        at += 1
        if kind in (_LIFT, _LOWER):
            _, at = _number(data, at + 1)
            options, at = _number(data, at)
            for _ in range(options):
                option = data[at]
                at += 1
                if option == _ASYNC_OPTION:
                    return True
                if option in _INDEXED:
                    _, at = _number(data, at)
            if kind == _LIFT:
                _, at = _number(data, at)
        elif kind in (_RESOURCE_NEW, _RESOURCE_DROP, _RESOURCE_REP):
            _, at = _number(data, at)
        else:
            return True
    return False


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A number in LEB128, and where it ends."""
    result = shift = 0
    while True:
        byte = data[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, at
        shift += 7


def check_modules(binary: bytes) -> None:
    """Refuse a component with core modules, or types of them, that the library cannot describe.

    Args:
        binary: The component. Anything else, valid or not, passes.

    Raises:
        WasmtimeError: There is such a module.
    """
    if not binary.startswith(_HEADER):
        return
    concrete: Optional[str] = None
    exports_modules = False
    components = [(0, len(binary))]
    while components:
        at, end = components.pop()
        try:
            for kind, reader in each_section(binary, at + len(_HEADER), end):
                if kind == _COMPONENT:
                    components.append((reader.at, reader.end))
                elif kind in (_INSTANCES, _EXPORTS):
                    exports_modules |= _exports_module(reader, kind)
                for item, oddity in _odd_parts(reader, kind):
                    if oddity & WIDE:
                        raise wide_table(f"{item} of a core module in the component")
                    concrete = item
                    exports_modules |= kind != _MODULE
        except (UnknownForm, IndexError):
            continue
    if concrete is not None and exports_modules:
        raise WasmtimeError(
            f"{concrete} of a core module in the component is of a type that the module defines "
            "itself, which the library cannot describe where a component imports or exports "
            "modules: use types without '$', such as funcref or structref, or no such modules"
        )


def _odd_parts(reader: Reader, section: int) -> Iterator[tuple[str, int]]:
    """What is odd in a section: kind and name, and how."""
    if section == _MODULE:
        yield from odd_items(reader.data[reader.at : reader.end])
    elif section == _CORE_TYPES:
        for _ in range(reader.number()):
            yield from _core_type(reader)
    elif section == _TYPES:
        for _ in range(reader.number()):
            yield from _type(reader)


def _exports_module(reader: Reader, section: int) -> bool:
    """Whether a section of exports, or of instances that are made of items, names a core module."""
    found = False
    for _ in range(reader.number()):
        if section == _EXPORTS:
            found |= _export(reader)
            if reader.byte():
                _description(reader)
        elif reader.byte() == 0:
            reader.number()
            for _ in range(reader.number()):
                reader.name()
                _sort(reader)
                reader.number()
        else:
            for _ in range(reader.number()):
                found |= _export(reader)
    return found


def _export(reader: Reader) -> bool:
    _extern_name(reader)
    sort = _sort(reader)
    reader.number()
    return sort == 0x11


def _sort(reader: Reader) -> int:
    """A sort; a core sort by its own code, that of a module is 0x11."""
    return reader.byte() or reader.byte() | 0x10


def _extern_name(reader: Reader) -> None:
    form = reader.byte()
    reader.name()
    if form == 2:
        for _ in range(reader.number()):
            reader.byte()
            reader.name()


def _description(reader: Reader) -> None:
    kind = reader.byte()
    if kind == 0:  # a core module
        reader.byte()
        reader.number()
    elif kind in (2, 3):  # a value or a type, with a bound
        if reader.byte() == 0 or kind == 2:
            reader.number()
    elif kind in (1, 4, 5):
        reader.number()
    else:
        raise UnknownForm


#: What follows the code of each form of a type. t: a type or a number, o: an optional type or
#: number (1 comes first if it is there), r: a result (0 comes first if there is one, else two bytes
#: say that there is none), n: a name, b: a byte; in parentheses: any number of it.
_FORMS = {
    **dict.fromkeys(range(0x73, 0x80), ""),
    **dict.fromkeys((0x68, 0x69, 0x6B, 0x70), "t"),
    **dict.fromkeys((0x65, 0x66), "o"),
    **dict.fromkeys((0x6D, 0x6E), "(n)"),
    **dict.fromkeys((0x40, 0x43), "(nt)r"),
    0x3E: "boo",
    0x3F: "bo",
    0x63: "tt",
    0x64: "",
    0x67: "tt",
    0x6A: "oo",
    0x6F: "(t)",
    0x71: "(nob)",
    0x72: "(nt)",
}


def _parts(reader: Reader, parts: str) -> None:
    for part in parts:
        if part == "t":
            reader.number()
        elif part == "n":
            reader.name()
        elif part == "b":
            reader.byte()
        elif part == "o":
            if reader.byte() != 0:
                reader.number()
        elif reader.byte() == 0:
            reader.number()
        else:
            reader.byte()


def _type(reader: Reader) -> Iterator[tuple[str, int]]:
    code = reader.byte()
    if code in (0x41, 0x42):
        for _ in range(reader.number()):
            yield from _declaration(reader)
        return
    if code not in _FORMS:
        raise UnknownForm
    repeated, _, rest = _FORMS[code].rpartition(")")
    if repeated:
        for _ in range(reader.number()):
            _parts(reader, repeated[1:])
    _parts(reader, rest)


def _declaration(reader: Reader) -> Iterator[tuple[str, int]]:
    """A declaration of a component or instance type."""
    kind = reader.byte()
    if kind == 0:
        yield from _core_type(reader)
    elif kind == 1:
        yield from _type(reader)
    elif kind == 2:
        _sort(reader)
        outer = reader.byte() == 2
        reader.number()
        if outer:
            reader.number()
        else:
            reader.name()
    elif kind in (3, 4):
        _extern_name(reader)
        _description(reader)
    else:
        raise UnknownForm


# --- types of core modules -----------------------------------------------------------------------


def _core_type(reader: Reader) -> Iterator[tuple[str, int]]:
    if reader.peek() == 0x50:
        reader.byte()
        for _ in range(reader.number()):
            yield from _module_declaration(reader)
        return
    if reader.peek() == 0:  # 0x50 means something else without
        reader.byte()
    _recursive_types(reader)


def _module_declaration(reader: Reader) -> Iterator[tuple[str, int]]:
    kind = reader.byte()
    if kind == 0:
        name = f"the imported item {reader.name()!r} {reader.name()!r}"
        yield from _odd(name, reader.extern(reader.byte()))
    elif kind == 1:
        yield from _odd("a function", _recursive_types(reader))
    elif kind == 2:
        reader.byte()
        reader.byte()
        reader.number()
        reader.number()
    elif kind == 3:
        yield from _odd(f"the exported item {reader.name()!r}", reader.extern(reader.byte()))
    else:
        raise UnknownForm


def _odd(item: str, marks: int) -> Iterator[tuple[str, int]]:
    if marks & ODD:
        yield item, marks & ODD


def _recursive_types(reader: Reader) -> int:
    """One type, or a group of types that know each other; CONCRETE if one names another."""
    count = 1
    if reader.peek() == 0x4E:
        reader.byte()
        count = reader.number()
    oddity = 0
    for _ in range(count):
        oddity |= _composite_type(reader)
    return oddity


def _composite_type(reader: Reader) -> int:
    code = reader.byte()
    if code in (0x4F, 0x50):  # with supertypes
        for _ in range(reader.number()):
            reader.number()
        code = reader.byte()
    oddity = 0
    if code == 0x60:  # a function: parameters, results
        for _ in range(2):
            for _ in range(reader.number()):
                oddity |= reader.value_type()
    elif code in (0x5E, 0x5F):  # an array, a struct
        for _ in range(1 if code == 0x5E else reader.number()):
            oddity |= reader.value_type()
            reader.byte()
    else:
        raise UnknownForm
    return oddity & CONCRETE
