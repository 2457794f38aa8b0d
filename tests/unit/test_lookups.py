"""
Looking up by name and kind: in exports, in the caller of a host function, and in linkers.
"""

from __future__ import annotations

import threading
from typing import Any, Callable, NamedTuple

import pytest

from wasmtime import (
    Caller,
    Config,
    Engine,
    Func,
    FuncType,
    Global,
    Instance,
    Limits,
    Linker,
    Memory,
    MemoryType,
    Module,
    SharedMemory,
    Store,
    Table,
    Tag,
    WasmtimeError,
    component,
)

#: The methods, by the name of an export of that kind, and the class of what they return.
KINDS = {
    "func": ("get_func", Func),
    "memory": ("get_memory", Memory),
    "shared": ("get_shared_memory", SharedMemory),
    "table": ("get_table", Table),
    "global": ("get_global", Global),
    "tag": ("get_tag", Tag),
}
PAIRS = [(kind, other) for kind in KINDS for other in KINDS if kind != other]

TEXT = """
(module
  (import "host" "shared" (memory $shared 1 1 shared))
  (import "host" "call" (func $call))
  (func (export "func") (call $call))
  (memory (export "memory") 1)
  (export "shared" (memory $shared))
  (table (export "table") 1 funcref)
  (global (export "global") i32 (i32.const 1))
  (tag (export "tag")))
"""


class World(NamedTuple):
    store: Store
    linker: Linker
    instance: Instance
    calls: list[Callable[[Caller], None]]


@pytest.fixture(scope="module")
def sharing() -> Engine:
    """
    An engine that allows shared memories.
    """
    config = Config()
    config.shared_memory = True
    return Engine(config)


@pytest.fixture
def world(sharing: Engine) -> World:
    """
    An instance with an export of each kind, whose host function does what is in `calls`.
    """
    store, linker = Store(sharing), Linker(sharing)
    calls: list[Callable[[Caller], None]] = []
    linker.define(
        store, "host", "shared", SharedMemory(sharing, MemoryType(Limits(1, 1), shared=True))
    )

    @linker.func("host")
    def call(caller: Caller) -> None:
        for each in calls:
            each(caller)

    instance = linker.instantiate(store, Module(sharing, TEXT))
    linker.define_instance(store, "guest", instance)
    return World(store, linker, instance, calls)


#: Looks something up: it gets the object to look in, and the arguments before the name.
LookUp = Callable[[Any, tuple[Any, ...]], Any]


def in_exports(world: World, look_up: LookUp) -> Any:
    return look_up(world.instance.exports(world.store), ())


def in_caller(world: World, look_up: LookUp) -> Any:
    found = []
    world.calls.append(lambda caller: found.append(look_up(caller, ())))
    world.instance.exports(world.store).get_func("func")(world.store)
    return found[0]


def in_linker(world: World, look_up: LookUp) -> Any:
    return look_up(world.linker, (world.store, "guest"))


PLACES = [in_exports, in_caller, in_linker]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: str(place.__name__))
class TestEverywhere:
    @pytest.mark.parametrize("name", KINDS)
    def test_an_item_is_found_by_its_kind(self, world: World, place: Any, name: str) -> None:
        method, kind = KINDS[name]
        item = place(world, lambda where, front: getattr(where, method)(*front, name))
        assert type(item) is kind
        if kind is not SharedMemory:  # each object of which is one of its own
            assert item == world.instance.exports(world.store)[name]

    @pytest.mark.parametrize(("name", "wanted"), PAIRS)
    def test_another_kind_is_refused_and_told(
        self, world: World, place: Any, name: str, wanted: str
    ) -> None:
        way_out, kind = KINDS[name]
        method, expected = KINDS[wanted]
        message = (
            rf"'{name}' is of the type {kind.__name__}, not {expected.__name__}: {way_out}\(\)"
        )
        with pytest.raises(TypeError, match=message):
            place(world, lambda where, front: getattr(where, method)(*front, name))

    @pytest.mark.parametrize("method", [method for method, _ in KINDS.values()])
    def test_what_is_not_there_is_a_key_error(self, world: World, place: Any, method: str) -> None:
        with pytest.raises(KeyError, match="nothing"):
            place(world, lambda where, front: getattr(where, method)(*front, "nothing"))


def test_an_export_is_the_same_object_each_time(world: World) -> None:
    exports = world.instance.exports(world.store)
    assert exports.get_func("func") is exports["func"]
    assert exports.get_func(name="func") is exports.get_func("func")


def test_what_is_known_is_found_without_the_store_and_the_rest_is_not(world: World) -> None:
    exports = world.instance.exports(world.store)
    known = exports.get_func("func")
    world.store.close()
    assert exports.get_func("func") is known
    with pytest.raises(ValueError, match="closed"):
        exports.get_memory("memory")


def test_a_linker_refuses_closed_stores_and_other_stores(world: World, sharing: Engine) -> None:
    with pytest.raises(WasmtimeError, match="another store"):
        world.linker.get_func(Store(sharing), "guest", "func")
    with pytest.raises(WasmtimeError, match="another engine"):
        world.linker.get_func(Store(), "guest", "func")
    with pytest.raises(TypeError, match="name must be a str"):
        world.linker.get_func(world.store, "guest", 1)  # type: ignore[arg-type]
    world.store.close()
    with pytest.raises(ValueError, match="closed"):
        world.linker.get_func(world.store, "guest", "func")


def test_a_linker_finds_what_belongs_to_no_store_in_each(world: World, sharing: Engine) -> None:
    world.linker.define_func("host", "six", FuncType([], []), lambda: None)
    for store in (world.store, Store(sharing)):
        world.linker.get_func(store, "host", "six")(store)
        assert world.linker.get_shared_memory(store, "host", "shared").size() == 1


def test_a_caller_finds_nothing_when_its_call_has_ended(world: World) -> None:
    kept: list[Caller] = []
    world.calls.append(kept.append)
    world.instance.exports(world.store).get_func("func")(world.store)
    with pytest.raises(KeyError, match="func"):
        kept[0].get_func("func")


def test_a_store_in_use_by_another_thread_is_refused(world: World) -> None:
    exports = world.instance.exports(world.store)
    inside, finish = threading.Event(), threading.Event()

    def wait(caller: Caller) -> None:
        inside.set()
        finish.wait(30)

    world.calls.append(wait)
    busy = threading.Thread(target=exports.get_func("func"), args=(world.store,))
    busy.start()
    try:
        assert inside.wait(30)
        with pytest.raises(WasmtimeError, match="in use by another thread"):
            exports.get_memory("memory")
        with pytest.raises(WasmtimeError, match="in use by another thread"):
            world.linker.get_memory(world.store, "guest", "memory")
    finally:
        finish.set()
        busy.join()


class TestComponents:
    """
    The exports of a component nest.
    """

    def exports(self, store: Store, name: str = "six") -> component.Exports:
        compiled = component.Component(
            store.engine,
            f"""
            (component
              (core module $m (func (export "six") (result i32) (i32.const 6)))
              (core instance $i (instantiate $m))
              (func $six (result u32) (canon lift (core func $i "six")))
              (instance $numbers (export "{name}" (func $six)))
              (export "example:math/numbers@1.0.0" (instance $numbers)))
            """,
        )
        return component.Linker(store.engine).instantiate(store, compiled).exports(store)

    def test_functions_and_interfaces(self, store: Store) -> None:
        exports = self.exports(store)
        numbers = exports.get_instance("numbers")
        assert numbers is exports["example:math/numbers@1.0.0"]
        assert numbers.get_func("six") is numbers["six"]
        assert numbers.get_func("six")(store) == 6

    def test_another_kind_is_refused_and_told(self, store: Store) -> None:
        exports = self.exports(store)
        with pytest.raises(
            TypeError, match=r"'numbers' is of the type Exports, not Func: get_instance\(\)"
        ):
            exports.get_func("numbers")
        with pytest.raises(TypeError, match=r"'six' is of the type Func, not Exports: get_func"):
            exports.numbers.get_instance("six")
        with pytest.raises(KeyError, match="there is no such export, only"):
            exports.get_func("seven")

    def test_an_export_of_the_name_of_a_method_takes_its_place(self, store: Store) -> None:
        numbers = self.exports(store, "get-func").numbers
        assert numbers.get_func(store) == 6
