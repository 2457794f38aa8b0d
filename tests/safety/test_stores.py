"""
Any object with another store, another engine, or a store that is closed, collected, expired or was
never made, in any argument position: an exception, and a process that goes on.
"""

from __future__ import annotations

import textwrap

from support import run_in_subprocess

WORLD = """
import itertools

def world(engine):
    '''Everything that can live in a store, with the store.'''
    store = Store(engine)
    module = Module(engine, '''
        (import "a" "b" (func $h))
        (func (export "f") (param i32) (result i32) (local.get 0))
        (func (export "r") (param externref) (result externref) (local.get 0))
        (func (export "fr") (param funcref) (result funcref) (local.get 0))
        (memory (export "m") 1) (table (export "t") 1 funcref)
        (table (export "te") 1 externref)
        (global (export "g") (mut i32) (i32.const 0))
        (global (export "gf") (mut funcref) (ref.null func))
        (tag (export "tag") (param i32))''')
    func = Func(store, FuncType([], []), lambda: None)
    instance = Instance(store, module, [func])
    return dict(store=store, module=module, instance=instance, host=func,
                linker=Linker(engine), engine=engine, **dict(instance.exports(store)))

I = FuncType([ValType.I32], [])

def uses(home, store, alien=None):
    '''Every method that takes a store, on the objects of `home`, with `store` given to it.'''
    w = home
    a = alien or home
    wasi = WasiConfig
    return [
        lambda: w["f"](store, 1), lambda: w["f"].call(store, 1), lambda: w["r"](store, "x"),
        lambda: w["fr"](store, None), lambda: w["f"].type(store), lambda: w["f"].bind(store)(1),
        lambda: w["m"].read(store), lambda: w["m"].read(store, 0, 1),
        lambda: w["m"].write(store, b"x"), lambda: w["m"].grow(store, 0),
        lambda: w["m"].size(store), lambda: w["m"].data_len(store), lambda: w["m"].data_ptr(store),
        lambda: w["m"].get_buffer_ptr(store), lambda: w["m"].type(store),
        lambda: w["m"].page_size(store), lambda: w["m"].page_size_log2(store),
        lambda: w["t"].size(store), lambda: w["t"].get(store, 0),
        lambda: w["t"].set(store, 0, None), lambda: w["t"].grow(store, 0, None),
        lambda: w["t"].type(store), lambda: w["te"].set(store, 0, "x"),
        lambda: w["g"].value(store), lambda: w["g"].set_value(store, 1), lambda: w["g"].type(store),
        lambda: w["gf"].set_value(store, None), lambda: w["gf"].value(store),
        lambda: w["tag"].type(store), lambda: w["tag"].eq(store, w["tag"]),
        lambda: w["instance"].exports(store), lambda: w["instance"].get_export(store, "f"),
        lambda: w["linker"].define(store, "x", str(id(object())), w["f"]),
        lambda: w["linker"].define_instance(store, str(time.time_ns()), w["instance"]),
    ]

def makers(home, store):
    '''Every method that makes something in a store of the same engine.'''
    w = home
    empty = Module(w["engine"], "(module)")
    linker = Linker(w["engine"])
    pre = linker.instantiate_pre(empty)
    return [
        lambda: Func(store, I, print), lambda: Memory(store, MemoryType(Limits(1))),
        lambda: Table(store, TableType(ValType.FUNCREF, Limits(1)), None),
        lambda: Global(store, GlobalType(ValType.I32, True), 1), lambda: Tag(store, TagType(I)),
        lambda: Instance(store, empty, []), lambda: linker.instantiate(store, empty),
        lambda: pre.instantiate(store), lambda: linker.get_default(store, ""),
        lambda: linker.get(store, "no", "no"),
        lambda: linker.define_module(store, "m" + str(time.time_ns()), empty),
        lambda: linker.define_wasi(store, WasiConfig()),
        lambda: linker.define_unknown_imports_as_default_values(store, empty),
    ]

def refused(calls, *errors):
    for n, call in enumerate(calls):
        try:
            call()
        except errors as error:
            assert str(error)
        else:
            raise AssertionError(f"call {n} was not refused")

engine = Engine()
"""


def check(code: str) -> None:
    run_in_subprocess(WORLD + textwrap.dedent(code)).check()


def test_the_calls_themselves_are_right() -> None:
    check(
        """
        w = world(engine)
        for call in uses(w, w["store"]) + makers(w, w["store"])[:-4]:
            call()
        """
    )


def test_another_store_of_the_engine() -> None:
    check(
        """
        refused(uses(world(engine), Store(engine)), WasmtimeError)
        """
    )


def test_a_store_of_another_engine() -> None:
    check(
        """
        other = Store(Engine())
        refused(uses(world(engine), other), WasmtimeError)
        home = world(engine)
        # Those that need nothing but a store are right with any.
        refused(makers(home, other)[5:], WasmtimeError)
        """
    )


def test_closed_stores() -> None:
    check(
        """
        w = world(engine)
        w["store"].close()
        refused(uses(w, w["store"]) + makers(w, w["store"]), ValueError)
        closed = Store(engine)
        closed.close()
        refused(uses(world(engine), closed), ValueError, WasmtimeError)
        refused(makers(w, closed), ValueError)
        """
    )


def test_collected_stores() -> None:
    check(
        """
        w = world(engine)
        gone = weakref.ref(w["store"])
        del w["store"]
        gc.collect()
        assert gone() is None
        refused(uses(w, Store(engine)), WasmtimeError)
        refused([w["r"].param_arity, w["r"].result_arity], ValueError)
        """
    )


def test_a_store_made_where_a_collected_one_was() -> None:
    check(
        """
        for _ in range(50):
            w = world(engine)
            address = id(w["store"])
            del w["store"]
            others = [Store(engine) for _ in range(5)]
            for other in others:
                refused([lambda: w["f"](other, 1), lambda: w["m"].read(other)], WasmtimeError)
        """
    )


def test_things_that_are_no_store() -> None:
    check(
        """
        w = world(engine)
        class Fake:
            _store = None
            _engine = engine
            def _context(self): return 0
        wrong = [None, 0, 1, "store", object(), Fake(), engine, w["module"], w["f"], w["instance"],
                 Store, w["linker"], int, [], Fake]
        for thing in wrong:
            refused(uses(w, thing) + makers(w, thing), TypeError)
        """
    )


def test_stores_that_were_never_made() -> None:
    check(
        """
        w = world(engine)
        for thing in (Store.__new__(Store), Caller.__new__(Caller),
                      StoreContext.__new__(StoreContext)):
            refused(uses(w, thing) + makers(w, thing), ValueError, WasmtimeError)
        """
    )


def test_expired_callers() -> None:
    check(
        """
        kept = []
        store = Store(engine)
        Func(store, FuncType([], []), kept.append, access_caller=True)(store)
        w = world(engine)
        refused(uses(w, kept[0]) + makers(w, kept[0]), ValueError)
        """
    )


def test_callers_of_another_store() -> None:
    check(
        """
        w = world(engine)
        def host(caller):
            refused(uses(w, caller), WasmtimeError, TypeError)
        store = Store(engine)
        Func(store, FuncType([], []), host, access_caller=True)(store)
        """
    )


def test_callers_of_the_store_are_right() -> None:
    check(
        """
        w = world(engine)
        def host(caller):
            for n, call in enumerate(uses(w, caller)):
                try:
                    call()
                except TypeError as error:
                    assert "bind() takes a Store" in str(error)
            for call in makers(w, caller)[:10]:
                try:
                    call()
                except WasmtimeError as error:
                    assert "not defined" in str(error)
        Func(w["store"], FuncType([], []), host, access_caller=True)(w["store"])
        """
    )


def test_values_of_another_store() -> None:
    check(
        """
        a, b = world(engine), world(engine)
        s = a["store"]
        empty = Module(engine, '(import "a" "b" (func))')
        refused([
            lambda: a["fr"](s, b["f"]),
            lambda: a["fr"](s, Val.funcref(b["f"])),
            lambda: a["t"].set(s, 0, b["f"]), lambda: a["t"].grow(s, 1, b["f"]),
            lambda: a["gf"].set_value(s, b["f"]),
            lambda: Global(s, GlobalType(ValType.FUNCREF, True), b["f"]),
            lambda: Table(s, TableType(ValType.FUNCREF, Limits(1)), b["f"]),
            lambda: Instance(s, empty, [b["host"]]),
            lambda: Linker(engine).define(s, "a", "b", b["m"]),
            lambda: Linker(engine).define(s, "a", "b", b["t"]),
            lambda: Linker(engine).define(s, "a", "b", b["g"]),
            lambda: Linker(engine).define(s, "a", "b", b["tag"]),
            lambda: Linker(engine).define_instance(s, "a", b["instance"]),
            lambda: a["tag"].eq(s, b["tag"]),
        ], WasmtimeError)
        """
    )


def test_types_of_another_engine() -> None:
    check(
        """
        other = Engine()
        concrete = ValType.ref(FuncType([], []), engine=other)
        ty = FuncType([concrete], [])
        store = Store(engine)
        refused([
            lambda: Func(store, ty, print),
            lambda: Linker(engine).define_func("a", "b", ty, print),
            lambda: Global(store, GlobalType(concrete, True), None),
            lambda: Table(store, TableType(concrete, Limits(1)), None),
            lambda: Tag(store, TagType(ty)),
            lambda: ValType.ref(ty, engine=engine),
        ], ValueError, WasmtimeError)
        """
    )


def test_an_engine_that_was_closed_and_made_again() -> None:
    check(
        """
        own = Engine()
        store, module = Store(own), Module(own, "(module)")
        own.close()
        try:
            own.__init__()
        except ValueError:
            pass
        try:
            Instance(Store(own), module, [])
        except ValueError:
            pass
        Instance(store, module, [])
        """
    )


def test_a_linker_tied_to_a_store_that_is_gone() -> None:
    check(
        """
        linker = Linker(engine)
        store = Store(engine)
        linker.define(store, "a", "b", Func(store, FuncType([], []), lambda: None))
        linker.define(store, "a", "", Func(store, FuncType([], []), lambda: None))
        linker.define_instance(store, "i", Instance(store, Module(
            engine, '(func (export "f")) (memory (export "m") 1)'), []))
        module = Module(engine, '(import "a" "b" (func $f)) (start $f)')
        store.close()
        del store
        gc.collect()
        fresh = Store(engine)
        refused([
            lambda: linker.instantiate(fresh, module),
            lambda: linker.instantiate_pre(module).instantiate(fresh),
            lambda: linker.instantiate(fresh, Module(engine, '(import "i" "m" (memory 1))')),
            lambda: linker.get(fresh, "a", "b"),
            lambda: linker.get_default(fresh, "a"),
        ], WasmtimeError)
        """
    )


UNINITIALISED = """
classes = [Engine, Store, Module, Linker, InstancePre, SharedMemory, Func, Memory, Table, Global,
           Tag, Instance, Caller, StoreContext, BoundFunc, AnyRef, ExnRef, ExternRef, WasiConfig,
           Config, Trap, WasmtimeError, ExitTrap, Val, ValType, FuncType, GlobalType, TableType,
           MemoryType, TagType, Limits, ImportType, ExportType, PoolingAllocationConfig]
from wasmtime._instance import InstanceExports
classes.append(InstanceExports)
"""


def test_methods_of_objects_that_were_never_initialised() -> None:
    run_in_subprocess(
        WORLD
        + UNINITIALISED
        + """
import inspect
w = world(engine)
good = [w["store"], w["module"], engine, 1, "x", b"x", None, [], FuncType([], []), w["f"],
        lambda *a: 0]
count = 0
for cls in classes:
    for name in sorted(set(dir(cls))):
        if name in ("__class__", "__new__", "__init_subclass__", "__subclasshook__", "__init__"):
            continue
        if name.startswith("_") and not name.startswith("__"):
            continue
        for arguments in [()] + [(a,) for a in good] + [(w["store"], a) for a in good] + [
                (w["store"], "a", "b", w["f"]), (w["store"], w["module"], [])]:
            try:
                thing = cls.__new__(cls)
            except Exception:
                break
            try:
                attribute = getattr(thing, name)
                if callable(attribute):
                    attribute(*arguments)
            except Exception as error:
                count += 1
assert count > 1000, count
"""
    ).check()


def test_objects_that_were_never_initialised_as_arguments() -> None:
    run_in_subprocess(
        WORLD
        + UNINITIALISED
        + """
w = world(engine)
s = w["store"]
things = []
for cls in classes:
    try:
        things.append(cls.__new__(cls))
    except TypeError:
        pass
assert len(things) > 25
for thing in things:
    calls = uses(w, thing) + makers(w, thing) + [
        lambda: w["r"](s, thing), lambda: w["fr"](s, thing), lambda: w["f"](s, thing),
        lambda: w["t"].set(s, 0, thing), lambda: w["te"].set(s, 0, thing),
        lambda: w["gf"].set_value(s, thing), lambda: w["g"].set_value(s, thing),
        lambda: Global(s, thing, 1), lambda: Table(s, thing, None), lambda: Memory(s, thing),
        lambda: Func(s, thing, print), lambda: Func(s, FuncType([], []), thing),
        lambda: Tag(s, thing), lambda: Instance(s, thing, []),
        lambda: Instance(s, w["module"], [thing]),
        lambda: w["linker"].define(s, "q", str(time.time_ns()), thing),
        lambda: w["linker"].define_instance(s, "q", thing),
        lambda: w["linker"].define_module(s, "q", thing),
        lambda: w["linker"].instantiate(s, thing), lambda: w["linker"].instantiate_pre(thing),
        lambda: w["linker"].define_func("q", str(time.time_ns()), thing, print),
        lambda: w["linker"].define_wasi(s, thing), lambda: s.set_wasi(thing),
        lambda: Module(thing, "(module)"), lambda: Module(engine, thing),
        lambda: Module.deserialize(thing, b""), lambda: Store(thing), lambda: Linker(thing),
        lambda: Engine(thing), lambda: SharedMemory(thing, thing),
        lambda: SharedMemory(engine, thing),
        lambda: FuncType([thing], []), lambda: FuncType([], [thing]),
        lambda: GlobalType(thing, True),
        lambda: TableType(thing, Limits(1)), lambda: TableType(ValType.FUNCREF, thing),
        lambda: MemoryType(thing), lambda: TagType(thing), lambda: ValType.ref(thing),
        lambda: ValType.ref(thing, engine=engine),
        lambda: ValType.ref(FuncType([], []), engine=thing),
        lambda: Val.ref_null(thing), lambda: Val.funcref(thing), lambda: w["tag"].eq(s, thing),
        lambda: ImportType("a", "b", thing), lambda: repr(thing), lambda: thing == thing,
        lambda: hash(thing), lambda: str(thing), lambda: thing < thing, lambda: list(thing),
        lambda: thing(s), lambda: thing(1),
    ]
    for call in calls:
        try:
            call()
        except Exception:
            pass
"""
    ).check()
