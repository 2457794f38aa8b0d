"""Python objects as the resources of the host.

A class that implements a resource of WIT is marked with the number of its type. The objects that
components hold lie in a table of their store, by the number that the component knows them by; the
table ends with the store.
"""

from __future__ import annotations

import itertools
from _thread import allocate_lock
from typing import Any, Callable, Optional, TypeVar

from .._store import store_of
from ._resource_type import ResourceType
from ._resources import ResourceAny, ResourceHost

__all__ = ["class_for", "destroy", "handle_to", "lift_resource", "lower_resource", "needs_store"]

_Function = TypeVar("_Function", bound=Callable[..., Any])

#: Numbers of types, far from those that programs choose by themselves.
_type_numbers = itertools.count(0x7079_0000)
_numbering = allocate_lock()


def needs_store(function: _Function) -> _Function:
    """Mark a function or method so that it is given the store.

    The store is its first argument (after ``self``). It is a `StoreContext`: usable like the store
    until the function returns.

    Args:
        function: What `Linker.define_imports` will define.

    Example:
        >>> from wasmtime.component import needs_store
        >>> @needs_store
        ... def log(store, text):
        ...     print(store.data, text)
    """
    function._wit_needs_store = True  # type: ignore[attr-defined]
    return function


class _Table:
    """The objects that the components in one store hold."""

    def __init__(self) -> None:
        self.objects: dict[int, Any] = {}
        self.numbers: dict[int, int] = {}
        self.free = itertools.count(1)

    def add(self, value: Any) -> int:
        number = next(self.free)
        self.objects[number] = value
        self.numbers[id(value)] = number
        return number

    def remove(self, number: int) -> Any:
        value = self.objects.pop(number)
        if self.numbers.get(id(value)) == number:
            del self.numbers[id(value)]
        return value


def _table(store: Any) -> _Table:
    home = store_of(store)
    table: Optional[_Table] = getattr(home, "_wit_table", None)
    if table is None:
        table = home._wit_table = _Table()
    return table


def class_for(cls: type) -> ResourceType:
    """The type of resources that a class implements; marks the class."""
    with _numbering:  # a class has one number, whichever linkers it is defined in at once
        if "_wit_resource" not in cls.__dict__:
            cls._wit_resource = next(_type_numbers)  # type: ignore[attr-defined]
    return ResourceType.host(cls._wit_resource)  # type: ignore[attr-defined]


def destroy(store: Any, number: int) -> None:
    """Let an object go, after its ``drop`` if it has one: the destructor of all such resources."""
    value = _table(store).remove(number)
    drop = getattr(value, "drop", None)
    if callable(drop):
        drop()


def lower_resource(value: Any, store: Any, own: bool) -> Any:
    """What to give a component for `value`: called by the core for what is no resource by class."""
    number = getattr(type(value), "_wit_resource", None)
    return value if number is None else handle_to(value, number, store, own)


def handle_to(value: Any, number: int, store: Any, own: bool) -> ResourceHost:
    """A handle to an object for a component; enters the object into the store's table.

    Args:
        value: The object.
        number: The number of its resource type.
        store: The component's store.
        own: Whether the component gets the object for good. An object that is lent again and again
            stays one entry.
    """
    table = _table(store)
    if own:
        return ResourceHost.own(table.add(value), number)
    rep = table.numbers.get(id(value))
    return ResourceHost.borrow(table.add(value) if rep is None else rep, number)


def lift_resource(handle: ResourceAny, store: Any) -> Any:
    """What to give Python for a handle: the object itself if it is one of the host's."""
    table: Optional[_Table] = getattr(store, "_wit_table", None)
    if table is None:
        return handle
    try:
        host = handle.to_host(store)
    except Exception:  # a component's own resource
        return handle
    rep, _, owned = host._details
    if rep not in table.objects:
        return host
    return table.remove(rep) if owned else table.objects[rep]
