"""
Arrays of the GC proposal: elements read and written, and what they refuse.
"""

from __future__ import annotations

import random
import struct as packing
from typing import Any, Callable

import pytest

from wasmtime import (
    ArrayRef,
    ArrayType,
    StorageType,
    Store,
    StructRef,
    StructType,
    ValType,
    WasmtimeError,
)

from .guest import mutable


def test_an_array_from_a_call_is_a_sequence(store: Store, exports: Any) -> None:
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


def test_an_array_made_in_python_is_a_sequence(store: Store) -> None:
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


def test_immutable_arrays_stay(store: Store, exports: Any) -> None:
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
