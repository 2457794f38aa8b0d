"""The modules of interfaces: protocols for what is imported, classes for what is exported."""

from __future__ import annotations

from .functions import write_abstract, write_functions
from .layout import Group, quote
from .package import ROOT, Package, Place, needs_class, resource_of
from .package_module import PackageModule
from .types import write_types

__all__ = ["write_export", "write_import", "write_protocol", "write_world_types"]


def write_import(package: Package, place: Place) -> None:
    """Write the module of an imported interface."""
    interface = place.interface
    about = interface.docs or f"The interface ``{interface.full_name}``, which the host provides."
    module = PackageModule(package, about, place.defined(), "imports", place)
    write_types(module, place)
    write_protocol(module, place)
    package.add(f"imports/{place.module}.py", module)


def write_world_types(package: Package) -> None:
    """Write the module of the types that the world declares itself, if there are any."""
    place = package.world_types
    if not place.interface.types:
        return
    module = PackageModule(
        package, "The types of the world itself.", place.defined(), "imports", place
    )
    write_types(module, place)
    package.add(f"imports/{place.module}.py", module)
    package.files["imports/__init__.py"] = b""


def write_protocol(module: PackageModule, place: Place) -> None:
    """Write the protocol that an implementation of an interface, or of the top level, follows.

    Args:
        module: The module to write to.
        place: The interface.
    """
    interface = place.interface
    hidden: set[str] = set()
    classes = [each for each in interface.resources() if needs_class(resource_of(each))]
    if classes:
        module.blank(2)
    for declaration in classes:
        local = module.class_name(declaration)
        module.line(f"_{place.types[declaration]}Class = {module.use('typing', 'Type')}[{local}]")
    about = (
        f"What implements ``{interface.full_name}``."
        if interface.full_name
        else "What implements the functions that the component imports by themselves."
    )
    module.begin_class(place.title, interface.docs or about, module.use("typing", "Protocol"))
    for function in interface.functions:
        write_abstract(module, place.functions[function], function, hidden)
    # Behind the functions, in whose type hints these names mean the protocols.
    for declaration in classes:
        name = place.types[declaration]
        module.blank(1)
        module.line(f"{name}: _{name}Class", 4)
    module.blank(2)


def write_export(package: Package, place: Place) -> None:
    """Write the module of an exported interface."""
    interface = place.interface
    about = (
        interface.docs or f"The interface ``{interface.full_name}``, which the component provides."
    )
    module = PackageModule(package, about, place.defined(), "exports", place)
    write_types(module, place)
    root = module.use_for_checking("..", ROOT)
    module.begin_class(place.title, interface.docs or f"An instance of ``{interface.full_name}``.")
    module.blank(1)
    module.line(f'def __init__(self, component: "{root}") -> None:', 4)
    if "component" not in place.functions.values():
        module.line("self.component = component", 8)
    support = module.use("wasmtime.bindgen", "support")
    module.line(f"instance = {support}.instance_of(component)", 8)
    module.put(Group("self._functions = instance.functions", "()", [quote(interface.full_name)]), 8)
    for declaration in interface.resources():
        name = place.types[declaration]
        module.line(f"self.{name} = instance.bind({name})", 8)
    write_functions(module, interface, place.functions, set())
    package.add(f"exports/{place.module}.py", module)
