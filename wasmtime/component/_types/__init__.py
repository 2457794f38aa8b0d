"""The types of components: of what they import and export, and of the values that pass.

Types of values are plain, immutable Python values: they compare by structure, can be hashed and
printed (`str` gives WIT text), and hold nothing native but the identity of resources. What a
component imports and exports is read from the library when it is asked for.
"""

from .._values import Record, Variant
from .items import (
    ComponentExtern,
    ComponentInstanceType,
    ComponentItem,
    ComponentType,
    FuncType,
    ModuleType,
    plain,
)
from .values import (
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
    EnumType,
    ErrorContext,
    FixedLengthListType,
    FlagsType,
    FutureType,
    ListType,
    MapType,
    OptionType,
    OwnType,
    RecordType,
    ResultType,
    StreamType,
    String,
    TupleType,
    ValType,
    VariantLikeType,
    VariantType,
    unsupported_part,
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
    "ComponentExtern",
    "ComponentInstanceType",
    "ComponentItem",
    "ComponentType",
    "EnumType",
    "ErrorContext",
    "FixedLengthListType",
    "FlagsType",
    "FuncType",
    "FutureType",
    "ListType",
    "MapType",
    "ModuleType",
    "OptionType",
    "OwnType",
    "Record",
    "RecordType",
    "ResultType",
    "StreamType",
    "String",
    "TupleType",
    "ValType",
    "Variant",
    "VariantLikeType",
    "VariantType",
    "plain",
    "unsupported_part",
]

# Pickles name this package, whatever file of it a class is in.
for _class in list(globals().values()):
    if isinstance(_class, type) and _class.__module__.startswith(f"{__name__}."):
        _class.__module__ = __name__
