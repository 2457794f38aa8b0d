"""A copy that has run is given what it began with, and cannot be told from a new one."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wasmtime import Config, Engine, Module, wat2wasm
from wasmtime._snapshots.constancy import writes_tables
from wasmtime._snapshots.restore import learn, renew
from wasmtime._snapshots.rewrite import Prepared, prepare
from wasmtime._wasm.layout import read_layout

from .guests import Guest

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="pages are looked at on Linux")

#: Two memories that differ from new ones by more than is copied, with data that stays as it was in
#: between and behind; globals of each size; and a table that nothing writes to.
RENEWABLE = """
(module
  (memory $a (export "a") 20 100)
  (memory $b (export "b") 10 40)
  (data (memory $a) (i32.const 700000) "data of the module")
  (data (memory $b) (i32.const 600000) "more of it")
  (global $i (mut i32) (i32.const 1))
  (global $l (mut i64) (i64.const 2))
  (global $v (mut v128) (v128.const i64x2 3 4))
  (global $f (mut funcref) (ref.func $one))
  (table $t 2 funcref)
  (elem (table $t) (i32.const 0) func $one $two)
  (func $one (result i32) (i32.const 1))
  (func $two (result i32) (i32.const 2))
  (func (export "set_up")
    (memory.fill $a (i32.const 4096) (i32.const 7) (i32.const 500000))
    (memory.fill $b (i32.const 8192) (i32.const 9) (i32.const 400000))
    (global.set $i (i32.const 11)))
  (func (export "store_a") (param i32 i64) (i64.store $a (local.get 0) (local.get 1)))
  (func (export "store_b") (param i32 i64) (i64.store $b (local.get 0) (local.get 1)))
  (func (export "load_a") (param i32) (result i64) (i64.load $a (local.get 0)))
  (func (export "load_b") (param i32) (result i64) (i64.load $b (local.get 0)))
  (func (export "fill_a") (param i32 i32 i32)
    (memory.fill $a (local.get 0) (local.get 1) (local.get 2)))
  (func (export "grow_a") (param i32) (result i32) (memory.grow $a (local.get 0)))
  (func (export "numbers") (result i32 i64 v128 i32)
    (global.get $i) (global.get $l) (global.get $v) (ref.is_null (global.get $f)))
  (func (export "set_numbers") (param i32 i64)
    (global.set $i (local.get 0))
    (global.set $l (local.get 1))
    (global.set $v (i64x2.splat (local.get 1)))
    (global.set $f (ref.null func)))
  (func (export "call") (param i32) (result i32)
    (call_indirect $t (result i32) (local.get 0))))
"""

_place = st.integers(0, 655_360 - 8)
_step = st.one_of(
    st.tuples(st.sampled_from(["store_a", "store_b"]), _place, st.integers(-(2**63), 2**63 - 1)),
    st.tuples(st.sampled_from(["load_a", "load_b"]), _place),
    st.tuples(st.just("fill_a"), _place, st.integers(0, 255), st.integers(0, 70_000)),
    st.tuples(st.just("set_numbers"), st.integers(-(2**31), 2**31 - 1), st.integers(0, 2**63 - 1)),
    st.tuples(st.just("grow_a"), st.just(0)),
)


def _seen(guest: Guest) -> list[Any]:
    """Everything that a guest can tell of itself."""
    told = [guest.call("numbers"), guest.call("call", 0), guest.call("call", 1)]
    memories = [guest.exports[name].read(guest.store) for name in ("a", "b")]
    return told + memories


def _made(text: str) -> Any:
    """A module, and a state of it that copies have begun with."""
    config = Config()
    config.wasm_multi_memory = True
    prepared = prepare(bytes(wat2wasm(text)))
    module = Module(Engine(config), prepared.binary)
    original = Guest(module, prepared)
    original.call("set_up")
    state = original.capture()
    for _ in range(2):  # from which is learned what copies write to
        copy = Guest(module, prepared, state)
        copy.call("store_a", 5000, 1)
        copy.call("store_b", 640_000, 1)
        learn(prepared, state, copy.store, copy.instance)
    return prepared, module, state


@pytest.fixture(scope="module")
def made() -> Any:
    return _made(RENEWABLE)


@linux_only
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(runs=st.lists(st.lists(_step, max_size=8), max_size=3))
def test_a_renewed_copy_cannot_be_told_from_a_new_one(
    made: Any, runs: list[list[tuple[Any, ...]]]
) -> None:
    prepared, module, state = made
    copy = Guest(module, prepared, state)
    expected = _seen(copy)
    for steps in runs:
        for step in steps:
            copy.call(*step)
        assert renew(prepared, state, copy.store, copy.instance)
        assert _seen(copy) == expected


@linux_only
def test_a_copy_that_has_grown_is_not_renewed(made: Any) -> None:
    prepared, module, state = made
    copy = Guest(module, prepared, state)
    assert copy.call("grow_a", 1) == 20
    assert not renew(prepared, state, copy.store, copy.instance)


@linux_only
@pytest.mark.parametrize(("pages", "is_renewed"), [(20, True), (80, False)])
def test_a_copy_that_wrote_to_very_much_is_not_renewed(pages: int, is_renewed: bool) -> None:
    prepared, module, state = _made(RENEWABLE.replace('"a") 20', '"a") 80'))
    copy = Guest(module, prepared, state)
    assert copy.call("fill_a", 0, 1, pages << 16) is None
    assert renew(prepared, state, copy.store, copy.instance) is is_renewed


# --- what can change ------------------------------------------------------------------------------


def _prepared(*fields: str) -> Prepared:
    return prepare(bytes(wat2wasm(f"(module {' '.join(fields)})")))


_TABLE = "(table 4 funcref) (elem declare func $f) (func $f)"
_WRITES = {
    "table.set": "(table.set 0 (i32.const 0) (ref.null func))",
    "table.grow": "(drop (table.grow 0 (ref.null func) (i32.const 1)))",
    "table.fill": "(table.fill 0 (i32.const 0) (ref.null func) (i32.const 1))",
    "table.copy": "(table.copy 0 0 (i32.const 0) (i32.const 1) (i32.const 1))",
}


@pytest.mark.parametrize("write", _WRITES.values(), ids=list(_WRITES))
def test_instructions_that_write_to_tables_are_found(write: str) -> None:
    assert not _prepared(_TABLE, f"(func {write})").only_memory_changes
    assert _prepared(_TABLE, "(func (drop (table.get 0 (i32.const 0))))").only_memory_changes


def test_table_init_is_found() -> None:
    module = f"(module {_TABLE} (elem $e func $f) (func {'(table.init $e (i32.const 0) ' * 1}"
    module += "(i32.const 0) (i32.const 1))))"
    assert writes_tables(read_layout(bytes(wat2wasm(module))))


def test_numbers_that_look_like_such_an_instruction_are_none() -> None:
    # 0x26 0x00 as an i64, and 0xFC 0x0F as bytes of a float
    looks = "(func (drop (i64.const 38)) (drop (f32.const nan:0x0ffc26)) (drop (i32.const 0x26)))"
    assert _prepared(_TABLE, looks).only_memory_changes


@pytest.mark.parametrize(
    "field",
    [
        '(memory 1) (data "passive") (func (data.drop 0))',
        "(memory 1 2 shared)",
        "(global (mut externref) (ref.null extern))",
        "(global externref (ref.null extern))",
    ],
)
def test_modules_of_which_more_can_change_are_not_renewed(field: str) -> None:
    assert not _prepared(field).only_memory_changes


def test_a_module_with_more_tables_than_are_looked_at_is_not_renewed() -> None:
    assert not _prepared("(table 1 funcref)" * 129).only_memory_changes
