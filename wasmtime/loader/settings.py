"""Where modules that are imported from now on live, and what they may do.

The store and its linker are attributes of the package `wasmtime.loader` itself, for programs to
read. Programs that set them there are heard too. The other settings are here.
"""

from __future__ import annotations

import sys
from _thread import RLock
from collections.abc import Iterable
from contextlib import AbstractContextManager
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from .._artifacts.cache import CacheOption
from .._engine import Engine
from .._linker import Linker
from .._store import Store
from .python_imports import NamedModules, PythonModule, named_modules
from .store_lock import lock_of

if TYPE_CHECKING:
    from .._wasi import WasiConfig

__all__ = [
    "Settings",
    "cache_option",
    "configure",
    "current",
    "lock",
    "named_python_modules",
    "new_linker",
    "new_store",
]

_cache: Optional[CacheOption] = None
_python_modules: tuple[PythonModule, ...] = ()
#: Held while the settings change, so that an import sees those that belong together.
_changing = RLock()


def _public() -> Any:
    """The package `wasmtime.loader`. It is looked up, because it may be imported anew."""
    return sys.modules[__name__.rpartition(".")[0]]


class Settings(NamedTuple):
    """The settings of one moment, which belong together.

    Attributes:
        store: The store for core modules.
        linker: What they may import, besides what is imported for them.
        cache: Where compiled code is kept.
        named: The Python modules that the program has named.
        predefined: The names of modules that are WASI.
    """

    store: Store
    linker: Linker
    cache: CacheOption
    named: NamedModules
    predefined: list[str]


def current() -> Settings:
    """The settings of this moment."""
    with _changing:
        public = _public()
        return Settings(
            public.store,
            public.linker,
            cache_option(),
            named_modules(_python_modules),
            public.predefined_modules,
        )


def named_python_modules() -> tuple[PythonModule, ...]:
    """What `configure` was given as `python_modules`."""
    return _python_modules


def cache_option() -> CacheOption:
    """Where compiled code is kept."""
    if _cache is not None:
        return _cache
    if sys.dont_write_bytecode:
        return False
    from .._artifacts.cache import open_cache

    return open_cache(True).is_usable()


# --- changing them -------------------------------------------------------------------------------


def configure(
    *,
    engine: Optional[Engine] = None,
    store: Optional[Store] = None,
    wasi: Optional[WasiConfig] = None,
    cache: Optional[CacheOption] = None,
    python_modules: Optional[Iterable[PythonModule]] = None,
) -> None:
    """Choose where modules that are imported from now on live, and what they may do.

    What is left out stays as it is. Any thread may call this.

    Args:
        engine: The engine to compile with; a new store is made for it. By default that of `store`,
            or of the loader's present store.
        store: The store for core modules.
        wasi: What WASI gives to core modules: arguments, directories, streams. By default they get
            an environment with nothing in it, and a store that is given here keeps its own.
        cache: Where compiled code is kept: True for a directory of this user's, False for nowhere,
            or a directory that belongs to this user alone. At first it is kept as Python keeps
            bytecode: unless `sys.dont_write_bytecode` is set, and silently not where that is
            impossible.
        python_modules: The Python modules that core modules may import wherever they lie: names,
            or the modules themselves. It takes the place of what was given before, so ``[]`` is
            none, and ``[*wasmtime.loader.python_modules, "math"]`` is one more. Each name stands
            for that module alone, not for those inside of a package. Whoever wrote the WebAssembly
            file can call all that such a module offers, with any arguments: never name `builtins`,
            `os` or the like for a file that you do not trust.

    Raises:
        ValueError: `engine` and `store` are both given and do not belong together, or a name in
            `python_modules` is not the absolute name of a module.
        TypeError: An argument is of a wrong type.
        WasmtimeError: Something that `wasi` names cannot be opened any more.
    """
    global _cache, _python_modules
    if store is not None and not isinstance(store, Store):
        raise TypeError(f"store must be a Store, not {type(store).__name__}")
    if engine is not None and store is not None and store.engine is not engine:
        raise ValueError("store belongs to another engine than `engine`: leave one of them out")
    if python_modules is not None:
        python_modules = _python_list(python_modules)
    if store is None and engine is not None:
        store = new_store(engine)
    with _changing:
        public = _public()
        if wasi is not None:
            home = store or public.store
            with lock_of(home).hold():
                home.set_wasi(wasi)
        if store is not None:
            public.store = store
            public.linker = new_linker(store)
        if cache is not None:
            _cache = cache
        if python_modules is not None:
            _python_modules = python_modules


def lock() -> AbstractContextManager[None]:
    """Keep other threads out of the core modules in `store`, for the length of a ``with`` block.

    Calls of their functions do that by themselves. It is for what takes the store as an argument,
    memories, tables and globals, where other threads call functions at the same time.

    Raises when entered:
        WasmtimeError: The thread that is inside waits for a store that this one is inside of.
    """
    return lock_of(_public().store).hold()


def _python_list(modules: Iterable[PythonModule]) -> tuple[PythonModule, ...]:
    """Check the argument `python_modules`."""
    if not isinstance(modules, (str, ModuleType)):
        modules = tuple(modules)
    named_modules(modules)
    return tuple(modules)


# --- stores --------------------------------------------------------------------------------------


def new_store(engine: Optional[Engine] = None) -> Store:
    """A store whose WASI has nothing in it.

    Args:
        engine: Its engine; a new one by default.
    """
    store = Store(engine)
    store.set_wasi(_no_wasi())
    return store


def _no_wasi() -> WasiConfig:
    from .._wasi import WasiConfig

    return WasiConfig()


def new_linker(store: Store) -> Linker:
    """A linker with WASI in which everything can be defined anew.

    Args:
        store: The store that its engine belongs to.
    """
    linker = Linker(store.engine)
    linker.define_wasi()
    linker.allow_shadowing = True
    return linker
