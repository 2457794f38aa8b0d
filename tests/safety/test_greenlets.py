"""
Greenlets share a thread's stack by copying it about, under the library's feet: whoever switches in
the middle of a call may not end the process, nor may those that run meanwhile.
"""

from __future__ import annotations

import pytest
from support import PREAMBLE, needs, run_in_subprocess

pytestmark = needs("greenlet")

GREENLETS = (
    PREAMBLE
    + '''
from greenlet import GreenletExit, getcurrent, greenlet


MODULE = """
    (import "" "host" (func $host))
    (memory (export "memory") 1)
    (func (export "seven") (result i32) (call $host) (i32.const 7))
    (func (export "calls and traps") (call $host) unreachable)
    (func (export "traps") unreachable)
    (func (export "take") (param externref i32))
"""
main = getcurrent()
engine = Engine()
empty = Module(engine, "(func $start) (start $start)")

class Guest:
    """An instance that calls `host`, in a store of its own."""
    def __init__(self, host, engine=engine):
        self.store = Store(engine)
        function = Func(self.store, FuncType([], []), host)
        self.exports = Instance(self.store, Module(engine, MODULE), [function]).exports(self.store)
    def __call__(self, name="seven", *arguments):
        return self.exports[name](self.store, *arguments)

def outcome(function, *arguments):
    """What a call returned or raised; "refused" if it was because of a greenlet that waits."""
    try:
        return function(*arguments)
    except WasmtimeError as error:
        return "refused" if "another greenlet of this thread" in str(error) else error
    except BaseException as error:
        return error

def switch(to=main):
    to.switch("waits")

def caller(host, name="seven", engine=engine):
    """A greenlet that calls an export of a guest, which was made outside of it."""
    guest = outcome(Guest, host, engine)
    return greenlet(lambda: guest if guest == "refused" else outcome(guest, name))

def maker(host, name="seven", engine=engine):
    """A greenlet that makes a guest and calls an export of it."""
    return greenlet(lambda: outcome(lambda: Guest(host, engine)(name)))

def failing():
    switch()
    raise LookupError
'''
)


def run(code: str, timeout: float = 60) -> None:
    run_in_subprocess(code, preamble=GREENLETS, timeout=timeout).check()


@pytest.mark.parametrize("engines", ["one", "two"])
def test_calls_that_would_end_in_another_order_than_they_began(engines: str) -> None:
    run(
        f"other = engine if {engines!r} == 'one' else Engine()"
        + """
guests = [Guest(switch), Guest(switch, other)]
a, b = [greenlet(lambda guest=guest: outcome(guest)) for guest in guests]
assert a.switch() == "waits"
assert b.switch() == "refused" and b.dead
assert a.switch() == 7
# Then it is the next one's turn.
b = caller(switch, engine=other)
assert b.switch() == "waits"
assert caller(switch).switch() == "refused"
assert b.switch() == 7
"""
    )


def test_guests_that_greenlets_made_end_in_any_order() -> None:
    """
    What is linked in a greenlet runs on stacks of its own, and Python on none of them.
    """
    run(
        """
a, b, c = maker(switch), maker(switch, "calls and traps"), maker(failing)
for one in a, b, c: assert one.switch() == "waits"
answer = b.switch()
assert isinstance(answer, Trap) and answer.trap_code is TrapCode.UNREACHABLE
assert a.switch() == 7
assert isinstance(c.switch(), LookupError)
d, e = maker(switch), maker(switch)
assert d.switch() == e.switch() == "waits"
error = LookupError()
assert d.throw(error) is error
del e
gc.collect()
assert Guest(lambda: None)() == 7
"""
    )


def test_another_greenlet_cannot_use_the_store_of_one_that_waits() -> None:
    run(
        """
guests = []
def work():
    guests.append(Guest(switch))
    return guests[0]()
a = greenlet(work)
assert a.switch() == "waits"
assert "in use" in str(outcome(guests[0]))
assert "in use" in str(greenlet(lambda: outcome(guests[0])).switch())
assert a.switch() == 7
"""
    )


@needs("gevent")
@pytest.mark.parametrize("made", ["in the main greenlet", "in each"])
def test_twenty_greenlets_of_gevent_that_sleep_in_host_functions(made: str) -> None:
    run(
        f"MADE = {made!r}"
        + """
import gevent
MODULE = Module(engine, '''
    (import "" "add" (func $add (param i32 i32) (result i32)))
    (func (export "run") (param i32) (result i32) (call $add (local.get 0) (i32.const 1)))''')
def add(a, b):
    gevent.sleep((20 - a) / 1000)
    return a + b
linker = Linker(engine)
linker.define_func("", "add", FuncType([ValType.I32] * 2, [ValType.I32]), add)
def make():
    store = Store(engine)
    return store, linker.instantiate(store, MODULE).exports(store)["run"]
guests = [make() for _ in range(20)] if MADE == "in the main greenlet" else None
def work(n):
    store, run = guests[n] if guests else make()
    return run(store, n)
jobs = [gevent.spawn(work, n) for n in range(20)]
gevent.joinall(jobs, raise_error=True)
assert [job.value for job in jobs] == list(range(1, 21))
"""
    )


def test_greenlets_that_do_not_switch_inside_of_a_call() -> None:
    """
    Each call is over before the next greenlet runs.
    """
    run(
        """
guest = Guest(lambda: None)
def work():
    for _ in range(100):
        assert guest() == 7
        switch()
workers = [greenlet(work) for _ in range(5)]
for _ in range(100):
    for worker in workers: assert worker.switch() == "waits"
"""
    )


def test_nested_calls_in_one_greenlet() -> None:
    run(
        """
inner = Guest(lambda: None)
outer = Guest(lambda: (inner(), inner())[2:] or None)
assert outer() == 7
assert greenlet(outer).switch() == 7

def host():
    switch()
    assert inner() == 7
a = caller(host)
assert a.switch() == "waits"
assert outcome(inner) == "refused"
assert a.switch() == 7
"""
    )


@pytest.mark.parametrize(
    "use",
    [
        "guest()",
        "guest.exports['seven'].bind(guest.store)()",
        "guest('take', object(), 1)",
        "Instance(guest.store, empty, [])",
        "Linker(engine).instantiate(guest.store, empty)",
        "pre.instantiate(guest.store)",
        "guest.store.gc()",
        "Table(guest.store, TableType(ValType.EXTERNREF, Limits(1)), object())",
        "table.set(guest.store, 0, object())",
        "table.grow(guest.store, 1, object())",
        "StructRef(guest.store, struct, [1])",
        "ArrayRef(guest.store, array, [1, 2])",
        "ExnRef(guest.store, tag, [1])",
    ],
)
def test_what_another_greenlet_cannot_do_meanwhile(use: str) -> None:
    """
    All that walks the calls of the thread. Afterwards, it works.
    """
    run(
        f"USE = {use!r}"
        + """
guest = Guest(lambda: None)
pre = Linker(engine).instantiate_pre(empty) if "pre." in USE else None
table = Table(guest.store, TableType(ValType.EXTERNREF, Limits(1)), None)
struct = StructType(engine, [FieldType(ValType.I32)])
array = ArrayType(engine, FieldType(ValType.I32, True))
tag = Tag(guest.store, TagType(FuncType([ValType.I32], [])))
a = caller(switch)
assert a.switch() == "waits"
for _ in range(3):
    assert outcome(lambda: eval(USE)) == "refused"
    assert greenlet(lambda: outcome(lambda: eval(USE))).switch() == "refused"
guest.exports["memory"].write(guest.store, b"x")  # no call is involved
assert a.switch() == 7
eval(USE)
assert greenlet(lambda: outcome(lambda: eval(USE) and None)).switch() is None
"""
    )


@pytest.mark.parametrize("name", ["seven", "calls and traps"])
@pytest.mark.parametrize("host", ["switch", "failing"])
def test_each_outcome_of_one_that_waited(name: str, host: str) -> None:
    run(
        f"NAME, HOST = {name!r}, {host}"
        + """
a, b = caller(HOST, NAME), caller(HOST, NAME)
assert a.switch() == "waits"
assert b.switch() == "refused"
answer = a.switch()
if HOST is failing: assert isinstance(answer, LookupError)
elif NAME == "seven": assert answer == 7
else: assert isinstance(answer, Trap) and answer.trap_code is TrapCode.UNREACHABLE
assert Guest(lambda: None)() == 7
"""
    )


def test_an_exception_thrown_into_one_that_waits() -> None:
    run(
        """
a = caller(switch)
a.switch()
error = LookupError()
assert a.throw(error) is error
b = caller(switch)
b.switch()
assert isinstance(b.throw(), GreenletExit)
assert Guest(lambda: None)() == 7
"""
    )


def test_one_that_waits_is_collected() -> None:
    run(
        """
ended = []
guest = Guest(switch)
a = greenlet(lambda: ended.append(outcome(guest)))
a.switch()
del a
gc.collect()
assert isinstance(ended[0], GreenletExit)
assert Guest(lambda: None)() == 7
"""
    )


@pytest.mark.parametrize("where", ["main", "thread", "host function of a greenlet"])
def test_the_interpreter_exits_while_one_waits(where: str) -> None:
    run(
        f"WHERE = {where!r}"
        + """
def wait():
    global a, b, me
    me = getcurrent()
    a = caller(lambda: switch(me))
    assert a.switch() == "waits"
    b = caller(switch)
    assert b.switch() == "refused"
if WHERE == "main": wait()
elif WHERE == "thread":
    thread = threading.Thread(target=wait)
    thread.start()
    thread.join()
else:
    a = caller(lambda: sys.exit() or None)
    b = caller(switch)
    b.switch()
    assert a.switch() == "refused"
"""
    )


def test_a_thread_that_ends_while_one_waits_leaves_its_store_to_nobody() -> None:
    """
    The next thread may get its memory, its stack and all; it is another one nevertheless.
    """
    run(
        """
module = Module(engine, MODULE)
for _ in range(60):
    kept = []
    def begin():
        me = getcurrent()
        guest = Guest(lambda: switch(me))
        waits = greenlet(lambda: guest("calls and traps"))
        waits.switch()
        kept.append((guest, waits))
    thread = threading.Thread(target=begin)
    thread.start()
    thread.join()
    answers = []
    def use():
        answers.append(outcome(kept[0][0], "traps"))
    for _ in range(3):
        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
    assert all("in use by another thread" in str(answer) for answer in answers), answers
"""
    )


def test_threads_have_greenlets_of_their_own() -> None:
    run(
        """
a = caller(switch)
a.switch()
answers = []
def work():
    me = getcurrent()
    inside = caller(lambda: switch(me))
    answers.append(inside.switch())
    answers.append(caller(lambda: None).switch())
    answers.append(inside.switch())
    answers.append(Guest(lambda: None)())
thread = threading.Thread(target=work)
thread.start()
thread.join()
assert answers == ["waits", "refused", 7, 7], answers
assert a.switch() == 7
"""
    )


def test_a_greenlet_started_in_a_host_function() -> None:
    run(
        """
seen = []
def host():
    seen.append(caller(lambda: None).switch())
assert Guest(host)() == 7
assert seen == ["refused"]
"""
    )


@pytest.mark.parametrize("when", ["before", "between", "inside"])
def test_greenlet_may_be_imported_at_any_time(when: str) -> None:
    """
    It is noticed, and nobody is taken for another one.
    """
    run_in_subprocess(
        f"WHEN = {when!r}"
        + """
if WHEN == "before": import greenlet
store = Store()
module = Module(store.engine, '(import "" "h" (func $h)) (func (export "f") (call $h))')
host = lambda: None
f = Instance(store, module, [Func(store, FuncType([], []), lambda: host())]).exports(store)["f"]
f(store)
if WHEN == "between": import greenlet
def host():
    global host, greenlet, waiting
    host = lambda: None
    import greenlet
    f(store)
    main = greenlet.getcurrent()
    host = lambda: print(main.switch())
    waiting = greenlet.greenlet(lambda: f(store))
    try: waiting.switch()
    except WasmtimeError as error: assert "greenlet" in str(error)
    else: raise AssertionError
    host = lambda: None
    f(store)
f(store)
main = greenlet.getcurrent()
host = lambda: print(main.switch())
waiting = greenlet.greenlet(lambda: f(store))
waiting.switch()
try: f(store)
except WasmtimeError as error: assert "greenlet" in str(error)
else: raise AssertionError
waiting.switch()
host = lambda: None
f(store)
"""
    ).check()


def test_a_module_of_the_same_name_is_no_greenlet() -> None:
    run_in_subprocess(
        """
import types
sys.modules["greenlet"] = types.ModuleType("greenlet")
store = Store()
inner = Func(store, FuncType([], []), lambda: None)
Func(store, FuncType([], []), lambda: inner(store))(store)
"""
    ).check()


@pytest.mark.parametrize("what_follows", ["a host function", "a loop", "nothing"])
def test_an_output_callback_that_switches(what_follows: str) -> None:
    run(
        f"WHAT_FOLLOWS = {what_follows!r}"
        + '''
linker = Linker(engine)
linker.define_wasi()
linker.define_func("", "host", FuncType([], []), lambda: None)
module = Module(engine, """
    (import "wasi_snapshot_preview1" "fd_write"
        (func $write (param i32 i32 i32 i32) (result i32)))
    (import "" "host" (func $host))
    (memory (export "memory") 1)
    (data (i32.const 0) "\\\\08\\\\00\\\\00\\\\00\\\\01\\\\00\\\\00\\\\00!")
    (global $stop (export "stop") (mut i32) (i32.const 0))
    (func $print (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16))))
    (func (export "a host function") (result i32)
        (call $print) (call $host) (i32.const 7))
    (func (export "a loop") (result i32) (call $print)
        (loop (br_if 0 (i32.eqz (global.get $stop)))) (i32.const 7))
    (func (export "nothing") (result i32) (call $print) (i32.const 7))""")
store = Store(engine)
def callback(data):
    exports["stop"].set_value(store, 1)
    main.switch("waits")
wasi = WasiConfig()
wasi.stdout_custom = callback
store.set_wasi(wasi)
exports = linker.instantiate(store, module).exports(store)
a = greenlet(lambda: exports[WHAT_FOLLOWS](store))
guest = Guest(lambda: None)
assert a.switch() == "waits"
assert outcome(guest) == "refused"
assert isinstance(outcome(guest, "traps"), str)
assert a.switch() == 7
assert guest() == 7
'''
    )


def test_a_deadline_callback_and_a_signal_handler_that_switch() -> None:
    run(
        """
guest = Guest(lambda: None)
spinning = Store(engine)
spin = Instance(spinning, Module(engine, '''
    (global $stop (export "stop") (mut i32) (i32.const 0))
    (func (export "spin") (loop (br_if 0 (i32.eqz (global.get $stop)))))'''), []).exports(spinning)
def stop(*ignored):
    spin["stop"].set_value(spinning, 1)
    main.switch("waits")
    return 10
if hasattr(signal, "setitimer"):
    signal.signal(signal.SIGALRM, stop)
    a = greenlet(lambda: spin["spin"](spinning))
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    assert a.switch() == "waits"
    assert outcome(guest) == "refused"
    a.switch()
    assert guest() == 7
spin["stop"].set_value(spinning, 0)
spinning.set_epoch_deadline_callback(stop)
spinning.set_epoch_deadline(1)
engine.increment_epoch()
a = greenlet(lambda: spin["spin"](spinning))
assert a.switch() == "waits"
assert outcome(guest) == "refused"
a.switch()
assert guest() == 7
"""
    )


@pytest.mark.parametrize(
    "work",
    [
        "guest('take', object(), Number())",
        "guest('take', None, Number())",
        "StructRef(guest.store, struct, [Number()])",
    ],
)
def test_an_argument_that_switches_while_it_is_converted(work: str) -> None:
    """
    Between the first look and the native call, another greenlet entered and waits.
    """
    run(
        f"WORK = {work!r}"
        + """
guest = Guest(lambda: None)
other = caller(switch)
struct = StructType(engine, [FieldType(ValType.I32)])
class Number:
    def __index__(self):
        other.switch()
        return 1
a = greenlet(lambda: outcome(lambda: eval(WORK)))
assert a.switch() == "waits"  # `other` does, and `a` is in the middle of the conversion
assert a.switch() == "refused"
assert other.switch() == 7
"""
    )


COMPONENT = '''
from wasmtime import component as c
def adder(host, engine=engine):
    """A component's function that calls `host`."""
    linker = c.Linker(engine)
    with linker.root() as root: root.add_func("host", lambda store: host())
    store = Store(engine)
    instance = linker.instantiate(store, c.Component(engine, """
        (component
            (import "host" (func $host))
            (core func $lowered (canon lower (func $host)))
            (core module $m
                (import "" "host" (func $host))
                (func (export "seven") (result i32) (call $host) (i32.const 7)))
            (core instance $i (instantiate $m (with "" (instance (export "host" (func $lowered))))))
            (func (export "seven") (result u32) (canon lift (core func $i "seven"))))"""))
    function = instance.get_func(store, "seven")
    return lambda: function(store)
'''


def test_host_functions_of_components() -> None:
    run(
        COMPONENT
        + """
idle, second = adder(lambda: None), adder(switch)
a, b, made = greenlet(adder(switch)), greenlet(outcome), greenlet(lambda: outcome(adder, switch))
assert a.switch() == "waits"
assert b.switch(second) == "refused"
assert made.switch() == "refused"
assert outcome(idle) == "refused"
assert a.switch() == 7
assert idle() == 7
a = greenlet(outcome)
a.switch(adder(failing))
assert isinstance(a.switch(), LookupError)
thrown = greenlet(outcome)
thrown.switch(adder(switch))
assert isinstance(thrown.throw(LookupError()), LookupError)
collected = greenlet(adder(switch))
collected.switch()
del collected
gc.collect()
assert idle() == 7
"""
    )


@needs("gevent")
def test_a_program_of_gevent() -> None:
    run(
        """
import gevent, gevent.monkey
gevent.monkey.patch_all()
waiting, quick = [Guest(lambda: time.sleep(0.01)) for _ in range(20)], Guest(lambda: None)
def work(n):
    return outcome(waiting[n]), outcome(quick)
answers = [job.get() for job in [gevent.spawn(work, n) for n in range(20)]]
assert {answer for pair in answers for answer in pair} == {7}, answers
assert gevent.spawn(quick).get() == 7

# A native thread for what blocks.
pool = gevent.get_hub().threadpool
sleep = gevent.monkey.get_original("time", "sleep")
waiting = [Guest(lambda: sleep(0.01)) for _ in range(5)]
assert [job.get() for job in [pool.spawn(guest) for guest in waiting]] == [7] * 5
with gevent.Timeout(0.05, False):
    Guest(lambda: gevent.sleep(30))()
assert quick() == 7
killed = gevent.spawn(Guest(lambda: gevent.sleep(30)))
gevent.sleep(0.01)
killed.kill()
assert quick() == 7
left = gevent.spawn(Guest(lambda: gevent.sleep(30)))
gevent.sleep(0.01)
"""
    )


@needs("eventlet")
def test_a_program_of_eventlet() -> None:
    run(
        """
import eventlet
waiting, quick = [Guest(lambda: eventlet.sleep(0.01)) for _ in range(20)], Guest(lambda: None)
pool = eventlet.GreenPool()
answers = list(pool.imap(outcome, waiting)) + [outcome(quick)]
assert set(answers) == {7}, answers
assert eventlet.spawn(quick).wait() == 7
with eventlet.Timeout(0.05, False):
    Guest(lambda: eventlet.sleep(30))()
assert quick() == 7
"""
    )


def test_generators_and_coroutines_share_no_stack() -> None:
    """
    They are left before another one goes on, so calls always end in order.
    """
    run(
        """
import asyncio
def work():
    for _ in range(10):
        yield Guest(lambda: None)()
assert [pair for pair in zip(work(), work())] == [(7, 7)] * 10

async def inside():
    await asyncio.sleep(0)
    return Guest(lambda: None)()
def host():
    async def both():
        assert await asyncio.gather(inside(), inside()) == [7, 7]
    asyncio.run(both())
assert Guest(host)() == 7
"""
    )
