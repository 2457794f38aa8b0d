"""
`Store.set_limits(total_memory=...)`: one number for all linear memories, and what is beside it.
"""

from __future__ import annotations

from typing import Any

import pytest

from wasmtime import (
    Config,
    Engine,
    Instance,
    Limits,
    Memory,
    MemoryType,
    Module,
    Store,
    Table,
    TableType,
    ValType,
    WasmtimeError,
)

PAGE = 65536


def memory(store: Store, pages: int = 0) -> Memory:
    return Memory(store, MemoryType(Limits(pages, None)))


def table(store: Store, elements: int = 0) -> Table:
    return Table(store, TableType(ValType.FUNCREF, Limits(elements, None)), None)


def test_one_memory_may_use_all(store: Store) -> None:
    store.set_limits(total_memory=8 * PAGE)
    module = Module(store.engine, '(memory (export "memory") 0)')
    one: Any = Instance(store, module, []).exports(store)["memory"]
    one.grow(store, 8)
    with pytest.raises(WasmtimeError, match="failed to grow"):
        one.grow(store, 1)
    with pytest.raises(WasmtimeError, match="resource limit exceeded"):
        Instance(store, Module(store.engine, "(memory 0)"), [])


@pytest.mark.parametrize("count", [2, 3, 5])
def test_several_memories_share_it(store: Store, count: int) -> None:
    """
    Whatever they do, together they never have more.
    """
    store.set_limits(total_memory=8 * PAGE, memories=count)
    exports: Any = Instance(
        store,
        Module(
            store.engine,
            "\n".join(f'(memory (export "{n}") 0)' for n in range(count)),
        ),
        [],
    ).exports(store)
    for n in range(count):
        exports[str(n)].grow(store, 8 // count)
        with pytest.raises(WasmtimeError, match="failed to grow"):
            exports[str(n)].grow(store, 1)
    assert sum(exports[str(n)].size(store) for n in range(count)) <= 8
    with pytest.raises(WasmtimeError, match="resource limit exceeded"):
        Instance(store, Module(store.engine, "(memory 0)"), [])


def test_the_smaller_bound_counts(store: Store) -> None:
    store.set_limits(total_memory=8 * PAGE, memory_size=2 * PAGE)
    one = memory(store, 2)
    with pytest.raises(WasmtimeError, match="failed to grow"):
        one.grow(store, 1)


def test_memories_of_the_host_have_a_share_and_are_not_counted(store: Store) -> None:
    store.set_limits(total_memory=8 * PAGE, memories=2)
    for _ in range(3):
        one = memory(store, 4)
        with pytest.raises(WasmtimeError, match="failed to grow"):
            one.grow(store, 1)


def test_no_memories_at_all(store: Store) -> None:
    store.set_limits(total_memory=0)
    memory(store, 0)
    with pytest.raises(WasmtimeError):
        memory(store, 1)
    store.set_limits(total_memory=PAGE, memories=0)
    with pytest.raises(WasmtimeError, match="resource limit exceeded"):
        Instance(store, Module(store.engine, "(memory 0)"), [])


def test_tables_together_take_no_more_bytes(store: Store) -> None:
    store.set_limits(total_memory=PAGE)
    one = table(store)
    one.grow(store, PAGE // 16 // 16, None)
    with pytest.raises(WasmtimeError, match="failed to grow"):
        one.grow(store, 1, None)
    tables = "(table 0 funcref)" * 16
    Instance(Store(store.engine), Module(store.engine, tables), [])
    with pytest.raises(WasmtimeError, match="resource limit exceeded"):
        Instance(store, Module(store.engine, tables + "(table 0 funcref)"), [])


def test_tables_have_the_bounds_that_they_are_given(store: Store) -> None:
    store.set_limits(total_memory=PAGE, table_elements=1000)
    table(store, 1000)
    store.set_limits(total_memory=PAGE, tables=17)
    Instance(store, Module(store.engine, "(table 5000 funcref)" * 17), [])


def test_the_heap_of_the_gc_proposal_may_be_as_large_as_one_memory() -> None:
    store = Store(Engine(Config(wasm_gc=True)))
    text = """(type $bytes (array (mut i8)))
        (func (export "make") (param i32) (drop (array.new_default $bytes (local.get 0))))"""
    make: Any = Instance(store, Module(store.engine, text), []).exports(store)["make"]
    store.set_limits(total_memory=4 << 20)
    make(store, 1 << 20)
    with pytest.raises(Exception, match="GC heap"):
        make(store, 8 << 20)


def test_what_the_package_makes_for_itself_does_not_count(store: Store) -> None:
    """
    Neither by number nor by size, nor does the user get more by it.
    """
    module = Module(store.engine, "(memory 4)")
    empty = Module(store.engine, "(module)")
    store.set_limits(total_memory=PAGE, instances=2)
    Instance(store, empty, [])
    store._suspend_limits()
    Instance(store, module, [])
    store._resume_limits(1, 1)
    Instance(store, Module(store.engine, "(memory 1)"), [])
    with pytest.raises(WasmtimeError, match="instance count too high"):
        Instance(store, empty, [])
    store.set_limits(total_memory=PAGE, instances=3)
    Instance(store, empty, [])
    store.set_limits(total_memory=PAGE)
    with pytest.raises(WasmtimeError, match="memory count too high"):
        Instance(store, module, [])


def test_without_limits_nothing_is_bounded_by_what_the_package_makes(store: Store) -> None:
    store._suspend_limits()
    memory(store, 1)
    store._resume_limits(0, 1)
    Instance(store, Module(store.engine, "(memory 4)"), [])
    store.set_limits()
    Instance(store, Module(store.engine, "(memory 4)"), [])
