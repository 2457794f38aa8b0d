"""
Raw pointers into memories, for code that works with ctypes.
"""

from __future__ import annotations

import ctypes
from typing import Any

__all__ = ["DataPointer", "data_pointer"]


class DataPointer(ctypes.POINTER(ctypes.c_ubyte)):  # type: ignore[misc]
    """
    The address of a memory's first byte.

    It is a ctypes pointer, so that it can be indexed, assigned to, dereferenced and cast; and an
    integer where one is asked for (``int(pointer)``, ``hex(pointer)``, ``range``). Nothing checks
    what is done through it: an index beyond the memory's ``data_len`` reads or writes memory of
    the process, and growing or closing makes it stale. `Memory.read` and `Memory.write` are
    checked.
    """

    _type_ = ctypes.c_ubyte

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


def data_pointer(address: int) -> Any:
    """
    The pointer for an address.
    """
    return ctypes.cast(address, DataPointer)


def buffer_at(address: int, size: int) -> Any:
    """
    A ctypes array over `size` bytes at an address.
    """
    return (ctypes.c_ubyte * size).from_address(address)
