"""What Python a core module becomes: a class with its exports, typed as far as core types go."""

from __future__ import annotations

from collections.abc import Container
from typing import Any, Union

from .._engine import Engine
from .._module import Module as WasmModule
from .._types import FuncType, GlobalType, MemoryType, TableType, ValType
from .._wasm.module import parameter_names
from . import _names as names
from ._layout import AnyOf, Code, Group, Module, flat, quote, render_head
from ._text import one_line

__all__ = ["write_module_package"]

_HINTS = {
    ValType.I32: "int",
    ValType.I64: "int",
    ValType.F32: "float",
    ValType.F64: "float",
    ValType.V128: "bytes",
}
_KINDS = {GlobalType: "Global", MemoryType: "Memory", TableType: "Table", FuncType: "Func"}
_WASI = ("wasi_snapshot_preview1", "wasi_unstable")


# --- writing -------------------------------------------------------------------------------------


def _hint(module: Module, ty: ValType, hidden: Container[str]) -> str:
    name = _HINTS.get(ty)
    if name is None:
        return module.use("typing", "Any", hidden)
    return module.use("builtins", name, hidden)


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


def _parameters(
    module: Module, ty: FuncType, known: dict[int, str], taken: list[str], hidden: Container[str]
) -> tuple[list[Code], list[str]]:
    space = names.Namespace(taken)
    parameters: list[Code] = []
    given = []
    for i, param in enumerate(ty.params):
        name = space.give(names.identifier(known.get(i) or f"arg{i}"))
        given.append(name)
        parameters.append(f"{name}: {_hint(module, param, hidden)}")
    return parameters, given


def _write_imports(
    by_module: dict[str, list[Any]], fields: dict[str, str], titles: dict[str, str]
) -> bytes:
    module = Module(
        "What the module imports, for the host to provide.", {"RootImports", *titles.values()}
    )
    for source, entries in by_module.items():
        module.blank(2)
        module.line(f"class {titles[source]}({module.use('typing', 'Protocol')}):")
        module.document(f"What implements ``{one_line(source)}``.", 4)
        hidden: set[str] = set()
        attributes = members(entries)
        for entry, name in zip(entries, attributes):
            module.blank(1)
            if isinstance(entry.type, FuncType):
                module.line(f"@{module.use('abc', 'abstractmethod', hidden)}", 4)
                parameters, _ = _parameters(module, entry.type, {}, ["self"], hidden)
                result = _result(module, entry.type.results, hidden)
                head = render_head(name, ["self", *parameters], result, 4)
                module.line(head, 4)
                module.line("raise NotImplementedError", 8)
            else:
                kind = _KINDS.get(type(entry.type))
                hint = (
                    f"{module.use('', 'wasmtime', hidden)}.{kind}"
                    if kind
                    else module.use("typing", "Any", hidden)
                )
                module.line(f"{name}: {hint}", 4)
            hidden.add(name)
    module.blank(2)
    module.line(f"@{module.use('dataclasses', 'dataclass')}")
    module.line("class RootImports:")
    module.document("What implements each of the imports.", 4)
    module.blank(1)
    for source in by_module:
        module.line(f"{fields[source]}: {titles[source]}", 4)
    return module.text()


def members(entries: list[Any]) -> list[str]:
    """The attributes that stand for what a module imports from one other module."""
    space = names.Namespace()
    return [space.give(names.identifier(entry.name or "_")) for entry in entries]


def write_module_package(name: str, source: Union[bytes, WasmModule]) -> dict[str, bytes]:
    """Write the package for a core module.

    Args:
        name: What the module is called.
        source: The module, or its binary.

    Returns:
        The contents of each file, by its path. A `Module` is compiled code: its package asks for
        the binary, which is not in it, to be put beside it.
    """
    if isinstance(source, WasmModule):
        binary, compiled = b"", source
    else:
        binary, compiled = source, WasmModule(Engine(), source)
    known = parameter_names(binary)
    by_module: dict[str, list[Any]] = {}
    for entry in compiled.imports:
        if entry.module not in _WASI:
            by_module.setdefault(entry.module, []).append(entry)
    field_space, title_space = names.Namespace(names.NO_FIELDS), names.Namespace(["RootImports"])
    fields = {each: field_space.give(names.identifier(each)) for each in by_module}
    titles = {each: title_space.give(names.camel(each, "Host")) for each in by_module}

    file = f"{names.file_name(name)}.wasm"
    module = Module(f"The module ``{name}``.", {"Root"})
    module.use("wasmtime.bindgen", "support")
    if by_module:
        module.bound["RootImports"] = (".imports", "RootImports")
    listed = ["Root", "RootImports"] if by_module else ["Root"]
    module.put(Group("__all__ = ", "[]", [quote(each) for each in listed]))
    arguments: list[Code] = ["__package__", quote(file)]
    if by_module:
        plan: list[Code] = []
        for each, entries in by_module.items():
            pairs: list[Code] = [
                f"{quote(entry.name or '')}: {quote(attribute)}"
                for entry, attribute in zip(entries, members(entries))
            ]
            plan.append(
                Group(f"{quote(each)}: ", "()", [quote(fields[each]), Group("", "{}", pairs)])
            )
        arguments.append(Group("imports=", "{}", plan))
    module.blank(1)
    module.put(Group("_MODULE = support.EmbeddedModule", "()", arguments))
    module.blank(2)
    module.line("class Root:")
    module.document(
        f"An instance of the module ``{name}``.\n\n"
        "It lives in the store that it is made in, which its functions take first.",
        4,
    )
    module.blank(1)
    wasmtime = module.use("", "wasmtime")
    parameters: list[Code] = ["self", f"store: {wasmtime}.Store"]
    if by_module:
        parameters.append("import_object: RootImports")
    module.line(render_head("__init__", parameters, "None", 4), 4)
    given = "import_object" if by_module else "None"
    module.line(f"self._exports = _MODULE.instantiate(store, {given})", 8)
    space = names.Namespace(["_exports"])
    exports = [(export.name or "", export.type) for export in compiled.exports]
    attributes = {each: space.give(names.identifier(each)) for each, _ in exports}
    for label, ty in exports:
        if not isinstance(ty, FuncType):
            kind = _KINDS.get(type(ty))
            hint = f"{wasmtime}.{kind}" if kind else module.use("typing", "Any")
            module.line(f"self.{attributes[label]}: {hint} = self._exports[{quote(label)}]", 8)
    hidden: set[str] = set()
    for label, ty in exports:
        if not isinstance(ty, FuncType):
            continue
        module.blank(1)
        attribute = attributes[label]
        store = f"caller: {module.use('', 'wasmtime', hidden)}.Store"
        parameters, given_names = _parameters(
            module, ty, known.get(label, {}), ["self", "caller"], hidden
        )
        result = _result(module, ty.results, hidden)
        module.line(render_head(attribute, ["self", store, *parameters], result, 4), 4)
        call = Group(f"self._exports[{quote(label)}]", "()", ["caller", *given_names])
        if result == "None":
            module.put(call, 8)
        else:
            local = "result"
            while local in given_names:
                local += "_"
            inside = _result(module, ty.results, AnyOf(hidden, given_names))
            module.put(call, 8, f"{local}: {flat(inside)} = ")
            module.line(f"return {local}", 8)
        hidden.add(attribute)
    files = {"__init__.py": module.text(), "py.typed": b""}
    if binary:
        files[file] = binary
    if by_module:
        files["imports.py"] = _write_imports(by_module, fields, titles)
    return dict(sorted(files.items()))
