"""What of a module's instances cannot change while they run.

What nothing changes need not be put back before an instance is used again (`restore.renew`).
"""

from __future__ import annotations

import re

from .._wasm.instructions import each_instruction, skip_locals
from .._wasm.layout import CODE, Layout
from .._wasm.reader import MalformedBinary

__all__ = ["writes_tables"]

#: table.set; table.init, table.copy, table.grow and table.fill, behind their prefix.
_WRITES = frozenset({0x26, 0xFC << 16 | 12, 0xFC << 16 | 14, 0xFC << 16 | 15, 0xFC << 16 | 17})
_MOST_TABLES = 128
_MINORS = "|".join(f"[\\x{each:02x}\\x{each | 0x80:02x}]" for each in (12, 14, 15, 17))


def writes_tables(layout: Layout) -> bool:
    """Tell whether a module has an instruction that changes a table.

    Args:
        layout: The module.
    """
    if not layout.tables:
        return False
    if len(layout.tables) > _MOST_TABLES:  # whose indices take more than a byte
        return True
    # Few bodies have bytes that look like one, and the others need not be read.
    indices = "".join(f"\\x{each:02x}\\x{each | 0x80:02x}" for each in range(len(layout.tables)))
    pattern = re.compile(f"\x26[{indices}]|\xfc(?:{_MINORS})".encode("latin-1"))
    reader = layout.contents(CODE)
    for _ in range(0 if reader is None else reader.number()):
        assert reader is not None
        body = reader.part(reader.number())
        if pattern.search(body.data, body.at, body.end) is None:
            continue
        skip_locals(body)
        try:
            if any(opcode in _WRITES for opcode, _ in each_instruction(body)):
                return True
        except MalformedBinary:  # an instruction that is not known: who knows what it does
            return True
    return False
