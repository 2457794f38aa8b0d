"""Modules whose imports are resolved already."""

from __future__ import annotations

from ._managed import Managed
from ._module import Module
from ._native import core

__all__ = ["InstancePre"]


class InstancePre(core.InstancePre, Managed):
    """A module with its imports resolved by a linker, for instantiating it many times.

    Made by `Linker.instantiate_pre`. It can be used from any number of threads at once, each with
    a store of its own.

    C API: ``wasmtime_instance_pre_t``.
    """

    @property
    def module(self) -> Module:
        """The module that this was made of.

        Raises:
            ValueError: This object is closed.
        """
        self._use()
        module: Module = self._module
        return module
