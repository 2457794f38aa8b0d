"""
What nobody needs any more goes: cycles through the core are collected, and long loops keep the
memory and the number of objects flat.
"""

from __future__ import annotations

import gc
import sys
import weakref
from typing import Any, Callable

import pytest
from support import run_in_subprocess

from wasmtime import (
    Engine,
    Func,
    FuncType,
    Global,
    GlobalType,
    Instance,
    Limits,
    Linker,
    Module,
    Store,
    Table,
    TableType,
    Trap,
    ValType,
)

EXTERN = FuncType([ValType.EXTERNREF], [ValType.EXTERNREF])


class Thing:
    """
    Something that a weak reference can point to.
    """

    def __init__(self, *held: Any) -> None:
        self.held = held

    def __call__(self, *args: Any) -> Any:
        return None


def goes(make: Callable[[], Any]) -> None:
    """
    Fail unless what `make` returns is collected when nobody holds it.
    """
    gone = weakref.ref(make())
    gc.collect()
    if gone() is not None:
        names = [type(referrer).__name__ for referrer in gc.get_referrers(gone())]
        raise AssertionError(f"{gone()} is still there, held by {names}")


def test_the_checker_sees_a_leak() -> None:
    kept = []

    def leak() -> Thing:
        kept.append(Thing())
        return kept[-1]

    with pytest.raises(AssertionError, match="still there"):
        goes(leak)


# ----------------------------------------------------------------------------------- cycles


def test_a_store_that_its_host_function_holds(engine: Engine) -> None:
    def make() -> Store:
        store = Store(engine)
        func = Func(store, FuncType([], []), Thing(store))
        func(store)
        return store

    goes(make)


def test_a_store_that_its_function_holds_by_a_bound_function(engine: Engine) -> None:
    def make() -> Store:
        store = Store(engine)
        func = Func(store, FuncType([], []), lambda: None)
        Func(store, FuncType([], []), Thing(func.bind(store)))
        return store

    goes(make)


def test_a_store_that_its_data_holds(engine: Engine) -> None:
    def make() -> Store:
        thing = Thing()
        store = Store(engine, thing)
        thing.held = (store,)
        return store

    goes(make)


@pytest.mark.parametrize("where", ["table", "global"])
def test_a_store_that_an_externref_holds(engine: Engine, where: str) -> None:
    def make() -> Store:
        store = Store(engine)
        if where == "table":
            Table(store, TableType(ValType.EXTERNREF, Limits(1)), Thing(store))
        else:
            Global(store, GlobalType(ValType.EXTERNREF, False), Thing(store))
        return store

    goes(make)


def test_a_store_that_a_callback_holds(engine: Engine) -> None:
    def make() -> Store:
        store = Store(engine)
        store.set_epoch_deadline_callback(Thing(store))
        return store

    goes(make)


def test_a_store_that_an_attribute_holds(engine: Engine) -> None:
    def make() -> Store:
        store = Store(engine)
        store.me = store  # type: ignore[attr-defined]
        return store

    goes(make)


def test_a_linker_that_its_definitions_hold(engine: Engine) -> None:
    def make() -> Linker:
        linker = Linker(engine)
        linker.define_func("a", "b", FuncType([], []), Thing(linker))
        return linker

    goes(make)


def test_a_linker_and_a_store_that_hold_each_other(engine: Engine) -> None:
    def make() -> Store:
        linker, store = Linker(engine), Store(engine)
        linker.define_func("a", "b", FuncType([], []), Thing(linker, store))
        linker.define(store, "a", "c", Func(store, FuncType([], []), Thing(store, linker)))
        module = Module(engine, '(import "a" "b" (func)) (import "a" "c" (func))')
        linker.instantiate(store, module)
        linker.instantiate_pre(module)
        return store

    goes(make)


def test_an_instance_that_a_host_function_holds(engine: Engine) -> None:
    def make() -> Instance:
        store = Store(engine)
        thing = Thing()
        func = Func(store, FuncType([], []), thing)
        module = Module(engine, '(import "" "" (func)) (export "f" (func 0))')
        instance = Instance(store, module, [func])
        thing.held = (instance, instance.exports(store), instance.exports(store)["f"])
        return instance

    goes(make)


def test_an_engine_that_everything_holds() -> None:
    def make() -> Engine:
        engine = Engine()
        store = Store(engine)
        module = Module(engine, '(import "" "" (func))')
        linker = Linker(engine)
        linker.define_func("", "", FuncType([], []), Thing(engine, store, module, linker))
        linker.instantiate(store, module)
        return engine

    goes(make)


def test_callables_go_with_their_store(engine: Engine) -> None:
    def make() -> Thing:
        store = Store(engine)
        thing = Thing()
        Func(store, FuncType([], []), thing)
        return thing

    goes(make)


def test_callables_go_with_the_closing_of_their_store(engine: Engine) -> None:
    store = Store(engine)
    thing = Thing()
    gone = weakref.ref(thing)
    Func(store, FuncType([], []), thing)
    del thing
    assert gone() is not None
    store.close()
    assert gone() is None


def test_arguments_and_results_go(store: Store) -> None:
    func = Func(store, EXTERN, lambda x: x)

    def make() -> Thing:
        thing = Thing()
        assert func(store, thing) is thing
        store.gc()
        return thing

    goes(make)


def test_exceptions_go_with_all_that_they_hold(engine: Engine, store: Store) -> None:
    def make() -> Thing:
        thing = Thing()

        def host() -> None:
            raise LookupError(thing)

        try:
            Func(store, FuncType([], []), host)(store)
        except LookupError:
            pass
        return thing

    own = Store(engine)
    del own
    module = Module(engine, '(func (export "f") unreachable)')

    def make_trap() -> Trap:
        f: Any = Instance(store, module, []).exports(store)["f"]
        try:
            f(store)
        except Trap as trap:
            return trap
        raise AssertionError

    goes(make_trap)
    # The host function above belongs to the store and holds the thing: that goes with it.
    gone = weakref.ref(make())
    store.close()
    gc.collect()
    assert gone() is None


def test_callers_that_are_kept_do_not_hold_the_running_store(engine: Engine) -> None:
    kept: list[Any] = []

    def make() -> Store:
        store = Store(engine)
        Func(store, FuncType([], []), kept.append, access_caller=True)(store)
        return store

    store = make()
    store.close()  # an expired caller is no user of the store
    assert kept[0].get("x") is None


# ------------------------------------------------------------------------------------ loops

MEASURE = """
try: import resource
except ImportError: sys.exit(0)
import ctypes

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

def flat(function, count, slack=2 * 2**20):
    '''Fail if memory or objects grow while a function runs again and again.'''
    for _ in range(count // 4): function()
    gc.collect()
    before, objects = resident(), len(gc.get_objects())
    for _ in range(count): function()
    gc.collect()
    grown, more = resident() - before, len(gc.get_objects()) - objects
    assert grown < slack, f"{grown} bytes more after {count} rounds"
    assert more < 100, f"{more} objects more after {count} rounds"

engine = Engine()
"""

LOOPS = {
    "calls": (
        """
        store = Store(engine)
        f = Instance(store, Module(engine, '''(func (export "f") (param i64 f64) (result f64 i64)
            (local.get 1) (local.get 0))'''), []).exports(store)["f"]
        flat(lambda: f(store, 2**60, 0.5), 200_000)
        """
    ),
    "host calls": (
        """
        store = Store(engine)
        f = Func(store, FuncType([ValType.I64], [ValType.I64]), lambda caller, n: n + 1, True)
        flat(lambda: f(store, 2**60), 100_000)
        """
    ),
    "many parameters": (
        """
        store = Store(engine)
        n = 40
        f = Func(store, FuncType([ValType.I64] * n, [ValType.I64] * n), lambda *a: a)
        arguments = list(range(2**40, 2**40 + n))
        flat(lambda: f(store, *arguments), 5_000)
        """
    ),
    "externrefs": (
        """
        store = Store(engine)
        f = Func(store, FuncType([ValType.EXTERNREF], [ValType.EXTERNREF]), lambda x: bytes(1000))
        flat(lambda: f(store, bytes(1000)), 20_000)
        """
    ),
    "funcrefs": (
        """
        store = Store(engine)
        f = Func(store, FuncType([ValType.FUNCREF], [ValType.FUNCREF]), lambda x: x)
        flat(lambda: f(store, f), 50_000)
        """
    ),
    "objects of the guest": (
        """
        config = Config(); config.wasm_gc = True
        own = Engine(config)
        store = Store(own)
        f = Instance(store, Module(own, '''(type $s (struct (field i64)))
            (func (export "f") (result anyref) (struct.new $s (i64.const 1)))'''
            ), []).exports(store)["f"]
        flat(lambda: f(store), 30_000)
        """
    ),
    "traps": (
        """
        store = Store(engine)
        module = Module(engine, '(func (export "f") unreachable)')
        f = Instance(store, module, []).exports(store)["f"]
        def once():
            try: f(store)
            except Trap as trap: trap.message, trap.frames, trap.trap_code
        flat(once, 10_000)
        """
    ),
    "host exceptions": (
        """
        store = Store(engine)
        def host(): raise LookupError("x")
        f = Func(store, FuncType([], []), host)
        def once():
            try: f(store)
            except LookupError: pass
        flat(once, 10_000)
        """
    ),
    "refused arguments": (
        """
        store = Store(engine)
        f = Func(store, FuncType([ValType.EXTERNREF, ValType.I32], []), lambda *a: None)
        def once():
            for wrong in (("x",), ("x", "y"), ("x", 2**40), (1, 2, 3)):
                try: f(store, *wrong)
                except (WasmtimeError, TypeError, OverflowError): pass
        flat(once, 10_000)
        """
    ),
    "memory": (
        """
        store = Store(engine)
        m = Memory(store, MemoryType(Limits(1)))
        def once():
            m.write(store, m.read(store, 0, 4096), 100)
            m.type(store), m.data_ptr(store), m.get_buffer_ptr(store, 10)
        flat(once, 10_000)
        """
    ),
    "globals and tables": (
        """
        store = Store(engine)
        g = Global(store, GlobalType(ValType.EXTERNREF, True), None)
        t = Table(store, TableType(ValType.EXTERNREF, Limits(4)), None)
        def once():
            g.set_value(store, bytes(100)); g.value(store); g.type(store)
            t.set(store, 1, bytes(100)); t.get(store, 1); t.type(store); t.size(store)
        flat(once, 10_000)
        """
    ),
    "stores and instances": (
        """
        linker = Linker(engine)
        linker.define_func("", "", FuncType([], []), lambda: None)
        module = Module(engine, '''
            (import "" "" (func)) (memory (export "m") 1) (export "f" (func 0))''')
        def once():
            store = Store(engine, object())
            exports = linker.instantiate(store, module).exports(store)
            exports["f"](store); exports["m"].read(store, 0, 1)
        flat(once, 3_000)
        """
    ),
    "stores that are closed": (
        """
        def once():
            with Store(engine) as store:
                Func(store, FuncType([], []), lambda: None if store else None)(store)
        flat(once, 5_000)
        """
    ),
    "modules": (
        """
        text = '(func (export "f") (result i32) (i32.const 1))'
        def once():
            module = Module(engine, text)
            module.imports, module.exports
            Module.deserialize(engine, module.serialize())
        flat(once, 300, 4 * 2**20)
        """
    ),
    "modules that fail": (
        """
        def once():
            for wrong in (b"", b"rubbish", "(", "(module (func (i32.const)))"):
                try: Module(engine, wrong)
                except WasmtimeError as error: str(error)
        flat(once, 2_000)
        """
    ),
    "linkers": (
        """
        module = Module(engine, '(import "a" "b" (func))')
        def once():
            linker = Linker(engine)
            linker.allow_shadowing = True
            linker.define_wasi()
            for n in range(3): linker.define_func("a", "b", FuncType([], []), lambda: None)
            linker.instantiate_pre(module)
            try: linker.instantiate(Store(engine), Module(engine, '(import "x" "y" (func))'))
            except WasmtimeError: pass
        flat(once, 300, 4 * 2**20)
        """
    ),
    "shadowing in one linker": (
        """
        linker = Linker(engine)
        linker.allow_shadowing = True
        def once(): linker.define_func("a", "b", FuncType([], []), lambda: None)
        flat(once, 3_000)
        """
    ),
    "engines": ("flat(lambda: Store(Engine()), 200, 4 * 2**20)"),
    "types": (
        """
        def once():
            FuncType([ValType.I32] * 5, [ValType.ref("func", nullable=False)])._to_native()
            MemoryType(Limits(1, 2)), TableType(ValType.FUNCREF, Limits(1))._to_native()
        flat(once, 10_000)
        """
    ),
    "views and bound functions": (
        """
        store = Store(engine)
        f = Func(store, FuncType([], []), lambda: None)
        flat(lambda: f.bind(store)(), 20_000)
        """
    ),
    "exports looked up by callers": (
        """
        store = Store(engine)
        def host(caller): caller["m"].read(caller, 0, 1); caller.get("none")
        f = Instance(store, Module(engine, '''(import "" "" (func $h)) (memory (export "m") 1)
            (func (export "f") (call $h))'''),
            [Func(store, FuncType([], []), host, True)]).exports(store)["f"]
        flat(lambda: f(store), 20_000)
        """
    ),
    "wasi": (
        """
        linker = Linker(engine)
        linker.define_wasi()
        module = Module(engine, '''
            (import "wasi_snapshot_preview1" "proc_exit" (func $e (param i32)))
            (memory (export "memory") 1) (func (export "f") (call $e (i32.const 3)))''')
        def once():
            store = Store(engine)
            wasi = WasiConfig()
            wasi.argv = ["a"] * 10
            wasi.capture_stdout()
            store.set_wasi(wasi)
            try: linker.instantiate(store, module).exports(store)["f"](store)
            except ExitTrap as trap: trap.code
        flat(once, 1_000)
        """
    ),
}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("name", LOOPS)
@pytest.mark.slow
def test_loops_keep_memory_flat(name: str) -> None:
    import textwrap

    run_in_subprocess(MEASURE + textwrap.dedent(LOOPS[name])).check()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_the_measure_sees_leaks_of_memory_and_of_objects() -> None:
    ended = run_in_subprocess(MEASURE + "kept = []\nflat(lambda: kept.append(bytes(4096)), 5000)")
    assert "bytes more" in ended.errors
    ended = run_in_subprocess(MEASURE + "kept = []\nflat(lambda: kept.append([]), 500)")
    assert "objects more" in ended.errors
