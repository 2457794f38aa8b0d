"""
Worlds, as the text of components, that the tests of generated packages share.
"""

from __future__ import annotations

from . import build_wat

#: A resource that the component provides, in the form that the usual toolchains give it.
COUNTER = """
(component
  (core module $m
    (import "own" "new" (func $new (param i32) (result i32)))
    (global $dropped (mut i32) (i32.const 0))
    (func (export "make") (param i32) (result i32) (call $new (local.get 0)))
    (func (export "value") (param i32) (result i32) (local.get 0))
    (func (export "plus") (param i32 i32) (result i32)
      (call $new (i32.add (local.get 0) (local.get 1))))
    (func (export "sum") (param i32 i32) (result i32)
      (call $new (i32.add (local.get 0) (local.get 1))))
    (func (export "dropped") (result i32) (global.get $dropped))
    (func (export "dtor") (param i32)
      (global.set $dropped (i32.add (global.get $dropped) (local.get 0)))))
  (core module $shim
    (table (export "table") 1 1 funcref)
    (type $dtor (func (param i32)))
    (func (export "dtor") (param i32) (call_indirect (type $dtor) (local.get 0) (i32.const 0))))
  (core module $fixup
    (import "" "table" (table 1 1 funcref))
    (import "" "dtor" (func $dtor (param i32)))
    (elem (i32.const 0) func $dtor))
  (core instance $shim (instantiate $shim))
  (type $counter (resource (rep i32) (dtor (core func $shim "dtor"))))
  (core func $new (canon resource.new $counter))
  (core func $rep (canon resource.rep $counter))
  (core instance $m (instantiate $m (with "own" (instance (export "new" (func $new))))))
  (core instance (instantiate $fixup
    (with "" (instance (export "table" (table $shim "table")) (export "dtor" (func $m "dtor"))))))
  (core module $sum
    (import "" "rep" (func $rep (param i32) (result i32)))
    (import "" "sum" (func $sum (param i32 i32) (result i32)))
    (func (export "sum") (param i32 i32) (result i32)
      (call $sum (call $rep (local.get 0)) (local.get 1))))
  (core instance $sum (instantiate $sum (with "" (instance
    (export "rep" (func $rep)) (export "sum" (func $m "sum"))))))
  (func $make (param "start" u32) (result (own $counter)) (canon lift (core func $m "make")))
  (func $value (param "self" (borrow $counter)) (result u32) (canon lift (core func $m "value")))
  (func $plus (param "self" (borrow $counter)) (param "n" u32) (result (own $counter))
    (canon lift (core func $m "plus")))
  (func $sum (param "a" (own $counter)) (param "b" (borrow $counter)) (result (own $counter))
    (canon lift (core func $sum "sum")))
  (func $dropped (result u32) (canon lift (core func $m "dropped")))
  (component $api
    (import "t" (type $t (sub resource)))
    (import "make" (func $make (param "start" u32) (result (own $t))))
    (import "value" (func $value (param "self" (borrow $t)) (result u32)))
    (import "plus" (func $plus (param "self" (borrow $t)) (param "n" u32) (result (own $t))))
    (import "sum" (func $sum (param "a" (own $t)) (param "b" (borrow $t)) (result (own $t))))
    (import "dropped" (func $dropped (result u32)))
    (export $c "counter" (type $t))
    (export "[constructor]counter" (func $make)
      (func (param "start" u32) (result (own $c))))
    (export "[method]counter.value" (func $value)
      (func (param "self" (borrow $c)) (result u32)))
    (export "[method]counter.plus" (func $plus)
      (func (param "self" (borrow $c)) (param "n" u32) (result (own $c))))
    (export "[static]counter.sum" (func $sum)
      (func (param "a" (own $c)) (param "b" (borrow $c)) (result (own $c))))
    (export "dropped" (func $dropped)))
  (instance $api (instantiate $api
    (with "t" (type $counter)) (with "make" (func $make)) (with "value" (func $value))
    (with "plus" (func $plus)) (with "sum" (func $sum)) (with "dropped" (func $dropped))))
  (export "test:things/counters@1.0.0" (instance $api)))
"""

#: A resource that the host provides.
STORE = """
(component
  (import "test:things/store@0.2.1" (instance $store
    (export "bucket" (type $bucket (sub resource)))
    (export "item" (type $item (sub resource)))
    (export "[constructor]bucket" (func (param "size" u32) (result (own $bucket))))
    (export "[method]bucket.count" (func (param "self" (borrow $bucket)) (result u32)))
    (export "[static]bucket.find" (func (param "n" u32) (result (own $bucket))))
    (export "[method]item.weight" (func (param "self" (borrow $item)) (result u32)))
    (export "first" (func (result (own $item))))
    (export "weigh" (func (param "item" (borrow $item)) (result u32)))
    (export "give" (func (param "item" (own $item)) (result u32)))))
  (alias export $store "bucket" (type $bucket))
  (alias export $store "item" (type $item))
  (core func $new (canon lower (func $store "[constructor]bucket")))
  (core func $count (canon lower (func $store "[method]bucket.count")))
  (core func $find (canon lower (func $store "[static]bucket.find")))
  (core func $weight (canon lower (func $store "[method]item.weight")))
  (core func $first (canon lower (func $store "first")))
  (core func $weigh (canon lower (func $store "weigh")))
  (core func $give (canon lower (func $store "give")))
  (core func $drop (canon resource.drop $bucket))
  (core module $m
    (import "" "new" (func $new (param i32) (result i32)))
    (import "" "count" (func $count (param i32) (result i32)))
    (import "" "find" (func $find (param i32) (result i32)))
    (import "" "weight" (func $weight (param i32) (result i32)))
    (import "" "first" (func $first (result i32)))
    (import "" "weigh" (func $weigh (param i32) (result i32)))
    (import "" "give" (func $give (param i32) (result i32)))
    (import "" "drop" (func $drop (param i32)))
    (func (export "run") (param i32) (result i32)
      (local $b i32) (local $i i32) (local $sum i32)
      (local.set $b (call $new (local.get 0)))
      (local.set $sum (call $count (local.get $b)))
      (call $drop (local.get $b))
      (local.set $b (call $find (i32.const 3)))
      (local.set $sum (i32.add (local.get $sum) (call $count (local.get $b))))
      (call $drop (local.get $b))
      (local.set $i (call $first))
      (local.set $sum (i32.add (local.get $sum) (call $weight (local.get $i))))
      (local.set $sum (i32.add (local.get $sum) (call $weigh (local.get $i))))
      (i32.add (local.get $sum) (call $give (local.get $i)))))
  (core instance $m (instantiate $m (with "" (instance
    (export "new" (func $new)) (export "count" (func $count)) (export "find" (func $find))
    (export "weight" (func $weight)) (export "first" (func $first))
    (export "weigh" (func $weigh)) (export "give" (func $give)) (export "drop" (func $drop))))))
  (func (export "run") (param "n" u32) (result u32) (canon lift (core func $m "run"))))
"""

#: Interfaces whose short names clash, functions and a type at the top level, and types that are
#: used from another interface.
CLASHES = """
(component
  (type $point (record (field "x" u8)))
  (import "one:a/types@0.1.0" (instance $a1
    (type $r (record (field "a" u8))) (export "r" (type $rr (eq $r)))
    (export "f" (func (result $rr)))))
  (import "one:a/types@0.2.0" (instance $a2
    (type $r (enum "b" "c")) (export "r" (type $rr (eq $r)))
    (export "f" (func (result $rr)))))
  (import "two:b/types" (instance $b
    (type $r (flags "c")) (export "r" (type $rr (eq $r)))
    (export "f" (func (result $rr)))))
  (alias export $a2 "r" (type $a2r))
  (import "host" (instance $host
    (alias outer 1 $a2r (type $r)) (export "other" (type $o (eq $r)))
    (export "run" (func (param "o" $o)))))
  (import "world" (instance))
  (import "level" (type $level (eq $point)))
  (import "log" (func $log (param "level" $level) (param "r" $a2r)))
  (core module $m
    (func (export "f") (result i32) (i32.const 7))
    (func (export "g") (param i32) (result i32) (local.get 0)))
  (core instance $m (instantiate $m))
  (func $f (result u8) (canon lift (core func $m "f")))
  (func $g (param "level" $level) (result $level) (canon lift (core func $m "g")))
  (instance $types (export "f" (func $f)))
  (export "types" (func $f))
  (export "g" (func $g))
  (export "one:a/types@0.2.0" (instance $types))
  (export "two:b/types" (instance $types)))
"""

#: What bare functions were in the bindings of older versions.
BARE = """
(component
  (import "host" (instance $host (export "thunk" (func))))
  (import "answer" (func $answer (result u32)))
  (core func $thunk (canon lower (func $host "thunk")))
  (core func $answer (canon lower (func $answer)))
  (core module $m
    (import "" "thunk" (func $thunk))
    (import "" "answer" (func $answer (result i32)))
    (func (export "ask") (result i32) (call $thunk) (call $answer)))
  (core instance $m (instantiate $m (with "" (instance
    (export "thunk" (func $thunk)) (export "answer" (func $answer))))))
  (func (export "ask") (result u32) (canon lift (core func $m "ask"))))
"""

MODULE = """
(module
  (import "env" "log" (func (param i32 i64) (result f32)))
  (import "env" "memory" (memory 1))
  (func (export "add") (param $a i32) (param $class i32) (result i32) (i32.const 1))
  (func (export "two") (result i32 f64) (i32.const 1) (f64.const 2))
  (global (export "g") i32 (i32.const 1))
  (memory (export "m") 1)
  (table (export "t x") 1 funcref)
  (func (export "refs") (param externref v128) (result externref) (local.get 0))
  (func (export "int") (param $int i32) (result i32) (local.get 0)))
"""


def _signals() -> build_wat.Interface:
    """
    Lists of numbers by themselves, under a name, and inside of other types.
    """
    it = build_wat.Interface("signals")
    numbers = build_wat.list_of(build_wat.prim("f64"))
    samples = it.alias("samples", numbers)
    it.record("signal", label=build_wat.prim("string"), samples=samples)
    it.echo("scale", numbers)
    it.echo("shift", samples)
    it.echo("count", build_wat.list_of(build_wat.prim("u16")))
    it.echo("maybe", build_wat.option_of(numbers))
    it.echo("rows", build_wat.list_of(numbers))
    it.echo("store", build_wat.Ty("$signal", ["i32"] * 4))
    it.echo("text", build_wat.list_of(build_wat.prim("char")))
    it.echo("raw", build_wat.list_of(build_wat.prim("u8")))
    return it


SIGNALS = build_wat.component(_signals(), "test:signals/host", "test:signals/guest")

WORLDS = {
    "awkward": build_wat.component(
        build_wat.awkward(), "test:awkward/while", "test:awkward/exports"
    ),
    "bare": BARE,
    "clashes": CLASHES,
    "counter": COUNTER,
    "empty": "(component)",
    "everything": build_wat.component(build_wat.everything(), "test:all/host", "test:all/guest"),
    "module": MODULE,
    "signals": SIGNALS,
    "store": STORE,
}
