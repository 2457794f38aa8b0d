"""Tables."""

from __future__ import annotations

from typing import Any, Optional

from ._error import WasmtimeError, expect
from ._module import Module
from ._native import address_of, check, core, ffi, lib
from ._store import Storelike, door, engine_of
from ._types import TableType, ValType
from ._value import lowered

__all__ = ["Table"]


class Table(core.Table):
    """A table: an array of references.

    Args:
        store: The store to make the table in.
        ty: Its type.
        init: What its elements hold at first: a `Func`, any object for a table of externrefs, or
            None for null.

    Raises:
        TypeError: An argument is of a wrong type.
        WasmtimeError: The store's limits do not allow it, `init` belongs to another store, or the
            store is in use.
        ValueError: The store is closed.

    C API: ``wasmtime_table_new``.
    """

    def __init__(self, store: Storelike, ty: TableType, init: Any) -> None:
        expect(ty, TableType, "ty")
        native = ty._to_native()
        element = lib.wasm_tabletype_element(native)
        result = ffi.new("wasmtime_table_t *")
        with door(store) as context:
            ty._check_engine(engine_of(store))
            with lowered(store, init, element, "init") as raw:
                check(lib.wasmtime_table_new(context, native, raw, result))
        self._set_native(store, address_of(result))

    def __repr__(self) -> str:
        from ._display import table_text

        return table_text(self)

    def _pointer(self) -> Any:
        # By this name in every class, so that cffi refuses another's where it is called as ours.
        return ffi.cast("wasmtime_table_t *", self._address)

    def type(self, store: Storelike) -> TableType:
        """The table's type, as it was declared; `size` tells what it has grown to.

        Raises:
            WasmtimeError: The table lives in another store, or the store is in use.
            ValueError: The store is closed.
        """
        with door(store, self) as context:
            native = ffi.gc(
                lib.wasmtime_table_type(context, self._pointer()),
                lib.wasm_tabletype_delete,
            )
        ty = TableType._from_native(native, engine_of(store))
        return ty._with_64(self._has_64_bit_indices(store, ty.element))

    def _has_64_bit_indices(self, store: Storelike, element: ValType) -> bool:
        """Ask whether a module that imports such a table would get this one.

        The C API does not tell whether indices have 64 bits.
        """
        engine = engine_of(store)
        module = _probe(engine, element)
        if module is None:
            return False
        linker = ffi.gc(lib.wasmtime_linker_new(engine._use().pointer), lib.wasmtime_linker_delete)
        item = ffi.new("wasmtime_extern_t *")
        item.kind = lib.WASMTIME_EXTERN_TABLE
        item.of.table = self._pointer()[0]
        with door(store, self) as context:
            check(lib.wasmtime_linker_define(linker, context, b"", 0, b"", 0, item))
        linked = ffi.new("wasmtime_instance_pre_t **")
        error = lib.wasmtime_linker_instantiate_pre(linker, module.pointer, linked)
        if error != ffi.NULL:
            lib.wasmtime_error_delete(error)
            return False
        lib.wasmtime_instance_pre_delete(linked[0])
        return True


def _probe(engine: Any, element: ValType) -> Optional[core.Handle]:
    """The native module that imports any table of such elements with 64-bit indices.

    Returns:
        None where it cannot be made: no module of the engine can have such tables, the elements
        are of a type that has no name, or the engine is closed.
    """
    probes: dict[ValType, core.Handle] = engine._table_probes
    if element not in probes:
        try:
            module = Module(engine, f'(module (import "" "" (table i64 0 {element})))')
        except (WasmtimeError, ValueError):
            return None
        probes[element] = module._use()
    return probes[element]
