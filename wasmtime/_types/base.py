"""What all types share."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, TypeVar

__all__ = ["TypeValue"]

if TYPE_CHECKING:
    _Self = TypeVar("_Self", bound="TypeValue")
else:
    _Self = TypeVar("_Self")  # a name in quotes would start the compiler at every import

#: How a slot of a type is set, past `TypeValue.__setattr__`.
_set = object.__setattr__


class TypeValue:
    """What all types share: they are immutable, and closing them does nothing.

    `close` and `with` are here because the published package has them on its types, where they
    free the native object; a value has nothing to free and stays usable.
    """

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

    def close(self) -> None:
        """Does nothing: a type holds no resource (kept for code that closes its types)."""

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __copy__(self: _Self) -> _Self:
        return self

    def __deepcopy__(self: _Self, memo: dict[int, object]) -> _Self:
        return self
