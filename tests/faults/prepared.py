"""
Components and snapshots that operations use, made before allocations fail.
"""

from __future__ import annotations

from typing import Any

from wasmtime import Engine, FuncType, Instance, Linker, Module, Store, ValType, wat2wasm
from wasmtime._snapshots.capture import capture
from wasmtime._snapshots.rewrite import prepare
from wasmtime.component import Component
from wasmtime.component import Linker as ComponentLinker


def lists_component() -> tuple[Any, Store]:
    """
    A component's function that gives back a list of pairs of text and numbers, and its store.
    """
    engine = Engine()
    component = Component(
        engine,
        """(component
          (core module $m (memory (export "memory") 8)
            (global $at (mut i32) (i32.const 1024))
            (func (export "realloc") (param i32 i32 i32 i32) (result i32)
              (global.set $at (i32.and (i32.add (global.get $at) (i32.const 7)) (i32.const -8)))
              global.get $at
              (global.set $at (i32.add (global.get $at) (local.get 3))))
            (func (export "echo") (param i32 i32) (result i32)
              (i32.store (i32.const 8) (local.get 0))
              (i32.store (i32.const 12) (local.get 1))
              i32.const 8)
            (func (export "after") (param i32) (global.set $at (i32.const 1024))))
          (core instance $i (instantiate $m))
          (func (export "echo") (param "x" (list (tuple string (list f64) (list u8))))
            (result (list (tuple string (list f64) (list u8))))
            (canon lift (core func $i "echo") (memory (core memory $i "memory"))
              (realloc (core func $i "realloc")) (post-return (core func $i "after")))))""",
    )
    store = Store(engine)
    exports = ComponentLinker(engine).instantiate(store, component).exports(store)
    return exports.echo, store


class Once:
    """
    Is awaited by one turn of an event loop, and gives a value.
    """

    def __init__(self, value: Any) -> None:
        self.value = value

    def __await__(self) -> Any:
        yield
        return self.value


def asking_component(engine: Engine) -> tuple[Component, ComponentLinker]:
    """
    A component that asks the host for a text, and a linker with a function that waits.
    """
    component = Component(
        engine,
        """(component
          (import "ask" (func $ask (param "x" string) (result string)))
          (core module $libc (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
          (core instance $libc (instantiate $libc))
          (core func $ask (canon lower (func $ask)
            (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
          (core module $m
            (import "" "ask" (func $ask (param i32 i32 i32)))
            (func (export "run") (param i32 i32) (result i32)
              (call $ask (local.get 0) (local.get 1) (i32.const 8)) (i32.const 8)))
          (core instance $i (instantiate $m (with "" (instance (export "ask" (func $ask))))))
          (func (export "run") (param "x" string) (result string)
            (canon lift (core func $i "run")
              (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))""",
    )
    linker = ComponentLinker(engine)
    linker.define_imports(component, {"ask": Once})
    return component, linker


class Future(Once):
    """
    Looks like a future of an event loop, which is itself; its timers never go off.
    """

    def __await__(self) -> Any:
        yield self
        return self.value

    def get_loop(self) -> Any:
        return self

    def call_soon_threadsafe(self, *_call: Any) -> None: ...

    def call_later(self, *_call: Any) -> Any:
        return self

    def cancel(self) -> None: ...


def asking_module(engine: Engine) -> tuple[Module, Linker]:
    """
    A module that asks the host for a number, and a linker with a function that waits.
    """
    module = Module(
        engine,
        """
        (import "m" "ask" (func $ask (param i32) (result i32)))
        (func (export "run") (param i32) (result i32) (call $ask (local.get 0)))""",
    )
    linker = Linker(engine)
    linker.define_func("m", "ask", FuncType([ValType.i32()], [ValType.i32()]), Future)
    return module, linker


#: A guest that changes pages, a table and globals.
CHANGING = """
(module
  (memory 4) (table 9 funcref) (global $n (mut i64) (i64.const 0)) (elem declare func $change)
  (func $change (export "change")
    (memory.fill (i32.const 70000) (i32.const 7) (i32.const 90000))
    (table.set (i32.const 3) (ref.func $change))
    (global.set $n (i64.const 5))))
"""


class Captured:
    """
    A guest that has changed, and a snapshot of it.
    """

    def __init__(self) -> None:
        self.prepared = prepare(bytes(wat2wasm(CHANGING)))
        self.module = Module(Engine(), self.prepared.binary)
        self.store, self.instance = self.instantiate()
        self.instance.exports(self.store).get_func("change")(self.store)
        self.state = self.capture()

    def instantiate(self) -> tuple[Store, Instance]:
        store = Store(self.module.engine)
        return store, Instance(store, self.module, [])

    def capture(self) -> Any:
        return capture(self.prepared, self.module, self.store, self.instance)
