"""
Globals: their types, and values in and out.
"""

from __future__ import annotations

from typing import Any

import pytest

from wasmtime import Func, FuncType, Global, GlobalType, Store, Val, ValType, WasmtimeError


@pytest.mark.parametrize(
    ("ty", "first", "second"),
    [
        (ValType.I32, 1, -1),
        (ValType.I64, 2**62, 0),
        (ValType.F32, 0.5, -0.25),
        (ValType.F64, 0.1, 1e300),
        (ValType.V128, bytes(16), bytes(range(16))),
        (ValType.EXTERNREF, "x", None),
        (ValType.EXTERNREF, None, 0),
    ],
)
def test_values_come_back(store: Store, ty: ValType, first: Any, second: Any) -> None:
    global_ = Global(store, GlobalType(ty, True), first)
    assert global_.value(store) == first
    global_.set_value(store, second)
    assert global_.value(store) == second


def test_functions_come_back(store: Store) -> None:
    func = Func(store, FuncType([], [ValType.I32]), lambda: 7)
    global_ = Global(store, GlobalType(ValType.FUNCREF, True), None)
    assert global_.value(store) is None
    global_.set_value(store, func)
    assert global_.value(store)(store) == 7


def test_vals_may_say_the_type(store: Store) -> None:
    global_ = Global(store, GlobalType(ValType.I32, True), Val.i32(1))
    global_.set_value(store, Val.i32(2))
    assert global_.value(store) == 2
    with pytest.raises(TypeError, match="val: wrong type of `Val`"):
        global_.set_value(store, Val.i64(2))


def test_the_type_tells_content_and_mutability(store: Store) -> None:
    ty = GlobalType(ValType.F64, False)
    assert Global(store, ty, 1.0).type(store) == ty


def test_constants_stay(store: Store) -> None:
    constant = Global(store, GlobalType(ValType.I32, False), 1)
    with pytest.raises(WasmtimeError, match="immutable"):
        constant.set_value(store, 2)
    assert constant.value(store) == 1


def test_wrong_values_change_nothing(store: Store) -> None:
    global_ = Global(store, GlobalType(ValType.I32, True), 1)
    with pytest.raises(TypeError, match="val: "):
        global_.set_value(store, "2")
    with pytest.raises(OverflowError, match="val: "):
        global_.set_value(store, 2**32)
    assert global_.value(store) == 1
    with pytest.raises(TypeError, match="val: "):
        Global(store, GlobalType(ValType.I32, True), None)


def test_arguments_of_the_constructor(store: Store) -> None:
    with pytest.raises(TypeError):
        Global(store, ValType.I32, 1)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Global(1, GlobalType(ValType.I32, True), 1)  # type: ignore[arg-type]
    made = Global(store=store, ty=GlobalType(ValType.I32, True), val=3)
    made.set_value(store=store, val=4)
    assert made.value(store=store) == 4


def test_references_that_must_not_be_null(store: Store) -> None:
    ty = GlobalType(ValType.ref("func", nullable=False), True)
    func = Func(store, FuncType([], []), lambda: None)
    global_ = Global(store, ty, func)
    with pytest.raises(WasmtimeError):
        global_.set_value(store, None)
    with pytest.raises(WasmtimeError):
        Global(store, ty, None)


def test_the_guest_sees_what_is_set(store: Store, exports_of: Any) -> None:
    exports = exports_of(
        """
        (global $g (export "g") (mut i32) (i32.const 5))
        (func (export "get") (result i32) (global.get $g))
        """
    )
    assert exports["g"].value(store) == 5
    exports["g"].set_value(store, 6)
    assert exports["get"](store) == 6
