"""
What lives in a store as an object of Python: equality, hash, attributes, weak references, and the
names by which programs written for the published package tell functions apart.
"""

from __future__ import annotations

import gc
import inspect
import weakref
from typing import Any

import pytest

from wasmtime import (
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
    TagType,
    component,
)

ONE_OF_EACH = """
    (func $f (export "func")) (func (export "other func"))
    (memory (export "memory") 1) (memory (export "other memory") 1)
    (table (export "table") 1 funcref) (table (export "other table") 1 funcref)
    (global (export "global") i32 (i32.const 1)) (global (export "other global") i32 (i32.const 1))
    (tag (export "tag")) (tag (export "other tag"))
    (elem (table 0) (i32.const 0) func $f)
"""
KINDS = ["func", "memory", "table", "global", "tag"]


@pytest.fixture
def engine() -> Engine:
    config = Config()
    config.wasm_exceptions = True
    return Engine(config)


@pytest.fixture
def instance(store: Store) -> Instance:
    return Instance(store, Module(store.engine, f"(module {ONE_OF_EACH})"), [])


@pytest.mark.parametrize("kind", KINDS)
def test_two_objects_for_one_item_are_equal(store: Store, instance: Instance, kind: str) -> None:
    one = instance.get_export(store, kind)
    two = instance.get_export(store, kind)
    assert one is not two
    assert one == two
    assert hash(one) == hash(two)
    assert (one != two) is False


def test_different_items_are_not(store: Store, instance: Instance) -> None:
    items = list(instance.exports(store).values())
    assert len(set(items)) == len(items)
    for item in items:
        assert [other for other in items if other == item] == [item]
        assert item != item.__class__.__name__
        assert item != 1


def test_items_of_different_stores_are_not(engine: Engine) -> None:
    module = Module(engine, f"(module {ONE_OF_EACH})")
    stores = Store(engine), Store(engine)
    one, two = (Instance(store, module, []).exports(store) for store in stores)
    assert not set(one.values()) & set(two.values())


def test_a_function_is_the_same_wherever_it_comes_from(store: Store, instance: Instance) -> None:
    exports = instance.exports(store)
    func = exports["func"]
    assert exports["table"].get(store, 0) == func
    assert {func: "named"}[exports["table"].get(store, 0)] == "named"
    global_of_host = Global(store, exports["global"].type(store), 1)
    assert global_of_host != exports["global"]


def test_memories_tables_globals_and_tags_stay_the_same_through_another_instance(
    store: Store, instance: Instance
) -> None:
    exports = instance.exports(store)
    linker = Linker(store.engine)
    linker.define_instance(store, "m", instance)
    again = linker.instantiate(
        store,
        Module(
            store.engine,
            """(module
                (import "m" "memory" (memory 1)) (export "memory" (memory 0))
                (import "m" "table" (table 1 funcref)) (export "table" (table 0))
                (import "m" "global" (global i32)) (export "global" (global 0))
                (import "m" "tag" (tag)) (export "tag" (tag 0)))""",
        ),
    ).exports(store)
    assert dict(again) == {name: exports[name] for name in again}


def test_what_python_makes_is_itself(store: Store) -> None:
    made: list[Any] = [
        Func(store, FuncType([], []), lambda: None),
        Memory(store, MemoryType(Limits(1))),
        Tag(store, TagType(FuncType([], []))),
    ]
    for item in made:
        assert item == item
        assert hash(item) == hash(item)
    assert len(set(made)) == 3


def test_instances_are_compared_too(store: Store) -> None:
    module = Module(store.engine, "(module)")
    one, two = Instance(store, module, []), Instance(store, module, [])
    assert one == one
    assert one != two
    assert len({one, two}) == 2


def test_equality_and_hash_need_no_store(engine: Engine) -> None:
    store = Store(engine)
    instance = Instance(store, Module(engine, f"(module {ONE_OF_EACH})"), [])
    one, two = instance.get_export(store, "func"), instance.get_export(store, "func")
    hashed = hash(one)
    store.close()
    assert one == two
    assert hash(one) == hash(two) == hashed
    del store
    gc.collect()
    assert one == two
    assert hash(one) == hashed


def test_what_was_never_made_equals_itself_only_and_has_no_hash() -> None:
    for cls in (Func, Memory, Table, Global, Tag, Instance):
        one, two = cls.__new__(cls), cls.__new__(cls)
        assert one == one
        assert one != two
        with pytest.raises(ValueError, match="never initialized"):
            hash(one)


def test_a_shared_memory_in_the_form_of_a_memory() -> None:
    config = Config()
    config.wasm_threads = True
    config.shared_memory = True
    store = Store(Engine(config))
    ty = MemoryType(Limits(1, 1), shared=True)
    one, two = SharedMemory(store.engine, ty), SharedMemory(store.engine, ty)
    assert one.as_memory(store) == one.as_memory(store)
    assert hash(one.as_memory(store)) == hash(one.as_memory(store))
    assert one.as_memory(store) != two.as_memory(store)


COMPONENT = """
(component
  (core module $m (func (export "f")) (func (export "g")))
  (core instance $i (instantiate $m))
  (func (export "f") (canon lift (core func $i "f")))
  (func (export "g") (canon lift (core func $i "g"))))
"""


def test_functions_and_instances_of_components(store: Store) -> None:
    compiled = component.Component(store.engine, COMPONENT)
    linker = component.Linker(store.engine)
    instance = linker.instantiate(store, compiled)
    f, again, g = (instance.get_func(store, name) for name in ("f", "f", "g"))
    assert f == again
    assert hash(f) == hash(again)
    assert f != g
    # Another way to map values is another function to Python.
    assert instance.exports(store)["f"] != f
    assert instance == instance
    assert instance != linker.instantiate(store, compiled)


# --- as the published package has it -------------------------------------------------------------


def test_the_fields_of_a_function_tell_functions_apart(store: Store, instance: Instance) -> None:
    def key(func: Any) -> tuple[int, int]:
        return (func._func.store_id, getattr(func._func, "__private"))

    exports: Any = instance.exports(store)
    names = {key(exports[name]): name for name in ("func", "other func")}
    assert names[key(exports["table"].get(store, 0))] == "func"
    assert len(names) == 2
    assert {type(number) for number in key(exports["func"])} == {int}
    other = Func(Store(store.engine), FuncType([], []), lambda: None)
    assert other._func.store_id != exports["func"]._func.store_id


def test_exports_as_a_dict_in_the_modules_order(store: Store, instance: Instance) -> None:
    exports: Any = instance.exports(store)
    exports["tag"]
    assert type(exports._extern_map) is dict
    assert list(exports._extern_map) == list(exports)
    assert list(exports._extern_map.values()) == list(exports.by_index)
    assert exports._extern_map is exports._extern_map


def test_the_signature_of_a_function_is_that_of_a_call(store: Store, instance: Instance) -> None:
    func: Any = instance.exports(store)["func"]
    assert list(inspect.signature(func).parameters) == ["store", "params"]
    inspect.signature(func).bind(store, 1, 2)
    assert "access_caller" in inspect.signature(Func).parameters
    compiled = component.Component(store.engine, COMPONENT)
    exports = component.Linker(store.engine).instantiate(store, compiled).exports(store)
    assert list(inspect.signature(exports["f"]).parameters) == ["store", "params"]


def test_exports_and_what_is_exported_take_attributes(store: Store, instance: Instance) -> None:
    exports = instance.exports(store)
    for holder in (instance, exports, *exports.values()):
        holder.label = "mine"  # type: ignore[union-attr]
        assert holder.label == "mine"  # type: ignore[union-attr]


def test_exports_and_what_is_exported_can_be_referred_to_weakly(store: Store) -> None:
    instance = Instance(store, Module(store.engine, f"(module {ONE_OF_EACH})"), [])
    exports = instance.exports(store)
    references = [weakref.ref(holder) for holder in (instance, exports, *exports.values())]
    assert all(reference() is not None for reference in references)
    del instance, exports
    gc.collect()
    assert [reference() for reference in references] == [None] * len(references)


def test_an_attribute_that_leads_back_is_collected(store: Store, instance: Instance) -> None:
    func: Any = instance.get_export(store, "func")
    func.itself = func
    reference = weakref.ref(func)
    del func
    gc.collect()
    assert reference() is None
