"""What a component's world means, in the terms of WIT: interfaces, the types that they declare, and
functions. No Python here: a writer decides what it becomes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Optional, Union

from .._wasm import decode as binary
from ._names import Interface as InterfaceName
from ._text import clean

__all__ = [
    "Alias",
    "Declaration",
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
    "read_world",
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
    """What can be done with the resource. `methods` take the resource first; it is not among their
    `params`.
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


@dataclass(eq=False)
class Declaration:
    """A type that an interface gives a name.

    Attributes:
        name: The name.
        interface: Where it is declared.
        definition: What it is.
        docs: Its documentation; empty if the binary carries none.
        item_docs: That of its fields, cases or flags, by name.
    """

    name: str
    interface: Interface
    definition: Union[RecordOf, VariantOf, EnumOf, FlagsOf, ResourceOf, Alias]
    docs: str = ""
    item_docs: dict[str, str] = field(default_factory=dict)


@dataclass(eq=False)
class Function:
    """A function.

    Attributes:
        name: Its name; for what belongs to a resource, the part that is not the resource's.
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
        functions: Its functions, those of resources excepted.
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

    def is_empty(self) -> bool:
        """Whether it has neither types nor functions."""
        return not self.types and not self.functions


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


# --- from the binary -----------------------------------------------------------------------------


class _Reading:
    """Finds out which declaration a type of the binary is."""

    def __init__(self) -> None:
        #: Declarations of everything that has a name, in all interfaces so far.
        self.declared: dict[int, Declaration] = {}
        #: Declarations of the interface at hand: they come before those of others.
        self.here: dict[int, Declaration] = {}
        #: Keeps the objects alive whose id is a key above.
        self.alive: list[binary.Type] = []
        self.budget = binary.Budget()

    def find(self, type: binary.Type) -> Optional[Declaration]:
        """The declaration that a type, or what it is a name of, has."""
        for table in (self.here, self.declared):
            for each in binary.follow(type):
                if id(each) in table:
                    return table[id(each)]
        return None

    def expression(self, type: binary.Type) -> Expression:
        """The type, as one writes it where it is used."""
        self.budget.spend()
        declaration = self.find(type)
        if declaration is not None:
            return Reference(declaration)
        return self.structure(type)

    def structure(self, type: binary.Type) -> Expression:
        """The type as written out, without its own name."""
        *_, bare = binary.follow(type)
        if isinstance(bare, binary.Primitive):
            return Opaque(bare.name) if bare.name == "error-context" else Plain(bare.name)
        if isinstance(bare, binary.ListType):
            return ListOf(self.expression(bare.element))
        if isinstance(bare, binary.FixedList):
            return FixedListOf(self.expression(bare.element), bare.length)
        if isinstance(bare, binary.MapType):
            return MapOf(self.expression(bare.key), self.expression(bare.value))
        if isinstance(bare, binary.TupleType):
            return TupleOf([self.expression(each) for each in bare.elements])
        if isinstance(bare, binary.Option):
            return OptionOf(self.expression(bare.payload))
        if isinstance(bare, binary.Result):
            return ResultOf(self.optional(bare.ok), self.optional(bare.err))
        if isinstance(bare, binary.OpaqueType):
            return Opaque(bare.name)
        if isinstance(bare, binary.Handle):
            resource = self.find(bare.resource)
            if resource is None:
                raise binary.UnsupportedComponent("a handle to a resource that has no name")
            return HandleTo(_origin(resource), bare.own)
        raise binary.UnsupportedComponent(
            f"a {bare.__class__.__name__.lower()} type that no interface gives a name"
        )

    def optional(self, type: Optional[binary.Type]) -> Optional[Expression]:
        return None if type is None else self.expression(type)

    def declare(self, name: str, type: binary.Type, interface: Interface) -> None:
        """Enter a type that the interface at hand exports."""
        chain = list(binary.follow(type))
        known = self.find(type)
        bare = chain[-1]
        definition: Union[RecordOf, VariantOf, EnumOf, FlagsOf, ResourceOf, Alias]
        if known is not None:
            definition = Alias(Reference(known))
        elif isinstance(bare, binary.Record):
            definition = RecordOf([(key, self.expression(each)) for key, each in bare.fields])
        elif isinstance(bare, binary.Variant):
            definition = VariantOf([(key, self.optional(each)) for key, each in bare.cases])
        elif isinstance(bare, binary.EnumType):
            definition = EnumOf(bare.names)
        elif isinstance(bare, binary.Flags):
            definition = FlagsOf(bare.names)
        elif isinstance(bare, binary.Resource):
            definition = ResourceOf()
        else:
            definition = Alias(self.structure(type))
        declaration = Declaration(name, interface, definition)
        interface.types.append(declaration)
        # The innermost type names the declaration in every spelling of it; the primitive types
        # that everybody shares do not.
        for each in chain:
            shared = isinstance(each, binary.Primitive) and each is chain[-1]
            if not shared and id(each) not in self.here:
                self.here[id(each)] = declaration
                self.alive.append(each)

    def function(
        self,
        name: str,
        func: binary.Func,
        interface: Interface,
        declared: dict[str, Declaration],
    ) -> None:
        """Enter a function, with its resource if it belongs to one: one of those `declared` here."""
        kind, resource_name, short = _function_name(name)
        params = [(key, self.expression(each)) for key, each in func.params]
        if kind == "method":
            params = params[1:]
        function = Function(short, name, params, self.optional(func.result), func.is_async)
        if kind == "function":
            interface.functions.append(function)
            return
        if resource_name not in declared:
            raise binary.UnsupportedComponent(
                f"{name!r} belongs to a resource that is not declared"
            )
        origin = _origin(declared[resource_name])
        resource = origin.definition
        if not isinstance(resource, ResourceOf) or origin.interface is not interface:
            return  # a resource of another interface has its functions there
        if kind == "constructor":
            resource.constructor = function
        elif kind == "method":
            resource.methods.append(function)
        else:
            resource.statics.append(function)

    def interface(self, name: str, exports: dict[str, Any], imported: bool) -> Interface:
        """Read an interface, or a world's top level."""
        self.budget.spend(len(exports))
        interface = Interface(name, imported)
        self.here = {}
        functions = []
        for key, item in exports.items():
            # A function's type is one as well, but is exported as a function only.
            if isinstance(item, binary.Func):
                functions.append((key, item))
            elif isinstance(item, binary.Type):
                self.declare(key, item, interface)
        declared = {declaration.name: declaration for declaration in interface.types}
        for key, item in functions:
            self.function(key, item, interface, declared)
        for identity, declaration in self.here.items():
            self.declared.setdefault(identity, declaration)
        self.here = {}
        return interface


def _origin(declaration: Declaration) -> Declaration:
    """The declaration behind aliases."""
    while isinstance(declaration.definition, Alias) and isinstance(
        declaration.definition.target, Reference
    ):
        declaration = declaration.definition.target.declaration
    return declaration


def _function_name(name: str) -> tuple[str, str, str]:
    """The kind of function that a name tells, the resource, and the function's own name."""
    if not name.startswith("["):
        return "function", "", name
    kind, _, rest = name[1:].partition("]")
    kind = kind.rpartition(" ")[2]  # "async method"
    if kind == "constructor":
        return kind, rest, "constructor"
    if kind in ("method", "static"):
        resource, _, short = rest.partition(".")
        return kind, resource, short
    return "function", "", rest


def read_world(component: bytes) -> World:
    """Read the world of a component.

    Args:
        component: A component in binary form.

    Raises:
        UnsupportedComponent: It uses what bindings cannot express.
    """
    decoded = binary.decode(component)
    reading = _Reading()
    sides = []
    for items, imported in ((decoded.imports, True), (decoded.exports, False)):
        interfaces = []
        top = {}
        # Types at the top level may be of interfaces before them, and functions use both.
        for name, item in items.items():
            if isinstance(item, binary.Instance):
                interfaces.append(reading.interface(name, item.exports, imported))
            elif isinstance(item, binary.Type):
                top[name] = item
            else:
                raise UnsupportedItem(name, imported)
        sides.append((interfaces, reading.interface("", top, imported)))
    (imports, root_imports), (exports, root_exports) = sides
    world = World(imports, exports, root_imports, root_exports)
    _document(world, decoded.custom.get("package-docs"))
    return world


class UnsupportedItem(binary.UnsupportedComponent):
    """An import or export that is neither an interface nor a function nor a type."""

    def __init__(self, name: str, imported: bool) -> None:
        verb = "imports" if imported else "exports"
        super().__init__(
            f"the component {verb} {name!r}, a core module, component or value: bindings exist "
            "for interfaces, functions and types"
        )


# --- documentation -------------------------------------------------------------------------------


def _document(world: World, section: Optional[bytes]) -> None:
    """Enter what a section of documentation says.

    Stands on the section ``package-docs`` of WIT packages: a byte for the version, then JSON. It
    may hold anything: nobody checks custom sections. What has not the expected form says nothing.
    """
    if section is None:
        return
    try:
        # Numbers mean nothing here, and one of a million digits takes long to read as an int.
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
    """The documentation that stands for something: a text, or an object with one."""
    text = value.get("docs") if isinstance(value, dict) else value
    return clean(text).strip() if isinstance(text, str) else ""


class _Docs:
    """What entries for an interface, or for worlds, say; the first that says something counts.

    Attributes:
        about: What they say of themselves.
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
