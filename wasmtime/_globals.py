"""Globals."""

from __future__ import annotations

from typing import Any

from ._error import ArgumentTypeError
from ._func import _engine_of
from ._native import address_of, check, core, ffi, lib
from ._store import Storelike, door
from ._types import GlobalType

__all__ = ["Global"]


class Global(core.Global):
    """A global variable or constant.

    Args:
        store: The store to make the global in.
        ty: Its type.
        val: Its first value: a `Val`, or a Python object that converts to the type.

    Raises:
        TypeError: An argument is of a wrong type.
        OverflowError: `val` is out of the range of the type.
        WasmtimeError: `val` belongs to another store, or the store is in use.
        ValueError: The store is closed.

    C API: ``wasmtime_global_new``.
    """

    def __init__(self, store: Storelike, ty: GlobalType, val: Any) -> None:
        if not isinstance(ty, GlobalType):
            raise ArgumentTypeError(f"ty must be a GlobalType, not {type(ty).__name__}")
        native = ty._to_native()
        content = lib.wasm_globaltype_content(native)
        result = ffi.new("wasmtime_global_t *")
        raw = ffi.new("wasmtime_val_t *")
        with door(store) as context:
            ty._check_engine(_engine_of(store))
            core.lower(store, val, address_of(content), address_of(raw), "val")
            error = lib.wasmtime_global_new(context, native, raw, result)
            lib.wasmtime_val_unroot(raw)
            check(error)
        self._set_native(store, address_of(result))

    def _pointer(self) -> Any:
        # By this name in every class, so that cffi refuses another's where it is called as ours.
        return ffi.cast("wasmtime_global_t *", self._address)

    def type(self, store: Storelike) -> GlobalType:
        """The global's type.

        Raises:
            WasmtimeError: The global lives in another store, or the store is in use.
            ValueError: The store is closed.
        """
        with door(store, self) as context:
            native = ffi.gc(
                lib.wasmtime_global_type(context, self._pointer()),
                lib.wasm_globaltype_delete,
            )
        return GlobalType._from_native(native, _engine_of(store))
