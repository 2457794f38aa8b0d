"""Types of resources."""

from __future__ import annotations

from typing import Any

from .._error import WasmtimeError
from .._native import ffi, lib, unsigned
from .._types.base import NothingToClose

__all__ = ["ResourceType"]


class ResourceType(NothingToClose):
    """The identity of a type of resources.

    Two are equal if they are the same type: a type that a component defines is a different one in
    each of its instances.
    """

    __slots__ = ("_native",)

    _native: Any

    def __init__(self) -> None:
        raise WasmtimeError("Cannot directly construct a `ResourceType`")

    @classmethod
    def _take(cls, native: Any) -> ResourceType:
        """Take a ``wasmtime_component_resource_type_t *`` over."""
        self = cls.__new__(cls)
        self._native = ffi.gc(native, lib.wasmtime_component_resource_type_delete)
        return self

    @classmethod
    def host(cls, val: int) -> ResourceType:
        """A type that the host defines.

        Args:
            val: Identifies the type, 0 ... 2**32-1: equal numbers are equal types.

        Raises:
            TypeError: `val` is not an int.
            OverflowError: `val` is out of range.

        C API: ``wasmtime_component_resource_type_new_host``.
        """
        return cls._take(lib.wasmtime_component_resource_type_new_host(unsigned("val", val, 32)))

    def __eq__(self, other: object) -> bool:
        if type(other) is not ResourceType:  # a ComponentExtern compares its own type
            return NotImplemented
        return bool(lib.wasmtime_component_resource_type_equal(self._native, other._native))

    def __hash__(self) -> int:
        # The library tells whether two are equal, and nothing else that could go in here.
        return hash(ResourceType)

    def __reduce__(self) -> Any:
        raise TypeError("a ResourceType belongs to this process and cannot be pickled")

    def __repr__(self) -> str:
        return "<wasmtime.component.ResourceType>"
