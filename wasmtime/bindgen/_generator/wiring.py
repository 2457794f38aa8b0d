"""The private module of a generated package: how its types are passed to the component."""

from __future__ import annotations

from typing import Optional, Union

from ..._wasm.types import Budget
from . import names
from .layout import Code, Group, quote
from .model import (
    Alias,
    Declaration,
    EnumOf,
    Expression,
    FixedListOf,
    FlagsOf,
    Function,
    HandleTo,
    Interface,
    ListOf,
    MapOf,
    OptionOf,
    RecordOf,
    Reference,
    ResourceOf,
    ResultOf,
    TupleOf,
    VariantOf,
)
from .module import Module
from .package import (
    Package,
    Place,
    field_names,
    member_names,
    provided_by_library,
    resource_members,
    resource_of,
)
from .package_module import is_option

__all__ = ["write_wiring"]

_PLAIN = "support.PLAIN"


class _Wiring:
    """The module that is being written.

    Attributes:
        space: The names that it has defined or imported.
        shapes: The name of the shape of each type.
        budget: How much may still be written: aliases can make little text into much.
        modules: The local name of the module of each place.
    """

    def __init__(self, package: Package) -> None:
        self.package = package
        self.module = Module(
            "How values pass between this package and the component.", {"COMPONENT"}
        )
        self.module.bound["support"] = ("wasmtime.bindgen", "support")
        self.space = names.Namespace(("COMPONENT", "support"))
        self.shapes: dict[Declaration, str] = {}
        self.budget = Budget()
        self.modules: dict[Place, str] = {}

    # -- names

    def class_name(self, declaration: Declaration, case: int = -1) -> str:
        """What the class of a type, or of one case of a variant, is called in this module."""
        place = self.package.place_of(declaration)
        name = place.types[declaration] if case < 0 else place.cases[declaration][case]
        return f"{self.module_name(place)}.{name}"

    def module_name(self, place: Place) -> str:
        """What the module of an interface is called in this module."""
        if place not in self.modules:
            # The same interface may be imported and exported.
            local = self.space.give(place.module, f"{place.directory}_{place.module}")
            self.module.bound[local] = (f".{place.directory}", place.module)
            self.modules[place] = local
        return self.modules[place]

    def shared(self, name: str) -> str:
        """What `Ok`, `Err` or `Some` is called in this module."""
        self.module.bound[name] = (".types", name)
        self.space.give(name)
        return name

    # -- shapes

    def shape(self, expression: Optional[Expression]) -> Optional[Code]:
        """How values of a type are converted; None if they are not."""
        self.budget.spend()
        if isinstance(expression, Reference):
            definition = expression.declaration.definition
            if isinstance(definition, Alias):
                return self.shape(definition.target)
            if isinstance(definition, ResourceOf):
                return None
            return self.shapes[expression.declaration]
        if isinstance(expression, HandleTo):
            resource = expression.resource
            if resource.interface.imported:
                name = quote(f"{resource.interface.full_name}#{resource.name}")
                flag = "own=True" if expression.own else "own=False"
                return Group("support.host_resource", "()", [name, flag])
            own: list[Code] = ["own=True"] if expression.own else []
            return Group("support.resource", "()", [self.class_name(resource), *own])
        if isinstance(expression, (ListOf, FixedListOf)):
            return self.nested("list_of", expression.element)
        if isinstance(expression, MapOf):
            return self.nested("map_of", expression.key, expression.value)
        if isinstance(expression, TupleOf):
            return self.nested("tuple_of", *expression.elements)
        if isinstance(expression, OptionOf):
            if is_option(expression.payload):
                inner = self.shape(expression.payload)
                return Group(
                    "support.option_of_option", "()", [inner or _PLAIN, self.shared("Some")]
                )
            return self.nested("option_of", expression.payload)
        if isinstance(expression, ResultOf):
            sides = [self.shape(expression.ok) or _PLAIN, self.shape(expression.err) or _PLAIN]
            return Group("support.result_of", "()", [*sides, self.shared("Ok"), self.shared("Err")])
        return None

    def nested(self, maker: str, *parts: Expression) -> Optional[Code]:
        """A shape around others; None if none of them needs converting.

        An option always has a shape, because what is around an option treats it specially.
        """
        shapes = [self.shape(part) for part in parts]
        if maker != "option_of" and all(shape is None for shape in shapes):
            return None
        return Group(f"support.{maker}", "()", [shape or _PLAIN for shape in shapes])

    def declare(self, place: Place) -> None:
        """Write the shapes of an interface's types."""
        for declaration in place.interface.types:
            code = self.declared_shape(declaration)
            if code is None:
                continue
            short = names.snake(declaration.name)
            name = "_" + self.space.give(
                f"{place.module}_{short}", f"{place.directory}_{place.module}_{short}"
            )
            self.module.put(code, 0, f"{name} = ")
            self.shapes[declaration] = name

    def declared_shape(self, declaration: Declaration) -> Optional[Code]:
        """The shape of a declared type; None for those that need none of their own."""
        definition = declaration.definition
        if isinstance(definition, (Alias, ResourceOf)):
            return None
        if isinstance(definition, RecordOf):
            return self.record(declaration, definition)
        if isinstance(definition, VariantOf):
            return self.variant(declaration, definition)
        maker = "enum" if isinstance(definition, EnumOf) else "flags"
        return self.members(maker, declaration, definition)

    def record(self, declaration: Declaration, record: RecordOf) -> Code:
        """The shape of a record."""
        items: list[Code] = [self.class_name(declaration)]
        for attribute, (field, expression) in zip(field_names(record), record.fields):
            shape = self.shape(expression) or _PLAIN
            items.append(Group("", "()", [quote(field), quote(attribute), shape]))
        return Group("support.record", "()", items)

    def variant(self, declaration: Declaration, variant: VariantOf) -> Code:
        """The shape of a variant."""
        items: list[Code] = []
        for number, (case, payload) in enumerate(variant.cases):
            entry: list[Code] = [quote(case), self.class_name(declaration, number)]
            if payload is not None:
                entry.append(self.shape(payload) or _PLAIN)
            items.append(Group("", "()", entry))
        return Group("support.variant", "()", items)

    def members(
        self, maker: str, declaration: Declaration, definition: Union[EnumOf, FlagsOf]
    ) -> Code:
        """The shape of an enum or of flags."""
        cls = self.class_name(declaration)
        listed = zip(definition.names, member_names(definition.names))
        items = [Group("", "()", [quote(item), f"{cls}.{member}"]) for item, member in listed]
        return Group(f"support.{maker}", "()", items)

    # -- functions

    def conversion(self, function: Function) -> tuple[list[Code], Code]:
        """The shapes of the parameters, and of the result."""
        params = [self.shape(expression) or _PLAIN for _, expression in function.params]
        return params, self.shape(function.result) or _PLAIN

    def exported(self, interface: Interface) -> Optional[Code]:
        """The functions of an exported interface that need converting."""
        items: list[Code] = []
        for function in interface.functions:
            code = self._export(function, None)
            if code is not None:
                items.append(code)
        for declaration in interface.resources():
            resource = resource_of(declaration)
            methods = set(resource.methods)
            for function in resource.functions():
                code = self._export(function, declaration if function in methods else None)
                if code is not None:
                    items.append(code)
        if not items:
            return None
        return Group(f"{quote(interface.full_name)}: ", "{}", items)

    def _export(self, function: Function, resource: Optional[Declaration]) -> Optional[Code]:
        """The signature of a function, whose `resource` it takes first if it is a method."""
        params, result = self.conversion(function)
        if resource is not None:
            params.insert(0, self.shape(HandleTo(resource, False)) or _PLAIN)
        if all(shape == _PLAIN for shape in (*params, result)):
            return None
        arguments = [Group("", "[]", params), result]
        return Group(f"{quote(function.export_name)}: support.signature", "()", arguments)

    def imported(self, field: str, place: Place) -> Code:
        """How an imported interface is implemented, by what is in a field of the imports."""
        interface = place.interface
        functions: list[Code] = []
        for function in interface.functions:
            name = quote(place.functions[function])
            functions.append(self._import(function, "function", [name]))
        resources: list[Code] = []
        for declaration in interface.resources():
            resource = resource_of(declaration)
            cls = quote(self.package.place_of(declaration).types[declaration])
            resources.append(quote(declaration.name))
            if resource.constructor is not None:
                functions.append(self._import(resource.constructor, "constructor", [cls]))
            members = resource_members(resource)
            for function in resource.methods:
                functions.append(self._import(function, "method", [quote(members[function])]))
            for function in resource.statics:
                functions.append(self._import(function, "static", [cls, quote(members[function])]))
        arguments: list[Code] = [
            quote(interface.full_name),
            quote(field),
            Group("", "{}", functions),
        ]
        if resources:
            arguments.append(Group("resources=", "[]", resources))
        if provided_by_library(interface):
            arguments.append("by_library=True")
        return Group("support.interface", "()", arguments)

    def _import(self, function: Function, maker: str, target: list[Code]) -> Code:
        """How an imported function is implemented.

        Args:
            function: The function.
            maker: The function of `support` that declares it.
            target: The names that the host's function is found by.
        """
        params, result = self.conversion(function)
        arguments = [*target, Group("", "[]", params), result]
        return Group(f"{quote(function.export_name)}: support.{maker}", "()", arguments)


def write_wiring(package: Package, binary: bytes) -> None:
    """Add the private module and the component itself to a package.

    Args:
        package: The package.
        binary: The component.
    """
    wiring = _Wiring(package)
    for place in (*package.imports, package.world_types, *package.exports):
        wiring.declare(place)
    world = package.world
    imports = [wiring.imported(field, place) for field, place in package.import_fields()]
    interfaces = (world.root_exports, *world.exports)
    exports = [code for code in map(wiring.exported, interfaces) if code is not None]
    file = f"{names.file_name(package.name)}.component.wasm"
    arguments: list[Code] = ["__package__", quote(file)]
    if imports:
        arguments.append(Group("imports=", "[]", imports))
    if exports:
        arguments.append(Group("exports=", "{}", exports))
    if package.arrays:
        arguments.append("arrays=True")
    wiring.module.blank(1)
    wiring.module.put(Group("support.EmbeddedComponent", "()", arguments), 0, "COMPONENT = ")
    package.add("_component.py", wiring.module)
    package.files[file] = binary
