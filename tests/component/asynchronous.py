"""
Components for tests of asynchronous calls, and what makes instances of them.
"""

from __future__ import annotations

import asyncio
from typing import Any, Callable

import pytest

from wasmtime import Config, Engine, Store, WasmtimeError
from wasmtime.component import Component, Linker

from .echo import LIBC, OPTIONS

#: Its functions call those of the host: with a number, with a text, without a result; `spin` ends
#: by itself never, and `plain` calls nothing.
ASKING = f"""
(component
  (import "ask" (func $ask (param "n" u32) (result u32)))
  (import "tell" (func $tell (param "n" u32)))
  (import "greet" (func $greet (param "name" string) (result string)))
  {LIBC}
  (core func $ask (canon lower (func $ask)))
  (core func $tell (canon lower (func $tell)))
  (core func $greet (canon lower (func $greet) {OPTIONS}))
  (core module $m
    (import "" "ask" (func $ask (param i32) (result i32)))
    (import "" "tell" (func $tell (param i32)))
    (import "" "greet" (func $greet (param i32 i32 i32)))
    (func (export "ask") (param i32) (result i32) (call $ask (local.get 0)))
    (func (export "twice") (param i32) (result i32)
      (i32.add (call $ask (local.get 0)) (call $ask (i32.add (local.get 0) (i32.const 1)))))
    (func (export "tell") (param i32) (call $tell (local.get 0)))
    (func (export "greet") (param i32 i32) (result i32)
      (call $greet (local.get 0) (local.get 1) (i32.const 16)) (i32.const 16))
    (func (export "spin") (loop (br 0)))
    (func (export "trap") (param i32) (drop (call $ask (local.get 0))) unreachable)
    (func (export "plain") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1))))
  (core instance $i (instantiate $m (with "" (instance
    (export "ask" (func $ask)) (export "tell" (func $tell)) (export "greet" (func $greet))))))
  (func (export "ask") (param "n" u32) (result u32) (canon lift (core func $i "ask")))
  (func (export "twice") (param "n" u32) (result u32) (canon lift (core func $i "twice")))
  (func (export "tell") (param "n" u32) (canon lift (core func $i "tell")))
  (func (export "greet") (param "name" string) (result string)
    (canon lift (core func $i "greet") {OPTIONS}))
  (func (export "spin") (canon lift (core func $i "spin")))
  (func (export "trap") (param "n" u32) (canon lift (core func $i "trap")))
  (func (export "plain") (param "n" u32) (result u32) (canon lift (core func $i "plain"))))
"""


def answer(n: int = 0) -> int:
    """
    What the host does by default.
    """
    return n


class Guest:
    """
    An instance of `ASKING` in a store of its own.

    Attributes:
        store: The store.
        exports: Its functions.
    """

    def __init__(self, store: Store, instance: Any) -> None:
        self.store = store
        self.exports = instance.exports(store)

    async def call(self, name: str, *arguments: Any) -> Any:
        """
        Call a function asynchronously.
        """
        return await self.exports[name].call_async(self.store, *arguments)

    def call_now(self, name: str, *arguments: Any) -> Any:
        """
        Call a function synchronously.
        """
        return self.exports[name](self.store, *arguments)


class Asking:
    """
    The component `ASKING`, compiled once.
    """

    def __init__(self, **settings: bool) -> None:
        self.engine = Engine(Config(**settings))
        self.component = Component(self.engine, ASKING)

    def linker(self, **hosts: Callable[..., Any]) -> Linker:
        """
        A linker with functions of the host.
        """
        linker = Linker(self.engine)
        defaults = {"ask": answer, "tell": lambda n: None, "greet": str}
        linker.define_imports(self.component, {**defaults, **hosts})
        return linker

    async def guest(self, **hosts: Callable[..., Any]) -> Guest:
        """
        An instance for asynchronous calls.
        """
        store = Store(self.engine)
        return Guest(store, await self.linker(**hosts).instantiate_async(store, self.component))

    def guest_now(self, **hosts: Callable[..., Any]) -> Guest:
        """
        An instance that is made synchronously.
        """
        store = Store(self.engine)
        return Guest(store, self.linker(**hosts).instantiate(store, self.component))


async def closed(store: Store) -> None:
    """
    Wait until the other thread is done with a store.
    """
    for _ in range(3000):
        try:
            store.close()
        except WasmtimeError:
            await asyncio.sleep(0.01)
        else:
            return
    pytest.fail("the guest never ended")
