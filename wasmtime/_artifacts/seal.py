"""Compiled artifacts as bytes: sealed when this package makes them, checked before they are loaded.

An artifact is an ELF image that the library maps and runs; it checks that version and settings
fit, not that the bytes are whole. So this package appends a seal, a magic number and a sum of the
bytes, which the library ignores, and refuses what does not match it. The sum takes as long as
reading the bytes does, and finds damage; nothing here finds malice, for whoever can write an
artifact can also seal it. Earlier versions of this package put a SHA-256 digest in its place, which
takes eight times as long and finds no more; their artifacts are still good. One without a seal
(made by the official command line, or by another binding of the same version) is accepted after a
check that it is not cut off, and that it holds no table which the C API cannot describe (see
`wasmtime._wasm.module`): whoever made it is trusted with it.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Callable, Union

from .._error import WasmtimeError
from .._native import core

__all__ = ["SEAL_SIZE", "Artifact", "check_artifact", "checked_file", "seal"]

#: The bytes of an artifact, in memory or in a file that is mapped.
Artifact = Union[bytes, bytearray, memoryview, mmap.mmap]


def _sha256(data: memoryview) -> bytes:
    return hashlib.sha256(data).digest()


_MAGIC = b"\0wasmtime-seal-2"
#: The sums of 32 bytes that may stand in a seal, by the magic number of 16 bytes before them.
_SUMS: dict[bytes, Callable[[memoryview], bytes]] = {
    _MAGIC: core.seal_sum,
    b"\0wasmtime-python": _sha256,
}
#: How many bytes a seal takes at the end of an artifact.
SEAL_SIZE = 48
_ELF_HEADER_SIZE = 64


def seal(artifact: bytes) -> bytearray:
    """Return an artifact with its seal."""
    sealed = bytearray(artifact)
    sealed += _MAGIC
    sealed += core.seal_sum(artifact)
    return sealed


def check_artifact(data: Artifact, what: str) -> None:
    """Refuse bytes that are no artifact, or a damaged one.

    Args:
        data: The bytes.
        what: What they are, for the error.

    Raises:
        WasmtimeError: They do not match their seal, are cut off, or are no ELF image.
    """
    if data[:4] != b"\x7fELF":
        raise WasmtimeError(
            f"{what} is not a compiled artifact: it does not start with the ELF magic number; to "
            "compile WebAssembly, use Module(engine, wasm)"
        )
    with memoryview(data) as view:
        found = bytes(view[-SEAL_SIZE:])
        sum_of = _SUMS.get(found[: len(_MAGIC)])
        if sum_of is not None:
            if found[len(_MAGIC) :] != sum_of(view[:-SEAL_SIZE]):
                raise WasmtimeError(
                    f"{what} is damaged: its contents do not match their checksum; compile the "
                    "module again"
                )
            return
        if len(view) < _ELF_HEADER_SIZE or _elf_size(view) > len(view):
            raise WasmtimeError(f"{what} is damaged: it ends early; compile the module again")
        if any(_WIDE_TABLE.search(info) for info in _sections(view, b".wasmtime.info")):
            raise WasmtimeError(
                f"{what} seems to have a table with limits of more than 32 bits, which the C API "
                "of the library cannot describe; declare a maximum below 2**32 - 1 and compile the "
                "module again"
            )


_ANY = rb"[\x80-\xff]{0,9}[\x00-\x7f]"
_WIDE = rb"(?:[\x80-\xff]{4}[\x10-\x7f]|[\x80-\xff]{5,9}[\x01-\x7f])"
#: The type of a table as the library writes it into an artifact: 64-bit; the minimum; whether there
#: is a maximum, and which; whether elements may be null; one of 19 kinds of reference. One of the
#: two numbers takes more than 32 bits. A memory of 256 TiB or more looks the same.
_WIDE_TABLE = re.compile(
    rb"\x01(?:%b\x00|%b\x01%b|%b\x01%b)[\x00\x01][\x00-\x12]" % (_WIDE, _WIDE, _ANY, _ANY, _WIDE)
)

#: A section header of a 64-bit little-endian ELF image: name, place and size.
_SECTION = struct.Struct("<I20xQQ24x")


def _elf_headers(view: memoryview) -> tuple[int, int, int, int]:
    """Read where the section headers are.

    Returns:
        The place of the first, the size of each, how many there are, and which of them is that of
        the names of sections.
    """
    offset: int
    (offset,) = struct.unpack_from("<Q", view, 40)
    return (offset, *struct.unpack_from("<HHH", view, 58))


def _elf_size(view: memoryview) -> int:
    """Return where the section headers of an ELF image end; they come last."""
    offset, size, count, _ = _elf_headers(view)
    return offset + size * count


def _sections(view: memoryview, name: bytes) -> Iterator[memoryview]:
    """Yield the contents of the sections of an ELF image that have a name."""
    offset, size, count, names = _elf_headers(view)
    if size != _SECTION.size or names >= count:
        return
    headers = [_SECTION.unpack_from(view, offset + index * size) for index in range(count)]
    names_at = headers[names][1]
    for name_at, at, length in headers:
        start = names_at + name_at
        if bytes(view[start : start + len(name) + 1]) == name + b"\0":
            yield view[at : at + length]


@contextmanager
def checked_file(file: BinaryIO, what: str) -> Iterator[mmap.mmap]:
    """Map an artifact, unless it is none, or a damaged one.

    Args:
        file: The file, open for reading.
        what: What it is, for the error.

    Raises:
        OSError: The file cannot be mapped.
        WasmtimeError: As `check_artifact`.
    """
    if os.fstat(file.fileno()).st_size == 0:
        raise WasmtimeError(f"{what} is not a compiled artifact: it is empty")
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        check_artifact(data, what)
        yield data
