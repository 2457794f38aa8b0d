"""
Structs of the GC proposal: fields read and written, and what they refuse.
"""

from __future__ import annotations

from typing import Any

import pytest

from wasmtime import (
    AnyRef,
    ArrayRef,
    ArrayType,
    EqRef,
    FieldType,
    Func,
    FuncType,
    StorageType,
    Store,
    StructRef,
    StructType,
    Val,
    ValType,
    WasmtimeError,
)

from .guest import mutable


def test_a_struct_from_a_call_is_read_without_ceremony(store: Store, exports: Any) -> None:
    name = object()
    point = exports["point"](store, 3, 4.5, name)
    assert type(point) is StructRef
    assert isinstance(point, EqRef)
    assert isinstance(point, AnyRef)
    assert (point[0], point[1], point[2]) == (3, 4.5, name)
    assert point[-1] is name
    assert len(point) == 3
    x, y, z = point
    assert (x, y, z) == (3, 4.5, name)
    assert point[:2] == [3, 4.5]
    assert point.get(store, 1) == 4.5
    assert list(reversed(point)) == [name, 4.5, 3]
    assert "StructRef" in repr(point)


def test_both_sides_see_changes(store: Store, exports: Any) -> None:
    point = exports["point"](store, 3, 4.5, None)
    point[0] = -7
    assert exports["x"](store, point) == -7
    point.set(store, 0, 2**32 - 1)
    assert exports["x"](store, point) == -1
    point[0:3] = 1, 2, "three"
    assert list(point) == [1, 2.0, "three"]
    point.set(store=store, index=2, value=None)
    assert point[2] is None


def test_a_struct_made_in_python_goes_where_the_type_is_the_same(
    store: Store, exports: Any
) -> None:
    ty = StructType(
        store.engine, [mutable(ValType.I32), mutable(ValType.F64), mutable(ValType.EXTERNREF)]
    )
    point = StructRef(store, ty, (5, 1, self := object()))
    assert exports["x"](store, point) == 5
    assert point[2] is self
    assert point.type(store) == ty
    assert exports["point"](store, 1, 1.0, None).type(store) == ty


def test_structs_hold_structs_of_their_own_type(store: Store, exports: Any) -> None:
    head = None
    for number in range(100):
        head = exports["cons"](store, number, head)
    assert exports["sum"](store, head) == sum(range(100))
    numbers = []
    while head is not None:
        numbers.append(head[0])
        head = head[1]
    assert numbers == list(reversed(range(100)))


def test_every_kind_of_field(store: Store) -> None:
    function = Func(store, FuncType([], []), lambda: None)
    inner = StructRef(store, StructType(store.engine, []))
    fields: list[tuple[Any, Any]] = [
        (ValType.I32, -1),
        (ValType.I64, -(2**63)),
        (ValType.F32, 0.5),
        (ValType.F64, float("-inf")),
        (ValType.V128, bytes(range(16))),
        (ValType.FUNCREF, None),
        (ValType.EXTERNREF, "text"),
        (ValType.ANYREF, 77),
        (ValType.eqref(), None),
        (ValType.i31ref(), -5),
        (ValType.EXNREF, None),
        (StorageType.I8, 200),
        (StorageType.I16, 60000),
    ]
    for is_mutable in (False, True):
        ty = StructType(store.engine, [FieldType(field, is_mutable) for field, _ in fields])
        made = StructRef(store, ty, [value for _, value in fields])
        assert list(made) == [value for _, value in fields]
        assert made.type(store).fields == ty.fields
    made[5] = function
    assert isinstance(made[5], Func)
    made[7] = inner
    assert made[7].eq(store, inner)
    assert len(inner) == 0
    assert list(inner) == []


def test_immutable_fields_stay(store: Store, exports: Any) -> None:
    cell = exports["cons"](store, 1, None)
    with pytest.raises(WasmtimeError, match="not mutable"):
        cell[0] = 2
    assert cell[0] == 1


def test_what_a_struct_refuses(store: Store, exports: Any) -> None:
    point = exports["point"](store, 3, 4.5, None)
    for index in (3, -4, 2**62, -(2**62), 2**70):
        with pytest.raises(IndexError):
            point[index]
    for index in (-1, 3, 2**64):
        with pytest.raises(IndexError):
            point.get(store, index)
        with pytest.raises(IndexError):
            point.set(store, index, 1)
    for index in ("0", None, 1.0):
        with pytest.raises(TypeError, match="index"):
            point[index]
    with pytest.raises(TypeError):
        del point[0]
    with pytest.raises(OverflowError, match="i32"):
        point[0] = 2**32
    with pytest.raises(TypeError, match="i32"):
        point[0] = "x"
    with pytest.raises(ValueError, match="2 values for a slice of 3"):
        point[:] = [1, 2]
    with pytest.raises(TypeError):
        point[:] = 5
    cell = StructType(store.engine, [mutable(StorageType.I8)])
    made = StructRef(store, cell, [-128])
    assert made[0] == 128
    made[0] = Val.i32(-1)
    assert made[0] == 255
    for value in (256, -129, 2**32 - 1, 2**70):
        with pytest.raises(OverflowError):
            made[0] = value
    with pytest.raises(TypeError):
        made[0] = 1.5
    with pytest.raises(TypeError):
        made[0] = Val.i64(1)
    with pytest.raises(WasmtimeError, match="1 fields, not 2"):
        StructRef(store, cell, [1, 2])
    with pytest.raises(TypeError, match="StructType"):
        StructRef(store, ArrayType(store.engine, ValType.I32), [])  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        StructRef(store, cell, 5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="store"):
        StructRef(5, cell, [1])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="already initialized"):
        made.__init__(store, cell, [1])  # type: ignore[misc]


def test_references_of_a_wrong_type_are_refused(store: Store, exports: Any) -> None:
    point = exports["point"](store, 3, 4.5, None)
    data = exports["bytes"](store, 0, 3)
    for value in (data, 5, exports["cons"](store, 1, None)):
        with pytest.raises(WasmtimeError, match="type mismatch"):
            exports["x"](store, value)
    with pytest.raises(TypeError, match="anyref"):
        exports["x"](store, "point")
    points = exports["points"](store, 3)
    with pytest.raises(WasmtimeError, match="type mismatch"):
        points[0] = data
    points[0] = point
    assert points[0].eq(store, point)
    assert points[1] is None
    ty = StructType(store.engine, [ValType.ref("struct", nullable=False)])
    with pytest.raises(WasmtimeError, match="mismatch"):
        StructRef(store, ty, [None])
    array = ArrayType(store.engine, ValType.ref("struct", nullable=False))
    for _ in range(3):
        with pytest.raises(WasmtimeError, match="mismatch"):
            ArrayRef.repeat(store, array, None, 1000)
        with pytest.raises(WasmtimeError, match="mismatch"):
            ArrayRef.repeat(store, array, data, 1000)
        store.gc()
    assert len(ArrayRef.repeat(store, array, point, 1000)) == 1000
