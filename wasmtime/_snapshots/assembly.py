"""Putting a module together again, with additions.

Everything is added behind what is there, so that no index changes.
"""

from __future__ import annotations

from typing import Optional

from .._wasm.layout import (
    CODE,
    EXPORTS,
    FUNCTION_KIND,
    FUNCTIONS,
    GLOBAL_KIND,
    GLOBALS,
    SECTION_ORDER,
    TABLE_KIND,
    TABLES,
    TYPES,
    Layout,
)
from .._wasm.reader import Reader
from .._wasm.writer import name, section, unsigned, vector

__all__ = ["Additions", "assemble"]

_END = b"\x0b"


class Additions:
    """What is added behind each section of a module.

    Args:
        layout: The module.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._items: dict[int, list[bytes]] = {}
        self._types: dict[bytes, int] = {}
        #: What sections consist of instead of what they did; None leaves one out.
        self.replaced: dict[int, Optional[bytes]] = {}

    def add(self, code: int, item: bytes) -> int:
        """Add an item to a section; return how many were added to it before."""
        items = self._items.setdefault(code, [])
        items.append(item)
        return len(items) - 1

    def type(self, encoded: bytes) -> int:
        """Add a type, once; return its index."""
        if encoded not in self._types:
            self._types[encoded] = self.layout.type_count + self.add(TYPES, encoded)
        return self._types[encoded]

    def function(self, type_index: int, body: bytes) -> int:
        """Add a function without further locals; return its index."""
        self.add(FUNCTIONS, unsigned(type_index))
        body = b"\0" + body + _END
        position = self.add(CODE, unsigned(len(body)) + body)
        return self._first(FUNCTION_KIND) + len(self.layout.function_types) + position

    def table(self, encoded: bytes) -> int:
        """Add a table; return its index."""
        return self._first(TABLE_KIND) + len(self.layout.tables) + self.add(TABLES, encoded)

    def global_(self, encoded: bytes) -> int:
        """Add a global; return its index."""
        return self._first(GLOBAL_KIND) + len(self.layout.globals) + self.add(GLOBALS, encoded)

    def export(self, exported: str, kind: int, index: int) -> None:
        """Add an export."""
        self.add(EXPORTS, name(exported) + bytes([kind]) + unsigned(index))

    def _first(self, kind: int) -> int:
        return len(self.layout.imported(kind))

    def contents(self, code: int) -> Optional[bytes]:
        """Return what a section consists of, additions included; None if it is left out."""
        added = self._items.get(code, [])
        old = self.layout.contents(code)
        if code in self.replaced:
            replaced = self.replaced[code]
            old = None if replaced is None else Reader(replaced)
        if old is None:
            return vector(added) if added else None
        if not added:
            return old.rest()
        count = old.number()
        return unsigned(count + len(added)) + old.rest() + b"".join(added)


def assemble(additions: Additions) -> bytes:
    """Put a module together again."""
    layout = additions.layout
    parts = [layout.binary[:8]]
    # A section that is new comes before the first that must stand behind it.
    missing = [code for code in SECTION_ORDER if layout.contents(code) is None]

    def append(code: int) -> None:
        contents = additions.contents(code)
        if contents is not None:
            parts.append(section(code, contents))

    for code, start, end in layout.sections:
        if code == 0:
            parts.append(layout.binary[start:end])
            continue
        while missing and SECTION_ORDER.index(missing[0]) < SECTION_ORDER.index(code):
            append(missing.pop(0))
        append(code)
    for code in missing:
        append(code)
    return b"".join(parts)
