"""
Bytes and text at the addresses that WebAssembly passes, in both kinds of memory.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmtime import (
    Caller,
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
    i32,
)

PAGE = 65536


@pytest.fixture(scope="module")
def sharing() -> Engine:
    """
    An engine that allows shared memories.
    """
    config = Config()
    config.shared_memory = True
    return Engine(config)


class Bound:
    """
    A memory whose methods are called without a store, whatever it is.
    """

    def __init__(self, memory: Any, *store: Store) -> None:
        self.memory = memory
        self.store = store

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.memory, name)
        return lambda *arguments, **keywords: method(*self.store, *arguments, **keywords)


@pytest.fixture(params=["Memory", "SharedMemory", "as_memory"])
def memory(request: pytest.FixtureRequest, sharing: Engine) -> Iterator[Bound]:
    """
    A memory of one page, of each kind.
    """
    store = Store(sharing)
    if request.param == "Memory":
        yield Bound(Memory(store, MemoryType(Limits(1, 2))), store)
        return
    shared = SharedMemory(sharing, MemoryType(Limits(1, 2), shared=True))
    if request.param == "SharedMemory":
        yield Bound(shared)
    else:
        yield Bound(shared.as_memory(store), store)


class TestReadExact:
    def test_it_copies_so_many_bytes(self, memory: Bound) -> None:
        memory.write(b"abcdef", 16)
        data = memory.read_exact(17, 3)
        assert type(data) is bytearray
        assert data == b"bcd"
        assert memory.read_exact(pointer=PAGE - 2, length=2) == b"\0\0"

    @pytest.mark.parametrize(
        ("pointer", "length"),
        [(PAGE - 1, 2), (PAGE, 1), (PAGE + 1, 0), (0, PAGE + 1), (2**32 - 1, 1), (2**70, 2**70)],
    )
    def test_nothing_is_left_out(self, memory: Bound, pointer: int, length: int) -> None:
        with pytest.raises(IndexError, match=f"{length} bytes at {pointer:#x} are not all inside"):
            memory.read_exact(pointer, length)

    def test_no_bytes_are_anywhere_inside_and_at_the_end(self, memory: Bound) -> None:
        assert memory.read_exact(0, 0) == memory.read_exact(PAGE, 0) == b""

    @pytest.mark.parametrize(
        ("pointer", "meant"), [(-1, 0xFFFFFFFF), (-(2**31), 0x80000000), (-4, 0xFFFFFFFC)]
    )
    def test_negative_numbers_mean_unsigned_ones(
        self, memory: Bound, pointer: int, meant: int
    ) -> None:
        with pytest.raises(IndexError, match=f"1 bytes at {meant:#x} are not"):
            memory.read_exact(pointer, 1)
        with pytest.raises(IndexError, match=f"{meant} bytes at 0x0 are not"):
            memory.read_exact(0, pointer)

    def test_what_no_i32_can_be_is_refused(self, memory: Bound) -> None:
        with pytest.raises(IndexError, match="pointer is -2147483649, which is no i32"):
            memory.read_exact(-(2**31) - 1, 1)
        with pytest.raises(IndexError, match="length is -2147483649, which is no i32"):
            memory.read_exact(0, -(2**31) - 1)

    @pytest.mark.parametrize("wrong", [1.0, "1", None, b"1"])
    def test_numbers_are_integers(self, memory: Bound, wrong: Any) -> None:
        with pytest.raises(TypeError, match="pointer must be an int"):
            memory.read_exact(wrong, 1)
        with pytest.raises(TypeError, match="length must be an int"):
            memory.read_exact(1, wrong)

    def test_a_growth_makes_room(self, memory: Bound) -> None:
        memory.grow(1)
        assert memory.read_exact(PAGE, PAGE) == bytes(PAGE)


def test_a_high_address_can_be_given_signed() -> None:
    """
    In a memory of more than 2 GiB, of which only one page is touched.
    """
    store = Store()
    try:
        memory = Memory(store, MemoryType(Limits(32769)))
    except WasmtimeError as error:  # a machine with little address space
        pytest.skip(str(error))
    assert memory.write_str(store, "high", -(2**31)) == 4
    assert memory.read_exact(store, 2**31, 4) == b"high"
    assert memory.read_str(store, -(2**31), 4) == memory.read_cstr(store, -(2**31)) == "high"
    end = memory.data_len(store)
    with pytest.raises(IndexError, match=f"5 bytes at {end - 4} do not fit"):
        memory.write_str(store, "12345", end - 4 - 2**32)


def test_addresses_of_a_64_bit_memory_have_64_bits(store: Store) -> None:
    memory = Memory(store, MemoryType(Limits(1), is_64=True))
    assert memory.read_exact(store, 8, 4) == bytes(4)
    with pytest.raises(IndexError, match="1 bytes at 0xffffffffffffffff are not"):
        memory.read_exact(store, -1, 1)
    with pytest.raises(IndexError, match="which is no i64"):
        memory.read_exact(store, -(2**63) - 1, 1)


class TestText:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "latin-1"])
    def test_what_is_written_is_read(self, memory: Bound, encoding: str) -> None:
        size = memory.write_str("naïve café", 100, encoding)
        assert size == len("naïve café".encode(encoding))
        assert memory.read_str(100, size, encoding) == "naïve café"
        assert memory.read_exact(100 + size, 1) == b"\0"

    def test_bytes_that_are_no_text_are_an_error_unless_told_otherwise(self, memory: Bound) -> None:
        memory.write(b"ok\xff", 0)
        with pytest.raises(UnicodeDecodeError):
            memory.read_str(0, 3)
        with pytest.raises(UnicodeDecodeError):
            memory.read_cstr(0)
        assert memory.read_str(0, 3, errors="replace") == "ok\ufffd"
        assert memory.read_cstr(0, errors="ignore") == "ok"

    def test_characters_that_an_encoding_lacks_are_an_error_unless_told_otherwise(
        self, memory: Bound
    ) -> None:
        with pytest.raises(UnicodeEncodeError):
            memory.write_str("\ud800", 0)
        assert memory.write_str("ñandú", 0, "ascii", errors="replace") == 5
        assert memory.read_str(0, 5) == "?and?"

    def test_an_unknown_encoding_is_an_error(self, memory: Bound) -> None:
        with pytest.raises(LookupError, match="klingon"):
            memory.read_str(0, 1, "klingon")
        with pytest.raises(LookupError, match="klingon"):
            memory.write_str("a", 0, "klingon")

    def test_text_that_does_not_fit_is_not_written(self, memory: Bound) -> None:
        for pointer in (PAGE - 4, PAGE, -1):
            with pytest.raises(IndexError, match=r"5 bytes at \d+ do not fit"):
                memory.write_str("12345", pointer)
        assert memory.read_exact(PAGE - 4, 4) == bytes(4)
        assert memory.write_str("1234", PAGE - 4) == 4
        assert memory.write_str("", PAGE) == 0
        with pytest.raises(IndexError, match="0 bytes at 65537 do not fit"):
            memory.write_str("", PAGE + 1)

    @pytest.mark.parametrize("wrong", [b"bytes", 5, None])
    def test_only_text_is_text(self, memory: Bound, wrong: Any) -> None:
        with pytest.raises(TypeError, match="text must be a str, not"):
            memory.write_str(wrong, 0)


class TestTextThatEndsWithNul:
    @pytest.mark.parametrize("length", [0, 1, 255, 256, 257, 767, 768, 5000])
    def test_it_is_read_up_to_there(self, memory: Bound, length: int) -> None:
        memory.write_str("x" * length + "\0rest", 64)
        assert memory.read_cstr(64) == "x" * length
        assert memory.read_cstr(64, limit=length) == "x" * length

    def test_it_must_not_be_longer_than_the_limit(self, memory: Bound) -> None:
        memory.write_str("hello\0", 64)
        with pytest.raises(ValueError, match="the text at 0x40 does not end within the limit of 4"):
            memory.read_cstr(64, limit=4)
        with pytest.raises(ValueError, match="limit must be 0 or more"):
            memory.read_cstr(64, limit=-1)
        with pytest.raises(TypeError, match="limit must be an int"):
            memory.read_cstr(64, limit="4")

    def test_it_must_end_inside_the_memory(self, memory: Bound) -> None:
        memory.write_str("abc", PAGE - 3)
        for limit in (None, 3, 100):
            with pytest.raises(IndexError, match="the text at 0xfffd does not end inside"):
                memory.read_cstr(PAGE - 3, limit)
        for pointer, meant in ((PAGE, PAGE), (-1, 2**32 - 1)):
            with pytest.raises(IndexError, match=f"the text at {meant:#x} does not end inside"):
                memory.read_cstr(pointer)
        memory.write_str("\0", PAGE - 1)
        assert memory.read_cstr(PAGE - 3, limit=2) == "ab"


ENGINE = Engine()
STORE = Store(ENGINE)
MEMORY = Memory(STORE, MemoryType(Limits(1, 1)))


@given(st.text(), st.integers(0, PAGE - 1))
def test_all_text_that_fits_comes_back_as_it_was(text: str, pointer: int) -> None:
    text = text.encode("utf-8", "replace").decode()
    size = len(text.encode())
    before = MEMORY.read(STORE)
    if pointer + size > PAGE:
        with pytest.raises(IndexError):
            MEMORY.write_str(STORE, text, pointer)
        assert MEMORY.read(STORE) == before
        return
    assert MEMORY.write_str(STORE, text, pointer) == size
    assert MEMORY.read_str(STORE, pointer, size) == text
    before[pointer : pointer + size] = text.encode()
    assert MEMORY.read(STORE) == before


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_text_up_to_a_nul_comes_back_as_it_was(text: str) -> None:
    size = MEMORY.write_str(STORE, text + "\0", 32)
    assert MEMORY.read_cstr(STORE, 32) == MEMORY.read_cstr(STORE, 32, size - 1) == text


@given(st.integers(-(2**33), 2**33), st.integers(-(2**33), 2**33))
def test_an_exact_read_is_exact_or_an_index_error(pointer: int, length: int) -> None:
    valid = all(number >= -(2**31) for number in (pointer, length))
    if valid and pointer % 2**32 + length % 2**32 <= PAGE and max(pointer, length) < 2**32:
        assert len(MEMORY.read_exact(STORE, pointer, length)) == length
    else:
        with pytest.raises(IndexError):
            MEMORY.read_exact(STORE, pointer, length)


@given(st.integers(0, PAGE), st.integers(0, PAGE))
def test_an_exact_read_is_what_a_slice_of_this_length_is(pointer: int, length: int) -> None:
    sliced = MEMORY.read(STORE, pointer, pointer + length)
    if len(sliced) == length:
        assert MEMORY.read_exact(STORE, pointer, length) == sliced
    else:
        with pytest.raises(IndexError):
            MEMORY.read_exact(STORE, pointer, length)


def test_addresses_go_from_webassembly_into_the_methods_as_they_are(engine: Engine) -> None:
    heard: list[Any] = []
    linker = Linker(engine)

    @linker.func("host")
    def hear(caller: Caller, pointer: i32, length: i32) -> None:
        try:
            heard.append(caller.get_memory("memory").read_str(caller, pointer, length))
        except IndexError as error:
            heard.append(str(error))

    module = Module(
        engine,
        """
        (import "host" "hear" (func $hear (param i32 i32)))
        (memory (export "memory") 1)
        (data (i32.const 65531) "hello")
        (func (export "run")
            (call $hear (i32.const 65531) (i32.const 5))
            (call $hear (i32.const 0xffff0000) (i32.const 5)))
        """,
    )
    store = Store(engine)
    linker.instantiate(store, module).exports(store).get_func("run")(store)
    assert heard == [
        "hello",
        "index out of range: 5 bytes at 0xffff0000 are not all inside the memory of 65536 bytes",
    ]


CALLS: list[Any] = [
    lambda memory, *store: memory.read_exact(*store, 0, 1),
    lambda memory, *store: memory.read_exact(*store, -1, 1),
    lambda memory, *store: memory.read_str(*store, 0, 1),
    lambda memory, *store: memory.read_cstr(*store, 0),
    lambda memory, *store: memory.write_str(*store, "a", 0),
]


@pytest.mark.parametrize("call", CALLS)
def test_closed_and_foreign_stores_are_refused(engine: Engine, call: Any) -> None:
    store = Store(engine)
    memory = Memory(store, MemoryType(Limits(1)))
    with pytest.raises(WasmtimeError, match="another store"):
        call(memory, Store(engine))
    store.close()
    with pytest.raises(ValueError, match="closed"):
        call(memory, store)
    with pytest.raises(TypeError, match="store must be"):
        call(memory, "no store")


@pytest.mark.parametrize("call", CALLS)
def test_a_closed_shared_memory_is_refused(sharing: Engine, call: Any) -> None:
    shared = SharedMemory(sharing, MemoryType(Limits(1, 1), shared=True))
    shared.close()
    with pytest.raises(ValueError, match="closed"):
        call(shared)


def test_a_store_in_use_by_another_thread_is_refused(engine: Engine) -> None:
    inside, finish = threading.Event(), threading.Event()
    linker = Linker(engine)

    @linker.func("host")
    def wait() -> None:
        inside.set()
        finish.wait(30)

    store = Store(engine)
    memory = Memory(store, MemoryType(Limits(1)))
    busy = threading.Thread(target=linker.get_func(store, "host", "wait"), args=(store,))
    busy.start()
    try:
        assert inside.wait(30)
        for call in CALLS:
            with pytest.raises(WasmtimeError, match="in use by another thread"):
                call(memory, store)
    finally:
        finish.set()
        busy.join()


def test_exact_reads_of_a_shared_memory_are_exact_while_others_grow_it(sharing: Engine) -> None:
    shared = SharedMemory(sharing, MemoryType(Limits(1, 40), shared=True))
    lengths: set[int] = set()

    def read() -> None:
        while shared.size() < 40:
            try:
                lengths.add(len(shared.read_exact(0, shared.data_len())))
                lengths.add(len(shared.read_exact(shared.data_len(), PAGE)) + 1)
            except IndexError:
                pass

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(39):
        shared.grow(1)
    reader.join()
    assert all(length % PAGE in (0, 1) for length in lengths)


def test_an_instance_shares_what_is_written(sharing: Engine) -> None:
    shared = SharedMemory(sharing, MemoryType(Limits(1, 1), shared=True))
    store = Store(sharing)
    module = Module(
        sharing,
        """
        (import "" "" (memory 1 1 shared))
        (func (export "first") (result i32) (i32.load8_u (i32.const 16)))
        """,
    )
    exports = Instance(store, module, [shared]).exports(store)
    shared.write_str("A", 16)
    assert exports.get_func("first")(store) == ord("A")
