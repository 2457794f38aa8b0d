"""
Threads: two in one store, each with its own, small stacks, deep recursion.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from support import RACE, compile_c, run_in_subprocess, skip_without_threads_of

SPIN_AND_ADD = (
    RACE
    + """
engine = Engine()
module = Module(engine, '''
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func (export "spin") (param i32)
        (loop (local.set 0 (i32.sub (local.get 0) (i32.const 1))) (br_if 0 (local.get 0))))
    (memory (export "m") 1 100)
    (table (export "t") 1 1000 externref)
    (global (export "g") (mut i64) (i64.const 0))''')
"""
)


def test_two_threads_in_one_store() -> None:
    run_in_subprocess(
        SPIN_AND_ADD
        + """
store = Store(engine)
e = Instance(store, module, []).exports(store)
add, spin, m, t, g = e["add"], e["spin"], e["m"], e["t"], e["g"]
left = iter(range(5000))  # a store has room for 10000 instances
def adding():
    assert add(store, 1, 2) == 3
counts = race(
    adding, adding, lambda: spin(store, 100000), lambda: m.read(store, 0, 100),
    lambda: m.write(store, b"x" * 1000), lambda: t.set(store, 0, object()),
    lambda: g.set_value(store, g.value(store) + 1), lambda: m.grow(store, 0),
    lambda: e["add"].type(store),
    lambda: next(left, None) is None or Instance(store, module, []),
    lambda: Func(store, FuncType([], []), lambda: None)(store), seconds=2)
assert sum(counts) > 100, counts
adding()
"""
    ).check()


def test_host_functions_of_one_store_in_two_threads() -> None:
    run_in_subprocess(
        SPIN_AND_ADD
        + """
store = Store(engine)
inside = []
def host():
    assert not inside
    inside.append(1)
    time.sleep(0.001)
    inside.pop()
f = Func(store, FuncType([], []), host)
race(lambda: f(store), lambda: f(store), lambda: f(store))
f(store)
"""
    ).check()


def test_growth_against_reads() -> None:
    run_in_subprocess(
        SPIN_AND_ADD
        + """
def one():
    store = Store(engine)
    m = Instance(store, module, []).exports(store)["m"]
    def grow():
        m.grow(store, 1)
    def read():
        data = m.read(store)
        assert len(data) % 65536 == 0
    for _ in range(20):
        try: grow(); read()
        except WasmtimeError: pass
    return m, store
m, store = one()
def grow():
    try: m.grow(store, 1)
    except WasmtimeError as error:
        if "in use" in str(error): raise
race(grow, lambda: m.read(store), lambda: m.write(store, b"x", -1))
"""
    ).check()


def test_close_against_calls() -> None:
    run_in_subprocess(
        SPIN_AND_ADD
        + """
current = [None]
def renew():
    store = Store(engine)
    current[0] = (store, Instance(store, module, []).exports(store)["add"])
    time.sleep(0.0005)
renew()
def call():
    store, add = current[0]
    assert add(store, 1, 2) == 3
def close():
    store, _ = current[0]
    try:
        store.close()
    except WasmtimeError as error:
        assert "in use by another thread" in str(error)
race(renew, call, call, close)
"""
    ).check()


def test_closing_what_another_thread_uses() -> None:
    run_in_subprocess(
        SPIN_AND_ADD
        + """
linkers = [Linker(engine)]
modules = [module]
engines = [Engine()]
def renew():
    linkers[0], modules[0], engines[0] = Linker(engine), Module(engine, "(module)"), Engine()
race(renew,
     lambda: linkers[0].instantiate(Store(engine), modules[0]),
     lambda: modules[0].serialize(),
     lambda: Store(engines[0]),
     lambda: (linkers[0].close(), modules[0].close(), engines[0].close()))
"""
    ).check()


def test_definitions_against_instantiations() -> None:
    run_in_subprocess(
        SPIN_AND_ADD
        + """
linker = Linker(engine)
linker.allow_shadowing = True
linker.define_func("a", "b", FuncType([], [ValType.I32]), lambda: 1)
user = Module(engine, '(import "a" "b" (func $f (result i32))) (export "f" (func $f))')
def define():
    linker.define_func("a", "b", FuncType([], [ValType.I32]), lambda: 1)
def use():
    store = Store(engine)
    assert linker.instantiate(store, user).exports(store)["f"](store) == 1
counts = race(define, use, use)
assert min(counts) > 0, counts
"""
    ).check()


def test_a_store_each_never_sees_anothers_exception() -> None:
    run_in_subprocess(
        SPIN_AND_ADD
        + """
linker = Linker(engine)
class Mine(Exception): pass
def host(n):
    time.sleep(0.0001)
    raise Mine(n)
linker.define_func("", "", FuncType([ValType.I32], []), host)
thrower = Module(engine, '(import "" "" (func $f (param i32))) (export "f" (func $f))')
def run(n):
    store = Store(engine)
    f = linker.instantiate(store, thrower).exports(store)["f"]
    def once():
        try:
            f(store, n)
        except Mine as error:
            assert error.args == (n,)
        else:
            raise AssertionError
    return once
race(*[run(n) for n in range(6)])
"""
    ).check()


def test_stores_on_two_threads_run_at_once() -> None:
    run_in_subprocess(
        SPIN_AND_ADD
        + """
import os
started = threading.Barrier(2)
both = []
def run():
    store = Store(engine)
    def host():
        started.wait(10)  # only passes when both threads are in WebAssembly
        both.append(1)
    Func(store, FuncType([], []), host)(store)
threads = [threading.Thread(target=run) for _ in range(2)]
for t in threads: t.start()
for t in threads: t.join()
assert both == [1, 1]
# And without the GIL: Python goes on while a guest spins.
store = Store(engine)
spin = Instance(store, module, []).exports(store)["spin"]
t = threading.Thread(target=spin, args=(store, 2**31))
t.start()
time.sleep(0.05)
assert t.is_alive()
os._exit(0)
"""
    ).check()


def test_a_store_can_move_between_threads() -> None:
    run_in_subprocess(
        SPIN_AND_ADD
        + """
store = Store(engine)
add = Instance(store, module, []).exports(store)["add"]
results = []
for n in range(50):
    t = threading.Thread(target=lambda: results.append(add(store, n, 1)))
    t.start(); t.join()
assert results == list(range(1, 51))
t = threading.Thread(target=store.close)
t.start(); t.join()
"""
    ).check()


def test_a_caller_belongs_to_its_thread() -> None:
    run_in_subprocess(
        SPIN_AND_ADD
        + """
store = Store(engine)
errors = []
def host(caller):
    def other():
        for use in (lambda: caller.get("m"), lambda: Func(caller, FuncType([], []), print)):
            try: use()
            except (ValueError, WasmtimeError) as error: errors.append(str(error))
    t = threading.Thread(target=other)
    t.start(); t.join()
Func(store, FuncType([], []), host, access_caller=True)(store)
assert len(errors) == 2, errors
"""
    ).check()


@pytest.mark.parametrize("kib", [32, 64, 128, 256, 512, 1024])
def test_small_stacks(kib: int) -> None:
    """
    Everything works in a thread with a small stack, or says that the stack is too small.
    """
    skip_without_threads_of(kib)
    run_in_subprocess(
        f"STACK = {kib * 1024}"
        + SPIN_AND_ADD
        + """
store = Store(engine)
instance = Instance(store, module, [])
e = instance.exports(store)
deep = Instance(store, Module(engine, '(func $f (export "f") (call $f))'), []).exports(store)["f"]
artifact = module.serialize()
nested = "(module (func (result i32) " + "(i32.add (i32.const 1) " * 200
nested += "(i32.const 0)" + ")" * 202
def host(caller):
    caller.get("x"); raise LookupError
calls = [
    lambda: e["add"](store, 1, 2), lambda: deep(store), lambda: e["m"].read(store, 0, 4),
    lambda: e["m"].write(store, b"x"), lambda: e["m"].grow(store, 0), lambda: e["m"].type(store),
    lambda: e["t"].set(store, 0, "x"), lambda: e["t"].get(store, 0), lambda: store.gc(),
    lambda: Instance(store, module, []), lambda: Engine(), lambda: Store(engine),
    lambda: Module(engine, "(module)"), lambda: Module(engine, nested), lambda: wat2wasm(nested),
    lambda: module.serialize(), lambda: Module.deserialize(engine, artifact),
    lambda: module.exports, lambda: Linker(engine).define_wasi(),
    lambda: store.set_wasi(WasiConfig()),
    lambda: Module(engine, "(" * 100000), lambda: Func(store, FuncType([], []), host, True)(store),
    lambda: Linker(engine).instantiate(store, module), lambda: wat2wasm("(module (func (call 9)))"),
    lambda: Module(engine, b"\\0asm\\1\\0\\0\\0rubbish"),
]
outcomes = []
for call in calls:
    def run():
        try: outcomes.append(call())
        except (WasmtimeError, Trap, LookupError) as error: outcomes.append(str(error))
    threading.stack_size(STACK)
    t = threading.Thread(target=run)
    t.start(); t.join()
assert len(outcomes) == len(calls)
assert "stack" in outcomes[0], outcomes[0]  # says what is the matter
"""
    ).check()


def test_a_small_limit_fits_a_small_stack() -> None:
    run_in_subprocess(
        """
config = Config()
config.max_wasm_stack = 64 * 1024
engine = Engine(config)
store = Store(engine)
exports = Instance(store, Module(engine, '''
    (func (export "one") (result i32) (i32.const 1))
    (func $f (export "deep") (call $f))'''), []).exports(store)
outcomes = []
def run():
    outcomes.append(exports["one"](store))
    try: exports["deep"](store)
    except Trap as trap: outcomes.append(trap.trap_code)
threading.stack_size(512 * 1024)
t = threading.Thread(target=run)
t.start(); t.join()
assert outcomes == [1, TrapCode.STACK_OVERFLOW], outcomes
"""
    ).check()


#: What musl says of the stack of the process's first thread: as much as is mapped so far.
MAPPED_SO_FAR = """
    #define _GNU_SOURCE
    #include <dlfcn.h>
    #include <errno.h>
    #include <pthread.h>
    #include <stdint.h>
    #include <sys/auxv.h>
    #include <sys/mman.h>
    #include <sys/syscall.h>
    #include <unistd.h>

    int pthread_getattr_np(pthread_t thread, pthread_attr_t *attributes)
    {
        if (syscall(SYS_gettid) != getpid()) {
            int (*next)(pthread_t, pthread_attr_t *) = dlsym(RTLD_NEXT, "pthread_getattr_np");
            return next(thread, attributes);
        }
        char *top = (char *)(((uintptr_t)getauxval(AT_RANDOM) + 4095) & ~(uintptr_t)4095);
        size_t size = 4096;
        /* A page that is mapped cannot be moved to where there is no room for two. */
        while (mremap(top - size - 4096, 4096, 8192, 0) == MAP_FAILED && errno == ENOMEM) {
            size += 4096;
        }
        pthread_attr_init(attributes);
        return pthread_attr_setstack(attributes, top - size, size);
    }
"""


@pytest.mark.skipif(sys.platform != "linux", reason="musl is a C library of Linux")
@pytest.mark.parametrize("limit", ["512 << 10", "2 << 20", "resource.RLIM_INFINITY"])
def test_the_main_thread_where_the_c_library_knows_only_what_is_mapped(
    tmp_path: Path, limit: str
) -> None:
    """
    It may use its stack up to the system's limit, and no further.
    """
    library = compile_c(MAPPED_SO_FAR, tmp_path / "mapped.so", "-shared", "-fPIC", "-ldl")
    ended = run_in_subprocess(
        f"""
import resource
most = resource.getrlimit(resource.RLIMIT_STACK)[1]
try: resource.setrlimit(resource.RLIMIT_STACK, ({limit}, most))
except ValueError: sys.exit(99)
config = Config()
config.max_wasm_stack = 400 << 10
store = Store(Engine(config))
module = Module(store.engine, '(func $f (export "f") (call $f))')
try: Instance(store, module, []).exports(store)["f"](store)
except Trap as trap: print(trap.trap_code.name)
except WasmtimeError as error: print(error)
""",
        env={"LD_PRELOAD": f"{os.environ.get('LD_PRELOAD', '')} {library}".strip()},
    )
    if ended.status == 99:
        pytest.skip("this system's hard limit is lower")
    ended.check()
    wanted = "bytes of native stack left" if limit == "512 << 10" else "STACK_OVERFLOW"
    assert wanted in ended.output


RECURSION = """
engine = Engine()
store = Store(engine)
def host(n):
    return 0 if n == 0 else run(store, n - 1) + 1
module = Module(engine, '''
    (import "" "" (func $host (param i32) (result i32)))
    (func (export "run") (param i32) (result i32) (call $host (local.get 0)))''')
func = Func(store, FuncType([ValType.I32], [ValType.I32]), host)
run = Instance(store, module, [func]).exports(store)["run"]
"""


def test_recursion_between_host_and_guest_up_to_pythons_limit() -> None:
    run_in_subprocess(
        RECURSION
        + """
limit = sys.getrecursionlimit()
if sys.version_info[:2] == (3, 12):
    limit = 750  # that version has a limit of its own for calls through C, of 800 at least
assert run(store, limit - 50) == limit - 50
for _ in range(3):
    try:
        run(store, sys.getrecursionlimit() + 50)
    except RecursionError:
        pass
    else:
        raise AssertionError
assert run(store, 10) == 10
"""
    ).check()


def test_recursion_without_a_limit_of_python_ends_too() -> None:
    run_in_subprocess(
        RECURSION
        + """
sys.setrecursionlimit(10**6)
for _ in range(3):
    try:
        run(store, 10**6 - 1)
    except (RecursionError, WasmtimeError) as error:
        pass
    except Trap as trap:
        assert trap.trap_code is TrapCode.STACK_OVERFLOW
    else:
        raise AssertionError
assert run(store, 10) == 10
"""
    ).check()


def test_recursion_through_many_stores() -> None:
    run_in_subprocess(
        """
engine = Engine()
linker = Linker(engine)
module = Module(engine, '''
    (import "" "" (func $host (param i32) (result i32)))
    (func (export "run") (param i32) (result i32) (call $host (local.get 0)))''')
def run(n):
    store = Store(engine)
    return linker.instantiate(store, module).exports(store)["run"](store, n)
linker.define_func("", "", FuncType([ValType.I32], [ValType.I32]),
                   lambda n: 0 if n == 0 else run(n - 1) + 1)
assert run(100) == 100
sys.setrecursionlimit(10**6)
try:
    run(10**6)
except (RecursionError, WasmtimeError):
    pass
assert run(10) == 10
"""
    ).check()


def test_python_recursing_below_a_guest_that_used_its_stack_up() -> None:
    run_in_subprocess(
        """
engine = Engine()
store = Store(engine)
deepest = [0]
def nest(n):
    return list(map(nest, [n - 1])) if n else 0
def host(n):
    deepest[0] = n
    if n % 1000 == 0:
        try: nest(10**6)
        except RecursionError: pass
module = Module(engine, '''
    (import "" "" (func $host (param i32)))
    (func $f (export "f") (param i32) (call $host (local.get 0))
        (call $f (i32.add (local.get 0) (i32.const 1))))''')
func = Func(store, FuncType([ValType.I32], []), host)
f = Instance(store, module, [func]).exports(store)["f"]
try: f(store, 0)
except Trap as trap: assert trap.trap_code is TrapCode.STACK_OVERFLOW
assert deepest[0] > 10000
"""
    ).check()


def test_many_threads_compile_and_run() -> None:
    run_in_subprocess(
        """
engine = Engine()
results = []
def run(n):
    for k in range(5):
        store = Store(engine)
        text = f'(func (export "f") (result i32) (i32.const {n * 10 + k}))'
        results.append(Instance(store, Module(engine, text), []).exports(store)["f"](store))
threads = [threading.Thread(target=run, args=(n,)) for n in range(16)]
for t in threads: t.start()
for t in threads: t.join()
assert sorted(results) == sorted(n * 10 + k for n in range(16) for k in range(5))
"""
    ).check()
