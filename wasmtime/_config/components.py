"""Settings of the component model."""

from __future__ import annotations

from .._native import lib
from . import defaults
from .record import Record, switch

__all__ = ["ComponentSettings"]


class ComponentSettings(Record):
    """The component model and its extensions."""

    __slots__ = ()

    @switch(True, lib.wasmtime_config_wasm_component_model_set)
    def wasm_component_model(self) -> bool:
        """The component model. Default: True.

        C API: ``wasmtime_config_wasm_component_model_set``.
        """
        raise NotImplementedError

    @switch(True, lib.wasmtime_config_concurrency_support_set)
    def concurrency_support(self) -> bool:
        """Whether stores are prepared for several concurrent tasks of components. Default: True.

        The asynchronous parts of the component model need it. Calls of components that do not use
        them are faster without, and a Python function can be given more than one borrowed handle
        by a component only without: a fault of this version of the library.
        C API: ``wasmtime_config_concurrency_support_set``.
        """
        raise NotImplementedError

    @switch(defaults.wasm_component_model_async, lib.wasmtime_config_wasm_component_model_async_set)
    def wasm_component_model_async(self) -> bool:
        """Asynchronous functions, streams and futures of components.

        Needs `concurrency_support` and `wasm_reference_types`. Default: as `concurrency_support`.
        C API: ``wasmtime_config_wasm_component_model_async_set``.
        """
        raise NotImplementedError

    @switch(False, lib.wasmtime_config_wasm_component_model_more_async_builtins_set)
    def wasm_component_model_more_async_builtins(self) -> bool:
        """Further asynchronous built-in functions of components. Default: False.

        Needs `concurrency_support`.
        C API: ``wasmtime_config_wasm_component_model_more_async_builtins_set``.
        """
        raise NotImplementedError

    @switch(False, lib.wasmtime_config_wasm_component_model_async_stackful_set)
    def wasm_component_model_async_stackful(self) -> bool:
        """Asynchronous functions of components that wait with their stack. Default: False.

        Needs `concurrency_support`.
        C API: ``wasmtime_config_wasm_component_model_async_stackful_set``.
        """
        raise NotImplementedError

    @switch(False, lib.wasmtime_config_wasm_component_model_map_set)
    def wasm_component_model_map(self) -> bool:
        """The type `map` of components. Default: False.

        C API: ``wasmtime_config_wasm_component_model_map_set``.
        """
        raise NotImplementedError

    @switch(False, lib.wasmtime_config_wasm_component_model_implements_set)
    def wasm_component_model_implements(self) -> bool:
        """Imports and exports of components that name the interface they implement. Default: False.

        C API: ``wasmtime_config_wasm_component_model_implements_set``.
        """
        raise NotImplementedError

    @switch(False, lib.wasmtime_config_wasm_component_model_canonical_names_set)
    def wasm_component_model_canonical_names(self) -> bool:
        """Canonical names of interfaces with versions. Default: False.

        C API: ``wasmtime_config_wasm_component_model_canonical_names_set``.
        """
        raise NotImplementedError

    @switch(False, lib.wasmtime_config_wasm_component_model_accessors_set)
    def wasm_component_model_accessors(self) -> bool:
        """Names of functions that get and set a property of a resource. Default: False.

        C API: ``wasmtime_config_wasm_component_model_accessors_set``.
        """
        raise NotImplementedError

    @switch(True, None)
    def component_bulk(self) -> bool:
        """Whether lists pass into and out of components as a whole. Default: True.

        The C API alone passes each element by itself. With this, a component whose exports have
        lists, maps, or strings inside of other values is compiled with a small core module more, as
        ``docs/bulk.md`` tells, and lists of any size pass at the speed of memory. Components that
        do asynchronous things, and engines that consume fuel, use a pool or Winch, or lack SIMD,
        several memories or bulk instructions go without in any case.
        """
        raise NotImplementedError
