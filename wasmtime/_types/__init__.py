"""The types of WebAssembly as plain Python values.

A type here is a description and nothing else: it can be compared, hashed, printed, copied and
pickled, it holds no native object, and there is nothing to close. The native form that the C API
wants is made for the one call that needs it and freed after it. The exception are references to
a *concrete* type (`(ref $t)`, of the function-references and GC proposals): such a type lives in
the type registry of one engine, so the value keeps a native handle, belongs to that engine, and
cannot be pickled.

The types of structs, arrays and exceptions are in `wasmtime._gctypes`: few programs load them.
"""

from .base import TypeValue
from .externs import (
    AsExternType,
    ExportType,
    ImportType,
    export_type_from_native,
    extern_type_from_native,
    import_type_from_native,
    module_exports,
    module_imports,
)
from .items import GlobalType, Limits, MemoryType, TableType, TagType
from .values import FuncType, HeapType, ValType, _unpickle_valtype, new_valtype_vec

__all__ = [
    "AsExternType",
    "ExportType",
    "FuncType",
    "GlobalType",
    "HeapType",
    "ImportType",
    "Limits",
    "MemoryType",
    "TableType",
    "TagType",
    "TypeValue",
    "ValType",
    "export_type_from_native",
    "extern_type_from_native",
    "import_type_from_native",
    "module_exports",
    "module_imports",
    "new_valtype_vec",
]

# Pickles name this package, whatever file of it a class is in.
for _named in (
    ExportType,
    FuncType,
    GlobalType,
    ImportType,
    Limits,
    MemoryType,
    TableType,
    TagType,
    TypeValue,
    ValType,
    _unpickle_valtype,
):
    _named.__module__ = __name__
