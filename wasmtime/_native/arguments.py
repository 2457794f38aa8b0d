"""Conversions and checks of arguments: names, paths and numbers."""

from __future__ import annotations

import operator
import os
import sys
from typing import Any, Union

__all__ = [
    "StrPath",
    "check_unsigned",
    "decode_path",
    "encode_cstring",
    "encode_name",
    "encode_path",
    "integer",
    "unsigned",
]


# --- names ---------------------------------------------------------------------------------------


def encode_name(value: object, what: str) -> bytes:
    """Encode a name as UTF-8.

    Args:
        value: What the user gave.
        what: The argument's name, for the error.

    Raises:
        TypeError: It is not a str (the error is an AttributeError too).
        ValueError: It holds a lone surrogate, which UTF-8 cannot express.
    """
    if not isinstance(value, str):
        from .._error import ArgumentTypeError

        raise ArgumentTypeError(f"{what} must be a str, not {type(value).__name__}")
    try:
        return value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{what} must be valid Unicode: {value!r} holds a lone surrogate at index {error.start}"
        ) from error


def encode_cstring(value: object, what: str) -> bytes:
    """Encode a name as UTF-8 for a function that takes a NUL-terminated string.

    Raises:
        TypeError: It is not a str.
        ValueError: It holds a NUL character or a lone surrogate.
    """
    encoded = encode_name(value, what)
    if b"\0" in encoded:
        raise ValueError(f"{what} must not hold a NUL character: {value!r}")
    return encoded


# --- paths ---------------------------------------------------------------------------------------

#: A path in any form that Python's own file functions take.
StrPath = Union[str, bytes, os.PathLike[str], os.PathLike[bytes]]


def encode_path(value: Any, what: str) -> bytes:
    """Encode a path (str, bytes or os.PathLike) for a function that takes a NUL-terminated string.

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
    """Return what `encode_path` made, in the form in which Python opens it."""
    return encoded.decode("utf-8") if sys.platform == "win32" else os.fsdecode(encoded)


# --- numbers -------------------------------------------------------------------------------------


def integer(name: str, value: Any) -> int:
    """Return an argument that is an integer, or can be used as one, as an int.

    Raises:
        TypeError: It is neither.
    """
    try:
        return int(operator.index(value))
    except TypeError:
        raise TypeError(f"{name} must be an int, not {type(value).__name__}") from None


def check_unsigned(name: str, number: int, bits: int = 64) -> int:
    """Return a number that fits into `bits` bits without a sign.

    Raises:
        OverflowError: It does not fit.
    """
    if not 0 <= number < 1 << bits:
        raise OverflowError(f"{name} must be between 0 and 2**{bits} - 1, not {number}")
    return number


def unsigned(name: str, value: Any, bits: int = 64) -> int:
    """Return an argument that the library takes as `bits` bits without a sign.

    Raises:
        TypeError: It is not an integer.
        OverflowError: It does not fit.
    """
    return check_unsigned(name, integer(name, value), bits)
