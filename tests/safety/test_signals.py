"""
Signals and faulthandler: Python's own machinery goes on working around WebAssembly.
"""

from __future__ import annotations

import sys

import pytest
from support import SPIN, run_in_subprocess

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


def test_ctrl_c_stops_a_spinning_guest() -> None:
    """
    On the main thread, with the default configuration, and soon.
    """
    run_in_subprocess(
        SPIN
        + """
spin = spinner()
for _ in range(3):
    sent = interrupt_after(0.1)
    try: spin()
    except KeyboardInterrupt:
        took = time.monotonic() - sent[0]
    assert took < 5, took
"""
    ).check()


def test_ctrl_c_stops_a_guest_that_calls_functions() -> None:
    run_in_subprocess(
        SPIN
        + """
spin = spinner(None, '(func $f) (func (export "spin") (loop (call $f) (br 0)))')
sent = interrupt_after(0.1)
try: spin()
except KeyboardInterrupt as error: assert error.wasm_backtrace
else: raise AssertionError
assert time.monotonic() - sent[0] < 5
"""
    ).check()


def test_ctrl_c_stops_a_start_function_and_a_linker() -> None:
    run_in_subprocess(
        SPIN
        + """
engine = Engine()
module = Module(engine, '(func $s (loop (br 0))) (start $s)')
reactor = Module(engine, '(func (export "_initialize") (loop (br 0)))')
store = Store(engine)
for run in (lambda: Instance(store, module, []),
            lambda: Linker(engine).instantiate(store, module),
            lambda: Linker(engine).define_module(store, "m", reactor)):
    sent = interrupt_after(0.1)
    try: run()
    except KeyboardInterrupt: assert time.monotonic() - sent[0] < 5
    else: raise AssertionError
"""
    ).check()


def test_ctrl_c_without_a_handler_of_python_ends_the_process() -> None:
    ended = run_in_subprocess(
        SPIN
        + """
spin = spinner()
interrupt_after(0.1)
spin()
"""
    )
    assert ended.signal == "SIGINT" or ended.status == 130
    assert "KeyboardInterrupt" in ended.errors


def test_other_handlers_run_and_the_guest_goes_on() -> None:
    run_in_subprocess(
        SPIN
        + """
seen = []
signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(time.monotonic()))
spin = spinner(None, '''
    (func (export "spin") (param i64) (result i64)
        (loop (local.set 0 (i64.sub (local.get 0) (i64.const 1)))
              (br_if 0 (i64.gt_s (local.get 0) (i64.const 0))))
        (i64.const 7))''')
signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
ticks = []
signal.signal(signal.SIGALRM, lambda number, frame: ticks.append(1))
sent = interrupt_after(0.1, signal.SIGUSR1)
assert spin(500_000_000) == 7
signal.setitimer(signal.ITIMER_REAL, 0)
assert len(seen) == 1 and seen[0] - sent[0] < 0.2
"""
    ).check()


def test_a_handler_may_raise_and_call_wasm() -> None:
    run_in_subprocess(
        SPIN
        + """
class Mine(Exception): pass
one = spinner(None, '(func (export "spin") (result i32) (i32.const 1))')
def handler(number, frame):
    assert one() == 1
    raise Mine
signal.signal(signal.SIGUSR1, handler)
spin = spinner()
for _ in range(3):
    interrupt_after(0.05, signal.SIGUSR1)
    try: spin()
    except Mine: pass
    else: raise AssertionError
assert one() == 1
"""
    ).check()


def test_a_handler_may_use_the_store_that_is_running() -> None:
    run_in_subprocess(
        """
engine = Engine()
store = Store(engine)
e = Instance(store, Module(engine, '''
    (global $stop (export "stop") (mut i32) (i32.const 0)) (memory (export "m") 1)
    (func (export "spin") (loop (br_if 0 (i32.eqz (global.get $stop)))))'''), []).exports(store)
def handler(number, frame):
    e["m"].write(store, b"x")
    try: store.close()
    except WasmtimeError: pass
    e["stop"].set_value(store, 1)
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.1)
e["spin"](store)
assert e["m"].read(store, 0, 1) == b"x"
"""
    ).check()


@pytest.mark.parametrize(
    "work",
    [
        "one(store)",
        "one.bind(store)()",
        "Instance(store, starting, [])",
        "Linker(engine).instantiate(store, starting)",
        "Func(store, FuncType([], [ValType.I32]), lambda: one(store))(store)",
        "one(store); time.sleep(0.1); one(store)",
    ],
)
@pytest.mark.slow
def test_a_handler_may_call_the_store_that_is_running(work: str) -> None:
    """
    The deadline that let the handler run is not one for what the handler calls.
    """
    run_in_subprocess(
        f"WORK = {work!r}"
        + """
engine = Engine()
store = Store(engine)
starting = Module(engine, "(func $s (loop)) (start $s)")
e = Instance(store, Module(engine, '''
    (global $stop (export "stop") (mut i32) (i32.const 0))
    (func (export "one") (result i32) (loop) (i32.const 1))
    (func (export "spin") (loop (br_if 0 (i32.eqz (global.get $stop)))))'''), []).exports(store)
one = e["one"]
seen = []
def handler(number, frame):
    exec(WORK)
    seen.append(number)
    e["stop"].set_value(store, 1)
signal.signal(signal.SIGALRM, handler)
for n in range(3):
    e["stop"].set_value(store, 0)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    e["spin"](store)
assert seen == [signal.SIGALRM] * 3
"""
    ).check()


def test_ctrl_c_stops_what_a_handler_calls() -> None:
    run_in_subprocess(
        SPIN
        + """
spin = spinner()
def handler(number, frame):
    global sent
    sent = interrupt_after(0.1)
    spin()
signal.signal(signal.SIGUSR1, handler)
interrupt_after(0.05, signal.SIGUSR1)
try: spin()
except KeyboardInterrupt: assert time.monotonic() - sent[0] < 5
else: raise AssertionError
"""
    ).check()


def test_a_handler_may_take_the_deadline_callback_away() -> None:
    """
    The handler runs in the same tick in which the callback would have been asked.
    """
    run_in_subprocess(
        """
engine = Engine()
store = Store(engine)
f = Instance(store, Module(engine, '(func (export "f") (loop (br 0)))'), []).exports(store)["f"]
def tick():
    while True:
        engine.increment_epoch()
        time.sleep(0.001)
threading.Thread(target=tick, daemon=True).start()
store.set_epoch_deadline_callback(lambda: 1)  # due again at every tick
store.set_epoch_deadline(1)
def handler(number, frame):
    store.set_epoch_deadline_callback(None)
    store.set_epoch_deadline(0)
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.05)
try: f(store)
except Trap as trap: assert trap.trap_code is TrapCode.INTERRUPT
else: raise AssertionError
"""
    ).check()


@pytest.mark.parametrize(
    "host",
    [
        "inner",
        "lambda: inner()",
        "Instance(other, module, []).exports(other)['f'].bind(other, release_gil=False)",
        "Instance(elsewhere, elsewhere_module, []).exports(elsewhere)['f'].bind(elsewhere)",
        "type(None)",
    ],
)
def test_ctrl_c_stops_a_guest_that_calls_wasm_through_the_host(host: str) -> None:
    """
    Each nested call is short, and in some of these no bytecode of Python ever runs.
    """
    run_in_subprocess(
        SPIN
        + """
engine = Engine()
module = Module(engine, '(func (export "f"))')
store, other = Store(engine), Store(engine)
inner = Instance(store, module, []).exports(store)["f"].bind(store)
elsewhere = Store(Engine())
elsewhere_module = Module(elsewhere.engine, '(func (export "f"))')
host = HOST
spin = Instance(store, Module(engine, '''
    (import "" "" (func $h)) (func (export "spin") (loop (call $h) (br 0)))'''),
    [Func(store, FuncType([], []), host)]).exports(store)["spin"]
sent = interrupt_after(0.1)
threading.Timer(10, os._exit, [3]).start()
try: spin(store)
except KeyboardInterrupt: assert time.monotonic() - sent[0] < 5
else: raise AssertionError
os._exit(0)
""".replace("HOST", host)
    ).check()


def test_ctrl_c_in_a_nested_call_comes_out_once() -> None:
    run_in_subprocess(
        SPIN
        + """
engine = Engine()
inner = spinner(engine)
caught = []
def host():
    try: inner()
    except KeyboardInterrupt as error: caught.append(error)
store = Store(engine)
interrupt_after(0.1)
Func(store, FuncType([], []), host)(store)
assert len(caught) == 1
time.sleep(0.1)
"""
    ).check()


def test_ctrl_c_while_threads_run_guests_of_the_same_engine() -> None:
    run_in_subprocess(
        SPIN
        + """
engine = Engine()
results = []
def run():
    results.append(spinner(engine, '''(func (export "spin") (param i64) (result i32)
        (loop (local.set 0 (i64.sub (local.get 0) (i64.const 1)))
              (br_if 0 (i64.gt_s (local.get 0) (i64.const 0)))) (i32.const 1))''')(300_000_000))
threads = [threading.Thread(target=run) for _ in range(2)]
for t in threads: t.start()
sent = interrupt_after(0.1)
try: spinner(engine)()
except KeyboardInterrupt: pass
for t in threads: t.join()
assert results == [1, 1], results  # the epoch that moved was not theirs
"""
    ).check()


def test_ctrl_c_is_soon_even_with_a_deadline_far_away() -> None:
    run_in_subprocess(
        SPIN
        + """
config = Config()
config.epoch_interruption = True
engine = Engine(config)
store = Store(engine)
f = Instance(store, Module(engine, '(func (export "f") (loop (br 0)))'), []).exports(store)["f"]
store.set_epoch_deadline(10**9)
sent = interrupt_after(0.1)
try: f(store)
except KeyboardInterrupt: assert time.monotonic() - sent[0] < 5
else: raise AssertionError
"""
    ).check()


def test_a_call_that_ends_by_itself_keeps_the_signal_for_python() -> None:
    run_in_subprocess(
        SPIN
        + """
seen = []
signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(1))
store = Store()
def host(): os.kill(os.getpid(), signal.SIGUSR1)
Func(store, FuncType([], []), host)(store)
assert seen == [1]
"""
    ).check()


@pytest.mark.parametrize("when", ["before", "after", "both", "never"])
def test_faulthandler(when: str) -> None:
    """
    Traps are made with signal handlers, which faulthandler must not be asked about.
    """
    run_in_subprocess(
        f"WHEN = {when!r}"
        + """
if WHEN in ("before", "both"): faulthandler.enable()
engine = Engine()
store = Store(engine)
f = Instance(store, Module(engine, '''
    (memory 1)
    (func (export "div") (result i32) (i32.div_s (i32.const 1) (i32.const 0)))
    (func (export "oob") (result i32) (i32.load (i32.const 65536)))
    (func (export "unreachable") (result i32) unreachable)
    (func $deep (export "deep") (result i32) (call $deep))'''), []).exports(store)
if WHEN in ("after", "both"): faulthandler.enable()
for _ in range(3):
    for name in ("div", "oob", "unreachable", "deep"):
        try: f[name](store)
        except Trap as trap: assert trap.trap_code
        else: raise AssertionError
"""
    ).check()


@pytest.mark.parametrize("when", ["before", "after", "again"])
def test_faulthandler_still_reports_real_faults(when: str) -> None:
    ended = run_in_subprocess(
        f"WHEN = {when!r}"
        + """
if WHEN != "after": faulthandler.enable()
store = Store()
if WHEN != "before": faulthandler.enable()
if WHEN == "again":
    faulthandler.disable(); faulthandler.enable()
try: Instance(store, Module(store.engine, "(func unreachable) (start 0)"), [])
except Trap: pass
import ctypes
ctypes.string_at(0)
"""
    )
    assert ended.signal == "SIGSEGV"
    assert ended.errors.count("Fatal Python error: Segmentation fault") == 1


def test_a_real_fault_without_faulthandler_ends_the_process() -> None:
    ended = run_in_subprocess("import ctypes; Engine(); ctypes.string_at(0)")
    assert ended.signal == "SIGSEGV"
    assert ended.errors == ""


@pytest.mark.parametrize(
    "options", [("-X", "dev"), ("-W", "error"), ("-bb",), ("-O",), ("-E", "-s")]
)
@pytest.mark.slow
def test_modes_of_the_interpreter(options: tuple[str, ...]) -> None:
    ended = run_in_subprocess(
        SPIN
        + """
store = Store(Engine(), object())
def host(caller, x): return caller.data() and x
f = Func(store, FuncType([ValType.EXTERNREF], [ValType.EXTERNREF]), host, access_caller=True)
assert f(store, "x") == "x"
m = Memory(store, MemoryType(Limits(1)))
m.write(store, b"abc"); m.read(store, 0, 3); m.get_buffer_ptr(store)
try: Module(store.engine, b"rubbish")
except WasmtimeError as error: str(error)
spin = spinner()
interrupt_after(0.1)
try: spin()
except KeyboardInterrupt: pass
Linker(store.engine).define_wasi(store, WasiConfig())
store.close()
""",
        *options,
    ).check()
    assert "Warning" not in ended.errors, ended.errors


def test_development_mode_by_environment() -> None:
    run_in_subprocess(
        """
engine = Engine()
store = Store(engine)
f = Instance(store, Module(engine, '(func (export "f") unreachable)'), []).exports(store)["f"]
for _ in range(10):
    try: f(store)
    except Trap: pass
""",
        env={"PYTHONDEVMODE": "1", "PYTHONMALLOC": "debug"},
    ).check()


def test_ctrl_c_ends_the_growth_of_a_table() -> None:
    run_in_subprocess(
        SPIN
        + """
store = Store()
table = Table(store, TableType(ValType.EXTERNREF, Limits(0)), None)
ran = []
def other():
    while not ran: pass
    ran.append(True)
threading.Thread(target=other).start()
sent = interrupt_after(0.2)
try: table.grow(store, 2**31, "x")
except KeyboardInterrupt: took = time.monotonic() - sent[0]
assert took < 5, took
ran.append(True)
size = table.size(store)
assert 0 < size < 2**31 and table.get(store, size - 1) == "x"
"""
    ).check()


@pytest.mark.parametrize("stream", ["stdin", "stdout", "stderr"])
def test_ctrl_c_ends_the_wait_for_the_other_end_of_a_pipe(stream: str) -> None:
    run_in_subprocess(
        SPIN
        + """
os.mkfifo("pipe")
wasi = WasiConfig()
setattr(wasi, "STREAM_file", "pipe")
store = Store()
sent = interrupt_after(0.2)
try: store.set_wasi(wasi)
except KeyboardInterrupt: took = time.monotonic() - sent[0]
assert took < 5, took
flags = os.O_WRONLY if "STREAM" == "stdin" else os.O_RDONLY
def other_end(): os.close(os.open("pipe", flags))
thread = threading.Thread(target=other_end)
thread.start()
store.set_wasi(wasi)
thread.join()
def opened():
    for descriptor in range(256):
        try: yield os.path.samestat(os.fstat(descriptor), os.stat("pipe"))
        except OSError: pass
# What waited for the first store closed its own; the second one's stays open.
left = 1
end = time.monotonic() + 20
while sum(opened()) != left: assert time.monotonic() < end, sum(opened())
""".replace("STREAM", stream)
    ).check()
