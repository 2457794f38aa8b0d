"""
Timeouts and interrupts beside threads, signals, faulthandler and forks: one native thread sees to
all of them, and sleeps while nothing is due.
"""

from __future__ import annotations

import os
import sys

import pytest
from support import IN_CHILD, RACE, run_in_subprocess

linux = pytest.mark.skipif(sys.platform != "linux", reason="counts threads as Linux tells them")
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

GUEST = """
engine = Engine()
module = Module(engine, '''
    (import "" "f" (func $f))
    (func (export "spin") (loop (br 0)))
    (func (export "quick") (result i32) (loop) (i32.const 5))
    (func (export "host") (call $f) (loop (br 0)))''')

def guest(host=lambda: None, timeout=None):
    store = Store(engine)
    store.set_timeout(timeout)
    exports = Instance(store, module, [Func(store, FuncType([], []), host)]).exports(store)
    return store, exports

def outcome(function, *arguments):
    try: return function(*arguments)
    except Exception as error: return type(error)
"""


@linux
def test_thousands_of_stores_cost_one_thread_that_sleeps() -> None:
    """
    While no time is up, it is not even woken; and it starts when it is first needed.
    """
    run_in_subprocess(
        GUEST
        + """
def threads(): return set(os.listdir("/proc/self/task"))
def switches(thread):
    with open(f"/proc/self/task/{thread}/status") as status:
        return sum(int(line.split()[1]) for line in status if "ctxt_switches" in line)

before = threads()
stores = [Store(engine) for _ in range(10)]
assert threads() == before
stores = [guest(timeout=60 + n / 100) for n in range(3000)]
for store, exports in stores: assert exports["quick"](store) == 5
(ticker,) = threads() - before
def sleeps():
    seen = switches(ticker)
    time.sleep(0.3)
    return switches(ticker) == seen
# It parks when the main thread has been elsewhere for a while.
assert any(sleeps() for _ in range(30))
for store, exports in stores: store.close()
del stores[:]
gc.collect()
assert threads() - before == {ticker}
"""
    ).check()


def test_many_stores_end_at_their_own_times() -> None:
    """
    In whatever order they were begun; the others of the engine run on.
    """
    run_in_subprocess(
        GUEST
        + """
stop = threading.Event()
def neighbour():
    store, exports = guest()
    store.set_epoch_deadline(1)
    while not stop.is_set():
        assert exports["quick"](store) == 5
def run(n, took):
    store, exports = guest(timeout=0.05 + 0.01 * (n * 7 % 20))
    started = time.monotonic()
    assert outcome(exports["spin"], store) is TimeoutTrap
    took[n] = time.monotonic() - started - store.timeout
took = {}
threads = [threading.Thread(target=run, args=(n, took)) for n in range(20)]
other = threading.Thread(target=neighbour)
for thread in [other, *threads]: thread.start()
for thread in threads: thread.join()
stop.set()
other.join()
assert len(took) == 20 and min(took.values()) >= 0
"""
    ).check()


def test_interrupts_race_with_calls_and_close() -> None:
    run_in_subprocess(
        RACE
        + GUEST
        + """
shared = [guest()]
def call():
    store, exports = shared[0]
    try: exports["quick"](store)
    except InterruptTrap: pass
def spin():
    store, exports = shared[0]
    store.set_timeout(0.001)
    try: exports["spin"](store)
    except (InterruptTrap, TimeoutTrap): pass
def interrupt(): shared[0][0].interrupt()
def renew():
    old, _ = shared[0]
    shared[0] = guest()
    old.close()
race(call, spin, interrupt, renew, seconds=1)
"""
    ).check()


@posix
def test_a_signal_handler_interrupts() -> None:
    """
    Computing and sleeping, and where the handler does not interrupt system calls.
    """
    run_in_subprocess(
        GUEST
        + """
store, exports = guest()
sleep = Func(store, FuncType([], []), lambda: store._sleep(60))
signal.signal(signal.SIGALRM, lambda number, frame: store.interrupt())
for restarts in (False, True):
    signal.siginterrupt(signal.SIGALRM, not restarts)
    for function in (exports["spin"], sleep):
        signal.setitimer(signal.ITIMER_REAL, 0.03, 0.03)  # one that comes too early is not heard
        assert outcome(function, store) is InterruptTrap
        signal.setitimer(signal.ITIMER_REAL, 0)
"""
    ).check()


@posix
def test_ctrl_c_ends_a_sleep_and_other_handlers_do_not() -> None:
    run_in_subprocess(
        GUEST
        + """
store, _ = guest()
seen = []
signal.signal(signal.SIGALRM, lambda number, frame: seen.append(time.monotonic()))
signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
while len(seen) < 3:
    started = time.monotonic()
    Func(store, FuncType([], []), lambda: store._sleep(0.1))(store)
    assert time.monotonic() - started >= 0.1
signal.setitimer(signal.ITIMER_REAL, 0)
threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
try: Func(store, FuncType([], []), lambda: store._sleep(60))(store)
except KeyboardInterrupt: pass
else: raise AssertionError
"""
    ).check()


@posix
def test_faulthandler_beside_timeouts() -> None:
    run_in_subprocess(
        GUEST
        + """
store, exports = guest(timeout=0.02)
faulthandler.enable()
faulthandler.dump_traceback_later(60)
for _ in range(3): assert outcome(exports["spin"], store) is TimeoutTrap
faulthandler.cancel_dump_traceback_later()
faulthandler.disable()
assert outcome(exports["spin"], store) is TimeoutTrap
"""
    ).check()


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks of POSIX")


@needs_fork
def test_a_child_keeps_the_times_of_its_stores() -> None:
    """
    Of a call that forks in its middle as well, on the main thread and on another.
    """
    run_in_subprocess(
        IN_CHILD
        + GUEST
        + """
store, exports = guest(timeout=0.05)
assert outcome(exports["spin"], store) is TimeoutTrap
def child():
    assert store.timeout == 0.05
    assert outcome(exports["spin"], store) is TimeoutTrap
    other, its = guest(timeout=0.02)
    assert outcome(its["spin"], other) is TimeoutTrap
    threading.Timer(0.2, other.interrupt).start()
    other.set_timeout(None)
    assert outcome(its["spin"], other) is InterruptTrap
assert in_child(child) == 0

def forks():
    pid = os.fork()
    children.append(pid)
    if pid == 0: time.sleep(0.01)
def run():
    inner, its = guest(forks, timeout=0.1)
    result = outcome(its["host"], inner)
    if children[-1] == 0: os._exit(0 if result is TimeoutTrap else 1)
    assert result is TimeoutTrap
children = []
run()
thread = threading.Thread(target=run)
thread.start()
thread.join()
for pid in children: assert os.waitpid(pid, 0)[1] == 0
assert outcome(exports["spin"], store) is TimeoutTrap
"""
    ).check()


@needs_fork
def test_a_fork_while_others_sleep_and_are_interrupted() -> None:
    run_in_subprocess(
        IN_CHILD
        + GUEST
        + """
stores = []
def sleep():
    store, exports = guest()
    stores.append(store)
    assert outcome(Func(store, FuncType([], []), lambda: store._sleep(60)), store) is InterruptTrap
threads = [threading.Thread(target=sleep) for _ in range(5)]
for thread in threads: thread.start()
time.sleep(0.05)
def child():
    engine.increment_epoch()
    for store in stores: store.interrupt()  # nobody is there any more
    own, exports = guest(timeout=0.02)
    assert outcome(exports["spin"], own) is TimeoutTrap
    assert outcome(Func(own, FuncType([], []), lambda: own._sleep(60)), own) is TimeoutTrap
for _ in range(3): assert in_child(child) == 0
while any(thread.is_alive() for thread in threads):
    for store in stores: store.interrupt()
    time.sleep(0.01)
"""
    ).check()


@linux
def test_sleeping_stores_need_no_descriptors() -> None:
    run_in_subprocess(
        GUEST
        + """
before = len(os.listdir("/proc/self/fd"))
stores = [guest()[0] for _ in range(100)]
def sleep(store):
    outcome(Func(store, FuncType([], []), lambda: store._sleep(60)), store)
threads = [threading.Thread(target=sleep, args=[store]) for store in stores]
for thread in threads: thread.start()
time.sleep(0.1)
assert len(os.listdir("/proc/self/fd")) <= before + 1
while any(thread.is_alive() for thread in threads):
    for store in stores: store.interrupt()
    time.sleep(0.01)
"""
    ).check()


def test_an_exit_while_guests_sleep_and_spin() -> None:
    run_in_subprocess(
        GUEST
        + """
for name in ("spin", "sleep"):
    store, exports = guest(timeout=0.2)
    function = exports["spin"] if name == "spin" else Func(
        store, FuncType([], []), lambda store=store: store._sleep(60))
    threading.Thread(target=outcome, args=(function, store), daemon=True).start()
time.sleep(0.05)
"""
    ).check()
