"""Modules whose imports are resolved already."""

from __future__ import annotations

from typing import Any

from ._instance import Instance
from ._managed import Managed
from ._module import Module
from ._native import core
from ._store import Storelike

__all__ = ["InstancePre"]


class InstancePre(core.InstancePre, Managed):
    """A module with its imports resolved by a linker, for instantiating it many times.

    Made by `Linker.instantiate_pre`. It can be used from any number of threads at once, each with
    a store of its own.

    C API: ``wasmtime_instance_pre_t``.
    """

    #: The Handle of what is linked for asynchronous calls.
    _for_calls: Any = None

    async def instantiate_async(self, store: Storelike) -> Instance:
        """As `instantiate`, for asynchronous calls: the event loop does other work meanwhile.

        Args:
            store: The Store (or Caller) to instantiate in, of the same engine.

        Raises:
            WasmtimeError: As for `instantiate`; or functions of Python were linked into the store
                for synchronous calls before.
            Trap: The start function trapped.
            ValueError: This object or the store is closed.

        C API: ``wasmtime_instance_pre_instantiate_async``.
        """
        instance: Instance = await self._call(store)
        return instance

    def _instantiate_there(self, store: Storelike) -> Instance:
        """What `instantiate` does where it has to link for asynchronous calls."""
        instance: Instance = self._call(store)._run()
        return instance

    def _call(self, store: Storelike) -> Any:
        """The `AsyncCall` that instantiates the module."""
        self._use()
        self._check(store)
        return core.instantiate_async(
            store, self._for_calls, self._definitions, self._native_module
        )

    @property
    def module(self) -> Module:
        """The module that this was made of.

        Raises:
            ValueError: This object is closed.
        """
        self._use()
        module: Module = self._module
        return module
