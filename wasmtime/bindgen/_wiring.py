"""The private module of a generated package: how its types are passed to the component."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from .._wasm.types import Budget
from . import _names as names
from ._layout import Code, Group, Module, quote
from ._model import (
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

if TYPE_CHECKING:
    from ._writer import _Package, _Place

__all__ = ["write_wiring"]

_PLAIN = "support.PLAIN"


class _Wiring:
    def __init__(self, package: _Package) -> None:
        self.package = package
        self.module = Module(
            "How values pass between this package and the component.", {"COMPONENT"}
        )
        self.module.bound["support"] = ("wasmtime.bindgen", "support")
        self.space = names.Namespace(("COMPONENT", "support"))
        self.shapes: dict[Declaration, str] = {}
        self.budget = Budget()
        self.modules: dict[int, str] = {}

    # -- names

    def class_name(self, declaration: Declaration, case: int = -1) -> str:
        """A generated class, as this module calls it."""
        place = self.package.place_of(declaration)
        name = place.types[declaration] if case < 0 else place.cases[declaration][case]
        return f"{self.module_name(place)}.{name}"

    def module_name(self, place: _Place) -> str:
        key = id(place)
        if key not in self.modules:
            # The same interface may be imported and exported.
            local = self.space.give(place.module, f"{place.package}_{place.module}")
            self.module.bound[local] = (f".{place.package}", place.module)
            self.modules[key] = local
        return self.modules[key]

    def shared(self, name: str) -> str:
        """`Ok`, `Err` or `Some`."""
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
            from ._writer import is_option

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
        """A shape around others; None if none of them needs converting, unless it is an option: what
        is around it has to know.
        """
        shapes = [self.shape(part) for part in parts]
        if maker != "option_of" and all(shape is None for shape in shapes):
            return None
        return Group(f"support.{maker}", "()", [shape or _PLAIN for shape in shapes])

    def declare(self, place: _Place) -> None:
        """Write the shapes of an interface's types."""
        from ._writer import field_names, member_names

        for declaration in place.interface.types:
            definition = declaration.definition
            if isinstance(definition, (Alias, ResourceOf)):
                continue
            name = "_" + self.space.give(
                f"{place.module}_{names.snake(declaration.name)}",
                f"{place.package}_{place.module}_{names.snake(declaration.name)}",
            )
            cls = self.class_name(declaration) if not isinstance(definition, VariantOf) else ""
            items: list[Code] = []
            if isinstance(definition, RecordOf):
                attributes = field_names(definition)
                for attribute, (field, expression) in zip(attributes, definition.fields):
                    shape = self.shape(expression) or _PLAIN
                    items.append(Group("", "()", [quote(field), quote(attribute), shape]))
                code = Group("support.record", "()", [cls, *items])
            elif isinstance(definition, VariantOf):
                for i, (case, payload) in enumerate(definition.cases):
                    entry: list[Code] = [quote(case), self.class_name(declaration, i)]
                    if payload is not None:
                        entry.append(self.shape(payload) or _PLAIN)
                    items.append(Group("", "()", entry))
                code = Group("support.variant", "()", items)
            else:
                assert isinstance(definition, (EnumOf, FlagsOf))
                maker = "enum" if isinstance(definition, EnumOf) else "flags"
                for member, case in zip(member_names(definition.names), definition.names):
                    items.append(Group("", "()", [quote(case), f"{cls}.{member}"]))
                code = Group(f"support.{maker}", "()", items)
            self.module.put(code, 0, f"{name} = ")
            self.shapes[declaration] = name

    # -- functions

    def conversion(self, function: Function, method: bool = False) -> list[Code]:
        """The shapes of the parameters, as a list, and of the result; empty if all are plain."""
        params = [self.shape(expression) for _, expression in function.params]
        result = self.shape(function.result)
        return [
            Group("", "[]", [shape or _PLAIN for shape in params]),
            result or _PLAIN,
        ]

    def exported(self, place_types: list[Declaration], interface: Interface) -> Optional[Code]:
        """The functions of an exported interface that need converting."""
        items: list[Code] = []
        for function in interface.functions:
            code = self._export(function, None)
            if code is not None:
                items.append(code)
        for declaration in interface.resources():
            assert isinstance(declaration.definition, ResourceOf)
            methods = set(declaration.definition.methods)
            for function in declaration.definition.functions():
                code = self._export(function, declaration if function in methods else None)
                if code is not None:
                    items.append(code)
        if not items:
            return None
        return Group(f"{quote(interface.full_name)}: ", "{}", items)

    def _export(self, function: Function, resource: Optional[Declaration]) -> Optional[Code]:
        params, result = self.conversion(function)
        assert isinstance(params, Group)
        if resource is not None:
            this = self.shape(HandleTo(resource, False)) or _PLAIN
            params = Group("", "[]", [this, *params.items])
        if result == _PLAIN and all(item == _PLAIN for item in params.items):
            return None
        return Group(f"{quote(function.export_name)}: support.signature", "()", [params, result])

    def imported(self, field: str, place: _Place, interface: Interface) -> Code:
        """How an imported interface is implemented."""
        from ._writer import by_library, resource_members

        functions: list[Code] = []
        for function in interface.functions:
            name = quote(place.functions[function])
            functions.append(self._import(function, "function", [name]))
        resources: list[Code] = []
        for declaration in interface.resources():
            definition = declaration.definition
            assert isinstance(definition, ResourceOf)
            cls = quote(self.package.place_of(declaration).types[declaration])
            resources.append(quote(declaration.name))
            if definition.constructor is not None:
                functions.append(self._import(definition.constructor, "constructor", [cls]))
            members = resource_members(declaration)
            for function in definition.methods:
                functions.append(self._import(function, "method", [quote(members[function])]))
            for function in definition.statics:
                functions.append(self._import(function, "static", [cls, quote(members[function])]))
        arguments: list[Code] = [
            quote(interface.full_name),
            quote(field),
            Group("", "{}", functions),
        ]
        if resources:
            arguments.append(Group("resources=", "[]", resources))
        if by_library(interface):
            arguments.append("by_library=True")
        return Group("support.interface", "()", arguments)

    def _import(self, function: Function, maker: str, target: list[Code]) -> Code:
        return Group(
            f"{quote(function.export_name)}: support.{maker}",
            "()",
            [*target, *self.conversion(function)],
        )


def write_wiring(package: _Package, binary: bytes) -> None:
    """Add the private module and the component itself to a package."""
    from ._writer import import_fields

    wiring = _Wiring(package)
    for place in (*package.imports, package.world_types, *package.exports):
        wiring.declare(place)
    world = package.world
    places = {id(place.interface): place for place in package.imports}
    places[id(world.root_imports)] = package.host
    imports = [
        wiring.imported(field, places[id(interface)], interface)
        for field, interface in import_fields(package)
    ]
    exports = [
        code
        for interface in (world.root_exports, *world.exports)
        for code in [wiring.exported(interface.types, interface)]
        if code is not None
    ]
    file = f"{names.file_name(package.name)}.component.wasm"
    arguments: list[Code] = ["__package__", quote(file)]
    if imports:
        arguments.append(Group("imports=", "[]", imports))
    if exports:
        arguments.append(Group("exports=", "{}", exports))
    wiring.module.blank(1)
    wiring.module.put(Group("support.EmbeddedComponent", "()", arguments), 0, "COMPONENT = ")
    package.files["_component.py"] = wiring.module.text()
    package.files[file] = binary
