"""
Tables: elements, growth and their bounds.
"""

from __future__ import annotations

from typing import Any

import pytest

from wasmtime import (
    Func,
    FuncType,
    Limits,
    Store,
    Table,
    TableType,
    Val,
    ValType,
    WasmtimeError,
)

FUNCS = TableType(ValType.FUNCREF, Limits(2, 4))
EXTERNS = TableType(ValType.EXTERNREF, Limits(2, 4))


def test_elements_come_back(store: Store) -> None:
    table = Table(store, EXTERNS, "first")
    assert [table.get(store, i) for i in range(2)] == ["first", "first"]
    thing = object()
    table.set(store, 1, thing)
    assert table.get(store, 1) is thing
    table.set(store, 1, None)
    assert table.get(store, 1) is None
    for falsy in (0, "", False, ()):
        table.set(store, 0, falsy)
        assert table.get(store, 0) is falsy


def test_functions_come_back(store: Store) -> None:
    func = Func(store, FuncType([], [ValType.I32]), lambda: 7)
    table = Table(store, FUNCS, None)
    assert table.get(store, 0) is None
    table.set(store, 0, func)
    assert table.get(store, 0)(store) == 7
    table.set(store, 0, Val.funcref(None))
    assert table.get(store, 0) is None


def test_size_and_type(store: Store) -> None:
    table = Table(store, FUNCS, None)
    assert table.size(store) == 2
    assert table.type(store) == FUNCS


def test_growth_returns_the_size_before(store: Store) -> None:
    table = Table(store, EXTERNS, 1)
    assert table.grow(store, 1, 2) == 2
    assert table.grow(store, amt=1, init=3) == 3
    assert [table.get(store, i) for i in range(4)] == [1, 1, 2, 3]
    with pytest.raises(WasmtimeError, match="failed to grow table by `1`"):
        table.grow(store, 1, 4)
    assert table.grow(store, delta=0, init=None) == 4


def test_beyond_the_end(store: Store) -> None:
    table = Table(store, EXTERNS, 1)
    assert table.get(store, 2) is None
    assert table.get(store, 2**64 - 1) is None
    with pytest.raises(WasmtimeError, match="out of bounds"):
        table.set(store, 2, 1)


@pytest.mark.parametrize("index", [-1, 2**64])
def test_indexes_out_of_range(store: Store, index: int) -> None:
    table = Table(store, EXTERNS, 1)
    with pytest.raises(OverflowError, match="idx"):
        table.get(store, index)
    with pytest.raises(OverflowError, match="idx"):
        table.set(store, index, 1)
    with pytest.raises(OverflowError, match="amt"):
        table.grow(store, index, 1)


def test_wrong_arguments(store: Store) -> None:
    table = Table(store, FUNCS, None)
    for wrong in (1, "f", object()):
        with pytest.raises(TypeError, match=r"val: .*funcref"):
            table.set(store, 0, wrong)
        with pytest.raises(TypeError, match=r"init: .*funcref"):
            table.grow(store, 1, wrong)
        with pytest.raises(TypeError, match=r"init: .*funcref"):
            Table(store, FUNCS, wrong)
    with pytest.raises(TypeError, match="idx must be an int"):
        table.get(store, "0")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Table(store, Limits(1), None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="missing"):
        table.grow(store)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="both"):
        table.grow(store, 1, None, delta=1)  # type: ignore[call-arg]


def test_a_table_that_must_hold_something(store: Store) -> None:
    ty = TableType(ValType.ref("func", nullable=False), Limits(1))
    func = Func(store, FuncType([], []), lambda: None)
    table = Table(store, ty, func)
    with pytest.raises(WasmtimeError):
        table.set(store, 0, None)
    with pytest.raises(WasmtimeError):
        Table(store, ty, None)


def test_the_guest_calls_what_is_set(store: Store, exports_of: Any) -> None:
    exports = exports_of(
        """
        (table (export "t") 1 funcref)
        (func (export "call") (result i32)
            (call_indirect (result i32) (i32.const 0)))
        """
    )
    exports["t"].set(store, 0, Func(store, FuncType([], [ValType.I32]), lambda: 9))
    assert exports["call"](store) == 9


def test_many_elements_are_added_in_steps(store: Store) -> None:
    table = Table(store, TableType(ValType.EXTERNREF, Limits(1)), None)
    assert table.grow(store, 200_001, "x") == 1
    assert table.size(store) == 200_002
    assert [table.get(store, index) for index in (0, 1, 100_000, 200_001)] == [None, "x", "x", "x"]


def test_many_elements_are_added_all_or_not_at_all(store: Store) -> None:
    table = Table(store, TableType(ValType.FUNCREF, Limits(1, 200_000)), None)
    with pytest.raises(WasmtimeError, match="failed to grow"):
        table.grow(store, 200_000, None)
    assert table.size(store) == 1
    assert table.grow(store, 199_999, None) == 1
    store.set_limits(table_elements=300_000)
    table = Table(store, TableType(ValType.EXTERNREF, Limits(0)), None)
    with pytest.raises(WasmtimeError, match="failed to grow"):
        table.grow(store, 300_001, None)
    assert table.size(store) == 0
    assert table.grow(store, 300_000, None) == 0
