"""Instances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Optional

from ._error import WasmtimeError, expect
from ._exportable import AsExtern
from ._lookup import LookupByName
from ._module import Module
from ._native import core, encode_name
from ._store import Storelike, engine_of

__all__ = ["Instance", "InstanceExports"]


class Instance(core.Instance):
    """A module brought to life in a store: its code with memories, tables and globals.

    Making one runs the module's start function, if it has one.

    Args:
        store: The store to instantiate in, of the module's engine.
        module: The module.
        imports: What the module imports, in its order: Func, Memory, SharedMemory, Table, Global
            or Tag. `Linker` finds imports by name instead.

    Raises:
        TypeError: An argument is of a wrong type.
        WasmtimeError: The number or the type of the imports is wrong (the message says what was
            expected and given), something belongs to another store or engine, the store's limits
            are reached, or the store is in use.
        Trap: The start function trapped.
        ValueError: The store or the module is closed.

    C API: ``wasmtime_instance_new``.
    """

    def __init__(self, store: Storelike, module: Module, imports: Sequence[AsExtern]) -> None:
        self._init(store, module, imports)

    @classmethod
    async def instantiate_async(
        cls, store: Storelike, module: Module, imports: Sequence[AsExtern]
    ) -> Instance:
        """As ``Instance(store, module, imports)``, for asynchronous calls.

        The event loop does other work while a start function waits. All that is instantiated in
        the store from now on is linked for asynchronous calls.

        Args:
            store: The store to instantiate in, of the module's engine.
            module: The module.
            imports: What the module imports, in its order. Python functions among them may be
                ``async def`` and plain ones.

        Returns:
            The instance.

        Raises:
            TypeError: An argument is of a wrong type.
            WasmtimeError: As when an instance is made; functions of Python were linked into the
                store for synchronous calls before; or the module imports two different items by one
                name.
            Trap: The start function trapped.
            ValueError: The store or the module is closed.

        C API: ``wasmtime_linker_instantiate_async``.
        """
        core.make_asynchronous(store)
        instance = cls.__new__(cls)
        instance._become(store, await _call(store, module, imports))
        return instance

    def _init_there(self, store: Storelike, module: Module, imports: Sequence[AsExtern]) -> None:
        """Instantiate where calls are asynchronous."""
        core.make_asynchronous(store)
        self._become(store, _call(store, module, imports)._run())

    def get_export(self, store: Storelike, name: str) -> Optional[AsExtern]:
        """One export, without making objects for the others.

        Args:
            store: The store that the instance lives in.
            name: Name of the export.

        Returns:
            The export; None if there is none of that name.

        Raises:
            TypeError: `name` is not a str.
            WasmtimeError: The instance lives in another store, or the store is in use.
            ValueError: The store is closed.

        C API: ``wasmtime_instance_export_get``.
        """
        encode_name(name, "name")
        item: Optional[AsExtern] = self._export(store, name)
        return item

    def __repr__(self) -> str:
        from ._display import instance_text

        return instance_text(self)


def _call(store: Storelike, module: Module, imports: Sequence[AsExtern]) -> Any:
    """The `AsyncCall` that instantiates a module with a list of imports."""
    from ._linking import linker_of_imports

    handle = expect(module, Module, "module")._use()
    if module._engine is not engine_of(store):
        raise WasmtimeError(
            "module belongs to another engine than the store: make both with the same Engine"
        )
    linker = linker_of_imports(store, module, tuple(imports))
    return core.instantiate_async(store, linker, [], handle)


class InstanceExports(core.Exports, LookupByName, Mapping[str, AsExtern]):
    """The exports of an instance, by name.

    They are a mapping from name to Func, Memory, Table, Global, SharedMemory or Tag. `by_index` is
    the tuple of them in the module's order. `get_func`, `get_memory` and the like look up an export
    of that kind.

    An export is looked up in the instance when it is first asked for. That needs the store: it
    raises as `Instance.get_export` does when the store is closed, gone or in use by another
    thread. The names and their number are known without it.

    Made by `Instance.exports`.
    """

    @cached_property
    def _extern_map(self) -> dict[str, AsExtern]:
        """The exports as a dict, which some programs written for the published package use."""
        return dict(zip(self, self.by_index))

    def _ipython_key_completions_(self) -> list[str]:
        """What a notebook completes ``exports["`` with."""
        return list(self)

    def __repr__(self) -> str:
        return f"<wasmtime exports: {', '.join(map(repr, self)) or 'none'}>"
