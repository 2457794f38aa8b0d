"""What Python a world becomes.

The package that is written has a class for the component in its ``__init__``, a module for each
interface under ``imports`` and ``exports``, the shared ``types``, and a private module that says
how values of these types are passed. The names are those that the bindings of the version 36
had, so that programs written against them go on working.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from typing import Optional

from .._wasi_names import HTTP, PREVIEW2
from . import _names as names
from ._layout import WIDTH, AnyOf, Code, Group, Module, flat, quote, render, render_head
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
    Opaque,
    OptionOf,
    Plain,
    RecordOf,
    Reference,
    ResourceOf,
    TupleOf,
    VariantOf,
    World,
)

__all__ = ["ROOT", "write_package"]

#: The name of the class that stands for the component. A component does not carry the name of the
#: world that it was built for.
ROOT = "Root"

_INTEGERS = ("u8", "s8", "u16", "s16", "u32", "s32", "u64", "s64")
_PLAIN = {
    "bool": "bool",
    "f32": "float",
    "f64": "float",
    "char": "str",
    "string": "str",
    **dict.fromkeys(_INTEGERS, "int"),
}


def by_library(interface: Interface) -> bool:
    """Whether the library itself can provide what an interface asks for."""
    parts = interface.parts
    package = f"{parts.namespace}:{parts.package}/"
    return package in (*PREVIEW2, HTTP) and parts.version.startswith("0.2.")


# --- names ---------------------------------------------------------------------------------------


@dataclass
class _Place:
    """The Python side of an interface.

    Attributes:
        interface: The interface.
        package: "imports" or "exports"; empty for the types of the world itself.
        module: The module's name in it.
        title: The class's name.
        types: The name of each declared type.
        cases: The name of each class of a variant's cases.
        functions: The name of each function.
    """

    interface: Interface
    package: str
    module: str
    title: str
    types: dict[Declaration, str] = field(default_factory=dict)
    cases: dict[Declaration, list[str]] = field(default_factory=dict)
    functions: dict[Function, str] = field(default_factory=dict)

    def defined(self) -> set[str]:
        """Every name that the module defines."""
        result = {self.title, *self.types.values()}
        for classes in self.cases.values():
            result.update(classes)
        result.update(f"_{name}Class" for name in self.types.values())
        return result


def _members(functions: Iterable[Function], taken: Iterable[str] = ()) -> dict[Function, str]:
    space = names.Namespace(taken)
    return {function: space.give(names.snake(function.name)) for function in functions}


def _place(interface: Interface, package: str, module: str, title: str) -> _Place:
    place = _Place(interface, package, module, title)
    # The declared types come first: their names are in the interface, those of the rest are not.
    space = names.Namespace()
    for declaration in interface.types:
        place.types[declaration] = space.give(names.camel(declaration.name))
    for declaration in interface.types:
        if isinstance(declaration.definition, VariantOf):
            prefix = names.camel(declaration.name)
            place.cases[declaration] = [
                space.give(prefix + names.camel(case)) for case, _ in declaration.definition.cases
            ]
    place.title = space.give(title)
    taken = [place.types[each] for each in interface.resources()]
    place.functions = _members(interface.functions, taken)
    return place


# --- types ---------------------------------------------------------------------------------------


class _Package:
    """A package that is being written."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.files: dict[str, bytes] = {}
        self.shared: set[str] = set()
        self.places: dict[int, _Place] = {}
        self.imports = self._interfaces(world.imports, "imports", "Host")
        self.exports = self._interfaces(world.exports, "exports", "")
        root_types = Interface("", True)
        for top in (world.root_imports, world.root_exports):
            root_types.types += top.types
        # Below `imports`, whose own module may use them: one further up would be circular.
        module = names.Namespace(place.module for place in self.imports)
        world_types = module.give("world", "world_types")
        self.world_types = _place(root_types, "imports", world_types, "World")
        self.host = _place(world.root_imports, "imports", "", "Host")
        for top in (world.root_imports, world.root_exports):
            self.places[id(top)] = self.world_types

    def _interfaces(self, interfaces: list[Interface], package: str, prefix: str) -> list[_Place]:
        space = names.Namespace(names.NO_FIELDS)  # the modules' names are those of fields, too
        result = []
        short = names.interface_name([each.full_name for each in interfaces])
        for interface, name in zip(interfaces, short):
            module = space.give(names.file_name(name))
            place = _place(interface, package, module, names.camel(name, prefix))
            self.places[id(interface)] = place
            result.append(place)
        return result

    def place_of(self, declaration: Declaration) -> _Place:
        return self.places[id(declaration.interface)]

    # -- annotations

    def class_name(
        self, declaration: Declaration, module: _Writing, hidden: Container[str], case: int = -1
    ) -> str:
        """What a declared type, or one case of a variant, is called in a module."""
        place = self.place_of(declaration)
        name = place.types[declaration] if case < 0 else place.cases[declaration][case]
        if place is module.place:
            return name
        up = ".." if module.package else "."
        source = "." if module.package == place.package else up + place.package
        return f"{module.use(source, place.module, hidden)}.{name}"

    def annotation(
        self, expression: Expression, module: _Writing, hidden: Container[str] = ()
    ) -> Code:
        """The type as a type hint."""
        if isinstance(expression, Plain):
            return module.use("builtins", _PLAIN[expression.name], hidden)
        if isinstance(expression, Opaque):
            return module.use("typing", "Any", hidden)
        if isinstance(expression, (Reference, HandleTo)):
            declaration = (
                expression.declaration if isinstance(expression, Reference) else expression.resource
            )
            name = self.class_name(declaration, module, hidden)
            if name in module.later:
                module.forward = True
            return name
        if isinstance(expression, (ListOf, FixedListOf)):
            if is_byte(expression.element):
                return module.use("builtins", "bytes", hidden)
            return self._generic("List", [expression.element], module, hidden)
        if isinstance(expression, MapOf):
            return self._generic("Dict", [expression.key, expression.value], module, hidden)
        if isinstance(expression, TupleOf):
            return self._generic("Tuple", expression.elements, module, hidden)
        if isinstance(expression, OptionOf):
            payload = self.annotation(expression.payload, module, hidden)
            if is_option(expression.payload):
                payload = Group(self.shared_name("Some", module, hidden), "[]", [payload])
            return Group(module.use("typing", "Optional", hidden), "[]", [payload])
        sides: list[Code] = [
            "None" if side is None else self.annotation(side, module, hidden)
            for side in (expression.ok, expression.err)
        ]
        return Group(self.shared_name("Result", module, hidden), "[]", sides)

    def _generic(
        self,
        name: str,
        arguments: list[Expression],
        module: _Writing,
        hidden: Container[str],
    ) -> Code:
        items = [self.annotation(each, module, hidden) for each in arguments]
        return Group(module.use("typing", name, hidden), "[]", items)

    def hint(self, expression: Expression, module: _Writing, hidden: Container[str] = ()) -> Code:
        """As `annotation`, in quotes if it has names that are only defined later."""
        module.forward = False
        code = self.annotation(expression, module, hidden)
        return _quoted(code) if module.forward else code

    def shared_name(self, name: str, module: _Writing, hidden: Container[str] = ()) -> str:
        """`Ok`, `Err`, `Result` or `Some` in a module."""
        self.shared.add("Some" if name == "Some" else "Result")
        return module.use("..types" if module.package else ".types", name, hidden)

    # -- declarations

    def declare_types(self, module: _Writing, place: _Place) -> None:
        """Write the types of an interface, other than resources."""
        module.later = {place.types[each] for each in place.interface.resources()}
        module.later |= set(place.types.values())
        for declaration in place.interface.types:
            if isinstance(declaration.definition, ResourceOf):
                if place.interface.imported:
                    _write_host_resource(self, module, place, declaration)
                else:
                    _write_guest_resource(self, module, place, declaration)
            else:
                self._declare(module, place, declaration)
            module.later.discard(place.types[declaration])

    def _declare(self, module: _Writing, place: _Place, declaration: Declaration) -> None:
        definition = declaration.definition
        name = place.types[declaration]
        about = declaration.docs or _about(declaration)
        if isinstance(definition, Alias):
            target = self.annotation(definition.target, module)
            module.blank(1)
            if declaration.docs:
                module.comment(declaration.docs, 0)
            module.put(target, 0, f"{name} = ")
            return
        if isinstance(definition, VariantOf):
            self._declare_variant(module, place, declaration, definition)
            return
        module.blank(2)
        if isinstance(definition, RecordOf):
            module.line(f"@{module.use('dataclasses', 'dataclass')}")
            module.line(f"class {name}:")
            module.document(about, 4)
            module.blank(1)
            hidden: set[str] = set()
            for attribute, (field_name, expression) in zip(
                field_names(definition), definition.fields
            ):
                docs = declaration.item_docs.get(field_name)
                if docs:
                    module.comment(docs, 4)
                module.put(self.hint(expression, module, hidden), 4, f"{attribute}: ")
                hidden.add(attribute)
        elif isinstance(definition, EnumOf):
            module.line(f"class {name}({module.use('enum', 'Enum')}):")
            module.document(about, 4)
            module.blank(1)
            for i, (member, case) in enumerate(
                zip(member_names(definition.names), definition.names)
            ):
                if declaration.item_docs.get(case):
                    module.comment(declaration.item_docs[case], 4)
                module.line(f"{member} = {i}", 4)
        elif isinstance(definition, FlagsOf):
            module.line(f"class {name}({module.use('enum', 'Flag')}):")
            module.document(about, 4)
            module.blank(1)
            for member, flag in zip(member_names(definition.names), definition.names):
                if declaration.item_docs.get(flag):
                    module.comment(declaration.item_docs[flag], 4)
                module.line(f"{member} = {module.use('enum', 'auto')}()", 4)
        module.blank(2)

    def _declare_variant(
        self,
        module: _Writing,
        place: _Place,
        declaration: Declaration,
        definition: VariantOf,
    ) -> None:
        classes = place.cases[declaration]
        for name, (case, payload) in zip(classes, definition.cases):
            module.blank(2)
            module.line(f"@{module.use('dataclasses', 'dataclass')}")
            module.line(f"class {name}:")
            about = f"The case ``{case}`` of `{place.types[declaration]}`."
            module.document(declaration.item_docs.get(case) or about, 4)
            if payload is not None:
                module.blank(1)
                module.put(self.hint(payload, module), 4, "value: ")
        module.blank(2)
        if declaration.docs:
            module.comment(declaration.docs, 0)
        union = Group(module.use("typing", "Union"), "[]", list(classes))
        module.put(union, 0, f"{place.types[declaration]} = ")
        module.blank(1)

    # -- functions

    def head(
        self,
        module: _Writing,
        name: str,
        first: list[Code],
        function: Function,
        indent: int,
        hidden: Container[str] = (),
        nothing: bool = False,
    ) -> list[str]:
        """Write the head of a function.

        Args:
            module: Where to.
            name: The function's name.
            first: What comes before its own parameters.
            function: The function.
            indent: Columns to the left.
            hidden: Names that the class around it gives another meaning.
            nothing: Whether it returns nothing whatever its type says, as constructors do.

        Returns:
            The names of the parameters.
        """
        arguments = parameter_names(function)
        parameters = list(first)
        for argument, (_, expression) in zip(arguments, function.params):
            parameters.append(_annotated(argument, self.hint(expression, module, hidden)))
        result = self.result(function, module, hidden) if not nothing else "None"
        module.line(render_head(name, parameters, result, indent), indent)
        return arguments

    def result(self, function: Function, module: _Writing, hidden: Container[str] = ()) -> Code:
        """The type hint of a function's result."""
        return "None" if function.result is None else self.hint(function.result, module, hidden)

    def call(
        self,
        module: _Writing,
        function: Function,
        callee: str,
        arguments: list[str],
        hidden: Container[str],
    ) -> None:
        """Write the body of a function that calls the component."""
        group = Group(f"{callee}[{quote(function.export_name)}]", "()", list(arguments))
        if len(group.head) + 24 > WIDTH:
            key = Group(callee, "[]", [quote(function.export_name)])
            local = _free("function", arguments)
            module.put(key, 8, f"{local} = ")
            group = Group(local, "()", list(arguments))
        if function.result is None:
            module.put(group, 8)
            return
        hint = self.result(function, module, AnyOf(hidden, arguments))
        local = _free("result", arguments)
        if 8 + len(f"{local}: {flat(hint)} = {group.head}(") <= WIDTH:
            module.put(group, 8, f"{local}: {flat(hint)} = ")
        else:
            module.put(hint, 8, f"{local}: ")
            module.put(group, 8, f"{local} = ")
        module.line(f"return {local}", 8)


def _free(name: str, taken: Iterable[str]) -> str:
    while name in taken:
        name += "_"
    return name


def _annotated(name: str, hint: Code) -> Code:
    if isinstance(hint, str):
        return f"{name}: {hint}"
    return Group(f"{name}: {hint.head}", hint.brackets, hint.items, hint.tail)


def _quoted(code: Code) -> Code:
    return f'"{flat(code)}"'


def _about(declaration: Declaration) -> str:
    """What to say of a type that has no documentation."""
    kind = {
        RecordOf: "record",
        VariantOf: "variant",
        EnumOf: "enum",
        FlagsOf: "flags",
        ResourceOf: "resource",
        Alias: "type",
    }[type(declaration.definition)]
    return f"The {kind} ``{declaration.name}``."


def parameter_names(function: Function) -> list[str]:
    """The names of a function's parameters in Python."""
    space = names.Namespace(("self", "cls", "caller"))
    return [space.give(names.snake(name)) for name, _ in function.params]


def field_names(record: RecordOf) -> list[str]:
    """The attributes of a record's class."""
    space = names.Namespace(names.NO_FIELDS)
    return [space.give(names.snake(name)) for name, _ in record.fields]


def member_names(listed: list[str]) -> list[str]:
    """The members of an enumeration."""
    space = names.Namespace()
    return [space.give(names.shouty(name)) for name in listed]


def bare(expression: Expression) -> Expression:
    """The type behind names."""
    while isinstance(expression, Reference) and isinstance(
        expression.declaration.definition, Alias
    ):
        expression = expression.declaration.definition.target
    return expression


def is_option(expression: Expression) -> bool:
    """Whether it is an option, whose absence is already told by None."""
    return isinstance(bare(expression), OptionOf)


def is_byte(expression: Expression) -> bool:
    """Whether a list of these is bytes."""
    expression = bare(expression)
    return isinstance(expression, Plain) and expression.name == "u8"


class _Writing(Module):
    """A module of a package.

    Attributes:
        package: "imports" or "exports", or empty at the top.
        place: The interface whose module it is, if any.
        later: Names that the module defines further below.
        forward: Whether the last annotation used one of these.
    """

    def __init__(
        self,
        docs: str,
        package: str,
        place: Optional[_Place],
        defined: set[str],
        submodules: Container[str] = (),
    ) -> None:
        super().__init__(docs, defined, submodules)
        self.package = package
        self.place = place
        self.later: set[str] = set()
        self.forward = False


# --- resources -----------------------------------------------------------------------------------


def resource_members(declaration: Declaration) -> dict[Function, str]:
    """The names of a resource's methods and statics."""
    definition = declaration.definition
    assert isinstance(definition, ResourceOf)
    # `drop` is what ends a resource, on either side.
    return _members([*definition.methods, *definition.statics], ("drop",))


def _write_host_resource(
    package: _Package, module: _Writing, place: _Place, declaration: Declaration
) -> None:
    """A resource that the host provides: the protocol that its objects follow."""
    definition = declaration.definition
    assert isinstance(definition, ResourceOf)
    name = place.types[declaration]
    members = resource_members(declaration)
    hidden: set[str] = set()
    module.blank(2)
    module.line(f"class {name}({module.use('typing', 'Protocol')}):")
    about = declaration.docs or (
        f"The resource ``{declaration.name}``, as the host provides it.\n\n"
        "A method ``drop`` without parameters is called when the component gives one up."
    )
    module.document(about, 4)
    if definition.constructor is not None:
        module.blank(1)
        package.head(module, "__init__", ["self"], definition.constructor, 4, hidden, nothing=True)
        _stub(module, definition.constructor)
    statics = set(definition.statics)
    for function in (*definition.methods, *definition.statics):
        module.blank(1)
        first: list[Code] = ["self"]
        if function in statics:
            module.line(f"@{module.use('builtins', 'staticmethod', hidden)}", 4)
            first = []
        module.line(f"@{module.use('abc', 'abstractmethod', hidden)}", 4)
        package.head(module, members[function], first, function, 4, hidden)
        _stub(module, function)
        hidden.add(members[function])
    module.blank(2)


def _stub(module: _Writing, function: Function) -> None:
    if function.docs:
        module.document(function.docs, 8)
    module.line(f"raise {module.use('builtins', 'NotImplementedError')}", 8)


def needs_class(declaration: Declaration) -> bool:
    """Whether the host has to provide a class for a resource, besides objects."""
    definition = declaration.definition
    return isinstance(definition, ResourceOf) and bool(
        definition.constructor is not None or definition.statics
    )


def _write_guest_resource(
    package: _Package, module: _Writing, place: _Place, declaration: Declaration
) -> None:
    """A resource that the component provides: the class of its objects."""
    definition = declaration.definition
    assert isinstance(definition, ResourceOf)
    name = place.types[declaration]
    members = resource_members(declaration)
    hidden: set[str] = set()
    module.blank(2)
    base = module.use("wasmtime.bindgen", "support")
    store: list[Code] = ["self", f"caller: {module.use('', 'wasmtime')}.Store"]
    full = f"{place.interface.full_name}#{declaration.name}"
    module.put(Group(f"class {name}", "()", [f"{base}.Resource", f"wit={quote(full)}"], ":"))
    where = f"``{place.title}.{name}``" if place.package else f"``{ROOT}.{name}``"
    module.document(
        declaration.docs
        or f"The resource ``{declaration.name}``; made with an instance's {where}.",
        4,
    )
    if definition.constructor is not None:
        module.blank(1)
        arguments = package.head(
            module, "__init__", store, definition.constructor, 4, hidden, nothing=True
        )
        if definition.constructor.docs:
            module.document(definition.constructor.docs, 8)
        call = Group(
            "self._construct",
            "()",
            [quote(definition.constructor.export_name), "caller", *arguments],
        )
        module.put(call, 8)
    statics = set(definition.statics)
    for function in (*definition.methods, *definition.statics):
        module.blank(1)
        first: list[Code] = ["self", f"caller: {module.use('', 'wasmtime', hidden)}.Store"]
        static = function in statics
        if static:
            module.line(f"@{module.use('builtins', 'classmethod', hidden)}", 4)
            first[0] = "cls"
        arguments = package.head(module, members[function], first, function, 4, hidden)
        if function.docs:
            module.document(function.docs, 8)
        given = ["caller", *arguments] if static else ["caller", "self", *arguments]
        callee = "cls._functions" if static else "self._functions"
        package.call(module, function, callee, given, hidden)
        hidden.add(members[function])
    module.blank(2)


# --- modules -------------------------------------------------------------------------------------


def _write_import(package: _Package, place: _Place) -> None:
    interface = place.interface
    module = _Writing(
        interface.docs or f"The interface ``{interface.full_name}``, which the host provides.",
        "imports",
        place,
        place.defined(),
    )
    package.declare_types(module, place)
    _write_protocol(package, module, place)
    package.files[f"imports/{place.module}.py"] = module.text()


def _write_protocol(package: _Package, module: _Writing, place: _Place) -> None:
    """The protocol that the implementation of an interface, or of the top level, follows."""
    interface = place.interface
    hidden: set[str] = set()
    classes = [each for each in interface.resources() if needs_class(each)]
    if classes:
        module.blank(2)
    for declaration in classes:
        name = place.types[declaration]
        local = package.class_name(declaration, module, ())
        module.line(f"_{name}Class = {module.use('typing', 'Type')}[{local}]")
    module.blank(2)
    module.line(f"class {place.title}({module.use('typing', 'Protocol')}):")
    module.document(
        interface.docs
        or (
            f"What implements ``{interface.full_name}``."
            if interface.full_name
            else "What implements the functions that the component imports by themselves."
        ),
        4,
    )
    for function in interface.functions:
        module.blank(1)
        module.line(f"@{module.use('abc', 'abstractmethod', hidden)}", 4)
        package.head(module, place.functions[function], ["self"], function, 4, hidden)
        _stub(module, function)
        hidden.add(place.functions[function])
    # Behind the functions, in whose type hints these names mean the protocols.
    for declaration in classes:
        name = place.types[declaration]
        module.blank(1)
        module.line(f"{name}: _{name}Class", 4)
    module.blank(2)


def _write_export(package: _Package, place: _Place) -> None:
    interface = place.interface
    module = _Writing(
        interface.docs or f"The interface ``{interface.full_name}``, which the component provides.",
        "exports",
        place,
        place.defined(),
    )
    package.declare_types(module, place)
    root = module.use_for_checking("..", ROOT)
    module.blank(2)
    module.line(f"class {place.title}:")
    module.document(interface.docs or f"An instance of ``{interface.full_name}``.", 4)
    module.blank(1)
    module.line(f'def __init__(self, component: "{root}") -> None:', 4)
    if "component" not in place.functions.values():
        module.line("self.component = component", 8)
    support = module.use("wasmtime.bindgen", "support")
    module.line(f"instance = {support}.instance_of(component)", 8)
    module.put(Group("self._functions = instance.functions", "()", [quote(interface.full_name)]), 8)
    for declaration in interface.resources():
        module.line(
            f"self.{place.types[declaration]} = instance.bind({place.types[declaration]})", 8
        )
    _write_functions(package, module, place.interface, place.functions, set())
    package.files[f"exports/{place.module}.py"] = module.text()


def _write_functions(
    package: _Package,
    module: _Writing,
    interface: Interface,
    given: dict[Function, str],
    hidden: set[str],
) -> None:
    """Write the functions of an exported interface, or of the top level.

    Args:
        package: The package.
        module: Where to.
        interface: The interface.
        given: The functions' names.
        hidden: The names that the class around them has defined so far.
    """
    for function in interface.functions:
        module.blank(1)
        name = given[function]
        store = f"caller: {module.use('', 'wasmtime', hidden)}.Store"
        arguments = package.head(module, name, ["self", store], function, 4, hidden)
        if function.docs:
            module.document(function.docs, 8)
        package.call(module, function, "self._functions", ["caller", *arguments], hidden)
        hidden.add(name)


def _write_imports_init(package: _Package) -> None:
    title = f"{ROOT}Imports"
    places = list(package.imports)
    host = package.host
    defined = {title, host.title, *(place.title for place in places)}
    module = _Writing(
        "What the component imports, for the host to provide.",
        "imports",
        None,
        defined,
        {place.module for place in (*places, package.world_types)},
    )
    module.place = host
    # The protocols of the interfaces are names of this module, the modules parts of the package.
    for place in places:
        module.bound[place.title] = (f".{place.module}", place.title)
    has_host = bool(package.world.root_imports.functions or package.world.root_imports.resources())
    if has_host:
        _write_protocol(package, module, host)
    module.blank(2)
    module.line(f"@{module.use('dataclasses', 'dataclass')}")
    module.line(f"class {title}:")
    module.document(
        "What implements each of the imports. Those of WASI may be left out: the library "
        "implements\nthem, by the store's ``WasiConfig``."
        if any(by_library(place.interface) for place in places)
        else "What implements each of the imports.",
        4,
    )
    module.blank(1)
    space = names.Namespace()
    fields: list[tuple[str, str, bool]] = []
    for place in places:
        space.give(place.module)
        fields.append((place.module, place.title, by_library(place.interface)))
    idle = {place.title for place in places if not _has_functions(place.interface)}
    if has_host:
        fields.insert(0, (space.give("host", "root_functions"), host.title, False))
    fields.sort(key=lambda entry: entry[2])
    needed = [i for i, (_, kind, optional) in enumerate(fields) if not (optional or kind in idle)]
    last_needed = max(needed, default=-1)
    for i, (name, kind, optional) in enumerate(fields):
        # None does for what has no functions, too. In front of others it has to be said.
        if optional or kind in idle:
            kind = f"{module.use('typing', 'Optional')}[{kind}]"
            if i > last_needed:
                kind += " = None"
        module.line(f"{name}: {kind}", 4)
    module.blank(2)
    listed = {title, *(place.title for place in places)}
    if has_host:
        listed.add(host.title)
    exported = Group("__all__ = ", "[]", [quote(name) for name in sorted(listed)])
    module.body = [*render(exported, 0).split("\n"), "", "", *module.body]
    package.files["imports/__init__.py"] = module.text()


def _has_functions(interface: Interface) -> bool:
    return bool(interface.functions or interface.resources())


def import_fields(package: _Package) -> list[tuple[str, Interface]]:
    """The fields of the class of imports, with what each implements."""
    space = names.Namespace(place.module for place in package.imports)
    result = [(place.module, place.interface) for place in package.imports]
    root = package.world.root_imports
    if root.functions or root.resources():
        result.insert(0, (space.give("host", "root_functions"), root))
    return result


def _write_root(package: _Package) -> None:
    world = package.world
    top = _place(world.root_exports, "", "", ROOT)
    space = names.Namespace({*top.functions.values(), "__init__"})
    for declaration in world.root_exports.resources():
        space.give(package.world_types.types[declaration])
    accessors = [
        (place, space.give(place.module, f"{place.module}_interface")) for place in package.exports
    ]
    imports_title = f"{ROOT}Imports"
    submodules = {"imports"}
    modules = [place.module for place in package.exports if place.module not in submodules]
    listed = [ROOT, *modules]
    has_imports = bool(import_fields(package))
    if has_imports:
        listed.append(imports_title)
    about = world.docs or f"The component ``{package.name}``."
    module = _Writing(about, "", None, {ROOT}, submodules)
    for name in modules:
        module.bound[name] = (".exports", name)
    if has_imports:
        module.bound[imports_title] = (".imports", imports_title)
    module.bound["_component"] = (".", "_component")
    wasmtime = module.use("", "wasmtime")
    exported = Group("__all__ = ", "[]", [quote(name) for name in sorted(listed)])
    module.put(exported)
    module.blank(2)
    module.line(f"class {ROOT}:")
    module.document(
        world.docs
        or (
            f"An instance of the component ``{package.name}``.\n\n"
            "It lives in the store that it is made in, which its functions take first. Another\n"
            "component of the same world can be given, compiled with the store's engine; without\n"
            "one it is the component that this package was generated from."
        ),
        4,
    )
    module.blank(1)
    parameters: list[Code] = ["self", f"store: {wasmtime}.Store"]
    given = "None"
    if has_imports:
        given = "import_object"
        if all(by_library(interface) for _, interface in import_fields(package)):
            optional = module.use("typing", "Optional")
            parameters.append(f"import_object: {optional}[{imports_title}] = None")
        else:
            parameters.append(f"import_object: {imports_title}")
    kind = module.use("wasmtime.component", "Component")
    optional = module.use("typing", "Optional")
    parameters += ["*", f"component: {optional}[{kind}] = None"]
    module.line(render_head("__init__", parameters, "None", 4), 4)
    call = Group("_component.COMPONENT.instantiate", "()", ["store", given, "component"])
    module.put(call, 8, "self._instance = ")
    if world.root_exports.functions or world.root_exports.resources():
        module.line('self._functions = self._instance.functions("")', 8)
    for declaration in world.root_exports.resources():
        name = package.world_types.types[declaration]
        local = module.use(".imports", package.world_types.module)
        module.line(f"self.{name} = self._instance.bind({local}.{name})", 8)
    hidden: set[str] = set()
    for place, name in accessors:
        hint = f"{module.use('.exports', place.module, hidden)}.{place.title}"
        module.blank(1)
        module.line(render_head(name, ["self"], hint, 4), 4)
        module.document(
            place.interface.docs or f"The interface ``{place.interface.full_name}``.", 8
        )
        call = Group("return self._instance.interface", "()", [hint, "self"])
        module.put(call, 8)
        hidden.add(name)
    _write_functions(package, module, world.root_exports, top.functions, hidden)
    package.files["__init__.py"] = module.text()


def _write_types(package: _Package) -> None:
    if not package.shared:
        return
    module = _Writing(
        "The types that all interfaces share.", "", None, {"Ok", "Err", "Result", "Some"}
    )
    generic = (module.use("typing", "Generic"), module.use("typing", "TypeVar"))
    about = {
        "Ok": ("T", "The result of what went well."),
        "Err": ("E", "The error of what did not."),
        "Some": ("S", "An option that is there, around another option that may be absent."),
    }
    wanted = [*(("Ok", "Err") if "Result" in package.shared else ())]
    wanted += ["Some"] if "Some" in package.shared else []
    for name in wanted:
        module.line(f'{about[name][0]} = {generic[1]}("{about[name][0]}")')
    for name in wanted:
        module.blank(2)
        module.line(f"@{module.use('dataclasses', 'dataclass')}")
        module.line(f"class {name}({generic[0]}[{about[name][0]}]):")
        module.document(about[name][1], 4)
        module.blank(1)
        module.line(f"value: {about[name][0]}", 4)
    if "Result" in package.shared:
        module.blank(2)
        module.line(f"Result = {module.use('typing', 'Union')}[Ok[T], Err[E]]")
    package.files["types.py"] = module.text()


def write_package(world: World, name: str, binary: bytes) -> dict[str, bytes]:
    """Write the package for a component.

    Args:
        world: What the component means.
        name: What the component is called.
        binary: The component, which becomes part of the package.

    Returns:
        The contents of each file, by its path with slashes.
    """
    from ._wiring import write_wiring

    package = _Package(world, name)
    for place in package.imports:
        _write_import(package, place)
    for place in package.exports:
        _write_export(package, place)
    if package.world_types.interface.types:
        place = package.world_types
        about = "The types of the world itself."
        module = _Writing(about, "imports", place, place.defined())
        package.declare_types(module, place)
        package.files[f"imports/{place.module}.py"] = module.text()
        package.files["imports/__init__.py"] = b""
    if import_fields(package):
        _write_imports_init(package)
    if package.exports:
        package.files["exports/__init__.py"] = b""
    _write_root(package)
    _write_types(package)
    write_wiring(package, binary)
    package.files["py.typed"] = b""
    return dict(sorted(package.files.items()))
