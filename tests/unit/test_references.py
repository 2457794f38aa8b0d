"""
References: Python objects as externrefs, functions, and objects of the guest's own heap.
"""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

from wasmtime import (
    AnyRef,
    Config,
    Engine,
    ExternRef,
    Func,
    FuncType,
    Instance,
    Module,
    Store,
    Trap,
    ValType,
    WasmtimeError,
)

EXTERN = FuncType([ValType.EXTERNREF], [ValType.EXTERNREF])


class Thing:
    pass


@pytest.mark.parametrize(
    "value", [None, 0, "", False, (), 1, "x", [1], Thing(), Thing, len], ids=lambda v: repr(v)[:20]
)
def test_any_object_passes_through_unchanged(store: Store, exports_of: Any, value: object) -> None:
    f = exports_of('(func (export "f") (param externref) (result externref) (local.get 0))')["f"]
    assert f(store, value) is value


def test_an_object_lives_as_long_as_the_guest_holds_it(store: Store, exports_of: Any) -> None:
    exports = exports_of(
        """
        (table $t (export "t") 1 externref)
        (func (export "keep") (param externref) (table.set $t (i32.const 0) (local.get 0)))
        """
    )
    thing = Thing()
    gone = weakref.ref(thing)
    exports["keep"](store, thing)
    del thing
    gc.collect()
    store.gc()
    assert gone() is exports["t"].get(store, 0)
    exports["keep"](store, None)
    store.gc()
    gc.collect()
    assert gone() is None


def test_objects_go_with_the_store(engine: Engine) -> None:
    thing = Thing()
    gone = weakref.ref(thing)
    store = Store(engine)
    module = Module(engine, '(table (export "t") 1 externref)')
    Instance(store, module, []).exports(store)["t"].set(store, 0, thing)  # type: ignore
    del thing
    assert gone() is not None
    store.close()
    assert gone() is None


def test_finalizers_of_dropped_objects_may_use_the_store(store: Store, exports_of: Any) -> None:
    f = exports_of('(func (export "f") (param externref))')["f"]
    ran = []

    class Final:
        def __del__(self) -> None:
            f(store, Thing())
            ran.append(1)

    f(store, Final())
    store.gc()
    assert ran == [1]


def test_finalizers_do_not_disturb_an_exception_on_its_way(store: Store) -> None:
    class Final:
        def __del__(self) -> None:
            try:
                raise ValueError
            except ValueError:
                pass

    def host(value: object) -> object:
        raise LookupError

    func = Func(store, EXTERN, host)
    for _ in range(10):
        with pytest.raises(LookupError):
            func(store, Final())
        store.gc()


def test_functions_pass_through(store: Store, exports_of: Any) -> None:
    exports = exports_of(
        """
        (func (export "f") (param funcref) (result funcref) (local.get 0))
        (func (export "seven") (result i32) (i32.const 7))
        """
    )
    f, seven = exports["f"], exports["seven"]
    assert f(store, None) is None
    assert f(store, seven)(store) == 7
    host = Func(store, FuncType([], [ValType.I32]), lambda: 8)
    assert f(store, host)(store) == 8


def test_functions_of_other_stores_are_refused(engine: Engine, store: Store) -> None:
    take = Func(store, FuncType([ValType.FUNCREF], []), lambda f: None)
    foreign = Func(Store(engine), FuncType([], []), lambda: None)
    with pytest.raises(WasmtimeError, match="belongs to another store"):
        take(store, foreign)


def test_host_functions_return_functions(store: Store) -> None:
    seven = Func(store, FuncType([], [ValType.I32]), lambda: 7)
    give = Func(store, FuncType([], [ValType.FUNCREF]), lambda: seven)
    assert give(store)(store) == 7
    foreign_store = Store(store.engine)
    foreign = Func(foreign_store, FuncType([], []), lambda: None)
    wrong = Func(store, FuncType([], [ValType.FUNCREF]), lambda: foreign)
    with pytest.raises(WasmtimeError, match="belongs to another store"):
        wrong(store)


def test_a_null_where_none_may_be_is_refused(store: Store) -> None:
    ty = FuncType([ValType.ref("func", nullable=False)], [])
    take = Func(store, ty, lambda f: None)
    with pytest.raises((TypeError, WasmtimeError)):
        take(store, None)
    give = Func(store, FuncType([], [ValType.ref("func", nullable=False)]), lambda: None)
    with pytest.raises((TypeError, WasmtimeError, Trap)):
        give(store)


# ------------------------------------------------------------------------------------- GC


@pytest.fixture(scope="module")
def collecting() -> Engine:
    """
    An engine with the garbage collection proposal.
    """
    config = Config()
    config.wasm_gc = True
    config.wasm_function_references = True
    return Engine(config)


@pytest.fixture
def objects(collecting: Engine) -> tuple[Store, Any]:
    """
    A store, and functions that make and read objects of the guest's heap.
    """
    store = Store(collecting)
    module = Module(
        collecting,
        """
        (type $point (struct (field i32) (field i32)))
        (func (export "make") (param i32 i32) (result anyref)
            (struct.new $point (local.get 0) (local.get 1)))
        (func (export "sum") (param anyref) (result i32)
            (local (ref null $point))
            (local.set 1 (ref.cast (ref null $point) (local.get 0)))
            (i32.add (struct.get $point 0 (local.get 1)) (struct.get $point 1 (local.get 1))))
        (func (export "i31") (param i32) (result anyref) (ref.i31 (local.get 0)))
        (func (export "same") (param anyref) (result anyref) (local.get 0))
        (func (export "as_extern") (param anyref) (result externref)
            (extern.convert_any (local.get 0)))
        (func (export "as_any") (param externref) (result anyref)
            (any.convert_extern (local.get 0)))
        (global (export "g") (mut anyref) (ref.null any))
        (table (export "t") 1 anyref)
        """,
    )
    return store, Instance(store, module, []).exports(store)


def test_objects_of_the_guest_come_and_go(objects: tuple[Store, Any]) -> None:
    store, exports = objects
    point = exports["make"](store, 20, 22)
    assert isinstance(point, AnyRef)
    store.gc()
    assert exports["sum"](store, point) == 42
    again = exports["same"](store, point)
    del point
    gc.collect()
    store.gc()
    assert exports["sum"](store, again) == 42
    assert exports["same"](store, None) is None
    assert exports["i31"](store, 5) == 5


def test_objects_in_globals_and_tables(objects: tuple[Store, Any]) -> None:
    store, exports = objects
    point = exports["make"](store, 1, 2)
    exports["g"].set_value(store, point)
    exports["t"].set(store, 0, point)
    del point
    store.gc()
    assert exports["sum"](store, exports["g"].value(store)) == 3
    assert exports["sum"](store, exports["t"].get(store, 0)) == 3


def test_objects_as_externrefs_and_back(objects: tuple[Store, Any]) -> None:
    store, exports = objects
    point = exports["make"](store, 1, 2)
    outside = exports["as_extern"](store, point)
    assert isinstance(outside, ExternRef)
    assert exports["sum"](store, exports["as_any"](store, outside)) == 3
    thing = Thing()
    inside = exports["as_any"](store, thing)
    assert isinstance(inside, AnyRef)
    assert exports["as_extern"](store, inside) is thing


def test_objects_of_other_stores_are_refused(
    objects: tuple[Store, Any], collecting: Engine
) -> None:
    store, exports = objects
    point = exports["make"](store, 1, 2)
    other = Store(collecting)
    take = Func(other, FuncType([ValType.ANYREF], []), lambda value: None)
    with pytest.raises(WasmtimeError, match="belongs to another store"):
        take(other, point)


def test_wrong_objects_are_refused(objects: tuple[Store, Any]) -> None:
    store, exports = objects
    for wrong in (1.0, "x", Thing()):
        with pytest.raises(TypeError, match="anyref"):
            exports["same"](store, wrong)
    with pytest.raises(Trap, match="cast failure"):
        exports["sum"](store, exports["i31"](store, 1))
    with pytest.raises(TypeError, match="anyref"):
        exports["same"](store, AnyRef.__new__(AnyRef))


def test_references_outlive_their_store_harmlessly(collecting: Engine) -> None:
    store = Store(collecting)
    text = '(func (export "f") (param i32) (result anyref) (ref.i31 (local.get 0)))'
    f = Instance(store, Module(collecting, text), []).exports(store)["f"]
    kept = [f(store, n) for n in range(10)]  # type: ignore[operator]
    store.close()
    del store
    gc.collect()
    del kept
    gc.collect()


def test_many_references_do_not_exhaust_the_heap(objects: tuple[Store, Any]) -> None:
    store, exports = objects
    for n in range(20000):
        assert exports["sum"](store, exports["make"](store, n, 1)) == n + 1
