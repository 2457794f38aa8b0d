"""
Memories that several stores and threads share (threads proposal).
"""

from __future__ import annotations

import gc
import threading
from typing import Any

import pytest

from wasmtime import (
    Config,
    Engine,
    Instance,
    Limits,
    Linker,
    Memory,
    MemoryType,
    Module,
    SharedMemory,
    Store,
    WasmtimeError,
)

TYPE = MemoryType(Limits(1, 2), shared=True)


@pytest.fixture(scope="module")
def sharing() -> Engine:
    """
    An engine that allows shared memories.
    """
    config = Config()
    config.wasm_threads = True
    config.shared_memory = True
    return Engine(config)


def test_sizes_and_growth(sharing: Engine) -> None:
    memory = SharedMemory(sharing, TYPE)
    assert (memory.size(), memory.data_len()) == (1, 65536)
    assert memory.type() == TYPE
    assert memory.grow(1) == 1
    assert memory.size() == 2
    with pytest.raises(WasmtimeError):
        memory.grow(1)
    with pytest.raises(WasmtimeError, match="negative"):
        memory.grow(-1)
    with pytest.raises(OverflowError, match="delta"):
        memory.grow(2**64)
    with pytest.raises(TypeError, match="delta"):
        memory.grow("1")  # type: ignore[arg-type]


def test_the_type_must_be_shared(sharing: Engine) -> None:
    with pytest.raises(WasmtimeError, match="shared"):
        SharedMemory(sharing, MemoryType(Limits(1, 2)))
    with pytest.raises(TypeError):
        SharedMemory(sharing, Limits(1, 2))  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        SharedMemory(Store(sharing), TYPE)  # type: ignore[arg-type]


def test_the_engine_must_allow_them() -> None:
    config = Config()
    config.shared_memory = False
    with pytest.raises(WasmtimeError, match="shared"):
        SharedMemory(Engine(config), TYPE)


def test_the_pointer_stays_while_it_grows(sharing: Engine) -> None:
    memory = SharedMemory(sharing, TYPE)
    pointer = memory.data_ptr()
    pointer[0] = 7
    memory.grow(1)
    assert memory.data_ptr() == pointer
    assert memory.data_ptr()[0] == 7


def test_stores_see_each_others_writes(sharing: Engine) -> None:
    memory = SharedMemory(sharing, TYPE)
    module = Module(
        sharing,
        """
        (import "" "" (memory 1 2 shared))
        (func (export "get") (result i32) (i32.atomic.load (i32.const 0)))
        (func (export "add") (param i32)
            (drop (i32.atomic.rmw.add (i32.const 0) (local.get 0))))
        """,
    )
    stores = [Store(sharing) for _ in range(3)]
    exports = [Instance(store, module, [memory]).exports(store) for store in stores]
    for store, found in zip(stores, exports):
        found["add"](store, 5)
    assert [found["get"](store) for store, found in zip(stores, exports)] == [15, 15, 15]


def test_threads_with_a_store_each_share_one_memory(sharing: Engine) -> None:
    memory = SharedMemory(sharing, TYPE)
    module = Module(
        sharing,
        """
        (import "" "" (memory 1 2 shared))
        (func (export "count") (param i32)
            (loop
                (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))
                (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
                (br_if 0 (local.get 0))))
        """,
    )

    def run() -> None:
        store = Store(sharing)
        Instance(store, module, [memory]).exports(store)["count"](store, 10000)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counted = int.from_bytes(bytes(memory.data_ptr()[:4]), "little")
    assert counted == 40000


def test_exported_and_linked_ones_are_shared_memories(sharing: Engine) -> None:
    store = Store(sharing)
    module = Module(sharing, '(memory (export "m") 1 2 shared)')
    exported: Any = Instance(store, module, []).exports(store)["m"]
    assert isinstance(exported, SharedMemory)
    assert exported.size() == 1
    linker = Linker(sharing)
    linker.define(store, "a", "b", exported)
    assert isinstance(linker.get(store, "a", "b"), SharedMemory)
    store.close()
    exported.data_ptr()[0] = 1  # it outlives the store
    assert exported.grow(1) == 1


def test_as_memory_checks_the_store(sharing: Engine) -> None:
    memory = SharedMemory(sharing, TYPE)
    store = Store(sharing)
    seen = memory.as_memory(store)
    assert isinstance(seen, Memory)
    assert seen.size(store) == 1
    seen.write(store, b"shared")
    assert bytes(memory.data_ptr()[:6]) == b"shared"
    assert Instance(store, Module(sharing, '(import "" "" (memory 1 2 shared))'), [seen])
    with pytest.raises(WasmtimeError, match="another engine"):
        memory.as_memory(Store())
    closed = Store(sharing)
    closed.close()
    with pytest.raises(ValueError, match="closed"):
        memory.as_memory(closed)


def test_a_memory_of_another_engine_is_refused(sharing: Engine) -> None:
    memory = SharedMemory(sharing, TYPE)
    config = Config()
    config.shared_memory = True
    other = Engine(config)
    store = Store(other)
    with pytest.raises(WasmtimeError, match="another engine"):
        Instance(store, Module(other, '(import "" "" (memory 1 2 shared))'), [memory])
    with pytest.raises(WasmtimeError, match="another engine"):
        Linker(other).define(store, "a", "b", memory)


def test_a_closed_memory_says_so(sharing: Engine) -> None:
    memory = SharedMemory(sharing, TYPE)
    memory.close()
    memory.close()
    for use in (memory.size, memory.data_len, memory.data_ptr, memory.type):
        with pytest.raises(ValueError, match="already closed"):
            use()
    store = Store(sharing)
    with pytest.raises(ValueError, match="already closed"):
        Instance(store, Module(sharing, '(import "" "" (memory 1 2 shared))'), [memory])


def test_raw_pointers_keep_a_shared_memory(sharing: Engine) -> None:
    memory = SharedMemory(sharing, MemoryType(Limits(1, 2), shared=True))
    pointer = memory.data_ptr()
    memory.grow(1)
    pointer[65536] = 7
    with pytest.raises(IndexError, match="index out of range: byte 131072"):
        pointer[131072]
    array = memory.as_memory(Store(sharing)).get_buffer_ptr(Store(sharing))
    memory.close()
    del memory
    gc.collect()
    assert pointer[65536] == array[65536] == 7


def test_nothing_can_be_written_at_the_very_end_of_a_shared_memory(sharing: Engine) -> None:
    memory = SharedMemory(sharing, MemoryType(Limits(1, 1), shared=True))
    assert memory.write(b"", 65536) == 0
    with pytest.raises(IndexError):
        memory.write(b"", 65537)
