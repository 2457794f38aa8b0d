"""
One object and many threads at the same moment, with a GIL between them or without one.

Each program here ends by itself and with the right result, whatever the order of the threads. An
interpreter with a GIL runs them too: the library's calls release it, so threads meet there as well.
"""

from __future__ import annotations

import sys
import sysconfig

import pytest
from support import HELPERS, RACE, run_in_subprocess

HAS_GIL: bool = getattr(sys, "_is_gil_enabled", lambda: True)()
WITH_COMPONENTS = (
    RACE
    + """
from wasmtime import component as wc
engine = Engine()
"""
)


@pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this interpreter always has a GIL"
)
def test_the_lock_stays_off() -> None:
    """
    An interpreter without a GIL turns it on, with a warning, for modules that ask for it.
    """
    run_in_subprocess(
        """
import wasmtime.bindgen, wasmtime.component, wasmtime.loader
Store().close()
assert not sys._is_gil_enabled()
""",
        "-W",
        "error",
        "-X",
        "gil=0",
    ).check()
    program = "import sys; from wasmtime import _core, _ffi; sys.exit(sys._is_gil_enabled())"
    run_in_subprocess(program, "-W", "error", preamble="", env={"PYTHON_GIL": ""}).check()


INITIALISERS = {
    "Engine": "one.__init__()",
    "Store": "one.__init__(engines[n])",
    "Module": "one.__init__(engines[n], '(module)')",
    "Linker": "one.__init__(engines[n])",
    "Func": "one.__init__(stores[n], FuncType([], [ValType.I32]), lambda: n)",
    "Global": "one.__init__(stores[n], GlobalType(ValType.I32, True), n)",
    "Memory": "one.__init__(stores[n], MemoryType(Limits(n + 1)))",
    "Table": "one.__init__(stores[n], TableType(ValType.FUNCREF, Limits(n)), None)",
    "Tag": "one.__init__(stores[n], TagType(FuncType([], [])))",
    "Instance": "one.__init__(stores[n], modules[n], [])",
}
USES = {
    "Engine": "Store(one)",
    "Store": "one.gc()",
    "Module": "one.serialize()",
    "Linker": "one.define_wasi()",
    "Func": "(one(stores[winner]) == winner) or 1 / 0",
    "Global": "(one.value(stores[winner]) == winner) or 1 / 0",
    "Memory": "(one.size(stores[winner]) == winner + 1) or 1 / 0",
    "Table": "(one.size(stores[winner]) == winner) or 1 / 0",
    "Tag": "one.type(stores[winner])",
    "Instance": "one.exports(stores[winner])",
}


@pytest.mark.parametrize("kind", INITIALISERS)
@pytest.mark.slow
def test_one_of_many_initialises(kind: str) -> None:
    """
    An object becomes what one thread makes of it, and the others are told so.
    """
    run_in_subprocess(
        RACE
        + f"""
engines = [Engine() for _ in range(4)]
stores = [Store(engine) for engine in engines]
modules = [Module(engine, "(module)") for engine in engines]
for _ in range(50):
    one = {kind}.__new__({kind})
    def initialise(n):
        {INITIALISERS[kind]}
        return n
    outcomes = at_once(*[lambda n=n: initialise(n) for n in range(4)])
    winners = [each for each in outcomes if isinstance(each, int)]
    assert len(winners) == 1, outcomes
    for each in outcomes:
        assert isinstance(each, (int, ValueError, WasmtimeError)), outcomes
    winner, = winners
    {USES[kind]}
"""
    ).check()


def test_closing_what_others_use() -> None:
    """
    Every kind of owner, closed by one thread while others use it.
    """
    run_in_subprocess(
        WITH_COMPONENTS
        + """
config = Config()
config.shared_memory = True
engine = Engine(config)
text = '(component (core module $m (func (export "f"))) (core instance (instantiate $m)))'
def make():
    return {
        "module": Module(engine, '(func (export "f"))'), "linker": Linker(engine),
        "engine": Engine(), "component": wc.Component(engine, text),
        "component linker": wc.Linker(engine),
        "memory": SharedMemory(engine, MemoryType(Limits(1, 2), shared=True)),
        "profiler": GuestProfiler(engine, "p", {}), "store": Store(engine)}
things = make()
def renew():
    global things
    things = make()
def close():
    for thing in list(things.values()): thing.close()
def of(name, use):
    return lambda: use(things[name])
race(renew, close,
     of("module", lambda m: Instance(Store(engine), m, []).exports),
     of("module", lambda m: (m.serialize(), m.exports, m.imports)),
     of("linker", lambda l: l.instantiate(Store(engine), things["module"])),
     of("linker", lambda l: l.instantiate_pre(things["module"]).instantiate(Store(engine))),
     of("linker", lambda l: l.define_func("a", str(time.monotonic_ns()), FuncType([], []), print)),
     of("engine", lambda e: (Store(e), Module(e, "(module)"), e.increment_epoch(), e.is_pulley())),
     of("component", lambda c: c.serialize()),
     of("component linker", lambda l: l.instantiate(Store(engine), things["component"])),
     of("memory", lambda m: (m.read(), m.write(b"x"), m.grow(0), m.type(), m.view().release())),
     of("profiler", lambda p: p.sample(Store(engine))),
     of("profiler", lambda p: p.finish()),
     of("store", lambda s: (s.gc(), Func(s, FuncType([], []), lambda: None)(s))),
     refusal="in use", seconds=3)  # a linker is waited for for a second
"""
    ).check()


def test_what_a_store_holds_against_its_closing() -> None:
    """
    `Store.data` and views may be asked for by any thread, at any moment.
    """
    run_in_subprocess(
        RACE
        + """
engine = Engine()
module = Module(engine, '(memory (export "m") 1)')
def make():
    store = Store(engine, data=[1, 2, 3])
    return store, Instance(store, module, []).exports(store)["m"]
current = make()
def renew():
    global current
    current = make()
def data():
    assert current[0].data() == [1, 2, 3]
def view():
    store, memory = current
    with memory.view(store) as view:
        view[5] = 7
        assert view[5] == 7 and len(view) == 65536
def close():
    try: current[0].close()
    except BufferError as error: assert "views" in str(error)
counts = race(renew, data, data, view, view, close, seconds=2)
assert min(counts) > 0, counts
"""
    ).check()


def test_details_that_are_read_when_first_needed() -> None:
    """
    Exports, signatures and types are read once; all who ask at that moment get the same.
    """
    run_in_subprocess(
        RACE
        + """
engine = Engine()
module = Module(engine, '''
    (func (export "f") (param i32 f64) (result i64) (i64.const 7))
    (global (export "g") (mut f32) (f32.const 1.5))
    (table (export "t") 3 externref)''')
for _ in range(50):
    store = Store(engine)
    instance = Instance(store, module, [])
    def ask():
        while True:
            try: return instance.exports(store)
            except WasmtimeError as error: assert "in use by another thread" in str(error)
    exports = at_once(*[ask] * 4)
    assert all(each is exports[0] for each in exports), exports
    f, g, t = (exports[0][name] for name in "fgt")
    def arities():
        while True:
            try: return f.param_arity(), f.result_arity(), f(store, 1, 2.0)
            except WasmtimeError as error: assert "in use by another thread" in str(error)
    def values():
        while True:
            try: return g.value(store), t.size(store), t.get(store, 0)
            except WasmtimeError as error: assert "in use by another thread" in str(error)
    outcomes = at_once(arities, values, arities, values)
    assert outcomes == [(2, 1, 7), (1.5, 3, None)] * 2, outcomes
"""
    ).check()


def test_one_linker_for_many_stores() -> None:
    """
    What a linker gives a store is what it may have, while others define and replace it.
    """
    run_in_subprocess(
        RACE
        + """
engine = Engine()
linker = Linker(engine)
linker.allow_shadowing = True
own = Store(engine)
value = Global(own, GlobalType(ValType.I32, True), 7)
ty = FuncType([], [ValType.I32])
linker.define_func("m", "f", ty, lambda: 1)
user = Module(engine, '(import "m" "f" (func $f (result i32))) (export "f" (func $f))')
def define_func():
    linker.define_func("m", "f", ty, lambda: 1)
def define_global():
    linker.define(own, "m", "f", value)
def get():
    store = Store(engine)
    try:
        item = linker.get(store, "m", "f")
    except WasmtimeError as error:
        if "another store" not in str(error): raise
        return
    assert item(store) == 1
def instantiate():
    store = Store(engine)
    try:
        instance = linker.instantiate(store, user)
    except WasmtimeError as error:
        if "another store" not in str(error) and "incompatible import type" not in str(error):
            raise
        return
    assert instance.exports(store)["f"](store) == 1
def prepare():
    try:
        pre = linker.instantiate_pre(user)
    except WasmtimeError as error:
        if "incompatible import type" not in str(error): raise
        return
    gc.collect(0)
    store = Store(engine)
    assert pre.instantiate(store).exports(store)["f"](store) == 1
counts = race(
    define_func, define_global, get, instantiate, prepare, refusal="in use", seconds=3)
assert min(counts) > 0, counts
"""
    ).check()


def test_definitions_of_components() -> None:
    """
    One `LinkerInstance` at a time is open, whoever asks, and ends without pulling the ground from
    under another thread.
    """
    run_in_subprocess(
        WITH_COMPONENTS
        + """
linker = wc.Linker(engine)
linker.allow_shadowing = True
empty = wc.Component(engine, "(component)")
instances = [None]
def refusals(function):
    def tried():
        try: function()
        except (WasmtimeError, ValueError) as error:
            if not any(word in str(error) for word in ("in use", "closed")): raise
    return tried
def open_root():
    instances[0] = linker.root()
    with instances[0] as root, root.add_instance("a:b/c") as inner:
        for n in range(5):
            inner.add_func(f"f{n}", lambda store: None)
def define():
    if instances[0] is not None: instances[0].add_func("g", lambda store: None)
def close():
    if instances[0] is not None: instances[0].close()
def instantiate():
    linker.instantiate(Store(engine), empty)
race(*map(refusals, (open_root, open_root, define, close, instantiate)), seconds=2)
# At one moment, one of them gets it.
for _ in range(50):
    roots = at_once(*[linker.root] * 4)
    opened = [each for each in roots if isinstance(each, wc.LinkerInstance)]
    assert len(opened) == 1, roots
    opened[0].close()
"""
    ).check()


def test_a_class_is_one_type_of_resources() -> None:
    run_in_subprocess(
        WITH_COMPONENTS
        + """
from wasmtime.component._host import class_for
for _ in range(60):
    class Blob: pass
    types = at_once(*[lambda: class_for(Blob)] * 6)
    assert all(each == types[0] for each in types), types
"""
    ).check()


def test_values_that_another_thread_changes() -> None:
    """
    A list or dict is passed as it was at one moment, or refused for what it lacked then.
    """
    run_in_subprocess(
        WITH_COMPONENTS
        + """
from component.echo import echo_through_host
from wasmtime.component import Linker
def echo(text):
    component = echo_through_host(engine, text)
    linker = Linker(engine)
    linker.define_imports(component, {"x": lambda value: value})
    store = Store(engine)
    x = linker.instantiate(store, component).exports(store).x
    return lambda value: x(store, value)
numbers = echo("(list u32)")
records = echo('(record (field "a" string) (field "b" string))')
growing, fields = [], {"a": "", "b": ""}
def change():
    growing.append(len(growing))
    if len(growing) > 500: growing.clear()
    fields["a"] = fields["b"] = str(len(growing)) * 20
    fields.pop("b"); fields["c"] = 1
    fields.pop("c"); fields["b"] = "x"
def pass_numbers():
    given = numbers(growing)
    assert given == list(range(len(given))), given
def pass_record():
    try: records(fields)
    except TypeError as error: assert "field" in str(error), error
race(change, pass_numbers, pass_record, seconds=2)
""",
        env=HELPERS,
    ).check()


def test_resources_of_a_call_that_is_over() -> None:
    """
    A resource that was borrowed for a host call, in the hands of another thread when that returns.
    """
    run_in_subprocess(
        WITH_COMPONENTS
        + """
from component.resources import RESOURCES
from wasmtime.component import Component, Linker, ResourceAny, ResourceHost, ResourceType
component = Component(engine, RESOURCES)
borrowed = [None]
linker = Linker(engine)
with linker.root() as root, root.add_instance("res") as res:
    res.add_resource("blob", ResourceType.host(7), lambda store, rep: None)
    res.add_func("[constructor]blob", lambda store, size: ResourceHost.own(size, 7))
    def size(store, blob):
        borrowed[0] = blob
        return 3
    res.add_func("[method]blob.size", size)
    res.add_func("[static]blob.merge", lambda store, a, b: a)
store = Store(engine)
instance = linker.instantiate(store, component)
make, look = instance.get_func(store, "make"), instance.get_func(store, "look")
blob = make(store, 3)
def lend():
    assert look(store, blob) == 3
def outside(use):
    def tried():
        if borrowed[0] is None: return
        try: use(borrowed[0])
        except WasmtimeError as error:
            if "call that is over" not in str(error): raise
    return tried
race(lend, outside(lambda r: r.type == ResourceType.host(7)), outside(lambda r: r.owned),
     outside(lambda r: r.drop(store)), outside(lambda r: r.to_host(store)), seconds=2)
assert look(store, blob) == 3
""",
        env=HELPERS,
    ).check()


def test_output_is_read_while_it_is_written() -> None:
    run_in_subprocess(
        RACE
        + """
engine = Engine()
linker = Linker(engine)
linker.define_wasi()
writer = Module(engine, '''
    (import "wasi_snapshot_preview1" "fd_write"
        (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\\\\10\\\\00\\\\00\\\\00\\\\08\\\\00\\\\00\\\\00")
    (data (i32.const 16) "12345678")
    (func (export "go") (param i32)
        (loop (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 12)))
            (local.set 0 (i32.sub (local.get 0) (i32.const 1))) (br_if 0 (local.get 0))))''')
store = Store(engine)
wasi = WasiConfig()
output = wasi.capture_stdout()
store.set_wasi(wasi)
go = linker.instantiate(store, writer).exports(store)["go"]
taken = []
done = threading.Event()
def read():
    while not done.is_set():
        seen = output.getvalue()
        assert seen == b"12345678" * (len(seen) // 8), seen[:100]
        taken.append(len(seen))
readers = [threading.Thread(target=read) for _ in range(2)]
for reader in readers: reader.start()
go(store, 100_000)
done.set()
for reader in readers: reader.join()
assert output.getvalue() == b"12345678" * 100_000
assert len(set(taken)) > 1, taken[:10]
"""
    ).check()


def test_collections_while_others_run() -> None:
    """
    Python's collector looks at stores from another thread than the one that is inside.
    """
    run_in_subprocess(
        RACE
        + """
engine = Engine()
module = Module(engine, '''
    (import "" "host" (func $host (param externref) (result externref)))
    (table (export "t") 64 externref)
    (func (export "go") (param externref i32) (result externref)
        (table.set 0 (i32.and (local.get 1) (i32.const 63)) (call $host (local.get 0)))
        (table.get 0 (i32.and (local.get 1) (i32.const 63))))''')
class Thing:
    alive = 0
    lock = threading.Lock()
    def __init__(self):
        with self.lock: Thing.alive += 1
        self.cycle = self
    def __del__(self):
        with self.lock: Thing.alive -= 1
def run():
    store = Store(engine)
    def host(thing):
        thing.store = store  # a cycle: store -> externref -> thing -> store, and one through host
        return thing
    instance = Instance(store, module, [Func(
        store, FuncType([ValType.EXTERNREF], [ValType.EXTERNREF]), host)])
    go = instance.exports(store)["go"]
    for n in range(100):
        thing = Thing()
        assert go(store, thing, n) is thing
race(run, run, gc.collect, lambda: gc.collect(0), seconds=3)
gc.collect()
gc.collect()
assert Thing.alive == 0, Thing.alive
"""
    ).check()


def test_a_collection_does_not_wait_for_webassembly() -> None:
    """
    All threads stop for a collection, but those inside of WebAssembly need not.
    """
    run_in_subprocess(
        """
engine = Engine()
store = Store(engine)
spin = Instance(store, Module(engine, '(func (export "spin") (loop (br 0)))'), []).exports(
    store)["spin"]
ended = []
def run():
    try: spin(store)
    except Trap as trap: ended.append(trap.trap_code)
store.set_epoch_deadline(1)
thread = threading.Thread(target=run)
thread.start()
time.sleep(0.05)
for _ in range(20):
    gc.collect()
assert thread.is_alive()
engine.increment_epoch()
thread.join()
assert ended == [TrapCode.INTERRUPT]
"""
    ).check()


def test_a_shared_memory_in_many_threads() -> None:
    run_in_subprocess(
        RACE
        + """
config = Config()
config.shared_memory = True
engine = Engine(config)
memory = SharedMemory(engine, MemoryType(Limits(1, 100), shared=True))
module = Module(engine, '''
    (import "" "m" (memory 1 100 shared))
    (func (export "add") (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1))))''')
counts = [0] * 3
def worker(n):
    store = Store(engine)
    add = Instance(store, module, [memory]).exports(store)["add"]
    def run():
        add(store)
        counts[n] += 1
    return run
def read():
    with memory.view(0, 4, "u32") as view: view[0]
    assert len(memory.read(4, 100)) == 96
    memory.write(b"x" * 100, 64)
def grow():
    if memory.size() < 100: memory.grow(1)
    Instance(Store(engine), module, [memory])
race(*[worker(n) for n in range(3)], read, grow, seconds=2)
assert int.from_bytes(memory.read(0, 4), "little") == sum(counts), counts
"""
    ).check()


def test_engines_are_made_in_many_threads() -> None:
    """
    The handlers of faults are put in place once, and all traps are traps.
    """
    run_in_subprocess(
        RACE
        + """
def make():
    engine = Engine()
    store = Store(engine)
    f = Instance(store, Module(engine, '''(memory 1)
        (func (export "f") (result i32) (i32.load (i32.const 1000000)))'''), []).exports(store)["f"]
    for _ in range(20):
        try: f(store)
        except Trap as trap: assert trap.trap_code == TrapCode.MEMORY_OUT_OF_BOUNDS
        else: raise AssertionError
assert at_once(*[make] * 6) == [None] * 6
race(make, make)
"""
    ).check()


@pytest.mark.skipif(HAS_GIL, reason="this interpreter has a GIL, so Python code takes turns")
def test_python_code_of_two_stores_runs_at_once() -> None:
    """
    Without a GIL, host functions do not wait for each other.
    """
    run_in_subprocess(
        RACE
        + """
engine = Engine()
state = {"first": 0, "second": 0}
def host(mine, others):
    def run():
        state[mine] = 1
        # A loop that never gives way: with a GIL, the other would have to wait for its end.
        end = time.monotonic() + 20
        while not state[others]:
            if time.monotonic() > end: raise AssertionError("the other one never came")
    return run
def call(mine, others):
    store = Store(engine)
    Func(store, FuncType([], []), host(mine, others))(store)
    return mine
sys.setswitchinterval(1000)
outcomes = at_once(lambda: call("first", "second"), lambda: call("second", "first"))
assert outcomes == ["first", "second"], outcomes
"""
    ).check()
