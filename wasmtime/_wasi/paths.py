"""Paths and texts that are handed to the library, and files that are tried before it opens them."""

from __future__ import annotations

import errno
import os
import stat

from .._error import WasmtimeError
from .._native import StrPath, decode_path, encode_cstring, encode_path

__all__ = [
    "check_text",
    "encode_guest_path",
    "is_text",
    "locate",
    "try_directory",
    "try_reading",
    "try_writing",
]


def check_text(value: object, what: str) -> None:
    """Refuse what a NUL-terminated UTF-8 string cannot carry.

    Raises:
        TypeError: It is not a str.
        ValueError: It has a NUL or a lone surrogate.
    """
    encode_cstring(value, what)


def is_text(value: str) -> bool:
    """Whether a NUL-terminated UTF-8 string can carry it."""
    try:
        check_text(value, "")
    except ValueError:
        return False
    return True


def locate(path: StrPath, what: str) -> tuple[str, bytes]:
    """A path as it is shown, and as the native library is given it.

    The latter is absolute: the current directory may be another one by then.
    """
    encode_path(path, what)  # refuses other types, NUL and what is not UTF-8
    shown = os.fsdecode(path)
    # Not abspath(): taking a ".." out of the text changes where a symbolic link leads.
    return shown, encode_path(os.path.join(os.getcwd(), shown), what)


def try_reading(shown: str, native: bytes) -> None:
    """Raise unless the file can be opened for reading.

    A pipe or a device is only asked for its permission: opening it once too often would be felt at
    its other end.
    """
    path = decode_path(native)
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if stat.S_ISREG(mode):
            os.close(os.open(path, os.O_RDONLY))
        elif not os.access(path, os.R_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise WasmtimeError(
            f"failed to set stdin file: {shown!r} cannot be opened: {error.strerror}"
        ) from error


def try_writing(shown: str, native: bytes, stream: str) -> None:
    """Create or empty the file, or raise.

    A pipe or a device is only asked for its permission, as in `try_reading`.
    """
    path = decode_path(native)
    try:
        try:
            regular = stat.S_ISREG(os.stat(path).st_mode)
        except FileNotFoundError:
            regular = True
        if regular or os.path.isdir(path):
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666))
        elif not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise WasmtimeError(
            f"failed to set {stream} file: {shown!r} cannot be opened for writing: {error.strerror}"
        ) from error


def encode_guest_path(path: StrPath) -> bytes:
    """The name of a directory for the guest, as the native library is given it.

    Raises:
        ValueError: It has a NUL or is not valid Unicode.
    """
    name = os.fspath(path)
    if isinstance(name, bytes):
        try:
            name = name.decode("utf-8")
        except UnicodeDecodeError:
            raise ValueError(f"guest_path must be valid UTF-8, not {name!r}") from None
    return encode_cstring(name, "guest_path")


def try_directory(shown: str, native: bytes) -> None:
    """Raise unless the directory can be opened."""
    try:
        with os.scandir(decode_path(native)):
            pass
    except OSError as error:
        raise WasmtimeError(
            f"failed to add preopen dir: {shown!r} cannot be opened as a directory: "
            f"{error.strerror}"
        ) from error
