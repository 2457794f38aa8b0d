"""
Python functions that a component gives several borrowed handles.

The library has a fault here on engines with concurrency support, the default. When a new version of
the library makes the first test fail, the hint in the error and the documents can go.
"""

from __future__ import annotations

from typing import Any

import pytest

from wasmtime import Config, Engine, Store, WasiConfig, WasmtimeError
from wasmtime.component import Component, Linker


class Thing:
    """
    A resource of the host.
    """

    def __init__(self, number: int) -> None:
        self.number = number

    def same(self, other: Thing) -> int:
        """
        The method of the interface.
        """
        return int(self is other)


def total(*given: Any) -> int:
    """
    The sum of the numbers of all things, which may lie in lists or tuples.
    """
    return sum(each.number if isinstance(each, Thing) else total(*each) for each in given)


def component(engine: Engine, params: str, arguments: str) -> Component:
    """
    A component whose function `run` makes the things 1 and 2, lends them to the host's function
    `sum` and drops them.
    """
    return Component(
        engine,
        f"""(component
          (import "things" (instance $things
            (export "thing" (type $t (sub resource)))
            (export "[constructor]thing" (func (param "number" u32) (result (own $t))))
            (export "[method]thing.same"
              (func (param "self" (borrow $t)) (param "other" (borrow $t)) (result u32)))
            (export "sum" (func {params} (result u32)))))
          (alias export $things "thing" (type $thing))
          (core module $libc (memory (export "memory") 1))
          (core instance $libc (instantiate $libc))
          (core func $new (canon lower (func $things "[constructor]thing")))
          (core func $same (canon lower (func $things "[method]thing.same")))
          (core func $sum (canon lower (func $things "sum")
            (memory (core memory $libc "memory"))))
          (core func $drop (canon resource.drop $thing))
          (core module $m
            (import "" "memory" (memory 1))
            (import "" "new" (func $new (param i32) (result i32)))
            (import "" "same" (func $same (param i32 i32) (result i32)))
            (import "" "sum" (func $sum (param i32 i32) (result i32)))
            (import "" "drop" (func $drop (param i32)))
            (func (export "run") (result i32) (local $a i32) (local $b i32)
              (local.set $a (call $new (i32.const 1)))
              (local.set $b (call $new (i32.const 2)))
              (i32.store (i32.const 0) (local.get $a))
              (i32.store (i32.const 4) (local.get $b))
              (call $sum {arguments})
              (call $drop (local.get $a))
              (call $drop (local.get $b)))
            (func (export "same") (result i32) (local $a i32)
              (local.set $a (call $new (i32.const 1)))
              (call $same (local.get $a) (local.get $a))
              (call $drop (local.get $a))))
          (core instance $m (instantiate $m (with "" (instance
            (export "memory" (memory $libc "memory"))
            (export "new" (func $new)) (export "same" (func $same)) (export "sum" (func $sum))
            (export "drop" (func $drop))))))
          (func (export "run") (result u32) (canon lift (core func $m "run")))
          (func (export "same") (result u32) (canon lift (core func $m "same"))))""",
    )


FORMS = {
    "parameters": (
        '(param "a" (borrow $t)) (param "b" (borrow $t))',
        "(local.get $a) (local.get $b)",
    ),
    "a tuple": ('(param "a" (tuple (borrow $t) (borrow $t)))', "(local.get $a) (local.get $b)"),
    "a list": ('(param "a" (list (borrow $t)))', "(i32.const 0) (i32.const 2)"),
}


def exports(config: Config, form: str) -> tuple[Store, Any]:
    engine = Engine(config)
    made = component(engine, *FORMS[form])
    linker = Linker(engine)
    linker.define_imports(made, {"things": {"Thing": Thing, "sum": total}})
    store = Store(engine)
    return store, linker.instantiate(store, made).exports(store)


@pytest.mark.parametrize("form", FORMS)
def test_a_second_borrow_on_an_engine_with_concurrency_support_names_the_setting(form: str) -> None:
    for name in ("run", "same"):
        store, found = exports(Config(), form)
        with pytest.raises(WasmtimeError, match=r"Config\(concurrency_support=False\)") as caught:
            found[name](store)
        assert "two or more borrowed handles" in str(caught.value)
        assert "deferred host scope has no call context" in caught.value.message


@pytest.mark.parametrize("form", FORMS)
def test_many_borrows_work_without_concurrency_support(form: str) -> None:
    store, found = exports(Config(concurrency_support=False), form)
    assert found.run(store) == 3
    assert found.same(store) == 1
    assert found.run(store) == 3


def test_one_borrow_works_by_default() -> None:
    engine = Engine()
    made = component(
        engine, '(param "a" (borrow $t)) (param "b" u32)', "(local.get $a) (i32.const 5)"
    )
    linker = Linker(engine)
    plus = {"Thing": Thing, "sum": lambda thing, number: thing.number + number}
    linker.define_imports(made, {"things": plus})
    store = Store(engine)
    assert linker.instantiate(store, made).exports(store).run(store) == 6


POLL = """(component
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $t (sub resource)))
    (export "poll" (func (param "in" (list (borrow $t))) (result (list u32))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer 1 $pollable (type $t))
    (export "pollable" (type $tt (eq $t)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $tt))))))
  (core module $libc
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
  (core instance $libc (instantiate $libc))
  (core func $subscribe (canon lower (func $clock "subscribe-duration")))
  (core func $poll (canon lower (func $poll "poll")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (core module $m
    (import "" "memory" (memory 1))
    (import "" "subscribe" (func $subscribe (param i64) (result i32)))
    (import "" "poll" (func $poll (param i32 i32 i32)))
    (func (export "run") (result i32)
      (i32.store (i32.const 0) (call $subscribe (i64.const 0)))
      (i32.store (i32.const 4) (call $subscribe (i64.const 0)))
      (i32.store (i32.const 8) (call $subscribe (i64.const 0)))
      (call $poll (i32.const 0) (i32.const 3) (i32.const 512))
      (i32.load (i32.const 516))))
  (core instance $m (instantiate $m (with "" (instance
    (export "memory" (memory $libc "memory"))
    (export "subscribe" (func $subscribe)) (export "poll" (func $poll))))))
  (func (export "run") (result u32) (canon lift (core func $m "run"))))"""


@pytest.mark.parametrize("concurrency", [True, False])
def test_the_librarys_own_poll_takes_many(concurrency: bool) -> None:
    engine = Engine(Config(concurrency_support=concurrency))
    linker = Linker(engine)
    linker.add_wasip2()
    store = Store(engine)
    store.set_wasi(WasiConfig())
    instance = linker.instantiate(store, Component(engine, POLL))
    assert instance.exports(store).run(store) >= 1
