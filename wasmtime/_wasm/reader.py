"""A position in a WebAssembly binary: bytes, LEB128 numbers, names and sections, within bounds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Optional

__all__ = ["PREAMBLE_SIZE", "Kind", "MalformedBinary", "Reader", "kind_of"]

#: What a binary can be.
Kind = Literal["module", "component"]

_MAGIC = b"\0asm"
#: The two bytes behind the version say which of the two it is.
_LAYERS: dict[bytes, Kind] = {b"\0\0": "module", b"\x01\0": "component"}
#: How many bytes come before the first section: the magic number, the version, the layer.
PREAMBLE_SIZE = 8

#: Longest number in LEB128, in bytes.
_MAX_LEB = 10


class MalformedBinary(ValueError):
    """A binary ends too early, or holds something that is not known here."""


def kind_of(binary: bytes) -> Optional[Kind]:
    """Tell core modules, components and everything else (None) apart, by the preamble alone.

    A binary of a version that is not known here is still of its kind: compiling it gives the error
    that says so.
    """
    if binary[:4] != _MAGIC:
        return None
    return _LAYERS.get(bytes(binary[6:PREAMBLE_SIZE]))


def _ends_early() -> MalformedBinary:
    return MalformedBinary("the binary ends too early")


class Reader:
    """A position in a part of a binary, such as a section.

    Args:
        data: The whole binary.
        at: Where the part begins.
        end: Where it ends; None for the end of the binary.

    All that reads raises `MalformedBinary` where the part ends too early, and moves on otherwise.
    """

    __slots__ = ("at", "data", "end")

    def __init__(self, data: bytes, at: int = 0, end: Optional[int] = None) -> None:
        self.data = data
        self.at = at
        self.end = len(data) if end is None else end

    def peek(self) -> int:
        """Return the next byte without moving on."""
        if self.at >= self.end:
            raise _ends_early()
        return self.data[self.at]

    def byte(self) -> int:
        """Read one byte."""
        at = self.at
        if at >= self.end:
            raise _ends_early()
        self.at = at + 1
        return self.data[at]

    def number(self) -> int:
        """Read an unsigned LEB128 number."""
        byte = self.byte()
        return byte if byte < 0x80 else self._leb128(byte)[0]

    def signed(self) -> int:
        """Read a signed LEB128 number, by which types are told from their indices."""
        value, bits = self._leb128(self.byte())
        return value - (1 << bits) if value >> (bits - 1) else value

    def _leb128(self, byte: int) -> tuple[int, int]:
        """Read the rest of a number; return its bits, and how many they are.

        Args:
            byte: The first byte.
        """
        value, bits = byte & 0x7F, 7
        while byte >= 0x80:
            if bits == 7 * _MAX_LEB:
                raise MalformedBinary("a number that is too long")
            byte = self.byte()
            value |= (byte & 0x7F) << bits
            bits += 7
        return value, bits

    def skip(self, count: int) -> None:
        """Pass over `count` bytes."""
        if count > self.end - self.at:
            raise _ends_early()
        self.at += count

    def take(self, count: int) -> bytes:
        """Read `count` bytes."""
        start = self.at
        self.skip(count)
        return self.data[start : self.at]

    def rest(self) -> bytes:
        """Read all that is left."""
        return self.take(self.end - self.at)

    def part(self, count: int) -> Reader:
        """Pass over `count` bytes, and return a reader of their own for them."""
        start = self.at
        self.skip(count)
        return Reader(self.data, start, self.at)

    def name(self) -> str:
        """Read a name: any text."""
        encoded = self.take(self.number())
        try:
            return encoded.decode()
        except UnicodeDecodeError as error:
            raise MalformedBinary(f"a name that is not valid UTF-8: {encoded!r}") from error

    def sections(self) -> Iterator[tuple[int, Reader]]:
        """Read the sections up to the end; yield the code and the contents of each."""
        while self.at < self.end:
            code = self.byte()
            yield code, self.part(self.number())

    def sections_of_binary(self) -> Iterator[tuple[int, Reader]]:
        """Read the sections of a whole module or component, behind its preamble."""
        self.skip(PREAMBLE_SIZE)
        return self.sections()
