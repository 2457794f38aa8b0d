"""
A guest of a core module, whose host functions the tests give.
"""

from __future__ import annotations

import asyncio
from typing import Any, Callable, Optional

from wasmtime import Engine, Func, FuncType, Linker, Module, Store, ValType
from wasmtime._instance import InstanceExports

I32 = ValType.I32
REF = ValType.EXTERNREF

TEXT = """
(module
  (import "host" "ask" (func $ask (param i32) (result i32)))
  (import "host" "swap" (func $swap (param externref) (result externref)))
  (memory (export "memory") 1)
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "both") (param i32) (result i32 i32) (local.get 0) (local.get 0))
  (func $run (export "run") (param i32) (result i32) (call $ask (local.get 0)))
  (func (export "many") (param i32) (result i32) (local $left i32)
    (local.set $left (local.get 0))
    (loop
      (drop (call $ask (local.get 0)))
      (br_if 0 (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (local.get 0))
  (func (export "swap") (param externref) (result externref) (call $swap (local.get 0)))
  (func (export "spin") (loop (br 0)))
  (func (export "trap") unreachable))
"""


async def until(condition: Callable[[], object]) -> None:
    """Let the loop run until something holds; a guest may give way to it before it asks."""
    while not condition():
        await asyncio.sleep(0)


def until_waits(call: Any, condition: Callable[[], object]) -> None:
    """Step a call by hand until something holds: its guest may give way before it asks."""
    while not condition():
        call.send(None)


class Guests:
    """Guests of one engine."""

    def __init__(self, engine: Optional[Engine] = None) -> None:
        self.engine = engine or Engine()
        self.module = Module(self.engine, TEXT)

    def linker(
        self,
        ask: Callable[..., Any] = lambda n: n,
        swap: Callable[..., Any] = lambda value: value,
        access_caller: bool = False,
    ) -> Linker:
        linker = Linker(self.engine)
        linker.define_func("host", "ask", FuncType([I32], [I32]), ask, access_caller)
        linker.define_func("host", "swap", FuncType([REF], [REF]), swap)
        return linker

    async def make(self, *args: Any, **kwargs: Any) -> Guest:
        store = Store(self.engine)
        instance = await self.linker(*args, **kwargs).instantiate_async(store, self.module)
        return Guest(store, instance.exports(store))


class Guest:
    """An instance in a store of its own."""

    def __init__(self, store: Store, exports: InstanceExports) -> None:
        self.store = store
        self.exports = exports
        # Looked up now, with their types: in a store in use nothing is.
        self.functions = {name: item for name, item in exports.items() if isinstance(item, Func)}
        for function in self.functions.values():
            function.param_arity()

    def start(self, name: str, *params: Any) -> Any:
        """An asynchronous call."""
        return self.functions[name].call_async(self.store, *params)

    def now(self, name: str, *params: Any) -> Any:
        """A synchronous call."""
        return self.functions[name](self.store, *params)
