"""Adding to a module what it takes to read and write its state.

A new instance is given the state of another through exports, so everything that has state is
exported under names of ours: memories, tables, mutable globals. What cannot be exported gets
functions: segments that the code may drop. A table of all functions that a reference can be made to
tells references by number. The start function becomes an export too, since its effects are part of
a snapshot and must not happen again.

Everything is added behind what is there, so that no index changes and the code stays as it is.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Optional

from .._wasm.layout import (
    CODE,
    ELEMENTS,
    FUNCREF,
    FUNCTION_KIND,
    GLOBAL_KIND,
    MEMORY_KIND,
    PASSIVE,
    START,
    TABLE_KIND,
    Global,
    Layout,
    read_layout,
    section_start,
)
from .._wasm.reader import MalformedBinary
from .._wasm.writer import signed, unsigned
from .assembly import Additions, assemble
from .constancy import writes_tables
from .errors import NotCapturable
from .suspend import Suspension, find_suspension

__all__ = ["Prepared", "prepare"]

_NO_PARAMETERS = b"\x60\0\0"
_END = b"\x0b"


@dataclass(frozen=True)
class Prepared:
    """A module that snapshots can be taken of.

    Attributes:
        layout: The module as it was.
        binary: The module to compile.
        prefix: How the names of the added exports begin.
        suspension: How the program stops where it reads its input; None if it cannot.
        needs_functions: Whether there is a table of functions, to tell references by.
        segments: The data (`"data"`) and element (`"elements"`) segments that may be dropped.
    """

    layout: Layout
    binary: bytes
    prefix: str
    suspension: Optional[Suspension]
    needs_functions: bool
    segments: tuple[tuple[str, int], ...]

    @cached_property
    def sha256(self) -> str:
        """The hash of the module as it was, in hexadecimal."""
        return hashlib.sha256(self.layout.binary).hexdigest()

    @property
    def has_start(self) -> bool:
        """Whether a function has to be called once an instance is made: `named("start")`."""
        return self.layout.start is not None

    def named(self, what: str, index: Optional[int] = None) -> str:
        """Return the name of an added export."""
        return self.prefix + (what if index is None else f"{what}{index}")

    @cached_property
    def displacement(self) -> int:
        """How many bytes behind its old place the code is, where all of it was moved by as many."""
        if self.suspension is not None:
            return 0
        return section_start(self.binary, CODE) - section_start(self.layout.binary, CODE)

    @cached_property
    def globals(self) -> tuple[int, ...]:
        """The defined globals that are exported: mutable ones, and references into a heap."""
        return tuple(i for i, item in enumerate(self.layout.globals) if _has_state(item))

    @cached_property
    def only_memory_changes(self) -> bool:
        """Whether memories and globals that hold numbers or functions are all that can change."""
        return (
            not self.segments
            and not any(memory.shared for memory in self.layout.memories)
            and all(
                _is_function(item.type) or not _is_reference(item.type)
                for item in self.layout.globals
            )
            and not writes_tables(self.layout)
        )

    @cached_property
    def functions(self) -> tuple[int, ...]:
        """The functions of the table, by their place in it."""
        return tuple(sorted(self.layout.referenced)) if self.needs_functions else ()


def prepare(binary: bytes) -> Prepared:
    """Add to a module what snapshots need.

    Args:
        binary: A core module, in the binary format.

    Raises:
        NotCapturable: Something that it consists of has state that cannot be reached.
    """
    try:
        layout = read_layout(binary)
        suspension = find_suspension(layout)
    except MalformedBinary as error:
        raise NotCapturable(f"the module cannot be read: {error}") from error
    _refuse_foreign_state(layout)
    additions = Additions(layout)
    prefix = _free_prefix(layout)
    needs_functions = bool(layout.tables) or any(
        item.mutable and _is_reference(item.type) for item in layout.globals
    )
    segments = tuple(_droppable(layout))
    functions_table = _add_functions_table(additions, prefix) if needs_functions else None
    prepared = Prepared(layout, b"", prefix, suspension, needs_functions, segments)
    _export_state(additions, prepared)
    for kind, index in segments:
        if kind == "data":
            _add_data_probe(additions, prefix, index)
        else:
            _add_element_probe(additions, prefix, index, functions_table)
    if suspension is not None:
        suspension.install(additions, prefix)
    return Prepared(layout, assemble(additions), prefix, suspension, needs_functions, segments)


# --- what has state ------------------------------------------------------------------------------


def _refuse_foreign_state(layout: Layout) -> None:
    """Refuse a module whose state lies outside of it."""
    for item in layout.imports:
        mutable = item.kind == GLOBAL_KIND and item.type[-1:] == b"\1"
        if item.kind in (MEMORY_KIND, TABLE_KIND) or mutable:
            what = {MEMORY_KIND: "memory", TABLE_KIND: "table"}.get(item.kind, "mutable global")
            raise NotCapturable(
                f"the {what} {item.module!r} {item.name!r} is imported: its state is not the "
                "module's own"
            )
    for index, table in enumerate(layout.tables):
        if max(table.limits.minimum, table.limits.maximum or 0) >= 1 << 32:
            raise NotCapturable(
                f"table {index} has limits of more than 32 bits, which the C API cannot describe"
            )


def _is_reference(encoded: bytes) -> bool:
    """Tell whether a type is that of references."""
    return encoded[0] < 0x7B


def _is_function(encoded: bytes) -> bool:
    """Tell whether a type is that of references to any function."""
    return encoded in (FUNCREF, b"\x63\x70", b"\x64\x70", b"\x73")


def _has_state(item: Global) -> bool:
    """Tell whether a global may hold something else than in a new instance."""
    # What an immutable reference leads to may change all the same, unless it is a function.
    return item.mutable or (_is_reference(item.type) and not _is_function(item.type))


def _droppable(layout: Layout) -> list[tuple[str, int]]:
    """Return the segments that the code may drop, in order."""
    found: list[tuple[str, int]] = []
    if layout.counts_data:
        for index, data in enumerate(layout.data):
            if data.mode == PASSIVE and data.size:
                found.append(("data", index))
    for index, elements in enumerate(layout.elements):
        if elements.mode == PASSIVE and elements.size:
            found.append(("elements", index))
    if any(kind == "data" for kind, _ in found) and not layout.memories:
        raise NotCapturable(
            "the module has passive data and no memory: whether it was dropped cannot be told"
        )
    return found


def _free_prefix(layout: Layout) -> str:
    """Return what no export's name begins with."""
    prefix = "snapshot:"
    while any(exported.startswith(prefix) for exported, _, _ in layout.exports):
        prefix += ":"
    return prefix


# --- what is added -------------------------------------------------------------------------------


def _export_state(additions: Additions, prepared: Prepared) -> None:
    layout = additions.layout
    for index in range(len(layout.memories)):
        additions.export(prepared.named("memory", index), MEMORY_KIND, index)
    for index in range(len(layout.tables)):
        additions.export(prepared.named("table", index), TABLE_KIND, index)
    first = len(layout.imported(GLOBAL_KIND))
    for index in prepared.globals:
        additions.export(prepared.named("global", index), GLOBAL_KIND, first + index)
    if layout.start is not None:
        additions.export(prepared.named("start"), FUNCTION_KIND, layout.start)
        additions.replaced[START] = None


def _add_functions_table(additions: Additions, prefix: str) -> int:
    """Add a table of all functions that can be referred to."""
    functions = sorted(additions.layout.referenced)
    count = unsigned(len(functions))
    table = additions.table(FUNCREF + b"\1" + count + count)
    additions.export(prefix + "functions", TABLE_KIND, table)
    if functions:
        items = count + b"".join(map(unsigned, functions))
        offset = b"\x41\0" + _END
        additions.add(ELEMENTS, b"\2" + unsigned(table) + offset + b"\0" + items)
    return table


def _zero(wide: bool) -> bytes:
    """Encode the instruction for an index of 0."""
    return b"\x42\0" if wide else b"\x41\0"


def _add_segment_functions(
    additions: Additions, prefix: str, name: str, probe: bytes, drop: bytes
) -> None:
    """Add two functions: one that traps if a segment was dropped, and one that drops it."""
    type_index = additions.type(_NO_PARAMETERS)
    for what, body in (("probe", probe), ("drop", drop)):
        function = additions.function(type_index, body)
        additions.export(f"{prefix}{name}.{what}", FUNCTION_KIND, function)


def _add_data_probe(additions: Additions, prefix: str, index: int) -> None:
    """Add functions for a data segment: copying nothing from its end traps once it is dropped."""
    layout = additions.layout
    target = _zero(layout.memories[0].wide)
    end = b"\x41" + signed(_as_i32(layout.data[index].size))
    probe = target + end + b"\x41\0" + b"\xfc\x08" + unsigned(index) + b"\0"
    _add_segment_functions(additions, prefix, f"data{index}", probe, b"\xfc\x09" + unsigned(index))


def _add_element_probe(
    additions: Additions, prefix: str, index: int, functions: Optional[int]
) -> None:
    """Add functions for an element segment, as for a data segment."""
    layout = additions.layout
    segment = layout.elements[index]
    table: Optional[int] = None
    wide = False
    for position, candidate in enumerate(layout.tables):
        if candidate.type == segment.type:
            table, wide = position, candidate.limits.wide
    if table is None and _is_function(segment.type):
        table = functions
    if table is None:
        raise NotCapturable(
            f"element segment {index} is passive and of a type that no table has: whether it was "
            "dropped cannot be told"
        )
    end = b"\x41" + signed(_as_i32(segment.size))
    copy = b"\xfc\x0c" + unsigned(index) + unsigned(table)
    _add_segment_functions(
        additions,
        prefix,
        f"elements{index}",
        _zero(wide) + end + b"\x41\0" + copy,
        b"\xfc\x0d" + unsigned(index),
    )


def _as_i32(number: int) -> int:
    return number - (1 << 32) if number >> 31 else number
