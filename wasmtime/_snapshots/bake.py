"""Writing a module that begins in the state of a snapshot, for any engine.

The module is as it was, with larger memories and tables, other values of globals, and segments of
data and elements behind its own, which hold what differs. Segments that were dropped are empty. A
program that waits for its input begins with going on from there.

Nothing depends on when or where it is written: the same snapshot gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import zip_longest
from typing import Optional

from .._wasm.layout import (
    DATA,
    DATA_COUNT,
    ELEMENTS,
    EXPORTS,
    GLOBALS,
    MEMORIES,
    START,
    TABLES,
    ElementSegment,
    Global,
    Layout,
    Limits,
    Table,
    read_layout,
)
from .._wasm.writer import name, signed, unsigned, vector
from .assembly import Additions, assemble
from .errors import NotCapturable
from .rewrite import Prepared
from .state import GlobalState, State

__all__ = ["bake"]

_END = b"\x0b"
#: How a function is referred to, null, a small integer; and the kinds of values: as in the core.
_FUNCTION, _I31 = 1, 2
_I32, _I64, _F32, _F64, _V128 = range(5)
#: The most segments of data that engines accept.
_MOST_SEGMENTS = 100_000
#: An empty segment of data, which only an instruction could copy: as one that was dropped.
_NO_DATA = b"\1\0"


def bake(prepared: Prepared, state: State, leave_out: Collection[str] = ()) -> bytes:
    """Return a module whose initial state is a snapshot.

    Args:
        prepared: What the snapshot's module was compiled from.
        state: The snapshot.
        leave_out: Names of exports that the module loses, such as functions that set it up.

    Raises:
        NotCapturable: The module cannot be written.
    """
    suspended = state.resume_at is not None
    layout = read_layout(prepared.binary) if suspended else prepared.layout
    additions = Additions(layout)
    additions.replaced.update(
        {
            START: None,
            MEMORIES: _vector(_memories(layout, state)),
            TABLES: _vector(_tables(layout, state)),
            GLOBALS: _vector(_globals(prepared, layout, state)),
            EXPORTS: _vector(_exports(prepared, layout, suspended, leave_out)),
            ELEMENTS: _vector(_elements(prepared, layout, state)),
        }
    )
    data = [*_old_data(layout, state), *_new_data(layout, state)]
    if len(data) > _MOST_SEGMENTS:
        raise NotCapturable(f"the module would have {len(data)} segments of data")
    additions.replaced[DATA] = _vector(data)
    additions.replaced[DATA_COUNT] = unsigned(len(data)) if layout.counts_data else None
    return assemble(additions)


def _vector(items: Iterable[bytes]) -> Optional[bytes]:
    """Encode the contents of a section; None if there are none."""
    every = list(items)
    return vector(every) if every else None


# --- sizes ---------------------------------------------------------------------------------------


def _limits(limits: Limits, minimum: int) -> bytes:
    encoded = bytes([limits.flags]) + unsigned(minimum)
    if limits.maximum is not None:
        encoded += unsigned(limits.maximum)
    if limits.flags & 0b1000:
        encoded += unsigned(limits.page_size.bit_length() - 1)
    return encoded


def _memories(layout: Layout, state: State) -> Iterator[bytes]:
    for limits, memory in zip(layout.memories, state.memories):
        yield _limits(limits, memory.size // limits.page_size)


def _tables(layout: Layout, state: State) -> Iterator[bytes]:
    for table, held in zip_longest(layout.tables, state.tables):
        encoded = table.type + _limits(table.limits, held.size if held else table.limits.minimum)
        yield encoded if table.initial is None else b"\x40\0" + encoded + table.initial


# --- globals and exports -------------------------------------------------------------------------


def _globals(prepared: Prepared, layout: Layout, state: State) -> Iterator[bytes]:
    values = {value.index: value for value in state.globals}
    buffer = len(prepared.layout.globals) + 1  # behind `armed`, which is 0
    for index, item in enumerate(layout.globals):
        initial = item.initial
        if item.mutable and index in values:
            initial = _constant(prepared, item, values[index]) + _END
        elif index == buffer and state.resume_at is not None:
            initial = b"\x41" + signed(_as_i32(state.resume_at)) + _END
        yield item.type + bytes([item.mutable]) + initial


def _constant(prepared: Prepared, item: Global, value: GlobalState) -> bytes:
    bits = value.bits
    if value.kind == _I32:
        return b"\x41" + signed(int.from_bytes(bits[:4], "little", signed=True))
    if value.kind == _I64:
        return b"\x42" + signed(int.from_bytes(bits[:8], "little", signed=True))
    if value.kind == _F32:
        return b"\x43" + bits[:4]
    if value.kind == _F64:
        return b"\x44" + bits[:8]
    if value.kind == _V128:
        return b"\xfd\x0c" + bits[:16]
    return _reference(prepared, item.type, int.from_bytes(bits[:8], "little"))


def _reference(prepared: Prepared, encoded_type: bytes, code: int) -> bytes:
    """Encode the constant instruction for a reference that is told as a number."""
    tag, number = code >> 32, code & 0xFFFFFFFF
    if tag == _FUNCTION:
        return b"\xd2" + unsigned(prepared.functions[number])
    if tag == _I31:
        return b"\x41" + signed(_as_i32(number)) + b"\xfb\x1c"
    heap_type = encoded_type[1:] if encoded_type[0] in (0x63, 0x64) else encoded_type
    return b"\xd0" + heap_type


def _exports(
    prepared: Prepared, layout: Layout, suspended: bool, leave_out: Collection[str]
) -> Iterator[bytes]:
    resume = layout.exported(prepared.named("resume")) if suspended else None
    for exported, kind, index in layout.exports:
        if exported in leave_out or exported.startswith(prepared.prefix):
            continue
        if exported == "_start" and resume is not None:
            index = resume[1]
        yield name(exported) + bytes([kind]) + unsigned(index)


# --- segments ------------------------------------------------------------------------------------


def _elements(prepared: Prepared, layout: Layout, state: State) -> Iterator[bytes]:
    for index, segment in enumerate(layout.elements):
        dropped = ("elements", index) in state.dropped
        yield _no_elements(segment) if dropped else segment.encoded
    for index, (table, held) in enumerate(zip(layout.tables, state.tables)):
        for run in _consecutive(held.changed):
            yield _element_run(prepared, index, table, run)


def _no_elements(segment: ElementSegment) -> bytes:
    """Encode an empty segment of the same type: as one that was dropped."""
    if not segment.encoded[0] & 0b100:
        return b"\1\0\0"
    return b"\5" + segment.type + b"\0"


def _consecutive(changed: Iterable[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    """Group elements that follow each other, and are all functions or all something else."""
    run: list[tuple[int, int]] = []
    for index, code in changed:
        if run and (index != run[-1][0] + 1 or (code >> 32 == 1) != (run[-1][1] >> 32 == 1)):
            yield run
            run = []
        run.append((index, code))
    if run:
        yield run


def _element_run(prepared: Prepared, index: int, table: Table, run: list[tuple[int, int]]) -> bytes:
    start = _offset(table.limits, run[0][0])
    codes = [code for _, code in run]
    if table.type == b"\x70" and all(code >> 32 == _FUNCTION for code in codes):
        functions = vector(unsigned(prepared.functions[code & 0xFFFFFFFF]) for code in codes)
        if index == 0:
            return b"\0" + start + functions
        return b"\2" + unsigned(index) + start + b"\0" + functions
    values = vector(_reference(prepared, table.type, code) + _END for code in codes)
    return b"\6" + unsigned(index) + start + table.type + values


def _offset(limits: Limits, offset: int) -> bytes:
    if limits.wide:
        return b"\x42" + signed(offset - (1 << 64) if offset >> 63 else offset) + _END
    return b"\x41" + signed(_as_i32(offset)) + _END


def _old_data(layout: Layout, state: State) -> Iterator[bytes]:
    for index, segment in enumerate(layout.data):
        yield _NO_DATA if ("data", index) in state.dropped else segment.encoded


def _new_data(layout: Layout, state: State) -> Iterator[bytes]:
    for index, (limits, memory) in enumerate(zip(layout.memories, state.memories)):
        head = b"\0" if index == 0 else b"\2" + unsigned(index)
        for offset, data in memory.runs:
            yield head + _offset(limits, offset) + unsigned(len(data)) + data


def _as_i32(number: int) -> int:
    return number - (1 << 32) if number >> 31 else number
