"""How WebAssembly is compiled and run: the configuration of an engine.

A `Config` is a plain record. Each attribute can be read, set and deleted (which puts the default
back) in any order, and the record can be copied, compared and pickled; nothing native is made
before an engine asks for it.

The C API takes a configuration that contradicts itself, or that asks for what this machine cannot
do, by ending the process: `wasm_engine_new_with_config` has no way to report an error. All rules
that the library has for that are therefore checked here first, each with what to do about it.
"""

from __future__ import annotations

from typing import Any, TypeVar

from .._error import WasmtimeError
from .._native import check, lib
from .._native.host import default_max_wasm_stack
from . import rules
from .cache import CacheSettings, apply_cache
from .compiler import CompilerSettings
from .components import ComponentSettings
from .debugging import DebuggingSettings
from .defaults import HOST_STACK_RESERVE
from .limits import LimitSettings
from .memory import MemorySettings
from .pool import PoolingAllocationConfig
from .proposals import ProposalSettings
from .target import apply_target
from .wasi import WasiSettings

__all__ = ["HOST_STACK_RESERVE", "Config", "PoolingAllocationConfig", "default_max_wasm_stack"]

_Self = TypeVar("_Self", bound="Config")


class Config(
    LimitSettings,
    ProposalSettings,
    ComponentSettings,
    CompilerSettings,
    DebuggingSettings,
    MemorySettings,
    CacheSettings,
    WasiSettings,
):
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

    __slots__ = ("_closed",)

    _closed: bool

    def __init__(self, **settings: object) -> None:
        self._closed = False
        super().__init__(**settings)

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
        problems = list(rules.problems(self))
        if not problems:
            problems = list(rules.problems_of_process(self))
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
            check(apply_target(config, target))
        cache = values.pop("cache", None)
        if cache is not None:
            check(apply_cache(config, cache))
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
