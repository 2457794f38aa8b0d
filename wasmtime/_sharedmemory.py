"""Memories that several threads share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Optional, Union

from . import _access
from ._engine import Engine, engine_handle
from ._error import WasmtimeError, expect
from ._managed import Managed
from ._memory import Memory
from ._native import check, core, ffi, lib, unsigned
from ._store import Storelike, door, engine_of
from ._types import MemoryType
from ._view import cast_view, numpy_array, takes_dtype_first

if TYPE_CHECKING:
    from ._view import Array, Element

__all__ = ["SharedMemory"]


class SharedMemory(Managed):
    """A memory of the threads proposal, which lives in no store.

    Instances in any store of its engine can import it, on any thread.

    Args:
        engine: The engine, configured with `Config.shared_memory` and `Config.wasm_threads`.
        ty: Its type: shared, and with a maximum.

    Raises:
        TypeError: An argument is of a wrong type.
        WasmtimeError: The type is not shared, or the engine does not allow shared memories.
        ValueError: The engine is closed.

    C API: ``wasmtime_sharedmemory_new``.
    """

    def __init__(self, engine: Engine, ty: MemoryType) -> None:
        handle = engine_handle(engine)
        expect(ty, MemoryType, "ty")
        result = ffi.new("wasmtime_sharedmemory_t **")
        check(lib.wasmtime_sharedmemory_new(handle.pointer, ty._to_native(), result))
        self._adopt("wasmtime_sharedmemory_t", result[0], engine)

    @classmethod
    def _from_handle(cls, handle: Any, engine: Engine) -> SharedMemory:
        memory = cls.__new__(cls)
        handle.pointer = ffi.cast("wasmtime_sharedmemory_t *", handle.address)
        memory._own(handle, engine)
        return memory

    def type(self) -> MemoryType:
        """The memory's type.

        Raises:
            ValueError: The memory is closed.
        """
        handle = self._use()
        native = ffi.gc(lib.wasmtime_sharedmemory_type(handle.pointer), lib.wasm_memorytype_delete)
        return MemoryType._from_native(native, self._engine)

    def grow(self, delta: int) -> int:
        """Grow the memory. Its bytes never move.

        Args:
            delta: How many pages to add, 0 or more.

        Returns:
            The size before, in pages.

        Raises:
            WasmtimeError: `delta` is negative, or the maximum does not allow it.
            TypeError: `delta` is not an integer.
            ValueError: The memory is closed.
        """
        if isinstance(delta, int) and delta < 0:
            raise WasmtimeError(f"cannot grow by negative amount: delta is {delta}")
        delta = unsigned("delta", delta)
        handle = self._use()
        previous = ffi.new("uint64_t *")
        check(lib.wasmtime_sharedmemory_grow(handle.pointer, delta, previous))
        return int(previous[0])

    def __repr__(self) -> str:
        from ._display import shared_memory_text

        return shared_memory_text(self)

    def size(self) -> int:
        """The size in pages.

        Raises:
            ValueError: The memory is closed.
        """
        handle = self._use()
        return int(lib.wasmtime_sharedmemory_size(handle.pointer))

    def data_ptr(self) -> Any:
        """The address of the first byte, as `Memory.data_ptr`.

        It stays the same for as long as the memory lives, which is no shorter than the pointer
        does.

        Raises:
            ValueError: The memory is closed.
        """
        from ._native.pointer import data_pointer

        return data_pointer(core.shared_memory_pin(self._use()))

    def data_len(self) -> int:
        """The size in bytes.

        Raises:
            ValueError: The memory is closed.
        """
        handle = self._use()
        return int(lib.wasmtime_sharedmemory_data_size(handle.pointer))

    def view(
        self,
        start: int = 0,
        stop: Optional[int] = None,
        dtype: Element = "u8",
        readonly: bool = False,
    ) -> memoryview:
        """The bytes themselves, without a copy, as `Memory.view`.

        The view keeps the native memory alive, also when this object is closed. Other threads
        may change the bytes at any time.

        Args:
            start: First byte, 0 or more.
            stop: Byte to stop before, or None for the end of the memory.
            dtype: What the elements are, as for `Memory.view`.
            readonly: Refuse writing through the view.

        Raises:
            IndexError: The range is not inside the memory.
            ValueError: The range is no whole number of elements; `dtype` is none of these, or
                big-endian; or the memory is closed.
        """
        view = core.shared_memory_view(self._use(), start, stop, readonly)
        return cast_view(view, dtype)

    @takes_dtype_first(0)
    def array(
        self,
        start: int = 0,
        stop: Optional[int] = None,
        dtype: Element = "u8",
        readonly: bool = False,
    ) -> Array:
        """The bytes themselves, as a one-dimensional NumPy array.

        Everything else is as with `view`. The array keeps the native memory alive.

        Args:
            start: First byte, 0 or more.
            stop: Byte to stop before, or None for the end of the memory.
            dtype: What the elements are, as for `Memory.view`. It may also be given by its name
                alone in the place of `start`, where it was once; that is deprecated.
            readonly: Refuse writing to the array.

        Raises:
            ImportError: NumPy is not installed; `view` does without it.
            Exception: As `view`.
        """
        return numpy_array(self.view(start, stop, "u8", readonly), dtype)

    def read(self, start: Optional[int] = 0, stop: Optional[int] = None) -> bytearray:
        """Copy bytes out of the memory, as `Memory.read`.

        Raises:
            TypeError: An end is not an integer.
            ValueError: The memory is closed.
        """
        with self.view(readonly=True) as view:
            return bytearray(view[start:stop])

    def write(
        self,
        value: Union[bytes, bytearray, memoryview, Iterable[int]],
        start: Optional[int] = None,
    ) -> int:
        """Copy bytes into the memory, as `Memory.write`.

        Raises:
            IndexError: They do not fit between `start` and the end; nothing was written.
            TypeError: `value` is not bytes-like.
            ValueError: The memory is closed.
        """
        if isinstance(value, (str, int)):
            raise TypeError(f"value must be bytes-like, not {type(value).__name__}")
        data = memoryview(bytes(value))
        with self.view() as view:
            first = slice(start, None).indices(len(view))[0]
            if (start or 0) > len(view) or len(data) > len(view) - first:
                raise IndexError(
                    f"index out of range: {len(data)} bytes at {start} do not fit in a memory of "
                    f"{len(view)} bytes"
                )
            view[first : first + len(data)] = data
        return len(data)

    def read_exact(self, pointer: int, length: int) -> bytearray:
        """Copy exactly so many bytes out of the memory, as `Memory.read_exact`.

        Args:
            pointer: Address of the first byte, as WebAssembly passes it.
            length: How many bytes.

        Raises:
            IndexError: They are not all inside the memory.
            TypeError: A number is not an int.
            ValueError: The memory is closed.
        """
        return _access.read_exact(self, (), pointer, length)

    def read_str(
        self, pointer: int, length: int, encoding: str = "utf-8", errors: str = "strict"
    ) -> str:
        """Read text of a known length, as `Memory.read_str`.

        Args:
            pointer: Address of the first byte, as WebAssembly passes it.
            length: How many bytes, not characters.
            encoding: The encoding of the text.
            errors: What to do about bytes that are no text, as for `bytes.decode`.

        Raises:
            UnicodeDecodeError: The bytes are no text in this encoding.
            LookupError: `encoding` is unknown.
            Exception: As `read_exact`.
        """
        return _access.read_str(self, (), pointer, length, encoding, errors)

    def read_cstr(
        self,
        pointer: int,
        limit: Optional[int] = None,
        encoding: str = "utf-8",
        errors: str = "strict",
    ) -> str:
        """Read text that ends before the first byte that is zero, as `Memory.read_cstr`.

        Args:
            pointer: Address of the first byte, as WebAssembly passes it.
            limit: How many bytes the text may have at most; None for as many as there are.
            encoding: The encoding of the text, one without zeros inside of characters.
            errors: What to do about bytes that are no text, as for `bytes.decode`.

        Raises:
            IndexError: The text does not end inside the memory.
            ValueError: It is longer than `limit`, or the memory is closed.
            UnicodeDecodeError: The bytes are no text in this encoding.
            LookupError: `encoding` is unknown.
            TypeError: A number is not an int.
        """
        return _access.read_cstr(self, (), pointer, limit, encoding, errors)

    def write_str(
        self, text: str, pointer: int, encoding: str = "utf-8", errors: str = "strict"
    ) -> int:
        """Write text, as `Memory.write_str`.

        Args:
            text: The text.
            pointer: Address of the first byte, as WebAssembly passes it.
            encoding: The encoding to write it in.
            errors: What to do about characters that it does not have, as for `str.encode`.

        Returns:
            The number of bytes written.

        Raises:
            IndexError: They are not all inside the memory; nothing was written.
            UnicodeEncodeError: The encoding does not have a character.
            LookupError: `encoding` is unknown.
            TypeError: `text` is not a str, or `pointer` not an int.
            ValueError: The memory is closed.
        """
        return _access.write_str(self, (), text, pointer, encoding, errors)

    def as_memory(self, store: Storelike) -> Memory:
        """This memory in the form of a `Memory`, for code that expects one.

        Its methods take a store.

        Args:
            store: The store that it is going to be used with.

        Raises:
            WasmtimeError: The store is of another engine.
            ValueError: The memory or the store is closed.
        """
        self._use()
        with door(store):
            if engine_of(store) is not self._engine:
                raise WasmtimeError("the shared memory belongs to another engine than the store")
        return _MemoryOfStore(self)


class _MemoryOfStore(Memory):
    """A shared memory with the methods of a `Memory`.

    The base's native struct stays empty, for the library has none for shared memories; where the
    core is given one of these, it takes `_shared` instead.
    """

    __slots__ = ("_shared",)

    def __init__(self, shared: SharedMemory) -> None:
        self._shared = shared

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _MemoryOfStore) and self._shared is other._shared

    def __hash__(self) -> int:
        return hash(self._shared)

    def _checked(self, store: Storelike) -> SharedMemory:
        with door(store):
            if engine_of(store) is not self._shared._engine:
                raise WasmtimeError("the shared memory belongs to another engine than the store")
        return self._shared

    def type(self, store: Storelike) -> MemoryType:
        return self._checked(store).type()

    def size(self, store: Storelike) -> int:
        return self._checked(store).size()

    def data_len(self, store: Storelike) -> int:
        return self._checked(store).data_len()

    def grow(self, store: Storelike, delta: int) -> int:
        return self._checked(store).grow(delta)

    def read(
        self, store: Storelike, start: Optional[int] = 0, stop: Optional[int] = None
    ) -> bytearray:
        return self._checked(store).read(start, stop)

    def write(
        self, store: Storelike, value: Any = None, start: Optional[int] = None, data: Any = None
    ) -> int:
        return self._checked(store).write(data if value is None else value, start)

    def page_size(self, store: Storelike) -> int:
        return self._checked(store).type().page_size

    def page_size_log2(self, store: Storelike) -> int:
        return self._checked(store).type().page_size_log2

    def _pin(self, store: Storelike) -> core.MemoryPin:
        return core.shared_memory_pin(self._checked(store)._use())

    def _view(
        self, store: Storelike, start: int, stop: Optional[int], readonly: bool
    ) -> memoryview:
        return self._checked(store).view(start, stop, "u8", readonly)
