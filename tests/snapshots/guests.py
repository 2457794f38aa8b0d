"""Guests with state, and what it takes to copy them."""

from __future__ import annotations

from typing import Any, Optional

from wasmtime import Config, Engine, Instance, Linker, Module, Store, Trap, wat2wasm
from wasmtime._snapshots.capture import capture
from wasmtime._snapshots.restore import restore
from wasmtime._snapshots.rewrite import Prepared, prepare
from wasmtime._snapshots.state import State

#: A guest with every kind of state: two memories (one with 64-bit addresses), a table that grows,
#: a mutable global of each type, segments that can be copied and dropped.
EVERYTHING = """
(module
  (memory $a 1 6) (memory $b i64 2 4)
  (table $t 4 24 funcref)
  (global $i (mut i32) (i32.const 1)) (global $l (mut i64) (i64.const 2))
  (global $f (mut f32) (f32.const 3)) (global $d (mut f64) (f64.const 4))
  (global $v (mut v128) (v128.const i64x2 5 6))
  (global $r (mut funcref) (ref.func $one)) (global $x (mut externref) (ref.null extern))
  (global $started (mut i32) (i32.const 0))
  (data (i32.const 100) "initial") (data $p "passive") (data (memory $b) (i64.const 70000) "b")
  (data $q "another")
  (elem (i32.const 0) $one $two) (elem $e func $two $three $one)
  (elem $n funcref (ref.null func) (ref.func $three))
  (type $number (func (result i32)))
  (func $one (type $number) (i32.const 1)) (func $two (type $number) (i32.const 2))
  (func $three (type $number) (i32.const 3))
  (func $start (global.set $started (i32.add (global.get $started) (i32.const 1))))
  (start $start)
  (func (export "store_a") (param i32 i64) (i64.store $a (local.get 0) (local.get 1)))
  (func (export "store_b") (param i64 i64) (i64.store $b (local.get 0) (local.get 1)))
  (func (export "load_a") (param i32) (result i64) (i64.load $a (local.get 0)))
  (func (export "load_b") (param i64) (result i64) (i64.load $b (local.get 0)))
  (func (export "grow_a") (param i32) (result i32) (memory.grow $a (local.get 0)))
  (func (export "grow_b") (param i64) (result i64) (memory.grow $b (local.get 0)))
  (func (export "sizes") (result i32 i64 i32)
    (memory.size $a) (memory.size $b) (table.size $t))
  (func (export "fill_a") (param i32 i32 i32)
    (memory.fill $a (local.get 0) (local.get 1) (local.get 2)))
  (func (export "init_p") (param i32 i32 i32)
    (memory.init $a $p (local.get 0) (local.get 1) (local.get 2)))
  (func (export "init_q") (param i64 i32 i32)
    (memory.init $b $q (local.get 0) (local.get 1) (local.get 2)))
  (func (export "drop_p") (data.drop $p)) (func (export "drop_q") (data.drop $q))
  (func (export "grow_t") (param i32) (result i32)
    (table.grow $t (global.get $r) (local.get 0)))
  (func (export "set_t") (param i32) (table.set $t (local.get 0) (global.get $r)))
  (func (export "get_t") (param i32) (global.set $r (table.get $t (local.get 0))))
  (func (export "init_e") (param i32 i32 i32)
    (table.init $t $e (local.get 0) (local.get 1) (local.get 2)))
  (func (export "init_n") (param i32 i32 i32)
    (table.init $t $n (local.get 0) (local.get 1) (local.get 2)))
  (func (export "drop_e") (elem.drop $e)) (func (export "drop_n") (elem.drop $n))
  (func (export "call") (param i32) (result i32) (call_indirect $t (type $number) (local.get 0)))
  (func (export "set_numbers") (param i32 i64 i64)
    (global.set $i (local.get 0)) (global.set $l (local.get 1))
    (global.set $f (f32.reinterpret_i32 (local.get 0)))
    (global.set $d (f64.reinterpret_i64 (local.get 1)))
    (global.set $v (i64x2.replace_lane 1 (i64x2.splat (local.get 1)) (local.get 2))))
  (func (export "get_numbers") (result i32 i64 i32 i64 i64 i64 i32 i32)
    (global.get $i) (global.get $l) (i32.reinterpret_f32 (global.get $f))
    (i64.reinterpret_f64 (global.get $d)) (i64x2.extract_lane 0 (global.get $v))
    (i64x2.extract_lane 1 (global.get $v)) (ref.is_null (global.get $r)) (global.get $started)))
"""


def everything_engine() -> Engine:
    config = Config()
    config.wasm_memory64 = True
    config.wasm_multi_memory = True
    return Engine(config)


class Guest:
    """An instance in a store of its own: an original, a copy, or one of a baked module."""

    def __init__(
        self,
        module: Module,
        prepared: Optional[Prepared] = None,
        state: Optional[State] = None,
        linker: Optional[Linker] = None,
    ) -> None:
        self.module, self.prepared = module, prepared
        self.store = Store(module.engine)
        self.instance: Instance = (linker or Linker(module.engine)).instantiate(self.store, module)
        self.exports: Any = self.instance.exports(self.store)
        if prepared is not None and state is not None:
            restore(prepared, state, self.store, self.instance)
        elif prepared is not None and prepared.has_start:
            self.call(prepared.named("start"))

    def call(self, name: str, *args: Any) -> Any:
        """What a function returns, or that it trapped."""
        try:
            return self.exports[name](self.store, *args)
        except Trap:
            return "trap"

    def capture(self) -> State:
        assert self.prepared is not None
        return capture(self.prepared, self.module, self.store, self.instance)

    def copy(self) -> Guest:
        return Guest(self.module, self.prepared, self.capture())


def original(text: str, engine: Optional[Engine] = None) -> Guest:
    """An instance of a module, made for snapshots."""
    prepared = prepare(bytes(wat2wasm(text)))
    return Guest(Module(engine or Engine(), prepared.binary), prepared)
