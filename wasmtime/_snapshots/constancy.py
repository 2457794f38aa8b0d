"""What of a module's instances cannot change while they run.

What nothing changes need not be put back before an instance is used again (`restore.renew`).
"""

from __future__ import annotations

import re

from .._wasm.instructions import any_encoding, each_instruction, skip_locals
from .._wasm.layout import CODE, Layout
from .._wasm.reader import MalformedBinary

__all__ = ["writes_tables"]

#: table.set; table.init, table.copy, table.grow and table.fill, behind their prefix.
_SET, _PREFIX, _PREFIXED = 0x26, 0xFC, (12, 14, 15, 17)
_WRITES = frozenset({_SET, *(_PREFIX << 16 | minor for minor in _PREFIXED)})
#: No library accepts more.
_MOST_TABLES = 128


def writes_tables(layout: Layout) -> bool:
    """Tell whether a module has an instruction that changes a table.

    Args:
        layout: The module.
    """
    if not layout.tables:
        return False
    if len(layout.tables) > _MOST_TABLES:
        return True
    # Few bodies have bytes that look like one, and the others need not be read.
    indices, minors = (
        b"|".join(map(any_encoding, numbers)) for numbers in (range(len(layout.tables)), _PREFIXED)
    )
    pattern = re.compile(b"\x26(?:" + indices + b")|\xfc(?:" + minors + b")")
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
