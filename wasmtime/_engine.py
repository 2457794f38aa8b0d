"""
Engines: the compiler and its configuration.
"""

from __future__ import annotations

import faulthandler
import functools
import os
from _thread import RLock
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Optional

from ._error import ArgumentTypeError, WasmtimeError
from ._managed import Managed
from ._native import address_of, core, ffi, lib

if TYPE_CHECKING:
    from ._config import Config

__all__ = ["Engine"]

_faulthandler_enable = faulthandler.enable
_making_engines = RLock()


def _after_fork() -> None:
    global _making_engines
    _making_engines = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@contextmanager
def _fault_handlers() -> Iterator[None]:
    """
    Around the making of an engine, which may install the library's handlers of faults.

    From then on, enabling `faulthandler` must leave them on top: WebAssembly traps by faulting,
    and faulthandler would take that for the end of the process. It is told of all other faults.
    """
    with _making_engines:
        core.faults(0)
        try:
            yield
        finally:
            core.faults(1)
            core.faults(2)
            if faulthandler.enable is _faulthandler_enable:
                faulthandler.enable = _enable_faulthandler


@functools.wraps(_faulthandler_enable)
def _enable_faulthandler(*args: Any, **kwargs: Any) -> None:
    _faulthandler_enable(*args, **kwargs)
    with _making_engines:
        core.faults(2)


class Engine(core.Engine, Managed):
    """
    A compiler with its configuration, and the types of everything compiled with it.

    Modules, stores and linkers belong to one engine and can only be used together with others of
    the same engine. An engine may be used from any number of threads at once.

    Args:
        config: The configuration, or None for the default one. It becomes the engine's and cannot
            be used again; ``copy.copy(config)`` keeps another for a second engine.

    Raises:
        TypeError: `config` is not a `Config`.
        WasmtimeError: The configuration contradicts itself or asks for something that this
            platform does not have.
        ValueError: As above, for a value out of range; or the configuration has been used or
            closed.

    Stands on ``wasm_engine_new_with_config``.
    """

    def __init__(self, config: Optional[Config] = None) -> None:
        # Loaded with the first engine: importing the package does not need all settings.
        from ._config import Config, PoolingAllocationConfig

        if config is None:
            config = Config()
        elif not isinstance(config, Config):
            raise ArgumentTypeError(f"config must be a Config, not {type(config).__name__}")
        native = config._build()
        with _fault_handlers():
            pointer = lib.wasm_engine_new_with_config(native)
        if pointer == ffi.NULL:
            raise WasmtimeError("the engine could not be made with this configuration")
        handle = core.Handle("wasm_engine_t", address_of(pointer), pointer)
        settings = config._snapshot()
        pooled = isinstance(settings.allocation_strategy, PoolingAllocationConfig)
        self._own_configured(
            handle,
            settings.epoch_interruption,
            settings._epoch_explicit,
            settings._effective_max_wasm_stack,
            settings.memory_may_move and not pooled,
            settings.memory_reservation,
        )
        self._config = settings
        self._table_probes: dict[Any, core.Handle] = {}  # see `Table.type`
        config.close()

    def __reduce_ex__(self, protocol: Any) -> Any:
        """
        Pickle the configuration and an identity: all that is pickled of one engine meets in one
        engine again where it is unpickled, which is this one if that is in this process.
        """
        self._use()
        with _making_engines:
            if self._identity is None:
                identity = os.urandom(16).hex()
                _known_engines()[identity] = self
                self._identity = identity
        return _restore_engine, (self._identity, self._config)

    _identity: Optional[str] = None

    def is_pulley(self) -> bool:
        """
        Whether this engine interprets Pulley bytecode instead of compiling to machine code.

        Raises:
            ValueError: The engine is closed.
        """
        handle = self._use()
        return bool(lib.wasmtime_engine_is_pulley(handle.pointer))


_engines: Optional[MutableMapping[str, Engine]] = None


def _known_engines() -> MutableMapping[str, Engine]:
    """
    The engines that were pickled or unpickled in this process, by identity, while they live.
    """
    global _engines
    if _engines is None:
        from weakref import WeakValueDictionary

        _engines = WeakValueDictionary()
    return _engines


def _restore_engine(identity: str, config: Config) -> Engine:
    """
    The engine of an identity, made if it is not here.
    """
    with _making_engines:
        engine = _known_engines().get(identity)
        if engine is None:
            engine = Engine(config)
            engine._identity = identity
            _known_engines()[identity] = engine
    return engine
