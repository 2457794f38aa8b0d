"""The names of the parameters of exported functions, where a core module has a name section."""

from __future__ import annotations

from .._binary import Reader, UnsupportedComponent

__all__ = ["parameter_names"]

#: Kinds of sections, the sort of an export that is a function, and the part of the name section
#: that has the names of locals.
_CUSTOM, _EXPORTS = 0, 7
_FUNCTION = 0
_LOCALS = 2


def parameter_names(binary: bytes) -> dict[str, dict[int, str]]:
    """The names of parameters, by the function's name and the parameter's index.

    Args:
        binary: The module; empty if it is not known. A name section may hold anything: one that
            is damaged names nothing.
    """
    try:
        return _read(binary)
    except (UnsupportedComponent, UnicodeError):
        return {}


def _read(binary: bytes) -> dict[str, dict[int, str]]:
    exported: dict[str, int] = {}
    locals_of: dict[int, dict[int, str]] = {}
    reader = Reader(binary, 8)
    while reader.at < reader.end:
        kind = reader.byte()
        section = reader.part(reader.number())
        if kind == _EXPORTS:
            exported = _exported_functions(section)
        elif kind == _CUSTOM and section.text() == "name":
            locals_of.update(_names_of_locals(section))
    return {name: locals_of.get(index, {}) for name, index in exported.items()}


def _exported_functions(section: Reader) -> dict[str, int]:
    """The index of each exported function."""
    exported = {}
    for _ in range(section.number()):
        name = section.text()
        sort, index = section.byte(), section.number()
        if sort == _FUNCTION:
            exported[name] = index
    return exported


def _names_of_locals(section: Reader) -> dict[int, dict[int, str]]:
    """The names of each function's locals, the first of which are its parameters."""
    locals_of = {}
    while section.at < section.end:
        part = section.byte()
        content = section.part(section.number())
        if part == _LOCALS:
            for _ in range(content.number()):
                index = content.number()
                locals_of[index] = {
                    content.number(): content.text() for _ in range(content.number())
                }
    return locals_of
