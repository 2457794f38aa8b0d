"""The exports of an instance as a mapping."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Optional

from .._lookup import wrong_kind
from .._store import Storelike
from ._component import Component, ExportIndex
from ._func import Func
from ._types import ComponentExtern, ComponentInstanceType, FuncType, plain

if TYPE_CHECKING:
    from ._instance import Instance

__all__ = ["Exports", "short_names", "snake", "unversioned"]


def snake(name: str) -> str:
    """A name of WIT as Python writes it."""
    return name.replace("-", "_")


def unversioned(name: str) -> str:
    """A name without its version."""
    return name.partition("@")[0]


def short_names(name: str) -> list[str]:
    """What else an item may be called.

    ``ns:pkg/iface@1.2.0`` is also ``ns:pkg/iface`` and ``iface``. Each name comes in snake_case
    too.
    """
    path = unversioned(name)
    names = [name, path]
    if "/" in path:
        names.append(path.rpartition("/")[2])
    names.extend([snake(each) for each in names])
    return list(dict.fromkeys(names))


#: Methods of mappings that are not special ones.
_METHODS = ("get", "items", "keys", "values")
#: Methods that came later than the exports that are attributes of these names.
_LOOKUPS = ("get_func", "get_instance")


class Exports(Mapping[str, Any]):
    """What an instance exports, by name: functions, and more mappings like this one for interfaces.

    The keys are the full names. Items are found by short names as well, where that is not
    ambiguous: an interface without its version and package, everything in snake_case, and all of
    it as attributes: ``exports["example:math/ops@1.0.0"]["mul-add"]`` is
    ``exports.ops.mul_add``. An export that has the name of a method (``get``, ``keys``, ``items``,
    ``values``, ``get-func``, ``get-instance``) takes its place.

    Core modules, components and types that are exported have their type as value.
    """

    def __init__(
        self,
        instance: Instance,
        store: Storelike,
        component: Component,
        index: Optional[ExportIndex] = None,
        externs: Optional[dict[str, ComponentExtern]] = None,
    ) -> None:
        externs = component.exports if externs is None else externs
        self._items: dict[str, Any] = {}
        self._aliases: dict[str, Optional[str]] = {}
        for name, extern in externs.items():
            item = plain(extern)
            if isinstance(item, (FuncType, ComponentInstanceType)):
                place = component.get_export_index(name, index)
                if isinstance(item, FuncType):
                    assert place is not None
                    item = instance._func(store, place, True, name)
                elif place is not None:  # an instance, and not just the type of one
                    inner = item.exports(component.engine)
                    item = Exports(instance, store, component, place, inner)
            self._items[name] = item
            if name in _METHODS:
                self.__dict__[name] = item
            for alias in short_names(name)[1:]:
                # Ambiguous aliases resolve to nothing.
                self._aliases[alias] = None if alias in self._aliases else name
        for method in _LOOKUPS:
            if self._aliases.get(method):
                self.__dict__[method] = self[method]

    def __getitem__(self, name: str) -> Any:
        if name in self._items:
            return self._items[name]
        full = self._aliases.get(name)
        if full is None:
            raise KeyError(
                f"{name!r}: there is no such export, only "
                f"{', '.join(map(repr, self._items)) or 'none at all'}"
            )
        return self._items[full]

    def get_func(self, name: str) -> Func:
        """Return the function of a name, which may be a short one.

        It is the same object as ``[name]`` returns, of a class that type checkers know.

        Args:
            name: Name of the export.

        Raises:
            KeyError: There is no such export.
            TypeError: It is something else than a function. The message says what.
        """
        item = self[name]
        if isinstance(item, Func):
            return item
        raise wrong_kind(item, Func, name)

    def get_instance(self, name: str) -> Exports:
        """Return what an interface exports, as `get_func` does for functions."""
        item = self[name]
        if isinstance(item, Exports):
            return item
        raise wrong_kind(item, Exports, name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(error.args[0]) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __dir__(self) -> list[str]:
        names = [name for name in (*self._items, *self._aliases) if name.isidentifier()]
        return [*super().__dir__(), *names]

    def _ipython_key_completions_(self) -> list[str]:
        """What a notebook completes ``exports["`` with."""
        return list(self)

    def __repr__(self) -> str:
        return f"<wasmtime component exports: {', '.join(map(repr, self)) or 'none'}>"
