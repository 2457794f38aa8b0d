"""
`Val`: a Python value with its WebAssembly type.
"""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import pytest

from wasmtime import Func, FuncType, Store, Val, ValType, WasmtimeError


@pytest.mark.parametrize(
    ("val", "ty", "value"),
    [
        (Val.i32(1), ValType.I32, 1),
        (Val.i64(2**62), ValType.I64, 2**62),
        (Val.f32(0.5), ValType.F32, 0.5),
        (Val.f64(0.1), ValType.F64, 0.1),
        (Val.v128(bytes(range(16))), ValType.V128, bytes(range(16))),
        (Val.v128(1), ValType.V128, (1).to_bytes(16, "little")),
        (Val.externref("x"), ValType.EXTERNREF, "x"),
        (Val.externref(None), ValType.EXTERNREF, None),
        (Val.funcref(None), ValType.FUNCREF, None),
    ],
)
def test_type_and_value(val: Val, ty: ValType, value: Any) -> None:
    assert val.type == ty
    assert val.value == value
    assert val == value
    assert copy.copy(val) == copy.deepcopy(val) == pickle.loads(pickle.dumps(val)) == val


def test_integers_wrap_like_the_machines_do() -> None:
    assert Val.i32(2**31).value == -(2**31)
    assert Val.i32(2**32 + 5).value == 5
    assert Val.i64(2**64 - 1).value == -1
    assert Val.i32(-(2**31)).value == -(2**31)


def test_f32_is_rounded() -> None:
    assert Val.f32(0.1).value == 0.10000000149011612
    assert Val.f32(1e300).value == math.inf
    assert Val.f32(-1e300).value == -math.inf
    assert math.isnan(Val.f32(math.nan).value)


def test_a_val_knows_what_it_is() -> None:
    val = Val.i32(3)
    assert val.as_i32() == 3
    for other in (val.as_i64, val.as_f32, val.as_f64, val.as_funcref, val.as_externref):
        assert other() is None
    assert Val.i32(0).as_i32() == 0
    assert Val.f64(0.0).as_f64() == 0.0
    assert Val.externref("x").as_externref() == "x"


def test_wrong_values_are_refused() -> None:
    for make in (Val.i32, Val.i64):
        for wrong in ("1", 1.0, None):
            with pytest.raises(TypeError):
                make(wrong)  # type: ignore[arg-type]
    for make_float in (Val.f32, Val.f64):
        for wrong in ("1", None, 1):
            with pytest.raises(TypeError):
                make_float(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Val.v128("x" * 16)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="16 bytes"):
        Val.v128(b"x")
    with pytest.raises(OverflowError):
        Val.v128(2**128)
    with pytest.raises(TypeError):
        Val.funcref(1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "ty", [ValType.externref(), ValType.funcref(), ValType.anyref(), ValType.eqref()]
)
def test_nulls(ty: ValType) -> None:
    assert Val.ref_null(ty).value is None


def test_numbers_have_no_null() -> None:
    with pytest.raises(WasmtimeError, match="Invalid reference type"):
        Val.ref_null(ValType.I32)
    with pytest.raises(WasmtimeError):
        Val.ref_null(ValType.ref("func", nullable=False))


def test_vals_compare_and_hash_like_their_values() -> None:
    assert Val.i32(1) == Val.i32(1)
    assert Val.i32(1) != Val.i64(1)
    assert Val.i32(1) == 1
    assert Val.i32(1) != "1"
    assert hash(Val.i32(1)) == hash(1)
    assert len({Val.i32(1), Val.i32(1), Val.i32(2)}) == 2


def test_vals_never_change() -> None:
    val = Val.i32(1)
    with pytest.raises(AttributeError):
        val.value = 2  # type: ignore[misc]
    with pytest.raises(AttributeError):
        val._val = 2
    with pytest.raises(AttributeError):
        del val._kind


def test_a_val_of_an_unknown_kind_cannot_be_made() -> None:
    for kind in (-1, 99, 2**40):
        with pytest.raises(ValueError, match="kind"):
            Val(kind, 1)


def test_a_forged_val_is_checked_where_it_is_used(store: Store) -> None:
    func = Func(store, FuncType([ValType.FUNCREF], []), lambda f: None)
    forged = Val(Val.funcref(None)._kind, "no function")
    with pytest.raises(TypeError, match="funcref"):
        func(store, forged)
