"""
Calls that keep Python's lock for as long as it pays: other threads run, signals arrive, and the
process can fork and end, whatever the guest does. Each program here makes calls short and frequent
first, so that the lock is kept from then on.
"""

from __future__ import annotations

import os

import pytest
from support import IN_CHILD, posix, run_in_subprocess

KEEPING = """
threading.Timer(20, os._exit, [3]).start()  # whatever hangs
sys.setswitchinterval(0.001)

SHORT, LONG = 1, 1 << 62
LOOP = '''(func (export "f") (param i64)
  (loop (br_if 0 (i64.ne (local.tee 0 (i64.sub (local.get 0) (i64.const 1))) (i64.const 0)))))'''

CALLING = LOOP.replace('(loop', '(loop (call $host)', 1)
CALLING_ONCE = LOOP.replace('(loop', '(call $host) (loop', 1)

def instantiate(text=LOOP, *imports, engine=None, linked=None):
    store = Store(engine or Engine())
    module = Module(store.engine, text)
    items = [Func(store, FuncType([], []), one) for one in imports]
    instance = linked.instantiate(store, module) if linked else Instance(store, module, items)
    return store, instance.exports(store)

def kept(function):
    for _ in range(300): function(SHORT)
    return function

def guest(*args, **named):
    store, exports = instantiate(*args, **named)
    return kept(exports["f"].bind(store))

class Ticks:
    '''A thread that only wants to run every two milliseconds; how often it did in a `with`.'''
    def __init__(self):
        self.times = []
        threading.Thread(target=self.run, daemon=True).start()
    def run(self):
        while True:
            time.sleep(0.002)
            self.times.append(time.monotonic())
    def __enter__(self):
        self.start = time.monotonic()
        return self
    def __exit__(self, *_):
        self.end = time.monotonic()
        self.count = sum(self.start < one < self.end for one in self.times)

def stop_after(seconds, store):
    timer = threading.Timer(seconds, store.interrupt)
    timer.start()

def runs_until_stopped(store, function, *args):
    stop_after(0.3, store)
    try: function(*args)
    except InterruptTrap: return
    raise AssertionError
"""


def program(text: str) -> None:
    run_in_subprocess(KEEPING + text + "\nos._exit(0)").check()


def test_other_threads_run_during_a_long_call() -> None:
    program(
        """
store, exports = instantiate()
f = kept(exports["f"].bind(store))
with Ticks() as ticks: runs_until_stopped(store, f, LONG)
assert ticks.count > 10, ticks.count
"""
    )


def test_other_threads_run_during_a_call_of_references() -> None:
    program(
        """
store, exports = instantiate(LOOP.replace("(param i64)", "(param i64 externref)"))
f = exports["f"].bind(store)
kept(lambda number: f(number, None))
with Ticks() as ticks: runs_until_stopped(store, f, LONG, object())
assert ticks.count > 10, ticks.count
"""
    )


def test_other_threads_run_during_short_calls_without_python_between() -> None:
    """
    As during `list(map(abs, numbers))`, in which they do not; here the guest hears a tick.
    """
    program(
        """
from collections import deque
from itertools import repeat, takewhile
f = guest()
with Ticks() as ticks: deque(map(f, repeat(SHORT, 5_000_000)), 0)
assert ticks.count > 3, ticks.count
"""
    )


@pytest.mark.parametrize("host", ["type(None)", "guest_of_its_own", "large.sort"])
@pytest.mark.slow
def test_other_threads_run_while_a_guest_calls_host_functions_of_c(host: str) -> None:
    """
    Nor is there Python code in these.
    """
    program(
        f"""
large = list(range(200_000))
inner_store, inner = instantiate('(func (export "f"))')
guest_of_its_own = inner["f"].bind(inner_store)
for _ in range(300): guest_of_its_own()
store, exports = instantiate('(import "" "" (func $host)) ' + CALLING, {host})
f = kept(exports["f"].bind(store))
with Ticks() as ticks: runs_until_stopped(store, f, LONG)
assert ticks.count > 3, ticks.count
"""
    )


def test_engines_that_take_turns_in_host_functions() -> None:
    """
    Each call loses the lock in a host function to one of another engine, which ends there.
    """
    program(
        """
def turns(number):
    for _ in range(12):
        nap = lambda: time.sleep(0.0005)
        text = '(import "" "" (func $host)) ' + CALLING_ONCE
        store, exports = instantiate(text, nap)
        f = exports["f"].bind(store)
        for _ in range(70): f(SHORT)
        store.close(); store.engine.close()
        del f, store, exports
        gc.collect()
threads = [threading.Thread(target=turns, args=[n]) for n in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
store, exports = instantiate()
f = kept(exports["f"].bind(store))
with Ticks() as ticks: runs_until_stopped(store, f, LONG)
assert ticks.count > 10, ticks.count
"""
    )


def test_a_guest_that_does_not_hear_ticks_holds_others_up_once() -> None:
    """
    Instructions on much memory have no epoch checks; the function gives the lock away from then on.
    """
    program(
        """
fill = "(memory.fill (i32.const 0) (local.get 1) (i32.const 0x4000000))" * 24
store, exports = instantiate(f'''(memory 1024) (func (export "f") (param i64 i32)
  (if (i64.ne (local.get 0) (i64.const 1)) (then {fill})))''')
f = exports["f"].bind(store)
kept(lambda number: f(number, 0))
f(LONG, 1)
with Ticks() as ticks: f(LONG, 2)
assert ticks.count > 10, ticks.count
"""
    )


@posix
@pytest.mark.parametrize("loop", ["LOOP", "CALLING"])
@pytest.mark.parametrize("host", ["(lambda: None)", "type(None)"])
def test_signals_arrive_in_a_call_that_keeps_the_lock(loop: str, host: str) -> None:
    program(
        f"""
store, exports = instantiate('(import "" "" (func $host)) ' + {loop}, {host})
f = kept(exports["f"].bind(store))
signal.setitimer(signal.ITIMER_REAL, 0.1)
signal.signal(signal.SIGALRM, lambda *_: 1 / 0)
start = time.monotonic()
try: f(LONG)
except ZeroDivisionError: assert time.monotonic() - start < 5
else: raise AssertionError
"""
    )


@posix
def test_signals_arrive_in_short_calls_without_python_between() -> None:
    program(
        """
from itertools import repeat
f = guest()
signal.signal(signal.SIGALRM, lambda *_: 1 / 0)
signal.setitimer(signal.ITIMER_REAL, 0.1)
try: any(map(f, repeat(SHORT)))
except ZeroDivisionError: pass
"""
    )


def test_a_guest_that_waits_for_a_thread_of_python() -> None:
    """
    Shared memories are for that; engines that allow them never keep the lock.
    """
    program(
        """
config = Config(wasm_threads=True, shared_memory=True)
engine = Engine(config)
memory = SharedMemory(engine, MemoryType(Limits(1, 1), shared=True))
store = Store(engine)
f = Instance(store, Module(engine, '''(import "" "m" (memory 1 1 shared))
  (func (export "f") (param i64) (result i32)
    (if (i64.eq (local.get 0) (i64.const 1)) (then (return (i32.const 9))))
    (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))'''),
  [memory]).exports(store)["f"].bind(store)
kept(f)
other = Store(engine)
notify = Instance(other, Module(engine, '''(import "" "m" (memory 1 1 shared))
  (func (export "f") (result i32) (memory.atomic.notify (i32.const 0) (i32.const 1)))'''),
  [memory]).exports(other)["f"].bind(other)
def wake():
    while not notify(): time.sleep(0.01)
threading.Timer(0.05, wake).start()
assert f(LONG) == 0
"""
    )


def test_a_guest_that_sleeps() -> None:
    program(
        """
linker = Linker(engine := Engine())
linker.define_wasi()
store = Store(engine)
store.set_wasi(WasiConfig())
exports = linker.instantiate(store, Module(engine, '''
  (import "wasi_snapshot_preview1" "poll_oneoff"
    (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 80) "\\\\01")
  (data (i32.const 88) "\\\\00\\\\e1\\\\f5\\\\05")
  (func (export "f") (param i64)
    (if (i64.ne (local.get 0) (i64.const 1)) (then
      (drop (call $poll (i32.const 64) (i32.const 256) (i32.const 1) (i32.const 32))))))
''')).exports(store)
f = kept(exports["f"].bind(store))
with Ticks() as ticks: f(LONG)
assert ticks.end - ticks.start > 0.09
assert ticks.count > 5, ticks.count
"""
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks of POSIX")
@pytest.mark.parametrize("thread", [False, True])
@pytest.mark.slow
def test_a_fork_in_a_host_function(thread: bool) -> None:
    """
    The call goes on in the child, where the other threads are new.
    """
    program(
        IN_CHILD
        + f"""
forks, status = [], []
def host():
    if forks:
        forks.pop()
        pid = os.fork()
        if pid == 0:
            signal.alarm(10)
            child.append(Ticks())
        else:
            status.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
child = []
text = '(import "" "" (func $host)) ' + CALLING_ONCE
store, exports = instantiate(text, host)
f = kept(exports["f"].bind(store))
def run():
    forks.append(1)
    start = time.monotonic()
    f(300_000_000)
    if child:
        os._exit(0 if len(child[0].times) > 5 else 1)
if {thread}:
    running = threading.Thread(target=run)
    running.start()
    running.join()
else:
    run()
assert status == [0], status
"""
    )


def test_the_process_ends_while_threads_make_calls() -> None:
    run_in_subprocess(
        KEEPING.replace("threading.Timer(20, os._exit, [3]).start()", "")
        + """
def run(number):
    f = guest()
    while True: f(number)
for number in (SHORT, SHORT, 1000, LONG):
    threading.Thread(target=run, args=[number], daemon=True).start()
time.sleep(0.2)
"""
    ).check()


def test_what_the_choice_may_be() -> None:
    program(
        """
store, exports = instantiate()
for choice in (None, True, False, 0, 1):
    assert exports["f"].bind(store, release_gil=choice)(SHORT) is None
bound = exports["f"].bind(store, release_gil=True)
with Ticks() as ticks: runs_until_stopped(store, bound, LONG)
assert ticks.count > 10, ticks.count
class Undecided:
    def __bool__(self): raise LookupError
try: exports["f"].bind(store, release_gil=Undecided())
except LookupError: pass
else: raise AssertionError
"""
    )


def test_guests_in_threads_run_at_once() -> None:
    """
    How much faster that is, the benchmarks tell.
    """
    program(
        """
results = []
def run():
    f = guest()
    for _ in range(50): f(100_000)
    results.append(f)
threads = [threading.Thread(target=run) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert len(results) == 4
"""
    )
