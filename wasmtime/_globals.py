"""Globals."""

from __future__ import annotations

from typing import Any

from ._error import expect
from ._native import address_of, check, core, ffi, lib
from ._store import Storelike, door, engine_of
from ._types import GlobalType
from ._value import lowered

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
        expect(ty, GlobalType, "ty")
        native = ty._to_native()
        content = lib.wasm_globaltype_content(native)
        result = ffi.new("wasmtime_global_t *")
        with door(store) as context:
            ty._check_engine(engine_of(store))
            with lowered(store, val, content, "val") as raw:
                check(lib.wasmtime_global_new(context, native, raw, result))
        self._set_native(store, address_of(result))

    def __repr__(self) -> str:
        from ._display import global_text

        return global_text(self)

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
        return GlobalType._from_native(native, engine_of(store))
