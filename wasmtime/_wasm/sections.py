"""What a binary consists of: its sections and their sizes, its functions, and who produced it.

For people who look at a file, not for anything that decides: what is not understood is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Optional

from .module import each_import, extern_type
from .reader import MalformedBinary, Reader, kind_of

__all__ = ["Body", "Section", "functions_of", "modules_of", "producers_of", "sections_of"]

_MODULE_SECTIONS = (
    "custom", "type", "import", "function", "table", "memory", "global", "export", "start",
    "element", "code", "data", "data count", "tag",
)  # fmt: skip
_COMPONENT_SECTIONS = (
    "custom", "core module", "core instance", "core type", "component", "instance", "alias", "type",
    "canonical function", "start", "import", "export", "value",
)  # fmt: skip

_CUSTOM, _IMPORT, _CODE = 0, 2, 10
#: Of components.
_CORE_MODULE, _COMPONENT = 1, 4
#: The part of the name section that names functions.
_FUNCTION_NAMES = 1
#: The kind of imports that are functions.
_FUNC = 0


class Section(NamedTuple):
    """One section of a binary.

    Attributes:
        kind: What it holds, "code" or "custom" for example.
        name: The name of a custom section.
        offset: Where its contents begin, in bytes from the start of the binary.
        size: How many bytes they are.
    """

    kind: str
    name: Optional[str]
    offset: int
    size: int


class Body(NamedTuple):
    """The code of one function.

    Attributes:
        position: Its index in the module, imported functions counted.
        name: What the name section calls it, if it does.
        offset: Where its code begins, in bytes from the start of the binary.
        size: How many bytes it is.
    """

    position: int
    name: Optional[str]
    offset: int
    size: int


def sections_of(binary: bytes) -> list[Section]:
    """Return the sections of a module or component, in order.

    Raises:
        MalformedBinary: It ends too early.
    """
    names = _COMPONENT_SECTIONS if kind_of(binary) == "component" else _MODULE_SECTIONS
    found = []
    for code, section in Reader(binary).sections_of_binary():
        kind = names[code] if code < len(names) else f"section {code}"
        offset, size = section.at, section.end - section.at
        found.append(Section(kind, section.name() if code == _CUSTOM else None, offset, size))
    return found


def modules_of(component: bytes) -> Iterator[bytes]:
    """Yield the core modules of a component and of the components inside of it, in order.

    Raises:
        MalformedBinary: Something ends too early.
    """
    waiting = [component]
    while waiting:
        inner = []
        for code, section in Reader(waiting.pop()).sections_of_binary():
            if code == _CORE_MODULE:
                yield section.rest()
            elif code == _COMPONENT:
                inner.append(section.rest())
        waiting += reversed(inner)


def functions_of(module: bytes) -> list[Body]:
    """Return the functions that a core module defines, in order.

    Raises:
        MalformedBinary: Something is not as the specification has it.
    """
    index, bodies, names = 0, [], {}
    for code, section in Reader(module).sections_of_binary():
        if code == _IMPORT:
            index = sum(kind == _FUNC for _, _, kind, _ in each_import(section, extern_type))
        elif code == _CODE:
            for number in range(index, index + section.number()):
                body = section.part(section.number())
                bodies.append(Body(number, None, body.at, body.end - body.at))
        elif code == _CUSTOM and section.name() == "name":
            names = _function_names(section)
    return [body._replace(name=names.get(body.position)) for body in bodies]


def _function_names(section: Reader) -> dict[int, str]:
    """Read a name section; one that is not well-formed names nothing."""
    try:
        for part, content in section.sections():
            if part == _FUNCTION_NAMES:
                return {content.number(): content.name() for _ in range(content.number())}
    except MalformedBinary:
        pass
    return {}


def producers_of(binary: bytes) -> dict[str, list[str]]:
    """Return what the "producers" section says of the tools that made a binary.

    Returns:
        Names and versions of tools, by what they did ("language", "processed-by"). Empty if there
        is no such section, or one that is not well-formed.
    """
    try:
        for code, section in Reader(binary).sections_of_binary():
            if code == _CUSTOM and section.name() == "producers":
                return {section.name(): _tools(section) for _ in range(section.number())}
    except MalformedBinary:
        pass
    return {}


def _tools(section: Reader) -> list[str]:
    return [f"{section.name()} {section.name()}".strip() for _ in range(section.number())]
