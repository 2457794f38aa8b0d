"""
Linear memories: sizes, growth, copies in and out, pointers and views.
"""

from __future__ import annotations

import ctypes
import gc
import weakref
from typing import Any

import pytest

from wasmtime import (
    Config,
    Engine,
    Func,
    FuncType,
    Limits,
    Memory,
    MemoryType,
    Store,
    WasmtimeError,
)

PAGE = 65536


@pytest.fixture
def memory(store: Store) -> Memory:
    """
    A memory of one page that can grow to three.
    """
    return Memory(store, MemoryType(Limits(1, 3)))


def test_sizes_are_in_pages_and_bytes(store: Store, memory: Memory) -> None:
    assert memory.size(store) == 1
    assert memory.data_len(store) == PAGE
    assert memory.page_size(store) == PAGE
    assert memory.page_size_log2(store) == 16


def test_the_type_tells_the_limits(store: Store, memory: Memory) -> None:
    assert memory.type(store).limits == Limits(1, 3)
    assert not memory.type(store).is_64


def test_growth_returns_the_size_before(store: Store, memory: Memory) -> None:
    assert memory.grow(store, 0) == 1
    assert memory.grow(store, 1) == 1
    assert memory.grow(store, 1) == 2
    assert memory.size(store) == 3
    with pytest.raises(WasmtimeError, match="failed to grow memory by `1`"):
        memory.grow(store, 1)
    assert memory.size(store) == 3


@pytest.mark.parametrize("delta", [-1, -(2**70)])
def test_memories_do_not_shrink(store: Store, memory: Memory, delta: int) -> None:
    with pytest.raises(WasmtimeError, match="cannot grow by negative amount"):
        memory.grow(store, delta)


def test_growth_is_an_integer(store: Store, memory: Memory) -> None:
    with pytest.raises(OverflowError, match="delta"):
        memory.grow(store, 2**64)
    with pytest.raises(WasmtimeError):
        memory.grow(store, 2**64 - 1)
    for wrong in (1.0, "1", None):
        with pytest.raises(TypeError, match="delta must be an int"):
            memory.grow(store, wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("start", [None, 0, 1, 5, PAGE - 1, PAGE, PAGE + 1, -1, -5, -PAGE - 3])
@pytest.mark.parametrize("stop", [None, 0, 1, 7, PAGE, PAGE + 9, 2**70, -1, -9, -(2**70)])
def test_reads_have_the_semantics_of_list_slices(
    store: Store, memory: Memory, start: Any, stop: Any
) -> None:
    pattern = bytes(range(256)) * (PAGE // 256)
    memory.write(store, pattern)
    read = memory.read(store, start, stop)
    assert type(read) is bytearray
    assert read == pattern[start:stop]


def test_reads_default_to_everything(store: Store, memory: Memory) -> None:
    assert memory.read(store) == bytes(PAGE)
    assert len(memory.read(store, 10)) == PAGE - 10
    assert memory.read(store, start=2, stop=4) == b"\0\0"


def test_a_read_is_a_copy(store: Store, memory: Memory) -> None:
    read = memory.read(store, 0, 4)
    memory.write(store, b"abcd")
    assert read == b"\0\0\0\0"
    read[:] = b"wxyz"
    assert memory.read(store, 0, 4) == b"abcd"


@pytest.mark.parametrize(
    "value",
    [b"abc", bytearray(b"abc"), memoryview(b"abc"), [97, 98, 99], (ctypes.c_char * 3)(*b"abc")],
    ids=lambda value: type(value).__name__,
)
def test_writes_take_anything_like_bytes(store: Store, memory: Memory, value: Any) -> None:
    assert memory.write(store, value, 5) == 3
    assert memory.read(store, 4, 9) == b"\0abc\0"


def test_where_writes_go(store: Store, memory: Memory) -> None:
    assert memory.write(store, b"begin") == 5
    assert memory.write(store, b"end", -3) == 3
    assert memory.write(store, b"", 7) == 0
    assert memory.write(store, value=b"k", start=10) == 1
    assert memory.write(store, data=b"d", start=11) == 1
    assert memory.read(store, 0, 5) == b"begin"
    assert memory.read(store, -3) == b"end"
    assert memory.read(store, 10, 12) == b"kd"


@pytest.mark.parametrize("start", [PAGE, PAGE - 2, PAGE + 1, 2**70])
def test_a_write_that_does_not_fit_writes_nothing(store: Store, memory: Memory, start: int) -> None:
    with pytest.raises(IndexError, match="index out of range"):
        memory.write(store, b"abc", start)
    assert memory.read(store) == bytes(PAGE)


def test_wrong_values_are_refused(store: Store, memory: Memory) -> None:
    for wrong in ("text", 3, None, object()):
        with pytest.raises(TypeError):
            memory.write(store, wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="256"):
        memory.write(store, [256])
    with pytest.raises(TypeError, match="slice indices"):
        memory.read(store, "0")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="slice indices"):
        memory.write(store, b"", 1.0)  # type: ignore[arg-type]


def test_writing_a_memory_to_itself(store: Store, memory: Memory) -> None:
    memory.write(store, b"abcdef")
    overlap = memory.get_buffer_ptr(store, 6, 0)
    memory.write(store, overlap, 2)
    assert memory.read(store, 0, 8) == b"ababcdef"


def test_the_pointer_is_a_pointer_and_an_integer(store: Store, memory: Memory) -> None:
    memory.write(store, b"abc")
    pointer = memory.data_ptr(store)
    assert pointer[1] == ord("b")
    pointer[1] = ord("X")
    assert memory.read(store, 0, 3) == b"aXc"
    assert int(pointer) == ctypes.addressof(pointer.contents)
    assert ctypes.cast(pointer, ctypes.c_void_p).value == int(pointer)
    assert ctypes.string_at(int(pointer), 3) == b"aXc"
    assert bytes((ctypes.c_ubyte * 3).from_address(int(pointer))) == b"aXc"
    assert pointer == memory.data_ptr(store)
    assert hex(pointer) == hex(int(pointer))


def test_a_ctypes_array_looks_into_the_memory(store: Store, memory: Memory) -> None:
    whole = memory.get_buffer_ptr(store)
    assert len(whole) == PAGE
    part = memory.get_buffer_ptr(store, 4, 8)
    part[0] = 65
    assert memory.read(store, 8, 10) == b"A\0"
    for size, offset in ((PAGE + 1, 0), (1, PAGE), (-1, 0), (1, -1)):
        with pytest.raises(IndexError):
            memory.get_buffer_ptr(store, size, offset)


def test_what_the_guest_writes_is_seen_and_the_reverse(store: Store, exports_of: Any) -> None:
    exports = exports_of(
        """
        (memory (export "memory") 1)
        (func (export "get") (param i32) (result i32) (i32.load (local.get 0)))
        (func (export "set") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
        """
    )
    exports["memory"].write(store, (77).to_bytes(4, "little"), 100)
    assert exports["get"](store, 100) == 77
    exports["set"](store, 200, 88)
    assert exports["memory"].read(store, 200, 204) == (88).to_bytes(4, "little")


def test_memories_of_64_bits(store: Store) -> None:
    memory = Memory(store, MemoryType(Limits(1, 2**33), is_64=True))
    assert memory.type(store).is_64
    assert memory.type(store).limits.max == 2**33
    assert memory.grow(store, 1) == 1


def test_shared_memories_are_of_another_class(store: Store) -> None:
    with pytest.raises(WasmtimeError, match="shared"):
        Memory(store, MemoryType(Limits(1, 2), shared=True))


def test_memories_that_the_machine_cannot_have(store: Store) -> None:
    with pytest.raises(WasmtimeError):
        Memory(store, MemoryType(Limits(2**47), is_64=True))


def test_arguments_of_the_constructor(engine: Engine, store: Store) -> None:
    with pytest.raises(TypeError):
        Memory(store, Limits(1))  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Memory(engine, MemoryType(Limits(1)))  # type: ignore[arg-type]
    assert Memory(store=store, ty=MemoryType(Limits(0))).data_len(store) == 0


def test_an_empty_memory(store: Store) -> None:
    memory = Memory(store, MemoryType(Limits(0)))
    assert memory.read(store) == b""
    with pytest.raises(IndexError):
        memory.write(store, b"a")
    assert len(memory.get_buffer_ptr(store)) == 0


def test_a_number_in_any_form_is_nothing_to_write(store: Store) -> None:
    class Index:
        def __index__(self) -> int:
            return 3

    memory = Memory(store, MemoryType(Limits(1, 1)))
    memory.write(store, b"abc")
    for number in (3, True, Index()):
        with pytest.raises(TypeError, match="bytes-like"):
            memory.write(store, number)  # type: ignore[arg-type]
    assert memory.read(store, 0, 3) == b"abc"


def test_nothing_can_be_written_at_the_very_end(store: Store, memory: Memory) -> None:
    assert memory.write(store, b"", PAGE) == 0
    with pytest.raises(IndexError):
        memory.write(store, b"", PAGE + 1)
    assert Memory(store, MemoryType(Limits(0))).write(store, b"") == 0


# --- raw pointers --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "index", [PAGE, -1, slice(0, PAGE + 1), slice(-2, 2), slice(PAGE, 1, -1), slice(0, 2**70)]
)
def test_a_pointer_is_not_indexed_beyond_the_memory(
    store: Store, memory: Memory, index: Any
) -> None:
    pointer = memory.data_ptr(store)
    with pytest.raises(IndexError, match="index out of range: byte"):
        pointer[index]
    if isinstance(index, int):
        with pytest.raises(IndexError):
            pointer[index] = 1
    assert pointer[PAGE - 1] == 0
    assert pointer[2 : PAGE : PAGE // 2] == [0, 0]


def test_iterating_over_a_pointer_ends_with_the_memory(store: Store, memory: Memory) -> None:
    assert sum(1 for _ in memory.data_ptr(store)) == PAGE


def test_what_a_memory_grew_by_can_be_indexed(store: Store, memory: Memory) -> None:
    pointer = memory.data_ptr(store)
    memory.grow(store, 1)
    pointer[PAGE] = 7
    assert memory.read(store, PAGE, PAGE + 1) == b"\7"
    with pytest.raises(IndexError):
        pointer[2 * PAGE]


def test_a_pointer_to_a_memory_that_has_moved_is_not_indexed() -> None:
    config = Config()
    config.memory_reservation = 0
    config.memory_reservation_for_growth = 0
    store = Store(Engine(config))
    memory = Memory(store, MemoryType(Limits(1)))
    pointer = memory.data_ptr(store)
    pointer[0] = 1
    memory.grow(store, 100)
    if pointer != memory.data_ptr(store):
        with pytest.raises(BufferError, match="has moved"):
            pointer[0]
    assert memory.data_ptr(store)[0] == 1


@pytest.mark.parametrize("gone", ["closed", "collected"])
def test_raw_pointers_keep_the_bytes(engine: Engine, gone: str) -> None:
    store = Store(engine)
    memory = Memory(store, MemoryType(Limits(1)))
    reference = weakref.ref(store)
    pointer = memory.data_ptr(store)
    pointer[3] = 7
    kept = [
        pointer,
        memory.get_buffer_ptr(store),
        ctypes.cast(pointer, ctypes.POINTER(ctypes.c_uint8)),
        ctypes.cast(memory.get_buffer_ptr(store), ctypes.POINTER(ctypes.c_uint8)),
        memoryview(memory.get_buffer_ptr(store)).cast("B"),
        (ctypes.c_uint8 * 4).from_buffer(memory.get_buffer_ptr(store)),
    ]
    if gone == "closed":
        store.close()
        for use in (memory.data_ptr, memory.get_buffer_ptr, memory.size):
            with pytest.raises(ValueError, match="closed"):
                use(store)
    del store, memory, pointer
    while kept:
        gc.collect()
        assert reference() is not None
        assert [each[3] for each in kept] == [7] * len(kept)
        del kept[0]
    gc.collect()
    assert reference() is None


def test_a_closed_store_is_deleted_with_the_last_pointer(engine: Engine) -> None:
    def kept_by_the_store() -> None:
        pass

    freed = weakref.ref(kept_by_the_store)
    store = Store(engine)
    Func(store, FuncType([], []), kept_by_the_store)
    pointer = Memory(store, MemoryType(Limits(1))).data_ptr(store)
    array = Memory(store, MemoryType(Limits(1))).get_buffer_ptr(store)
    store.close()
    del kept_by_the_store, pointer
    gc.collect()
    assert freed() is not None
    del array
    gc.collect()
    assert freed() is None


def test_a_pointer_held_by_a_host_function_does_not_leak_its_store(engine: Engine) -> None:
    store = Store(engine)
    pointer = Memory(store, MemoryType(Limits(1))).data_ptr(store)
    Func(store, FuncType([], []), lambda pointer=pointer: pointer[0])
    reference = weakref.ref(store)
    del store, pointer
    gc.collect()
    assert reference() is None


def test_a_pointer_that_ctypes_made_is_as_any_other(store: Store, memory: Memory) -> None:
    made = type(memory.data_ptr(store))((ctypes.c_ubyte * 3)(1, 2, 3))
    assert made[:3] == [1, 2, 3]
    with pytest.raises(TypeError):
        memory.data_ptr(store)["a"]
