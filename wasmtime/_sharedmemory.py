"""
Memories that several threads share.
"""

from __future__ import annotations

from typing import Any, Optional

from ._engine import Engine
from ._error import ArgumentTypeError, WasmtimeError
from ._managed import Managed
from ._module import engine_handle
from ._native import address_of, check, core, ffi, lib
from ._store import Storelike, _unsigned
from ._types import MemoryType
from ._view import cast_view, numpy_array

__all__ = ["SharedMemory"]


class SharedMemory(Managed):
    """
    A memory of the threads proposal: it lives in no store and can be imported by instances in any
    store of its engine, on any thread.

    Args:
        engine: The engine, configured with `Config.shared_memory` and `Config.wasm_threads`.
        ty: Its type: shared, and with a maximum.

    Raises:
        TypeError: An argument is of a wrong type.
        WasmtimeError: The type is not shared, or the engine does not allow shared memories.
        ValueError: The engine is closed.

    Stands on ``wasmtime_sharedmemory_new``.
    """

    def __init__(self, engine: Engine, ty: MemoryType) -> None:
        handle = engine_handle(engine)
        if not isinstance(ty, MemoryType):
            raise ArgumentTypeError(f"ty must be a MemoryType, not {type(ty).__name__}")
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
        """
        The memory's type.

        Raises:
            ValueError: The memory is closed.
        """
        handle = self._use()
        native = ffi.gc(
            lib.wasmtime_sharedmemory_type(handle.pointer), lib.wasm_memorytype_delete
        )
        return MemoryType._from_native(native, self._engine)

    def grow(self, delta: int) -> int:
        """
        Grow the memory. Its bytes never move.

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
        delta = _unsigned("delta", delta)
        handle = self._use()
        previous = ffi.new("uint64_t *")
        check(lib.wasmtime_sharedmemory_grow(handle.pointer, delta, previous))
        return int(previous[0])

    def size(self) -> int:
        """
        The size in pages.

        Raises:
            ValueError: The memory is closed.
        """
        handle = self._use()
        return int(lib.wasmtime_sharedmemory_size(handle.pointer))

    def data_ptr(self) -> Any:
        """
        The address of the first byte, as `Memory.data_ptr`. It stays the same for as long as the
        memory lives.

        Raises:
            ValueError: The memory is closed.
        """
        from ._pointer import data_pointer

        handle = self._use()
        return data_pointer(address_of(lib.wasmtime_sharedmemory_data(handle.pointer)))

    def data_len(self) -> int:
        """
        The size in bytes.

        Raises:
            ValueError: The memory is closed.
        """
        handle = self._use()
        return int(lib.wasmtime_sharedmemory_data_size(handle.pointer))

    def view(
        self,
        start: int = 0,
        stop: Optional[int] = None,
        dtype: str = "u8",
        readonly: bool = False,
    ) -> memoryview:
        """
        The bytes themselves, without a copy, as `Memory.view`.

        The view keeps the native memory alive, also when this object is closed. Other threads
        may change the bytes at any time.

        Raises:
            IndexError: The range is not inside the memory.
            ValueError: The range is no whole number of elements, `dtype` is unknown, or the memory
                is closed.
        """
        view = core.shared_memory_view(self._use(), start, stop, readonly)
        return cast_view(view, dtype)

    def array(
        self,
        dtype: str = "u8",
        start: int = 0,
        stop: Optional[int] = None,
        readonly: bool = False,
    ) -> Any:
        """
        As `view`, but a one-dimensional NumPy array, without a copy.

        Raises:
            ImportError: NumPy is not installed; `view` does without it.
            Exception: As `view`.
        """
        return numpy_array(self.view(start, stop, "u8", readonly), dtype)

    def as_memory(self, store: Storelike) -> SharedMemory:
        """
        The memory as `store` sees it, for APIs that ask for that.

        A shared memory needs no store: the result is this same object, after a check that it can
        be used with the store.

        Raises:
            WasmtimeError: The store is of another engine.
            ValueError: The memory or the store is closed.
        """
        from ._store import door

        self._use()
        with door(store):
            home: Any = store if not hasattr(store, "_store") else store._store
            if home._engine is not self._engine:
                raise WasmtimeError("the shared memory belongs to another engine than the store")
        return self
