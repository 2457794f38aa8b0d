"""How values lie in a guest's memory, and how they are flattened: the canonical ABI's rules.

The core computes the same for its half (``csrc/core/component/layout.c``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

from ..._wasm.types import (
    EnumType,
    Flags,
    Func,
    ListType,
    MapType,
    Named,
    Option,
    Primitive,
    Record,
    Result,
    TupleType,
    Type,
    UnsupportedComponent,
    Variant,
)

__all__ = [
    "MAX_FLAT_PARAMS",
    "MapType",
    "Type",
    "aligned",
    "case_offset",
    "cases",
    "discriminant_size",
    "element_of",
    "fields",
    "flatten",
    "flatten_params",
    "has_inside",
    "has_pointers",
    "is_bulky",
    "layout",
    "parts",
    "plain",
]

#: More parameters than this are passed in memory.
MAX_FLAT_PARAMS = 16

_SIZES = {
    **dict.fromkeys(("bool", "s8", "u8"), 1),
    **dict.fromkeys(("s16", "u16"), 2),
    **dict.fromkeys(("s32", "u32", "f32", "char"), 4),
    **dict.fromkeys(("s64", "u64", "f64"), 8),
}
_FLAT = {
    **dict.fromkeys(_SIZES, "i32"),
    **dict.fromkeys(("s64", "u64"), "i64"),
    "f32": "f32",
    "f64": "f64",
}


def plain(type: Type) -> Type:
    """Return a type without the names that it goes by."""
    while isinstance(type, Named):
        type = type.target
    return type


def element_of(type: Type) -> Optional[Type]:
    """Return the type of the elements of a list or map; None for other types."""
    if isinstance(type, ListType):
        return type.element
    if isinstance(type, MapType):
        return TupleType([type.key, type.value])
    return None


def fields(type: Type) -> Optional[list[Type]]:
    """Return what a record or tuple consists of; None for other types."""
    if isinstance(type, Record):
        return [field for _, field in type.fields]
    return type.elements if isinstance(type, TupleType) else None


def cases(type: Type) -> Optional[list[Optional[Type]]]:
    """Return the payloads of what has cases, each of which may have none; None for other types."""
    if isinstance(type, Variant):
        return [payload for _, payload in type.cases]
    if isinstance(type, Option):
        return [None, type.payload]
    return [type.ok, type.err] if isinstance(type, Result) else None


def parts(type: Type) -> Iterator[Type]:
    """Yield what lies directly inside of a type."""
    element = element_of(type)
    if element is not None:
        yield element
    yield from fields(type) or ()
    yield from (payload for payload in cases(type) or () if payload is not None)


def aligned(offset: int, alignment: int) -> int:
    """Return the first place from `offset` on that is aligned."""
    return (offset + alignment - 1) // alignment * alignment


def discriminant_size(count: int) -> int:
    """Return how many bytes tell `count` cases apart."""
    return 1 if count <= 1 << 8 else 2 if count <= 1 << 16 else 4


def case_offset(payloads: list[Optional[Type]]) -> int:
    """Return where the payload of a variant begins."""
    return _case_offset(len(payloads), [layout(each) for each in payloads if each is not None])


def _case_offset(count: int, layouts: list[tuple[int, int]]) -> int:
    alignments = [alignment for _, alignment in layouts]
    return aligned(discriminant_size(count), max(alignments, default=1))


def layout(type: Type) -> tuple[int, int]:
    """Return the size and the alignment of a type, in bytes.

    Raises:
        UnsupportedComponent: It has no place in a memory that is known here.
    """
    type = plain(type)
    if isinstance(type, Primitive) and type.name in _SIZES:
        return _SIZES[type.name], _SIZES[type.name]
    if element_of(type) is not None or (isinstance(type, Primitive) and type.name == "string"):
        return 8, 4
    if isinstance(type, EnumType):
        size = discriminant_size(len(type.names))
        return size, size
    if isinstance(type, Flags) and len(type.names) <= 32:
        size = 1 if len(type.names) <= 8 else 2 if len(type.names) <= 16 else 4
        return size, size
    members, payloads = fields(type), cases(type)
    if members is not None:
        return _layout_of_fields(members)
    if payloads is None:
        raise UnsupportedComponent(f"a value of {type!r} has no layout that is known here")
    layouts = [layout(payload) for payload in payloads if payload is not None]
    start = _case_offset(len(payloads), layouts)
    alignment = max([discriminant_size(len(payloads)), *(own for _, own in layouts)])
    return aligned(start + max((size for size, _ in layouts), default=0), alignment), alignment


def _layout_of_fields(members: list[Type]) -> tuple[int, int]:
    end, alignment = 0, 1
    for member in members:
        size, own = layout(member)
        end, alignment = aligned(end, own) + size, max(alignment, own)
    return aligned(end, alignment), alignment


def flatten(type: Type) -> list[str]:
    """Return the core types that a value is passed as, where it is not passed in memory."""
    type = plain(type)
    if isinstance(type, Primitive) and type.name in _FLAT:
        return [_FLAT[type.name]]
    if isinstance(type, (EnumType, Flags)):
        return ["i32"]
    members, payloads = fields(type), cases(type)
    if members is not None:
        return [flat for member in members for flat in flatten(member)]
    if payloads is None:
        return ["i32", "i32"]  # a pointer and a length
    joined: list[str] = []
    for payload in payloads:
        for at, flat in enumerate(flatten(payload) if payload is not None else ()):
            if at == len(joined):
                joined.append(flat)
            elif joined[at] != flat:
                joined[at] = "i32" if {joined[at], flat} == {"i32", "f32"} else "i64"
    return ["i32", *joined]


def flatten_params(func: Func) -> list[str]:
    """Return the core parameters of a function: a pointer if the flattened ones are too many."""
    flat = [each for _, type in func.params for each in flatten(type)]
    return flat if len(flat) <= MAX_FLAT_PARAMS else ["i32"]


def has_pointers(type: Type) -> bool:
    """Tell whether values of a type lie in more than one place: lists, maps and strings do."""
    type = plain(type)
    if isinstance(type, Primitive):
        return type.name == "string"
    return element_of(type) is not None or any(map(has_pointers, parts(type)))


def has_inside(type: Type) -> bool:
    """Tell whether other types are inside of a type."""
    return any(True for _ in parts(plain(type)))


def is_bulky(type: Type) -> bool:
    """Tell whether values of a type consist of many: lists, maps, strings inside of others."""
    type = plain(type)
    return not isinstance(type, Primitive) and has_pointers(type)
