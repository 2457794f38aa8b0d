"""A component's world in the terms of WIT: interfaces, the types that they declare, functions.

Nothing here knows what these become in Python.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Optional, Union

from .names import InterfaceName

__all__ = [
    "Alias",
    "Declaration",
    "Definition",
    "EnumOf",
    "Expression",
    "FixedListOf",
    "FlagsOf",
    "Function",
    "HandleTo",
    "Interface",
    "ListOf",
    "MapOf",
    "Opaque",
    "OptionOf",
    "Plain",
    "RecordOf",
    "Reference",
    "ResourceOf",
    "ResultOf",
    "TupleOf",
    "VariantOf",
    "World",
    "origin",
    "unaliased",
]


# --- type expressions ----------------------------------------------------------------------------


@dataclass
class Plain:
    """A primitive type, by its name in WIT."""

    name: str


@dataclass
class ListOf:
    """``list<element>``."""

    element: Expression


@dataclass
class FixedListOf:
    """``list<element, length>``."""

    element: Expression
    length: int


@dataclass
class MapOf:
    """``map<key, value>``."""

    key: Expression
    value: Expression


@dataclass
class TupleOf:
    """``tuple<...>``."""

    elements: list[Expression]


@dataclass
class OptionOf:
    """``option<payload>``."""

    payload: Expression


@dataclass
class ResultOf:
    """``result<ok, err>``."""

    ok: Optional[Expression]
    err: Optional[Expression]


@dataclass
class HandleTo:
    """``own<resource>`` or ``borrow<resource>``."""

    resource: Declaration
    own: bool


@dataclass
class Reference:
    """A type by its name."""

    declaration: Declaration


@dataclass
class Opaque:
    """A type whose values cannot pass: stream, future, error-context."""

    name: str


Expression = Union[
    Plain,
    ListOf,
    FixedListOf,
    MapOf,
    TupleOf,
    OptionOf,
    ResultOf,
    HandleTo,
    Reference,
    Opaque,
]


# --- declarations --------------------------------------------------------------------------------


@dataclass
class RecordOf:
    """Fields by name, in order."""

    fields: list[tuple[str, Expression]]


@dataclass
class VariantOf:
    """Cases by name, in order."""

    cases: list[tuple[str, Optional[Expression]]]


@dataclass
class EnumOf:
    """The names of the cases."""

    names: list[str]


@dataclass
class FlagsOf:
    """The names of the flags."""

    names: list[str]


@dataclass
class ResourceOf:
    """A resource, by the functions that belong to it.

    Attributes:
        constructor: Makes one; None if there is no constructor.
        methods: Each takes the resource first, which is not among its `params`.
        statics: Functions that take no resource.
    """

    constructor: Optional[Function] = None
    methods: list[Function] = field(default_factory=list)
    statics: list[Function] = field(default_factory=list)

    def functions(self) -> Iterator[Function]:
        """All of them."""
        if self.constructor is not None:
            yield self.constructor
        yield from self.methods
        yield from self.statics


@dataclass
class Alias:
    """Another name for a type: ``type a = b``, or ``use``."""

    target: Expression


Definition = Union[RecordOf, VariantOf, EnumOf, FlagsOf, ResourceOf, Alias]


@dataclass(eq=False)
class Declaration:
    """A type that has a name in an interface.

    Attributes:
        name: The name.
        interface: Where it is declared.
        definition: What it is.
        docs: Its documentation; empty if the binary carries none.
        item_docs: That of its fields, cases or flags, by name.
    """

    name: str
    interface: Interface
    definition: Definition
    docs: str = ""
    item_docs: dict[str, str] = field(default_factory=dict)


@dataclass(eq=False)
class Function:
    """A function.

    Attributes:
        name: Its name; without the name of the resource that it belongs to.
        export_name: Its name in the binary.
        params: Names and types.
        result: The type of the result, None if there is none.
        is_async: Whether it is declared `async`.
        docs: Its documentation; empty if the binary carries none.
    """

    name: str
    export_name: str
    params: list[tuple[str, Expression]]
    result: Optional[Expression]
    is_async: bool
    docs: str = ""


@dataclass(eq=False)
class Interface:
    """An interface that is imported or exported, or what a world has at its top level.

    Attributes:
        full_name: Its name in the binary; empty for the top level.
        imported: Whether the host provides it.
        types: The types that it declares, in order.
        functions: Its functions, without those of resources.
        docs: Its documentation.
    """

    full_name: str
    imported: bool
    types: list[Declaration] = field(default_factory=list)
    functions: list[Function] = field(default_factory=list)
    docs: str = ""

    @property
    def parts(self) -> InterfaceName:
        """The parts of its name."""
        return InterfaceName(self.full_name)

    def resources(self) -> list[Declaration]:
        """The resources that it declares."""
        return [each for each in self.types if isinstance(each.definition, ResourceOf)]

    def has_functions(self) -> bool:
        """Whether it has functions, of its own or of resources."""
        return bool(self.functions or self.resources())


@dataclass
class World:
    """What a component imports and exports.

    Attributes:
        imports: The imported interfaces, in order.
        exports: The exported interfaces, in order.
        root_imports: What is imported at the top level.
        root_exports: What is exported at the top level.
        docs: The world's documentation.
    """

    imports: list[Interface]
    exports: list[Interface]
    root_imports: Interface
    root_exports: Interface
    docs: str = ""

    def interfaces(self) -> Iterator[Interface]:
        """All of them, in the order of declaration."""
        yield self.root_imports
        yield from self.imports
        yield self.root_exports
        yield from self.exports


# --- aliases -------------------------------------------------------------------------------------


def origin(declaration: Declaration) -> Declaration:
    """The declaration that an alias stands for in the end; any other one itself."""
    while isinstance(declaration.definition, Alias) and isinstance(
        declaration.definition.target, Reference
    ):
        declaration = declaration.definition.target.declaration
    return declaration


def unaliased(expression: Expression) -> Expression:
    """The type that a name stands for in the end, if it is the name of an alias."""
    while isinstance(expression, Reference) and isinstance(
        expression.declaration.definition, Alias
    ):
        expression = expression.declaration.definition.target
    return expression
