"""
References of the GC proposal: structs, arrays, i31s, and what converts to and from externref.
"""

from __future__ import annotations

import gc
import random
import struct as packing
import weakref
from typing import Any, Callable

import pytest
from support import run_in_subprocess

from wasmtime import (
    AnyRef,
    ArrayRef,
    ArrayType,
    Config,
    Engine,
    EqRef,
    ExternRef,
    FieldType,
    Func,
    FuncType,
    Global,
    GlobalType,
    Instance,
    Limits,
    Module,
    StorageType,
    Store,
    StructRef,
    StructType,
    Table,
    TableType,
    Val,
    ValType,
    WasmtimeError,
)

POINTS = """
    (type $point (struct (field $x (mut i32)) (field $y (mut f64)) (field $name (mut externref))))
    (type $list (struct (field i32) (field (ref null $list))))
    (type $bytes (array (mut i8)))
    (type $points (array (mut (ref null $point))))
    (type $frozen (array i32))
    (func (export "point") (param i32 f64 externref) (result (ref $point))
        (struct.new $point (local.get 0) (local.get 1) (local.get 2)))
    (func (export "x") (param (ref null $point)) (result i32)
        (struct.get $point $x (local.get 0)))
    (func (export "cons") (param i32 (ref null $list)) (result (ref $list))
        (struct.new $list (local.get 0) (local.get 1)))
    (func (export "sum") (param $l (ref null $list)) (result i32) (local $s i32)
        (loop $again
            (if (i32.eqz (ref.is_null (local.get $l))) (then
                (local.set $s (i32.add (local.get $s) (struct.get $list 0 (local.get $l))))
                (local.set $l (struct.get $list 1 (local.get $l)))
                (br $again))))
        (local.get $s))
    (func (export "bytes") (param i32 i32) (result (ref $bytes))
        (array.new $bytes (local.get 0) (local.get 1)))
    (func (export "points") (param i32) (result (ref $points))
        (array.new_default $points (local.get 0)))
    (func (export "frozen") (result (ref $frozen))
        (array.new_fixed $frozen 3 (i32.const 1) (i32.const 2) (i32.const 3)))
    (func (export "small") (param i32) (result i31ref) (ref.i31 (local.get 0)))
    (func (export "unsigned") (param i31ref) (result i32) (i31.get_u (local.get 0)))
    (func (export "same") (param anyref) (result anyref) (local.get 0))
    (func (export "same_eq") (param eqref) (result eqref) (local.get 0))
    (func (export "is_struct") (param anyref) (result i32)
        (ref.test (ref struct) (local.get 0)))
    (func (export "to_any") (param externref) (result anyref)
        (any.convert_extern (local.get 0)))
    (func (export "to_extern") (param anyref) (result externref)
        (extern.convert_any (local.get 0)))
    (func (export "garbage") (param $n i32)
        (loop $again
            (drop (array.new $bytes (i32.const 1) (i32.const 4096)))
            (local.set $n (i32.sub (local.get $n) (i32.const 1)))
            (br_if $again (local.get $n))))
    (global (export "any") (mut anyref) (ref.null any))
    (table (export "table") 4 anyref)
"""


@pytest.fixture
def exports(exports_of: Callable[..., Any]) -> Any:
    return exports_of(POINTS)


def mutable(ty: Any) -> FieldType:
    return FieldType(ty, mutable=True)


# --- structs ----------------------------------------------------------------------------------


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


def test_recursive_structs(store: Store, exports: Any) -> None:
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


# --- arrays -----------------------------------------------------------------------------------


def test_an_array_from_a_call(store: Store, exports: Any) -> None:
    data = exports["bytes"](store, 255, 5)
    assert type(data) is ArrayRef
    assert len(data) == 5
    data[1:4] = b"abc"
    assert list(data) == [255, 97, 98, 99, 255]
    assert bytes(data) == b"\xffabc\xff"
    assert data[::2] == [255, 98, 255]
    assert data[::-1] == [255, 99, 98, 97, 255]
    assert data[10:] == []
    assert 98 in data
    assert 7 not in data
    data[::2] = [1, 2, 3]
    assert data[:] == [1, 97, 2, 99, 3]
    with pytest.raises(IndexError, match="5 elements"):
        data[5]


def test_an_array_made_in_python(store: Store) -> None:
    ty = ArrayType(store.engine, mutable(ValType.I64))
    numbers = [0, -1, 2**63 - 1]
    assert list(ArrayRef(store, ty, numbers)) == numbers
    assert list(ArrayRef(store, ty, (n for n in numbers))) == numbers
    assert list(ArrayRef(store, ty, [])) == []
    assert list(ArrayRef.repeat(store, ty, 7, 3)) == [7, 7, 7]
    assert list(ArrayRef.repeat(store, ty, 7, 0)) == []
    assert ArrayRef(store, ty, numbers).type(store) == ty
    text = ArrayType(store.engine, mutable(StorageType.I16))
    assert "".join(map(chr, ArrayRef(store, text, map(ord, "größe")))) == "größe"


def test_immutable_arrays(store: Store, exports: Any) -> None:
    assert list(exports["frozen"](store)) == [1, 2, 3]
    with pytest.raises(WasmtimeError, match="not mutable"):
        exports["frozen"](store)[0] = 5
    ty = ArrayType(store.engine, ValType.I32)
    assert list(ArrayRef(store, ty, [4, 4])) == [4, 4]
    with pytest.raises(WasmtimeError, match="immutable"):
        ArrayRef(store, ty, [4, 5])
    references = ArrayType(store.engine, ValType.ANYREF)
    with pytest.raises(WasmtimeError, match="immutable"):
        ArrayRef(store, references, [None, None])


def test_what_an_array_refuses(store: Store) -> None:
    ty = ArrayType(store.engine, mutable(ValType.I32))
    with pytest.raises(OverflowError):
        ArrayRef.repeat(store, ty, 0, 2**32)
    with pytest.raises(OverflowError):
        ArrayRef.repeat(store, ty, 0, -1)
    with pytest.raises(TypeError):
        ArrayRef.repeat(store, ty, 0, 1.0)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="element 2"):
        ArrayRef(store, ty, [1, "x"])
    with pytest.raises(TypeError, match="ArrayType"):
        ArrayRef(store, StructType(store.engine, []), [])  # type: ignore[arg-type]
    with pytest.raises(WasmtimeError):
        ArrayRef.repeat(store, ty, 0, 2**32 - 1)
    assert list(ArrayRef(store, ty, [1])) == [1]


def test_round_trips_of_random_values(store: Store) -> None:
    chance = random.Random(20261122)

    def real(code: str) -> float:
        while True:
            size = packing.calcsize(code)
            (value,) = packing.unpack(code, chance.randbytes(size))
            if value == value:
                return float(value)

    kinds: list[tuple[Any, Callable[[], Any]]] = [
        (ValType.I32, lambda: chance.randrange(-(2**31), 2**31)),
        (ValType.I64, lambda: chance.randrange(-(2**63), 2**63)),
        (ValType.F32, lambda: real("<f")),
        (ValType.F64, lambda: real("<d")),
        (ValType.V128, lambda: chance.randbytes(16)),
        (ValType.EXTERNREF, lambda: chance.choice([None, "x", 1.5, object()])),
        (ValType.i31ref(), lambda: chance.choice([None, chance.randrange(-(2**30), 2**30)])),
        (StorageType.I8, lambda: chance.randrange(256)),
        (StorageType.I16, lambda: chance.randrange(2**16)),
    ]
    for _ in range(60):
        fields = [chance.choice(kinds) for _ in range(chance.randrange(12))]
        ty = StructType(store.engine, [mutable(kind) for kind, _ in fields])
        values = [make() for _, make in fields]
        made = StructRef(store, ty, values)
        assert list(made) == values
        assert made.type(store) == ty
        for _ in range(3):
            if fields:
                index = chance.randrange(len(fields))
                values[index] = fields[index][1]()
                made[index] = values[index]
        assert made[:] == values
        kind, make = chance.choice(kinds)
        elements = [make() for _ in range(chance.randrange(40))]
        array = ArrayRef(store, ArrayType(store.engine, mutable(kind)), elements)
        start, stop = chance.randrange(-45, 45), chance.randrange(-45, 45)
        step = chance.choice([-3, -1, 1, 2])
        assert array[start:stop:step] == elements[start:stop:step]
        replaced = [make() for _ in elements[start:stop:step]]
        elements[start:stop:step] = replaced
        array[start:stop:step] = replaced
        assert list(array) == elements


# --- i31 --------------------------------------------------------------------------------------


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


# --- identity, queries, conversion ------------------------------------------------------------


def test_identity(store: Store, exports: Any) -> None:
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


def test_queries(store: Store, exports: Any) -> None:
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


# --- stores, engines, lifetimes ---------------------------------------------------------------


def test_other_stores_are_refused(engine: Engine, store: Store, exports: Any) -> None:
    point = exports["point"](store, 1, 1.0, None)
    outside = exports["to_extern"](store, point)
    small = AnyRef.from_i31(store, 3)
    other = Store(engine)
    there = Instance(other, Module(engine, POINTS), []).exports(other)
    ty = point.type(store)
    attempts: list[Callable[[], Any]] = [
        lambda: point.get(other, 0),
        lambda: point.set(other, 0, 1),
        lambda: point.type(other),
        lambda: point.is_struct(other),
        lambda: point.as_i31(other),
        lambda: point.to_extern(other),
        lambda: outside.to_any(other),
        lambda: small.as_i31(other),
        lambda: point.eq(other, point),
        lambda: there["point"](other, 1, 1.0, None).eq(other, point),
        lambda: there["x"](other, point),
        lambda: there["same"](other, small),
        lambda: there["to_any"](other, outside),
        lambda: there["any"].set_value(other, point),
        lambda: there["table"].set(other, 0, point),
        lambda: StructRef(other, StructType(engine, [ValType.ANYREF]), [point]),
        lambda: ArrayRef(other, ArrayType(engine, mutable(ValType.ANYREF)), [None, point]),
        lambda: StructRef(other, ty, [1, 1.0, outside]),
        lambda: there["points"](other, 2).set(other, 1, point),
    ]
    for attempt in attempts:
        with pytest.raises(WasmtimeError, match="another store"):
            attempt()


def test_types_of_other_engines_are_refused(store: Store) -> None:
    elsewhere = Engine()
    with pytest.raises(ValueError, match="another engine"):
        StructRef(store, StructType(elsewhere, []))
    with pytest.raises(ValueError, match="another engine"):
        ArrayRef(store, ArrayType(elsewhere, ValType.I32), [])


def test_a_closed_store(engine: Engine) -> None:
    store = Store(engine)
    point = StructRef(store, StructType(engine, [mutable(ValType.I32)]), [1])
    store.close()
    attempts: list[Callable[[], Any]] = [
        lambda: point[0],
        lambda: len(point),
        lambda: list(point),
        lambda: point.get(store, 0),
        lambda: point.set(store, 0, 1),
        lambda: point.type(store),
        lambda: point.is_i31(store),
        lambda: point.eq(store, point),
        lambda: point.to_extern(store),
        lambda: AnyRef.from_i31(store, 1),
        lambda: StructRef(store, StructType(engine, [])),
    ]
    for attempt in attempts:
        with pytest.raises(ValueError, match="closed"):
            attempt()


def test_a_store_that_is_gone(engine: Engine) -> None:
    point = StructRef(store := Store(engine), StructType(engine, [ValType.I32]), [1])
    del store
    gc.collect()
    with pytest.raises(ValueError, match="gone"):
        point[0]


def test_references_survive_collections(store: Store, exports: Any) -> None:
    points = [exports["point"](store, n, float(n), str(n)) for n in range(50)]
    numbers = exports["bytes"](store, 7, 1000)
    for _ in range(5):
        exports["garbage"](store, 500)
        store.gc()
    assert [list(point) for point in points] == [[n, float(n), str(n)] for n in range(50)]
    assert set(numbers) == {7}
    assert len(numbers) == 1000


def test_dropped_references_make_room(engine: Engine) -> None:
    with Store(engine) as store:
        store.set_limits(memory_size=16 << 20)
        ty = ArrayType(engine, mutable(ValType.I64))
        for _ in range(60):
            ArrayRef.repeat(store, ty, 1, 100_000)
        held: list[ArrayRef] = []

        def fill() -> None:
            for _ in range(60):
                held.append(ArrayRef.repeat(store, ty, 1, 100_000))

        with pytest.raises(WasmtimeError):
            fill()
        assert 2 < len(held) < 60
        assert all(array[99_999] == 1 for array in held)
        held.clear()
        assert len(ArrayRef.repeat(store, ty, 1, 100_000)) == 100_000


def test_objects_in_fields_are_let_go(store: Store, exports: Any) -> None:
    class Thing:
        pass

    thing = Thing()
    alive = weakref.ref(thing)
    point = exports["point"](store, 1, 1.0, thing)
    del thing
    store.gc()
    assert alive() is not None
    assert point[2] is alive()
    del point
    store.gc()
    store.gc()
    assert alive() is None


def test_no_python_object_leaks(store: Store, exports: Any) -> None:
    ty = StructType(store.engine, [mutable(ValType.I32)])
    array = ArrayType(store.engine, mutable(StorageType.I8))

    def work() -> None:
        for _ in range(200):
            made = StructRef(store, ty, [1])
            made[0] = 2
            list(ArrayRef(store, array, b"some bytes"))
            exports["same"](store, made).eq(store, made)
            made.to_extern(store).to_any(store)
            for bad in (lambda made=made: made[9], lambda: StructRef(store, ty, ["x"])):
                with pytest.raises((IndexError, TypeError)):
                    bad()

    work()
    gc.collect()
    store.gc()
    before = len(gc.get_objects())
    work()
    gc.collect()
    assert len(gc.get_objects()) - before < 100


def test_conversions_that_run_python_code(engine: Engine) -> None:
    """
    A number's ``__index__`` may do anything, closing the store included.
    """
    store = Store(engine)
    ty = StructType(engine, [mutable(ValType.I32)])
    made = StructRef(store, ty, [1])

    class Nasty:
        def __index__(self) -> int:
            try:
                store.close()
            except WasmtimeError as error:
                said.append(str(error))
            store.gc()
            made[0] = 40
            return made[0] + 2

    said: list[str] = []
    made[0] = Nasty()
    assert made[0] == 42
    assert StructRef(store, ty, [Nasty()])[0] == 42
    assert made[Nasty2()] == 40

    assert len(said) == 2
    store.close()


class Nasty2:
    def __index__(self) -> int:
        return 0


def test_a_store_without_a_collector() -> None:
    config = Config()
    config.gc_support = False
    try:
        engine = Engine(config)
    except WasmtimeError:
        pytest.skip("this configuration does not exist")
    with Store(engine) as store:
        assert AnyRef.from_i31(store, 5).as_i31(store) == 5
        with pytest.raises(WasmtimeError, match="garbage collector"):
            StructType(engine, [])
        function = Func(store, FuncType([ValType.ANYREF], []), lambda value: None)
        function(store, 5)


def test_misuse_does_not_end_the_process() -> None:
    run_in_subprocess(
        """
        def attempt(call):
            try:
                call()
            except Exception as error:
                pass

        def types(engine):
            return (
                StructType(engine, [FieldType(ValType.I32, True), FieldType(ValType.ANYREF, True)]),
                ArrayType(engine, FieldType(ValType.ANYREF, True)),
            )

        config = Config()
        config.consume_fuel = True
        engines = [Engine(), Engine(config)]
        stores = [Store(engines[0]), Store(engines[0]), Store(engines[1])]
        closed = Store(engines[0])
        objects = []
        for store in stores + [closed]:
            st, at = types(store.engine)
            struct = StructRef(store, st, [1, 2])
            array = ArrayRef(store, at, [struct, 3, None])
            tag = Tag(store, TagType(FuncType([ValType.ANYREF], [])))
            objects += [st, at, struct, array, struct.to_extern(store)]
            objects += [AnyRef.from_i31(store, 9), tag]
            objects.append(ExnRef(store, objects[-1], [struct]))
        objects += [StructRef.__new__(StructRef), ExnRef.__new__(ExnRef)]
        objects += [5, -1, 2**40, None, "x", 1.5, b"ab"]
        closed.close()
        for store in stores + [closed, None]:
            for a in objects:
                for name in ("get", "is_i31", "is_struct", "as_i31", "type", "tag", "to_extern",
                             "to_any", "_convert", "_belongs_to"):
                    attempt(lambda: getattr(a, name)(store))
                    attempt(lambda: getattr(a, name)(store, 0))
                attempt(lambda: a[0])
                attempt(lambda: list(a))
                attempt(lambda: WasmException(a, a))
                for b in objects:
                    attempt(lambda: a.eq(store, b))
                    attempt(lambda: a.set(store, 0, b))
                    attempt(lambda: a.set(store, 1, b))
                    attempt(lambda: StructRef(store, a, [1, b]))
                    attempt(lambda: ArrayRef(store, a, [b, b]))
                    attempt(lambda: ArrayRef.repeat(store, a, b, 3))
                    attempt(lambda: ExnRef(store, a, [b]))
                    attempt(lambda: Global(store, GlobalType(ValType.ANYREF, True), b))
        for a in objects:
            for cls in (StructRef, ArrayRef, ExnRef, AnyRef, ExternRef):
                try:
                    a.__class__ = cls
                except (TypeError, AttributeError):
                    continue
                for store in stores:
                    for index in (0, 1, 2, 50):
                        attempt(lambda: a.get(store, index))
                        attempt(lambda: a.set(store, index, 1))
                    attempt(lambda: a[0])
                    attempt(lambda: len(a))
                    attempt(lambda: a.type(store))
                    attempt(lambda: a.tag(store))
                    attempt(lambda: a.to_any(store))
                    attempt(lambda: a.eq(store, a))
        for store in stores:
            store.gc()
        print("fine")
        """,
        preamble="from wasmtime import *\nfrom wasmtime import FieldType, StructType, ArrayType\n",
    ).check()
