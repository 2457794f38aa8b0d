"""From the binary form of a component to its world."""

from __future__ import annotations

from typing import Any, Optional

from ..._wasm import decode as binary
from .documentation import document
from .model import (
    Alias,
    Declaration,
    Definition,
    EnumOf,
    Expression,
    FixedListOf,
    FlagsOf,
    Function,
    HandleTo,
    Interface,
    ListOf,
    MapOf,
    Opaque,
    OptionOf,
    Plain,
    RecordOf,
    Reference,
    ResourceOf,
    ResultOf,
    TupleOf,
    VariantOf,
    World,
    origin,
)

__all__ = ["UnsupportedItem", "read_world"]


class _Reading:
    """Turns the types of the binary into declarations and expressions.

    Attributes:
        declared: The declaration of each type that has a name, by the type's id, of all interfaces
            that were read.
        here: The same for the interface that is being read; it is searched first.
        alive: Keeps the types alive whose ids are keys above.
        budget: How much may still be read.
    """

    def __init__(self) -> None:
        self.declared: dict[int, Declaration] = {}
        self.here: dict[int, Declaration] = {}
        self.alive: list[binary.Type] = []
        self.budget = binary.Budget()

    def find(self, type: binary.Type) -> Optional[Declaration]:
        """The declaration of a type, or of the type that it is a name of."""
        for table in (self.here, self.declared):
            for each in binary.follow(type):
                if id(each) in table:
                    return table[id(each)]
        return None

    def expression(self, type: binary.Type) -> Expression:
        """The type as it is written where it is used: by its name if it has one."""
        self.budget.spend()
        declaration = self.find(type)
        if declaration is not None:
            return Reference(declaration)
        return self.structure(type)

    def structure(self, type: binary.Type) -> Expression:
        """The type written out, even if it has a name."""
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
            return HandleTo(origin(resource), bare.own)
        raise binary.UnsupportedComponent(
            f"a {bare.__class__.__name__.lower()} type that no interface gives a name"
        )

    def optional(self, type: Optional[binary.Type]) -> Optional[Expression]:
        """As `expression`; None for no type."""
        return None if type is None else self.expression(type)

    def declare(self, name: str, type: binary.Type, interface: Interface) -> None:
        """Add a type to the interface that is being read, which exports it."""
        chain = list(binary.follow(type))
        declaration = Declaration(name, interface, self.definition(type, chain[-1]))
        interface.types.append(declaration)
        # All names of the type, and the type behind them, lead to this declaration. The primitive
        # types do not: every interface shares them.
        for each in chain:
            shared = isinstance(each, binary.Primitive) and each is chain[-1]
            if not shared and id(each) not in self.here:
                self.here[id(each)] = declaration
                self.alive.append(each)

    def definition(self, type: binary.Type, bare: binary.Type) -> Definition:
        """What a declared type is; `bare` is the type behind its names."""
        known = self.find(type)
        if known is not None:
            return Alias(Reference(known))
        if isinstance(bare, binary.Record):
            return RecordOf([(key, self.expression(each)) for key, each in bare.fields])
        if isinstance(bare, binary.Variant):
            return VariantOf([(key, self.optional(each)) for key, each in bare.cases])
        if isinstance(bare, binary.EnumType):
            return EnumOf(bare.names)
        if isinstance(bare, binary.Flags):
            return FlagsOf(bare.names)
        if isinstance(bare, binary.Resource):
            return ResourceOf()
        return Alias(self.structure(type))

    def function(
        self,
        name: str,
        func: binary.Func,
        interface: Interface,
        declared: dict[str, Declaration],
    ) -> None:
        """Add a function to an interface, or to its resource, one of those `declared` there."""
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
        owner = origin(declared[resource_name])
        resource = owner.definition
        if not isinstance(resource, ResourceOf) or owner.interface is not interface:
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
    document(world, decoded.custom.get("package-docs"))
    return world


class UnsupportedItem(binary.UnsupportedComponent):
    """An import or export that is neither an interface nor a function nor a type."""

    def __init__(self, name: str, imported: bool) -> None:
        verb = "imports" if imported else "exports"
        super().__init__(
            f"the component {verb} {name!r}, a core module, component or value: bindings exist "
            "for interfaces, functions and types"
        )
