"""The types of structs, arrays and exceptions, which live in an engine.

They are of the GC and exception-handling proposals. Each owns its native type, which is freed with
the Python object.

Two types of the same shape are one type in an engine, however often they are made, and they are
compared so. Types of different engines never mix; where they are used together it is refused here,
because the C API would end the process.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, NoReturn, Optional, TypeVar, Union

from ._error import WasmtimeError
from ._native import check, ffi, lib
from ._types import TagType, TypeValue, ValType
from ._types.values import engine_pointer, new_valtype_vec, read_valtype_vec, val_types

__all__ = ["ArrayType", "ExnType", "FieldType", "StorageType", "StructType"]

_Concrete = TypeVar("_Concrete", bound="ConcreteType")

#: More fields than that are refused by every validator, and the C API aborts at them.
_MOST_FIELDS = 10_000


class StorageType(TypeValue):
    """How a field is kept in memory: as a value, or packed into 8 or 16 bits.

    Args:
        valtype: The type of the value. The packed ones are `StorageType.I8` and
            `StorageType.I16`; code reads and writes them as `i32`.

    Raises:
        TypeError: `valtype` is not a `ValType`.
    """

    __slots__ = ("_kind", "_valtype")

    _kind: int
    _valtype: Optional[ValType]

    I8: ClassVar[StorageType]
    I16: ClassVar[StorageType]

    def __init__(self, valtype: ValType) -> None:
        if not isinstance(valtype, ValType):
            raise TypeError(f"expected ValType, not {type(valtype).__name__}")
        self._fill(_kind=lib.WASMTIME_STORAGE_TYPE_KIND_VALTYPE, _valtype=valtype)

    @classmethod
    def _packed(cls, kind: int) -> StorageType:
        self = cls.__new__(cls)
        self._fill(_kind=kind, _valtype=None)
        return self

    @classmethod
    def i8(cls) -> StorageType:
        """Returns the packed type of 8 bits."""
        return cls.I8

    @classmethod
    def i16(cls) -> StorageType:
        """Returns the packed type of 16 bits."""
        return cls.I16

    @property
    def valtype(self) -> Optional[ValType]:
        """The type of the value; None for the packed types."""
        return self._valtype

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StorageType):
            return NotImplemented
        return self._kind == other._kind and self._valtype == other._valtype

    def __hash__(self) -> int:
        return hash((self._kind, self._valtype))

    def __str__(self) -> str:
        if self._valtype is not None:
            return str(self._valtype)
        return "i8" if self._kind == lib.WASMTIME_STORAGE_TYPE_KIND_I8 else "i16"

    def __repr__(self) -> str:
        if self._valtype is not None:
            return f"StorageType({self._valtype!r})"
        return f"StorageType.{str(self).upper()}"

    def __reduce__(self) -> tuple[object, ...]:
        if self._valtype is not None:
            return (StorageType, (self._valtype,))
        return (StorageType._packed, (self._kind,))


StorageType.I8 = StorageType._packed(lib.WASMTIME_STORAGE_TYPE_KIND_I8)
StorageType.I16 = StorageType._packed(lib.WASMTIME_STORAGE_TYPE_KIND_I16)


class FieldType(TypeValue):
    """The type of a field of a struct, or of the elements of an array.

    Args:
        storage: How the field is kept; a `ValType` stands for its `StorageType`.
        mutable: Whether the field can be set after the object was made.

    Raises:
        TypeError: `storage` is neither.
    """

    __slots__ = ("_mutable", "_storage")

    _storage: StorageType
    _mutable: bool

    def __init__(self, storage: Union[StorageType, ValType], mutable: bool = False) -> None:
        if isinstance(storage, ValType):
            storage = StorageType(storage)
        elif not isinstance(storage, StorageType):
            raise TypeError(f"expected StorageType or ValType, not {type(storage).__name__}")
        self._fill(_storage=storage, _mutable=bool(mutable))

    @property
    def storage(self) -> StorageType:
        """How the field is kept."""
        return self._storage

    @property
    def mutable(self) -> bool:
        """Whether the field can be set after the object was made."""
        return self._mutable

    def _write(self, native: Any, keep: list[Any]) -> None:
        """Fills a `wasmtime_field_type_t`; what it points to is added to `keep`."""
        native.mutable_ = self._mutable
        native.storage.kind = self._storage._kind
        native.storage.valtype = ffi.NULL
        if self._storage._valtype is not None:
            valtype = self._storage._valtype._to_native()
            keep.append(valtype)
            native.storage.valtype = valtype

    @classmethod
    def _read(cls, native: Any, engine: Optional[object]) -> FieldType:
        """Reads a `wasmtime_field_type_t *` that the caller owns, and deletes what it holds."""
        try:
            kind = native.storage.kind
            if kind == lib.WASMTIME_STORAGE_TYPE_KIND_VALTYPE:
                storage = StorageType(ValType._from_native(native.storage.valtype, engine))
            else:
                storage = StorageType._packed(kind)
            return cls(storage, bool(native.mutable_))
        finally:
            lib.wasmtime_field_type_delete(native)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FieldType):
            return NotImplemented
        return self._storage == other._storage and self._mutable == other._mutable

    def __hash__(self) -> int:
        return hash((self._storage, self._mutable))

    def __str__(self) -> str:
        return f"(mut {self._storage})" if self._mutable else str(self._storage)

    def __repr__(self) -> str:
        storage = self._storage if self._storage._valtype is None else self._storage._valtype
        return f"FieldType({storage!r}, {self._mutable!r})"

    def __reduce__(self) -> tuple[object, ...]:
        return (FieldType, (self._storage, self._mutable))


def _field(value: object, what: str) -> FieldType:
    if isinstance(value, FieldType):
        return value
    if isinstance(value, (StorageType, ValType)):
        return FieldType(value)
    raise TypeError(f"expected FieldType, not {type(value).__name__}, as {what}")


def _check_field(field: FieldType, engine: object) -> None:
    if field.storage.valtype is not None:
        field.storage.valtype._check_engine(engine)


class ConcreteType(TypeValue):
    """What the types of structs, arrays and exceptions share: a native handle, and an engine."""

    __slots__ = ("_engine", "_native")

    _heap: ClassVar[int]
    _member: ClassVar[str]
    _copy: ClassVar[Any]
    _delete: ClassVar[Any]
    _engine: Optional[object]
    _native: Any

    @classmethod
    def _own(cls: type[_Concrete], native: Any, engine: Optional[object]) -> _Concrete:
        """Takes over a native type."""
        self = cls.__new__(cls)
        self._fill(_native=ffi.gc(native, cls._delete), _engine=engine)
        return self

    @classmethod
    def _from_native(cls: type[_Concrete], pointer: Any, engine: Optional[object]) -> _Concrete:
        """Copies a borrowed native type."""
        return cls._own(cls._copy(pointer), engine)

    def _as_heap_type(self) -> tuple[int, str, Any, Optional[object]]:
        return self._heap, self._member, self._native, self._engine

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        if self._native == other._native:
            return True
        if self._engine is None or self._engine is not other._engine:
            return False
        return ValType.ref(self) == ValType.ref(other)  # type: ignore[arg-type]

    def __hash__(self) -> int:
        return hash((type(self), id(self._engine)))

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"cannot pickle {type(self).__name__}: it belongs to one engine")


def _gc_engine(engine: object) -> tuple[Any, Any]:
    """Returns an engine's handle and pointer, if the engine has a garbage collector at all."""
    handle, pointer = engine_pointer(engine)
    # The functions that make structs and arrays abort without one; this one reports it.
    empty = ffi.new("wasm_valtype_vec_t *")
    made = ffi.new("wasmtime_exn_type_t **")
    error = lib.wasmtime_exn_type_new(pointer, empty, made)
    if error != ffi.NULL:
        lib.wasmtime_error_delete(error)
        raise WasmtimeError(
            "the engine has no garbage collector, which structs, arrays and exceptions need: "
            "set Config.gc_support"
        )
    lib.wasmtime_exn_type_delete(made[0])
    return handle, pointer


class StructType(ConcreteType):
    """The type of a struct (GC proposal).

    Args:
        engine: The `Engine` that the type is to belong to.
        fields: The types of the fields, in order. A `ValType` or `StorageType` stands for an
            immutable field.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: The type of a field belongs to another engine.
        WasmtimeError: The engine has no garbage collector, or there are too many fields.

    C API: ``wasmtime_struct_type_new``.
    """

    __slots__ = ()

    _heap = lib.WASMTIME_HEAPTYPE_KIND_CONCRETE_STRUCT
    _member = "concrete_struct"
    _copy = lib.wasmtime_struct_type_copy
    _delete = lib.wasmtime_struct_type_delete

    def __init__(
        self, engine: object, fields: Iterable[Union[FieldType, StorageType, ValType]]
    ) -> None:
        checked = [_field(field, f"fields[{i}]") for i, field in enumerate(fields)]
        if len(checked) > _MOST_FIELDS:
            raise WasmtimeError(f"a struct has at most {_MOST_FIELDS} fields, not {len(checked)}")
        handle, pointer = _gc_engine(engine)
        keep: list[Any] = [handle]
        native = ffi.new("wasmtime_field_type_t[]", len(checked))
        for i, field in enumerate(checked):
            _check_field(field, engine)
            field._write(native[i], keep)
        made = lib.wasmtime_struct_type_new(pointer, native, len(checked))
        self._fill(_native=ffi.gc(made, self._delete), _engine=engine)
        del keep

    @property
    def fields(self) -> list[FieldType]:
        """The types of the fields, in order, as a new list."""
        fields = []
        for i in range(lib.wasmtime_struct_type_num_fields(self._native)):
            native = ffi.new("wasmtime_field_type_t *")
            lib.wasmtime_struct_type_field(self._native, i, native)
            fields.append(FieldType._read(native, self._engine))
        return fields

    def __str__(self) -> str:
        return "(struct" + "".join(f" (field {field})" for field in self.fields) + ")"

    def __repr__(self) -> str:
        return f"<StructType {self}>"


class ArrayType(ConcreteType):
    """The type of an array (GC proposal).

    Args:
        engine: The `Engine` that the type is to belong to.
        element: The type of the elements. A `ValType` or `StorageType` stands for immutable
            ones.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: The type of the elements belongs to another engine.
        WasmtimeError: The engine has no garbage collector.

    C API: ``wasmtime_array_type_new``.
    """

    __slots__ = ()

    _heap = lib.WASMTIME_HEAPTYPE_KIND_CONCRETE_ARRAY
    _member = "concrete_array"
    _copy = lib.wasmtime_array_type_copy
    _delete = lib.wasmtime_array_type_delete

    def __init__(self, engine: object, element: Union[FieldType, StorageType, ValType]) -> None:
        checked = _field(element, "element")
        handle, pointer = _gc_engine(engine)
        _check_field(checked, engine)
        keep: list[Any] = [handle]
        native = ffi.new("wasmtime_field_type_t *")
        checked._write(native, keep)
        made = lib.wasmtime_array_type_new(pointer, native)
        self._fill(_native=ffi.gc(made, self._delete), _engine=engine)
        del keep

    @property
    def element(self) -> FieldType:
        """The type of the elements."""
        native = ffi.new("wasmtime_field_type_t *")
        lib.wasmtime_array_type_element(self._native, native)
        return FieldType._read(native, self._engine)

    def __str__(self) -> str:
        return f"(array {self.element})"

    def __repr__(self) -> str:
        return f"<ArrayType {self}>"


class ExnType(ConcreteType):
    """The type of an exception (exception-handling proposal).

    Args:
        engine: The `Engine` that the type is to belong to.
        params: The types of the payload.

    Raises:
        TypeError: An argument is of the wrong type.
        ValueError: A type of the payload belongs to another engine.
        WasmtimeError: The engine has no garbage collector, or the library refuses the type.

    C API: ``wasmtime_exn_type_new``.
    """

    __slots__ = ()

    _heap = lib.WASMTIME_HEAPTYPE_KIND_CONCRETE_EXN
    _member = "concrete_exn"
    _copy = lib.wasmtime_exn_type_copy
    _delete = lib.wasmtime_exn_type_delete

    def __init__(self, engine: object, params: Iterable[ValType]) -> None:
        checked = val_types("params", params)
        handle, pointer = _gc_engine(engine)
        for ty in checked:
            ty._check_engine(engine)
        # wasmtime_exn_type_new only reads the vector.
        native = new_valtype_vec(checked)
        try:
            made = ffi.new("wasmtime_exn_type_t **")
            check(lib.wasmtime_exn_type_new(pointer, native, made))
        finally:
            lib.wasm_valtype_vec_delete(native)
        self._fill(_native=ffi.gc(made[0], self._delete), _engine=engine)
        del handle

    @property
    def tag_type(self) -> TagType:
        """The type of the tag that such exceptions are thrown with."""
        native = ffi.gc(
            lib.wasmtime_exn_type_tag_type(self._native),
            lib.wasm_tagtype_delete,
        )
        return TagType._from_native(native, self._engine)

    @property
    def params(self) -> list[ValType]:
        """The types of the payload, as a new list."""
        native = ffi.gc(
            lib.wasmtime_exn_type_tag_type(self._native),
            lib.wasm_tagtype_delete,
        )
        functype = lib.wasm_tagtype_functype(native)
        return list(read_valtype_vec(lib.wasm_functype_params(functype), self._engine))

    def __str__(self) -> str:
        params = self.params
        return f"(exn (param {' '.join(map(str, params))}))" if params else "(exn)"

    def __repr__(self) -> str:
        return f"<ExnType {self}>"


def concrete_from_native(
    heap: int, of: Any, engine: Optional[object]
) -> Union[StructType, ArrayType, ExnType]:
    """Copies the concrete type in a borrowed `wasmtime_heaptype_union_t`."""
    if heap == lib.WASMTIME_HEAPTYPE_KIND_CONCRETE_STRUCT:
        return StructType._from_native(of.concrete_struct, engine)
    if heap == lib.WASMTIME_HEAPTYPE_KIND_CONCRETE_ARRAY:
        return ArrayType._from_native(of.concrete_array, engine)
    if heap == lib.WASMTIME_HEAPTYPE_KIND_CONCRETE_EXN:
        return ExnType._from_native(of.concrete_exn, engine)
    raise WasmtimeError(f"unknown heap type: kind {heap}")
