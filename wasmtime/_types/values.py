"""The types of values, and of functions, which references name.

Value types are read through `wasmtime_valtype_new`, which knows all of them; `wasm_valtype_kind`,
of the older half of the C API, ends the process when it meets a vector or a reference other than
`funcref` and `externref`.

A reference to a concrete type owns its `wasm_valtype_t`, which is freed with the Python object.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Optional, Union

from .._error import WasmtimeError
from .._native import ffi, lib
from .base import TypeValue

if TYPE_CHECKING:
    from .._gctypes import ArrayType, ExnType, StructType

__all__ = [
    "FuncType",
    "HeapType",
    "ValType",
    "engine_pointer",
    "new_valtype_vec",
    "read_valtype_vec",
    "signature",
    "val_type",
    "val_types",
]

#: What a heap type can be: the name of an abstract one, or a concrete type.
if TYPE_CHECKING:
    HeapType = Union[str, "FuncType", StructType, ArrayType, ExnType]
else:
    HeapType = Union[str, object]

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
            heap_type: The name of an abstract heap type as in the text format ("extern",
                "noextern", "func", "nofunc", "any", "none", "eq", "i31", "array", "struct",
                "exn", "noexn"), or a `StructType`, `ArrayType`, `ExnType` or `FuncType`.
            nullable: Whether null is one of the values.
            engine: The `Engine` in which a `FuncType` is to be registered. The other concrete
                types know theirs.

        Raises:
            TypeError: `heap_type` is none of these.
            ValueError: The name is unknown, or a `FuncType` was given without an engine.
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
        handle, pointer = engine_pointer(engine)
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
        from .._gctypes import concrete_from_native

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
            TypeError: This is not a reference type.
        """
        if self._kind != lib.WASMTIME_VALTYPE_KIND_REF:
            raise TypeError(f"{self} is not a reference type")
        if self._native is None:
            return self._make(self._kind, self._heap, bool(nullable))
        described = ffi.new("wasmtime_valtype_t *")
        lib.wasmtime_valtype_new(self._native, described)
        try:
            described.reftype.nullable = bool(nullable)
            handle, pointer = engine_pointer(self._engine)
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


def engine_pointer(engine: Optional[object]) -> tuple[Any, Any]:
    """Returns the handle of an engine, to be kept alive, and its pointer."""
    if engine is None:
        raise ValueError("this type's engine is not known")
    use = getattr(engine, "_use", None)
    if use is None:
        raise TypeError(f"expected an Engine, not {type(engine).__name__}")
    handle = use()
    return handle, handle.pointer


def val_types(what: str, types: Iterable[ValType]) -> tuple[ValType, ...]:
    made = tuple(types)
    for i, ty in enumerate(made):
        if not isinstance(ty, ValType):
            raise TypeError(f"expected ValType, not {type(ty).__name__}, as {what}[{i}]")
    return made


def val_type(value: object) -> ValType:
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


def read_valtype_vec(vec: Any, engine: Optional[object]) -> Iterator[ValType]:
    for i in range(vec.size):
        yield ValType._from_native(vec.data[i], engine)


class FuncType(TypeValue):
    """The type of a function: what it takes and what it returns.

    Args:
        params: The types of the parameters, in order.
        results: The types of the results, in order.

    Raises:
        TypeError: One of them is not a `ValType`.

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
            _params=val_types("params", params),
            _results=val_types("results", results),
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
            read_valtype_vec(lib.wasm_functype_params(pointer), engine),
            read_valtype_vec(lib.wasm_functype_results(pointer), engine),
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FuncType):
            return NotImplemented
        return self._params == other._params and self._results == other._results

    def __hash__(self) -> int:
        return hash((self._params, self._results))

    def __str__(self) -> str:
        return "(func" + signature(self) + ")"

    def __repr__(self) -> str:
        return f"FuncType({self.params!r}, {self.results!r})"

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.params, self.results))


def signature(ty: FuncType) -> str:
    text = ""
    for word, types in (("param", ty._params), ("result", ty._results)):
        if types:
            text += f" ({word} {' '.join(map(str, types))})"
    return text
