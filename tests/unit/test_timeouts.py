"""
Timeouts and interrupts: `Store.set_timeout`, `Store.interrupt`, and what they raise.
"""

from __future__ import annotations

import copy
import pickle
import threading
import time
from fractions import Fraction
from typing import Any, Callable

import pytest
from support import repeatedly

from wasmtime import (
    Config,
    Engine,
    ExitTrap,
    Func,
    FuncType,
    GuestExit,
    Instance,
    InterruptTrap,
    Linker,
    Module,
    Store,
    TimeoutTrap,
    Trap,
    TrapCode,
    ValType,
    WasiConfig,
    WasmtimeError,
)
from wasmtime.component import (
    Component,
    ComponentInterruptTrap,
    ComponentTimeoutTrap,
    ComponentTrap,
)
from wasmtime.component import Func as ComponentFunc
from wasmtime.component import Linker as ComponentLinker

SPIN = '(func $spin (export "spin") (loop (br 0)))'

#: Long enough for every machine that is not stopped; nothing waits for it.
LONG = 60.0
SHORT = 0.02


def spinner(store: Store) -> Func:
    spin = Instance(store, Module(store.engine, SPIN), []).exports(store)["spin"]
    assert isinstance(spin, Func)
    return spin


def sleeper(store: Store, seconds: float = LONG) -> Func:
    """
    A function that sleeps as native code of the package does on behalf of a guest.
    """
    return Func(store, FuncType([], []), lambda: store._sleep(seconds))


# --- the timeout of a store ----------------------------------------------------------------------


def test_a_timeout_is_read_as_it_was_given(store: Store) -> None:
    assert store.timeout is None
    for seconds in (0.1, 3, Fraction(1, 3), 1e300, float("inf"), 5e-324):
        store.set_timeout(seconds)  # type: ignore[arg-type]
        assert store.timeout == float(seconds)
    store.set_timeout(None)
    assert store.timeout is None


@pytest.mark.parametrize("seconds", [0, 0.0, -0.0, -1, float("nan"), float("-inf")])
def test_a_timeout_is_greater_than_nothing(store: Store, seconds: float) -> None:
    store.set_timeout(5)
    with pytest.raises(ValueError, match=r"greater than 0.*None lifts"):
        store.set_timeout(seconds)
    assert store.timeout == 5


@pytest.mark.parametrize("seconds", ["1", b"1", [1], 1j])
def test_a_timeout_is_a_number(store: Store, seconds: Any) -> None:
    with pytest.raises(TypeError, match=f"number or None, not {type(seconds).__name__}"):
        store.set_timeout(seconds)


def test_a_timeout_needs_epoch_checks() -> None:
    store = Store(Engine(Config(epoch_interruption=False)))
    with pytest.raises(WasmtimeError, match=r"set_timeout.*epoch_interruption"):
        store.set_timeout(1)
    with pytest.raises(WasmtimeError, match=r"interrupt.*epoch_interruption"):
        store.interrupt()
    store.set_timeout(None)
    assert store.timeout is None


def test_a_closed_store_has_no_timeout(store: Store) -> None:
    store.set_timeout(1)
    store.close()
    with pytest.raises(ValueError, match="closed"):
        store.set_timeout(1)


# --- what it ends ---------------------------------------------------------------------------------


def test_computing_ends(store: Store) -> None:
    store.set_timeout(SHORT)
    started = time.monotonic()
    with pytest.raises(TimeoutTrap, match=r"interrupt.*set_timeout") as caught:
        spinner(store)(store)
    assert time.monotonic() - started >= SHORT
    assert caught.value.trap_code is TrapCode.INTERRUPT
    assert [frame.func_name for frame in caught.value.frames] == ["spin"]


def test_sleeping_ends(store: Store) -> None:
    store.set_timeout(SHORT)
    with pytest.raises(TimeoutTrap, match="set_timeout") as caught:
        sleeper(store)(store)
    assert caught.value.trap_code is TrapCode.INTERRUPT


def test_every_call_has_the_full_time(store: Store) -> None:
    spin, short_sleep = spinner(store), sleeper(store, SHORT / 2)
    store.set_timeout(SHORT)
    for _ in range(3):
        started = time.monotonic()
        with pytest.raises(TimeoutTrap):
            spin(store)
        assert time.monotonic() - started >= SHORT
    store.set_timeout(20 * SHORT)
    for _ in range(3):
        short_sleep(store)


def test_nested_calls_share_the_time(store: Store) -> None:
    spin, inner = spinner(store), []

    def call() -> None:
        for _ in range(2):
            with pytest.raises(TimeoutTrap) as caught:
                spin(store)
            inner.append(caught.value)

    store.set_timeout(SHORT)
    text = '(import "" "f" (func $f)) (func (export "g") (call $f) (loop (br 0)))'
    module = Module(store.engine, text)
    instance = Instance(store, module, [Func(store, FuncType([], []), call)])
    started = time.monotonic()
    with pytest.raises(TimeoutTrap) as outer:
        instance.exports(store)["g"](store)  # type: ignore[operator]
    assert len(inner) == 2
    assert outer.value not in inner  # caught ones are not the last word: the guest ends for good
    assert time.monotonic() - started < LONG / 2


@pytest.mark.parametrize("how", ["call", "bound", "start", "linker", "define_module"])
def test_every_way_in_has_the_time(store: Store, how: str) -> None:
    spin = spinner(store)
    start = Module(store.engine, f"(module {SPIN} (start $spin))")
    reactor = Module(store.engine, '(func (export "_initialize") (loop (br 0)))')
    ways: dict[str, Callable[[], object]] = {
        "call": lambda: spin(store),
        "bound": spin.bind(store),
        "start": lambda: Instance(store, start, []),
        "linker": lambda: Linker(store.engine).instantiate(store, start),
        "define_module": lambda: Linker(store.engine).define_module(store, "m", reactor),
    }
    store.set_timeout(SHORT)
    with pytest.raises(TimeoutTrap) as caught:
        ways[how]()
    assert caught.value.trap_code is TrapCode.INTERRUPT


def test_a_lifted_timeout_ends_nothing(store: Store) -> None:
    store.set_timeout(SHORT)
    store.set_timeout(None)
    sleeper(store, 2 * SHORT)(store)


def test_a_host_function_gives_more_time_or_less(store: Store) -> None:
    def act(seconds: float) -> None:
        time.sleep(2 * SHORT)
        store.set_timeout(seconds if seconds else None)

    text = """(import "" "f" (func $f (param f64))) (func (export "g") (param f64) (result i32)
        (local i32) (call $f (local.get 0))
        (loop (local.set 1 (i32.add (local.get 1) (i32.const 1)))
            (br_if 0 (i32.lt_u (local.get 1) (i32.const 1000)))) (local.get 1))"""
    host = Func(store, FuncType([ValType.f64()], []), act)
    instance = Instance(store, Module(store.engine, text), [host])
    run: Any = instance.exports(store)["g"]
    store.set_timeout(SHORT)
    assert run(store, LONG) == 1000
    store.set_timeout(SHORT)
    assert run(store, 0.0) == 1000
    assert store.timeout is None
    store.set_timeout(LONG)
    spin = spinner(store)
    less = Func(store, FuncType([], []), lambda: (store.set_timeout(SHORT), spin(store)))
    with pytest.raises(TimeoutTrap):
        less(store)


def test_a_caller_sets_the_timeout(store: Store) -> None:
    def host(caller: Any) -> None:
        caller.set_timeout(7)

    Func(store, FuncType([], []), host, access_caller=True)(store)
    assert store.timeout == 7


def test_a_host_function_that_takes_too_long_is_told(store: Store) -> None:
    """
    It is not ended in its middle, but what follows is; and the exception names what cannot be.
    """
    done = []

    def slow() -> None:
        time.sleep(0.2)
        done.append(True)

    text = '(import "" "f" (func $f)) (func (export "g") (call $f) (loop (br 0)))'
    instance = Instance(store, Module(store.engine, text), [Func(store, FuncType([], []), slow)])
    store.set_timeout(SHORT)
    with pytest.raises(TimeoutTrap, match=r"ended 0\.\d+ s later.*a Python function.*process"):
        instance.exports(store)["g"](store)  # type: ignore[operator]
    assert done


def test_a_deadline_set_after_the_time_is_up_gives_no_more(store: Store) -> None:
    """
    It moves the native deadline ahead, which the timeout uses as well.
    """

    def act() -> None:
        time.sleep(2 * SHORT)
        store.set_epoch_deadline(1000)

    text = '(import "" "f" (func $f)) (func (export "g") (call $f) (loop (br 0)))'
    instance = Instance(store, Module(store.engine, text), [Func(store, FuncType([], []), act)])
    store.set_timeout(SHORT)
    with pytest.raises(TimeoutTrap):
        instance.exports(store)["g"](store)  # type: ignore[operator]


# --- what it leaves alone -------------------------------------------------------------------------


def test_epochs_stay_what_they_are(store: Store) -> None:
    """
    The deadline of a neighbour, and the store's own, are counted in the user's epochs alone.
    """
    spin = spinner(store)
    neighbour = Store(store.engine)
    neighbour.set_epoch_deadline(1)
    store.set_epoch_deadline(2)
    work: Any = Instance(
        neighbour,
        Module(store.engine, '(func (export "f") (result i32) (loop) (i32.const 5))'),
        [],
    ).exports(neighbour)["f"]
    store.set_timeout(SHORT)
    for _ in range(3):
        with pytest.raises(TimeoutTrap):
            spin(store)
    assert work(neighbour) == 5
    store.engine.increment_epoch()
    with pytest.raises(Trap) as caught:
        work(neighbour)
    assert type(caught.value) is Trap
    with pytest.raises(TimeoutTrap):
        spin(store)
    store.engine.increment_epoch()
    with pytest.raises(Trap) as caught:
        spin(store)
    assert type(caught.value) is Trap


def test_a_deadline_callback_is_asked_for_the_users_epochs_only(store: Store) -> None:
    asked = []
    store.set_epoch_deadline(1)
    store.set_epoch_deadline_callback(lambda: asked.append(1) or 1)  # type: ignore[func-returns-value]
    store.set_timeout(SHORT)
    with pytest.raises(TimeoutTrap):
        spinner(store)(store)
    assert not asked


# --- interrupts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("what", [spinner, sleeper])
@pytest.mark.parametrize("on_main_thread", [True, False])
def test_an_interrupt_ends_what_runs(
    store: Store, what: Callable[[Store], Func], on_main_thread: bool
) -> None:
    func, caught = what(store), []

    def run() -> None:
        with pytest.raises(InterruptTrap, match=r"interrupt.*Store\.interrupt") as outcome:
            func(store)
        caught.append(outcome.value)

    with repeatedly(store.interrupt):
        if on_main_thread:
            run()
        else:
            thread = threading.Thread(target=run)
            thread.start()
            thread.join()
    assert caught[0].trap_code is TrapCode.INTERRUPT
    assert not isinstance(caught[0], TimeoutError)


def test_an_interrupt_of_nothing_does_nothing(store: Store) -> None:
    quick: Any = Instance(
        store, Module(store.engine, '(func (export "f") (result i32) (loop) (i32.const 5))'), []
    ).exports(store)["f"]
    store.interrupt()
    assert quick(store) == 5
    store.close()
    store.interrupt()


def test_an_interrupt_ends_a_guest_when_its_host_function_returns(store: Store) -> None:
    done = []
    spin = spinner(store)

    def host() -> None:
        store.interrupt()
        store.interrupt()
        with pytest.raises(InterruptTrap):
            spin(store)
        store.data()  # the store is still this thread's
        done.append(True)

    text = '(import "" "f" (func $f)) (func (export "g") (call $f) (loop (br 0)))'
    instance = Instance(store, Module(store.engine, text), [Func(store, FuncType([], []), host)])
    run: Any = instance.exports(store)["g"]
    with pytest.raises(InterruptTrap):
        run(store)
    assert done
    with pytest.raises(InterruptTrap):
        run(store)


def test_an_interrupted_store_goes_on_with_the_next_call(store: Store) -> None:
    begun = threading.Event()
    text = '(import "" "f" (func $f)) (func (export "g") (call $f) (loop (br 0)))'
    host = Func(store, FuncType([], []), begun.set)
    run: Any = Instance(store, Module(store.engine, text), [host]).exports(store)["g"]
    for _ in range(20):
        begun.clear()
        thread = threading.Thread(target=lambda: (begun.wait(), store.interrupt()))
        thread.start()
        with pytest.raises(InterruptTrap):
            run(store)
        thread.join()
    sleeper(store, 0.001)(store)


def test_an_interrupt_in_a_deadline_callback(store: Store) -> None:
    def callback() -> int:
        store.interrupt()
        return 1

    store.set_epoch_deadline(1)
    store.set_epoch_deadline_callback(callback)
    store.engine.increment_epoch()
    with pytest.raises(InterruptTrap):
        spinner(store)(store)


def test_an_epoch_wakes_the_sleepers_of_its_engine_alone(store: Store) -> None:
    others = Store()
    outcomes: dict[str, object] = {}

    def sleep(name: str, in_store: Store) -> None:
        in_store.set_epoch_deadline(2)
        try:
            sleeper(in_store)(in_store)
        except Trap as trap:
            outcomes[name] = type(trap)

    threads = [
        threading.Thread(target=sleep, args=("mine", store)),
        threading.Thread(target=sleep, args=("other", others), daemon=True),
    ]
    for thread in threads:
        thread.start()
    for _ in range(2):
        time.sleep(SHORT)
        assert not outcomes
        store.engine.increment_epoch()
    threads[0].join()
    assert outcomes == {"mine": Trap}
    others.interrupt()
    threads[1].join()
    assert outcomes["other"] is InterruptTrap


def test_a_deadline_callback_lets_a_sleeper_sleep_on(store: Store) -> None:
    asked = []

    def callback() -> int:
        asked.append(True)
        return 1 if len(asked) < 3 else 0

    store.set_epoch_deadline(1)
    store.set_epoch_deadline_callback(callback)
    with repeatedly(store.engine.increment_epoch, 0.002), pytest.raises(Trap):
        sleeper(store)(store)
    assert len(asked) == 3


# --- the exceptions -------------------------------------------------------------------------------


def test_what_ends_a_guest_has_one_base() -> None:
    assert issubclass(Trap, GuestExit)
    assert issubclass(ExitTrap, GuestExit)
    assert issubclass(ExitTrap, WasmtimeError)
    assert not issubclass(Trap, WasmtimeError)
    assert issubclass(TimeoutTrap, (Trap, TimeoutError))
    assert TimeoutTrap.__mro__.index(Trap) < TimeoutTrap.__mro__.index(TimeoutError)
    assert issubclass(InterruptTrap, Trap)
    for component_trap, trap in (
        (ComponentTimeoutTrap, TimeoutTrap),
        (ComponentInterruptTrap, InterruptTrap),
    ):
        assert issubclass(component_trap, trap)
        assert issubclass(component_trap, ComponentTrap)
        assert issubclass(component_trap, WasmtimeError)


def test_an_exit_is_a_guest_exit() -> None:
    text = """(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1) (func (export "_start") (call $exit (i32.const 3)))"""
    engine = Engine()
    store, linker = Store(engine), Linker(engine)
    store.set_wasi(WasiConfig())
    linker.define_wasi()
    start: Any = linker.instantiate(store, Module(engine, text)).exports(store)["_start"]
    with pytest.raises(GuestExit) as caught:
        start(store)
    assert isinstance(caught.value, ExitTrap)
    assert caught.value.code == 3


@pytest.mark.parametrize("duplicate", [copy.copy, lambda e: pickle.loads(pickle.dumps(e))])
def test_they_can_be_pickled(store: Store, duplicate: Callable[[Any], Any]) -> None:
    store.set_timeout(SHORT)
    with pytest.raises(TimeoutTrap) as caught:
        spinner(store)(store)
    other = duplicate(caught.value)
    assert type(other) is TimeoutTrap
    assert other.trap_code is TrapCode.INTERRUPT
    assert str(other) == str(caught.value)
    assert [frame.func_name for frame in other.frames] == ["spin"]


@pytest.mark.parametrize(
    "cls", [TimeoutTrap, InterruptTrap, ComponentTimeoutTrap, ComponentInterruptTrap]
)
def test_they_can_be_made_in_python(cls: type[Trap], store: Store) -> None:
    error = cls("enough")
    assert str(error) == error.message == "enough"
    assert str(pickle.loads(pickle.dumps(error))) == "enough"

    def host() -> None:
        raise error

    with pytest.raises(cls) as caught:
        Func(store, FuncType([], []), host)(store)
    assert caught.value is error


# --- components -----------------------------------------------------------------------------------

COMPONENT = """(component
    (core module $m (func (export "f") (loop (br 0))))
    (core instance $i (instantiate $m))
    (func (export "f") (canon lift (core func $i "f"))))"""
COMPONENT_START = """(component
    (core module $m (func $f (loop (br 0))) (start $f))
    (core instance $i (instantiate $m)))"""


def component_call(store: Store) -> Callable[[], object]:
    component = Component(store.engine, COMPONENT)
    instance = ComponentLinker(store.engine).instantiate(store, component)
    func = instance.get_func(store, "f")
    assert isinstance(func, ComponentFunc)
    return lambda: func(store)


def component_start(store: Store) -> Callable[[], object]:
    component = Component(store.engine, COMPONENT_START)
    return lambda: ComponentLinker(store.engine).instantiate(store, component)


@pytest.mark.parametrize("make", [component_call, component_start])
def test_components_end(store: Store, make: Callable[[Store], Callable[[], object]]) -> None:
    run = make(store)
    store.set_timeout(SHORT)
    with pytest.raises(ComponentTimeoutTrap, match="set_timeout") as timeout:
        run()
    assert timeout.value.trap_code is TrapCode.INTERRUPT
    store = Store(store.engine)
    run = make(store)
    with (
        repeatedly(store.interrupt),
        pytest.raises(ComponentInterruptTrap, match=r"Store\.interrupt") as interrupt,
    ):
        run()
    for error in (timeout.value, interrupt.value):
        other = pickle.loads(pickle.dumps(error))
        assert type(other) is type(error)
        assert other.trap_code is TrapCode.INTERRUPT
