"""Settings of linear memories, of where instances get their memory from, and of traps."""

from __future__ import annotations

from .._native import lib
from . import defaults
from .pool import AllocationStrategy, allocation_strategy_setting
from .record import Record, size, switch

__all__ = ["MemorySettings"]


class MemorySettings(Record):
    """Linear memories, allocation, and how bad accesses are found."""

    __slots__ = ()

    @switch(True, lib.wasmtime_config_memory_may_move_set)
    def memory_may_move(self) -> bool:
        """Whether a linear memory may get another address when it grows.

        If not, it cannot grow beyond `memory_reservation`. Default: True.
        C API: ``wasmtime_config_memory_may_move_set``.
        """
        raise NotImplementedError

    @size(defaults.memory_reservation, lib.wasmtime_config_memory_reservation_set, 64)
    def memory_reservation(self) -> int:
        """How many bytes of address space are reserved for a linear memory to grow in place.

        With the default a 32-bit memory never moves and needs no bounds checks. More than the
        address space is reported when a memory is made. Default: 4 GiB.
        C API: ``wasmtime_config_memory_reservation_set``.
        """
        raise NotImplementedError

    @size(defaults.memory_guard_size, lib.wasmtime_config_memory_guard_size_set, 64)
    def memory_guard_size(self) -> int:
        """How many bytes of inaccessible address space lie on either side of a linear memory.

        Accesses with a constant offset below it need no bounds check. Default: 32 MiB, and 0 for
        Pulley.
        C API: ``wasmtime_config_memory_guard_size_set``.
        """
        raise NotImplementedError

    @size(
        defaults.memory_reservation_for_growth,
        lib.wasmtime_config_memory_reservation_for_growth_set,
        64,
    )
    def memory_reservation_for_growth(self) -> int:
        """How many bytes of address space a linear memory gets beyond its size when it has moved.

        Default: 2 GiB.
        C API: ``wasmtime_config_memory_reservation_for_growth_set``.
        """
        raise NotImplementedError

    @switch(True, lib.wasmtime_config_memory_init_cow_set)
    def memory_init_cow(self) -> bool:
        """Whether memories start as copy-on-write views of their initial contents. Default: True.

        Instances are made faster so.
        C API: ``wasmtime_config_memory_init_cow_set``.
        """
        raise NotImplementedError

    @allocation_strategy_setting
    def allocation_strategy(self) -> AllocationStrategy:
        """Where instances get their memory from: "on_demand", or a `PoolingAllocationConfig`.

        "pooling" may be set for a pool with default settings. A `PoolingAllocationConfig` is
        copied when it is set; what is read is the copy, and can be changed. Default: "on_demand".
        C API: ``wasmtime_pooling_allocation_strategy_set``.
        """
        raise NotImplementedError

    @switch(defaults.signals_based_traps, lib.wasmtime_config_signals_based_traps_set)
    def signals_based_traps(self) -> bool:
        """Whether traps are found with signals of the processor, rather than by explicit checks.

        Without it the library installs no signal handlers, code is up to twice as slow, and
        the Spectre mitigations are off. Not with Winch. Default: True, but False for Pulley.
        C API: ``wasmtime_config_signals_based_traps_set``.
        """
        raise NotImplementedError

    @switch(True, lib.wasmtime_config_macos_use_mach_ports_set)
    def macos_use_mach_ports(self) -> bool:
        """Whether macOS reports traps through Mach ports rather than signals. Default: True.

        Processes that fork and run WebAssembly in the child need False. All engines of a process
        have to agree; elsewhere the setting has no effect.
        C API: ``wasmtime_config_macos_use_mach_ports_set``.
        """
        raise NotImplementedError
