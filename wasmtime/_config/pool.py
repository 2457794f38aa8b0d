"""The pool that instances can get their memory from."""

from __future__ import annotations

from typing import Any, Callable, Union

from .._error import WasmtimeError
from .._native import ffi, lib
from .defaults import GIB, MIB
from .record import Record, Setting, size

__all__ = ["AllocationStrategy", "PoolingAllocationConfig", "allocation_strategy_setting"]

#: How instances get their memory: "on_demand", or from a pool.
AllocationStrategy = Union[str, "PoolingAllocationConfig"]


class PoolingAllocationConfig(Record):
    """How many instances, memories, tables and stacks a pool holds, and how large they may be.

    The pooling allocator takes all address space when the engine is made, and instances then come
    from there: quicker to make and to drop than with memory from the operating system each time,
    at the price of limits that are fixed in advance. What does not fit is refused with a
    `WasmtimeError` when a module is compiled or instantiated.

    Each setting is an attribute and can be given as a keyword argument.

    Raises:
        TypeError: a value is not an integer, or there is no setting of that name.
        OverflowError: a value is negative or too large for the library's type.

    Example:
        >>> from wasmtime import Config, PoolingAllocationConfig
        >>> config = Config()
        >>> config.allocation_strategy = PoolingAllocationConfig(total_memories=100)
        >>> config.allocation_strategy.total_memories
        100
    """

    __slots__ = ()
    __module__ = "wasmtime._config"  # which pickles name

    @size(100, lib.wasmtime_pooling_allocation_config_max_unused_warm_slots_set, 32)
    def max_unused_warm_slots(self) -> int:
        """How many slots that have been used before stay reserved for the module that used them.

        Such slots make the next instance of the same module cheaper. Default: 100.
        C API: ``wasmtime_pooling_allocation_config_max_unused_warm_slots_set``.
        """
        raise NotImplementedError

    @size(64, lib.wasmtime_pooling_allocation_config_decommit_batch_size_set, 63)
    def decommit_batch_size(self) -> int:
        """How many freed regions are collected before they are given back to the system together.

        Default: 64, with which an instance costs a quarter less than with 1, at once, the library's
        own default. A pool with nothing else left gives back what it has collected first.
        C API: ``wasmtime_pooling_allocation_config_decommit_batch_size_set``.
        """
        raise NotImplementedError

    @size(0, lib.wasmtime_pooling_allocation_config_async_stack_keep_resident_set, 63)
    def async_stack_keep_resident(self) -> int:
        """How many bytes of a freed asynchronous stack stay in memory, cleared, for the next use.

        Default: 0.
        C API: ``wasmtime_pooling_allocation_config_async_stack_keep_resident_set``.
        """
        raise NotImplementedError

    @size(0, lib.wasmtime_pooling_allocation_config_linear_memory_keep_resident_set, 63)
    def linear_memory_keep_resident(self) -> int:
        """How many bytes of a freed linear memory stay in memory, cleared, for the next use.

        Default: 0.
        C API: ``wasmtime_pooling_allocation_config_linear_memory_keep_resident_set``.
        """
        raise NotImplementedError

    @size(0, lib.wasmtime_pooling_allocation_config_table_keep_resident_set, 63)
    def table_keep_resident(self) -> int:
        """How many bytes of a freed table stay in memory, cleared, for the next use.

        Default: 0.
        C API: ``wasmtime_pooling_allocation_config_table_keep_resident_set``.
        """
        raise NotImplementedError

    @size(1000, lib.wasmtime_pooling_allocation_config_total_component_instances_set, 32)
    def total_component_instances(self) -> int:
        """How many component instances can live at once. Default: 1000.

        C API: ``wasmtime_pooling_allocation_config_total_component_instances_set``.
        """
        raise NotImplementedError

    @size(MIB, lib.wasmtime_pooling_allocation_config_max_component_instance_size_set, 63)
    def max_component_instance_size(self) -> int:
        """How many bytes the library's own data of a component instance may take. Default: 1 MiB.

        C API: ``wasmtime_pooling_allocation_config_max_component_instance_size_set``.
        """
        raise NotImplementedError

    @size(
        2**32 - 1, lib.wasmtime_pooling_allocation_config_max_core_instances_per_component_set, 32
    )
    def max_core_instances_per_component(self) -> int:
        """How many core instances one component may have. Default: 2**32 - 1, no limit.

        C API: ``wasmtime_pooling_allocation_config_max_core_instances_per_component_set``.
        """
        raise NotImplementedError

    @size(2**32 - 1, lib.wasmtime_pooling_allocation_config_max_memories_per_component_set, 32)
    def max_memories_per_component(self) -> int:
        """How many linear memories one component may have. Default: 2**32 - 1, no limit.

        C API: ``wasmtime_pooling_allocation_config_max_memories_per_component_set``.
        """
        raise NotImplementedError

    @size(2**32 - 1, lib.wasmtime_pooling_allocation_config_max_tables_per_component_set, 32)
    def max_tables_per_component(self) -> int:
        """How many tables one component may have. Default: 2**32 - 1, no limit.

        C API: ``wasmtime_pooling_allocation_config_max_tables_per_component_set``.
        """
        raise NotImplementedError

    @size(1000, lib.wasmtime_pooling_allocation_config_total_memories_set, 32)
    def total_memories(self) -> int:
        """How many linear memories can live at once. Default: 1000.

        Address space of `Config.memory_reservation` and `Config.memory_guard_size` is taken for
        each of them: 4 TiB with all defaults. At most 1 000 000.
        C API: ``wasmtime_pooling_allocation_config_total_memories_set``.
        """
        raise NotImplementedError

    @size(1000, lib.wasmtime_pooling_allocation_config_total_tables_set, 32)
    def total_tables(self) -> int:
        """How many tables can live at once. Default: 1000. At most 1 000 000.

        C API: ``wasmtime_pooling_allocation_config_total_tables_set``.
        """
        raise NotImplementedError

    @size(1000, lib.wasmtime_pooling_allocation_config_total_stacks_set, 32)
    def total_stacks(self) -> int:
        """How many asynchronous calls can run at once. Default: 1000. At most 1 000 000.

        Each takes two of the memory mappings that Linux allows a process (65 530 by default).
        C API: ``wasmtime_pooling_allocation_config_total_stacks_set``.
        """
        raise NotImplementedError

    @size(1000, lib.wasmtime_pooling_allocation_config_total_core_instances_set, 32)
    def total_core_instances(self) -> int:
        """How many instances of modules can live at once. Default: 1000.

        Those that the package makes for itself (one in a store whose guest uses files) do not
        count: the library is given room for as many again.

        C API: ``wasmtime_pooling_allocation_config_total_core_instances_set``.
        """
        raise NotImplementedError

    @size(MIB, lib.wasmtime_pooling_allocation_config_max_core_instance_size_set, 63)
    def max_core_instance_size(self) -> int:
        """How many bytes the library's own data of an instance may take. Default: 1 MiB.

        C API: ``wasmtime_pooling_allocation_config_max_core_instance_size_set``.
        """
        raise NotImplementedError

    @size(1, lib.wasmtime_pooling_allocation_config_max_tables_per_module_set, 32)
    def max_tables_per_module(self) -> int:
        """How many tables one module may define. Default: 1.

        C API: ``wasmtime_pooling_allocation_config_max_tables_per_module_set``.
        """
        raise NotImplementedError

    @size(20_000, lib.wasmtime_pooling_allocation_config_table_elements_set, 63)
    def table_elements(self) -> int:
        """How many elements a table may have. Default: 20 000.

        C API: ``wasmtime_pooling_allocation_config_table_elements_set``.
        """
        raise NotImplementedError

    @size(1, lib.wasmtime_pooling_allocation_config_max_memories_per_module_set, 32)
    def max_memories_per_module(self) -> int:
        """How many linear memories one module may define. Default: 1. At most 1 000 000.

        C API: ``wasmtime_pooling_allocation_config_max_memories_per_module_set``.
        """
        raise NotImplementedError

    @size(4 * GIB, lib.wasmtime_pooling_allocation_config_max_memory_size_set, 63)
    def max_memory_size(self) -> int:
        """How many bytes a linear memory may have. Default: 4 GiB.

        It cannot be larger than `Config.memory_reservation`.
        C API: ``wasmtime_pooling_allocation_config_max_memory_size_set``.
        """
        raise NotImplementedError

    @size(1000, lib.wasmtime_pooling_allocation_config_total_gc_heaps_set, 32)
    def total_gc_heaps(self) -> int:
        """How many stores can have garbage-collected objects at once. Default: 1000.

        Their memory comes from the linear memories of the pool. At most 1 000 000.
        C API: ``wasmtime_pooling_allocation_config_total_gc_heaps_set``.
        """
        raise NotImplementedError

    def _to_native(self) -> Any:
        """Returns a `wasmtime_pooling_allocation_config_t *` that is freed with the cdata."""
        native = ffi.gc(
            lib.wasmtime_pooling_allocation_config_new(),
            lib.wasmtime_pooling_allocation_config_delete,
        )
        # This package's default is not the library's.
        values = {"decommit_batch_size": self.decommit_batch_size, **self._values}
        for name, value in values.items():
            self._settings[name].apply(native, value)
        # With room for those that the package makes for itself.
        instances = min(2 * self.total_core_instances, 2**32 - 1)
        lib.wasmtime_pooling_allocation_config_total_core_instances_set(native, instances)
        return native


def allocation_strategy_setting(
    declaration: Callable[[Any], AllocationStrategy],
) -> Setting[AllocationStrategy, AllocationStrategy]:
    """Declares the setting that says where instances get their memory from."""

    def convert(name: str, value: object) -> AllocationStrategy:
        if isinstance(value, PoolingAllocationConfig):
            return value.__copy__()
        if not isinstance(value, str):
            raise TypeError(
                f"expected a str or PoolingAllocationConfig for {name}, not {type(value).__name__}"
            )
        if value == "pooling":
            return PoolingAllocationConfig()
        if value == "on_demand":
            return value
        raise WasmtimeError(
            f"unknown allocation strategy: {value} (expected on_demand, pooling, or a "
            "PoolingAllocationConfig)"
        )

    return Setting(declaration, convert, "on_demand", lib.wasmtime_pooling_allocation_strategy_set)
