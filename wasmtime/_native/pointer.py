"""Raw pointers into memories, for code that works with ctypes.

Both kinds keep a `core.MemoryPin`, and with it the bytes. What ctypes makes of them (casts,
``contents``, buffers) keeps them.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, Optional

if TYPE_CHECKING:
    from . import core

__all__ = ["DataPointer", "buffer_at", "data_pointer"]


_BytePointer: Any = ctypes.POINTER(ctypes.c_ubyte)
_get = _BytePointer.__getitem__
_set = _BytePointer.__setitem__


class DataPointer(_BytePointer):  # type: ignore[misc]
    """The address of a memory's first byte.

    It is a ctypes pointer, so that it can be indexed, assigned to, dereferenced and cast; and an
    integer where one is asked for (``int(pointer)``, ``hex(pointer)``, ``range``).

    Indices and slices are checked: one outside of the memory raises IndexError, and one into a
    memory that has moved since raises BufferError. What is reached in other ways (a cast, the
    address) is not checked. The bytes stay for as long as this object does, or what ctypes made of
    it, also when the store is closed.
    """

    _type_ = ctypes.c_ubyte

    #: What keeps the bytes; None for a pointer that was not made by a memory.
    _memory: Optional[core.MemoryPin] = None

    def __getitem__(self, index: Any) -> Any:
        if self._memory is not None:
            self._memory.check(index)
        return _get(self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        if self._memory is not None:
            self._memory.check(index)
        _set(self, index, value)

    def __int__(self) -> int:
        return ctypes.cast(self, ctypes.c_void_p).value or 0

    __index__ = __int__

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (int, DataPointer)):
            return int(self) == int(other)
        return NotImplemented

    def __hash__(self) -> int:
        return hash(int(self))

    def __repr__(self) -> str:
        return f"<wasmtime.DataPointer {int(self):#x}>"


def data_pointer(memory: core.MemoryPin) -> Any:
    """Make the pointer to a memory's first byte."""
    pointer = ctypes.cast(memory.address, DataPointer)
    pointer._memory = memory
    return pointer


def buffer_at(memory: core.MemoryPin, offset: int, size: int) -> Any:
    """Make a ctypes array over `size` bytes of a memory."""
    array: Any = (ctypes.c_ubyte * size).from_address(memory.address + offset)
    array._memory = memory
    return array
