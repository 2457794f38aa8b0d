"""WebAssembly for Python programs: Wasmtime, called through a C extension.

The classes follow WebAssembly's own terms. An `Engine` compiles a `Module`; a `Store` is where an
`Instance` of it lives, with its functions (`Func`), memories (`Memory`), tables (`Table`) and
globals (`Global`); a `Linker` finds what a module imports, host functions and WASI
(`WasiConfig`) among it.

    >>> from wasmtime import Instance, Module, Store
    >>> store = Store()
    >>> module = Module(store.engine, '''
    ...     (func (export "add") (param i32 i32) (result i32)
    ...         (i32.add (local.get 0) (local.get 1)))''')
    >>> add = Instance(store, module, []).exports(store)["add"]
    >>> add(store, 5, 3)
    8

`wasmtime.sandbox` runs code that is not trusted, in ten lines; `wasmtime.component` has components
and their types; `wasmtime.bindgen` writes typed packages for them; `wasmtime.loader` makes
WebAssembly files importable. ``%load_ext wasmtime`` gives notebooks the cell magic ``%%wat``.

Mistakes raise: `WasmtimeError` for what the library refuses, `Trap` for what WebAssembly does not
survive, `ExitTrap` for a program that exits, and Python's own exceptions for arguments of a wrong
type or range. What a Python function raises while WebAssembly calls it arrives at the outer call
as the same object.
"""

import typing as _typing

from . import _extern  # noqa: F401 - hands the classes over to the core
from ._engine import Engine
from ._error import ExitTrap, GuestExit, WasmtimeError
from ._exception import WasmException
from ._exportable import AsExtern
from ._func import BoundAsyncFunc, BoundFunc, Caller, Func
from ._globals import Global
from ._instance import Instance
from ._instance_pre import InstancePre
from ._lazy import lazy_names as _lazy_names
from ._linker import Linker
from ._managed import Managed
from ._memory import Memory
from ._module import Module
from ._native import VERSION as __version__
from ._ref import AnyRef, ArrayRef, EqRef, ExnRef, ExternRef, StructRef
from ._sharedmemory import SharedMemory
from ._store import Store, StoreContext, Storelike
from ._table import Table
from ._tag import Tag
from ._trap import Frame, InterruptTrap, OutputLimitTrap, TimeoutTrap, Trap, WasiTrap
from ._types import (
    ExportType,
    FuncType,
    GlobalType,
    ImportType,
    Limits,
    MemoryType,
    TableType,
    TagType,
    ValType,
)
from ._value import Val
from ._wat2wasm import wat2wasm

if _typing.TYPE_CHECKING:
    from ._annotations import f32, f64, i32, i64
    from ._config import Config, PoolingAllocationConfig
    from ._gctypes import ArrayType, ExnType, FieldType, StorageType, StructType
    from ._notebook import load_ipython_extension as load_ipython_extension
    from ._profiler import GuestProfiler
    from ._trapcode import TrapCode
    from ._wasi import DirPerms, FilePerms, Output, WasiConfig
else:
    __getattr__, __dir__ = _lazy_names(
        globals(),
        {
            "ArrayType": "_gctypes",
            "Config": "_config",
            "DirPerms": "_wasi",
            "ExnType": "_gctypes",
            "FieldType": "_gctypes",
            "FilePerms": "_wasi",
            "GuestProfiler": "_profiler",
            "Output": "_wasi",
            "PoolingAllocationConfig": "_config",
            "StorageType": "_gctypes",
            "StructType": "_gctypes",
            "TrapCode": "_trapcode",
            "WasiConfig": "_wasi",
            "f32": "_annotations",
            "f64": "_annotations",
            "i32": "_annotations",
            "i64": "_annotations",
            "load_ipython_extension": "_notebook",
        },
    )

__all__ = [
    "AnyRef",
    "ArrayRef",
    "ArrayType",
    "AsExtern",
    "BoundAsyncFunc",
    "BoundFunc",
    "Caller",
    "Config",
    "DirPerms",
    "Engine",
    "EqRef",
    "ExitTrap",
    "ExnRef",
    "ExnType",
    "ExportType",
    "ExternRef",
    "FieldType",
    "FilePerms",
    "Frame",
    "Func",
    "FuncType",
    "Global",
    "GlobalType",
    "GuestExit",
    "GuestProfiler",
    "ImportType",
    "Instance",
    "InstancePre",
    "InterruptTrap",
    "Limits",
    "Linker",
    "Managed",
    "Memory",
    "MemoryType",
    "Module",
    "Output",
    "OutputLimitTrap",
    "PoolingAllocationConfig",
    "SharedMemory",
    "StorageType",
    "Store",
    "StoreContext",
    "Storelike",
    "StructRef",
    "StructType",
    "Table",
    "TableType",
    "Tag",
    "TagType",
    "TimeoutTrap",
    "Trap",
    "TrapCode",
    "Val",
    "ValType",
    "WasiConfig",
    "WasiTrap",
    "WasmException",
    "WasmtimeError",
    "__version__",
    "f32",
    "f64",
    "i32",
    "i64",
    "wat2wasm",
]
