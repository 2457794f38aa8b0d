"""
References of the GC proposal as values: i31s are ints, identity, queries, and what converts to
and from externref.
"""

from __future__ import annotations

from typing import Any

import pytest

from wasmtime import (
    AnyRef,
    ArrayRef,
    EqRef,
    ExternRef,
    Func,
    FuncType,
    Global,
    GlobalType,
    Limits,
    Store,
    StructRef,
    StructType,
    Table,
    TableType,
    ValType,
    WasmtimeError,
)


@pytest.mark.parametrize("value", [0, 1, -1, 2**30 - 1, -(2**30)])
def test_small_integers_are_ints(store: Store, exports: Any, value: int) -> None:
    assert exports["small"](store, value) == value
    assert type(exports["small"](store, value)) is int
    for name in ("same", "same_eq"):
        assert exports[name](store, value) == value
    assert exports["unsigned"](store, value) == value & 0x7FFFFFFF
    made = AnyRef.from_i31(store, value)
    assert isinstance(made, EqRef)
    assert made.is_i31(store)
    assert made.is_eqref(store)
    assert not made.is_struct(store)
    assert not made.is_array(store)
    assert made.as_i31(store) == value
    assert made.as_i31(store, signed=False) == value & 0x7FFFFFFF
    assert made.type(store) == "i31"
    assert exports["same"](store, made) == value
    assert made.eq(store, AnyRef.from_i31(store, value))
    assert not made.eq(store, AnyRef.from_i31(store, 12345))


def test_the_range_of_small_integers(store: Store, exports: Any) -> None:
    assert exports["same"](store, 2**31 - 1) == -1
    for value in (2**31, -(2**30) - 1, 2**70):
        with pytest.raises(OverflowError, match="i31"):
            exports["same"](store, value)
        with pytest.raises(OverflowError, match="i31"):
            AnyRef.from_i31(store, value)
    with pytest.raises(TypeError):
        AnyRef.from_i31(store, "5")  # type: ignore[arg-type]
    assert exports["same"](store, None) is None
    with pytest.raises(TypeError, match="anyref"):
        exports["same"](store, 1.5)


def test_eq_tells_whether_two_are_the_same_object(store: Store, exports: Any) -> None:
    point = exports["point"](store, 1, 1.0, None)
    again = exports["same"](store, point)
    assert again is not point
    assert again.eq(store, point)
    assert point.eq(store, again)
    assert not point.eq(store, exports["point"](store, 1, 1.0, None))
    assert not point.eq(store, exports["bytes"](store, 1, 1))
    with pytest.raises(TypeError, match="reference"):
        point.eq(store, 5)
    assert point != again
    assert len({point, again}) == 2


def test_a_reference_tells_what_it_is(store: Store, exports: Any) -> None:
    point = exports["point"](store, 1, 1.0, None)
    assert point.is_struct(store)
    assert point.is_eqref(store)
    assert not point.is_array(store)
    assert not point.is_i31(store)
    assert point.as_i31(store) is None
    assert point.as_i31(store, signed=False) is None
    data = exports["bytes"](store, 1, 1)
    assert data.is_array(store)
    assert data.is_eqref(store)
    assert not data.is_struct(store)
    assert AnyRef.type(point, store) == point.type(store)
    assert AnyRef.type(data, store) == data.type(store)
    assert exports["is_struct"](store, point) == 1
    assert exports["is_struct"](store, data) == 0


def test_externrefs_become_anyrefs_and_back(store: Store, exports: Any) -> None:
    mine = object()
    wrapped = exports["to_any"](store, mine)
    assert type(wrapped) is AnyRef
    assert wrapped.type(store) == "any"
    assert not wrapped.is_eqref(store)
    assert wrapped.to_extern(store) is mine
    assert exports["to_extern"](store, wrapped) is mine
    assert exports["to_any"](store, None) is None
    point = exports["point"](store, 1, 1.0, mine)
    outside = exports["to_extern"](store, point)
    assert type(outside) is ExternRef
    assert "ExternRef" in repr(outside)
    assert outside.to_any(store).eq(store, point)
    assert outside.to_any(store)[2] is mine
    assert exports["to_any"](store, outside).eq(store, point)
    assert outside.eq(store, point.to_extern(store))
    number = exports["to_extern"](store, 5)
    assert type(number) is ExternRef
    assert number.to_any(store) == 5
    assert AnyRef.from_i31(store, 7).to_extern(store).to_any(store) == 7
    assert not number.eq(store, outside)
    with pytest.raises(TypeError, match=r"parameter 3: .* pass reference.to_extern\(store\)"):
        exports["point"](store, 1, 1.0, point)
    with pytest.raises(TypeError, match=r"to_any\(store\)"):
        exports["same"](store, outside)


def test_globals_tables_and_host_functions(store: Store, exports: Any) -> None:
    point = exports["point"](store, 1, 1.0, None)
    for value in (point, 12, None):
        exports["any"].set_value(store, value)
        exports["table"].set(store, 2, value)
        for got in (exports["any"].value(store), exports["table"].get(store, 2)):
            assert got == value if not isinstance(value, StructRef) else got.eq(store, value)
    made = Global(store, GlobalType(ValType.ANYREF, True), point)
    assert made.value(store).eq(store, point)
    table = Table(store, TableType(ValType.ANYREF, Limits(1, None)), 9)
    assert table.grow(store, 2, point) == 1
    assert table.get(store, 0) == 9
    assert table.get(store, 2).eq(store, point)

    seen = []

    def host(value: Any) -> Any:
        seen.append(value)
        if isinstance(value, StructRef):
            value[0] += 1
        return value

    function = Func(store, FuncType([ValType.ANYREF], [ValType.ANYREF]), host)
    assert function(store, point).eq(store, point)
    assert point[0] == 2
    assert function(store, 5) == 5
    assert function(store, None) is None
    assert seen[1:] == [5, None]


def test_a_host_function_that_returns_a_wrong_reference(store: Store, exports: Any) -> None:
    ty = StructType(store.engine, [ValType.I32])
    answer: Any = None
    function = Func(store, FuncType([], [ValType.ref(ty, nullable=False)]), lambda: answer)
    for wrong in (None, 5, exports["bytes"](store, 0, 1), exports["point"](store, 1, 1.0, None)):
        answer = wrong
        with pytest.raises(WasmtimeError):
            function(store)
    answer = StructRef(store, ty, [6])
    assert function(store)[0] == 6


def test_references_cannot_be_made_from_nothing() -> None:
    for cls in (AnyRef, EqRef, ExternRef):
        with pytest.raises(TypeError, match="cannot make"):
            cls()
    for cls in (AnyRef, EqRef, StructRef, ArrayRef, ExternRef):
        empty: Any = cls.__new__(cls)
        with pytest.raises(ValueError, match="never initialized"):
            empty._convert(Store())
        with pytest.raises(ValueError, match="never initialized"):
            empty.eq(Store(), empty)
    for cls in (StructRef, ArrayRef):
        empty = cls.__new__(cls)
        with pytest.raises(ValueError, match="never initialized"):
            empty[0]
        with pytest.raises(ValueError, match="never initialized"):
            len(empty)
        with pytest.raises(ValueError, match="never initialized"):
            empty.get(Store(), 0)
