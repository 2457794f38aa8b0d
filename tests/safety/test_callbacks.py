"""
Exceptions in callbacks: each arrives where it belongs as the same object, once, never later and
never in another thread.
"""

from __future__ import annotations

import pytest
from support import run_in_subprocess

CALLBACKS = r"""
engine = Engine()
config = Config(); config.epoch_interruption = True
ticking = Engine(config)
PRINTER = r'''
    (import "wasi_snapshot_preview1" "fd_write"
        (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\08\00\00\00\06\00\00\00hello\n")
    (func (export "f") (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1)
        (i32.const 20))))'''

def host_function(callback):
    store = Store(engine)
    f = Func(store, FuncType([], []), lambda: callback() and None)
    return lambda: f(store)

def host_function_below_wasm(callback):
    store = Store(engine)
    f = Func(store, FuncType([], []), lambda: callback() and None)
    module = Module(engine, '(import "" "" (func $h)) (func (export "f") (call $h))')
    run = Instance(store, module, [f]).exports(store)["f"]
    return lambda: run(store)

def function_with_references(callback):
    store = Store(engine)
    f = Func(store, FuncType([ValType.EXTERNREF], [ValType.EXTERNREF]), lambda x: callback())
    return lambda: f(store, "x")

def linker_function(callback):
    linker = Linker(engine)
    linker.define_func("", "", FuncType([], []), lambda: callback() and None)
    module = Module(engine, '(import "" "" (func $h)) (start $h)')
    return lambda: linker.instantiate(Store(engine), module)

def reactor(callback):
    linker = Linker(engine)
    linker.allow_shadowing = True
    linker.define_func("", "", FuncType([], []), lambda: callback() and None)
    module = Module(engine, '(import "" "" (func $h)) (func (export "_initialize") (call $h))')
    return lambda: linker.define_module(Store(engine), "m", module)

def deadline(callback):
    store = Store(ticking)
    module = Module(ticking, '(func (export "f") (loop))')
    run = Instance(store, module, []).exports(store)["f"]
    def once():
        store.set_epoch_deadline(0)
        run(store)
    store.set_epoch_deadline_callback(lambda: callback() or 1)
    return once

def output(callback):
    linker = Linker(engine)
    linker.define_wasi()
    store = Store(engine)
    wasi = WasiConfig()
    wasi.stdout_custom = lambda data: callback() and None
    store.set_wasi(wasi)
    run = linker.instantiate(store, Module(engine, PRINTER)).exports(store)["f"]
    return lambda: run(store)

def conversion_of_a_parameter(callback):
    class Value:
        def __index__(self): return callback() or 1
    store = Store(engine)
    f = Func(store, FuncType([ValType.I32], []), lambda n: None)
    return lambda: f(store, Value())

def conversion_of_a_result(callback):
    class Value:
        def __index__(self): return callback() or 1
    store = Store(engine)
    f = Func(store, FuncType([], [ValType.I32]), lambda: Value())
    return lambda: f(store)

def length_of_results(callback):
    class Values:
        def __len__(self): callback(); return 2
        def __getitem__(self, n): return [1, 2][n]
    store = Store(engine)
    f = Func(store, FuncType([], [ValType.I32, ValType.I32]), lambda: Values())
    return lambda: f(store)

def items_of_results(callback):
    class Values:
        def __len__(self): return 2
        def __iter__(self): callback(); return iter((1, 2))
    store = Store(engine)
    f = Func(store, FuncType([], [ValType.I32, ValType.I32]), lambda: Values())
    return lambda: f(store)

def imports_of_an_instance(callback):
    class Imports:
        def __len__(self): return 0
        def __iter__(self): callback(); return iter(())
    module = Module(engine, "(module)")
    return lambda: Instance(Store(engine), module, Imports())
"""

NAMES = [
    line[len("def ") : line.index("(")]
    for line in CALLBACKS.splitlines()
    if line.startswith("def ")
]


@pytest.mark.parametrize("name", NAMES)
def test_exceptions_arrive_once_as_the_same_object(name: str) -> None:
    run_in_subprocess(
        CALLBACKS
        + f"make = {name}\n"
        + """
class Plain(Exception): pass
class Base(BaseException): pass
raised = [None]
def callback():
    if raised[0] is not None: raise raised[0]
call = make(callback)
call()
for exception in [Plain(), Base(), KeyboardInterrupt(), SystemExit(3), GeneratorExit(),
                  StopIteration(), MemoryError(), RecursionError(), OverflowError(), TypeError(),
                  AttributeError(), WasmtimeError("x"), Trap("x"), ExitTrap(1)]:
    raised[0] = exception
    try: call()
    except BaseException as caught: assert caught is exception, (caught, exception)
    else: raise AssertionError(f"{exception!r} was lost")
    raised[0] = None
    call()  # it is not raised again
"""
    ).check()


def test_exceptions_stay_in_their_threads() -> None:
    run_in_subprocess(
        CALLBACKS
        + """
class Mine(BaseException): pass
wrong = []
def run(make, n):
    def callback():
        time.sleep(0.0005)
        raise Mine(n)
    try:
        call = make(callback)
        for _ in range(20):
            try: call()
            except Mine as caught:
                if caught.args != (n,): wrong.append((make, caught))
            else: wrong.append((make, "lost"))
    except BaseException as error: wrong.append((make, error))
makers = [host_function, host_function_below_wasm, function_with_references, linker_function,
          conversion_of_a_result, output]
threads = [threading.Thread(target=run, args=(make, n)) for n, make in enumerate(makers)]
sys.setswitchinterval(1e-5)
for t in threads: t.start()
for t in threads: t.join()
assert not wrong, wrong
"""
    ).check()


def test_exceptions_of_finalizers_are_reported_and_go_no_further() -> None:
    ended = run_in_subprocess(
        """
class Final:
    def __del__(self): raise LookupError("from a finalizer")
store = Store()
f = Func(store, FuncType([ValType.EXTERNREF], []), lambda x: None)
for _ in range(3):
    f(store, Final())
    store.gc()
store.close()
"""
    ).check()
    assert ended.errors.count("LookupError: from a finalizer") == 3


def test_a_callback_that_raises_while_another_exception_is_handled() -> None:
    run_in_subprocess(
        CALLBACKS
        + """
def callback(): raise LookupError
call = host_function_below_wasm(callback)
try: raise ValueError("outer")
except ValueError as outer:
    try: call()
    except LookupError as inner: assert inner.__context__ is outer
assert sys.exc_info() == (None, None, None)
"""
    ).check()


def test_generators_and_awaitables_are_no_results_of_plain_functions() -> None:
    run_in_subprocess(
        """
store = Store()
def generator(): yield 1
async def coroutine(): return 1
for host, refusal, told in (
    (generator, TypeError, "i32"), (lambda: coroutine(), WasmtimeError, "instantiate_async")
):
    f = Func(store, FuncType([], [ValType.I32]), host)
    try: f(store)
    except refusal as error: assert told in str(error)
    else: raise AssertionError
""",
        "-W",
        "ignore",
    ).check()
