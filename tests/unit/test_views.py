"""
Views of memories without a copy: what they show, and that they never dangle.
"""

from __future__ import annotations

import copy
import gc
import struct
import weakref
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmtime import (
    Config,
    Engine,
    Func,
    FuncType,
    Instance,
    Limits,
    Memory,
    MemoryType,
    Module,
    SharedMemory,
    Store,
    ValType,
)

PAGE = 65536

RANGES = {
    "u8": (0, 2**8 - 1),
    "i8": (-(2**7), 2**7 - 1),
    "u16": (0, 2**16 - 1),
    "i16": (-(2**15), 2**15 - 1),
    "u32": (0, 2**32 - 1),
    "i32": (-(2**31), 2**31 - 1),
    "u64": (0, 2**64 - 1),
    "i64": (-(2**63), 2**63 - 1),
}
CODES = dict(zip(RANGES, "BbHhIiQq"))


@pytest.fixture
def memory(store: Store) -> Memory:
    return Memory(store, MemoryType(Limits(1, 10)))


def test_python_and_webassembly_see_the_same_bytes(store: Store) -> None:
    module = Module(
        store.engine,
        """
        (memory (export "memory") 1)
        (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0)))
        (func (export "store") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
        """,
    )
    exports = Instance(store, module, []).exports(store)
    view = exports["memory"].view(store)
    view[100] = 7
    assert exports["load"](store, 100) == 7
    exports["store"](store, 101, 9)
    assert view[101] == 9
    view.release()


def test_a_view_is_a_memoryview_of_the_range(store: Store, memory: Memory) -> None:
    memory.write(store, bytes(range(16)), 32)
    with memory.view(store, 32, 48) as view:
        assert isinstance(view, memoryview)
        assert bytes(view) == bytes(range(16))
        assert bytes(view[4:8]) == b"\4\5\6\7"
        view[0:2] = b"ab"
    assert memory.read(store, 32, 34) == b"ab"


def test_struct_packs_at_fixed_offsets(store: Store, memory: Memory) -> None:
    with memory.view(store) as view:
        struct.pack_into("<IHd", view, 8, 1, 2, 3.5)
        assert struct.unpack_from("<IHd", view, 8) == (1, 2, 3.5)
    assert memory.read(store, 8, 12) == b"\1\0\0\0"


@given(
    st.sampled_from(sorted(RANGES)).flatmap(
        lambda dtype: st.tuples(
            st.just(dtype), st.lists(st.integers(*RANGES[dtype]), min_size=1, max_size=20)
        )
    )
)
def test_elements_have_the_type_asked_for(case: tuple[str, list[int]]) -> None:
    dtype, numbers = case
    size = int(dtype[1:]) // 8
    store = Store(ENGINE)
    memory = Memory(store, MemoryType(Limits(1)))
    with memory.view(store, 24, 24 + size * len(numbers), dtype) as view:
        for index, number in enumerate(numbers):
            view[index] = number
        assert view.tolist() == numbers
    packed = struct.pack(f"<{len(numbers)}{CODES[dtype]}", *numbers)
    assert memory.read(store, 24, 24 + len(packed)) == packed


ENGINE = Engine()


@pytest.mark.parametrize(("dtype", "code"), [("f32", "f"), ("f64", "d")])
def test_float_elements(store: Store, memory: Memory, dtype: str, code: str) -> None:
    with memory.view(store, 0, 64, dtype) as view:
        view[1] = 1.5
        size = struct.calcsize(code)
    assert memory.read(store, size, 2 * size) == struct.pack(f"<{code}", 1.5)


def test_an_unaligned_range_is_fine(store: Store, memory: Memory) -> None:
    with memory.view(store, 3, 3 + 8, "u64") as view:
        view[0] = 2**64 - 2
    assert memory.read(store, 3, 11) == b"\xfe" + b"\xff" * 7


def test_a_readonly_view_refuses_writing(store: Store, memory: Memory) -> None:
    with memory.view(store, readonly=True) as view:
        assert view.readonly
        with pytest.raises(TypeError):
            view[0] = 1


@pytest.mark.parametrize(
    ("start", "stop"),
    [(-1, 4), (0, PAGE + 1), (8, 4), (PAGE + 1, None), (2**62, 2**62 + 1)],
)
def test_a_range_outside_is_refused(store: Store, memory: Memory, start: int, stop: Any) -> None:
    with pytest.raises(IndexError, match="out of range"):
        memory.view(store, start, stop)


def test_bad_element_types_and_lengths_are_refused(store: Store, memory: Memory) -> None:
    with pytest.raises(ValueError, match="dtype must be one of u8, i8"):
        memory.view(store, dtype="int")
    with pytest.raises(ValueError, match="no whole number of u32"):
        memory.view(store, 0, 10, "u32")
    store.close()  # neither left a view behind


def test_a_store_with_views_refuses_to_close(store: Store, memory: Memory) -> None:
    view = memory.view(store)
    part = view[10:20]
    view.release()
    with pytest.raises(BufferError, match="1 views"):
        store.close()
    part[0] = 1
    part.release()
    store.close()


def test_growth_leaves_a_view_where_and_as_long_as_it_was(store: Store, memory: Memory) -> None:
    with memory.view(store) as view:
        memory.grow(store, 5)
        assert len(view) == PAGE
        view[0] = 42
        assert memory.read(store, 0, 1) == b"\x2a"
        with memory.view(store) as longer:
            assert len(longer) == 6 * PAGE
            assert longer[0] == 42


def test_growth_by_webassembly_does_not_move_it_either(store: Store) -> None:
    module = Module(
        store.engine,
        """
        (memory (export "memory") 1)
        (func (export "grow") (param i32) (result i32)
            (i32.store8 (i32.const 5) (i32.const 77))
            (memory.grow (local.get 0)))
        """,
    )
    exports = Instance(store, module, []).exports(store)
    with exports["memory"].view(store) as view:
        assert exports["grow"](store, 1000) == 1
        assert view[5] == 77


def test_a_view_keeps_its_store_alive() -> None:
    store = Store(ENGINE)
    memory = Memory(store, MemoryType(Limits(1)))
    view = memory.view(store)
    gone = weakref.ref(store)
    del store, memory
    gc.collect()
    view[0] = 1
    assert gone() is not None
    view.release()
    gc.collect()
    assert gone() is None


def test_a_cycle_through_a_view_is_collected() -> None:
    class Data:
        view: memoryview

    data = Data()
    store = Store(ENGINE, data)
    memory = Memory(store, MemoryType(Limits(1)))
    data.view = memory.view(store)
    Func(store, FuncType([], []), data.view.tolist)
    gone = weakref.ref(store), weakref.ref(data)
    del store, memory, data
    gc.collect()
    gc.collect()
    assert [reference() for reference in gone] == [None, None]


class TestMemoriesThatMayMove:
    """
    A memory is viewed only if the library never moves its bytes.
    """

    def refused(self, config: Config, ty: MemoryType) -> None:
        store = Store(Engine(config))
        memory = Memory(store, ty)
        with pytest.raises(BufferError, match="memory_may_move"):
            memory.view(store)
        memory.write(store, b"still works", 0)

    def viewed(self, config: Config, ty: MemoryType) -> None:
        store = Store(Engine(config))
        memory = Memory(store, ty)
        with memory.view(store) as view:
            before = memory.data_ptr(store)
            memory.grow(store, 1)
            assert memory.data_ptr(store) == before
            view[0] = 1

    def test_64_bit_memories(self) -> None:
        self.refused(Config(), MemoryType(Limits(1), is_64=True))

    def test_64_bit_memories_of_a_bounded_size(self) -> None:
        self.viewed(Config(), MemoryType(Limits(1, 100), is_64=True))

    def test_a_small_reservation(self) -> None:
        config = Config()
        config.memory_reservation = 1 << 20
        self.refused(copy.copy(config), MemoryType(Limits(1)))
        self.viewed(config, MemoryType(Limits(1, 16)))

    def test_where_moving_is_forbidden(self) -> None:
        config = Config()
        config.memory_reservation = 1 << 20
        config.memory_may_move = False
        self.viewed(config, MemoryType(Limits(1)))


class TestNumPy:
    """
    The same with NumPy, which is not needed for the rest.
    """

    numpy = pytest.importorskip("numpy", reason="NumPy is not installed")

    def test_an_array_over_the_bytes(self, store: Store, memory: Memory) -> None:
        array = memory.array(store, 64, 64 + 80, "f64")
        assert array.dtype == self.numpy.float64
        assert array.shape == (10,)
        array[:] = self.numpy.arange(10)
        assert memory.read(store, 72, 80) == struct.pack("<d", 1.0)
        del array

    @pytest.mark.parametrize("name", [*RANGES, "f32", "f64"])
    def test_a_type_of_numpy_is_as_good_as_a_name(
        self, store: Store, memory: Memory, name: str
    ) -> None:
        kind, size = name[0], int(name[1:]) // 8
        dtype = self.numpy.dtype(f"<{kind}{size}")
        for element in (name, dtype, dtype.type):
            with memory.view(store, 0, 64, element) as view:
                assert view.format == memory.view(store, 0, 64, name).format
            array = memory.array(store, 0, 64, element)
            assert array.dtype == dtype
            assert array.shape == (64 // size,)
            del array

    @pytest.mark.parametrize("dtype", [">f4", ">u2", "O", "S4", "V8", "f2", "c8", "M8[s]", "?"])
    def test_types_that_webassembly_does_not_have_are_refused(
        self, store: Store, memory: Memory, dtype: str
    ) -> None:
        for method in (memory.view, memory.array):
            with pytest.raises(ValueError, match="in little-endian order, not dtype"):
                method(store, dtype=self.numpy.dtype(dtype))
        store.close()  # neither left a view behind

    @pytest.mark.parametrize("wrong", [float, "float32", "<f4", None, 4, [], numpy.floating])
    def test_nothing_else_is_a_type_of_elements(
        self, store: Store, memory: Memory, wrong: Any
    ) -> None:
        """
        NumPy's names in particular: its ``i8`` has 64 bits.
        """
        for method in (memory.view, memory.array):
            with pytest.raises(ValueError, match="dtype must be one of u8, i8"):
                method(store, dtype=wrong)
        store.close()

    def test_a_structured_type_is_no_element(self, store: Store, memory: Memory) -> None:
        with pytest.raises(ValueError, match="dtype must be one of"):
            memory.array(store, dtype=self.numpy.dtype([("x", "<f4"), ("y", "<f4")]))

    def test_the_order_is_that_of_view(self, store: Store, memory: Memory) -> None:
        memory.write(store, bytes(range(16)), 32)
        for arguments in ((32, 48, "u16"), (32, 48, self.numpy.uint16, True)):
            with memory.view(store, *arguments) as view:
                array = memory.array(store, *arguments)
                assert array.tolist() == view.tolist()
                assert array.flags.writeable is not view.readonly
                del array
        keywords = {"start": 32, "stop": 48, "dtype": "u16", "readonly": True}
        assert not memory.array(store, **keywords).flags.writeable

    def test_the_order_of_old_is_understood_with_a_warning(
        self, store: Store, memory: Memory
    ) -> None:
        memory.write(store, bytes(range(16)), 32)
        expected = memory.array(store, 32, 48, "u16").tolist()

        def old(*arguments: Any, **keywords: Any) -> Any:
            with pytest.warns(DeprecationWarning, match="range before dtype") as told:
                array = memory.array(store, *arguments, **keywords)
            assert told[0].filename == __file__
            return array

        assert old("u16", 32, 48).tolist() == expected
        assert old("u16", 32, stop=48).tolist() == expected
        assert old("u16", start=32, stop=48).tolist() == expected
        assert not old("u16", 32, 48, True).flags.writeable
        assert old("f64").size == PAGE // 8
        with pytest.raises(TypeError, match="start"):
            old("u16", 32, start=32)

    def test_no_elements_are_an_empty_array(self, store: Store, memory: Memory) -> None:
        assert memory.array(store, 8, 8, "f64").size == 0
        with pytest.raises(ValueError, match="no whole number of f64"):
            memory.array(store, 0, 12, "f64")
        store.close()

    def test_frombuffer_takes_a_view(self, store: Store, memory: Memory) -> None:
        array = self.numpy.frombuffer(memory.view(store), dtype="<u4")
        array[3] = 0x01020304
        assert memory.read(store, 12, 16) == b"\4\3\2\1"
        with pytest.raises(BufferError):
            store.close()
        del array
        store.close()


class TestSharedMemory:
    """
    Views of shared memories belong to no store.
    """

    @pytest.fixture
    def shared(self) -> SharedMemory:
        config = Config()
        config.shared_memory = True
        return SharedMemory(Engine(config), MemoryType(Limits(1, 4), shared=True))

    def test_reading_and_writing(self, shared: SharedMemory) -> None:
        with shared.view(0, 16, "u32") as view:
            view[1] = 99
        assert shared.read(4, 8) == b"\x63\0\0\0"

    def test_an_array_has_the_order_of_view(self, shared: SharedMemory) -> None:
        numpy = pytest.importorskip("numpy", reason="NumPy is not installed")
        shared.write(bytes(range(16)), 32)
        array = shared.array(32, 48, numpy.uint16)
        assert array.tolist() == shared.view(32, 48, "u16").tolist()
        with pytest.warns(DeprecationWarning, match="range before dtype"):
            assert shared.array("u16", 32, 48).tolist() == array.tolist()

    def test_a_view_outlives_closing(self, shared: SharedMemory) -> None:
        view = shared.view()
        shared.close()
        view[0] = 5
        assert view[0] == 5
        with pytest.raises(ValueError, match="closed"):
            shared.view()


def test_a_closed_or_foreign_store_is_refused(store: Store, memory: Memory) -> None:
    from wasmtime import WasmtimeError

    with pytest.raises(WasmtimeError, match="another store"):
        memory.view(Store(store.engine))
    store.close()
    with pytest.raises(ValueError, match="closed"):
        memory.view(store)


def test_a_view_can_be_used_inside_a_host_function(store: Store) -> None:
    seen = []

    def host(pointer: int, length: int) -> None:
        with exports["memory"].view(store, pointer, pointer + length) as view:
            seen.append(bytes(view))

    module = Module(
        store.engine,
        """
        (import "" "host" (func $host (param i32 i32)))
        (memory (export "memory") 1)
        (data (i32.const 8) "hello")
        (func (export "run") (call $host (i32.const 8) (i32.const 5)))
        """,
    )
    func = Func(store, FuncType([ValType.I32, ValType.I32], []), host)
    exports = Instance(store, module, [func]).exports(store)
    exports["run"](store)
    assert seen == [b"hello"]
