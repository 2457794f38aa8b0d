"""Instances of a prepared module, and the parts of them that have state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Optional, Union

from .._globals import Global
from .._instance import Instance
from .._linker import Linker
from .._memory import Memory
from .._module import Module
from .._sharedmemory import SharedMemory
from .._store import Store, Storelike
from .._table import Table
from .._wasm.layout import FUNCTION_KIND, TAG_KIND
from .errors import NotCapturable
from .rewrite import Prepared

__all__ = ["Parts", "make_pristine"]


class Parts:
    """What has state in an instance of a prepared module.

    Args:
        prepared: What the module was compiled from.
        store: The store of the instance.
        instance: The instance.

    """

    def __init__(self, prepared: Prepared, store: Storelike, instance: Instance) -> None:
        self.prepared = prepared
        self.store = store
        self._exports = instance.exports(store)

    @cached_property
    def memories(self) -> list[Union[Memory, SharedMemory]]:
        """The memories that the module defines."""
        count = len(self.prepared.layout.memories)
        return [self.named("memory", index) for index in range(count)]

    @cached_property
    def tables(self) -> list[Table]:
        """The tables that it defines."""
        count = len(self.prepared.layout.tables)
        return [self.named("table", index) for index in range(count)]

    @cached_property
    def functions(self) -> Optional[Table]:
        """The table of all functions that can be referred to, if there is one."""
        return self.named("functions") if self.prepared.needs_functions else None

    def global_(self, index: int) -> Global:
        """Return a global that has state, by its index among the defined ones."""
        found: Global = self.named("global", index)
        return found

    def call(self, what: str) -> None:
        """Call an added function."""
        self.named(what)(self.store)

    def named(self, what: str, index: Optional[int] = None) -> Any:
        """Return an added export."""
        return self._exports[self.prepared.named(what, index)]


@contextmanager
def make_pristine(prepared: Prepared, module: Module) -> Iterator[Parts]:
    """Make an instance that has run nothing, to compare others with.

    Its imports trap: nothing calls them, since the start function was taken out.
    """
    for item in prepared.layout.imports:
        if item.kind not in (FUNCTION_KIND, TAG_KIND):
            raise NotCapturable(
                f"{item.module!r} {item.name!r} is imported and no function: what a new instance "
                "begins with depends on it"
            )
    linker = Linker(module.engine)
    linker.define_unknown_imports_as_traps(module)
    with Store(module.engine) as store:
        yield Parts(prepared, store, linker.instantiate(store, module))
