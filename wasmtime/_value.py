"""Values with their WebAssembly types."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Optional, Union

from ._error import WasmtimeError, expect
from ._native import address_of, core, ffi, lib
from ._types import ValType

if TYPE_CHECKING:
    from ._func import Func
    from ._store import Storelike

__all__ = ["Val", "lowered"]

_NAMES = {
    lib.WASMTIME_I32: "i32",
    lib.WASMTIME_I64: "i64",
    lib.WASMTIME_F32: "f32",
    lib.WASMTIME_F64: "f64",
    lib.WASMTIME_V128: "v128",
    lib.WASMTIME_FUNCREF: "funcref",
    lib.WASMTIME_EXTERNREF: "externref",
    lib.WASMTIME_ANYREF: "anyref",
    lib.WASMTIME_EXNREF: "exnref",
}


class Val:
    """A Python value together with its WebAssembly type.

    Calls take and give plain Python objects; a Val is for where the type must be said, such as
    the initial value of a global in older programs. It is made by the static methods below and
    never changes.
    """

    __slots__ = ("_kind", "_val")

    _kind: int
    _val: Any

    def __init__(self, kind: int, val: Any) -> None:
        kind = int(getattr(kind, "value", kind))
        if kind not in _NAMES:
            raise ValueError(f"kind: {kind} is not a wasmtime_valkind_t")
        object.__setattr__(self, "_kind", kind)
        object.__setattr__(self, "_val", val)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a Val cannot be changed")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("a Val cannot be changed")

    @staticmethod
    def i32(val: int) -> Val:
        """A 32-bit integer. Only the low 32 bits of `val` are kept, read as a signed number.

        Raises:
            TypeError: `val` is not an int.
        """
        return Val(lib.WASMTIME_I32, _wrap(val, 32))

    @staticmethod
    def i64(val: int) -> Val:
        """A 64-bit integer. Only the low 64 bits of `val` are kept, read as a signed number.

        Raises:
            TypeError: `val` is not an int.
        """
        return Val(lib.WASMTIME_I64, _wrap(val, 64))

    @staticmethod
    def f32(val: float) -> Val:
        """A 32-bit float: `val` rounded to the nearest one; beyond the largest it is infinite.

        Raises:
            TypeError: `val` is not a float.
        """
        import struct

        _check_float(val)
        try:
            val = struct.unpack("<f", struct.pack("<f", val))[0]
        except OverflowError:
            val = float("inf") if val > 0 else float("-inf")
        return Val(lib.WASMTIME_F32, val)

    @staticmethod
    def f64(val: float) -> Val:
        """A 64-bit float.

        Raises:
            TypeError: `val` is not a float.
        """
        _check_float(val)
        return Val(lib.WASMTIME_F64, val)

    @staticmethod
    def v128(val: Union[bytes, bytearray, memoryview, int]) -> Val:
        """A vector of 128 bits, from 16 little-endian bytes or an integer.

        Raises:
            TypeError: `val` is neither.
            ValueError: There are not 16 bytes.
            OverflowError: The integer is not in the range -2**127 ... 2**128-1.
        """
        if isinstance(val, int):
            if not -(2**127) <= val < 2**128:
                raise OverflowError(f"val: {val} is not in the range -2**127 ... 2**128-1")
            val = (val % 2**128).to_bytes(16, "little")
        elif not isinstance(val, (bytes, bytearray, memoryview)):
            raise TypeError(f"val must be bytes-like or an int, not {type(val).__name__}")
        data = bytes(val)
        if len(data) != 16:
            raise ValueError(f"val: a v128 takes 16 bytes, not {len(data)}")
        return Val(lib.WASMTIME_V128, data)

    @staticmethod
    def externref(extern: Optional[Any]) -> Val:
        """A reference to any Python object; None is the null reference."""
        return Val(lib.WASMTIME_EXTERNREF, extern)

    @staticmethod
    def funcref(f: Optional[Func]) -> Val:
        """A reference to a function; None is the null reference.

        Raises:
            TypeError: `f` is neither.
        """
        from ._func import Func

        if f is not None and not isinstance(f, Func):
            raise TypeError(f"f must be a Func or None, not {type(f).__name__}")
        return Val(lib.WASMTIME_FUNCREF, f)

    @staticmethod
    def ref_null(ty: ValType) -> Val:
        """The null reference of a reference type.

        Raises:
            WasmtimeError: `ty` is not a reference type, or none that can be null.
        """
        if not isinstance(ty, ValType) or not ty.is_ref or not ty.nullable:
            raise WasmtimeError(f"Invalid reference type for `ref_null`: {ty}")
        return Val(_kind_of(ty), None)

    @property
    def value(self) -> Any:
        """The Python value; None for a null reference."""
        return self._val

    @property
    def type(self) -> ValType:
        """The WebAssembly type."""
        return ValType._named(_NAMES[self._kind])

    def as_i32(self) -> Optional[int]:
        """The value if this is an i32, else None."""
        value: Optional[int] = self._as(lib.WASMTIME_I32)
        return value

    def as_i64(self) -> Optional[int]:
        """The value if this is an i64, else None."""
        value: Optional[int] = self._as(lib.WASMTIME_I64)
        return value

    def as_f32(self) -> Optional[float]:
        """The value if this is an f32, else None."""
        value: Optional[float] = self._as(lib.WASMTIME_F32)
        return value

    def as_f64(self) -> Optional[float]:
        """The value if this is an f64, else None."""
        value: Optional[float] = self._as(lib.WASMTIME_F64)
        return value

    def as_v128(self) -> Optional[bytes]:
        """The 16 bytes if this is a v128, else None."""
        value: Optional[bytes] = self._as(lib.WASMTIME_V128)
        return value

    def as_externref(self) -> Optional[Any]:
        """The object if this is an externref, else None."""
        value: Optional[Any] = self._as(lib.WASMTIME_EXTERNREF)
        return value

    def as_funcref(self) -> Optional[Func]:
        """The function if this is a funcref that is not null, else None."""
        value: Optional[Func] = self._as(lib.WASMTIME_FUNCREF)
        return value

    def _as(self, kind: int) -> Any:
        return self._val if self._kind == kind else None

    def __eq__(self, rhs: object) -> bool:
        """Equal to a Val of the same type and value, and to the plain value."""
        if isinstance(rhs, Val):
            return self._kind == rhs._kind and bool(self._val == rhs._val)
        return bool(self._val == rhs)

    def __hash__(self) -> int:
        return hash(self._val)

    def __repr__(self) -> str:
        return f"Val.{_NAMES[self._kind]}({self._val!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Val, (self._kind, self._val)


@contextmanager
def lowered(store: Storelike, value: Any, ty: Any, name: str) -> Iterator[Any]:
    """A ``wasmtime_val_t *`` of a Python value, whose reference is let go at the end of the block.

    Args:
        store: The store, which has been entered.
        value: A `Val`, or a Python object that converts to the type.
        ty: The type that is wanted, a ``wasm_valtype_t *``.
        name: Name of the argument, for errors.

    Raises:
        TypeError: The value is of a wrong type.
        OverflowError: The value is out of the range of the type.
        WasmtimeError: The value belongs to another store.
    """
    raw = ffi.new("wasmtime_val_t *")
    core.lower(store, value, address_of(ty), address_of(raw), name)
    try:
        yield raw
    finally:
        lib.wasmtime_val_unroot(raw)


def _kind_of(ty: ValType) -> int:
    """The ``wasmtime_valkind_t`` that carries values of a reference type."""
    for names, kind in (
        (("extern", "noextern"), lib.WASMTIME_EXTERNREF),
        (("func", "nofunc"), lib.WASMTIME_FUNCREF),
        (("exn", "noexn"), lib.WASMTIME_EXNREF),
    ):
        if ty.heap_type in names:
            return int(kind)
    return int(lib.WASMTIME_ANYREF)


def _wrap(val: int, bits: int) -> int:
    expect(val, int, "val")
    val &= (1 << bits) - 1
    return val - (1 << bits) if val >> (bits - 1) else val


def _check_float(val: float) -> None:
    expect(val, float, "val")
