"""Resources: handles to what a component or the host owns."""

from __future__ import annotations

from typing import Any

from .._error import WasmtimeError
from .._native import core, ffi, unsigned
from .._store import Storelike
from ._resource_type import ResourceType

__all__ = ["ResourceAny", "ResourceHost"]


class ResourceAny(core.ResourceAny):
    """A handle to a resource of any type, as functions give it.

    An own one that is neither given away (as an argument of type ``own``) nor dropped takes up
    room in its store until the store is closed. One that was borrowed for a host call ends with
    that call.
    """

    def __init__(self) -> None:
        raise WasmtimeError("Cannot directly construct a `ResourceAny`")

    @property
    def type(self) -> ResourceType:
        """The type of the resource.

        Raises:
            WasmtimeError: It was borrowed for a call that is over.

        C API: ``wasmtime_component_resource_any_type``.
        """
        return ResourceType._take(ffi.cast("wasmtime_component_resource_type_t *", self._type()))

    @property
    def owned(self) -> bool:
        """Whether this is an own handle, not a borrowed one.

        C API: ``wasmtime_component_resource_any_owned``.
        """
        return bool(self._owned)

    def drop(self, store: Storelike) -> None:
        """Give the resource up; its destructor runs if this is an own handle.

        Args:
            store: The store that it lives in.

        Raises:
            WasmtimeError: It was dropped or given away before, or lives in another store.
            Trap: The destructor trapped.
            ValueError: The store is closed.

        C API: ``wasmtime_component_resource_any_drop``.
        """
        self._drop(store)

    def to_host(self, store: Storelike) -> ResourceHost:
        """The same as a resource of the host. This handle is used up.

        Args:
            store: The store that it lives in.

        Raises:
            WasmtimeError: A component defines it, it is used up already, or it lives in another
                store.
            ValueError: The store is closed.

        C API: ``wasmtime_component_resource_any_to_host``.
        """
        host: ResourceHost = self._to_host(store)
        return host

    def close(self) -> None:
        """Nothing: kept for programs of older versions. See `drop`."""

    def __copy__(self) -> Any:
        raise TypeError("a ResourceAny is a handle in a store and cannot be copied")

    def __reduce__(self) -> Any:
        raise TypeError("a ResourceAny is a handle in a store and cannot be pickled")


class ResourceHost(core.ResourceHost):
    """A resource that the host defines.

    It is a number that stands for whatever the host means by it, and the number of its type.
    """

    def __init__(self) -> None:
        raise WasmtimeError("Cannot directly construct a `ResourceHost`")

    @classmethod
    def own(cls, rep: int, ty: int) -> ResourceHost:
        """A resource to be given away.

        Args:
            rep: What the host knows the resource by, 0 ... 2**32-1; its destructor is given it.
            ty: The number that `ResourceType.host` was made with.

        Raises:
            TypeError: An argument is not an int.
            OverflowError: An argument is out of range.

        C API: ``wasmtime_component_resource_host_new``.
        """
        host: ResourceHost = cls._make(True, unsigned("rep", rep, 32), unsigned("ty", ty, 32))
        return host

    @classmethod
    def borrow(cls, rep: int, ty: int) -> ResourceHost:
        """A resource to be lent for a call. As `own` otherwise."""
        host: ResourceHost = cls._make(False, unsigned("rep", rep, 32), unsigned("ty", ty, 32))
        return host

    @property
    def rep(self) -> int:
        """What the host knows the resource by."""
        return int(self._details[0])

    @property
    def type(self) -> int:
        """The number of its type."""
        return int(self._details[1])

    @property
    def owned(self) -> bool:
        """Whether this is an own resource, not a borrowed one."""
        return bool(self._details[2])

    def to_any(self, store: Storelike) -> ResourceAny:
        """A handle to it in a store.

        Args:
            store: The store.

        Raises:
            ValueError: The store is closed.
            WasmtimeError: The store is in use by another thread.

        C API: ``wasmtime_component_resource_host_to_any``.
        """
        handle: ResourceAny = self._to_any(store)
        return handle

    def close(self) -> None:
        """Nothing: kept for programs of older versions."""

    def __repr__(self) -> str:
        rep, kind, owned = self._details
        return f"ResourceHost.{'own' if owned else 'borrow'}(rep={rep}, ty={kind})"

    def __reduce__(self) -> Any:
        rep, kind, owned = self._details
        return (ResourceHost.own if owned else ResourceHost.borrow), (rep, kind)
