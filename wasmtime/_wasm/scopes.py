"""The index spaces in which the binary of a component numbers its items, and what is in them.

A scope belongs to one reading of one component, or of one component or instance type. Components
inside of others, and instance types, keep their place in the binary and the scope around it: they
are read anew for each instance, since a resource that they declare is another one in each.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Callable, Optional

from .grammar import (
    CORE_MODULE_SORT,
    SORT_COMPONENT,
    SORT_FUNC,
    SORT_INSTANCE,
    SORT_TYPE,
    SORT_VALUE,
)
from .reader import Reader
from .types import MAX_DEPTH, Budget, Func, Primitive, Type, UnsupportedComponent, too_deep

__all__ = [
    "CORE_MODULE",
    "AnyScope",
    "ComponentType",
    "InnerComponent",
    "Instance",
    "InstanceType",
    "Other",
    "Scope",
]


@dataclass(eq=False)
class Instance:
    """An instance: what it exports, by name and in order."""

    exports: dict[str, Any]


@dataclass(eq=False)
class InstanceType(Type):
    """The type of instances: declarations, to be run once for each."""

    declarations: list[Callable[[Scope], None]]
    outer: Scope

    def instantiate(self, where: Scope) -> Instance:
        """Make an instance of this type while the scope `where` is read."""
        scope = where.inner(self.outer)
        for declare in self.declarations:
            declare(scope)
        return Instance(scope.exports)


@dataclass(eq=False)
class ComponentType(Type):
    """The type of components, of which nothing more has to be known."""


@dataclass(eq=False)
class InnerComponent:
    """A component inside of another, to be read for each of its instances."""

    binary: Optional[Reader]  # None: imported, and known by its type alone
    outer: Optional[Scope]


@dataclass(eq=False)
class Other:
    """A core module or a value."""

    what: str


CORE_MODULE = Other("core module")


class Scope:
    """The index spaces of a component, or of a component or instance type.

    Args:
        outer: The scope around it, whose items it can name.
        depth: How many scopes are being read at this moment, this one included.
        budget: What is left of the work.

    Raises:
        UnsupportedComponent: They are too many.
    """

    def __init__(self, outer: Optional[Scope], depth: int, budget: Budget) -> None:
        if depth > MAX_DEPTH:
            raise too_deep()
        self.outer = outer
        self.depth = depth
        self.budget = budget
        self.types: list[Type] = []
        self.funcs: list[Func] = []
        self.instances: list[Instance] = []
        self.components: list[InnerComponent] = []
        self.imports: dict[str, Any] = {}
        self.exports: dict[str, Any] = {}
        #: How many core items of each sort there are: nothing has to be known of them.
        self.core: Counter[int] = Counter()

    def inner(self, outer: Optional[Scope]) -> Scope:
        """Make a scope that is read while this one is."""
        return Scope(outer, self.depth + 1, self.budget)

    def enclosing(self, count: int) -> Scope:
        """Return the scope that is `count` levels further out.

        Raises:
            UnsupportedComponent: There are not so many.
        """
        scope = self
        for _ in range(count):
            if scope.outer is None:
                raise UnsupportedComponent("an alias of a scope that does not exist")
            scope = scope.outer
        return scope

    def add(self, item: Any) -> None:
        """Give an item that is imported, exported or aliased the next index of its kind."""
        if isinstance(item, Func):
            self.funcs.append(item)
        elif isinstance(item, Instance):
            self.instances.append(item)
        elif isinstance(item, InnerComponent):
            self.components.append(item)
        elif isinstance(item, Type):
            self.types.append(item)
        elif item is CORE_MODULE:
            self.core[CORE_MODULE_SORT] += 1

    def get(self, sort: int, index: int) -> Any:
        """Return the item of a sort at an index.

        Raises:
            IndexError: There is none.
        """
        spaces: dict[int, list[Any]] = {
            SORT_FUNC: self.funcs,
            SORT_TYPE: self.types,
            SORT_COMPONENT: self.components,
            SORT_INSTANCE: self.instances,
        }
        if sort == CORE_MODULE_SORT:
            return CORE_MODULE
        if sort not in spaces:
            return Other("value" if sort == SORT_VALUE else "core item")
        return spaces[sort][index]


class AnyScope(Scope):
    """A scope that has everything, for passing over what is only looked at later."""

    class _Endless(list):  # type: ignore[type-arg]
        def __getitem__(self, index: Any) -> Any:
            return Primitive("bool")

    def __init__(self, where: Scope) -> None:
        super().__init__(None, where.depth + 1, where.budget)
        self.types = self._Endless()
