"""Engines: the compiler and its configuration."""

from __future__ import annotations

import copy
import os
from _thread import RLock
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any, Optional

from ._error import WasmtimeError, expect
from ._managed import Managed
from ._native import address_of, core, ffi, lib
from ._native.faults import fault_handlers, watch_faults

if TYPE_CHECKING:
    from ._config import Config

__all__ = ["Engine", "engine_handle"]

_making_engines = RLock()

#: The process in which the library started its pool of compiler threads; 0: there is none yet.
_pool_process = 0


def _pool_is_lost() -> bool:
    """Tell whether the pool of compiler threads was started before this process was forked.

    Its threads do not exist here, and the library would wait for them for ever.
    """
    return _pool_process not in (0, os.getpid())


def _after_fork() -> None:
    global _making_engines
    _making_engines = RLock()
    core.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

watch_faults()


class Engine(core.Engine, Managed):
    """A compiler with its configuration, and the types of everything compiled with it.

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

    C API: ``wasm_engine_new_with_config``.
    """

    def __repr__(self) -> str:
        from ._display import engine_text

        return engine_text(self)

    def __init__(self, config: Optional[Config] = None) -> None:
        # Loaded with the first engine: importing the package does not need all settings.
        from ._config import Config, PoolingAllocationConfig

        if config is None:
            config = Config()
        expect(config, Config, "config")
        native = config._build()
        self._uses_pool = config.parallel_compilation and not _pool_is_lost()
        lib.wasmtime_config_parallel_compilation_set(native, self._uses_pool)
        with fault_handlers():
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
            settings.shared_memory,
            not pooled,
        )
        self._config = settings
        self._table_probes: dict[Any, core.Handle] = {}  # see `Table.type`
        config.close()

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickle the configuration and an identity.

        All that is pickled of one engine meets in one engine again where it is unpickled, which is
        this one if that is in this process.
        """
        self._use()
        with _making_engines:
            if self._identity is None:
                identity = os.urandom(16).hex()
                _known_engines()[identity] = self
                self._identity = identity
        return _restore_engine, (self._identity, self._config)

    _identity: Optional[str] = None
    _substitute: Optional[Engine] = None

    def _compiler(self) -> Engine:
        """Return the engine that compiles for this one.

        It is this one; or, in a forked child that lacks the pool of compiler threads, another of
        the same settings, which needs none. Its artifacts fit here.
        """
        global _pool_process
        if not self._uses_pool:
            return self
        if not _pool_is_lost():
            _pool_process = os.getpid()
            return self
        if self._substitute is None:
            config = copy.copy(self._config)
            # What an engine that runs nothing has no use for.
            del config.allocation_strategy, config.cache, config.profiler
            self._substitute = Engine(config)
        return self._substitute

    def is_pulley(self) -> bool:
        """Whether this engine interprets Pulley bytecode instead of compiling to machine code.

        Raises:
            ValueError: The engine is closed.
        """
        handle = self._use()
        return bool(lib.wasmtime_engine_is_pulley(handle.pointer))


_engines: Optional[MutableMapping[str, Engine]] = None


def _known_engines() -> MutableMapping[str, Engine]:
    """The engines that were pickled or unpickled in this process, by identity, while they live."""
    global _engines
    if _engines is None:
        from weakref import WeakValueDictionary

        _engines = WeakValueDictionary()
    return _engines


def _restore_engine(identity: str, config: Config) -> Engine:
    """The engine of an identity, made if it is not here."""
    with _making_engines:
        engine = _known_engines().get(identity)
        if engine is None:
            engine = Engine(config)
            engine._identity = identity
            _known_engines()[identity] = engine
    return engine


def engine_handle(engine: object) -> Any:
    """Return the Handle of an Engine argument, to be kept while native code uses it.

    Raises:
        TypeError: It is no Engine.
        ValueError: The engine is closed.
    """
    return expect(engine, Engine, "engine")._use()
