"""Calls into components, with values of all sizes.

The components give back what they are given. `wasmtime.component` of the published package has the
same functions, so every row is measured with the same code. The rows of ``bulk`` compare with the
direct path, where the library copies lists value by value.
"""

from __future__ import annotations

from typing import Any

from .rows import Work, row

LIBC = """
  (core module $libc
    (memory (export "mem") 64 4096)
    (global $base (mut i32) (i32.const 4096))
    (func (export "reset") (global.set $base (i32.const 4096)))
    (func (export "realloc") (param $old i32) (param $old_size i32) (param $align i32)
                             (param $size i32) (result i32)
      (local $at i32)
      (local.set $at
        (i32.and (i32.add (global.get $base) (i32.sub (local.get $align) (i32.const 1)))
                 (i32.sub (i32.const 0) (local.get $align))))
      (global.set $base (i32.add (local.get $at) (local.get $size)))
      local.get $at))
  (core instance $libc (instantiate $libc))
"""

ADD = """
(component
  (core module $m (func (export "add") (param i32 i32) (result i32)
    (i32.add (local.get 0) (local.get 1))))
  (core instance $i (instantiate $m))
  (func (export "add") (param "a" s32) (param "b" s32) (result s32)
    (canon lift (core func $i "add"))))
"""

HOST = """
(component
  (import "host" (func $host (param "a" s32) (param "b" s32) (result s32)))
  (core func $lowered (canon lower (func $host)))
  (core module $m
    (import "" "host" (func $host (param i32 i32) (result i32)))
    (func (export "run") (param $n i32) (result i32)
      (loop $again
        (drop (call $host (i32.const 1) (i32.const 2)))
        (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      i32.const 0))
  (core instance $i (instantiate $m (with "" (instance (export "host" (func $lowered))))))
  (func (export "run") (param "n" u32) (result u32) (canon lift (core func $i "run"))))
"""


def echo_text(declaration: str) -> str:
    """A component that gives back a list or string.

    Args:
        declaration: Declares the type ``$t``.
    """
    options = '(memory (core memory $libc "mem")) (realloc (core func $libc "realloc"))'
    return f"""(component {declaration} {LIBC}
      (core module $m
        (import "" "mem" (memory 1))
        (import "" "reset" (func $reset))
        (func (export "echo") (param i32 i32) (result i32)
          (i32.store (i32.const 1024) (local.get 0))
          (i32.store (i32.const 1028) (local.get 1))
          i32.const 1024)
        (func (export "after") (param i32) call $reset))
      (core instance $m (instantiate $m
        (with "" (instance (export "mem" (memory $libc "mem"))
                           (export "reset" (func $libc "reset"))))))
      (func (export "echo") (param "x" $t) (result $t)
        (canon lift (core func $m "echo") {options} (post-return (core func $m "after")))))"""


def function(text: str, name: str, **imports: Any) -> tuple[Any, Any]:
    """A store, and a function of a component in it."""
    import wasmtime
    from wasmtime.component import Component, Linker

    store = wasmtime.Store()
    linker = Linker(store.engine)
    with linker.root() as root:
        for key, value in imports.items():
            root.add_func(key, value)
    instance = linker.instantiate(store, Component(store.engine, text))
    return store, instance.get_func(store, name)


def echo(text: str, value: Any) -> Work:
    """The work of passing a value through a component."""
    declaration = f"""(type $t' {text}) (import "t" (type $t (eq $t')))"""
    store, f = function(echo_text(declaration), "echo")
    return Work("f(store, value); f.post_return(store)", f=f, store=store, value=value)


@row("component.add", "`add(store, 5, 3)`, s32 + s32 → s32", target=22)
def add() -> Work:
    store, f = function(ADD, "add")
    return Work("f(store, 5, 3); f.post_return(store)", f=f, store=store)


@row("component.host", "a host function called by a component, (s32, s32) → s32", inner=100)
def host() -> Work:
    store, f = function(HOST, "run", host=lambda _store, a, b: a + b)
    return Work("f(store, 100); f.post_return(store)", f=f, store=store)


@row("component.string", "string of 1 KiB, there and back", target=15)
def string() -> Work:
    return echo("string", "x" * 1024)


@row("component.bytes_64k", "`list<u8>` of 64 KiB, there and back", target=15)
def bytes_64k() -> Work:
    return echo("(list u8)", bytes(65536))


@row("component.bytes_1m", "`list<u8>` of 1 MiB, there and back", target=1500)
def bytes_1m() -> Work:
    return echo("(list u8)", bytes(1 << 20))


@row("component.floats", "`list<f64>` of 10 000 elements, there and back", target=8)
def floats() -> Work:
    return echo("(list f64)", [float(n) for n in range(10_000)])


@row(
    "component.floats_buffer",
    "`list<f64>` of 10 000 elements from an array, there and back",
    ours_only=True,
)
def floats_buffer() -> Work:
    from array import array

    return echo("(list f64)", array("d", range(10_000)))


@row("component.records", "1000 records of two floats and a string, there and back", target=8)
def records() -> Work:
    from wasmtime.component import Record

    values = []
    for n in range(1000):
        record: Any = Record()
        record.x, record.y, record.name = n * 1.0, n * 2.0, f"name {n}"
        values.append(record)
    fields = '(field "x" f64) (field "y" f64) (field "name" string)'
    declaration = f"""(type $r' (record {fields})) (import "r" (type $r (eq $r')))
      (type $t' (list $r)) (import "t" (type $t (eq $t')))"""
    store, f = function(echo_text(declaration), "echo")
    return Work("f(store, value); f.post_return(store)", f=f, store=store, value=values)
