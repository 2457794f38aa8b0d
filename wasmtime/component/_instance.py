"""Instances of components."""

from __future__ import annotations

from typing import Any, Optional, Union

from .._error import WasmtimeError
from .._native import address_of, core, encode_name, ffi, lib
from .._store import Storelike, door
from ._component import Component, ExportIndex, index_pointer
from ._exports import Exports
from ._func import Func

__all__ = ["Instance"]


class Instance(core.ComponentInstance):
    """A component brought to life in a store. `Linker.instantiate` makes them."""

    _component: Optional[Component] = None
    _exports: Optional[Exports] = None

    def __init__(self) -> None:
        raise WasmtimeError("Cannot directly construct an `Instance`")

    def __repr__(self) -> str:
        from .._display import component_instance_text

        return component_instance_text(self)

    def _pointer(self) -> Any:
        return ffi.cast("wasmtime_component_instance_t *", self._address)

    def get_export_index(
        self, store: Storelike, name: str, instance: Optional[ExportIndex] = None
    ) -> Optional[ExportIndex]:
        """The place of an export.

        Args:
            store: The store that the instance lives in.
            name: Name of the export.
            instance: The place of the exported instance to look in; None for this one.

        Returns:
            The place; None if there is no such export.

        Raises:
            TypeError: An argument is of a wrong type.
            WasmtimeError: This lives in another store.
            ValueError: The store or `instance` is closed.

        C API: ``wasmtime_component_instance_get_export_index``.
        """
        encoded = encode_name(name, "name")
        outer = index_pointer(instance)
        with door(store, self) as context:
            found = lib.wasmtime_component_instance_get_export_index(
                self._pointer(), context, outer, encoded, len(encoded)
            )
        place = ExportIndex._take(found, name, instance)
        hidden = instance is None and self._component is not None and self._component._hides(name)
        return None if hidden else place

    def get_func(self, store: Storelike, index: Union[ExportIndex, str]) -> Optional[Func]:
        """An exported function.

        The function maps values as older versions do: a result or variant is given as its bare
        payload where the classes of the payloads tell the cases apart. Functions from `exports`
        give `Ok`, `Err` and `Variant` always.

        Args:
            store: The store that the instance lives in.
            index: Place or name of the export.

        Returns:
            The function; None if there is no such export, or it is no function.

        Raises:
            TypeError: `index` is of a wrong type.
            WasmtimeError: This lives in another store.
            ValueError: The store or `index` is closed.

        C API: ``wasmtime_component_instance_get_func``.
        """
        name = None
        if isinstance(index, str):
            name = index
            found = self.get_export_index(store, index)
            if found is None:
                return None
            index = found
        elif not isinstance(index, ExportIndex):
            raise TypeError(f"index must be an ExportIndex or a str, not {type(index).__name__}")
        return self._func(store, index, False, name)

    def _func(
        self, store: Storelike, index: ExportIndex, tagged: bool, name: Optional[str]
    ) -> Optional[Func]:
        """The function at a place."""
        place = index_pointer(index)
        component = self._component
        raw = ffi.new("wasmtime_component_func_t *")
        with door(store, self) as context:
            if not lib.wasmtime_component_instance_get_func(self._pointer(), context, place, raw):
                return None
            func: Func = Func._make(store, address_of(raw), tagged, name)
            if component is not None and component._codec is not None:
                component._codec.serve(func, index._path, self._pointer(), context)
        return func

    def exports(self, store: Storelike) -> Exports:
        """The exports, as a mapping that nests by the names of interfaces.

        Args:
            store: The store that the instance lives in.

        Raises:
            WasmtimeError: This lives in another store.
            ValueError: The store is closed.

        Example:
            >>> from wasmtime import Engine, Store
            >>> from wasmtime.component import Component, Linker
            >>> engine = Engine()
            >>> store = Store(engine)
            >>> component = Component(engine, '''
            ...     (component
            ...       (core module $m (func (export "add") (param i32 i32) (result i32)
            ...         (i32.add (local.get 0) (local.get 1))))
            ...       (core instance $i (instantiate $m))
            ...       (func $add (param "a" s32) (param "b" s32) (result s32)
            ...         (canon lift (core func $i "add")))
            ...       (instance $math (export "add" (func $add)))
            ...       (export "math" (instance $math)))''')
            >>> exports = Linker(engine).instantiate(store, component).exports(store)
            >>> exports["math"]["add"](store, 1, 2)
            3
            >>> exports.math.add(store, a=1, b=2)
            3
        """
        self._belongs_to(store)
        if self._exports is None:
            assert self._component is not None
            self._exports = Exports(self, store, self._component)
        return self._exports
