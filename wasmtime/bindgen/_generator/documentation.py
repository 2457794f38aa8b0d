"""Documentation of a world, from the custom section ``package-docs``.

The section is a byte for the version, then JSON. Nobody checks custom sections: it may hold
anything, and what has another form is ignored.
"""

from __future__ import annotations

import json
from typing import Any, Optional

from .model import Interface, ResourceOf, World
from .text import clean

__all__ = ["document"]


def document(world: World, section: Optional[bytes]) -> None:
    """Set the documentation of a world and of all that is in it.

    Args:
        world: The world.
        section: The contents of the section; None if the component has none.
    """
    if section is None:
        return
    try:
        # Numbers have no meaning here, and an int of a million digits takes long to read.
        said = json.loads(section[1:] if section[:1] < b"\x20" else section, parse_int=float)
    except (ValueError, RecursionError):
        return
    interfaces = _table(said, "interfaces")
    for interface in world.interfaces():
        if interface.full_name:
            docs = _Docs([_table(interfaces, interface.parts.name)])
            interface.docs = docs.about
            _document_items(interface, docs)
    worlds = _Docs([entry for entry in _table(said, "worlds").values() if isinstance(entry, dict)])
    world.docs = worlds.about
    for top in (world.root_exports, world.root_imports):
        _document_items(top, worlds)


def _table(value: Any, key: str) -> dict[str, Any]:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _said(value: Any) -> str:
    """The text of an entry, which is a text or an object with one."""
    text = value.get("docs") if isinstance(value, dict) else value
    return clean(text).strip() if isinstance(text, str) else ""


class _Docs:
    """What several entries say together: those of an interface, or of all worlds.

    The first entry that says something counts.

    Attributes:
        about: The text about the interface or world itself.
        types: The entry of each type.
        funcs: The entry of each function.
    """

    def __init__(self, entries: list[dict[str, Any]]) -> None:
        self.about = next(filter(None, map(_said, entries)), "")
        self.types = _merged(entries, "types")
        self.funcs = _merged(entries, "func_exports", "func_imports", "funcs")


def _merged(entries: list[dict[str, Any]], *keys: str) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for entry in entries:
        for key in keys:
            for name, value in _table(entry, key).items():
                if not _said(result.get(name)):
                    result[name] = value
    return result


def _document_items(interface: Interface, docs: _Docs) -> None:
    functions = list(interface.functions)
    for declaration in interface.types:
        entry = docs.types.get(declaration.name)
        declaration.docs = _said(entry)
        declaration.item_docs = {
            name: _said(item) for name, item in _table(entry, "items").items() if _said(item)
        }
        if isinstance(declaration.definition, ResourceOf):
            functions.extend(declaration.definition.functions())
    for function in functions:
        function.docs = _said(docs.funcs.get(function.export_name))
