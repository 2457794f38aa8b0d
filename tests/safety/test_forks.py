"""
Forks: the child of a process that has compiled and run WASI guests lacks the library's threads, and
compiles and runs guests all the same. Nothing that it does waits for ever.
"""

from __future__ import annotations

import os

import pytest
from support import IN_CHILD, run_in_subprocess

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks of POSIX")

CHILDREN = (
    IN_CHILD
    + """
import multiprocessing, tempfile
"""
)

GUEST = (
    CHILDREN
    + r"""
TEXT = '''(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff"
    (func $poll (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\\10\\00\\00\\00\\01\\00\\00\\00") (data (i32.const 16) "x")
  (data (i32.const 20) "file")
  (data (i32.const 80) "\\01") (data (i32.const 88) "\\00\\e1\\f5\\05") ;; the clock, 0.1 s
  (func (export "write") (param i32) (result i32)
    (call $write (local.get 0) (i32.const 0) (i32.const 1) (i32.const 32)))
  (func (export "read") (result i32)
    (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 32)))
    (i32.load8_u (i32.const 16)))
  (func (export "sleep") (result i32)
    (call $poll (i32.const 64) (i32.const 256) (i32.const 1) (i32.const 32)))
  (func (export "file") (result i32)
    (drop (call $open (i32.const 3) (i32.const 0) (i32.const 20) (i32.const 4) (i32.const 9)
      (i64.const 66) (i64.const 66) (i32.const 0) (i32.const 40)))
    (call $write (i32.load (i32.const 40)) (i32.const 0) (i32.const 1) (i32.const 32))))'''
engine = Engine()
module = Module(engine, TEXT)
linker = Linker(engine)
linker.define_wasi()

def guest(wasi, linker=linker):
    store = Store(engine)
    store.set_wasi(wasi)
    exports = linker.instantiate(store, module).exports(store)
    return lambda name, *args: exports[name](store, *args)

def captured(text=b"x"):
    wasi = WasiConfig()
    output = wasi.capture_stdout()
    assert guest(wasi)("write", 1) == 0
    assert output.getvalue() == output.read() == text and output.total == 1

captured()
"""
)


def test_a_child_compiles_with_engines_of_every_kind() -> None:
    """
    With a new engine, and with one of its parent's.
    """
    run_in_subprocess(
        CHILDREN
        + """
import copy
from wasmtime.component import Component
TEXT = '(func (export "f") (param i32) (result i32) (local.get 0))'
settings = [
    {}, {"consume_fuel": True}, {"debug_info": True}, {"cranelift_opt_level": "none"},
    {"memory_reservation": 1 << 20}, {"signals_based_traps": False},
    {"allocation_strategy": PoolingAllocationConfig()}, {"concurrency_support": False},
    {"target": "pulley64", "wasm_threads": False}, {"parallel_compilation": False},
]
engines = []
for kinds in settings:
    config = Config()
    for name, value in kinds.items():
        setattr(config, name, value)
    engines.append(Engine(config))
Module(engines[0], TEXT)
def child(engine):
    for used in (engine, Engine(copy.copy(engine._config))):
        store = Store(used)
        if used._config.consume_fuel: store.set_fuel(100)
        module = Module(used, TEXT)
        assert Instance(store, module, []).exports(store)["f"](store, 3) == 3
        Module.validate(used, "(func)(func)(func)")
        Component(used, "(component)")
        try: Module(used, "(func (drop))")
        except WasmtimeError: pass
        else: raise AssertionError
for number, engine in enumerate(engines):
    assert in_child(lambda: child(engine)) == 0, settings[number]
def grandchild():
    assert in_child(lambda: child(engines[0])) == 0
assert in_child(grandchild) == 0
"""
    ).check()


@pytest.mark.parametrize("way", ["os.fork", "multiprocessing", "pool", "executor"])
def test_a_child_compiles_and_captures_output(way: str) -> None:
    run_in_subprocess(
        GUEST
        + """
import concurrent.futures
context = multiprocessing.get_context("fork")
def work(number=0):
    captured()
    store = Store(engine)
    fresh = Module(engine, f'(func (export "f") (result i32) (i32.const {number}))')
    return Instance(store, fresh, []).exports(store)["f"](store)
WAY = "THE WAY"
if WAY == "os.fork":
    assert in_child(work) == 0
elif WAY == "multiprocessing":
    process = context.Process(target=work)
    process.start()
    process.join(20)
    assert process.exitcode == 0
elif WAY == "pool":
    with context.Pool(2) as pool:
        assert pool.map_async(work, range(10)).get(20) == list(range(10))
else:
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        assert list(pool.map(work, range(10), timeout=20)) == list(range(10))
captured()
""".replace("THE WAY", way)
    ).check()


def test_every_stream_of_a_guest_works_in_a_child() -> None:
    run_in_subprocess(
        GUEST
        + """
def child():
    got = []
    wasi = WasiConfig()
    wasi.stdout_custom = got.append
    guest(wasi)("write", 1)
    assert got == [b"x"]

    wasi = WasiConfig()
    both = wasi.capture_output()
    run = guest(wasi)
    for n in range(1000): assert run("write", 1 + n % 2) == 0
    assert both.getvalue() == b"x" * 1000

    wasi = WasiConfig()
    limited = wasi.capture_stdout(limit=3)
    run = guest(wasi)
    while run("write", 1) == 0: pass  # a write fails soon
    assert limited.getvalue() == b"xxx" and limited.truncated

    with open("out", "wb"), open("in", "wb") as file: file.write(b"hello")
    wasi = WasiConfig()
    wasi.stdin_file = "in"
    assert guest(wasi)("read") == ord("h")
    wasi = WasiConfig()
    wasi.stdout_file = "out"
    guest(wasi)("write", 1)
    assert open("out", "rb").read() == b"x"
assert in_child(child) == 0
"""
    ).check()


def test_what_a_child_collects_leaves_no_descriptor_and_no_thread() -> None:
    run_in_subprocess(
        GUEST
        + """
def child():
    def count():
        gc.collect()
        return len(os.listdir("/dev/fd"))
    captured()
    before = count()
    for _ in range(50): captured()
    deadline = time.monotonic() + 10
    while count() > before:
        assert time.monotonic() < deadline
        time.sleep(0.01)
assert in_child(child) == 0
"""
    ).check()


def test_files_work_in_a_child_however_many_threads_its_parent_had() -> None:
    run_in_subprocess(
        GUEST
        + """
def use_file():
    wasi = WasiConfig()
    wasi.preopen_dir(os.getcwd(), "/")
    assert guest(wasi)("file") == 0
threads = [threading.Thread(target=use_file) for _ in range(20)]
for thread in threads: thread.start()
for thread in threads: thread.join()
for _ in range(3): assert in_child(lambda: (use_file(), use_file())) == 0
"""
    ).check()


def test_a_guest_sleeps_in_a_child() -> None:
    """
    With a linker from before the fork and with a new one; and Ctrl-C ends it there.
    """
    run_in_subprocess(
        GUEST
        + """
def child():
    fresh = Linker(engine)
    fresh.define_wasi()
    for used in (linker, fresh):
        started = time.monotonic()
        assert guest(WasiConfig(), used)("sleep") == 0
        assert time.monotonic() - started >= 0.1
    assert not linker._shadowing
assert in_child(child) == 0
"""
    ).check()


def test_stores_from_before_the_fork_work() -> None:
    run_in_subprocess(
        GUEST
        + """
wasi = WasiConfig()
wasi.preopen_dir(os.getcwd(), "/")
files = guest(wasi)
files("file")
capture = WasiConfig()
output = capture.capture_stdout()
store = Store(engine)
store.set_wasi(capture)
exports = linker.instantiate(store, module).exports(store)
exports["write"](store, 1)
def child():
    assert files("file") == 0
    for _ in range(2): assert exports["write"](store, 1) == 0
    assert exports["sleep"](store) == 0
    assert output.getvalue() == b"xxx"
    store.close()
for _ in range(2): assert in_child(child) == 0
assert exports["write"](store, 1) == 0 and output.getvalue() == b"xx"
"""
    ).check()


def test_preview_2_is_refused_in_a_child() -> None:
    run_in_subprocess(
        GUEST
        + """
from wasmtime import component
component_linker = component.Linker(engine)
component_linker.add_wasip2()
program = component.Component(engine, '''(component
  (import "wasi:random/random@0.2.0" (instance (export "get-random-u64" (func (result u64))))))''')
def child():
    store = Store(engine)
    store.set_wasi(WasiConfig())
    try: component_linker.instantiate(store, program)
    except WasmtimeError as error: assert "forkserver" in str(error)
    else: raise AssertionError
assert in_child(child) == 0
"""
    ).check()


#: A thread that runs guests with files until it is told to stop.
BUSY = """
stop = []
def work():
    while not stop:
        wasi = WasiConfig()
        wasi.preopen_dir(os.getcwd(), "/")
        output = wasi.capture_stdout()
        run = guest(wasi)
        run("file"), run("write", 1)
"""


def test_a_first_file_after_the_fork_forwards() -> None:
    """
    The store and its instance are the parent's; what forwards is made in the child.
    """
    run_in_subprocess(
        GUEST
        + """
wasi = WasiConfig()
wasi.preopen_dir(os.getcwd(), "/")
run = guest(wasi)
captured()
def child():
    assert run("file") == 0
    assert open("file", "rb").read() == b"x"
for _ in range(2): assert in_child(child) == 0
assert run("file") == 0
"""
    ).check()


@pytest.mark.parametrize("kind", ["host function", "output", "signal", "component"])
def test_a_guest_goes_on_in_a_child_that_what_it_called_forked(kind: str) -> None:
    """
    Its files work there, too; what cannot is refused, before the guest would wait for ever.
    """
    run_in_subprocess(
        GUEST
        + r"""
from wasmtime import component
KIND = "THE KIND"
forked = []
def fork(*_):
    forked.append(os.fork())
    if forked[-1] == 0:
        signal.alarm(20)
def outcome(run):
    try: done = run()
    except WasmtimeError as error: done = str(error)
    if forked[-1] != 0:
        assert os.waitstatus_to_exitcode(os.waitpid(forked[-1], 0)[1]) == 0
        return done
    os._exit(not ("forkserver" in done if KIND == "component" else done == 0))
wasi = WasiConfig()
wasi.preopen_dir(os.getcwd(), "/")
if KIND == "output":
    wasi.stdout_custom = fork
store = Store(engine)
store.set_wasi(wasi)
if KIND == "component":
    linker = component.Linker(engine)
    linker.add_wasip2()
    with linker.root() as root:
        root.add_func("fork", fork)
    program = component.Component(engine, '''(component
      (import "fork" (func $fork))
      (import "wasi:random/random@0.2.0" (instance $random
        (export "get-random-u64" (func (result u64)))))
      (core func $fork (canon lower (func $fork)))
      (core func $get (canon lower (func $random "get-random-u64")))
      (core module $m (import "" "fork" (func $fork)) (import "" "get" (func $get (result i64)))
        (func (export "run") (result i64) (call $fork) (call $get)))
      (core instance $m (instantiate $m (with "" (instance
        (export "fork" (func $fork)) (export "get" (func $get))))))
      (func (export "run") (result u64) (canon lift (core func $m "run"))))''')
    exports = linker.instantiate(store, program).exports(store)
    assert isinstance(outcome(lambda: exports.run(store)), int)
else:
    files = WasiConfig()
    files.preopen_dir(os.getcwd(), "/")
    guest(files)("file")
    linker.define_func("", "fork", FuncType([], []), fork)
    text = TEXT.replace('(memory', '(import "" "fork" (func $fork)) (memory', 1)
    begin = {
        "host function": "(call $fork)",
        "output": "(drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))",
        "signal": "(loop (br_if 0 (i32.eqz (i32.load8_u (i32.const 4096)))))",
    }[KIND]
    text = text.replace('"file") (result i32)', '"file") (result i32) ' + begin)
    exports = linker.instantiate(store, Module(engine, text)).exports(store)
    if KIND == "signal":
        def handler(*_):
            fork()
            exports["memory"].write(store, b"x", 4096)
        signal.signal(signal.SIGUSR1, handler)
        threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGUSR1]).start()
    assert outcome(lambda: exports["file"](store)) == 0
""".replace("THE KIND", kind)
    ).check()


@pytest.mark.slow
def test_many_children_of_a_busy_parent_end_within_two_seconds() -> None:
    """
    Their streams and sleeps always work. So do their files; or they are refused, where the process
    was forked while a guest of its held a lock of the library: of a thousand children of a parent
    with two guests that do nothing else, that were 26.
    """
    run_in_subprocess(
        GUEST
        + BUSY
        + """
threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads: thread.start()
def child():
    captured()
    assert guest(WasiConfig())("sleep") == 0
    wasi = WasiConfig()
    wasi.preopen_dir(os.getcwd(), "/")
    try: assert guest(wasi)("file") == 0
    except WasmtimeError as error:
        assert "cannot be started anew" in str(error), error
        assert "spawn" in str(error) and "forkserver" in str(error), error
try:
    for _ in range(40):
        started = time.monotonic()
        assert in_child(child) == 0
        assert time.monotonic() - started < 10
finally:
    stop.append(True)
for thread in threads: thread.join()
"""
    ).check()
