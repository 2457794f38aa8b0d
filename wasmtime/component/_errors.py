"""
The exception for what the C API cannot do.
"""

from __future__ import annotations

from .._error import WasmtimeError

__all__ = ["UnsupportedTypeError"]


class UnsupportedTypeError(WasmtimeError, NotImplementedError):
    """
    A value of a type that the C API of the library has no form for: streams, futures and error
    contexts, alone or inside of other types.

    It is raised before anything is called.
    """
