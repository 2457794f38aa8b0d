"""References to objects of WebAssembly's garbage-collected heap.

Each Python object roots what it refers to: that stays alive in its store for as long as the Python
object does, whatever collections happen in between. A reference is used with the store that it was
made in; where an operator leaves no room for a store (``struct[0]``, ``len(array)``), it is the one
that the reference came from.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Optional, Union

from ._error import expect
from ._native import address_of, check, check_unsigned, core, ffi, lib
from ._store import Storelike, door, engine_of

if TYPE_CHECKING:
    from ._gctypes import ArrayType, ExnType, StructType
    from ._tag import Tag

__all__ = ["AnyRef", "ArrayRef", "EqRef", "ExnRef", "ExternRef", "StructRef"]

_I31_MIN = -(2**30)
_I31_MAX = 2**31 - 1


class AnyRef(core.Reference):
    """A reference below ``any``, the top of the GC proposal's types.

    What arrives from WebAssembly is as specific as it can be: a `StructRef`, an `ArrayRef`, an int
    for an i31, None for null. An AnyRef itself is what remains: an externref that the guest
    converted with ``any.convert_extern``; `to_extern` gives it back.

    Where WebAssembly asks for an anyref (or ``eqref``, ``i31ref``), a Python int from -2**30 to
    2**31-1 is taken as an i31. i31 values come back signed; ``value & 0x7FFFFFFF`` is the unsigned
    reading.
    """

    __slots__ = ("__weakref__",)

    def __init__(self, *arguments: Any) -> None:
        raise TypeError(
            f"cannot make {type(self).__name__} objects: use StructRef, ArrayRef or "
            "AnyRef.from_i31(), or get one from WebAssembly"
        )

    @staticmethod
    def from_i31(store: Storelike, value: int) -> EqRef:
        """A reference that is an i31.

        It is seldom needed: a plain int does wherever WebAssembly asks for a reference that can be
        an i31. This is for where the reference itself is looked at.

        Args:
            store: The store that the reference is for.
            value: -2**30 ... 2**31-1, signed or unsigned.

        Raises:
            TypeError: `value` is not an int.
            OverflowError: `value` is out of range.
            ValueError: The store is closed.
            WasmtimeError: The store is in use by another thread.

        C API: ``wasmtime_anyref_from_i31``.
        """
        expect(value, int, "value")
        if not _I31_MIN <= value <= _I31_MAX:
            raise OverflowError(f"value: {value} does not fit i31 (-2**30 ... 2**31-1)")
        native = ffi.new("wasmtime_anyref_t *")
        with door(store) as context:
            lib.wasmtime_anyref_from_i31(context, value & 0xFFFFFFFF, native)
            made: EqRef = EqRef._make(store, lib.WASMTIME_ANYREF, address_of(native))
        return made

    def is_i31(self, store: Storelike) -> bool:
        """Whether this is an i31.

        Raises:
            ValueError: The store is closed.
            WasmtimeError: This belongs to another store, or the store is in use by another thread.

        C API: ``wasmtime_anyref_i31_get_s``.
        """
        # wasmtime_anyref_is_i31 of version 50.0.1 says so of structs and arrays too.
        return self.as_i31(store) is not None

    def is_eqref(self, store: Storelike) -> bool:
        """Whether ``ref.eq`` takes this: structs, arrays and i31s. Raises as `is_i31`.

        C API: ``wasmtime_anyref_is_eqref``.
        """
        return self._ask(store, lib.wasmtime_anyref_is_eqref)

    def is_struct(self, store: Storelike) -> bool:
        """Whether this is a struct. Raises as `is_i31`.

        C API: ``wasmtime_anyref_is_struct``.
        """
        return self._ask(store, lib.wasmtime_anyref_is_struct)

    def is_array(self, store: Storelike) -> bool:
        """Whether this is an array. Raises as `is_i31`.

        C API: ``wasmtime_anyref_is_array``.
        """
        return self._ask(store, lib.wasmtime_anyref_is_array)

    def as_i31(self, store: Storelike, signed: bool = True) -> Optional[int]:
        """The number if this is an i31, else None.

        Args:
            store: The store that this lives in.
            signed: Read it as -2**30 ... 2**30-1, else as 0 ... 2**31-1.

        Raises:
            As `is_i31`.

        C API: ``wasmtime_anyref_i31_get_s`` and ``wasmtime_anyref_i31_get_u``.
        """
        number = ffi.new("int32_t *" if signed else "uint32_t *")
        read = lib.wasmtime_anyref_i31_get_s if signed else lib.wasmtime_anyref_i31_get_u
        with door(store, self) as context:
            known = read(context, self._native(), number)
        return int(number[0]) if known else None

    def type(self, store: Storelike) -> Union[str, StructType, ArrayType]:
        """The most specific type: a `StructType`, an `ArrayType`, "i31", or "any".

        It is one of those that `ValType.heap_type` has.

        Raises:
            As `is_i31`.

        C API: ``wasmtime_anyref_type``.
        """
        from ._gctypes import concrete_from_native

        heap = ffi.new("wasmtime_heaptype_t *")
        with door(store, self) as context:
            lib.wasmtime_anyref_type(context, self._native(), heap)
        try:
            if heap.kind == lib.WASMTIME_HEAPTYPE_KIND_I31:
                return "i31"
            if heap.kind == lib.WASMTIME_HEAPTYPE_KIND_ANY:
                return "any"
            ty: Any = concrete_from_native(heap.kind, heap.of, engine_of(store))
            return ty  # type: ignore[no-any-return]
        finally:
            lib.wasmtime_heaptype_delete(heap)

    def to_extern(self, store: Storelike) -> Any:
        """The same reference as an externref, as ``extern.convert_any`` makes it.

        Returns:
            The Python object if the reference once was an externref to one, else an `ExternRef`.

        Raises:
            As `is_i31`.

        C API: ``wasmtime_anyref_to_raw`` and ``wasmtime_externref_from_raw``.
        """
        return self._convert(store)

    def _native(self) -> Any:
        return ffi.cast("wasmtime_anyref_t *", self._any_address)

    def _ask(self, store: Storelike, question: Any) -> bool:
        with door(store, self) as context:
            return bool(question(context, self._native()))

    def __repr__(self) -> str:
        return f"<wasmtime.{type(self).__name__} at {id(self):#x}>"


class EqRef(AnyRef):
    """A reference that ``ref.eq`` compares.

    It is a `StructRef`, an `ArrayRef`, or an i31 made by `AnyRef.from_i31`.
    """

    __slots__ = ()


class StructRef(core.Aggregate, EqRef):
    """A struct: fields of types that its `StructType` tells, numbered from 0.

    ``struct[i]`` reads and writes a field, ``len(struct)`` counts them, and a struct can be
    unpacked like a tuple. `get` and `set` do the same with the store named. WebAssembly and Python
    see each other's changes at once.

    Args:
        store: The store to make the struct in.
        ty: Its type, of the store's engine.
        fields: A value for each field, as calls take them; packed integers (i8, i16) in the range
            of the signed or the unsigned type.

    Raises:
        TypeError: `ty` is not a `StructType`, or a value does not convert.
        OverflowError: A value is out of the range of its field.
        ValueError: `ty` belongs to another engine, or the store is closed.
        WasmtimeError: There are more or fewer values than fields, a reference is of a wrong type,
            something belongs to another store, the store's GC heap is full, or the store is in use
            by another thread.

    Example:
        >>> from wasmtime import FieldType, Store, StructRef, StructType, ValType
        >>> store = Store()
        >>> point = StructType(store.engine, [FieldType(ValType.I32, mutable=True)] * 2)
        >>> p = StructRef(store, point, [3, 4])
        >>> p[0] += 10
        >>> x, y = p
        >>> x, y
        (13, 4)

    C API: ``wasmtime_structref_new``, ``wasmtime_structref_field`` and
    ``wasmtime_structref_set_field``.
    """

    __slots__ = ()

    def __init__(self, store: Storelike, ty: StructType, fields: Iterable[Any] = ()) -> None:
        from ._gctypes import StructType

        expect(ty, StructType, "ty")
        _check_engine(store, ty)
        self._init_struct(store, address_of(ty._native), list(fields))

    def type(self, store: Storelike) -> StructType:
        """The struct's type.

        Raises:
            ValueError: The store is closed.
            WasmtimeError: This belongs to another store, or the store is in use by another thread.

        C API: ``wasmtime_structref_type``.
        """
        from ._gctypes import StructType

        with door(store, self) as context:
            pointer = ffi.cast("wasmtime_structref_t *", self._struct_address)
            native = lib.wasmtime_structref_type(context, pointer)
        return StructType._own(native, engine_of(store))


class ArrayRef(core.Aggregate, EqRef):
    """An array: any number of elements of the type that its `ArrayType` tells.

    ``array[i]`` reads and writes an element, ``array[i:j]`` gives a list of several and takes as
    many, ``len(array)`` counts them, and iteration goes over them. `get` and `set` do the same with
    the store named. The length never changes.

    Args:
        store: The store to make the array in.
        ty: Its type, of the store's engine.
        elements: The elements, as calls take them; packed integers (i8, i16) in the range of the
            signed or the unsigned type. Bytes do for i8. An array of immutable elements can only
            be made of equal numbers here: see `repeat`.

    Raises:
        TypeError: `ty` is not an `ArrayType`, or an element does not convert.
        OverflowError: An element is out of the range of its type, or there are too many.
        ValueError: `ty` belongs to another engine, or the store is closed.
        WasmtimeError: A reference is of a wrong type, something belongs to another store, the
            store's GC heap is full, the elements are immutable and differ, or the store is in use
            by another thread.

    Example:
        >>> from wasmtime import ArrayRef, ArrayType, FieldType, StorageType, Store
        >>> store = Store()
        >>> ty = ArrayType(store.engine, FieldType(StorageType.I8, mutable=True))
        >>> text = ArrayRef(store, ty, b"hello")
        >>> text[0] = ord("j")
        >>> bytes(text[:])
        b'jello'

    C API: ``wasmtime_arrayref_new``, ``wasmtime_arrayref_get`` and ``wasmtime_arrayref_set``.
    """

    __slots__ = ()

    def __init__(self, store: Storelike, ty: ArrayType, elements: Iterable[Any]) -> None:
        self._make_array(store, ty, list(elements), -1)

    @classmethod
    def repeat(cls, store: Storelike, ty: ArrayType, value: Any, length: int) -> ArrayRef:
        """An array of `length` times the same value.

        Args:
            store: The store to make the array in.
            ty: Its type, of the store's engine.
            value: Every element.
            length: 0 ... 2**32-1; how much the store's GC heap takes is far less.

        Raises:
            As the class does, and TypeError if `length` is not an int, OverflowError if it is out
            of range.
        """
        check_unsigned("length", expect(length, int, "length"), 32)
        self = cls.__new__(cls)
        self._make_array(store, ty, [value], length)
        return self

    def _make_array(self, store: Storelike, ty: ArrayType, values: list[Any], times: int) -> None:
        from ._gctypes import ArrayType

        expect(ty, ArrayType, "ty")
        _check_engine(store, ty)
        self._init_array(store, address_of(ty._native), ty.element.mutable, values, times)

    def type(self, store: Storelike) -> ArrayType:
        """The array's type.

        Raises:
            ValueError: The store is closed.
            WasmtimeError: This belongs to another store, or the store is in use by another thread.

        C API: ``wasmtime_arrayref_type``.
        """
        from ._gctypes import ArrayType

        with door(store, self) as context:
            pointer = ffi.cast("wasmtime_arrayref_t *", self._array_address)
            native = lib.wasmtime_arrayref_type(context, pointer)
        return ArrayType._own(native, engine_of(store))


class ExnRef(core.Aggregate):
    """An exception of WebAssembly: a tag, and values of the types that the tag's type tells.

    ``exn[i]`` reads a value, ``len(exn)`` counts them, and an exception can be unpacked like a
    tuple. Nothing about it can change. To throw one, a host function raises `WasmException`.

    Args:
        store: The store to make the exception in.
        tag: Its tag.
        values: A value for each parameter of the tag's type, as calls take them.

    Raises:
        TypeError: `tag` is not a `Tag`, or a value does not convert.
        OverflowError: A value is out of the range of its type.
        ValueError: The store is closed.
        WasmtimeError: There are more or fewer values than the tag's type has, a reference is of a
            wrong type, something belongs to another store, the store's GC heap is full, or the
            store is in use by another thread.

    C API: ``wasmtime_exnref_new`` and ``wasmtime_exnref_field``.
    """

    __slots__ = ("__weakref__",)

    def __init__(self, store: Storelike, tag: Tag, values: Iterable[Any] = ()) -> None:
        expect(tag, core.Tag, "tag")
        self._init_exn(store, tag, list(values))

    def tag(self, store: Storelike) -> Tag:
        """The exception's tag.

        Raises:
            ValueError: The store is closed.
            WasmtimeError: This belongs to another store, or the store is in use by another thread.

        C API: ``wasmtime_exnref_tag``.
        """
        item = ffi.new("wasmtime_extern_t *")
        item.kind = lib.WASMTIME_EXTERN_TAG
        with door(store, self) as context:
            pointer = ffi.cast("wasmtime_exnref_t *", self._exn_address)
            check(lib.wasmtime_exnref_tag(context, pointer, ffi.addressof(item.of, "tag")))
            tag: Tag = core.wrap_extern(store, address_of(item))
        return tag

    def type(self, store: Storelike) -> ExnType:
        """The exception's type. Raises as `tag`.

        C API: ``wasmtime_exnref_type``.
        """
        from ._gctypes import ExnType

        with door(store, self) as context:
            pointer = ffi.cast("wasmtime_exnref_t *", self._exn_address)
            native = lib.wasmtime_exnref_type(context, pointer)
        return ExnType._own(native, engine_of(store))

    def __repr__(self) -> str:
        return f"<wasmtime.ExnRef at {id(self):#x}>"


class ExternRef(core.Reference):
    """An externref that no Python object stands behind.

    The guest made it from an anyref with ``extern.convert_any``. An externref that Python made
    arrives as the Python object itself.
    """

    __slots__ = ("__weakref__",)

    def __init__(self, *arguments: Any) -> None:
        raise TypeError(
            "cannot make an ExternRef: any Python object can be passed as an externref as it is"
        )

    def to_any(self, store: Storelike) -> Any:
        """The same reference as an anyref, as ``any.convert_extern`` makes it.

        It is a `StructRef`, an `ArrayRef`, or an int for an i31.

        Raises:
            ValueError: The store is closed.
            WasmtimeError: This belongs to another store, or the store is in use by another thread.

        C API: ``wasmtime_externref_to_raw`` and ``wasmtime_anyref_from_raw``.
        """
        return self._convert(store)

    def __repr__(self) -> str:
        return f"<wasmtime.ExternRef at {id(self):#x}>"


def _check_engine(store: Storelike, ty: Union[StructType, ArrayType]) -> None:
    """Refuse a type of another engine, for which the library would end the process."""
    if ty._engine is not engine_of(store):
        raise ValueError(f"the type {ty} belongs to another engine than the store")
