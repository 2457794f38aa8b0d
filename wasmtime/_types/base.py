"""What all types share."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, TypeVar

__all__ = ["NothingToClose", "TypeValue"]

if TYPE_CHECKING:
    _Self = TypeVar("_Self", bound="NothingToClose")
else:
    _Self = TypeVar("_Self")  # a name in quotes would start the compiler at every import

#: How a slot of a type is set, past `TypeValue.__setattr__`.
_set = object.__setattr__


class NothingToClose:
    """What can be closed, and used in a ``with`` block, and stays usable afterwards.

    The published package has `close` and ``with`` on its types, where they free the native object.
    """

    __slots__ = ()

    def close(self) -> None:
        """Do nothing: kept for programs that close their types."""

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(self, *exception: object) -> None:
        pass


class TypeValue(NothingToClose):
    """What all types share: they are immutable, and closing them does nothing."""

    __slots__ = ("__weakref__",)

    def _fill(self, **values: object) -> None:
        """Sets the slots of a new object; nothing else gets past `__setattr__`."""
        for name in values:  # not items(): without memory, CPython 3.11 crashes there
            _set(self, name, values[name])

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(
            f"{type(self).__name__} objects do not change: cannot set {name!r}; make a new one"
        )

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} objects do not change: cannot delete {name!r}")

    def __copy__(self: _Self) -> _Self:
        return self

    def __deepcopy__(self: _Self, memo: dict[int, object]) -> _Self:
        return self
