"""Linear memories."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from . import _access
from ._error import expect
from ._native import address_of, check, core, ffi, lib
from ._store import Storelike, door, engine_of
from ._types import MemoryType
from ._view import cast_view, numpy_array, takes_dtype_first

if TYPE_CHECKING:
    from ._view import Array, Element

__all__ = ["Memory"]


class Memory(core.Memory):
    """A linear memory: bytes that WebAssembly code reads and writes.

    Args:
        store: The store to make the memory in.
        ty: Its type.

    Raises:
        TypeError: An argument is of a wrong type.
        WasmtimeError: The memory cannot be made: the store's limits or the machine's memory do
            not allow it, or it is shared (see `SharedMemory`).
        ValueError: The store is closed.

    Example:
        >>> from wasmtime import Limits, Memory, MemoryType, Store
        >>> store = Store()
        >>> memory = Memory(store, MemoryType(Limits(1)))
        >>> memory.write(store, b"hello", 16)
        5
        >>> memory.read(store, 16, 21)
        bytearray(b'hello')

    C API: ``wasmtime_memory_new``.
    """

    def __init__(self, store: Storelike, ty: MemoryType) -> None:
        expect(ty, MemoryType, "ty")
        result = ffi.new("wasmtime_memory_t *")
        native = ty._to_native()
        with door(store) as context:
            check(lib.wasmtime_memory_new(context, native, result))
        self._set_native(store, address_of(result))

    def __repr__(self) -> str:
        from ._display import memory_text

        return memory_text(self)

    def _pointer(self) -> Any:
        return ffi.cast("wasmtime_memory_t *", self._address)

    def type(self, store: Storelike) -> MemoryType:
        """The memory's type, as it was declared; `size` tells what it has grown to.

        Raises:
            WasmtimeError: The memory lives in another store, or the store is in use.
            ValueError: The store is closed.
        """
        with door(store, self) as context:
            native = ffi.gc(
                lib.wasmtime_memory_type(context, self._pointer()), lib.wasm_memorytype_delete
            )
        return MemoryType._from_native(native, engine_of(store))

    def data_ptr(self, store: Storelike) -> Any:
        """The address of the first byte, now.

        It is a ctypes pointer to unsigned bytes that is also an integer where one is asked for.
        An index outside of the memory raises IndexError. The bytes stay for as long as the pointer
        does, also when the store is closed. A memory that moves when it grows takes them along: an
        index raises BufferError then, and what was cast before leads nowhere, unchecked.
        `Config.memory_may_move` tells which memories do.

        Raises:
            WasmtimeError: The memory lives in another store, or the store is in use.
            ValueError: The store is closed.
        """
        from ._native.pointer import data_pointer

        return data_pointer(self._pin(store))

    def view(
        self,
        store: Storelike,
        start: int = 0,
        stop: Optional[int] = None,
        dtype: Element = "u8",
        readonly: bool = False,
    ) -> memoryview:
        r"""The bytes themselves, without a copy.

        What is written to the view, WebAssembly sees, and the other way round.

        The view covers the memory as it is now; a later growth neither moves it nor makes it
        longer. It keeps its store alive, and `Store.close` is refused while one exists, so it
        never dangles. A memory whose bytes may move when it grows cannot be viewed.

        Args:
            store: The store that the memory lives in.
            start: First byte, 0 or more.
            stop: Byte to stop before, or None for the end of the memory.
            dtype: What the elements are: ``"u8"``, ``"i8"``, ``"u16"``, ``"i16"``, ``"u32"``,
                ``"i32"``, ``"u64"``, ``"i64"``, ``"f32"`` or ``"f64"``, or NumPy's type for one of
                these (``numpy.float32``, ``numpy.dtype("<f4")``). On a big-endian machine only the
                first two are offered, for WebAssembly is little-endian.
            readonly: Refuse writing through the view.

        Returns:
            A memoryview with elements of that type. `memoryview.release` or deleting it gives the
            store free to be closed.

        Raises:
            IndexError: The range is not inside the memory.
            ValueError: The range is no whole number of elements; `dtype` is none of these, or
                big-endian; or the store is closed.
            BufferError: The memory may move. It cannot with the default configuration unless it
                is a 64-bit memory; `Config.memory_may_move` and `Config.memory_reservation`
                decide.
            WasmtimeError: The memory lives in another store, or the store is in use by another
                thread.

        Example:
            >>> from wasmtime import Limits, Memory, MemoryType, Store
            >>> store = Store()
            >>> memory = Memory(store, MemoryType(Limits(1)))
            >>> numbers = memory.view(store, 64, 96, "f64")
            >>> numbers[0] = 1.5
            >>> memory.read(store, 64, 72)
            bytearray(b'\x00\x00\x00\x00\x00\x00\xf8?')
        """
        return cast_view(self._view(store, start, stop, readonly), dtype)

    @takes_dtype_first(1)
    def array(
        self,
        store: Storelike,
        start: int = 0,
        stop: Optional[int] = None,
        dtype: Element = "u8",
        readonly: bool = False,
    ) -> Array:
        """The bytes themselves, as a one-dimensional NumPy array.

        Everything else is as with `view`. The store cannot be closed while the array exists.

        Args:
            store: The store that the memory lives in.
            start: First byte, 0 or more.
            stop: Byte to stop before, or None for the end of the memory.
            dtype: What the elements are, as for `view`. It may also be given by its name alone in
                the place of `start`, where it was once; that is deprecated.
            readonly: Refuse writing to the array.

        Raises:
            ImportError: NumPy is not installed; `view` does without it.
            Exception: As `view`.
        """
        return numpy_array(self.view(store, start, stop, "u8", readonly), dtype)

    def read_exact(self, store: Storelike, pointer: int, length: int) -> bytearray:
        r"""Copy exactly so many bytes out of the memory.

        Address and length may come from WebAssembly as they are: a negative number means the
        unsigned one of the same bits, so that -1 is the address 0xFFFFFFFF (2**64-1 for a 64-bit
        memory, in which no such address exists). Nothing counts from the end and nothing is left
        out, as it is by `read`.

        Args:
            store: The store that the memory lives in.
            pointer: Address of the first byte.
            length: How many bytes.

        Returns:
            A bytearray of `length` bytes.

        Raises:
            IndexError: They are not all inside the memory.
            TypeError: A number is not an int.
            WasmtimeError: The memory lives in another store, or the store is in use by another
                thread.
            ValueError: The store is closed.

        Example:
            >>> from wasmtime import Limits, Memory, MemoryType, Store
            >>> store = Store()
            >>> memory = Memory(store, MemoryType(Limits(1)))
            >>> memory.read_exact(store, 65532, 4)
            bytearray(b'\x00\x00\x00\x00')
            >>> memory.read_exact(store, -4, 4)
            Traceback (most recent call last):
            ...
            IndexError: index out of range: 4 bytes at 0xfffffffc are not all inside the memory ...
        """
        return _access.read_exact(self, (store,), pointer, length)

    def read_str(
        self,
        store: Storelike,
        pointer: int,
        length: int,
        encoding: str = "utf-8",
        errors: str = "strict",
    ) -> str:
        """Read text of a known length.

        Args:
            store: The store that the memory lives in.
            pointer: Address of the first byte, as for `read_exact`.
            length: How many bytes, not characters.
            encoding: The encoding of the text.
            errors: What to do about bytes that are no text, as for `bytes.decode`.

        Raises:
            UnicodeDecodeError: The bytes are no text in this encoding.
            LookupError: `encoding` is unknown.
            Exception: As `read_exact`.

        Example:
            >>> from wasmtime import Limits, Memory, MemoryType, Store
            >>> store = Store()
            >>> memory = Memory(store, MemoryType(Limits(1)))
            >>> memory.write_str(store, "naïve", 16)
            6
            >>> memory.read_str(store, 16, 6)
            'naïve'
        """
        return _access.read_str(self, (store,), pointer, length, encoding, errors)

    def read_cstr(
        self,
        store: Storelike,
        pointer: int,
        limit: Optional[int] = None,
        encoding: str = "utf-8",
        errors: str = "strict",
    ) -> str:
        r"""Read text that ends before the first byte that is zero, as in C.

        Args:
            store: The store that the memory lives in.
            pointer: Address of the first byte, as for `read_exact`.
            limit: How many bytes the text may have at most; None for as many as there are. Code
                that is not trusted may fill its memory with one text.
            encoding: The encoding of the text, one without zeros inside of characters.
            errors: What to do about bytes that are no text, as for `bytes.decode`.

        Raises:
            IndexError: The text does not end inside the memory.
            ValueError: It is longer than `limit`, or the store is closed.
            UnicodeDecodeError: The bytes are no text in this encoding.
            LookupError: `encoding` is unknown.
            TypeError: A number is not an int.
            WasmtimeError: The memory lives in another store, or the store is in use by another
                thread.

        Example:
            >>> from wasmtime import Limits, Memory, MemoryType, Store
            >>> store = Store()
            >>> memory = Memory(store, MemoryType(Limits(1)))
            >>> memory.write_str(store, "name\0", 16)
            5
            >>> memory.read_cstr(store, 16, limit=255)
            'name'
        """
        return _access.read_cstr(self, (store,), pointer, limit, encoding, errors)

    def write_str(
        self,
        store: Storelike,
        text: str,
        pointer: int,
        encoding: str = "utf-8",
        errors: str = "strict",
    ) -> int:
        """Write text. Nothing is put behind it: for C, let it end with a NUL.

        Args:
            store: The store that the memory lives in.
            text: The text.
            pointer: Address of the first byte, as for `read_exact`.
            encoding: The encoding to write it in.
            errors: What to do about characters that it does not have, as for `str.encode`.

        Returns:
            The number of bytes written.

        Raises:
            IndexError: They are not all inside the memory; nothing was written.
            UnicodeEncodeError: The encoding does not have a character.
            LookupError: `encoding` is unknown.
            TypeError: `text` is not a str, or `pointer` not an int.
            WasmtimeError: The memory lives in another store, or the store is in use by another
                thread.
            ValueError: The store is closed.
        """
        return _access.write_str(self, (store,), text, pointer, encoding, errors)

    def get_buffer_ptr(self, store: Storelike, size: Optional[int] = None, offset: int = 0) -> Any:
        """A ctypes array over the bytes, without a copy.

        The bytes stay for as long as the array does, also when the store is closed. A memory that
        moves when it grows makes it stale; nothing checks that.

        Args:
            store: The store that the memory lives in.
            size: How many bytes, or None for all after `offset`.
            offset: The first byte.

        Raises:
            IndexError: The range is not inside the memory.
            WasmtimeError: The memory lives in another store, or the store is in use.
            ValueError: The store is closed.
        """
        from ._native.pointer import buffer_at

        memory = self._pin(store)
        length = memory.size
        if size is None:
            size = length - offset
        if offset < 0 or size < 0 or offset + size > length:
            raise IndexError(
                f"index out of range: {size} bytes at {offset} in a memory of {length} bytes"
            )
        return buffer_at(memory, offset, size)

    def page_size(self, store: Storelike) -> int:
        """The size of a page of this memory in bytes.

        It is 65536, or 1 with the custom-page-sizes proposal.

        Raises:
            WasmtimeError: The memory lives in another store, or the store is in use.
            ValueError: The store is closed.
        """
        with door(store, self) as context:
            return int(lib.wasmtime_memory_page_size(context, self._pointer()))

    def page_size_log2(self, store: Storelike) -> int:
        """The logarithm to base 2 of `page_size`: 16 or 0.

        Raises:
            WasmtimeError: The memory lives in another store, or the store is in use.
            ValueError: The store is closed.
        """
        with door(store, self) as context:
            return int(lib.wasmtime_memory_page_size_log2(context, self._pointer()))
