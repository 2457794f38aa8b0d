"""
References of the GC proposal and their stores: which they belong to, how long they live, and that
no misuse ends the process.
"""

from __future__ import annotations

import gc
import weakref
from typing import Any, Callable

import pytest
from support import objects_left_by, run_in_subprocess

from wasmtime import (
    AnyRef,
    ArrayRef,
    ArrayType,
    Config,
    Engine,
    Func,
    FuncType,
    Instance,
    Module,
    StorageType,
    Store,
    StructRef,
    StructType,
    ValType,
    WasmtimeError,
)

from .guest import POINTS, mutable


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


def test_references_of_a_closed_store_say_so(engine: Engine) -> None:
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


def test_references_of_a_store_that_is_gone_say_so(engine: Engine) -> None:
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

    assert objects_left_by(work, store) < 100


def test_conversions_may_run_python_code(engine: Engine) -> None:
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


def test_without_a_collector_i31s_alone_remain() -> None:
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
