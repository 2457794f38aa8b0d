"""Bytes and text at the addresses that WebAssembly passes, for both kinds of memory.

WebAssembly's addresses and lengths are unsigned, and arrive in Python as signed numbers. The
functions here take them as what they mean, and raise where `Memory.read` would return less.

Methods of a `Memory` take a store first, those of a `SharedMemory` do not: `where` is what goes
before the other arguments, ``(store,)`` or ``()``.
"""

from __future__ import annotations

from typing import Any, Optional

from ._native import integer

__all__ = ["read_cstr", "read_exact", "read_str", "write_str"]

#: `read_cstr` looks for the end in pieces of this many bytes at first, and of twice as many each
#: time up to the second number.
_PIECES = 256, 1 << 20


def read_exact(memory: Any, where: tuple[Any, ...], pointer: int, length: int) -> bytearray:
    """Copy exactly so many bytes out of a memory; see `Memory.read_exact`."""
    # What is inside takes one call; the rest of this function finds out what is wrong.
    if type(pointer) is type(length) is int and pointer >= 0 and length > 0:
        data: bytearray = memory.read(*where, pointer, pointer + length)
        if len(data) == length:
            return data
    start = _unsigned(memory, where, "pointer", pointer)
    count = _unsigned(memory, where, "length", length)
    _check_range(memory, where, start, count)
    data = memory.read(*where, start, start + count)
    return data


def read_str(
    memory: Any, where: tuple[Any, ...], pointer: int, length: int, encoding: str, errors: str
) -> str:
    """Read text of a known length; see `Memory.read_str`."""
    return read_exact(memory, where, pointer, length).decode(encoding, errors)


def read_cstr(
    memory: Any,
    where: tuple[Any, ...],
    pointer: int,
    limit: Optional[int],
    encoding: str,
    errors: str,
) -> str:
    """Read text that ends at a NUL; see `Memory.read_cstr`."""
    start = _unsigned(memory, where, "pointer", pointer)
    size = memory.data_len(*where)
    stop = size
    if limit is not None:
        if integer("limit", limit) < 0:
            raise ValueError(f"limit must be 0 or more, not {limit}")
        stop = min(size, start + limit + 1)
    text = bytearray()
    piece, largest = _PIECES
    while start + len(text) < stop:
        at = start + len(text)
        found = memory.read(*where, at, min(stop, at + piece))
        text += found
        end = text.find(0, len(text) - len(found))
        if end >= 0:
            del text[end:]
            return text.decode(encoding, errors)
        piece = min(2 * piece, largest)
    if stop < size:
        raise ValueError(f"the text at {start:#x} does not end within the limit of {limit} bytes")
    raise IndexError(f"the text at {start:#x} does not end inside the memory of {size} bytes")


def write_str(
    memory: Any, where: tuple[Any, ...], text: str, pointer: int, encoding: str, errors: str
) -> int:
    """Write text; see `Memory.write_str`."""
    if not isinstance(text, str):
        raise TypeError(f"text must be a str, not {type(text).__name__}")
    data = text.encode(encoding, errors)
    written: int = memory.write(*where, data, _unsigned(memory, where, "pointer", pointer))
    return written


def _unsigned(memory: Any, where: tuple[Any, ...], name: str, value: Any) -> int:
    """Return what a number means that WebAssembly passed as an address or a length.

    Raises:
        TypeError: It is not an int.
        IndexError: It is less than the least signed number of the memory's addresses.
    """
    number = value if type(value) is int else integer(name, value)
    if number >= 0:
        return number
    bits = 64 if memory.type(*where).is_64 else 32
    if number < -(1 << (bits - 1)):
        raise IndexError(f"index out of range: {name} is {number}, which is no i{bits}")
    return number + (1 << bits)


def _check_range(memory: Any, where: tuple[Any, ...], start: int, count: int) -> None:
    """Refuse a range that is not all inside of a memory.

    Raises:
        IndexError: It is not.
    """
    size = memory.data_len(*where)
    if start + count > size:
        raise IndexError(
            f"index out of range: {count} bytes at {start:#x} are not all inside the memory of "
            f"{size} bytes"
        )
