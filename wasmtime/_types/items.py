"""The types of globals, tables, memories and tags."""

from __future__ import annotations

from typing import Any, Optional, SupportsIndex

from .._error import WasmtimeError
from .._native import check, ffi, lib, unsigned
from .base import TypeValue
from .values import FuncType, ValType, signature, val_type

__all__ = ["GlobalType", "Limits", "MemoryType", "TableType", "TagType"]


class GlobalType(TypeValue):
    """The type of a global: what it holds, and whether that can change.

    Args:
        valtype: The type of the value.
        mutable: Whether the value can be replaced.

    Raises:
        TypeError: `valtype` is not a `ValType`.
    """

    __slots__ = ("_content", "_mutable")

    _content: ValType
    _mutable: bool

    def __init__(self, valtype: ValType, mutable: bool) -> None:
        self._fill(_content=val_type(valtype), _mutable=bool(mutable))

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


def _size(name: str, value: SupportsIndex, bits: int) -> int:
    """Returns `value` as an int that fits into so many bits without a sign; it cannot be a bool."""
    if isinstance(value, bool):
        raise TypeError(f"{name} must be an int, not bool")
    return unsigned(name, value, bits)


class Limits(TypeValue):
    """How small and how large a table or a memory may be.

    Args:
        min: The size at the start, in elements of the table or pages of the memory.
        max: The size it can grow to, in the same unit; None for no limit but the library's.

    Raises:
        TypeError: An argument is not an integer.
        OverflowError: An argument is negative or does not fit into 64 bits.
    """

    __slots__ = ("_max", "_min")

    _min: int
    _max: Optional[int]

    def __init__(self, min: SupportsIndex, max: Optional[SupportsIndex] = None) -> None:
        self._fill(
            _min=_size("min", min, 64),
            _max=None if max is None else _size("max", max, 64),
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
        valtype: The type of the elements, a reference type.
        limits: The number of elements.
        is_64: whether indices have 64 bits (memory64 proposal). Modules define such tables; `Table`
            cannot make them.

    Raises:
        TypeError: `valtype` is not a `ValType`, or `limits` is not `Limits`.
        WasmtimeError: `valtype` is not a reference type, or the maximum is below the minimum.
        OverflowError: A limit does not fit into 32 bits.
    """

    __slots__ = ("_element", "_is_64", "_limits")

    _element: ValType
    _limits: Limits
    _is_64: bool

    def __init__(self, valtype: ValType, limits: Limits, is_64: bool = False) -> None:
        limits = _limits(limits)
        if not val_type(valtype).is_ref:
            raise WasmtimeError(
                f"failed to allocate TableType: {valtype} is not a reference type, "
                "and tables hold references"
            )
        _size("limits.min", limits.min, 32)
        if limits.max is not None:
            _size("limits.max", limits.max, 32)
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
        limits: The number of pages.
        is_64: whether addresses have 64 bits (memory64 proposal).
        shared: Whether several threads can use the memory (threads proposal).
        page_size_log2: the binary logarithm of the size of a page in bytes: 16 or 0.

    Raises:
        TypeError: `limits` is not `Limits`, or `page_size_log2` is not an integer.
        OverflowError: `page_size_log2` is not between 0 and 255.
        WasmtimeError: There is no such memory.
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
        page_size_log2 = _size("page_size_log2", page_size_log2, 8)
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
        functype: The type of what is thrown: the parameters are the payload. A tag of an
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
        return f"(tag{signature(self._functype)})"

    def __repr__(self) -> str:
        return f"TagType({self._functype!r})"

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self._functype,))
