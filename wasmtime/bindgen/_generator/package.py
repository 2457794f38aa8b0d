"""The plan of a package: which names everything in a world gets in Python, and in which module.

The package has a class for the component in its ``__init__``, a module for each interface under
``imports`` and ``exports``, the shared ``types``, and a private module that says how values of
these types are passed. The names are those that the bindings of version 36 had, so that programs
written against them go on working.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from ..._wasi_names import HTTP, PREVIEW2
from . import names
from .model import Declaration, Function, Interface, RecordOf, ResourceOf, VariantOf, World
from .module import Module

__all__ = [
    "IMPORTS",
    "ROOT",
    "ImportField",
    "Package",
    "Place",
    "field_names",
    "member_names",
    "needs_class",
    "parameter_names",
    "provided_by_library",
    "resource_members",
    "resource_of",
]

#: The name of the class that stands for the component. A component does not carry the name of the
#: world that it was built for.
ROOT = "Root"
#: The name of the class of what the component imports.
IMPORTS = f"{ROOT}Imports"


def provided_by_library(interface: Interface) -> bool:
    """Whether the library itself can provide what an interface asks for."""
    parts = interface.parts
    package = f"{parts.namespace}:{parts.package}/"
    return package in (*PREVIEW2, HTTP) and parts.version.startswith("0.2.")


# --- places --------------------------------------------------------------------------------------


@dataclass(eq=False)
class Place:
    """Where an interface is in the package, and what its parts are called there.

    Attributes:
        interface: The interface.
        directory: "imports" or "exports"; empty for the world's own class.
        module: The name of its module in that directory.
        title: The name of its class.
        types: The name of each declared type.
        cases: The names of the classes of each variant's cases.
        functions: The name of each function.
    """

    interface: Interface
    directory: str
    module: str
    title: str
    types: dict[Declaration, str] = field(default_factory=dict)
    cases: dict[Declaration, list[str]] = field(default_factory=dict)
    functions: dict[Function, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Give names to what is in the interface."""
        # The declared types come first: their names are in the interface, the others are made up.
        space = names.Namespace()
        for declaration in self.interface.types:
            self.types[declaration] = space.give(names.camel(declaration.name))
        for declaration in self.interface.types:
            if isinstance(declaration.definition, VariantOf):
                prefix = names.camel(declaration.name)
                self.cases[declaration] = [
                    space.give(prefix + names.camel(case))
                    for case, _ in declaration.definition.cases
                ]
        self.title = space.give(self.title)
        taken = [self.types[each] for each in self.interface.resources()]
        self.functions = _function_names(self.interface.functions, taken)

    def defined(self) -> set[str]:
        """Every name that the module defines."""
        result = {self.title, *self.types.values()}
        for classes in self.cases.values():
            result.update(classes)
        result.update(f"_{name}Class" for name in self.types.values())
        return result


class ImportField(NamedTuple):
    """A field of the class of imports.

    Attributes:
        name: Its name.
        place: The interface, or the world's top level, whose implementation it holds.
    """

    name: str
    place: Place


class Package:
    """A package that is being written.

    Args:
        world: The world that it is written for.
        name: What the component is called.
        asynchronous: Whether its functions are coroutine functions.
        arrays: Whether lists of numbers that come from the component are arrays.

    Attributes:
        files: The contents of each file that was written, by its path.
        shared: Which of the shared types it uses: "Result" (with its two sides) and "Some".
        imports: The places of the imported interfaces.
        exports: The places of the exported interfaces.
        world_types: The place of the types that are declared at the top level.
        host: The place of the functions that are imported at the top level.
    """

    def __init__(
        self, world: World, name: str, asynchronous: bool = False, arrays: bool = False
    ) -> None:
        self.world = world
        self.name = name
        self.asynchronous = asynchronous
        self.arrays = arrays
        self.files: dict[str, bytes] = {}
        self.shared: set[str] = set()
        self._places: dict[Interface, Place] = {}
        self.imports = self._interfaces(world.imports, "imports", "Host")
        self.exports = self._interfaces(world.exports, "exports", "")
        root_types = Interface("", True)
        for top in (world.root_imports, world.root_exports):
            root_types.types += top.types
        # Below `imports`, whose own module may use them: the import of one further up would be
        # circular.
        modules = names.Namespace(place.module for place in self.imports)
        self.world_types = Place(
            root_types, "imports", modules.give("world", "world_types"), "World"
        )
        self.host = Place(world.root_imports, "imports", "", "Host")
        for top in (world.root_imports, world.root_exports):
            self._places[top] = self.world_types

    def _interfaces(self, interfaces: list[Interface], directory: str, prefix: str) -> list[Place]:
        space = names.Namespace(names.NO_FIELDS)  # modules have the names of fields
        result = []
        short = names.interface_names([each.full_name for each in interfaces])
        for interface, name in zip(interfaces, short):
            module = space.give(names.file_name(name))
            place = Place(interface, directory, module, names.camel(name, prefix))
            self._places[interface] = place
            result.append(place)
        return result

    def place_of(self, declaration: Declaration) -> Place:
        """The place in whose module a type is defined."""
        return self._places[declaration.interface]

    def import_fields(self) -> list[ImportField]:
        """The fields of the class of imports; none if the component imports nothing."""
        space = names.Namespace(place.module for place in self.imports)
        fields = [ImportField(place.module, place) for place in self.imports]
        if self.host.interface.has_functions():
            fields.insert(0, ImportField(space.give("host", "root_functions"), self.host))
        return fields

    def add(self, path: str, module: Module) -> None:
        """Add a module that is complete.

        Args:
            path: Its path inside of the package, with slashes.
            module: The module.
        """
        self.files[path] = module.text()


# --- names of parts ------------------------------------------------------------------------------


def _function_names(
    functions: Iterable[Function], taken: Iterable[str] = ()
) -> dict[Function, str]:
    space = names.Namespace(taken)
    return {function: space.give(names.snake(function.name)) for function in functions}


def parameter_names(function: Function) -> list[str]:
    """The names of a function's parameters."""
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


# --- resources -----------------------------------------------------------------------------------


def resource_of(declaration: Declaration) -> ResourceOf:
    """What is declared by a declaration that is known to be one of a resource."""
    assert isinstance(declaration.definition, ResourceOf)
    return declaration.definition


def resource_members(resource: ResourceOf) -> dict[Function, str]:
    """The names of a resource's methods and statics."""
    # `drop` gives a resource up, on either side.
    return _function_names([*resource.methods, *resource.statics], ("drop",))


def needs_class(resource: ResourceOf) -> bool:
    """Whether the host has to provide a class for a resource, besides objects."""
    return resource.constructor is not None or bool(resource.statics)
