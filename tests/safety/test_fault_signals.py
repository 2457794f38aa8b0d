"""
Traps are made with signals. Whatever a program does with those, traps stay traps, and the rest of
what it asked for still happens.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from support import compile_c, run_in_subprocess

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

#: Every kind of trap: SIGFPE, SIGSEGV, SIGILL, the stack's guard, and a null function.
TRAPS = """
engine = Engine()
def traps():
    store = Store(engine)
    exports = Instance(store, Module(engine, '''
        (memory 1) (type $none (func)) (table 1 funcref)
        (func (export "div") (result i32) (i32.div_s (i32.const 1) (i32.const 0)))
        (func (export "oob") (result i32) (i32.load (i32.const 65536)))
        (func (export "unreachable") (result i32) unreachable)
        (func $deep (export "deep") (result i32) (call $deep))
        (func (export "null") (call_indirect (type $none) (i32.const 0)))'''), []).exports(store)
    for name in ("div", "oob", "unreachable", "deep", "null"):
        try: exports[name](store)
        except Trap as trap: assert trap.trap_code, name
        else: raise AssertionError(name)
"""

FAULTS = "(signal.SIGSEGV, signal.SIGILL, signal.SIGFPE, signal.SIGBUS, signal.SIGTRAP)"
#: What a program may do with the signals of faults, as a statement or several.
WAYS = {
    "blocked": "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())",
    "masked": "signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())",
    "handled": f"[signal.signal(number, lambda *_: None) for number in {FAULTS}]",
    "ignored": f"[signal.signal(number, signal.SIG_IGN) for number in {FAULTS}]",
    "default": f"[signal.signal(number, signal.SIG_DFL) for number in {FAULTS}]",
    "reported": "faulthandler.enable()",
    "no longer reported": "faulthandler.enable(); faulthandler.disable()",
}
#: When it does so, around the first traps.
MOMENTS = {
    "before the package": "",
    "before the engine": "from wasmtime import *; meddle();" + TRAPS,
    "before the first trap": "from wasmtime import *;" + TRAPS + "meddle()",
    "between traps": "from wasmtime import *;" + TRAPS + "traps(); meddle()",
}


def meddling(way: str) -> str:
    return f"import faulthandler, signal, threading\ndef meddle(): {WAYS[way]}\n"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.slow
def test_traps_stay_traps(way: str, moment: str) -> None:
    program = MOMENTS[moment] or "meddle(); from wasmtime import *;" + TRAPS
    run_in_subprocess(
        program + "\nfor _ in range(2): traps()", preamble=meddling(way), timeout=30
    ).check()


@pytest.mark.parametrize("way", ["blocked", "masked"])
def test_traps_stay_traps_in_a_worker_thread_that_blocks_all_signals(way: str) -> None:
    run_in_subprocess(
        f"def meddle(): {WAYS[way]}"
        + TRAPS
        + """
ended = []
def work():
    meddle(); traps()  # before it enters WebAssembly for the first time
    meddle(); traps()  # and after
    ended.append(1)
thread = threading.Thread(target=work)
thread.start(); thread.join()
assert ended
""",
        timeout=30,
    ).check()


def test_a_host_function_may_block_all_signals() -> None:
    run_in_subprocess(
        """
store = Store()
def block(): signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
module = Module(store.engine, '(import "" "" (func $f)) (func (export "f") (call $f) unreachable)')
f = Instance(store, module, [Func(store, FuncType([], []), block)]).exports(store)["f"]
try: f(store)
except Trap as trap: assert trap.trap_code is TrapCode.UNREACHABLE
else: raise AssertionError
""",
        timeout=30,
    ).check()


def test_all_other_signals_are_blocked_as_asked() -> None:
    run_in_subprocess(
        """
import _signal
before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
assert before == set()
now = signal.pthread_sigmask(signal.SIG_BLOCK, ())
assert {signal.SIGINT, signal.SIGUSR1, signal.SIGTERM} <= now
assert not {signal.SIGSEGV, signal.SIGILL, signal.SIGFPE, signal.SIGBUS} & now
assert signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals()) == now
assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()
for wrong in (5, None, ["x"]):
    try: signal.pthread_sigmask(signal.SIG_BLOCK, wrong)
    except (TypeError, ValueError): pass
    else: raise AssertionError(wrong)
"""
    ).check()


def test_a_handler_of_python_gets_the_signals_that_are_sent() -> None:
    """
    Each time; and `signal.getsignal` knows it.
    """
    run_in_subprocess(
        TRAPS
        + """
traps()
seen = []
handler = lambda number, frame: seen.append(number)
assert signal.signal(signal.SIGSEGV, handler) is signal.SIG_DFL
assert signal.getsignal(signal.SIGSEGV) is handler
for _ in range(3):
    os.kill(os.getpid(), signal.SIGSEGV)
    signal.raise_signal(signal.SIGSEGV)
    traps()
assert seen == [signal.SIGSEGV] * 6
assert signal.signal(signal.SIGSEGV, signal.SIG_IGN) is handler
os.kill(os.getpid(), signal.SIGSEGV)
traps()
assert len(seen) == 6
""",
        timeout=30,
    ).check()


@pytest.mark.parametrize("way", ["default", "reported", "no longer reported"])
@pytest.mark.parametrize("how", ["sent", "a fault"])
def test_a_process_that_is_meant_to_die_dies(way: str, how: str) -> None:
    ended = run_in_subprocess(
        f"def meddle(): {WAYS[way]}"
        + TRAPS
        + f"traps(); meddle(); traps(); HOW = {how!r}"
        + """
if HOW == "sent":
    os.kill(os.getpid(), signal.SIGSEGV)
    time.sleep(10)
import ctypes
ctypes.string_at(0)
""",
        timeout=30,
    )
    assert ended.signal == "SIGSEGV"
    assert ended.errors.count("Fatal Python error") == (1 if way == "reported" else 0)


def test_a_fault_that_is_ignored_ends_the_process() -> None:
    """
    As without WebAssembly: the system does not ignore it either.
    """
    ended = run_in_subprocess(
        f"def meddle(): {WAYS['ignored']}" + TRAPS + "meddle(); import ctypes; ctypes.string_at(0)",
        timeout=30,
    )
    assert ended.signal == "SIGSEGV"


@pytest.mark.parametrize(
    "steps",
    [
        "enable(); traps(); disable(); traps()",
        "traps(); enable(); disable(); enable(); traps(); disable(); traps()",
        "enable(); traps(); disable(); enable(); traps(); disable(); traps(); enable(); disable()",
        "traps(); handle(); enable(); disable(); traps()",
        "enable(); traps(); handle(); disable(); traps(); handle(); default()",
    ],
)
def test_faulthandler_comes_and_goes(steps: str) -> None:
    """
    What is left is a process that dies of a fault at once, without a report.
    """
    ended = run_in_subprocess(
        TRAPS
        + """
enable, disable = faulthandler.enable, faulthandler.disable
def handle(): signal.signal(signal.SIGSEGV, lambda *_: None)
def default(): signal.signal(signal.SIGSEGV, signal.SIG_DFL)
"""
        + steps
        + """
if "handle" in STEPS: default()
import ctypes
ctypes.string_at(0)
""".replace("STEPS", repr(steps)),
        timeout=30,
    )
    assert ended.signal == "SIGSEGV"
    assert ended.errors == ""


def test_faulthandler_is_enabled_while_another_thread_traps() -> None:
    ended = run_in_subprocess(
        TRAPS
        + """
stop = []
def work():
    while not stop: traps()
thread = threading.Thread(target=work)
thread.start()
for _ in range(50):
    faulthandler.enable(); faulthandler.disable()
stop.append(1)
thread.join()
faulthandler.enable()
os.kill(os.getpid(), signal.SIGSEGV)
time.sleep(10)
"""
    )
    assert ended.signal == "SIGSEGV"
    assert ended.errors.count("Fatal Python error") == 1


def test_faulthandler_is_told_what_the_program_says() -> None:
    run_in_subprocess(
        TRAPS
        + """
traps()
for wrong in ("no file", -1):
    try: faulthandler.enable(wrong)
    except (TypeError, ValueError, AttributeError, OSError): pass
    else: raise AssertionError(wrong)
    assert not faulthandler.is_enabled()
    traps()
with open("report", "w") as report:
    faulthandler.enable(file=report, all_threads=False)
    assert faulthandler.is_enabled()
    if os.fork() == 0:
        os.kill(os.getpid(), signal.SIGSEGV)
    os.wait()
text = open("report").read()
assert text.count("Fatal Python error: Segmentation fault") == 1, text
assert faulthandler.disable() is True and faulthandler.disable() is False
traps()
""",
        timeout=30,
    ).check()


CHAINING = """
    #include <signal.h>

    static struct sigaction before;
    static int seen;

    static void handle(int number, siginfo_t *info, void *context)
    {
        seen++;
        sigaction(number, &before, 0);
        raise(number);
    }

    int install(void)
    {
        struct sigaction own = {0};
        own.sa_sigaction = handle;
        own.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
        return sigaction(SIGSEGV, &own, &before);
    }

    int count(void) { return seen; }
"""


def test_a_new_engine_puts_the_library_above_handlers_of_native_code(tmp_path: Path) -> None:
    library = compile_c(CHAINING, tmp_path / "chaining.so", "-shared", "-fPIC")
    ended = run_in_subprocess(
        TRAPS
        + f"""
traps()
import ctypes
library = ctypes.CDLL({str(library)!r})
assert library.install() == 0
engine = Engine()
for _ in range(3): traps()
assert library.count() == 0
ctypes.string_at(0)
""",
        timeout=30,
    )
    assert ended.signal == "SIGSEGV"
