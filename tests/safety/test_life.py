"""
Life and death: closing inside of callbacks, collection in any order, the end of the interpreter.
"""

from __future__ import annotations

import pytest
from support import HELPERS, run_in_subprocess

WORLD = """
engine = Engine()
TEXT = '''
    (import "" "" (func $h))
    (func (export "f") (call $h))
    (memory (export "m") 1) (table (export "t") 1 externref)
    (global (export "g") (mut externref) (ref.null extern))'''
module = Module(engine, TEXT)

def world(host=lambda: None, engine=engine, module=module):
    store = Store(engine)
    func = Func(store, FuncType([], []), host)
    instance = Instance(store, module, [func])
    return store, instance, instance.exports(store)
"""


def test_closing_everything_inside_a_callback() -> None:
    run_in_subprocess(
        WORLD
        + """
own = Engine()
own_module = Module(own, TEXT)
linker = Linker(own)
store = None
refusals = []
def host():
    try: store.close()
    except WasmtimeError as error: refusals.append(error)
    try: store.__exit__(None, None, None)
    except WasmtimeError as error: refusals.append(error)
    linker.close(); own_module.close(); own.close(); pre.close()
    gc.collect()
linker.define_func("", "", FuncType([], []), host)
pre = linker.instantiate_pre(own_module)
store = Store(own)
f = pre.instantiate(store).exports(store)["f"]
f(store); f(store)
assert len(refusals) == 4
store.close()
"""
    ).check()


def test_dropping_every_reference_inside_a_callback() -> None:
    run_in_subprocess(
        WORLD
        + """
holder = {}
def host():
    holder.clear()
    gc.collect()
holder["store"], holder["instance"], holder["exports"] = world(host)
holder["exports"]["f"](holder["store"])
gc.collect()
def host2():
    holder.clear(); gc.collect()
    raise LookupError
holder["store"], holder["instance"], holder["exports"] = world(host2)
try: holder["exports"]["f"](holder["store"])
except LookupError: pass
"""
    ).check()


def test_closing_by_a_finalizer_of_what_the_store_holds() -> None:
    run_in_subprocess(
        WORLD
        + """
class Closing:
    def __del__(self):
        try: self.store.close()
        except WasmtimeError: pass
        try: self.exports["m"].read(self.store)
        except ValueError: pass
for how in ("close", "del", "gc", "overwrite"):
    store, instance, exports = world()
    thing = Closing()
    thing.store, thing.exports = store, exports
    exports["t"].set(store, 0, thing)
    exports["g"].set_value(store, thing)
    del thing
    if how == "close": store.close()
    elif how == "overwrite":
        exports["t"].set(store, 0, None); exports["g"].set_value(store, None); store.gc()
    del store, instance, exports
    gc.collect()
"""
    ).check()


def test_closing_twice_and_everywhere() -> None:
    run_in_subprocess(
        WORLD
        + """
for _ in range(3):
    store, instance, exports = world()
    things = [store, module, Linker(engine), Engine(), WasiConfig(), Config()]
    for thing in things[:1] + things[2:]:
        with thing:
            thing.close(); thing.close()
        thing.close()
"""
    ).check()


def test_collection_in_every_order() -> None:
    run_in_subprocess(
        WORLD
        + """
import itertools, random
chance = random.Random(1)
for _ in range(200):
    own = Engine() if chance.random() < 0.1 else engine
    own_module = Module(own, TEXT) if own is not engine else module
    linker = Linker(own)
    linker.define_func("", "", FuncType([], []), lambda: None)
    store, instance, exports = world(engine=own, module=own_module)
    try:
        exports["f"](store, 1)
    except WasmtimeError as error:
        kept_error = error
    things = [own, own_module, linker, store, instance, exports, exports["f"], exports["m"],
              linker.instantiate_pre(own_module), exports["f"].bind(store), kept_error]
    del own, own_module, linker, store, instance, exports, kept_error
    chance.shuffle(things)
    while things:
        things.pop()
        if chance.random() < 0.1: gc.collect()
"""
    ).check()


def test_collection_from_another_thread() -> None:
    run_in_subprocess(
        WORLD
        + """
for _ in range(50):
    things = list(world())
    t = threading.Thread(target=things.clear)
    t.start(); t.join()
cycle = []
for _ in range(50):
    store, instance, exports = world()
    def host(): return store
    Func(store, FuncType([], []), host)
    del store, instance, exports, host
t = threading.Thread(target=gc.collect)
t.start(); t.join()
"""
    ).check()


def test_a_collection_that_changes_the_list_that_is_passed() -> None:
    """
    Before 3.12, any allocation may collect garbage, and a collection runs other code.
    """
    run_in_subprocess(
        """
    from component.echo import echo_through_host
    from wasmtime import component as wc

    numbers = []
    def collected(phase, info):
        while changing and numbers: numbers.pop()
    changing = False
    gc.callbacks.append(collected)

    def changed_in(function):
        global changing
        numbers[:] = [list(range(1, 1 + count))[i] for i in range(count)]
        changing = True
        gc.set_threshold(1)
        try: return function()
        except (WasmtimeError, TypeError, IndexError) as error: return error
        finally:
            gc.set_threshold(0)
            changing = False

    engine = Engine()
    store = Store(engine)
    linker = wc.Linker(engine)
    component = echo_through_host(engine, "(list u32)")
    linker.define_imports(component, {"x": lambda value: value})
    x = linker.instantiate(store, component).exports(store).x
    i32 = ValType.i32()
    other = Store(engine)  # a store that has trapped enters no component any more
    pair = Func(other, FuncType([], [i32] * 2), lambda: numbers)
    module = Module(engine, '(module (import "" "f" (func)) (import "" "g" (func)))')
    f = Func(other, FuncType([], []), lambda: None)
    for count in range(1, 30):
        given = changed_in(lambda: x(store, numbers))
        assert given in ([], list(range(1, 1 + count))), given
        count = 2
        given = changed_in(lambda: pair(other))
        assert isinstance(given, WasmtimeError) or given == [1, 2], given
        def link():
            numbers[:] = [f, f]
            return Instance(other, module, numbers)
        assert isinstance(changed_in(link), (WasmtimeError, Instance))
    """,
        env=HELPERS,
    ).check()


def test_collection_while_another_thread_runs_wasm() -> None:
    run_in_subprocess(
        WORLD
        + """
gc.set_threshold(1)
stop = []
def churn():
    while not stop:
        store, _, exports = world()
        store.cycle = store
        exports["t"].set(store, 0, store)
threads = [threading.Thread(target=churn) for _ in range(2)]
for t in threads: t.start()
end = time.monotonic() + float(os.environ.get("WASMTIME_SAFETY_RACES", "1"))
while time.monotonic() < end:
    store, _, exports = world()
    exports["f"](store)
stop.append(1)
for t in threads: t.join()
"""
    ).check()


AT_EXIT = {
    "everything alive": "store, instance, exports = world()",
    "a cycle": """
        store, instance, exports = world()
        store.me = store
        exports["t"].set(store, 0, store)
        """,
    "in a module's globals that die late": """
        sys.modules["keeper"] = type(sys)("keeper")
        sys.modules["keeper"].world = world()
        builtins = __import__("builtins"); builtins.world = world()
        """,
    "a finalizer that runs wasm": """
        store, instance, exports = world()
        class Late:
            def __del__(self, f=exports["f"], store=store, t=exports["t"]):
                f(store); t.set(store, 0, object())
        sys.late = Late(); late = Late(); late.me = late
        """,
    "a finalizer that compiles": """
        class Late:
            def __del__(self, Module=Module, engine=engine, Store=Store, Instance=Instance):
                store = Store(engine)
                Instance(store, Module(engine, "(module)"), [])
        sys.late = Late(); late = Late(); late.me = late
        """,
    "an atexit function that runs wasm": """
        import atexit
        store, instance, exports = world()
        atexit.register(lambda: exports["f"](store))
        """,
    "a finalizer in the store's data": """
        class Late:
            def __del__(self, world=world):
                world()
        store = Store(engine, Late())
        store2, instance, exports = world()
        exports["t"].set(store2, 0, Late())
        """,
    "sys.exit in a host function": """
        store, instance, exports = world(lambda: sys.exit(0))
        exports["f"](store)
        """,
    "os._exit in a host function": """
        store, instance, exports = world(lambda: os._exit(0))
        exports["f"](store)
        """,
    "a daemon thread in wasm": """
        started = threading.Event()
        spin = Module(engine, '(func (export "f") (loop (br 0)))')
        def run():
            store = Store(engine)
            f = Instance(store, spin, []).exports(store)["f"]
            started.set()
            f(store)
        threading.Thread(target=run, daemon=True).start()
        started.wait(); time.sleep(0.05)
        """,
    "daemon threads in host functions": """
        def host(): time.sleep(0.001)
        def run():
            store, _, exports = world(host)
            while True: exports["f"](store)
        for _ in range(4): threading.Thread(target=run, daemon=True).start()
        time.sleep(0.1)
        """,
    "daemon threads that call hosts without end": """
        loop = Module(engine, '''(import "" "" (func $h))
            (func (export "f") (loop (call $h) (br 0)))''')
        def run():
            store = Store(engine)
            func = Func(store, FuncType([], []), lambda: None)
            Instance(store, loop, [func]).exports(store)["f"](store)
        for _ in range(4): threading.Thread(target=run, daemon=True).start()
        time.sleep(0.1)
        """,
    "daemon threads through two stores": """
        loop = Module(engine, '''(import "" "" (func $h))
            (func (export "f") (loop (call $h) (br 0)))''')
        def run():
            inner, _, exports = world()
            store = Store(engine)
            func = Func(store, FuncType([], []), lambda: exports["f"](inner))
            Instance(store, loop, [func]).exports(store)["f"](store)
        for _ in range(4): threading.Thread(target=run, daemon=True).start()
        time.sleep(0.1)
        """,
    "daemon threads that compile": """
        def run():
            while True: Module(Engine(), TEXT)
        for _ in range(3): threading.Thread(target=run, daemon=True).start()
        time.sleep(0.1)
        """,
    "a daemon thread in a deadline callback": """
        config = Config(); config.epoch_interruption = True
        ticking = Engine(config)
        def run():
            store = Store(ticking)
            store.set_epoch_deadline_callback(lambda: time.sleep(0.001) or 1)
            store.set_epoch_deadline(1)
            text = '(func (export "f") (loop (br 0)))'
            Instance(store, Module(ticking, text), []).exports(store)["f"](store)
        def tick():
            while True: ticking.increment_epoch(); time.sleep(0.0005)
        threading.Thread(target=run, daemon=True).start()
        threading.Thread(target=tick, daemon=True).start()
        time.sleep(0.1)
        """,
    "a thread that is waited for": """
        def run():
            store, _, exports = world(lambda: time.sleep(0.01))
            for _ in range(20): exports["f"](store)
            print("done")
        threading.Thread(target=run).start()
        """,
}

#: Keeps the interpreter in its last phase for long enough that other threads meet it there.
SLOW_END = """
class Slow:
    def __del__(self, sleep=time.sleep): sleep(0.15)
sys.slow = Slow()
"""


@pytest.mark.parametrize("code", AT_EXIT.values(), ids=AT_EXIT)
@pytest.mark.parametrize("end", ["", SLOW_END], ids=["", "slowly"])
@pytest.mark.slow
def test_the_end_of_the_interpreter(code: str, end: str) -> None:
    import textwrap

    ended = run_in_subprocess(WORLD + end + textwrap.dedent(code), timeout=30).check()
    assert "Error" not in ended.errors, ended.errors


def test_wasi_output_at_the_end_of_the_interpreter() -> None:
    run_in_subprocess(
        WORLD
        + """
linker = Linker(engine)
linker.define_wasi()
printer = Module(engine, r'''
    (import "wasi_snapshot_preview1" "fd_write"
        (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\\08\\00\\00\\00\\06\\00\\00\\00hello\\n")
    (func (export "f") (loop (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1)
        (i32.const 20))) (br 0)))''')
def run():
    store = Store(engine)
    wasi = WasiConfig()
    wasi.stdout_custom = lambda data: None
    store.set_wasi(wasi)
    linker.instantiate(store, printer).exports(store)["f"](store)
threads = [threading.Thread(target=run, daemon=True) for _ in range(3)]
for t in threads: t.start()
time.sleep(0.2)
"""
    ).check()


def test_pointers_and_views_that_are_kept() -> None:
    run_in_subprocess(
        WORLD
        + """
store, instance, exports = world()
array = exports["m"].get_buffer_ptr(store)
array[0] = 1
frames = None
try: exports["f"](store, 1, 2)
except WasmtimeError as error: kept = error
store.close()
gc.collect()
str(kept); kept.frames  # nothing of it lived in the store
"""
    ).check()


def test_exports_outlive_their_store_as_objects() -> None:
    run_in_subprocess(
        WORLD
        + """
store, instance, exports = world()
by_index = exports.by_index
bound = exports["f"].bind(store)
store.close()
for use in (lambda: bound(), lambda: exports["f"](store), lambda: exports["m"].read(store)):
    try: use()
    except ValueError as error: assert "closed" in str(error)
    else: raise AssertionError
assert list(exports) == ["f", "m", "t", "g"]
assert len(by_index) == 4
for item in by_index: repr(item), hash(item), item == item
"""
    ).check()


def test_initialising_twice() -> None:
    run_in_subprocess(
        WORLD
        + """
store, instance, exports = world()
other = Store(engine)
calls = [
    lambda: store.__init__(), lambda: store.__init__(engine), lambda: engine.__init__(),
    lambda: module.__init__(engine, "(module)"), lambda: exports["f"].__init__(
        store, FuncType([], []), print),
    lambda: exports["m"].__init__(store, MemoryType(Limits(1))),
    lambda: exports["t"].__init__(store, TableType(ValType.EXTERNREF, Limits(1)), None),
    lambda: exports["g"].__init__(store, GlobalType(ValType.I32, True), 1),
    lambda: instance.__init__(store, Module(engine, "(module)"), []),
    lambda: exports["m"].__init__(other, MemoryType(Limits(1))),
]
for n, call in enumerate(calls):
    try: call()
    except ValueError as error: assert "already" in str(error)
    else: raise AssertionError(n)
exports["f"](store)
assert exports["m"].size(store) == 1
"""
    ).check()


def test_initialising_an_instance_while_it_is_initialised() -> None:
    run_in_subprocess(
        """
engine = Engine()
store, other = Store(engine), Store(engine)
instance = Instance.__new__(Instance)
def host():
    instance.__init__(other, Module(engine, '(memory (export "inner") 1)'), [])
func = Func(store, FuncType([], []), host)
module = Module(engine, '(import "" "" (func $h)) (start $h) (memory (export "outer") 1)')
try: instance.__init__(store, module, [func])
except ValueError as error: assert "already" in str(error)
else: raise AssertionError
assert list(instance.exports(other)) == ["inner"]
assert instance.exports(other)["inner"].size(other) == 1
"""
    ).check()


def test_subclasses_with_attributes_of_their_own() -> None:
    run_in_subprocess(
        WORLD
        + """
class MyStore(Store): pass
class MyFunc(Func): pass
class MyMemory(Memory):
    __slots__ = ("extra",)
class MyLinker(Linker): pass
for _ in range(20):
    store = MyStore(engine)
    store.cycle = store
    f = MyFunc(store, FuncType([], []), lambda: None)
    f.cycle = f
    f(store)
    m = MyMemory(store, MemoryType(Limits(1)))
    m.extra = m
    m.read(store, 0, 1)
    linker = MyLinker(engine)
    linker.cycle = linker
    linker.define(store, "", "", f)
    gone = weakref.ref(store)
    del store, f, m, linker
    gc.collect()
    assert gone() is None
"""
    ).check()
