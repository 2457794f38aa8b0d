"""The modules of the world itself: the class of what it imports, and the component's class."""

from __future__ import annotations

from . import names
from .functions import write_functions
from .interfaces import write_protocol
from .layout import Code, Group, quote, render, render_head
from .model import Interface
from .package import (
    IMPORTS,
    ROOT,
    Package,
    Place,
    provided_by_library,
)
from .package_module import PackageModule

__all__ = ["write_imports", "write_root"]


def _all(listed: set[str]) -> Group:
    """The statement that defines ``__all__``."""
    return Group("__all__ = ", "[]", [quote(name) for name in sorted(listed)])


# --- what the component imports ------------------------------------------------------------------


def write_imports(package: Package) -> None:
    """Write the class of what the component imports, if it imports anything."""
    if not package.import_fields():
        return
    host = package.host
    titles = {place.title for place in package.imports}
    module = PackageModule(
        package,
        "What the component imports, for the host to provide.",
        {IMPORTS, host.title, *titles},
        "imports",
        host,
        {place.module for place in (*package.imports, package.world_types)},
    )
    # The protocols of the interfaces are names of this module, the modules parts of the package.
    for place in package.imports:
        module.bound[place.title] = (f".{place.module}", place.title)
    listed = {IMPORTS, *titles}
    if host.interface.has_functions():
        write_protocol(module, host)
        listed.add(host.title)
    _write_imports_class(package, module)
    module.body = [*render(_all(listed), 0).split("\n"), "", "", *module.body]
    package.add("imports/__init__.py", module)


def _write_imports_class(package: Package, module: PackageModule) -> None:
    about = (
        "What implements each of the imports. Those of WASI may be left out: the library "
        "implements\nthem, by the store's ``WasiConfig``."
        if any(provided_by_library(place.interface) for place in package.imports)
        else "What implements each of the imports."
    )
    module.begin_class(IMPORTS, about, is_dataclass=True)
    module.blank(1)
    # Fields with a default come last, as in every dataclass.
    fields = sorted(
        package.import_fields(), key=lambda each: provided_by_library(each.place.interface)
    )
    needed = [i for i, (_, place) in enumerate(fields) if not _may_be_none(place.interface)]
    last_needed = max(needed, default=-1)
    for i, (name, place) in enumerate(fields):
        hint = place.title
        if _may_be_none(place.interface):
            hint = f"{module.use('typing', 'Optional')}[{hint}]"
            if i > last_needed:
                hint += " = None"
        module.line(f"{name}: {hint}", 4)
    module.blank(2)


def _may_be_none(interface: Interface) -> bool:
    """Whether an import needs no implementation: of the library's, or of one without functions."""
    return provided_by_library(interface) or not interface.has_functions()


# --- the component's class -----------------------------------------------------------------------


def write_root(package: Package) -> None:
    """Write the class of the component, in the ``__init__`` of the package."""
    world = package.world
    submodules = {"imports"}
    modules = [place.module for place in package.exports if place.module not in submodules]
    about = world.docs or f"The component ``{package.name}``."
    module = PackageModule(package, about, {ROOT}, submodules=submodules)
    listed = {ROOT, *modules}
    for name in modules:
        module.bound[name] = (".exports", name)
    if package.import_fields():
        module.bound[IMPORTS] = (".imports", IMPORTS)
        listed.add(IMPORTS)
    module.bound["_component"] = (".", "_component")
    wasmtime = module.use("", "wasmtime")
    module.put(_all(listed))
    about = (
        f"An instance of the component ``{package.name}``.\n\n"
        "It lives in the store that it is made in, which its functions take first. Another\n"
        "component of the same world can be given, compiled with the store's engine; without\n"
        "one it is the component that this package was generated from."
    )
    if package.asynchronous:
        about += f"\n\nIt is there when it has been awaited: ``await {ROOT}(...)``."
    module.begin_class(ROOT, world.docs or about)
    module.blank(1)
    top = Place(world.root_exports, "", "", ROOT)
    _write_constructor(package, module, f"{wasmtime}.Store")
    hidden = _write_accessors(package, module, top)
    write_functions(module, world.root_exports, top.functions, hidden)
    package.add("__init__.py", module)


def _write_constructor(package: Package, module: PackageModule, store: str) -> None:
    """Write the method ``__init__`` of the component's class.

    Args:
        package: The package.
        module: The module to write to.
        store: The type hint for a store.
    """
    exported = package.world.root_exports
    parameters: list[Code] = ["self", f"store: {store}"]
    given = "None"
    fields = package.import_fields()
    if fields:
        given = "import_object"
        if all(provided_by_library(place.interface) for _, place in fields):
            optional = module.use("typing", "Optional")
            parameters.append(f"import_object: {optional}[{IMPORTS}] = None")
        else:
            parameters.append(f"import_object: {IMPORTS}")
    kind = module.use("wasmtime.component", "Component")
    optional = module.use("typing", "Optional")
    parameters += ["*", f"component: {optional}[{kind}] = None"]
    module.line(render_head("__init__", parameters, "None", 4), 4)
    method = "instantiate_async" if package.asynchronous else "instantiate"
    call = Group(f"_component.COMPONENT.{method}", "()", ["store", given, "component"])
    module.put(call, 8, "self._instance = ")
    if package.asynchronous:
        any_ = module.use("typing", "Any")
        result = f'{module.use("typing", "Generator")}[{any_}, {any_}, "{ROOT}"]'
        module.blank(1)
        module.line(render_head("__await__", ["self"], result, 4), 4)
        module.line("yield from self._instance.__await__()", 8)
    if exported.has_functions():
        module.line('self._functions = self._instance.functions("")', 8)
    for declaration in exported.resources():
        name = package.world_types.types[declaration]
        local = module.use(".imports", package.world_types.module)
        module.line(f"self.{name} = self._instance.bind({local}.{name})", 8)
    if package.asynchronous:
        module.line("return self", 8)


def _write_accessors(package: Package, module: PackageModule, top: Place) -> set[str]:
    """Write a method for each exported interface.

    Args:
        package: The package.
        module: The module to write to.
        top: The place of the component's class, with the names of its own functions.

    Returns:
        The methods' names.
    """
    space = names.Namespace({*top.functions.values(), "__init__"})
    for declaration in top.interface.resources():
        space.give(package.world_types.types[declaration])
    hidden: set[str] = set()
    for place in package.exports:
        name = space.give(place.module, f"{place.module}_interface")
        hint = f"{module.use('.exports', place.module, hidden)}.{place.title}"
        module.blank(1)
        module.line(render_head(name, ["self"], hint, 4), 4)
        about = f"The interface ``{place.interface.full_name}``."
        module.document(place.interface.docs or about, 8)
        module.put(Group("return self._instance.interface", "()", [hint, "self"]), 8)
        hidden.add(name)
    return hidden
