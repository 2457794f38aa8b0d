"""What modules import and export, and how it is read from the library."""

from __future__ import annotations

from collections.abc import Container
from typing import Any, Optional, Union

from .._error import WasmtimeError
from .._native import address_of, core, encode_name, ffi, lib
from .base import TypeValue, _set
from .items import GlobalType, MemoryType, TableType, TagType
from .values import FuncType, ValType

__all__ = [
    "AsExternType",
    "ExportType",
    "ImportType",
    "export_type_from_native",
    "extern_type_from_native",
    "import_type_from_native",
    "module_exports",
    "module_imports",
]

#: The type of anything that a module imports or exports.
AsExternType = Union[FuncType, TableType, MemoryType, GlobalType, TagType]

_EXTERN_TYPES = (FuncType, TableType, MemoryType, GlobalType, TagType)


def _extern_type(value: object) -> AsExternType:
    if not isinstance(value, _EXTERN_TYPES):
        names = ", ".join(ty.__name__ for ty in _EXTERN_TYPES)
        raise TypeError(f"expected one of {names}, not {type(value).__name__}")
    return value


class ImportType(TypeValue):
    """One import of a module: where it is looked for, and what it must be.

    Args:
        module: The first of the two names of the import.
        name: The second one.
        type: What is imported.
    """

    __slots__ = ("_module", "_name", "_type")

    _module: str
    _name: Optional[str]
    _type: AsExternType

    def __init__(self, module: str, name: Optional[str], type: AsExternType) -> None:
        encode_name(module, "module")
        if name is not None:
            encode_name(name, "name")
        self._fill(_module=module, _name=name, _type=_extern_type(type))

    @classmethod
    def _make(cls, module: str, name: Optional[str], type: AsExternType) -> ImportType:
        """Makes one of parts that come from the library and need no checks."""
        self = cls.__new__(cls)
        _set(self, "_module", module)
        _set(self, "_name", name)
        _set(self, "_type", type)
        return self

    @property
    def module(self) -> str:
        """The first of the two names of the import."""
        return self._module

    @property
    def name(self) -> Optional[str]:
        """The second of the two names (the type allows None as the published package does)."""
        return self._name

    @property
    def type(self) -> AsExternType:
        """What is imported."""
        return self._type

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ImportType):
            return NotImplemented
        return (self._module, self._name, self._type) == (other._module, other._name, other._type)

    def __hash__(self) -> int:
        return hash((self._module, self._name, self._type))

    def __str__(self) -> str:
        names = _quote(self._module) + ("" if self._name is None else " " + _quote(self._name))
        return f"(import {names} {self._type})"

    def __repr__(self) -> str:
        return f"ImportType({self._module!r}, {self._name!r}, {self._type!r})"

    def __reduce__(self) -> tuple[object, ...]:
        return (ImportType, (self._module, self._name, self._type))


class ExportType(TypeValue):
    """One export of a module: its name, and what it is.

    Args:
        name: The name of the export.
        type: What is exported.
    """

    __slots__ = ("_name", "_type")

    _name: str
    _type: AsExternType

    def __init__(self, name: str, type: AsExternType) -> None:
        encode_name(name, "name")
        self._fill(_name=name, _type=_extern_type(type))

    @classmethod
    def _make(cls, name: str, type: AsExternType) -> ExportType:
        """Makes one of parts that come from the library and need no checks."""
        self = cls.__new__(cls)
        _set(self, "_name", name)
        _set(self, "_type", type)
        return self

    @property
    def name(self) -> str:
        """The name of the export."""
        return self._name

    @property
    def type(self) -> AsExternType:
        """What is exported."""
        return self._type

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ExportType):
            return NotImplemented
        return (self._name, self._type) == (other._name, other._type)

    def __hash__(self) -> int:
        return hash((self._name, self._type))

    def __str__(self) -> str:
        return f"(export {_quote(self._name)} {self._type})"

    def __repr__(self) -> str:
        return f"ExportType({self._name!r}, {self._type!r})"

    def __reduce__(self) -> tuple[object, ...]:
        return (ExportType, (self._name, self._type))


def _quote(name: str) -> str:
    """Writes a name as the text format does."""
    text = name.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\u{{{ord(c):x}}}" for c in text) + '"'


def extern_type_from_native(pointer: Any, engine: Optional[object] = None) -> AsExternType:
    """Reads a borrowed `wasm_externtype_t *`.

    Args:
        pointer: The native type.
        engine: The engine it comes from, to which concrete types in it will belong.

    Raises:
        WasmtimeError: The library knows a kind that this package does not.
    """
    kind = lib.wasm_externtype_kind(pointer)
    if kind == lib.WASM_EXTERN_FUNC:
        return FuncType._from_native(lib.wasm_externtype_as_functype(pointer), engine)
    if kind == lib.WASM_EXTERN_GLOBAL:
        return GlobalType._from_native(lib.wasm_externtype_as_globaltype(pointer), engine)
    if kind == lib.WASM_EXTERN_TABLE:
        return TableType._from_native(lib.wasm_externtype_as_tabletype(pointer), engine)
    if kind == lib.WASM_EXTERN_MEMORY:
        return MemoryType._from_native(lib.wasm_externtype_as_memorytype(pointer), engine)
    if kind == lib.WASM_EXTERN_TAG:
        return TagType._from_native(lib.wasm_externtype_as_tagtype(pointer), engine)
    raise WasmtimeError(f"unknown extern type: kind {kind}")


def _read_name(vec: Any) -> str:
    size = vec.size
    return bytes(ffi.buffer(vec.data, size)).decode("utf-8") if size else ""


def import_type_from_native(pointer: Any, engine: Optional[object] = None) -> ImportType:
    """Reads a borrowed `wasm_importtype_t *`."""
    name = lib.wasm_importtype_name(pointer)
    return ImportType(
        _read_name(lib.wasm_importtype_module(pointer)),
        None if name == ffi.NULL else _read_name(name),
        extern_type_from_native(lib.wasm_importtype_type(pointer), engine),
    )


def export_type_from_native(pointer: Any, engine: Optional[object] = None) -> ExportType:
    """Reads a borrowed `wasm_exporttype_t *`."""
    return ExportType(
        _read_name(lib.wasm_exporttype_name(pointer)),
        extern_type_from_native(lib.wasm_exporttype_type(pointer), engine),
    )


class _FuncTypes(dict[tuple[bytes, bytes], FuncType]):
    """Function types by the bytes in which the core describes them.

    Each is made once: the many functions of a module have few types.
    """

    def __missing__(self, described: tuple[bytes, bytes]) -> FuncType:
        params, results = described
        made = self[described] = FuncType(_valtypes(params), _valtypes(results))
        return made


def _valtypes(described: bytes) -> list[ValType]:
    """Reads three bytes for each type: kind, kind of heap type, and whether it may be null."""
    return [
        ValType._make(kind, heap, bool(nullable))
        if kind == lib.WASMTIME_VALTYPE_KIND_REF
        else ValType._make(kind)
        for kind, heap, nullable in zip(described[::3], described[1::3], described[2::3])
    ]


def module_imports(
    module: Any, engine: Optional[object] = None, tables64: Container[int] = ()
) -> list[ImportType]:
    """Reads the imports of a `wasmtime_module_t *`.

    Args:
        module: The native module; the caller keeps it alive.
        engine: The module's engine, to which concrete types will belong.
        tables64: the positions of those that are tables with 64-bit indices.
    """
    functions = _FuncTypes()
    vec = ffi.new("wasm_importtype_vec_t *")
    lib.wasmtime_module_imports(module, vec)

    def other_type(i: int) -> AsExternType:
        ty = extern_type_from_native(lib.wasm_importtype_type(vec.data[i]), engine)
        return ty._with_64(i in tables64) if isinstance(ty, TableType) else ty

    try:
        return [
            ImportType._make(
                outer, name, other_type(i) if described is None else functions[described]
            )
            for i, (outer, name, described) in enumerate(core.describe_imports(address_of(vec)))
        ]
    finally:
        lib.wasm_importtype_vec_delete(vec)


def module_exports(
    module: Any, engine: Optional[object] = None, tables64: Container[str] = ()
) -> list[ExportType]:
    """Reads the exports of a `wasmtime_module_t *`.

    Args:
        module: The native module; the caller keeps it alive.
        engine: The module's engine, to which concrete types will belong.
        tables64: the names of those that are tables with 64-bit indices.
    """
    functions = _FuncTypes()
    vec = ffi.new("wasm_exporttype_vec_t *")
    lib.wasmtime_module_exports(module, vec)

    def other_type(i: int, name: str) -> AsExternType:
        ty = extern_type_from_native(lib.wasm_exporttype_type(vec.data[i]), engine)
        return ty._with_64(name in tables64) if isinstance(ty, TableType) else ty

    try:
        return [
            ExportType._make(
                name, other_type(i, name) if described is None else functions[described]
            )
            for i, (name, described) in enumerate(core.describe_exports(address_of(vec)))
        ]
    finally:
        lib.wasm_exporttype_vec_delete(vec)
