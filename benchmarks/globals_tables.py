"""Globals, tables and exports."""

from __future__ import annotations

from .rows import Work, instantiate, row

MODULE = """
(module
  (global (export "number") (mut i32) (i32.const 1))
  (table (export "table") 2 funcref)
  (elem (i32.const 0) $f $f)
  (func $f (export "f")))
"""


@row("globals_tables.get", "`global.value(store)`", target=12)
def get() -> Work:
    store, exports = instantiate(MODULE)
    return Work("number.value(store)", number=exports["number"], store=store)


@row("globals_tables.set", "`global.set_value(store, 5)`", target=60)
def set_value() -> Work:
    store, exports = instantiate(MODULE)
    return Work("number.set_value(store, 5)", number=exports["number"], store=store)


@row("globals_tables.table", "`table.get(store, 0)` of a function", target=8)
def table() -> Work:
    store, exports = instantiate(MODULE)
    return Work("table.get(store, 0)", table=exports["table"], store=store)


@row("globals_tables.exports", '`instance.exports(store)["f"]`', target=1.0)
def exports() -> Work:
    import wasmtime

    store = wasmtime.Store()
    instance = wasmtime.Instance(store, wasmtime.Module(store.engine, MODULE), [])
    return Work('instance.exports(store)["f"]', instance=instance, store=store)
