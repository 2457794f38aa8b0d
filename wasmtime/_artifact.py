"""
Compiled artifacts as bytes: sealed when this package makes them, checked before they are loaded.

An artifact is an ELF image that the library maps and runs; it checks that version and settings
fit, not that the bytes are whole. So this package appends a seal, a magic number and a SHA-256
digest, which the library ignores, and refuses what does not match it. An artifact without a seal
(made by the official command line, or by another binding of the same version) is accepted after a
check that it is not cut off: whoever made it is trusted with it.
"""

from __future__ import annotations

import hashlib
import mmap
import os
from typing import Union

from ._error import WasmtimeError

__all__ = ["check_artifact", "check_artifact_file", "seal"]

_MAGIC = b"\0wasmtime-python"
_SEAL_SIZE = len(_MAGIC) + hashlib.sha256().digest_size
_ELF_HEADER_SIZE = 64

_Bytes = Union[bytes, bytearray, memoryview, mmap.mmap]


def seal(artifact: bytes) -> bytes:
    """
    An artifact with its seal.
    """
    return b"".join((artifact, _MAGIC, hashlib.sha256(artifact).digest()))


def check_artifact(data: _Bytes, what: str) -> None:
    """
    Refuse bytes that are no artifact, or a damaged one.

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
        if view[-_SEAL_SIZE : len(view) - _SEAL_SIZE + len(_MAGIC)] == _MAGIC:
            digest = hashlib.sha256(view[:-_SEAL_SIZE]).digest()
            if view[-len(digest) :] != digest:
                raise WasmtimeError(
                    f"{what} is damaged: its contents do not match their checksum; compile the "
                    "module again"
                )
            return
        if len(view) < _ELF_HEADER_SIZE or _elf_size(view) > len(view):
            raise WasmtimeError(f"{what} is damaged: it ends early; compile the module again")


def _elf_size(view: memoryview) -> int:
    """
    Where the section headers of a 64-bit little-endian ELF image end; they come last.
    """
    offset = int.from_bytes(view[40:48], "little")
    return offset + int.from_bytes(view[58:60], "little") * int.from_bytes(view[60:62], "little")


def check_artifact_file(path: Union[str, bytes, os.PathLike[str]], what: str) -> None:
    """
    As `check_artifact`, for a file.

    Raises:
        OSError: The file cannot be read.
        WasmtimeError: As `check_artifact`.
    """
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            raise WasmtimeError(f"{what} is not a compiled artifact: it is empty")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            check_artifact(data, what)
