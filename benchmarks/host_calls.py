"""Calls from WebAssembly into Python."""

from __future__ import annotations

from typing import Any

from .rows import Work, instantiate, row

CALLS = 1000
MODULE = f"""
(module
  (import "" "f" (func $f (param i32) (result i32)))
  (func (export "run") (local $left i32)
    (local.set $left (i32.const {CALLS}))
    (loop $again
      (drop (call $f (local.get $left)))
      (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))))
"""


def _imports(store: Any) -> list[Any]:
    from wasmtime import Func, FuncType, ValType

    i32 = ValType.i32()

    def same(number: int) -> int:
        return number

    return [Func(store, FuncType([i32], [i32]), same)]


@row(
    "host_calls.python",
    "wasm calls a Python function, i32 → i32",
    target=35,
    inner=CALLS,
    note=f"{CALLS} host calls in a loop in WebAssembly; the Python function returns its argument",
)
def python() -> Work:
    store, exports = instantiate(MODULE, _imports)
    return Work("run(store)", run=exports["run"], store=store)
