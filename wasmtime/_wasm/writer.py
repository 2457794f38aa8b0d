"""Writing parts of WebAssembly binaries: the counterpart of `reader`."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["name", "section", "signed", "unsigned", "vector"]


def unsigned(number: int) -> bytes:
    """Encode a number of 0 or more as unsigned LEB128."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def signed(number: int) -> bytes:
    """Encode a number as signed LEB128."""
    encoded = bytearray()
    while not -0x40 <= number < 0x40:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number & 0x7F)
    return bytes(encoded)


def name(text: str) -> bytes:
    """Encode a name."""
    encoded = text.encode()
    return unsigned(len(encoded)) + encoded


def vector(items: Iterable[bytes]) -> bytes:
    """Encode a vector of things that are encoded already."""
    every = list(items)
    return unsigned(len(every)) + b"".join(every)


def section(code: int, contents: bytes) -> bytes:
    """Encode a section."""
    return bytes([code]) + unsigned(len(contents)) + contents
