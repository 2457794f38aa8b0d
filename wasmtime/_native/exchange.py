"""What passes between Python and the library through cffi: addresses, errors and byte vectors.

The library hands its errors and vectors over: whoever gets one frees it. Here each is freed as soon
as it has become a Python object.
"""

from __future__ import annotations

from typing import Any, Union

from . import core, ffi, lib

__all__ = ["address_of", "byte_vec", "check", "take_bytes"]


def address_of(pointer: Any) -> int:
    """Return the integer form of a cffi pointer, which is what the C core takes."""
    return int(ffi.cast("uintptr_t", pointer))


def check(error: Any) -> None:
    """Raise the exception for a ``wasmtime_error_t *`` unless it is NULL; the error is taken over.

    Raises:
        WasmtimeError: The error; `ExitTrap` if a WASI program exited.
    """
    if error != ffi.NULL:
        raise core.error_from_address(address_of(error))


def take_bytes(vec: Any) -> bytes:
    """Return the contents of a ``wasm_byte_vec_t``, and free its memory."""
    try:
        return bytes(ffi.buffer(vec.data, vec.size)) if vec.size else b""
    finally:
        lib.wasm_byte_vec_delete(ffi.addressof(vec) if ffi.typeof(vec).kind == "struct" else vec)


def byte_vec(data: Union[bytes, bytearray, memoryview]) -> Any:
    """Make a ``wasm_byte_vec_t *`` with a copy of the data, for functions that take it over.

    The memory comes from the library's own allocator.
    """
    vec = ffi.new("wasm_byte_vec_t *")
    lib.wasm_byte_vec_new_uninitialized(vec, len(data))
    if len(data):
        ffi.memmove(vec.data, data, len(data))
    return vec
