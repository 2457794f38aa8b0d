"""
Stores: data, fuel, epochs, limits, garbage collection.
"""

from __future__ import annotations

import gc
import inspect
import threading
import time
import weakref
from typing import Any

import pytest
from support import repeatedly

from wasmtime import (
    Config,
    Engine,
    Func,
    FuncType,
    Instance,
    Limits,
    Linker,
    Memory,
    MemoryType,
    Module,
    Store,
    Table,
    TableType,
    Trap,
    TrapCode,
    ValType,
    WasmtimeError,
)

SPIN = '(func (export "spin") (loop (br 0)))'


@pytest.fixture(scope="module")
def fueled() -> Engine:
    """
    An engine that consumes fuel.
    """
    config = Config()
    config.consume_fuel = True
    return Engine(config)


@pytest.fixture(scope="module")
def ticking() -> Engine:
    """
    An engine whose stores have epoch deadlines.
    """
    config = Config()
    config.epoch_interruption = True
    return Engine(config)


def test_a_store_is_made_like_an_object_of_any_python_class(engine: Engine) -> None:
    assert list(inspect.signature(Store).parameters) == ["engine", "data"]
    assert Store(data=1, engine=engine).data() == Store(engine, 1).data() == 1
    assert Store(None).engine is not Store().engine

    class Own(Store):
        def __init__(self, engine: Engine, name: str) -> None:
            super().__init__(engine, data=name)
            self.name = name

    assert Own(engine, "a").data() == Own(engine, "a").name
    wrong: Any = Store
    with pytest.raises(TypeError, match="engine must be an Engine, not int"):
        wrong(1)
    with pytest.raises(TypeError, match="at most 2 arguments"):
        wrong(engine, 1, 2)


def test_a_store_keeps_what_every_linker_that_was_used_in_it_defines(engine: Engine) -> None:
    store = Store(engine)
    module = Module(engine, '(import "" "f" (func $f (result i32))) (export "f" (func $f))')
    exports = []
    for number in range(3):
        linker = Linker(engine)
        linker.define_func("", "f", FuncType([], [ValType.i32()]), lambda number=number: number)
        exports.append(linker.instantiate(store, module).exports(store))
        del linker
    gc.collect()
    assert [one["f"](store) for one in exports] == [0, 1, 2]


def export(store: Store, text: str, name: str, *imports: Any) -> Any:
    return Instance(store, Module(store.engine, text), imports).exports(store)[name]


# --------------------------------------------------------------------------------- the rest


@pytest.mark.parametrize(
    "data", [None, 0, "", [], object(), {"a": 1}], ids=lambda data: type(data).__name__
)
def test_data_is_kept_as_it_is(engine: Engine, data: Any) -> None:
    assert Store(engine, data).data() is data
    assert Store(engine, data=data).data() is data


def test_a_store_makes_an_engine_if_it_is_given_none() -> None:
    assert isinstance(Store().engine, Engine)


def test_the_engine_is_the_one_given(engine: Engine) -> None:
    assert Store(engine).engine is engine
    with pytest.raises(TypeError):
        Store(1)  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        Store(engine).engine = engine  # type: ignore[misc]


def test_a_store_survives_the_closing_of_its_engine() -> None:
    engine = Engine()
    store = Store(engine)
    module = Module(engine, '(func (export "f") (result i32) (i32.const 3))')
    engine.close()
    assert Instance(store, module, []).exports(store)["f"](store) == 3  # type: ignore[operator]


def test_collection_drops_what_the_guest_dropped(store: Store) -> None:
    class Thing:
        pass

    thing = Thing()
    gone = weakref.ref(thing)
    drop = export(store, '(func (export "drop") (param externref))', "drop")
    drop(store, thing)
    del thing
    store.gc()
    assert gone() is None


# ------------------------------------------------------------------------------------ fuel


def test_fuel_is_consumed(fueled: Engine) -> None:
    store = Store(fueled)
    store.set_fuel(1000)
    export(store, '(func (export "f") nop nop nop)', "f")(store)
    assert 0 < store.get_fuel() < 1000


def test_without_fuel_code_traps(fueled: Engine) -> None:
    store = Store(fueled)
    assert store.get_fuel() == 0
    f = export(store, '(func (export "f") nop)', "f")
    with pytest.raises(Trap, match="all fuel consumed") as caught:
        f(store)
    assert caught.value.trap_code is TrapCode.OUT_OF_FUEL


def test_fuel_ends_loops(fueled: Engine) -> None:
    store = Store(fueled)
    spin = export(store, SPIN, "spin")
    store.set_fuel(10_000)
    with pytest.raises(Trap, match="all fuel consumed"):
        spin(store)


def test_adding_and_counting(fueled: Engine) -> None:
    store = Store(fueled)
    store.add_fuel(500)
    store.add_fuel(500)
    assert store.get_fuel() == 1000
    assert store.fuel_consumed() == 0
    export(store, '(func (export "f") nop nop nop)', "f")(store)
    assert store.fuel_consumed() == 1000 - store.get_fuel() > 0


def test_amounts_of_fuel_are_unsigned_64_bit_numbers(fueled: Engine) -> None:
    store = Store(fueled)
    store.set_fuel(2**64 - 1)
    assert store.get_fuel() == 2**64 - 1
    with pytest.raises(OverflowError, match="fuel"):
        store.add_fuel(1)
    for set_to in (store.set_fuel, store.add_fuel):
        for wrong in (-1, 2**64):
            with pytest.raises(OverflowError, match="fuel"):
                set_to(wrong)
        for wrong_type in ("1", 1.0, None):
            with pytest.raises(TypeError, match="fuel"):
                set_to(wrong_type)  # type: ignore[arg-type]


def test_fuel_must_be_configured(store: Store) -> None:
    for use in (lambda: store.set_fuel(1), store.get_fuel, lambda: store.add_fuel(1)):
        with pytest.raises(WasmtimeError, match="fuel is not configured"):
            use()


# ---------------------------------------------------------------------------------- epochs


def test_code_traps_at_the_deadline(ticking: Engine) -> None:
    store = Store(ticking)
    spin = export(store, SPIN, "spin")
    store.set_epoch_deadline(1)
    threading.Timer(0.05, ticking.increment_epoch).start()
    with pytest.raises(Trap, match="interrupt") as caught:
        spin(store)
    assert caught.value.trap_code is TrapCode.INTERRUPT
    assert caught.value.code is TrapCode.INTERRUPT
    assert len(caught.value.frames) == 1


def test_a_store_without_a_deadline_is_due_at_once(ticking: Engine) -> None:
    store = Store(ticking)
    with pytest.raises(Trap, match="interrupt"):
        export(store, SPIN, "spin")(store)


def test_deadlines_count_from_now(ticking: Engine) -> None:
    store = Store(ticking)
    store.set_epoch_deadline(3)
    f = export(store, '(func (export "f") (loop))', "f")
    ticking.increment_epoch()
    ticking.increment_epoch()
    f(store)
    ticking.increment_epoch()
    with pytest.raises(Trap, match="interrupt"):
        f(store)
    store.set_epoch_deadline(1)
    f(store)
    store.set_epoch_deadline(0)
    with pytest.raises(Trap, match="interrupt"):
        f(store)
    store.set_epoch_deadline(ticks=2**64 - 1)
    f(store)


def test_other_threads_are_interrupted(ticking: Engine) -> None:
    outcome: list[Any] = []

    def run() -> None:
        store = Store(ticking)
        store.set_epoch_deadline(1)
        try:
            export(store, SPIN, "spin")(store)
        except Trap as trap:
            outcome.append(trap.trap_code)

    thread = threading.Thread(target=run)
    thread.start()
    while thread.is_alive():
        time.sleep(0.01)
        ticking.increment_epoch()
    assert outcome == [TrapCode.INTERRUPT]


def test_deadlines_are_unsigned_64_bit_numbers(ticking: Engine) -> None:
    store = Store(ticking)
    for wrong in (-1, 2**64):
        with pytest.raises(OverflowError, match="ticks_after_current"):
            store.set_epoch_deadline(wrong)
    with pytest.raises(TypeError):
        store.set_epoch_deadline("1")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        store.set_epoch_deadline(ticks=1, tocks=2)


def test_by_default_the_epoch_ends_nothing(engine: Engine) -> None:
    store = Store(engine)
    f = export(store, '(func (export "f") (loop))', "f")
    for _ in range(5):
        engine.increment_epoch()
        f(store)


def test_by_default_a_deadline_can_be_set(engine: Engine) -> None:
    store = Store(engine)
    spin = export(store, SPIN, "spin")
    store.set_epoch_deadline(1)
    engine.increment_epoch()
    with pytest.raises(Trap, match="interrupt"):
        spin(store)


def test_without_epoch_checks_there_are_no_deadlines() -> None:
    config = Config()
    config.epoch_interruption = False
    store = Store(Engine(config))
    with pytest.raises(WasmtimeError, match="epoch_interruption"):
        store.set_epoch_deadline(1)


def test_a_callback_decides_at_the_deadline(ticking: Engine) -> None:
    store = Store(ticking)
    spin = export(store, SPIN, "spin")
    calls = []

    def callback() -> int:
        calls.append(1)
        if len(calls) == 3:
            return 0
        return 1

    store.set_epoch_deadline_callback(callback)
    store.set_epoch_deadline(0)
    with repeatedly(ticking.increment_epoch, 0.01), pytest.raises(Trap, match="interrupt"):
        spin(store)
    assert len(calls) == 3
    store.set_epoch_deadline_callback(None)
    with pytest.raises(Trap, match="interrupt"):
        spin(store)
    assert len(calls) == 3


@pytest.mark.parametrize("exception", [LookupError(), KeyboardInterrupt(), SystemExit(1)], ids=repr)
def test_what_a_deadline_callback_raises_arrives(ticking: Engine, exception: BaseException) -> None:
    store = Store(ticking)
    spin = export(store, SPIN, "spin")

    def callback() -> int:
        raise exception

    store.set_epoch_deadline_callback(callback)
    store.set_epoch_deadline(0)
    with pytest.raises(type(exception)) as caught:
        spin(store)
    assert caught.value is exception


@pytest.mark.parametrize(
    ("returned", "error"), [(-1, OverflowError), (2**64, OverflowError), ("1", TypeError)]
)
def test_a_deadline_callback_must_return_a_number(
    ticking: Engine, returned: Any, error: type[Exception]
) -> None:
    store = Store(ticking)
    store.set_epoch_deadline_callback(lambda: returned)
    store.set_epoch_deadline(0)
    with pytest.raises(error, match="deadline callback"):
        export(store, SPIN, "spin")(store)


def test_a_deadline_callback_may_replace_itself(ticking: Engine) -> None:
    store = Store(ticking)

    class Callback:
        def __call__(self) -> int:
            store.set_epoch_deadline_callback(None)
            return 0

    store.set_epoch_deadline_callback(Callback())
    store.set_epoch_deadline(0)
    with pytest.raises(Trap, match="interrupt"):
        export(store, SPIN, "spin")(store)


def test_a_deadline_callback_may_call_the_store(ticking: Engine) -> None:
    """
    What it calls is not late, however often the epoch moves meanwhile.
    """
    store = Store(ticking)
    one = export(store, '(func (export "one") (result i32) (loop) (i32.const 1))', "one")
    answers = []

    def callback() -> int:
        for _ in range(3):
            answers.append(one(store))
            ticking.increment_epoch()
        return 0

    store.set_epoch_deadline_callback(callback)
    store.set_epoch_deadline(0)
    with pytest.raises(Trap, match="interrupt"):
        export(store, SPIN, "spin")(store)
    assert answers == [1, 1, 1]


def test_a_deadline_stays_passed_after_the_callback_ended_the_call(ticking: Engine) -> None:
    """
    On another thread than the main one, where no ticker moves the epoch.
    """
    store = Store(ticking)
    spin = export(store, SPIN, "spin")
    asked: list[int] = []

    def callback() -> int:
        asked.append(1)
        if len(asked) == 2:
            raise LookupError
        return 0

    def run() -> None:
        for error in (Trap, LookupError, Trap):
            with pytest.raises(error):
                spin(store)
        asked.append(0)

    store.set_epoch_deadline_callback(callback)
    store.set_epoch_deadline(0)
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(30)
    assert asked == [1, 1, 1, 0]


def test_callbacks_must_be_callable(store: Store) -> None:
    with pytest.raises(TypeError, match="callable"):
        store.set_epoch_deadline_callback(1)  # type: ignore[arg-type]


def test_deadlines_hold_in_code_that_a_linker_runs(ticking: Engine) -> None:
    store = Store(ticking)
    store.set_epoch_deadline(0)
    module = Module(ticking, '(func (export "_initialize") (loop (br 0)))')
    with pytest.raises(Trap, match="interrupt") as caught:
        Linker(ticking).define_module(store, "m", module)
    assert caught.value.trap_code is TrapCode.INTERRUPT


# ---------------------------------------------------------------------------------- limits


def test_memories_are_bounded(store: Store) -> None:
    store.set_limits(memory_size=3 * 65536)
    with pytest.raises(WasmtimeError, match="memory minimum size of 4 pages exceeds"):
        Memory(store, MemoryType(Limits(4)))
    memory = Memory(store, MemoryType(Limits(1)))
    assert memory.grow(store, 2) == 1
    with pytest.raises(WasmtimeError, match="failed to grow memory"):
        memory.grow(store, 1)


def test_the_guest_sees_minus_one(store: Store) -> None:
    store.set_limits(memory_size=65536)
    text = '(memory 1) (func (export "g") (result i32) (memory.grow (i32.const 1)))'
    assert export(store, text, "g")(store) == -1


def test_tables_are_bounded(store: Store) -> None:
    store.set_limits(table_elements=2)
    table = Table(store, TableType(ValType.EXTERNREF, Limits(1)), None)
    assert table.grow(store, 1, None) == 1
    with pytest.raises(WasmtimeError, match="failed to grow table"):
        table.grow(store, 1, None)


@pytest.mark.parametrize(
    ("limit", "text"),
    [("instances", "(module)"), ("tables", "(table 1 funcref)"), ("memories", "(memory 1)")],
)
def test_numbers_of_things_are_bounded(store: Store, limit: str, text: str) -> None:
    module = Module(store.engine, text)
    store.set_limits(**{limit: 1})
    Instance(store, module, [])
    with pytest.raises(WasmtimeError, match="resource limit exceeded"):
        Instance(store, module, [])
    store.set_limits()
    Instance(store, module, [])


def test_limits_are_integers(store: Store) -> None:
    for name in ("memory_size", "table_elements", "instances", "tables", "memories"):
        with pytest.raises(OverflowError, match=name):
            store.set_limits(**{name: 2**63})
        with pytest.raises(TypeError, match=name):
            store.set_limits(**{name: "1"})
    store.set_limits(2**63 - 1, -1, -5, -(2**70), -1)


def test_falsy_limits_are_limits(store: Store) -> None:
    store.set_limits(memory_size=0, instances=0)
    with pytest.raises(WasmtimeError):
        Memory(store, MemoryType(Limits(1)))
    with pytest.raises(WasmtimeError, match="resource limit exceeded"):
        Instance(store, Module(store.engine, "(module)"), [])


def test_a_store_given_to_a_host_function_is_the_same(store: Store) -> None:
    f = Func(store, FuncType([], []), lambda: store.set_limits(memories=5))
    f(store)


def test_the_interval_of_asynchronous_calls(fueled: Engine) -> None:
    store = Store(fueled)
    with pytest.raises(ValueError, match="at least 1"):
        store.set_fuel_async_yield_interval(0)
    with pytest.raises(OverflowError):
        store.set_fuel_async_yield_interval(2**64)
