"""A program that was stopped at its first read."""

from __future__ import annotations

from asyncified import PROGRAM

from wasmtime import Engine, Linker, Module, Store, WasiConfig, wat2wasm
from wasmtime._snapshots.capture import capture
from wasmtime._snapshots.rewrite import Prepared, prepare
from wasmtime._snapshots.state import State


def stopped() -> tuple[Prepared, Module, Linker, State]:
    """The program, stopped at its first read."""
    prepared = prepare(bytes(wat2wasm(PROGRAM)))
    module = Module(Engine(), prepared.binary)
    linker = Linker(module.engine)
    linker.define_wasi()
    store = Store(module.engine)
    store.set_wasi(WasiConfig())
    instance = linker.instantiate(store, module)
    exports = instance.exports(store)
    exports[prepared.named("armed")].set_value(store, 1)  # type: ignore[union-attr]
    exports["_start"](store)  # type: ignore[operator]
    assert exports["asyncify_get_state"](store) == 1  # type: ignore[operator]
    exports["asyncify_stop_unwind"](store)  # type: ignore[operator]
    return prepared, module, linker, capture(prepared, module, store, instance)
