"""The types of WebAssembly as plain Python values.

A type here is a description and nothing else: it can be compared, hashed, printed, copied and
pickled, it holds no native object, and there is nothing to close. The native form that the C API
wants is made for the one call that needs it and freed after it. The exception are references to
a *concrete* type (`(ref $t)`, of the function-references and GC proposals): such a type lives in
the type registry of one engine, so the value keeps a native handle, belongs to that engine, and
cannot be pickled.

Value types are read through `wasmtime_valtype_new`, which knows all of them;
`wasm_valtype_kind`, of the older half of the C API, ends the process when it meets a vector or a
reference other than `funcref` and `externref`.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Optional, SupportsIndex, TypeVar, Union

from ._error import WasmtimeError
from ._native import address_of, check, core, encode_name, ffi, lib, unsigned

if TYPE_CHECKING:
    from ._gctypes import ArrayType, ExnType, StructType

__all__ = [
    "AsExternType",
    "ExportType",
    "FuncType",
    "GlobalType",
    "ImportType",
    "Limits",
    "MemoryType",
    "TableType",
    "TagType",
    "ValType",
    "extern_type_from_native",
    "module_exports",
    "module_imports",
]

if TYPE_CHECKING:
    _Self = TypeVar("_Self", bound="TypeValue")
else:
    _Self = TypeVar("_Self")  # a name in quotes would start the compiler at every import

#: What a heap type can be: the name of an abstract one, or a concrete type.
if TYPE_CHECKING:
    HeapType = Union[str, "FuncType", StructType, ArrayType, ExnType]
else:
    HeapType = Union[str, object]


#: How a slot of a type is set, past `TypeValue.__setattr__`.
_set = object.__setattr__


class TypeValue:
    """What all types share: they are immutable, and closing them does nothing.

    `close` and `with` are here because the published package has them on its types, where they
    free the native object; a value has nothing to free and stays usable.
    """

    __slots__ = ("__weakref__",)

    def _fill(self, **values: object) -> None:
        """Sets the slots of a new object; nothing else gets past `__setattr__`."""
        for name in values:  # not items(): without memory, CPython 3.11 crashes there
            _set(self, name, values[name])

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(
            f"{type(self).__name__} objects do not change: cannot set {name!r}; make a new one"
        )

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} objects do not change: cannot delete {name!r}")

    def close(self) -> None:
        """Does nothing: a type holds no resource (kept for code that closes its types)."""

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __copy__(self: _Self) -> _Self:
        return self

    def __deepcopy__(self: _Self, memo: dict[int, object]) -> _Self:
        return self


# ------------------------------------------------------------------------------ value types

_NUMBERS = {
    "i32": lib.WASMTIME_VALTYPE_KIND_I32,
    "i64": lib.WASMTIME_VALTYPE_KIND_I64,
    "f32": lib.WASMTIME_VALTYPE_KIND_F32,
    "f64": lib.WASMTIME_VALTYPE_KIND_F64,
    "v128": lib.WASMTIME_VALTYPE_KIND_V128,
}
_NUMBER_NAMES = {kind: name for name, kind in _NUMBERS.items()}

#: Abstract heap types: the name in the text format, and the name of the nullable reference to it.
_HEAPS = {
    "extern": (lib.WASMTIME_HEAPTYPE_KIND_EXTERN, "externref"),
    "noextern": (lib.WASMTIME_HEAPTYPE_KIND_NOEXTERN, "nullexternref"),
    "func": (lib.WASMTIME_HEAPTYPE_KIND_FUNC, "funcref"),
    "nofunc": (lib.WASMTIME_HEAPTYPE_KIND_NOFUNC, "nullfuncref"),
    "any": (lib.WASMTIME_HEAPTYPE_KIND_ANY, "anyref"),
    "none": (lib.WASMTIME_HEAPTYPE_KIND_NONE, "nullref"),
    "eq": (lib.WASMTIME_HEAPTYPE_KIND_EQ, "eqref"),
    "i31": (lib.WASMTIME_HEAPTYPE_KIND_I31, "i31ref"),
    "array": (lib.WASMTIME_HEAPTYPE_KIND_ARRAY, "arrayref"),
    "struct": (lib.WASMTIME_HEAPTYPE_KIND_STRUCT, "structref"),
    "exn": (lib.WASMTIME_HEAPTYPE_KIND_EXN, "exnref"),
    "noexn": (lib.WASMTIME_HEAPTYPE_KIND_NOEXN, "nullexnref"),
}
_HEAP_NAMES = {kind: (name, short) for name, (kind, short) in _HEAPS.items()}
_CONCRETE = {
    lib.WASMTIME_HEAPTYPE_KIND_CONCRETE_FUNC: "$func",
    lib.WASMTIME_HEAPTYPE_KIND_CONCRETE_ARRAY: "$array",
    lib.WASMTIME_HEAPTYPE_KIND_CONCRETE_STRUCT: "$struct",
    lib.WASMTIME_HEAPTYPE_KIND_CONCRETE_EXN: "$exn",
}


class ValType(TypeValue):
    """The type of a value: a number, a vector, or a reference.

    The types are had as class attributes (`ValType.I32`) or from class methods (`ValType.i32()`);
    both give the same object. References other than the named ones are made with `ref`.

    Example:
        >>> from wasmtime import ValType
        >>> ValType.I32
        i32
        >>> ValType.ref("func", nullable=False)
        (ref func)
    """

    __slots__ = ("_engine", "_heap", "_kind", "_native", "_nullable")

    _kind: int
    _heap: int
    _nullable: bool
    _native: Any
    _engine: Optional[object]

    _known: ClassVar[dict[str, ValType]] = {}

    I32: ClassVar[ValType]
    I64: ClassVar[ValType]
    F32: ClassVar[ValType]
    F64: ClassVar[ValType]
    V128: ClassVar[ValType]
    FUNCREF: ClassVar[ValType]
    EXTERNREF: ClassVar[ValType]
    ANYREF: ClassVar[ValType]
    EXNREF: ClassVar[ValType]

    def __init__(self) -> None:
        raise WasmtimeError(
            "cannot construct directly: use ValType.I32, ValType.i32() and the like, "
            "or ValType.ref()"
        )

    @classmethod
    def _make(
        cls,
        kind: int,
        heap: int = -1,
        nullable: bool = False,
        native: Any = None,
        engine: Optional[object] = None,
    ) -> ValType:
        self = cls.__new__(cls)
        self._fill(_kind=kind, _heap=heap, _nullable=nullable, _native=native, _engine=engine)
        if native is not None:
            return self
        # There is one object for each type that needs no engine.
        return cls._known.setdefault(str(self), self)

    @classmethod
    def _named(cls, name: str) -> ValType:
        return cls._known[name]

    @classmethod
    def i32(cls) -> ValType:
        """Returns the type of 32-bit integers."""
        return cls.I32

    @classmethod
    def i64(cls) -> ValType:
        """Returns the type of 64-bit integers."""
        return cls.I64

    @classmethod
    def f32(cls) -> ValType:
        """Returns the type of single-precision floating-point numbers."""
        return cls.F32

    @classmethod
    def f64(cls) -> ValType:
        """Returns the type of double-precision floating-point numbers."""
        return cls.F64

    @classmethod
    def v128(cls) -> ValType:
        """Returns the type of 128-bit vectors (SIMD proposal)."""
        return cls.V128

    @classmethod
    def externref(cls) -> ValType:
        """Returns the type of references to objects of the host, null included."""
        return cls.EXTERNREF

    @classmethod
    def funcref(cls) -> ValType:
        """Returns the type of references to any function, null included."""
        return cls.FUNCREF

    @classmethod
    def anyref(cls) -> ValType:
        """Returns the type of references to any internal object (GC proposal), null included."""
        return cls.ANYREF

    @classmethod
    def eqref(cls) -> ValType:
        """Returns the type of references that `ref.eq` compares (GC proposal), null included."""
        return cls._named("eqref")

    @classmethod
    def i31ref(cls) -> ValType:
        """Returns the type of unboxed 31-bit integers (GC proposal), null included."""
        return cls._named("i31ref")

    @classmethod
    def structref(cls) -> ValType:
        """Returns the type of references to any struct (GC proposal), null included."""
        return cls._named("structref")

    @classmethod
    def arrayref(cls) -> ValType:
        """Returns the type of references to any array (GC proposal), null included."""
        return cls._named("arrayref")

    @classmethod
    def exnref(cls) -> ValType:
        """Returns the type of references to exceptions (exceptions proposal), null included."""
        return cls.EXNREF

    @classmethod
    def nullref(cls) -> ValType:
        """Returns the type whose one value is the null of `anyref` (`(ref null none)`)."""
        return cls._named("nullref")

    @classmethod
    def nullfuncref(cls) -> ValType:
        """Returns the type whose one value is the null of `funcref` (`(ref null nofunc)`)."""
        return cls._named("nullfuncref")

    @classmethod
    def nullexternref(cls) -> ValType:
        """Returns the type whose one value is the null of `externref` (`(ref null noextern)`)."""
        return cls._named("nullexternref")

    @classmethod
    def nullexnref(cls) -> ValType:
        """Returns the type whose one value is the null of `exnref` (`(ref null noexn)`)."""
        return cls._named("nullexnref")

    @classmethod
    def ref(
        cls, heap_type: HeapType, nullable: bool = True, engine: Optional[object] = None
    ) -> ValType:
        """Returns the type of references to `heap_type`.

        Args:
            heap_type: the name of an abstract heap type as in the text format ("extern",
                "noextern", "func", "nofunc", "any", "none", "eq", "i31", "array", "struct",
                "exn", "noexn"), or a `StructType`, `ArrayType`, `ExnType` or `FuncType`.
            nullable: whether null is one of the values.
            engine: the `Engine` in which a `FuncType` is to be registered. The other concrete
                types know theirs.

        Raises:
            TypeError: `heap_type` is none of these.
            ValueError: the name is unknown, or a `FuncType` was given without an engine.
        """
        if isinstance(heap_type, str):
            try:
                heap, _ = _HEAPS[heap_type]
            except KeyError:
                raise ValueError(
                    f"unknown heap type {heap_type!r}: expected one of {', '.join(_HEAPS)}"
                ) from None
            return cls._make(lib.WASMTIME_VALTYPE_KIND_REF, heap, bool(nullable))
        if isinstance(heap_type, FuncType):
            if engine is None:
                raise ValueError(
                    "a reference to a function type belongs to an engine: pass engine="
                )
            native = heap_type._to_native()
            heap = lib.WASMTIME_HEAPTYPE_KIND_CONCRETE_FUNC
            heap_type._check_engine(engine)
            return cls._concrete(heap, "concrete_func", native, bool(nullable), engine)
        concrete = getattr(heap_type, "_as_heap_type", None)
        if concrete is None:
            raise TypeError(
                "heap_type must be a str, FuncType, StructType, ArrayType or ExnType, "
                f"not {type(heap_type).__name__}"
            )
        heap, field, native, owner = concrete()
        if engine is not None and engine is not owner:
            raise ValueError(f"the {type(heap_type).__name__} belongs to another engine")
        return cls._concrete(heap, field, native, bool(nullable), owner)

    @classmethod
    def _concrete(
        cls, heap: int, field: str, native: Any, nullable: bool, engine: Optional[object]
    ) -> ValType:
        described = ffi.new("wasmtime_valtype_t *")
        described.kind = lib.WASMTIME_VALTYPE_KIND_REF
        described.reftype.nullable = nullable
        described.reftype.heaptype.kind = heap
        # Lent: wasmtime_valtype_to_wasm copies, and `described` is not deleted.
        setattr(described.reftype.heaptype.of, field, native)
        handle, pointer = _engine_pointer(engine)
        made = ffi.gc(lib.wasmtime_valtype_to_wasm(pointer, described), lib.wasm_valtype_delete)
        del handle
        return cls._make(lib.WASMTIME_VALTYPE_KIND_REF, heap, nullable, made, engine)

    @property
    def is_ref(self) -> bool:
        """Whether values of this type are references."""
        return self._kind == lib.WASMTIME_VALTYPE_KIND_REF

    @property
    def nullable(self) -> bool:
        """Whether null is a value of this type; False for numbers and vectors."""
        return self._nullable

    @property
    def heap_type(self) -> Optional[HeapType]:
        """What a reference of this type points to; None for numbers and vectors.

        The name of an abstract heap type ("func", "extern", "any", ...), or a `FuncType`,
        `StructType`, `ArrayType` or `ExnType`.
        """
        if self._kind != lib.WASMTIME_VALTYPE_KIND_REF:
            return None
        if self._native is None:
            return _HEAP_NAMES[self._heap][0]
        from ._gctypes import concrete_from_native

        described = ffi.new("wasmtime_valtype_t *")
        lib.wasmtime_valtype_new(self._native, described)
        try:
            of = described.reftype.heaptype.of
            if self._heap == lib.WASMTIME_HEAPTYPE_KIND_CONCRETE_FUNC:
                return FuncType._from_native(of.concrete_func, self._engine)
            return concrete_from_native(self._heap, of, self._engine)
        finally:
            lib.wasmtime_valtype_delete(described)

    def as_nullable(self, nullable: bool = True) -> ValType:
        """Returns the same reference type with, or without, null.

        Raises:
            TypeError: this is not a reference type.
        """
        if self._kind != lib.WASMTIME_VALTYPE_KIND_REF:
            raise TypeError(f"{self} is not a reference type")
        if self._native is None:
            return self._make(self._kind, self._heap, bool(nullable))
        described = ffi.new("wasmtime_valtype_t *")
        lib.wasmtime_valtype_new(self._native, described)
        try:
            described.reftype.nullable = bool(nullable)
            handle, pointer = _engine_pointer(self._engine)
            made = lib.wasmtime_valtype_to_wasm(pointer, described)
            del handle
        finally:
            lib.wasmtime_valtype_delete(described)
        made = ffi.gc(made, lib.wasm_valtype_delete)
        return self._make(self._kind, self._heap, bool(nullable), made, self._engine)

    def _check_engine(self, engine: object) -> None:
        """Refuses a concrete type in an engine other than its own: the C API would abort."""
        if self._native is not None and self._engine is not engine:
            raise ValueError(
                f"the type {self} belongs to another engine than the one it is used with"
            )

    def _to_native(self) -> Any:
        """Returns a `wasm_valtype_t *` that is freed with the cdata object."""
        return ffi.gc(self._new_native(), lib.wasm_valtype_delete)

    def _new_native(self) -> Any:
        """Returns a `wasm_valtype_t *` that the caller owns."""
        if self._native is not None:
            return lib.wasm_valtype_copy(self._native)
        described = ffi.new("wasmtime_valtype_t *")
        described.kind = self._kind
        if self._kind == lib.WASMTIME_VALTYPE_KIND_REF:
            described.reftype.nullable = self._nullable
            described.reftype.heaptype.kind = self._heap
        return lib.wasmtime_valtype_to_wasm(ffi.NULL, described)

    @classmethod
    def _from_native(cls, pointer: Any, engine: Optional[object] = None) -> ValType:
        """Reads a borrowed `wasm_valtype_t *`."""
        described = ffi.new("wasmtime_valtype_t *")
        lib.wasmtime_valtype_new(pointer, described)
        try:
            kind = described.kind
            if kind != lib.WASMTIME_VALTYPE_KIND_REF:
                return cls._make(kind)
            nullable = bool(described.reftype.nullable)
            heap = described.reftype.heaptype.kind
        finally:
            lib.wasmtime_valtype_delete(described)
        if heap not in _CONCRETE:
            return cls._make(kind, heap, nullable)
        native = ffi.gc(lib.wasm_valtype_copy(pointer), lib.wasm_valtype_delete)
        return cls._make(kind, heap, nullable, native, engine)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, ValType):
            return NotImplemented
        if (self._kind, self._heap, self._nullable) != (other._kind, other._heap, other._nullable):
            return False
        if self._native is None or other._native is None:
            return self._native is other._native
        # Types of two engines are never equal, and the C API aborts when it has to compare them.
        return (
            self._engine is not None
            and self._engine is other._engine
            and bool(lib.wasmtime_wasm_valtype_equal(self._native, other._native))
        )

    def __hash__(self) -> int:
        # Equal concrete types have the same heap kind; that they all collide is rarely felt.
        return hash((self._kind, self._heap, self._nullable))

    def __str__(self) -> str:
        if self._kind != lib.WASMTIME_VALTYPE_KIND_REF:
            return _NUMBER_NAMES[self._kind]
        concrete = _CONCRETE.get(self._heap)
        if concrete is not None:
            return f"(ref null {concrete})" if self._nullable else f"(ref {concrete})"
        name, short = _HEAP_NAMES[self._heap]
        return short if self._nullable else f"(ref {name})"

    __repr__ = __str__

    def __reduce__(self) -> tuple[object, ...]:
        if self._native is not None:
            raise TypeError(f"cannot pickle {self}: a concrete type belongs to one engine")
        return (_unpickle_valtype, (str(self),))


def _unpickle_valtype(name: str) -> ValType:
    known = ValType._known.get(name)
    if known is None:
        # Only non-nullable abstract references are made on demand: "(ref func)".
        known = ValType.ref(name[len("(ref ") : -1], nullable=False)
    return known


for _kind in _NUMBERS.values():
    ValType._make(_kind)
for _heap, _ in _HEAPS.values():
    ValType._make(lib.WASMTIME_VALTYPE_KIND_REF, _heap, True)
for _name in ("i32", "i64", "f32", "f64", "v128", "funcref", "externref", "anyref", "exnref"):
    setattr(ValType, _name.upper(), ValType._named(_name))


def _engine_pointer(engine: Optional[object]) -> tuple[Any, Any]:
    """Returns the handle of an engine, to be kept alive, and its pointer."""
    if engine is None:
        raise ValueError("this type's engine is not known")
    use = getattr(engine, "_use", None)
    if use is None:
        raise TypeError(f"expected an Engine, not {type(engine).__name__}")
    handle = use()
    return handle, handle.pointer


def _val_types(what: str, types: Iterable[ValType]) -> tuple[ValType, ...]:
    made = tuple(types)
    for i, ty in enumerate(made):
        if not isinstance(ty, ValType):
            raise TypeError(f"expected ValType, not {type(ty).__name__}, as {what}[{i}]")
    return made


def _val_type(value: object) -> ValType:
    if not isinstance(value, ValType):
        raise TypeError(f"expected valtype: a ValType, not {type(value).__name__}")
    return value


def new_valtype_vec(types: Iterable[ValType]) -> Any:
    """Returns a `wasm_valtype_vec_t *` whose contents the caller owns."""
    types = tuple(types)
    vec = ffi.new("wasm_valtype_vec_t *")
    lib.wasm_valtype_vec_new_uninitialized(vec, len(types))
    for i, ty in enumerate(types):
        vec.data[i] = ty._new_native()
    return vec


def _read_valtype_vec(vec: Any, engine: Optional[object]) -> Iterator[ValType]:
    for i in range(vec.size):
        yield ValType._from_native(vec.data[i], engine)


# ------------------------------------------------------------------------- types of externs


class FuncType(TypeValue):
    """The type of a function: what it takes and what it returns.

    Args:
        params: the types of the parameters, in order.
        results: the types of the results, in order.

    Raises:
        TypeError: one of them is not a `ValType`.

    Example:
        >>> from wasmtime import FuncType, ValType
        >>> print(FuncType([ValType.i32(), ValType.i32()], [ValType.i32()]))
        (func (param i32 i32) (result i32))
    """

    __slots__ = ("_params", "_results")

    _params: tuple[ValType, ...]
    _results: tuple[ValType, ...]

    def __init__(self, params: Iterable[ValType], results: Iterable[ValType]) -> None:
        self._fill(
            _params=_val_types("params", params),
            _results=_val_types("results", results),
        )

    @property
    def params(self) -> list[ValType]:
        """The types of the parameters, as a new list."""
        return list(self._params)

    @property
    def results(self) -> list[ValType]:
        """The types of the results, as a new list."""
        return list(self._results)

    def _check_engine(self, engine: object) -> None:
        for ty in self._params + self._results:
            ty._check_engine(engine)

    def _to_native(self) -> Any:
        """Returns a `wasm_functype_t *` that is freed with the cdata object."""
        return ffi.gc(self._new_native(), lib.wasm_functype_delete)

    def _new_native(self) -> Any:
        """Returns a `wasm_functype_t *` that the caller owns."""
        # wasm_functype_new takes what the two vectors hold.
        return lib.wasm_functype_new(new_valtype_vec(self._params), new_valtype_vec(self._results))

    @classmethod
    def _from_native(cls, pointer: Any, engine: Optional[object] = None) -> FuncType:
        """Reads a borrowed `wasm_functype_t *`."""
        return cls(
            _read_valtype_vec(lib.wasm_functype_params(pointer), engine),
            _read_valtype_vec(lib.wasm_functype_results(pointer), engine),
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FuncType):
            return NotImplemented
        return self._params == other._params and self._results == other._results

    def __hash__(self) -> int:
        return hash((self._params, self._results))

    def __str__(self) -> str:
        return "(func" + _signature(self) + ")"

    def __repr__(self) -> str:
        return f"FuncType({self.params!r}, {self.results!r})"

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.params, self.results))


def _signature(ty: FuncType) -> str:
    text = ""
    for word, types in (("param", ty._params), ("result", ty._results)):
        if types:
            text += f" ({word} {' '.join(map(str, types))})"
    return text


class GlobalType(TypeValue):
    """The type of a global: what it holds, and whether that can change.

    Args:
        valtype: the type of the value.
        mutable: whether the value can be replaced.

    Raises:
        TypeError: `valtype` is not a `ValType`.
    """

    __slots__ = ("_content", "_mutable")

    _content: ValType
    _mutable: bool

    def __init__(self, valtype: ValType, mutable: bool) -> None:
        self._fill(_content=_val_type(valtype), _mutable=bool(mutable))

    @property
    def content(self) -> ValType:
        """The type of the value."""
        return self._content

    @property
    def mutable(self) -> bool:
        """Whether the value can be replaced."""
        return self._mutable

    def _check_engine(self, engine: object) -> None:
        self._content._check_engine(engine)

    def _to_native(self) -> Any:
        """Returns a `wasm_globaltype_t *` that is freed with the cdata object."""
        mutability = lib.WASM_VAR if self._mutable else lib.WASM_CONST
        native = lib.wasm_globaltype_new(self._content._new_native(), mutability)
        return ffi.gc(native, lib.wasm_globaltype_delete)

    @classmethod
    def _from_native(cls, pointer: Any, engine: Optional[object] = None) -> GlobalType:
        """Reads a borrowed `wasm_globaltype_t *`."""
        content = ValType._from_native(lib.wasm_globaltype_content(pointer), engine)
        return cls(content, lib.wasm_globaltype_mutability(pointer) == lib.WASM_VAR)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, GlobalType):
            return NotImplemented
        return self._content == other._content and self._mutable == other._mutable

    def __hash__(self) -> int:
        return hash((self._content, self._mutable))

    def __str__(self) -> str:
        return f"(global (mut {self._content}))" if self._mutable else f"(global {self._content})"

    def __repr__(self) -> str:
        return f"GlobalType({self._content!r}, {self._mutable!r})"

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self._content, self._mutable))


def _unsigned(name: str, value: SupportsIndex, bits: int) -> int:
    """Returns `value` as an int that fits into `bits` bits without a sign."""
    if isinstance(value, bool):
        raise TypeError(f"{name} must be an int, not bool")
    return unsigned(name, value, bits)


class Limits(TypeValue):
    """How small and how large a table or a memory may be.

    Args:
        min: the size at the start, in elements of the table or pages of the memory.
        max: the size it can grow to, in the same unit; None for no limit but the library's.

    Raises:
        TypeError: an argument is not an integer.
        OverflowError: an argument is negative or does not fit into 64 bits.
    """

    __slots__ = ("_max", "_min")

    _min: int
    _max: Optional[int]

    def __init__(self, min: SupportsIndex, max: Optional[SupportsIndex] = None) -> None:
        self._fill(
            _min=_unsigned("min", min, 64),
            _max=None if max is None else _unsigned("max", max, 64),
        )

    @property
    def min(self) -> int:
        """The size at the start."""
        return self._min

    @property
    def max(self) -> Optional[int]:
        """The size it can grow to, or None."""
        return self._max

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Limits):
            return NotImplemented
        return self._min == other._min and self._max == other._max

    def __hash__(self) -> int:
        return hash((self._min, self._max))

    def __str__(self) -> str:
        return str(self._min) if self._max is None else f"{self._min} {self._max}"

    def __repr__(self) -> str:
        return f"Limits({self._min!r}, {self._max!r})"

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self._min, self._max))


def _limits(value: object) -> Limits:
    if not isinstance(value, Limits):
        raise TypeError(f"expected Limits, not {type(value).__name__}")
    return value


#: `wasm_limits_t` has no other way to say "no maximum".
_NO_MAXIMUM = 0xFFFFFFFF


class TableType(TypeValue):
    """The type of a table: what its elements are, and how many there may be.

    The C API describes tables with 32-bit numbers. A maximum of 2**32 - 1 means no maximum there,
    and is read back as None.

    Args:
        valtype: the type of the elements, a reference type.
        limits: the number of elements.
        is_64: whether indices have 64 bits (memory64 proposal). Modules define such tables; `Table`
            cannot make them.

    Raises:
        TypeError: `valtype` is not a `ValType`, or `limits` is not `Limits`.
        WasmtimeError: `valtype` is not a reference type, or the maximum is below the minimum.
        OverflowError: a limit does not fit into 32 bits.
    """

    __slots__ = ("_element", "_is_64", "_limits")

    _element: ValType
    _limits: Limits
    _is_64: bool

    def __init__(self, valtype: ValType, limits: Limits, is_64: bool = False) -> None:
        limits = _limits(limits)
        if not _val_type(valtype).is_ref:
            raise WasmtimeError(
                f"failed to allocate TableType: {valtype} is not a reference type, "
                "and tables hold references"
            )
        _unsigned("limits.min", limits.min, 32)
        if limits.max is not None:
            _unsigned("limits.max", limits.max, 32)
            if limits.max < limits.min:
                raise WasmtimeError(
                    f"the maximum size of a table ({limits.max}) cannot be smaller than "
                    f"its minimum size ({limits.min})"
                )
        self._fill(_element=valtype, _limits=limits, _is_64=bool(is_64))

    @property
    def element(self) -> ValType:
        """The type of the elements."""
        return self._element

    @property
    def limits(self) -> Limits:
        """The number of elements."""
        return self._limits

    @property
    def is_64(self) -> bool:
        """Whether indices have 64 bits.

        It is known of tables, and of what a `Module` imports and exports unless that is an artifact
        of another maker; elsewhere it is False.
        """
        return self._is_64

    def _with_64(self, is_64: bool) -> TableType:
        """Returns the same type with the one thing that the C API does not tell."""
        return TableType(self._element, self._limits, True) if is_64 else self

    def _check_engine(self, engine: object) -> None:
        self._element._check_engine(engine)

    def _to_native(self) -> Any:
        """Returns a `wasm_tabletype_t *` that is freed with the cdata object."""
        if self._is_64:
            raise WasmtimeError(
                "the C API of the library makes no tables with 64-bit indices: let a module define "
                "and export the table"
            )
        limits = ffi.new("wasm_limits_t *")
        limits.min = self._limits.min
        limits.max = _NO_MAXIMUM if self._limits.max is None else self._limits.max
        native = lib.wasm_tabletype_new(self._element._new_native(), limits)
        return ffi.gc(native, lib.wasm_tabletype_delete)

    @classmethod
    def _from_native(cls, pointer: Any, engine: Optional[object] = None) -> TableType:
        """Reads a borrowed `wasm_tabletype_t *`.

        `wasm_tabletype_limits` aborts for limits of more than 32 bits; modules that have such
        tables are refused before (`check_tables`).
        """
        limits = lib.wasm_tabletype_limits(pointer)
        maximum = None if limits.max == _NO_MAXIMUM else limits.max
        element = ValType._from_native(lib.wasm_tabletype_element(pointer), engine)
        self = cls.__new__(cls)
        self._fill(_element=element, _limits=Limits(limits.min, maximum), _is_64=False)
        return self

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TableType):
            return NotImplemented
        return self._key() == other._key()

    def _key(self) -> tuple[object, ...]:
        return (self._element, self._limits, self._is_64)

    def __hash__(self) -> int:
        return hash(self._key())

    def __str__(self) -> str:
        return f"(table {'i64 ' if self._is_64 else ''}{self._limits} {self._element})"

    def __repr__(self) -> str:
        index = ", is_64=True" if self._is_64 else ""
        return f"TableType({self._element!r}, {self._limits!r}{index})"

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), self._key())


class MemoryType(TypeValue):
    """The type of a linear memory.

    The rules are the library's own (`wasmtime_memorytype_new` is asked): 32-bit memories have at
    most 4 GiB, 64-bit ones less than 2**64 bytes, shared ones need a maximum, and pages are of
    64 KiB or, with the custom-page-sizes proposal, of one byte.

    Args:
        limits: the number of pages.
        is_64: whether addresses have 64 bits (memory64 proposal).
        shared: whether several threads can use the memory (threads proposal).
        page_size_log2: the binary logarithm of the size of a page in bytes: 16 or 0.

    Raises:
        TypeError: `limits` is not `Limits`, or `page_size_log2` is not an integer.
        OverflowError: `page_size_log2` is not between 0 and 255.
        WasmtimeError: there is no such memory.
    """

    __slots__ = ("_is_64", "_is_shared", "_limits", "_page_size_log2")

    _limits: Limits
    _is_64: bool
    _is_shared: bool
    _page_size_log2: int

    def __init__(
        self,
        limits: Limits,
        is_64: bool = False,
        shared: bool = False,
        page_size_log2: SupportsIndex = 16,
    ) -> None:
        limits = _limits(limits)
        page_size_log2 = _unsigned("page_size_log2", page_size_log2, 8)
        if not is_64:
            if limits.min > 0xFFFFFFFF:
                raise WasmtimeError(
                    f"minimum size too large: {limits.min} pages in a 32-bit memory; "
                    "64-bit memories have is_64=True"
                )
            if limits.max is not None and limits.max > 0xFFFFFFFF:
                raise WasmtimeError(
                    f"maximum size too large: {limits.max} pages in a 32-bit memory; "
                    "64-bit memories have is_64=True"
                )
        self._fill(
            _limits=limits,
            _is_64=bool(is_64),
            _is_shared=bool(shared),
            _page_size_log2=page_size_log2,
        )
        self._to_native()

    @property
    def limits(self) -> Limits:
        """The number of pages."""
        return self._limits

    @property
    def is_64(self) -> bool:
        """Whether addresses have 64 bits."""
        return self._is_64

    @property
    def is_shared(self) -> bool:
        """Whether several threads can use the memory."""
        return self._is_shared

    @property
    def page_size(self) -> int:
        """The size of a page in bytes: 65536, or 1."""
        return 1 << self._page_size_log2

    @property
    def page_size_log2(self) -> int:
        """The binary logarithm of the size of a page in bytes: 16, or 0."""
        return self._page_size_log2

    def _check_engine(self, engine: object) -> None:
        """Is here for the sake of the other types: a memory names none of an engine."""

    def _to_native(self) -> Any:
        """Returns a `wasm_memorytype_t *` that is freed with the cdata object."""
        native = ffi.new("wasm_memorytype_t **")
        maximum = self._limits.max
        check(
            lib.wasmtime_memorytype_new(
                self._limits.min,
                maximum is not None,
                maximum or 0,
                self._is_64,
                self._is_shared,
                self._page_size_log2,
                native,
            )
        )
        return ffi.gc(native[0], lib.wasm_memorytype_delete)

    @classmethod
    def _from_native(cls, pointer: Any, engine: Optional[object] = None) -> MemoryType:
        """Reads a borrowed `wasm_memorytype_t *`."""
        maximum = ffi.new("uint64_t *")
        has_maximum = lib.wasmtime_memorytype_maximum(pointer, maximum)
        limits = Limits(
            lib.wasmtime_memorytype_minimum(pointer), maximum[0] if has_maximum else None
        )
        self = cls.__new__(cls)
        self._fill(
            _limits=limits,
            _is_64=bool(lib.wasmtime_memorytype_is64(pointer)),
            _is_shared=bool(lib.wasmtime_memorytype_isshared(pointer)),
            _page_size_log2=lib.wasmtime_memorytype_page_size_log2(pointer),
        )
        return self

    def _key(self) -> tuple[object, ...]:
        return (self._limits, self._is_64, self._is_shared, self._page_size_log2)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MemoryType):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __str__(self) -> str:
        text = "(memory " + ("i64 " if self._is_64 else "") + str(self._limits)
        if self._is_shared:
            text += " shared"
        if self._page_size_log2 != 16:
            text += f" (pagesize {self.page_size})"
        return text + ")"

    def __repr__(self) -> str:
        text = repr(self._limits)
        if self._is_64:
            text += ", is_64=True"
        if self._is_shared:
            text += ", shared=True"
        if self._page_size_log2 != 16:
            text += f", page_size_log2={self._page_size_log2}"
        return f"MemoryType({text})"

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), self._key())


class TagType(TypeValue):
    """The type of a tag, which names a kind of exception (exceptions proposal).

    Args:
        functype: the type of what is thrown: the parameters are the payload. A tag of an
            exception has no results.

    Raises:
        TypeError: `functype` is not a `FuncType`.
    """

    __slots__ = ("_functype",)

    _functype: FuncType

    def __init__(self, functype: FuncType) -> None:
        if not isinstance(functype, FuncType):
            raise TypeError(f"expected a FuncType, not {type(functype).__name__}")
        self._fill(_functype=functype)

    @property
    def functype(self) -> FuncType:
        """The type of what is thrown: its parameters are the payload."""
        return self._functype

    def _check_engine(self, engine: object) -> None:
        self._functype._check_engine(engine)

    def _to_native(self) -> Any:
        """Returns a `wasm_tagtype_t *` that is freed with the cdata object."""
        # wasm_tagtype_new takes the function type.
        native = lib.wasm_tagtype_new(self._functype._new_native())
        return ffi.gc(native, lib.wasm_tagtype_delete)

    @classmethod
    def _from_native(cls, pointer: Any, engine: Optional[object] = None) -> TagType:
        """Reads a borrowed `wasm_tagtype_t *`."""
        return cls(FuncType._from_native(lib.wasm_tagtype_functype(pointer), engine))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TagType):
            return NotImplemented
        return self._functype == other._functype

    def __hash__(self) -> int:
        return hash((TagType, self._functype))

    def __str__(self) -> str:
        return f"(tag{_signature(self._functype)})"

    def __repr__(self) -> str:
        return f"TagType({self._functype!r})"

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self._functype,))


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
        module: the first of the two names of the import.
        name: the second one.
        type: what is imported.
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
        name: the name of the export.
        type: what is exported.
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


# --------------------------------------------------------------------------------- reading


def extern_type_from_native(pointer: Any, engine: Optional[object] = None) -> AsExternType:
    """Reads a borrowed `wasm_externtype_t *`.

    Args:
        pointer: the native type.
        engine: the engine it comes from, to which concrete types in it will belong.

    Raises:
        WasmtimeError: the library knows a kind that this package does not.
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
    """Function types by the bytes in which the core describes them, each made once: the many
    functions of a module have few types.
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
        module: the native module; the caller keeps it alive.
        engine: the module's engine, to which concrete types will belong.
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
        module: the native module; the caller keeps it alive.
        engine: the module's engine, to which concrete types will belong.
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
