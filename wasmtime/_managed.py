"""The base of everything that owns a native object."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Optional, TypeVar

from ._native import address_of, core

__all__ = ["Managed"]

if TYPE_CHECKING:
    _Self = TypeVar("_Self", bound="Managed")
else:
    _Self = TypeVar("_Self")  # a name in quotes would start the compiler at every import


class Managed(core.Owner):
    """An object that owns a native one.

    The native object dies when this one is closed, left as a context manager or collected,
    whichever comes first, and never while a call that was made through it still runs: closing
    gives up this object's claim, and whoever uses the native object at that moment keeps it until
    they are done. Several objects of the library share ownership inside, so that for instance a
    `Store` outlives the closing of its `Engine`.
    """

    __slots__ = ()

    def _adopt(self, kind: str, pointer: Any, engine: Optional[object] = None) -> None:
        """Own the native object at `pointer` from here on.

        Args:
            kind: Name of its C type.
            pointer: The pointer as cffi has it.
            engine: The Engine that it belongs to, if any.
        """
        self._own(core.Handle(kind, address_of(pointer), pointer), engine)

    def __enter__(self: _Self) -> _Self:
        """Close the object at the end of a ``with`` block."""
        return self

    def __exit__(
        self,
        exc_type: Optional[type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()

    def __copy__(self) -> Any:
        raise TypeError(
            f"{type(self).__name__} objects own a native one and cannot be copied: "
            "use the same object, or make another"
        )

    def __deepcopy__(self, memo: object) -> Any:
        return self.__copy__()

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError(f"{type(self).__name__} objects own a native one and cannot be pickled")
