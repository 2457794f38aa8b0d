"""
Forked children, and processes of multiprocessing, use what their parent compiled.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from support import IN_CHILD, SPIN, compile_c, run_in_subprocess

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks of POSIX")

FORK = (
    IN_CHILD
    + """
engine = Engine()
"""
)


def test_a_forked_child_runs_what_the_parent_compiled() -> None:
    run_in_subprocess(
        FORK
        + """
module = Module(engine, '''
    (import "" "" (func $h)) (memory (export "m") 1)
    (func (export "f") (result i32) (call $h) (i32.load (i32.const 0)))
    (func (export "trap") unreachable)''')
store = Store(engine)
instance = Instance(store, module, [Func(store, FuncType([], []), lambda: None)])
e = instance.exports(store)
e["m"].write(store, b"\\x07")
def child():
    assert e["f"](store) == 7
    e["m"].write(store, b"\\x08")
    assert e["f"](store) == 8
    try: e["trap"](store)
    except Trap: pass
    fresh = Store(engine)
    Instance(fresh, module, [Func(fresh, FuncType([], []), lambda: None)])
    store.close()
assert in_child(child) == 0
assert e["f"](store) == 7
"""
    ).check()


def test_a_child_compiles_if_its_parent_has_not() -> None:
    run_in_subprocess(
        FORK
        + """
def child():
    Module(engine, "(module (func))")
assert in_child(child) == 0
Module(engine, "(module (func))")
"""
    ).check()


def test_ctrl_c_in_a_forked_child() -> None:
    run_in_subprocess(
        SPIN
        + FORK
        + """
spin = spinner(engine)
interrupt_after(0.05)
try: spin()
except KeyboardInterrupt: pass
def child():
    sent = interrupt_after(0.1)
    try: spin()
    except KeyboardInterrupt: assert time.monotonic() - sent[0] < 5
    else: raise AssertionError
for _ in range(3): assert in_child(child) == 0
"""
    ).check()


#: From the start of a child's fork handlers on, until those that were registered later, there is no
#: memory.
FAILING_MALLOC = """
    #include <pthread.h>
    #include <stddef.h>

    extern void *__libc_malloc(size_t);
    static int failing;

    void *malloc(size_t size) { return failing ? NULL : __libc_malloc(size); }

    static void fail(void) { failing++; }
    static void work(void) { failing = 0; }
    static void __attribute__((constructor)) begin(void) { pthread_atfork(NULL, NULL, fail); }
    void end(void) { pthread_atfork(NULL, NULL, work); }
"""


@pytest.mark.skipif(
    not hasattr(os, "confstr") or "CS_GNU_LIBC_VERSION" not in os.confstr_names,
    reason="replaces malloc as glibc lets one do",
)
def test_a_forked_child_without_memory_for_a_ticker(tmp_path: Path) -> None:
    library = compile_c(FAILING_MALLOC, tmp_path / "malloc.so", "-shared", "-fPIC")
    run_in_subprocess(
        FORK
        + f"""
import ctypes
ctypes.CDLL({str(library)!r}).end()
"""
        + """
store = Store(engine)
e = Instance(store, Module(engine, '(func (export "f")) (func (export "t") unreachable)'), [])
e = e.exports(store)
def child():
    global engine, store, e
    e["f"](store)
    try: e["t"](store)
    except Trap: pass
    store.close(); engine.close()
    del engine, store, e
    gc.collect()
assert in_child(child) == 0
e["f"](store)
""",
        env={"LD_PRELOAD": f"{os.environ.get('LD_PRELOAD', '')} {library}".strip()},
    ).check()


def test_a_fork_inside_a_host_function() -> None:
    run_in_subprocess(
        FORK
        + """
store = Store(engine)
def host():
    def child():
        Func(store, FuncType([], []), lambda: None)(store)
    return in_child(child)
f = Func(store, FuncType([], [ValType.I32]), host)
assert f(store) == 0
assert f(store) == 0
"""
    ).check()


def test_a_fork_while_another_thread_is_in_wasm() -> None:
    run_in_subprocess(
        SPIN
        + FORK
        + """
spin_module = Module(engine, '(func (export "spin") (loop (br 0)))')
one_module = Module(engine, '(func (export "one") (result i32) (i32.const 1))')
busy = Store(engine)
spin = Instance(busy, spin_module, []).exports(busy)["spin"]
threading.Thread(target=lambda: spin(busy), daemon=True).start()
time.sleep(0.05)
def child():
    store = Store(engine)
    assert Instance(store, one_module, []).exports(store)["one"](store) == 1
    for use in (lambda: spin(busy), busy.close):
        try: use()
        except WasmtimeError as error: assert "another thread" in str(error)
        else: raise AssertionError
assert in_child(child) == 0
os._exit(0)
"""
    ).check()


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_multiprocessing(method: str) -> None:
    run_in_subprocess(
        """
import multiprocessing
def work(n):
    engine = Engine()
    store = Store(engine)
    if os.environ.get("ARTIFACT"):
        module = Module.deserialize_file(engine, os.environ["ARTIFACT"])
    else:
        module = Module(engine, TEXT)
    return Instance(store, module, []).exports(store)["f"](store, n)
TEXT = '(func (export "f") (param i32) (result i32) (i32.mul (local.get 0) (local.get 0)))'
if __name__ == "__main__":
    with open("artifact", "wb") as file: file.write(Module(Engine(), TEXT).serialize())
    os.environ["ARTIFACT"] = os.path.abspath("artifact")
    context = multiprocessing.get_context("METHOD")
    with context.Pool(2) as pool:
        assert pool.map(work, range(10)) == [n * n for n in range(10)]
""".replace("METHOD", method)
    ).check()


def test_exceptions_travel_between_processes() -> None:
    run_in_subprocess(
        """
import concurrent.futures, multiprocessing
def work(kind):
    if kind == "exit": raise ExitTrap(7)
    store = Store()
    Instance(store, Module(store.engine, "(func unreachable) (start 0)"), [])
if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        error = pool.submit(work, "trap").exception()
        assert isinstance(error, Trap) and error.trap_code is TrapCode.UNREACHABLE
        assert len(error.frames) == 1
        error = pool.submit(work, "exit").exception()
        assert isinstance(error, ExitTrap) and error.code == 7
"""
    ).check()
