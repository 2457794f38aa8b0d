"""The only module that imports the two binary modules, and what all others need of them.

``ffi`` and ``lib`` are cffi's: every C function, for what is not hot. ``core`` is the hand-written
half. Both are linked with the one libwasmtime that lies in ``_lib``; native pointers pass between
them as integers.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Union

from . import _binaries
from ._binaries import VERSION

if sys.maxsize <= 2**32:
    raise ImportError("wasmtime needs a 64-bit Python")

_directory = os.path.dirname(os.path.abspath(__file__))
_problem = _binaries.problem(_directory)
if _problem is not None:
    # Before the loader sees the files: it may not survive one that is cut off.
    raise ImportError(
        f"wasmtime {VERSION} cannot be imported: {_problem}. {_binaries.remedy(_directory)}"
    )

if sys.platform == "win32" and os.path.isdir(os.path.join(_directory, "_lib")):
    # Windows looks for the library beside the modules only where it is told to. The directory
    # stays added for as long as the result is kept.
    _library_directory = os.add_dll_directory(os.path.join(_directory, "_lib"))

try:
    # _ffi needs it. Tools that pack programs cannot see that, but they see this.
    import _cffi_backend  # type: ignore[import-untyped,unused-ignore]  # noqa: F401

    from . import _core as core
    from ._ffi import ffi, lib
except ImportError as error:
    raise ImportError(
        f"wasmtime {VERSION} cannot be imported: {_binaries.explain(error, _directory)}"
    ) from error

if core.__version__ != VERSION:
    raise ImportError(
        f"the binary half of wasmtime is of version {core.__version__}, the Python half of "
        f"{VERSION}; install the package again. {_binaries.remedy(_directory)}"
    )

__all__ = [
    "VERSION",
    "address_of",
    "byte_vec",
    "check",
    "core",
    "decode_path",
    "encode_cstring",
    "encode_name",
    "encode_path",
    "ffi",
    "lib",
    "take_bytes",
]


def address_of(pointer: Any) -> int:
    """The integer form of a cffi pointer, which is what the C core takes."""
    return int(ffi.cast("uintptr_t", pointer))


def check(error: Any) -> None:
    """Raise the exception for a ``wasmtime_error_t *`` unless it is NULL; the error is taken over.

    Raises:
        WasmtimeError: The error; `ExitTrap` if a WASI program exited.
    """
    if error != ffi.NULL:
        raise core.error_from_address(address_of(error))


def take_bytes(vec: Any) -> bytes:
    """The contents of a ``wasm_byte_vec_t``, whose memory is freed."""
    try:
        return bytes(ffi.buffer(vec.data, vec.size)) if vec.size else b""
    finally:
        lib.wasm_byte_vec_delete(ffi.addressof(vec) if ffi.typeof(vec).kind == "struct" else vec)


def byte_vec(data: Union[bytes, bytearray, memoryview]) -> Any:
    """A new ``wasm_byte_vec_t *`` with a copy of the data, in memory of the library's own allocator:
    for functions that take it over.
    """
    vec = ffi.new("wasm_byte_vec_t *")
    lib.wasm_byte_vec_new_uninitialized(vec, len(data))
    if len(data):
        ffi.memmove(vec.data, data, len(data))
    return vec


def encode_name(value: object, what: str) -> bytes:
    """A name as UTF-8.

    Args:
        value: What the user gave.
        what: The argument's name, for the error.

    Raises:
        TypeError: It is not a str (the error is an AttributeError too).
        ValueError: It holds a lone surrogate, which UTF-8 cannot express.
    """
    if not isinstance(value, str):
        from ._error import ArgumentTypeError

        raise ArgumentTypeError(f"{what} must be a str, not {type(value).__name__}")
    try:
        return value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{what} must be valid Unicode: {value!r} holds a lone surrogate at index {error.start}"
        ) from error


def encode_cstring(value: object, what: str) -> bytes:
    """A name as UTF-8 for a function that takes a NUL-terminated string.

    Raises:
        TypeError: It is not a str.
        ValueError: It holds a NUL character or a lone surrogate.
    """
    encoded = encode_name(value, what)
    if b"\0" in encoded:
        raise ValueError(f"{what} must not hold a NUL character: {value!r}")
    return encoded


def encode_path(value: Any, what: str) -> bytes:
    """A path (str, bytes or os.PathLike) for a function that takes a NUL-terminated string.

    Raises:
        TypeError: It is no path.
        ValueError: It holds a NUL character, or is not valid UTF-8, which the library asks for.
    """
    try:
        # On Windows, os.fsencode() is not UTF-8 where PYTHONLEGACYWINDOWSFSENCODING is set.
        windows = sys.platform == "win32"
        encoded = os.fsdecode(value).encode("utf-8") if windows else os.fsencode(value)
    except TypeError as error:
        raise TypeError(
            f"{what} must be str, bytes or os.PathLike, not {type(value).__name__}"
        ) from error
    except UnicodeEncodeError as error:
        raise ValueError(f"{what} is not a valid path: {value!r}") from error
    if b"\0" in encoded:
        raise ValueError(f"{what} must not hold a NUL character: {value!r}")
    try:
        encoded.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{what} must be a path of valid UTF-8: {value!r}") from error
    return encoded


def decode_path(encoded: bytes) -> str:
    """What `encode_path` returned, as Python opens it."""
    return encoded.decode("utf-8") if sys.platform == "win32" else os.fsdecode(encoded)
