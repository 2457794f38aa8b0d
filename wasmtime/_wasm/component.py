"""A look into a component before the library gets it: the asynchronous ABI, and core modules.

A call into an asynchronous component needs the library's event loop, even if the function that is
called is an ordinary one: it must be made as an asynchronous call, which costs more. The C API does
not tell which components those are; their binary does.

The core modules that a component imports or exports have types. The library ends the process where
one names a table with limits of more than 32 bits (see `module`), or a type that the module
defines itself (``(ref $t)``). Which modules are concerned is not followed through all of the
component: none of those inside of it may have such a table; and none may have a table or global of
a type of its own, if the component exports modules at all.

Everything that is not understood here is left to the library's validation. Components inside of
components, and types inside of types, are kept on a list instead of the stack: the library accepts
more of them than Python has frames for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

from .._error import WasmtimeError
from .grammar import (
    ASYNC_OPTION,
    CORE_MODULE_SORT,
    DECLARE_ALIAS,
    DECLARE_CORE_TYPE,
    DECLARE_EXPORT,
    DECLARE_IMPORT,
    DECLARE_TYPE,
    FORM_COMPONENT,
    FORM_INSTANCE,
    SECTION_CANON,
    SECTION_COMPONENT,
    SECTION_CORE_MODULE,
    SECTION_CORE_TYPES,
    SECTION_EXPORTS,
    SECTION_INSTANCES,
    SECTION_TYPES,
    read_extern_name,
    read_options,
    read_sort,
    skip_alias,
    skip_description,
)
from .module import ODD, WIDE, extern_type, odd_items, recursive_types, wide_table
from .reader import MalformedBinary, Reader, kind_of

__all__ = ["check_modules", "uses_async"]

_LIFT, _LOWER, _RESOURCE_NEW, _RESOURCE_DROP, _RESOURCE_REP = range(5)


# --- the asynchronous ABI ------------------------------------------------------------------------


def uses_async(binary: bytes) -> bool:
    """Tell whether a component, or one inside of it, does anything asynchronously.

    Args:
        binary: The component. Anything else uses nothing.
    """
    if kind_of(binary) != "component":
        return False
    components = [Reader(binary)]
    try:
        while components:
            for code, section in components.pop().sections_of_binary():
                if code == SECTION_COMPONENT:
                    components.append(section)
                elif code == SECTION_CANON and _has_async(section):
                    return True
    except MalformedBinary:
        pass
    return False


def _has_async(reader: Reader) -> bool:
    """Tell whether one of the canonical definitions of a section is asynchronous.

    All that are not known here are: they serve tasks, streams, futures and threads.
    """
    for _ in range(reader.number()):
        kind = reader.byte()
        if kind in (_LIFT, _LOWER):
            reader.byte()
            reader.number()
            if ASYNC_OPTION in read_options(reader):
                return True
            if kind == _LIFT:
                reader.number()
        elif kind in (_RESOURCE_NEW, _RESOURCE_DROP, _RESOURCE_REP):
            reader.number()
        else:
            return True
    return False


# --- core modules --------------------------------------------------------------------------------


def check_modules(binary: bytes) -> None:
    """Refuse a component with core modules, or types of them, that the library cannot describe.

    Args:
        binary: The component. Anything else, valid or not, passes.

    Raises:
        WasmtimeError: There is such a module.
    """
    if kind_of(binary) != "component":
        return
    concrete: Optional[str] = None
    exports_modules = False
    components = [Reader(binary)]
    while components:
        try:
            for code, section in components.pop().sections_of_binary():
                if code == SECTION_COMPONENT:
                    components.append(section)
                elif code in (SECTION_INSTANCES, SECTION_EXPORTS):
                    exports_modules |= _exports_module(section, code)
                for item, oddity in _odd_parts(section, code):
                    if oddity & WIDE:
                        raise wide_table(f"{item} of a core module in the component")
                    concrete = item
                    exports_modules |= code != SECTION_CORE_MODULE
        except MalformedBinary:
            continue
    if concrete is not None and exports_modules:
        raise WasmtimeError(
            f"{concrete} of a core module in the component is of a type that the module defines "
            "itself, which the library cannot describe where a component imports or exports "
            "modules: use types without '$', such as funcref or structref, or no such modules"
        )


def _odd_parts(reader: Reader, section: int) -> Iterator[tuple[str, int]]:
    """Yield what is odd in a section: kind and name, and how."""
    if section == SECTION_CORE_MODULE:
        yield from odd_items(reader)
    elif section == SECTION_CORE_TYPES:
        for _ in range(reader.number()):
            yield from _core_type(reader)
    elif section == SECTION_TYPES:
        yield from _types(reader)


def _exports_module(reader: Reader, section: int) -> bool:
    """Tell whether a section of exports, or of instances made of items, names a core module."""
    found = False
    for _ in range(reader.number()):
        if section == SECTION_EXPORTS:
            found |= _export(reader)
            if reader.byte():
                skip_description(reader)
        elif reader.byte() == 0:
            reader.number()
            for _ in range(reader.number()):
                reader.name()
                read_sort(reader)
                reader.number()
        else:
            for _ in range(reader.number()):
                found |= _export(reader)
    return found


def _export(reader: Reader) -> bool:
    """Read the name and the item of an export; tell whether it is a core module."""
    read_extern_name(reader)
    sort = read_sort(reader)
    reader.number()
    return sort == CORE_MODULE_SORT


# --- types ---------------------------------------------------------------------------------------

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


def _types(reader: Reader) -> Iterator[tuple[str, int]]:
    """Yield what is odd in a section of types, and in the types inside of them."""
    # How many types, or declarations of each type that is being read, are still to come.
    left = [reader.number()]
    while left:
        if left[-1] == 0:
            left.pop()
            continue
        left[-1] -= 1
        kind = reader.byte() if len(left) > 1 else DECLARE_TYPE
        if kind == DECLARE_CORE_TYPE:
            yield from _core_type(reader)
        elif kind == DECLARE_TYPE:
            left.append(_declarations_of_type(reader))
        elif kind == DECLARE_ALIAS:
            skip_alias(reader)
        elif kind in (DECLARE_IMPORT, DECLARE_EXPORT):
            read_extern_name(reader)
            skip_description(reader)
        else:
            raise MalformedBinary(f"a declaration of an unknown kind ({kind:#x})")


def _declarations_of_type(reader: Reader) -> int:
    """Read a type as far as its declarations, if it is of a form that has any; return how many."""
    code = reader.byte()
    if code in (FORM_COMPONENT, FORM_INSTANCE):
        return reader.number()
    if code not in _FORMS:
        raise MalformedBinary(f"a type of an unknown form ({code:#x})")
    repeated, _, rest = _FORMS[code].rpartition(")")
    if repeated:
        for _ in range(reader.number()):
            _skip_parts(reader, repeated[1:])
    _skip_parts(reader, rest)
    return 0


def _skip_parts(reader: Reader, parts: str) -> None:
    """Pass over parts of a type, in the letters of `_FORMS`."""
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


# --- types of core modules -----------------------------------------------------------------------


def _core_type(reader: Reader) -> Iterator[tuple[str, int]]:
    """Yield what is odd in a core type: the items of a module, if it is the type of one."""
    if reader.peek() == 0x50:
        reader.byte()
        for _ in range(reader.number()):
            yield from _module_declaration(reader)
        return
    if reader.peek() == 0:  # 0x50 means something else without
        reader.byte()
    recursive_types(reader)


def _module_declaration(reader: Reader) -> Iterator[tuple[str, int]]:
    """Yield what is odd in a declaration of the type of a module."""
    kind = reader.byte()
    if kind == 0:
        name = f"the imported item {reader.name()!r} {reader.name()!r}"
        yield from _odd(name, extern_type(reader, reader.byte()))
    elif kind == 1:
        yield from _odd("a function", recursive_types(reader)[1])
    elif kind == 2:
        reader.skip(2)
        reader.number()
        reader.number()
    elif kind == 3:
        name = f"the exported item {reader.name()!r}"
        yield from _odd(name, extern_type(reader, reader.byte()))
    else:
        raise MalformedBinary(f"a declaration of an unknown kind ({kind:#x})")


def _odd(item: str, marks: int) -> Iterator[tuple[str, int]]:
    """Yield an item if its marks say that it is odd."""
    if marks & ODD:
        yield item, marks & ODD
