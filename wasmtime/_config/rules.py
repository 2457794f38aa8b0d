"""Why the library would end the process with a configuration.

`wasm_engine_new_with_config` has no way to report an error, so each of its rules is checked here.
Every function yields problems as text that says what to do about them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, Optional

from .._native.host import PAGE_SIZE, free_mappings, host_machine, host_triple_hint, reserve
from .defaults import HOST_STACK_RESERVE, KIB
from .pool import PoolingAllocationConfig
from .target import Target, parse_target

if TYPE_CHECKING:
    from . import Config

__all__ = ["problems", "problems_of_process"]

#: The least that must be left for WebAssembly.
_LEAST_WASM_STACK = 64 * KIB
#: Beyond any stack there can be; larger numbers would only overflow in calculations.
_LARGEST_STACK = 1 << 40

#: The library reserves bookkeeping for each of these in advance, and ends the process when there
#: is no memory for it; or it counts up to them whenever a module dies (the last one).
_COUNTS_WITH_COST = (
    "total_memories",
    "total_tables",
    "total_stacks",
    "total_gc_heaps",
    "max_memories_per_module",
)
_LARGEST_COUNT = 1_000_000
#: The size of a table element in the pool, in bytes.
_TABLE_ELEMENT = 8


def problems(config: Config) -> Iterator[str]:
    """Yields why the library would end the process with these settings, wherever it runs."""
    target = parse_target(config.target)
    host = host_machine()
    if target.machine not in (host, "pulley"):
        yield (
            f"the target {config.target!r} needs a code generator that this library does not "
            f"have; it has {host} (such as {host_triple_hint()!r}) and 'pulley64'"
        )
        return
    yield from _problems_of_proposals(config, target)
    yield from _problems_of_compiler(config, target)
    yield from _problems_of_stacks(config)


def _problems_of_proposals(config: Config, target: Target) -> Iterator[str]:
    if config.wasm_stack_switching:
        yield (
            "wasm_stack_switching cannot be on: the library was built without the run-time "
            "support for it, and a module that uses it would end the process"
        )
    if config.wasm_relaxed_simd and not config.wasm_simd:
        yield "wasm_relaxed_simd needs wasm_simd: switch both off, or neither"
    if config.wasm_component_model_async and not config.wasm_reference_types:
        yield ("wasm_component_model_async needs wasm_reference_types: switch both off, or neither")
    if not config.concurrency_support:
        for name in (
            "wasm_component_model_async",
            "wasm_component_model_more_async_builtins",
            "wasm_component_model_async_stackful",
        ):
            if getattr(config, name):
                yield f"{name} needs concurrency_support"
    if target.machine == "pulley" and config.wasm_threads:
        yield "wasm_threads is not possible for Pulley"


def _problems_of_compiler(config: Config, target: Target) -> Iterator[str]:
    if config.strategy == "winch":
        yield from _problems_of_winch(config, target)
    if not config.signals_based_traps:
        for name in (
            "enable_heap_access_spectre_mitigation",
            "enable_table_access_spectre_mitigation",
        ):
            if config._flags.get(name) == "true":
                yield f"the Cranelift flag {name!r} needs signals_based_traps"
    if target.is_windows and not config.native_unwind_info:
        yield "native_unwind_info cannot be off on Windows"
    if config._flags or config._presets:
        yield from _problems_of_flags(config, target)


def _problems_of_winch(config: Config, target: Target) -> Iterator[str]:
    if target.machine == "pulley":
        yield "strategy 'winch' cannot compile for Pulley: use 'cranelift'"
    if config.debug_info:
        yield "debug_info is not possible with strategy 'winch'"
    if not config.signals_based_traps:
        yield "strategy 'winch' needs signals_based_traps"
    lacks = ["wasm_function_references", "wasm_gc", "wasm_relaxed_simd"]
    if target.machine == "aarch64":
        lacks += ["wasm_threads", "wasm_tail_call"]
    for name in lacks:
        if getattr(config, name):
            yield f"{name} is not possible with strategy 'winch'"


def _problems_of_flags(config: Config, target: Target) -> Iterator[str]:
    # Loaded with the first flag: most programs set none.
    from .cranelift_flags import check_for, known_flag

    for name in config._flags:
        if config.strategy == "winch" and known_flag(name).kind == "wasmtime":
            yield f"the flag {name!r} is not possible with strategy 'winch'"
    for name in (*config._flags, *config._presets):
        problem = check_for(name, target.machine)
        if problem is not None:
            yield problem


def _problems_of_stacks(config: Config) -> Iterator[str]:
    wasm, whole = config.max_wasm_stack, config.async_stack_size
    if wasm > _LARGEST_STACK or whole > 2 * _LARGEST_STACK:
        yield f"max_wasm_stack and async_stack_size cannot exceed {_LARGEST_STACK} bytes"
    elif config._explicit("max_wasm_stack"):
        if wasm == 0:
            yield "max_wasm_stack cannot be 0"
        if whole < wasm + HOST_STACK_RESERVE:
            yield (
                f"async_stack_size ({whole}) must exceed max_wasm_stack ({wasm}) by "
                f"{HOST_STACK_RESERVE} bytes or more, which are for host functions"
            )
    elif wasm < _LEAST_WASM_STACK:
        yield (
            f"async_stack_size ({whole}) must be at least "
            f"{HOST_STACK_RESERVE + _LEAST_WASM_STACK} bytes"
        )


def problems_of_process(config: Config) -> Iterator[str]:
    """Yields why these settings are not possible in this process at this moment."""
    if config.profiler != "none":
        from .profilers import problem_of_profiler

        problem = problem_of_profiler(config.profiler)
        if problem is not None:
            yield problem
    if sys.platform == "darwin":
        problem = _problem_of_mach_ports(config.macos_use_mach_ports)
        if problem is not None:
            yield problem
    pool = config.allocation_strategy
    if isinstance(pool, PoolingAllocationConfig):
        yield from _problems_of_pool(config, pool)


def _problems_of_pool(config: Config, pool: PoolingAllocationConfig) -> Iterator[str]:
    for name in _COUNTS_WITH_COST:
        if getattr(pool, name) > _LARGEST_COUNT:
            yield f"{name} of the pool cannot exceed {_LARGEST_COUNT}"
            return
    if pool.max_memory_size > config.memory_reservation:
        yield (
            f"max_memory_size of the pool ({pool.max_memory_size}) cannot exceed "
            f"memory_reservation ({config.memory_reservation})"
        )
        return
    for problem in (_problem_of_address_space(config, pool), _problem_of_mappings(pool)):
        if problem is not None:
            yield problem
            return


class _Part(NamedTuple):
    """Address space that a pool takes when it is made.

    Attributes:
        what: what it is for, with the settings that decide its size.
        space: how many bytes it takes.
        accessible: whether it can be read and written at once.
    """

    what: str
    space: int
    accessible: bool


def _parts_of_pool(config: Config, pool: PoolingAllocationConfig) -> Iterator[_Part]:
    guard = config.memory_guard_size
    yield _Part(
        f"{pool.total_memories} memories (total_memories, memory_reservation, memory_guard_size)",
        guard + _pages(config.memory_reservation + guard) * pool.total_memories,
        False,
    )
    yield _Part(
        f"{pool.total_tables} tables (total_tables, table_elements)",
        _pages(pool.table_elements * _TABLE_ELEMENT) * pool.total_tables,
        True,
    )
    if sys.platform != "win32":
        yield _Part(
            f"{pool.total_stacks} stacks (total_stacks, async_stack_size)",
            (_pages(config.async_stack_size) + PAGE_SIZE) * pool.total_stacks,
            True,
        )


def _problem_of_address_space(config: Config, pool: PoolingAllocationConfig) -> Optional[str]:
    held = []
    for part in _parts_of_pool(config, pool):
        if part.space == 0:
            continue
        try:
            # All of them are held until all have been tried, as the library will need them.
            held.append(reserve(_pages(part.space), part.accessible))
        except OSError:
            return (
                f"there is not enough address space for {part.what} of the pool: {part.space} bytes"
            )
    return None


def _problem_of_mappings(pool: PoolingAllocationConfig) -> Optional[str]:
    # Each stack is a mapping of its own, and so is the guard page below it.
    mappings = 2 * pool.total_stacks + 64
    free = free_mappings()
    if mappings <= free:
        return None
    return (
        f"{pool.total_stacks} stacks (total_stacks) take {mappings} memory mappings, of "
        f"which this process may make {max(free, 0)} more; lower total_stacks, drop "
        "engines with pools, or raise vm.max_map_count"
    )


def _pages(length: int) -> int:
    """The length, rounded up to whole pages."""
    return -(-length // PAGE_SIZE) * PAGE_SIZE


_mach_ports: Optional[bool] = None


def _problem_of_mach_ports(wanted: bool) -> Optional[str]:
    """The first engine decides for the process; the library panics when a later one differs."""
    global _mach_ports
    if _mach_ports is None:
        _mach_ports = wanted
    if _mach_ports != wanted:
        return (
            f"macos_use_mach_ports was {_mach_ports} for an earlier engine, and all engines of a "
            "process have to agree"
        )
    return None
