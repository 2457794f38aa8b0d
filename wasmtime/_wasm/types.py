"""The types that a component's binary describes.

Identity carries meaning: an object of `Type` is one type of one declaration, and a `Named` is
what an import or export of a type introduces.

The author of a component may be no friend: a few bytes can describe millions of parts. So no type
is nested deeper than `MAX_DEPTH` or larger than `MAX_PARTS`, and a `Budget` bounds the work.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Optional

__all__ = [
    "MAX_DEPTH",
    "MAX_PARTS",
    "PRIMITIVES",
    "Budget",
    "EnumType",
    "FixedList",
    "Flags",
    "Func",
    "Handle",
    "Lift",
    "ListType",
    "MapType",
    "Named",
    "OpaqueType",
    "Option",
    "Primitive",
    "Record",
    "Resource",
    "Result",
    "TupleType",
    "Type",
    "UnsupportedComponent",
    "Variant",
    "follow",
    "too_deep",
    "too_large",
]

#: How many levels of types, or of instances of components, may be inside of one another.
MAX_DEPTH = 64
#: How many parts (declarations, fields, types written out) a component may come to.
MAX_PARTS = 100_000
#: Code of each primitive type.
PRIMITIVES = {
    0x7F: "bool",
    0x7E: "s8",
    0x7D: "u8",
    0x7C: "s16",
    0x7B: "u16",
    0x7A: "s32",
    0x79: "u32",
    0x78: "s64",
    0x77: "u64",
    0x76: "f32",
    0x75: "f64",
    0x74: "char",
    0x73: "string",
    0x64: "error-context",
}


class UnsupportedComponent(ValueError):
    """A component that uses what bindings cannot express."""


def too_deep() -> UnsupportedComponent:
    """Make the error for a component that exceeds `MAX_DEPTH`."""
    return UnsupportedComponent(
        f"the component is nested too deeply for bindings: more than {MAX_DEPTH} types, names or "
        "instances are inside of one another"
    )


def too_large() -> UnsupportedComponent:
    """Make the error for a component that exceeds `MAX_PARTS`."""
    return UnsupportedComponent(
        f"the component is too large for bindings: its interfaces and types come to more than "
        f"{MAX_PARTS:,} parts"
    )


class Budget:
    """What is left of the work that one component may cause."""

    def __init__(self) -> None:
        """Start with `MAX_PARTS`."""
        self.left = MAX_PARTS

    def spend(self, count: int = 1) -> None:
        """Note that `count` more parts are dealt with.

        Raises:
            UnsupportedComponent: They are too many.
        """
        self.left -= count
        if self.left < 0:
            raise too_large()


class Type:
    """Base of all types. Compared by identity.

    Attributes:
        depth: How many types are inside of one another here.
        size: How many types it consists of, when it is written out.
        links: How many names follow each other until there is a type without one.
    """

    depth = 1
    size = 1
    links = 0

    def measure(self, parts: Iterable[Optional[Type]]) -> None:
        """Note what it consists of.

        Raises:
            UnsupportedComponent: It is nested too deeply, or too large.
        """
        inner = [part for part in parts if part is not None]
        self.depth = 1 + max((part.depth for part in inner), default=0)
        self.size = 1 + sum(part.size for part in inner)
        if self.depth > MAX_DEPTH:
            raise too_deep()
        if self.size > MAX_PARTS:
            raise too_large()


@dataclass(eq=False)
class Primitive(Type):
    """One of the types that have a name of their own."""

    name: str


@dataclass(eq=False)
class Record(Type):
    """Fields by name, in order."""

    fields: list[tuple[str, Type]]

    def __post_init__(self) -> None:
        """Note the depth and the size."""
        self.measure(type for _, type in self.fields)


@dataclass(eq=False)
class Variant(Type):
    """Cases by name, in order, each with its payload."""

    cases: list[tuple[str, Optional[Type]]]

    def __post_init__(self) -> None:
        """Note the depth and the size."""
        self.measure(type for _, type in self.cases)


@dataclass(eq=False)
class ListType(Type):
    """A list of any length."""

    element: Type

    def __post_init__(self) -> None:
        """Note the depth and the size."""
        self.measure((self.element,))


@dataclass(eq=False)
class FixedList(Type):
    """A list whose length is part of the type."""

    element: Type
    length: int

    def __post_init__(self) -> None:
        """Note the depth and the size."""
        self.measure((self.element,))


@dataclass(eq=False)
class MapType(Type):
    """Values by key."""

    key: Type
    value: Type

    def __post_init__(self) -> None:
        """Note the depth and the size."""
        self.measure((self.key, self.value))


@dataclass(eq=False)
class TupleType(Type):
    """A fixed sequence."""

    elements: list[Type]

    def __post_init__(self) -> None:
        """Note the depth and the size."""
        self.measure(self.elements)


@dataclass(eq=False)
class Flags(Type):
    """A set of named bits."""

    names: list[str]


@dataclass(eq=False)
class EnumType(Type):
    """One of several names."""

    names: list[str]


@dataclass(eq=False)
class Option(Type):
    """A value, or none."""

    payload: Type

    def __post_init__(self) -> None:
        """Note the depth and the size."""
        self.measure((self.payload,))


@dataclass(eq=False)
class Result(Type):
    """A value or an error, both of which may be without a payload."""

    ok: Optional[Type]
    err: Optional[Type]

    def __post_init__(self) -> None:
        """Note the depth and the size."""
        self.measure((self.ok, self.err))


@dataclass(eq=False)
class Handle(Type):
    """An own or borrowed handle to a resource."""

    resource: Type
    own: bool


@dataclass(eq=False)
class OpaqueType(Type):
    """A type whose values cannot pass between Python and components: stream, future."""

    name: str


@dataclass(eq=False)
class Resource(Type):
    """A resource type."""


@dataclass(eq=False)
class Named(Type):
    """A type under the name that an import or export gives it."""

    name: str
    target: Type

    def __post_init__(self) -> None:
        """Note the depth and the size."""
        self.depth, self.size = self.target.depth, self.target.size
        self.links = 1 + self.target.links
        if self.links > MAX_DEPTH:
            raise too_deep()


@dataclass(eq=False)
class Lift:
    """Where a function of a component comes from: the core function that it is lifted from.

    Attributes:
        scope: The index spaces that the indices below belong to: those of the component, top level
            or inside of it, which lifts the function.
        core_func: Index of the core function.
        options: Indices that the options of the canonical ABI name, by the codes of the options.
    """

    scope: object
    core_func: int
    options: dict[int, Optional[int]]


@dataclass(eq=False)
class Func(Type):
    """The type of a function, or a function of that type.

    Attributes:
        lift: Where it comes from; None for a type, and for what is imported.
    """

    params: list[tuple[str, Type]]
    result: Optional[Type]
    is_async: bool
    lift: Optional[Lift] = None

    def __post_init__(self) -> None:
        """Note the depth and the size."""
        self.measure([type for _, type in self.params] + [self.result])


def follow(type: Type) -> Iterable[Type]:
    """Yield a type, and what it is a name of, from the outermost name inwards."""
    while True:
        yield type
        if not isinstance(type, Named):
            return
        type = type.target
