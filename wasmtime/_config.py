"""How WebAssembly is compiled and run: the configuration of an engine.

A `Config` is a plain record. Each attribute can be read, set and deleted (which puts the default
back) in any order, and the record can be copied, compared and pickled; nothing native is made
before an engine asks for it.

The C API takes a configuration that contradicts itself, or that asks for what this machine cannot
do, by ending the process: `wasm_engine_new_with_config` has no way to report an error. All rules
that the library has for that are therefore checked here first, each with what to do about it.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import sys
from collections.abc import Iterator
from typing import Any, Callable, NamedTuple, Optional, TypeVar, Union

from ._artifacts.private_directory import check_tree, danger_of_file
from ._error import WasmtimeError
from ._native import check, decode_path, encode_cstring, encode_path, ffi, lib
from ._native.host import (
    PAGE_SIZE,
    default_max_wasm_stack,
    free_mappings,
    host_machine,
    host_triple_hint,
    is_android,
    reserve,
)
from ._settings import Record, Setting, choice, size, switch

__all__ = ["Config", "PoolingAllocationConfig", "default_max_wasm_stack"]

#: A path in any form that Python's own file functions take.
StrPath = Union[str, bytes, os.PathLike[str], os.PathLike[bytes]]

#: How instances get their memory: "on_demand", or from a pool.
AllocationStrategy = Union[str, "PoolingAllocationConfig"]

_Self = TypeVar("_Self", bound="Config")

_KIB = 1 << 10
_MIB = 1 << 20
_GIB = 1 << 30

#: What host functions are left of an asynchronous stack beyond what WebAssembly may use, at least.
#: The library asks for no difference at all; a host function that then overflows the stack would
#: end the process.
HOST_STACK_RESERVE = 256 * _KIB
#: What they are left if nobody says anything: room for as many levels of recursion as CPython
#: allows, each of the most expensive kind (see csrc/core/fiber.c). It is address space, no memory.
_HOST_STACK = 8 * _MIB
#: What they are left, and what Python code on such a stack needs at least, if the user set a size
#: in which there is room for it.
_LEAST_HOST_STACK = 640 * _KIB
#: The least that is worth to be left for WebAssembly.
_LEAST_WASM_STACK = 64 * _KIB
#: Beyond any stack there can be; larger numbers would only overflow in calculations.
_LARGEST_STACK = 1 << 40

_STRATEGIES = {
    "auto": lib.WASMTIME_STRATEGY_AUTO,
    "cranelift": lib.WASMTIME_STRATEGY_CRANELIFT,
    "winch": lib.WASMTIME_STRATEGY_WINCH,
}
_OPT_LEVELS = {
    "none": lib.WASMTIME_OPT_LEVEL_NONE,
    "speed": lib.WASMTIME_OPT_LEVEL_SPEED,
    "speed_and_size": lib.WASMTIME_OPT_LEVEL_SPEED_AND_SIZE,
}
_REGALLOC_ALGORITHMS = {
    "backtracking": lib.WASMTIME_REGALLOC_BACKTRACKING,
    "single_pass": lib.WASMTIME_REGALLOC_SINGLE_PASS,
}
_PROFILERS = {
    "none": lib.WASMTIME_PROFILING_STRATEGY_NONE,
    "jitdump": lib.WASMTIME_PROFILING_STRATEGY_JITDUMP,
    "vtune": lib.WASMTIME_PROFILING_STRATEGY_VTUNE,
    "perfmap": lib.WASMTIME_PROFILING_STRATEGY_PERFMAP,
}


# ---------------------------------------------------------------------------------- pooling

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

    @size(100, lib.wasmtime_pooling_allocation_config_max_unused_warm_slots_set, 32)
    def max_unused_warm_slots(self) -> int:
        """How many slots that have been used before stay reserved for the module that used them.

        Such slots make the next instance of the same module cheaper. Default: 100.
        C API: ``wasmtime_pooling_allocation_config_max_unused_warm_slots_set``.
        """
        raise NotImplementedError

    @size(1, lib.wasmtime_pooling_allocation_config_decommit_batch_size_set, 63)
    def decommit_batch_size(self) -> int:
        """How many freed regions are collected before they are given back to the system together.

        Default: 1, that is, at once.
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

    @size(_MIB, lib.wasmtime_pooling_allocation_config_max_component_instance_size_set, 63)
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

        C API: ``wasmtime_pooling_allocation_config_total_core_instances_set``.
        """
        raise NotImplementedError

    @size(_MIB, lib.wasmtime_pooling_allocation_config_max_core_instance_size_set, 63)
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

    @size(4 * _GIB, lib.wasmtime_pooling_allocation_config_max_memory_size_set, 63)
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
        for name, value in self._values.items():
            self._settings[name].apply(native, value)
        return native


# ----------------------------------------------------------------------------------- target


class _Target(NamedTuple):
    """What the rules need to know of a target."""

    machine: str
    is_windows: bool
    bits: int


def _parse_target(triple: Optional[str]) -> _Target:
    """Reads a triple that the library has accepted; None is this machine."""
    if triple is None:
        return _Target(host_machine(), sys.platform == "win32", 64)
    parts = triple.split("-")
    first = parts[0]
    is_windows = "windows" in parts
    if any("x32" in part or "ilp32" in part for part in parts[1:]):
        return _Target(triple, is_windows, 32)
    if first in ("pulley32", "pulley32be"):
        return _Target("pulley", is_windows, 32)
    if first in ("pulley64", "pulley64be"):
        return _Target("pulley", is_windows, 64)
    if first in ("aarch64", "arm64"):
        return _Target("aarch64", is_windows, 64)
    return _Target(first, is_windows, 64)


# ---------------------------------------------------------------------------------- settings


def _is_pulley(config: Config) -> bool:
    return _parse_target(config.target).machine == "pulley"


def _is_winch(config: Config) -> bool:
    return config.strategy == "winch"


def _not_winch(config: Config) -> bool:
    return config.strategy != "winch"


def _threads_default(config: Config) -> bool:
    return not _is_winch(config) and not _is_pulley(config)


def _async_default(config: Config) -> bool:
    return config.concurrency_support


def _signals_default(config: Config) -> bool:
    return not _is_pulley(config)


def _reservation_default(config: Config) -> int:
    return 4 * _GIB if _parse_target(config.target).bits == 64 else 10 * _MIB


def _guard_default(config: Config) -> int:
    if _is_pulley(config):
        return 0
    return 32 * _MIB if _parse_target(config.target).bits == 64 else 64 * _KIB


def _growth_default(config: Config) -> int:
    return 2 * _GIB if _parse_target(config.target).bits == 64 else _MIB


def _max_wasm_stack_default(config: Config) -> int:
    if config._explicit("async_stack_size"):
        whole = config.async_stack_size
        reserve = _LEAST_HOST_STACK if whole >= 2 * _LEAST_HOST_STACK else HOST_STACK_RESERVE
        return min(default_max_wasm_stack(), max(whole - reserve, 0))
    return default_max_wasm_stack()


def _async_stack_default(config: Config) -> int:
    if config._explicit("max_wasm_stack"):
        return config.max_wasm_stack + _HOST_STACK
    return default_max_wasm_stack() + _HOST_STACK


def _epoch_interruption(
    declaration: Callable[[Any], bool],
) -> Setting[bool, object]:
    # The published package takes the truth of anything here.
    return Setting(
        declaration,
        lambda name, value: bool(value),
        True,
        lib.wasmtime_config_epoch_interruption_set,
    )


def _target(declaration: Callable[[Any], Optional[str]]) -> Setting[Optional[str], str]:
    def convert(name: str, value: object) -> str:
        if not isinstance(value, str):
            raise TypeError(f"expected a str for {name}, not {type(value).__name__}")
        _try_on_scratch(lambda config: _apply_target(config, value))
        return value

    return Setting(declaration, convert, None, lib.wasmtime_config_target_set)


def _apply_target(config: Any, value: str) -> Any:
    return lib.wasmtime_config_target_set(config, encode_cstring(value, "target"))


def _cache(
    declaration: Callable[[Any], Union[bool, str]],
) -> Setting[Union[bool, str], Union[bool, StrPath]]:
    def convert(name: str, value: object) -> Union[bool, str]:
        result: Union[bool, str]
        if isinstance(value, bool):
            if not value:
                raise WasmtimeError(
                    "caching cannot be explicitly disabled: it is off unless it is set; "
                    "'del config.cache' takes it back"
                )
            result = True
        elif isinstance(value, (str, bytes, os.PathLike)):
            result = decode_path(encode_path(value, name))
            _check_cache_file(result)
        else:
            raise TypeError(f"expected string or bool for {name}, not {type(value).__name__}")
        _try_on_scratch(lambda config: _apply_cache(config, result))
        return result

    return Setting(declaration, convert, False, lib.wasmtime_config_cache_config_load)


#: A number in the file of the cache, with its unit, between delimiters.
_CACHE_NUMBER = re.compile(
    rb"""([\w-]*)["']?\s*=\s*["']?\+?([0-9][0-9_]*)\s*([A-Za-z]*)["'\s,}#]""",
)
_CACHE_UNITS = {
    **{b"m": 60, b"h": 3600, b"d": 86400},
    **{prefix: 1024**power for power, prefix in enumerate((b"K", b"M", b"G", b"T", b"P"), 1)},
}
_LARGEST_CACHE_NUMBER = 10**15
_LARGEST_CACHE_QUEUE = 10**6


def _check_cache_file(path: str) -> None:
    """Refuses numbers in the file of the cache that the library overflows with, in another thread.

    Everything else in it, and that there is a file at all, is checked by the library.
    """
    try:
        with open(path, "rb") as file:
            contents = file.read() + b"\n"
    except OSError:
        return
    for match in _CACHE_NUMBER.finditer(contents):
        key, digits, unit = match.groups()
        number = int(digits[:30].replace(b"_", b"")) * _CACHE_UNITS.get(unit[:1], 1)
        queue = key == b"worker-event-queue-size"
        if number > (_LARGEST_CACHE_QUEUE if queue else _LARGEST_CACHE_NUMBER):
            raise WasmtimeError(
                f"the cache file {path!r} has a number that is too large: "
                f"{match.group(0).strip().decode('utf-8', 'replace')}"
            )


def _apply_cache(config: Any, value: Union[bool, str]) -> Any:
    if sys.platform != "win32":
        _check_cache_directory(value if isinstance(value, str) else _default_cache_file())
    path = encode_path(value, "cache") if isinstance(value, str) else ffi.NULL
    return lib.wasmtime_config_cache_config_load(config, path)


#: Where the file of the cache names the directory, and the value if it is a string in one line.
_CACHE_DIRECTORY = re.compile(
    r"""^[^#\n]*?\bdirectory["']?[ \t]*=[ \t]*
        (?:(?:("(?:[^"\\\n]|\\.)*")|'([^'\n]*)')[ \t]*[,}#\n])?""",
    re.MULTILINE | re.VERBOSE,
)


def _check_cache_directory(file: str) -> None:
    """Refuses a directory of the library's cache in which others could exchange the machine code.

    The library checks no owners. What is missing is made here, for this user alone.
    """
    try:
        with open(file, encoding="utf-8") as stream:
            contents = stream.read()
    except (OSError, UnicodeDecodeError):
        contents = ""  # the library says what is wrong with it
    directory = _cache_directory_in(contents, file) or _default_cache_directory()
    if not os.path.isabs(directory):
        return  # which the library refuses
    try:
        check_tree(directory, "the cache directory")
    except OSError as error:
        raise WasmtimeError(f"the cache directory cannot be used: {error}") from error


def _cache_directory_in(contents: str, file: str) -> Optional[str]:
    """What the contents of the file of the cache say about the directory, None if nothing."""
    named = _CACHE_DIRECTORY.search(contents + "\n")
    if named is None:
        return None
    escaped, plain = named.groups()
    if plain is not None:
        return str(plain)
    try:
        return str(json.loads(escaped or ""))  # whose escapes mean the same
    except ValueError:
        raise WasmtimeError(
            f"the cache file {file!r} must name its directory in single quotes, on one line"
        ) from None


def _default_cache_file() -> str:
    """Where the library looks for the file of its cache when none is named."""
    if sys.platform == "darwin":
        base = "~/Library/Application Support/BytecodeAlliance.wasmtime"
    else:
        base = os.path.join(_xdg("XDG_CONFIG_HOME", "~/.config"), "wasmtime")
    return os.path.expanduser(os.path.join(base, "config.toml"))


def _default_cache_directory() -> str:
    """Where the library keeps its cache when the file does not say it."""
    if sys.platform == "darwin":
        return os.path.expanduser("~/Library/Caches/BytecodeAlliance.wasmtime")
    return os.path.expanduser(os.path.join(_xdg("XDG_CACHE_HOME", "~/.cache"), "wasmtime"))


def _xdg(variable: str, default: str) -> str:
    value = os.environ.get(variable, "")
    return value if os.path.isabs(value) else default


def _try_on_scratch(apply: Callable[[Any], Any]) -> None:
    """Applies a setting that can fail to a configuration that is thrown away."""
    config = ffi.gc(lib.wasm_config_new(), lib.wasm_config_delete)
    check(apply(config))


def _allocation_strategy(
    declaration: Callable[[Any], AllocationStrategy],
) -> Setting[AllocationStrategy, AllocationStrategy]:
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


class Config(Record):
    """The configuration of an engine: proposals, compiler, memory, stacks, profiling, cache.

    Every setting is an attribute that can be read and set, in any order; `del` puts its default
    back. Settings can be given as keyword arguments too. Contradictions are found when an
    `Engine` is made with the configuration.

    An engine takes its configuration for itself and closes it, as in the published package. For
    several engines, give each a copy: `Engine(copy.copy(config))`.

    One default differs from the library's: `epoch_interruption` is on, because that is how a
    signal such as Ctrl-C can stop WebAssembly that is running.

    Raises:
        TypeError: a value is of the wrong type, or there is no setting of that name.
        OverflowError: a number is negative or too large.
        WasmtimeError: a word is not one of those that the setting accepts.
        ValueError: the configuration was closed, or an engine has taken it.

    Example:
        >>> from wasmtime import Config, Engine
        >>> config = Config()
        >>> config.consume_fuel = True
        >>> config
        Config(consume_fuel=True)
        >>> engine = Engine(config)
    """

    __slots__ = ("_closed", "_flags", "_presets")

    _closed: bool
    _flags: dict[str, str]
    _presets: list[str]

    def __init__(self, **settings: object) -> None:
        self._closed = False
        self._flags = {}
        self._presets = []
        super().__init__(**settings)

    # --- interruption and limits

    @_epoch_interruption
    def epoch_interruption(self) -> bool:
        """Whether running code looks at the engine's epoch, so that it can be stopped.

        The compiler adds a check to each loop and function. It is what lets Ctrl-C and other
        signals stop WebAssembly, and what `Engine.increment_epoch` and `Store.set_epoch_deadline`
        work with. Set it to False to leave the checks out: the code is a little faster then (up
        to a tenth in tight loops), and nothing but fuel can stop it.

        Default: True; until it is set explicitly, a store has no deadline of its own.
        C API: ``wasmtime_config_epoch_interruption_set``.
        """
        raise NotImplementedError

    @switch(False, lib.wasmtime_config_consume_fuel_set)
    def consume_fuel(self) -> bool:
        """Whether code uses up fuel as it runs, and traps when there is none left.

        A store starts with no fuel at all (`Store.set_fuel`). Unlike epochs, fuel is counted
        exactly the same in each run, but it costs more. Default: False.
        C API: ``wasmtime_config_consume_fuel_set``.
        """
        raise NotImplementedError

    @size(_max_wasm_stack_default, lib.wasmtime_config_max_wasm_stack_set, 64)
    def max_wasm_stack(self) -> int:
        """How many bytes of the thread's stack WebAssembly may use before it traps.

        The thread needs that much stack and room for host functions beyond it; a call in a
        thread that has less is refused. At least 1, at most 2**40.

        Default: half of what the operating system gives a thread, between 512 KiB and 4 MiB
        (with an `async_stack_size` that was set, what that leaves after 640 KiB for host
        functions; 256 KiB if it is below 1.25 MiB).
        C API: ``wasmtime_config_max_wasm_stack_set``.
        """
        raise NotImplementedError

    @size(_async_stack_default, lib.wasmtime_config_async_stack_size_set, 64)
    def async_stack_size(self) -> int:
        """The size in bytes of the separate stacks on which asynchronous calls run.

        What exceeds `max_wasm_stack` is for host functions, and has to be at least 256 KiB.
        Python code on such a stack, which components that may wait run, needs 608 KiB, and has one
        level of recursion for each further 8 KiB.

        Default: 8 MiB more than `max_wasm_stack`.
        C API: ``wasmtime_config_async_stack_size_set``.
        """
        raise NotImplementedError

    # --- proposals

    @switch(_threads_default, lib.wasmtime_config_wasm_threads_set)
    def wasm_threads(self) -> bool:
        """The threads proposal: shared memories and atomic instructions.

        Shared memories also need `shared_memory`. Default: True, but False with Winch and for
        Pulley, which cannot have it.
        C API: ``wasmtime_config_wasm_threads_set``.
        """
        raise NotImplementedError

    @switch(False, lib.wasmtime_config_shared_memory_set)
    def shared_memory(self) -> bool:
        """Whether shared memories can be made, by modules or as `SharedMemory`. Default: False.

        C API: ``wasmtime_config_shared_memory_set``.
        """
        raise NotImplementedError

    @switch(_not_winch, lib.wasmtime_config_wasm_tail_call_set)
    def wasm_tail_call(self) -> bool:
        """The tail-call proposal. Default: True, but False with Winch.

        C API: ``wasmtime_config_wasm_tail_call_set``.
        """
        raise NotImplementedError

    @switch(True, lib.wasmtime_config_wasm_reference_types_set)
    def wasm_reference_types(self) -> bool:
        """The reference-types proposal: `externref`, several tables. Default: True.

        Cannot be off while `wasm_component_model_async` is on.
        C API: ``wasmtime_config_wasm_reference_types_set``.
        """
        raise NotImplementedError

    @switch(_not_winch, lib.wasmtime_config_wasm_function_references_set)
    def wasm_function_references(self) -> bool:
        """The function-references proposal: references to functions of one type. Default: True.

        Not available with Winch, where the default is False.
        C API: ``wasmtime_config_wasm_function_references_set``.
        """
        raise NotImplementedError

    @switch(_not_winch, lib.wasmtime_config_wasm_gc_set)
    def wasm_gc(self) -> bool:
        """The GC proposal: structs, arrays and 31-bit references. Default: True.

        Not available with Winch, where the default is False.
        C API: ``wasmtime_config_wasm_gc_set``.
        """
        raise NotImplementedError

    @switch(_not_winch, lib.wasmtime_config_gc_support_set)
    def gc_support(self) -> bool:
        """Whether there is a garbage collector at all.

        `externref`, exceptions and the GC proposal need it. Default: True, but False with Winch.
        C API: ``wasmtime_config_gc_support_set``.
        """
        raise NotImplementedError

    @switch(True, lib.wasmtime_config_wasm_simd_set)
    def wasm_simd(self) -> bool:
        """The SIMD proposal: 128-bit vectors. Default: True.

        Cannot be off while `wasm_relaxed_simd` is on.
        C API: ``wasmtime_config_wasm_simd_set``.
        """
        raise NotImplementedError

    @switch(_not_winch, lib.wasmtime_config_wasm_relaxed_simd_set)
    def wasm_relaxed_simd(self) -> bool:
        """The relaxed-SIMD proposal: vector instructions with results that may differ by machine.

        Needs `wasm_simd`. Default: True, but False with Winch, which does not have it.
        C API: ``wasmtime_config_wasm_relaxed_simd_set``.
        """
        raise NotImplementedError

    @switch(False, lib.wasmtime_config_wasm_relaxed_simd_deterministic_set)
    def wasm_relaxed_simd_deterministic(self) -> bool:
        """Whether relaxed vector instructions give the same results on all machines.

        That is slower on some. Default: False.
        C API: ``wasmtime_config_wasm_relaxed_simd_deterministic_set``.
        """
        raise NotImplementedError

    @switch(True, lib.wasmtime_config_wasm_bulk_memory_set)
    def wasm_bulk_memory(self) -> bool:
        """The bulk-memory proposal: `memory.copy`, `memory.fill` and the like. Default: True.

        C API: ``wasmtime_config_wasm_bulk_memory_set``.
        """
        raise NotImplementedError

    @switch(True, lib.wasmtime_config_wasm_multi_value_set)
    def wasm_multi_value(self) -> bool:
        """The multi-value proposal: functions and blocks with several results. Default: True.

        C API: ``wasmtime_config_wasm_multi_value_set``.
        """
        raise NotImplementedError

    @switch(True, lib.wasmtime_config_wasm_multi_memory_set)
    def wasm_multi_memory(self) -> bool:
        """The multi-memory proposal: modules with several memories. Default: True.

        C API: ``wasmtime_config_wasm_multi_memory_set``.
        """
        raise NotImplementedError

    @switch(True, lib.wasmtime_config_wasm_memory64_set)
    def wasm_memory64(self) -> bool:
        """The memory64 proposal: memories and tables with 64-bit addresses. Default: True.

        C API: ``wasmtime_config_wasm_memory64_set``.
        """
        raise NotImplementedError

    @switch(_not_winch, lib.wasmtime_config_wasm_wide_arithmetic_set)
    def wasm_wide_arithmetic(self) -> bool:
        """The wide-arithmetic proposal: 128-bit additions and products of integers.

        Default: True, but False with Winch.
        C API: ``wasmtime_config_wasm_wide_arithmetic_set``.
        """
        raise NotImplementedError

    @switch(False, lib.wasmtime_config_wasm_branch_hinting_set)
    def wasm_branch_hinting(self) -> bool:
        """The branch-hinting proposal: modules tell which branches are likely. Default: False.

        C API: ``wasmtime_config_wasm_branch_hinting_set``.
        """
        raise NotImplementedError

    @switch(_not_winch, lib.wasmtime_config_wasm_exceptions_set)
    def wasm_exceptions(self) -> bool:
        """The exception-handling proposal: tags, `throw` and `try_table`. Default: True.

        Needs `gc_support`; a module does not compile without it. False by default with Winch.
        C API: ``wasmtime_config_wasm_exceptions_set``.
        """
        raise NotImplementedError

    @switch(False, lib.wasmtime_config_wasm_custom_page_sizes_set)
    def wasm_custom_page_sizes(self) -> bool:
        """The custom-page-sizes proposal: memories with pages of one byte. Default: False.

        C API: ``wasmtime_config_wasm_custom_page_sizes_set``.
        """
        raise NotImplementedError

    @switch(False, lib.wasmtime_config_wasm_compact_imports_set)
    def wasm_compact_imports(self) -> bool:
        """The compact-imports proposal: a shorter form of the list of imports. Default: False.

        C API: ``wasmtime_config_wasm_compact_imports_set``.
        """
        raise NotImplementedError

    @switch(False, lib.wasmtime_config_wasm_stack_switching_set)
    def wasm_stack_switching(self) -> bool:
        """The stack-switching proposal: continuations. Default: False.

        The library knows the setting but was built without the run-time half of the proposal: a
        module that makes a continuation would end the process. No engine can therefore be made
        while this is True.
        C API: ``wasmtime_config_wasm_stack_switching_set``.
        """
        raise NotImplementedError

    # --- components

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

    @switch(_async_default, lib.wasmtime_config_wasm_component_model_async_set)
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

    # --- compiler

    @choice(_STRATEGIES, "auto", lib.wasmtime_config_strategy_set, "strategy")
    def strategy(self) -> str:
        """The compiler: "cranelift", "winch", or "auto", which is Cranelift.

        Winch compiles faster, to slower code, and lacks some proposals. Default: "auto".
        C API: ``wasmtime_config_strategy_set``.
        """
        raise NotImplementedError

    @_target
    def target(self) -> Optional[str]:
        """The target triple to compile for, such as "x86_64-unknown-linux-gnu", or None.

        The library contains the code generator of its own machine, and Pulley ("pulley64"), the
        portable interpreter. Code for another operating system or with other processor flags than
        this machine's can be described, but not loaded here. A target that is set, be it this
        machine's, has no processor features beyond its baseline until they are switched on with
        `cranelift_flag_enable`.

        Default: None, this machine with the features of its processor.
        C API: ``wasmtime_config_target_set``.

        Raises:
            WasmtimeError: the triple is not one.
        """
        raise NotImplementedError

    @switch(True, lib.wasmtime_config_parallel_compilation_set)
    def parallel_compilation(self) -> bool:
        """Whether the functions of a module are compiled on several threads. Default: True.

        C API: ``wasmtime_config_parallel_compilation_set``.
        """
        raise NotImplementedError

    @choice(_OPT_LEVELS, "speed", lib.wasmtime_config_cranelift_opt_level_set, "opt level")
    def cranelift_opt_level(self) -> str:
        """How much Cranelift optimizes: "none", "speed" or "speed_and_size". Default: "speed".

        C API: ``wasmtime_config_cranelift_opt_level_set``.
        """
        raise NotImplementedError

    @choice(
        _REGALLOC_ALGORITHMS,
        "backtracking",
        lib.wasmtime_config_cranelift_regalloc_algorithm_set,
        "register allocation algorithm",
    )
    def cranelift_regalloc_algorithm(self) -> str:
        """How Cranelift allocates registers: "backtracking" (better) or "single_pass" (faster).

        Default: "backtracking".
        C API: ``wasmtime_config_cranelift_regalloc_algorithm_set``.
        """
        raise NotImplementedError

    @switch(_is_winch, lib.wasmtime_config_cranelift_debug_verifier_set)
    def cranelift_debug_verifier(self) -> bool:
        """Whether Cranelift verifies its own work, to find errors in it.

        Default: False (with Winch the library has it on).
        C API: ``wasmtime_config_cranelift_debug_verifier_set``.
        """
        raise NotImplementedError

    @switch(False, lib.wasmtime_config_cranelift_nan_canonicalization_set)
    def cranelift_nan_canonicalization(self) -> bool:
        """Whether each NaN that an instruction produces is the canonical one.

        WebAssembly leaves the bits of a NaN open; this makes them the same on all machines.
        Default: False.
        C API: ``wasmtime_config_cranelift_nan_canonicalization_set``.
        """
        raise NotImplementedError

    def cranelift_flag_enable(self, flag: str) -> None:
        """Switches on a flag of Cranelift, such as a feature of the processor.

        Presets such as "haswell" or "x86-64-v3" switch on several; they are applied after flags
        that were set, whatever the order here.

        Args:
            flag: the name of the flag.

        Raises:
            TypeError: `flag` is not a str.
            WasmtimeError: there is no such flag (the message names similar ones), or it takes a
                value. That a flag is for another machine is found when an engine is made.

        C API: ``wasmtime_config_cranelift_flag_enable``.
        """
        self._open()
        if not isinstance(flag, str):
            raise TypeError(f"expected a str for flag, not {type(flag).__name__}")
        from . import _cranelift

        kind = _cranelift.known_flag(flag).kind
        if kind == "bool":
            self.cranelift_flag_set(flag, "true")
        elif kind == "preset":
            if flag not in self._presets:
                self._presets.append(flag)
        else:
            raise WasmtimeError(
                f"the Cranelift flag {flag!r} takes a value: use cranelift_flag_set"
            )

    def cranelift_flag_set(self, key: str, value: str) -> None:
        """Sets a flag of Cranelift to a value.

        Flags that are attributes of `Config` under another name ("opt_level",
        "regalloc_algorithm", "enable_verifier", "enable_nan_canonicalization", "unwind_info") set
        those. Numbers have narrower ranges than the library's, in which each module compiles.

        Args:
            key: the name of the flag.
            value: "true" or "false" (also "on", "off", "yes", "no", "1", "0"), one of the words
                of the flag, or a number in decimal digits.

        Raises:
            TypeError: an argument is not a str.
            WasmtimeError: there is no such flag (the message names similar ones), or it does not
                accept the value. That a flag is for another machine is found when an engine is
                made.

        C API: ``wasmtime_config_cranelift_flag_set``.
        """
        self._open()
        if not isinstance(key, str):
            raise TypeError(f"expected a str for key, not {type(key).__name__}")
        if not isinstance(value, str):
            raise TypeError(f"expected a str for value, not {type(value).__name__}")
        from . import _cranelift

        normal = _cranelift.normalize(key, value)
        attribute = _cranelift.ALIASES.get(key)
        if attribute is None:
            self._flags[key] = normal
        elif normal in ("true", "false"):
            setattr(self, attribute, normal == "true")
        else:
            setattr(self, attribute, normal)

    @property
    def cranelift_flags(self) -> dict[str, str]:
        """The flags that were set or enabled, and their values, as a new dict.

        Presets have the value "enabled".
        """
        self._open()
        return {**self._flags, **dict.fromkeys(self._presets, "enabled")}

    # --- debugging and profiling

    @switch(False, lib.wasmtime_config_debug_info_set)
    def debug_info(self) -> bool:
        """Whether DWARF debug information is made for the compiled code, for native debuggers.

        Not available with Winch. Default: False.
        C API: ``wasmtime_config_debug_info_set``.
        """
        raise NotImplementedError

    @choice(_PROFILERS, "none", lib.wasmtime_config_profiler_set, "profiler")
    def profiler(self) -> str:
        """The profiler to report compiled code to: "none", "jitdump", "vtune" or "perfmap".

        "jitdump" writes `jit-PID.dump` into the current directory (Linux), "perfmap" writes
        `/tmp/perf-PID.map` (Unix), both for perf; "vtune" is for Intel VTune (x86-64).
        Default: "none".

        The names of these files can be foreseen, and the library follows links. So a file that is
        there already is used only if it is a regular file of this user's with no other name, and
        the engine is refused otherwise, or where everybody may rename files in the directory. In a
        directory of somebody else's, its owner can still exchange the file in between.
        C API: ``wasmtime_config_profiler_set``.
        """
        raise NotImplementedError

    @switch(True, lib.wasmtime_config_native_unwind_info_set)
    def native_unwind_info(self) -> bool:
        """Whether unwinding tables are made for the compiled code, for native backtraces.

        Cannot be off on Windows. Default: True.
        C API: ``wasmtime_config_native_unwind_info_set``.
        """
        raise NotImplementedError

    # --- memory

    @switch(True, lib.wasmtime_config_memory_may_move_set)
    def memory_may_move(self) -> bool:
        """Whether a linear memory may get another address when it grows.

        If not, it cannot grow beyond `memory_reservation`. Default: True.
        C API: ``wasmtime_config_memory_may_move_set``.
        """
        raise NotImplementedError

    @size(_reservation_default, lib.wasmtime_config_memory_reservation_set, 64)
    def memory_reservation(self) -> int:
        """How many bytes of address space are reserved for a linear memory to grow in place.

        With the default a 32-bit memory never moves and needs no bounds checks. More than the
        address space is reported when a memory is made. Default: 4 GiB.
        C API: ``wasmtime_config_memory_reservation_set``.
        """
        raise NotImplementedError

    @size(_guard_default, lib.wasmtime_config_memory_guard_size_set, 64)
    def memory_guard_size(self) -> int:
        """How many bytes of inaccessible address space lie on either side of a linear memory.

        Accesses with a constant offset below it need no bounds check. Default: 32 MiB, and 0 for
        Pulley.
        C API: ``wasmtime_config_memory_guard_size_set``.
        """
        raise NotImplementedError

    @size(_growth_default, lib.wasmtime_config_memory_reservation_for_growth_set, 64)
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

    @_allocation_strategy
    def allocation_strategy(self) -> AllocationStrategy:
        """Where instances get their memory from: "on_demand", or a `PoolingAllocationConfig`.

        "pooling" may be set for a pool with default settings. A `PoolingAllocationConfig` is
        copied when it is set; what is read is the copy, and can be changed. Default: "on_demand".
        C API: ``wasmtime_pooling_allocation_strategy_set``.
        """
        raise NotImplementedError

    # --- traps

    @switch(_signals_default, lib.wasmtime_config_signals_based_traps_set)
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

    # --- cache

    @_cache
    def cache(self) -> Union[bool, str]:
        """Whether compiled modules are kept on disk: True, or the path of a TOML file that says how.

        True takes the default file and place. It reads False until it is set, and cannot be set
        to False, only deleted. The directory has to belong to this user alone, below ones in
        which others cannot exchange it; what is missing is made so (not checked on Windows).
        C API: ``wasmtime_config_cache_config_load``.

        Raises:
            WasmtimeError: the file or the directory of the cache cannot be used, or others could
                exchange what is in it, or the value is False.
        """
        raise NotImplementedError

    # --- the record

    def _open(self) -> dict[str, Any]:
        if self._closed:
            raise ValueError(
                "already closed: an engine has taken this Config, or close() was called; "
                "copy.copy(config) beforehand keeps one"
            )
        return self._values

    def close(self) -> None:
        """Ends the use of this object: reading or setting anything raises `ValueError` from now on.

        Nothing has to be closed; an engine made with the configuration is not affected.
        """
        self._closed = True

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        values = dict(self._open())
        pool = values.get("allocation_strategy")
        if isinstance(pool, PoolingAllocationConfig):
            values["allocation_strategy"] = pool.__copy__()
        return {
            "_values": values,
            "_flags": dict(self._flags),
            "_presets": list(self._presets),
            "_closed": False,
        }

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self) or self._closed or other._closed:
            return self is other
        return super().__eq__(other)

    def __repr__(self) -> str:
        if self._closed:
            return "<closed Config>"
        shown = self._shown()
        if self._flags or self._presets:
            shown.append(f"cranelift_flags={self.cranelift_flags!r}")
        return f"{type(self).__name__}({', '.join(shown)})"

    def _snapshot(self: _Self) -> _Self:
        """Returns a copy, for an engine to remember what it was made with."""
        return self.__copy__()

    @property
    def _epoch_explicit(self) -> bool:
        """Whether the user, rather than the default, decided about epochs."""
        return self._explicit("epoch_interruption")

    @property
    def _effective_max_wasm_stack(self) -> int:
        """How many bytes of stack WebAssembly may use in engines of this configuration."""
        return self.max_wasm_stack

    # --- the native configuration

    def _build(self) -> Any:
        """Returns a new `wasm_config_t *`, which the caller owns, with every setting applied.

        Raises:
            WasmtimeError: the settings contradict one another or ask for what is not possible on
                this machine; the message has all the reasons.
            ValueError: the configuration was closed, or an engine has taken it.
        """
        self._open()
        problems = list(self._problems())
        if not problems:
            problems = list(self._problems_of_the_process())
        if problems:
            raise WasmtimeError("this configuration cannot be used: " + "; ".join(problems))
        config = lib.wasm_config_new()
        try:
            self._apply(config)
        except BaseException:
            lib.wasm_config_delete(config)
            raise
        return config

    def _apply(self, config: Any) -> None:
        values = dict(self._values)
        target = values.pop("target", None)
        if target is not None:
            check(_apply_target(config, target))
        cache = values.pop("cache", None)
        if cache is not None:
            check(_apply_cache(config, cache))
        pool = values.pop("allocation_strategy", None)
        if isinstance(pool, PoolingAllocationConfig):
            lib.wasmtime_pooling_allocation_strategy_set(config, pool._to_native())
        for name in ("epoch_interruption", "max_wasm_stack", "async_stack_size"):
            values[name] = getattr(self, name)
        for name, value in values.items():
            self._settings[name].apply(config, value)
        for name, text in self._flags.items():
            lib.wasmtime_config_cranelift_flag_set(config, name.encode(), text.encode())
        for name in self._presets:
            lib.wasmtime_config_cranelift_flag_enable(config, name.encode())

    # --- rules

    def _problems(self) -> Iterator[str]:
        """Yields why the library would end the process with these settings, wherever it runs."""
        target = _parse_target(self.target)
        host = host_machine()
        if target.machine not in (host, "pulley"):
            yield (
                f"the target {self.target!r} needs a code generator that this library does not "
                f"have; it has {host} (such as {host_triple_hint()!r}) and 'pulley64'"
            )
            return
        yield from self._problems_of_proposals(target)
        yield from self._problems_of_compiler(target)
        yield from self._problems_of_stacks()

    def _problems_of_proposals(self, target: _Target) -> Iterator[str]:
        if self.wasm_stack_switching:
            yield (
                "wasm_stack_switching cannot be on: the library was built without the run-time "
                "support for it, and a module that uses it would end the process"
            )
        if self.wasm_relaxed_simd and not self.wasm_simd:
            yield "wasm_relaxed_simd needs wasm_simd: switch both off, or neither"
        if self.wasm_component_model_async and not self.wasm_reference_types:
            yield (
                "wasm_component_model_async needs wasm_reference_types: switch both off, or neither"
            )
        if not self.concurrency_support:
            for name in (
                "wasm_component_model_async",
                "wasm_component_model_more_async_builtins",
                "wasm_component_model_async_stackful",
            ):
                if getattr(self, name):
                    yield f"{name} needs concurrency_support"
        if target.machine == "pulley" and self.wasm_threads:
            yield "wasm_threads is not possible for Pulley"

    def _problems_of_compiler(self, target: _Target) -> Iterator[str]:
        if self.strategy == "winch":
            yield from self._problems_of_winch(target)
        if not self.signals_based_traps:
            for name in (
                "enable_heap_access_spectre_mitigation",
                "enable_table_access_spectre_mitigation",
            ):
                if self._flags.get(name) == "true":
                    yield f"the Cranelift flag {name!r} needs signals_based_traps"
        if target.is_windows and not self.native_unwind_info:
            yield "native_unwind_info cannot be off on Windows"
        from . import _cranelift

        for name in (*self._flags, *self._presets):
            problem = _cranelift.check_for(name, target.machine)
            if problem is not None:
                yield problem

    def _problems_of_winch(self, target: _Target) -> Iterator[str]:
        if target.machine == "pulley":
            yield "strategy 'winch' cannot compile for Pulley: use 'cranelift'"
        if self.debug_info:
            yield "debug_info is not possible with strategy 'winch'"
        if not self.signals_based_traps:
            yield "strategy 'winch' needs signals_based_traps"
        lacks = ["wasm_function_references", "wasm_gc", "wasm_relaxed_simd"]
        if target.machine == "aarch64":
            lacks += ["wasm_threads", "wasm_tail_call"]
        for name in lacks:
            if getattr(self, name):
                yield f"{name} is not possible with strategy 'winch'"
        from . import _cranelift

        for name in self._flags:
            if _cranelift.known_flag(name).kind == "wasmtime":
                yield f"the flag {name!r} is not possible with strategy 'winch'"

    def _problems_of_stacks(self) -> Iterator[str]:
        wasm, whole = self.max_wasm_stack, self.async_stack_size
        if wasm > _LARGEST_STACK or whole > 2 * _LARGEST_STACK:
            yield f"max_wasm_stack and async_stack_size cannot exceed {_LARGEST_STACK} bytes"
        elif self._explicit("max_wasm_stack"):
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

    def _problems_of_the_process(self) -> Iterator[str]:
        """Yields why these settings are not possible in this process at this moment."""
        problem = _problem_of_profiler(self.profiler)
        if problem is not None:
            yield problem
        if sys.platform == "darwin":
            problem = _problem_of_mach_ports(self.macos_use_mach_ports)
            if problem is not None:
                yield problem
        pool = self.allocation_strategy
        if isinstance(pool, PoolingAllocationConfig):
            yield from self._problems_of_pool(pool)

    def _problems_of_pool(self, pool: PoolingAllocationConfig) -> Iterator[str]:
        for name in _COUNTS_WITH_COST:
            if getattr(pool, name) > _LARGEST_COUNT:
                yield f"{name} of the pool cannot exceed {_LARGEST_COUNT}"
                return
        if pool.max_memory_size > self.memory_reservation:
            yield (
                f"max_memory_size of the pool ({pool.max_memory_size}) cannot exceed "
                f"memory_reservation ({self.memory_reservation})"
            )
            return
        guard = self.memory_guard_size
        stack = _pages(self.async_stack_size) + PAGE_SIZE
        element_bytes = _pages(pool.table_elements * _TABLE_ELEMENT)
        parts = [
            (
                f"{pool.total_memories} memories (total_memories, memory_reservation, "
                "memory_guard_size)",
                guard + _pages(self.memory_reservation + guard) * pool.total_memories,
                False,
            ),
            (
                f"{pool.total_tables} tables (total_tables, table_elements)",
                element_bytes * pool.total_tables,
                True,
            ),
        ]
        if sys.platform != "win32":
            parts.append(
                (
                    f"{pool.total_stacks} stacks (total_stacks, async_stack_size)",
                    stack * pool.total_stacks,
                    True,
                )
            )
        held = []
        for what, space, accessible in parts:
            if space == 0:
                continue
            try:
                # All of them are held until all have been tried, as the library will need them.
                held.append(reserve(_pages(space), accessible))
            except OSError:
                yield f"there is not enough address space for {what} of the pool: {space} bytes"
                return
        # Each stack is a mapping of its own, and so is the guard page below it.
        mappings = 2 * pool.total_stacks + 64
        free = free_mappings()
        if mappings > free:
            yield (
                f"{pool.total_stacks} stacks (total_stacks) take {mappings} memory mappings, of "
                f"which this process may make {max(free, 0)} more; lower total_stacks, drop "
                "engines with pools, or raise vm.max_map_count"
            )


def _pages(length: int) -> int:
    return -(-length // PAGE_SIZE) * PAGE_SIZE


def _problem_of_profiler(profiler: str) -> Optional[str]:
    """The library opens the profiler's file when the engine is made, and panics if it cannot."""
    linux = sys.platform == "linux" and not is_android()
    if profiler == "jitdump":
        if not linux:
            return "profiler 'jitdump' is for Linux only"
        return _problem_of_file(f"./jit-{os.getpid()}.dump", profiler, executable=True)
    if profiler == "perfmap":
        if sys.platform == "win32":
            return "profiler 'perfmap' is not for Windows"
        return _problem_of_file(f"/tmp/perf-{os.getpid()}.map", profiler, executable=False)
    vtune = host_machine() == "x86_64" and (linux or sys.platform in ("darwin", "win32"))
    if profiler == "vtune" and not vtune:
        return "profiler 'vtune' is for x86-64 only, with Linux, macOS or Windows"
    return None


def _problem_of_file(path: str, profiler: str, executable: bool) -> Optional[str]:
    try:
        # Another user may have prepared a link under this name; ours stays where it is from here on
        # (in a sticky directory, or one that others cannot write to).
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | _NOT_A_TRAP, 0o600)
        try:
            danger = danger_of_file(os.fstat(file)) or _danger_beside(path)
            if danger is not None:
                raise OSError(errno.EPERM, f"it {danger}")
            if executable and os.fstatvfs(file).f_flag & os.ST_NOEXEC:
                raise OSError(errno.EACCES, "its file system does not allow code to be mapped")
            if os.fstat(file).st_size == 0:
                # The library writes a header into the empty file: see whether there is room.
                os.write(file, bytes(64))
                os.ftruncate(file, 0)
        finally:
            os.close(file)
    except OSError as error:
        reason = "it is a link" if os.path.islink(path) else error.strerror or error
        return f"profiler {profiler!r} cannot write {path}: {reason}"
    return None


#: Not to follow a link, nor to wait for the reader of a FIFO.
_NOT_A_TRAP = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def _danger_beside(path: str) -> Optional[str]:
    mode = os.stat(os.path.dirname(path)).st_mode
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        return "lies in a directory where everybody may exchange it"
    return None


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
