"""The types of an interface: dataclasses, enumerations, unions, and the classes of resources."""

from __future__ import annotations

from typing import Callable

from .functions import write_abstract, write_exported, write_head, write_stub
from .layout import Group, quote
from .model import (
    Alias,
    Declaration,
    EnumOf,
    FlagsOf,
    RecordOf,
    ResourceOf,
    VariantOf,
)
from .package import (
    ROOT,
    Package,
    Place,
    field_names,
    member_names,
    resource_members,
)
from .package_module import PackageModule

__all__ = ["write_shared_types", "write_types"]

_KINDS = {
    RecordOf: "record",
    VariantOf: "variant",
    EnumOf: "enum",
    FlagsOf: "flags",
    ResourceOf: "resource",
}


def write_types(module: PackageModule, place: Place) -> None:
    """Write the types of an interface into its module, in the order of their declarations."""
    module.later = set(place.types.values())
    for declaration in place.interface.types:
        _write_type(module, place, declaration)
        module.later.discard(place.types[declaration])


def _write_type(module: PackageModule, place: Place, declaration: Declaration) -> None:
    definition = declaration.definition
    name = place.types[declaration]
    if isinstance(definition, Alias):
        _write_alias(module, name, declaration, definition)
    elif isinstance(definition, VariantOf):
        _write_variant(module, place, declaration, definition)
    elif isinstance(definition, ResourceOf):
        write = _write_host_resource if place.interface.imported else _write_guest_resource
        write(module, place, declaration, definition)
        module.blank(2)
    else:
        if isinstance(definition, RecordOf):
            _write_record(module, name, declaration, definition)
        elif isinstance(definition, EnumOf):
            _write_members(module, name, "Enum", declaration, definition.names, str)
        else:
            _write_members(
                module,
                name,
                "Flag",
                declaration,
                definition.names,
                lambda _: f"{module.use('enum', 'auto')}()",
            )
        module.blank(2)


def _about(declaration: Declaration) -> str:
    """The docstring of a type: its documentation, or what it is if there is none."""
    return declaration.docs or f"The {_KINDS[type(declaration.definition)]} ``{declaration.name}``."


def _write_alias(module: PackageModule, name: str, declaration: Declaration, alias: Alias) -> None:
    target = module.annotation(alias.target)
    module.blank(1)
    if declaration.docs:
        module.comment(declaration.docs, 0)
    module.put(target, 0, f"{name} = ")


def _write_record(
    module: PackageModule, name: str, declaration: Declaration, record: RecordOf
) -> None:
    module.begin_class(name, _about(declaration), is_dataclass=True)
    module.blank(1)
    hidden: set[str] = set()
    for attribute, (field, expression) in zip(field_names(record), record.fields):
        _comment_on(module, declaration, field)
        module.put(module.hint(expression, hidden), 4, f"{attribute}: ")
        hidden.add(attribute)


def _write_members(
    module: PackageModule,
    name: str,
    base: str,
    declaration: Declaration,
    listed: list[str],
    value: Callable[[int], str],
) -> None:
    """Write an enumeration.

    Args:
        module: The module to write to.
        name: The name of the class.
        base: The name of its base in the module `enum`.
        declaration: The type.
        listed: The names of the members in WIT.
        value: Makes the expression for the value of a member, whose number it is given.
    """
    module.begin_class(name, _about(declaration), module.use("enum", base))
    module.blank(1)
    for number, (member, item) in enumerate(zip(member_names(listed), listed)):
        _comment_on(module, declaration, item)
        module.line(f"{member} = {value(number)}", 4)


def _comment_on(module: PackageModule, declaration: Declaration, item: str) -> None:
    """Write the documentation of a field, case or flag, if there is any, as a comment."""
    docs = declaration.item_docs.get(item)
    if docs:
        module.comment(docs, 4)


def _write_variant(
    module: PackageModule, place: Place, declaration: Declaration, variant: VariantOf
) -> None:
    """Write a class for each case, and their union."""
    classes = place.cases[declaration]
    for name, (case, payload) in zip(classes, variant.cases):
        about = f"The case ``{case}`` of `{place.types[declaration]}`."
        module.begin_class(name, declaration.item_docs.get(case) or about, is_dataclass=True)
        if payload is not None:
            module.blank(1)
            module.put(module.hint(payload), 4, "value: ")
    module.blank(2)
    if declaration.docs:
        module.comment(declaration.docs, 0)
    union = Group(module.use("typing", "Union"), "[]", list(classes))
    module.put(union, 0, f"{place.types[declaration]} = ")
    module.blank(1)


# --- resources -----------------------------------------------------------------------------------


def _write_host_resource(
    module: PackageModule, place: Place, declaration: Declaration, resource: ResourceOf
) -> None:
    """Write the protocol of the objects of a resource that the host provides."""
    members = resource_members(resource)
    hidden: set[str] = set()
    about = declaration.docs or (
        f"The resource ``{declaration.name}``, as the host provides it.\n\n"
        "A method ``drop`` without parameters is called when the component gives one up."
    )
    module.begin_class(place.types[declaration], about, module.use("typing", "Protocol"))
    if resource.constructor is not None:
        module.blank(1)
        write_head(
            module, "__init__", ["self"], resource.constructor, hidden, False, returns_nothing=True
        )
        write_stub(module, resource.constructor)
    for function in resource.methods:
        write_abstract(module, members[function], function, hidden)
    for function in resource.statics:
        write_abstract(module, members[function], function, hidden, static=True)


def _write_guest_resource(
    module: PackageModule, place: Place, declaration: Declaration, resource: ResourceOf
) -> None:
    """Write the class of the objects of a resource that the component provides."""
    members = resource_members(resource)
    hidden: set[str] = set()
    module.blank(2)
    base = module.use("wasmtime.bindgen", "support")
    store = f"caller: {module.use('', 'wasmtime')}.Store"
    name = place.types[declaration]
    wit_name = quote(f"{place.interface.full_name}#{declaration.name}")
    cls = "AsyncResource" if module.asynchronous else "Resource"
    module.put(Group(f"class {name}", "()", [f"{base}.{cls}", f"wit={wit_name}"], ":"))
    where = f"``{place.title if place.directory else ROOT}.{name}``"
    about = f"The resource ``{declaration.name}``; made with an instance's {where}."
    module.document(declaration.docs or about, 4)
    constructor = resource.constructor
    if constructor is not None:
        module.blank(1)
        arguments = write_head(
            module, "__init__", ["self", store], constructor, hidden, True, returns_nothing=True
        )
        if constructor.docs:
            module.document(constructor.docs, 8)
        given = [quote(constructor.export_name), "caller", *arguments]
        module.put(Group("self._construct", "()", given), 8)
    for function in resource.methods:
        write_exported(module, members[function], function, hidden, passes_self=True)
    for function in resource.statics:
        write_exported(module, members[function], function, hidden, owner="cls")


# --- shared types --------------------------------------------------------------------------------

#: For each shared class, its type variable and its docstring.
_SHARED = {
    "Ok": ("T", "The result of what went well."),
    "Err": ("E", "The error of what did not."),
    "Some": ("S", "An option that is there, around another option that may be absent."),
}


def write_shared_types(package: Package) -> None:
    """Write the module of the types that all interfaces share, if any of them is used."""
    if not package.shared:
        return
    module = PackageModule(
        package, "The types that all interfaces share.", {"Ok", "Err", "Result", "Some"}
    )
    generic, type_var = module.use("typing", "Generic"), module.use("typing", "TypeVar")
    wanted = [*(("Ok", "Err") if "Result" in package.shared else ())]
    wanted += ["Some"] if "Some" in package.shared else []
    for name in wanted:
        variable, _ = _SHARED[name]
        module.line(f'{variable} = {type_var}("{variable}")')
    for name in wanted:
        variable, about = _SHARED[name]
        module.begin_class(name, about, f"{generic}[{variable}]", is_dataclass=True)
        module.blank(1)
        module.line(f"value: {variable}", 4)
    if "Result" in package.shared:
        module.blank(2)
        module.line(f"Result = {module.use('typing', 'Union')}[Ok[T], Err[E]]")
    package.add("types.py", module)
