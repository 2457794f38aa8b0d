"""What Python a core module becomes: a class with its exports, typed as far as core types go."""

from __future__ import annotations

from collections.abc import Container
from typing import Any, NamedTuple, Union

from ..._annotations import PYTHON_TYPES
from ..._engine import Engine
from ..._module import Module as WasmModule
from ..._types import FuncType, GlobalType, MemoryType, TableType, ValType
from ..._wasi_names import PREVIEW1
from ..._wasm.module import parameter_names
from . import names
from .layout import AnyOf, Code, Group, flat, quote, render_head
from .module import Module
from .package import IMPORTS, ROOT
from .text import one_line

__all__ = ["write_module_package"]

_KINDS = {GlobalType: "Global", MemoryType: "Memory", TableType: "Table", FuncType: "Func"}


def write_module_package(
    name: str, source: Union[bytes, WasmModule], asynchronous: bool = False
) -> dict[str, bytes]:
    """Write the package for a core module.

    Args:
        name: What the module is called.
        source: The module, or its binary.
        asynchronous: Whether to write the form of the package that is awaited.

    Returns:
        The contents of each file, by its path. A `Module` is compiled code, which does not contain
        the binary: the package expects that beside its ``__init__``.
    """
    if isinstance(source, WasmModule):
        binary, compiled = b"", source
    else:
        binary, compiled = source, WasmModule(Engine(), source)
    imports = _Imports(compiled)
    file = f"{names.file_name(name)}.wasm"
    root = Module(f"The module ``{name}``.", {ROOT}, asynchronous=asynchronous)
    _write_root(root, name, file, compiled, imports, parameter_names(binary))
    files = {
        "__init__.py": root.text(),
        "py.typed": b"",
    }
    if binary:
        files[file] = binary
    if imports.by_module:
        files["imports.py"] = _imports_module(imports, asynchronous)
    return dict(sorted(files.items()))


# --- type hints ----------------------------------------------------------------------------------


def _hint(module: Module, ty: ValType, hidden: Container[str]) -> str:
    kind = PYTHON_TYPES.get(ty)
    if kind is None:
        return module.use("typing", "Any", hidden)
    return module.use("builtins", kind.__name__, hidden)


def _result(module: Module, results: list[ValType], hidden: Container[str]) -> Code:
    if not results:
        return "None"
    if len(results) == 1:
        return _hint(module, results[0], hidden)
    hints = {_hint(module, ty, hidden) for ty in results}
    element: Code = hints.pop()
    if hints:
        element = Group(module.use("typing", "Union", hidden), "[]", sorted([str(element), *hints]))
    return Group(module.use("typing", "List", hidden), "[]", [element])


def _item_hint(module: Module, ty: Any, hidden: Container[str] = ()) -> str:
    """The type hint for an import or export that is no function."""
    kind = _KINDS.get(type(ty))
    if kind is None:
        return module.use("typing", "Any", hidden)
    return f"{module.use('', 'wasmtime', hidden)}.{kind}"


def _write_head(
    module: Module,
    name: str,
    first: dict[str, str],
    ty: FuncType,
    known: dict[int, str],
    hidden: Container[str],
    exported: bool = True,
) -> list[str]:
    """Write the head of a method.

    Args:
        module: The module to write to.
        name: The method's name.
        first: The parameters before its own: what is written for each, by its name.
        ty: The type of the function.
        known: The names of its own parameters, as far as they are known.
        hidden: Names of the class around it.
        exported: Whether it calls the module, not the other way around.

    Returns:
        The names of its own parameters.
    """
    space = names.Namespace(first)
    parameters: list[Code] = list(first.values())
    given = []
    for i, param in enumerate(ty.params):
        parameter = space.give(names.identifier(known.get(i) or f"arg{i}"))
        given.append(parameter)
        parameters.append(f"{parameter}: {_hint(module, param, hidden)}")
    result = _result(module, ty.results, hidden)
    if module.asynchronous and not exported:
        around = module.use("wasmtime.bindgen.support", "MaybeAwaitable", hidden)
        result = Group(around, "[]", [result])
    coroutine = module.asynchronous and exported
    module.line(render_head(name, parameters, result, 4, coroutine=coroutine), 4)
    return given


# --- imports -------------------------------------------------------------------------------------


class _Imports:
    """What a module imports, other than from WASI, and the names that it gets.

    Attributes:
        by_module: The imports, by the module that they come from.
        fields: For each such module, its field in the class of imports.
        titles: For each such module, the class of what implements it.
    """

    def __init__(self, compiled: WasmModule) -> None:
        self.by_module: dict[str, list[Any]] = {}
        for entry in compiled.imports:
            if entry.module != PREVIEW1:
                self.by_module.setdefault(entry.module, []).append(entry)
        fields, titles = names.Namespace(names.NO_FIELDS), names.Namespace([IMPORTS])
        self.fields = {each: fields.give(names.identifier(each)) for each in self.by_module}
        self.titles = {each: titles.give(names.camel(each, "Host")) for each in self.by_module}

    def plan(self) -> list[Code]:
        """For each module, an item of the mapping that says which attributes implement it."""
        plan: list[Code] = []
        for source, entries in self.by_module.items():
            pairs: list[Code] = [
                f"{quote(entry.name or '')}: {quote(attribute)}"
                for entry, attribute in zip(entries, _attributes(entries))
            ]
            field = quote(self.fields[source])
            plan.append(Group(f"{quote(source)}: ", "()", [field, Group("", "{}", pairs)]))
        return plan


def _attributes(entries: list[Any]) -> list[str]:
    """The names of the attributes that implement imports."""
    space = names.Namespace()
    return [space.give(names.identifier(entry.name or "_")) for entry in entries]


def _imports_module(imports: _Imports, asynchronous: bool) -> bytes:
    about = "What the module imports, for the host to provide."
    module = Module(about, {IMPORTS, *imports.titles.values()}, asynchronous=asynchronous)
    for source, entries in imports.by_module.items():
        about = f"What implements ``{one_line(source)}``."
        module.begin_class(imports.titles[source], about, module.use("typing", "Protocol"))
        hidden: set[str] = set()
        for entry, name in zip(entries, _attributes(entries)):
            module.blank(1)
            if isinstance(entry.type, FuncType):
                module.line(f"@{module.use('abc', 'abstractmethod', hidden)}", 4)
                _write_head(module, name, {"self": "self"}, entry.type, {}, hidden, False)
                module.line("raise NotImplementedError", 8)
            else:
                module.line(f"{name}: {_item_hint(module, entry.type, hidden)}", 4)
            hidden.add(name)
    module.begin_class(IMPORTS, "What implements each of the imports.", is_dataclass=True)
    module.blank(1)
    for source in imports.by_module:
        module.line(f"{imports.fields[source]}: {imports.titles[source]}", 4)
    return module.text()


# --- exports -------------------------------------------------------------------------------------


def _write_root(
    module: Module,
    name: str,
    file: str,
    compiled: WasmModule,
    imports: _Imports,
    known: dict[str, dict[int, str]],
) -> None:
    """Write the ``__init__`` of the package: the class of the module's instances.

    Args:
        module: The module to write to.
        name: What the module is called.
        file: The file that it becomes.
        compiled: The module, compiled.
        imports: What it imports.
        known: The names of the functions' parameters, as far as they are known.
    """
    module.use("wasmtime.bindgen", "support")
    listed = [ROOT]
    arguments: list[Code] = ["__package__", quote(file)]
    if imports.by_module:
        module.bound[IMPORTS] = (".imports", IMPORTS)
        listed.append(IMPORTS)
        arguments.append(Group("imports=", "{}", imports.plan()))
    module.put(Group("__all__ = ", "[]", [quote(each) for each in listed]))
    module.blank(1)
    module.put(Group("_MODULE = support.EmbeddedModule", "()", arguments))
    about = (
        f"An instance of the module ``{name}``.\n\n"
        "It lives in the store that it is made in, which its functions take first."
    )
    if module.asynchronous:
        about += f"\n\nIt is there when it has been awaited: ``await {ROOT}(...)``."
    module.begin_class(ROOT, about)
    space = names.Namespace(["_exports", "_instance"])
    exports = []
    for export in compiled.exports:
        label = export.name or ""
        exports.append(_Export(label, space.give(names.identifier(label)), export.type))
    _write_constructor(module, exports, bool(imports.by_module))
    _write_methods(module, exports, known)


class _Export(NamedTuple):
    """An export: its name in the module, the attribute that it becomes, and its type."""

    label: str
    attribute: str
    type: Any


def _write_constructor(module: Module, exports: list[_Export], has_imports: bool) -> None:
    module.blank(1)
    wasmtime = module.use("", "wasmtime")
    parameters: list[Code] = ["self", f"store: {wasmtime}.Store"]
    given = "None"
    if has_imports:
        given = "import_object"
        parameters.append(f"import_object: {IMPORTS}")
    module.line(render_head("__init__", parameters, "None", 4), 4)
    if module.asynchronous:
        module.line(f"self._instance = _MODULE.instantiate_async(store, {given})", 8)
        any_ = module.use("typing", "Any")
        result = f'{module.use("typing", "Generator")}[{any_}, {any_}, "{ROOT}"]'
        module.blank(1)
        module.line(render_head("__await__", ["self"], result, 4), 4)
        module.line("self._exports = yield from self._instance.__await__()", 8)
    else:
        module.line(f"self._exports = _MODULE.instantiate(store, {given})", 8)
    for export in exports:
        if not isinstance(export.type, FuncType):
            hint = _item_hint(module, export.type)
            value = f"self._exports[{quote(export.label)}]"
            module.line(f"self.{export.attribute}: {hint} = {value}", 8)
    if module.asynchronous:
        module.line("return self", 8)


def _write_methods(
    module: Module, exports: list[_Export], known: dict[str, dict[int, str]]
) -> None:
    """Write a method for each exported function.

    Args:
        module: The module to write to.
        exports: The exports.
        known: The names of the functions' parameters, as far as they are known.
    """
    hidden: set[str] = set()
    for label, attribute, ty in exports:
        if not isinstance(ty, FuncType):
            continue
        module.blank(1)
        store = f"caller: {module.use('', 'wasmtime', hidden)}.Store"
        first = {"self": "self", "caller": store}
        given = _write_head(module, attribute, first, ty, known.get(label, {}), hidden)
        wait = "await " if module.asynchronous else ""
        call = Group(f"{wait}self._exports[{quote(label)}]", "()", ["caller", *given])
        if ty.results:
            local = names.free("result", given)
            hint = _result(module, ty.results, AnyOf(hidden, given))
            module.put(call, 8, f"{local}: {flat(hint)} = ")
            module.line(f"return {local}", 8)
        else:
            module.put(call, 8)
        hidden.add(attribute)
