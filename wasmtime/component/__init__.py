"""The component model: components, what they import and export, and the values that pass.

A `Component` is code with a typed interface. A `Linker` defines what it imports, by Python
functions, objects and classes or by WASI; an `Instance` of it lives in a `wasmtime.Store`, and its
functions take and give Python values.

    >>> from wasmtime import Engine, Store
    >>> from wasmtime.component import Component, Linker
    >>> engine = Engine()
    >>> component = Component(engine, '''
    ...     (component
    ...       (core module $m (func (export "add") (param i32 i32) (result i32)
    ...         (i32.add (local.get 0) (local.get 1))))
    ...       (core instance $i (instantiate $m))
    ...       (func (export "add") (param "a" s32) (param "b" s32) (result s32)
    ...         (canon lift (core func $i "add"))))''')
    >>> store = Store(engine)
    >>> Linker(engine).instantiate(store, component).exports(store).add(store, 2, 3)
    5
"""

from .._native import core as _core
from ._component import Component, ExportIndex
from ._errors import (
    ComponentInterruptTrap,
    ComponentTimeoutTrap,
    ComponentTrap,
    UnsupportedTypeError,
)
from ._errors import refine as _refine
from ._exports import Exports
from ._func import Func
from ._host import lift_resource as _raise_resource
from ._host import lower_resource as _lower_resource
from ._host import needs_store
from ._instance import Instance
from ._linker import Linker, LinkerInstance
from ._resource_type import ResourceType
from ._resources import ResourceAny, ResourceHost
from ._types import (
    F32,
    F64,
    S8,
    S16,
    S32,
    S64,
    U8,
    U16,
    U32,
    U64,
    Bool,
    BorrowType,
    Char,
    ComponentExtern,
    ComponentInstanceType,
    ComponentItem,
    ComponentType,
    EnumType,
    ErrorContext,
    FixedLengthListType,
    FlagsType,
    FuncType,
    FutureType,
    ListType,
    MapType,
    ModuleType,
    OptionType,
    OwnType,
    RecordType,
    ResultType,
    StreamType,
    String,
    TupleType,
    ValType,
    VariantType,
)
from ._values import Err, Ok, Record, UnwrapError, Variant

_core.setup_component(
    Func=Func,
    Instance=Instance,
    Record=Record,
    Variant=Variant,
    Ok=Ok,
    Err=Err,
    ResourceAny=ResourceAny,
    ResourceHost=ResourceHost,
    UnsupportedTypeError=UnsupportedTypeError,
    refine=_refine,
    lift_resource=_raise_resource,
    lower_resource=_lower_resource,
)

__all__ = [
    "F32",
    "F64",
    "S8",
    "S16",
    "S32",
    "S64",
    "U8",
    "U16",
    "U32",
    "U64",
    "Bool",
    "BorrowType",
    "Char",
    "Component",
    "ComponentExtern",
    "ComponentInstanceType",
    "ComponentInterruptTrap",
    "ComponentItem",
    "ComponentTimeoutTrap",
    "ComponentTrap",
    "ComponentType",
    "EnumType",
    "Err",
    "ErrorContext",
    "ExportIndex",
    "Exports",
    "FixedLengthListType",
    "FlagsType",
    "Func",
    "FuncType",
    "FutureType",
    "Instance",
    "Linker",
    "LinkerInstance",
    "ListType",
    "MapType",
    "ModuleType",
    "Ok",
    "OptionType",
    "OwnType",
    "Record",
    "RecordType",
    "ResourceAny",
    "ResourceHost",
    "ResourceType",
    "ResultType",
    "StreamType",
    "String",
    "TupleType",
    "UnsupportedTypeError",
    "UnwrapError",
    "ValType",
    "Variant",
    "VariantType",
    "needs_store",
]
