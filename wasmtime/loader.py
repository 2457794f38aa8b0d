"""`import` for WebAssembly.

After ``import wasmtime.loader``, ``import name`` finds ``name.wasm`` or ``name.wat`` where it would
find ``name.py`` (which comes first), in directories and zip archives, at the top level and inside
of packages.

A core module is instantiated; its functions become functions of the Python module, without the
store as an argument, and its memories, tables and globals attributes. A function that is called
while another thread is inside of the store waits for it. What a module imports is looked for in
this order: WASI and what `linker` defines; the Python or WebAssembly module of that name, relative
to the package if the name begins with a dot. That module must lie beside the file or in its
package, or be named: ``configure(python_modules=[...])``. Of a Python module, WebAssembly reaches
what ``__all__`` lists; without ``__all__``, what is defined in it.

A component becomes the package that `wasmtime.bindgen` writes for it: instances are made of its
class ``Root``, in any store. It imports nothing by itself.

Everything that goes wrong is an ImportError, with the reason as its cause.

    import wasmtime.loader
    import adder  # adder.wat or adder.wasm

    assert adder.add(1, 2) == 3

Attributes:
    store: The store in which core modules live.
    linker: The linker of core modules. Define in it what they import and no module provides.
    engine: The store's engine.
    python_modules: What `configure` was given under that name, as a tuple.
    predefined_modules: Names of modules that are WASI.

`configure` changes them, for modules that are imported afterwards. ``with lock():`` keeps other
threads out of the store.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.util
import io
import os
import sys
import weakref
import zipimport
from _thread import RLock
from collections.abc import Iterable
from contextlib import AbstractContextManager
from importlib.machinery import FileFinder, ModuleSpec
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional, Union

from ._cache import CacheOption
from ._engine import Engine
from ._error import ExitTrap, WasmtimeError
from ._func import BoundFunc, Func
from ._instance import Instance
from ._linker import Linker
from ._python_imports import (
    NamedModules,
    PythonModule,
    Refused,
    find_attribute,
    find_module,
    named_modules,
)
from ._store import Store
from ._storelock import lock_of
from ._trap import Trap
from ._types import FuncType
from ._wat2wasm import to_wasm

if TYPE_CHECKING:
    from ._wasi import WasiConfig

    engine: Engine
    python_modules: tuple[PythonModule, ...]

__all__ = [
    "configure",
    "engine",
    "linker",
    "lock",
    "predefined_modules",
    "python_modules",
    "store",
]

#: Names of modules that are WASI, and never imported.
predefined_modules: list[str] = ["wasi_snapshot_preview1", "wasi_unstable"]
store: Store
linker: Linker

_cache: Optional[CacheOption] = None
_python_modules: tuple[PythonModule, ...] = ()
#: Held while the settings change, so that an import sees those that belong together.
_settings = RLock()

_SUFFIXES = (".wasm", ".wat")
#: How long an import waits for its turn at the store, in seconds. Not for ever, as a call does:
#: the thread that has it may wait for this import.
_PATIENCE = 60.0


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
        store = Store(engine)
        if wasi is None:
            wasi = _no_wasi()
    this: Any = sys.modules[__name__]
    with _settings:
        if wasi is not None:
            home = store or this.store
            with lock_of(home).hold():
                home.set_wasi(wasi)
        if store is not None:
            this.store = store
            this.linker = _new_linker(store)
        if cache is not None:
            _cache = cache
        if python_modules is not None:
            _python_modules = python_modules


def lock() -> AbstractContextManager[None]:
    """Keep other threads out of the core modules in `store`, for the length of a ``with`` block.

    Calls of their functions do that by themselves. It is for what takes the store as an argument,
    memories, tables and globals, where other threads call functions at the same time.

    Raises (where the block is entered):
        WasmtimeError: The thread that is inside waits for a store that this one is inside of.
    """
    return lock_of(store).hold()


def _python_list(modules: Iterable[PythonModule]) -> tuple[PythonModule, ...]:
    if not isinstance(modules, (str, ModuleType)):
        modules = tuple(modules)
    named_modules(modules)
    return tuple(modules)


def _no_wasi() -> WasiConfig:
    from ._wasi import WasiConfig

    return WasiConfig()


def _new_linker(store: Store) -> Linker:
    linker = Linker(store.engine)
    linker.define_wasi()
    linker.allow_shadowing = True
    return linker


def __getattr__(name: str) -> Any:
    if name == "engine":
        return store.engine
    if name == "python_modules":
        return _python_modules
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


# --- reading -------------------------------------------------------------------------------------


def _cache_option() -> CacheOption:
    """Where compiled code is kept."""
    if _cache is not None:
        return _cache
    if sys.dont_write_bytecode:
        return False
    from ._cache import open_cache

    return open_cache(True).is_usable()


# --- core modules --------------------------------------------------------------------------------


class _Loaded(NamedTuple):
    """What the module of Python for a core module was made of."""

    store: Store
    exports: dict[str, Any]
    attributes: dict[str, Any]


_loaded: weakref.WeakKeyDictionary[ModuleType, _Loaded] = weakref.WeakKeyDictionary()


class _CoreLoader(importlib.abc.Loader):
    """Loads a core module."""

    def __init__(self, binary: bytes) -> None:
        self.binary = binary

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def get_code(self, fullname: str) -> None:
        """Always refused: for `runpy` and ``python -m``, which run Python code."""
        raise ImportError(
            f"{fullname!r} is WebAssembly, which has no Python code to run: import it, or run the "
            "file with 'python -m wasmtime run'",
            name=fullname,
        )

    def exec_module(self, module: ModuleType) -> None:
        spec = module.__spec__
        assert spec is not None
        try:
            self._instantiate(module, spec)
        except ImportError:
            raise
        except (WasmtimeError, Trap, ExitTrap, TypeError, ValueError, OSError) as error:
            raise ImportError(
                f"cannot import {spec.name!r} from {spec.origin}: {error}",
                name=spec.name,
                path=spec.origin,
            ) from error

    def _instantiate(self, module: ModuleType, spec: ModuleSpec) -> None:
        from .bindgen.support import compile_module

        with _settings:
            here, definitions, cache = store, linker, _cache_option()
            named = named_modules(_python_modules)
        turn = lock_of(here)
        compiled = compile_module(here.engine, self.binary, cache)
        with turn.hold(_PATIENCE):
            imports: list[Any] = [
                definitions._lookup(here, entry.module.encode(), (entry.name or "").encode())
                for entry in compiled.imports
            ]
        # Not in our turn at the store: a module that is imported here may wait for others.
        for index, entry in enumerate(compiled.imports):
            if imports[index] is None:
                imports[index] = _find_import(entry, spec, here, named)
        with turn.hold(_PATIENCE):
            for index, entry in enumerate(compiled.imports):
                if isinstance(entry.type, FuncType) and not isinstance(imports[index], Func):
                    imports[index] = Func(here, entry.type, imports[index])
            instance = Instance(here, compiled, imports)
            by_index = instance.exports(here).by_index
            exports = {
                export.name or "": by_index[index] for index, export in enumerate(compiled.exports)
            }
        _show(module, exports, here)


def _show(module: ModuleType, exports: dict[str, Any], here: Store) -> None:
    """Make the exports attributes of a module, in place of those that it had before a reload.

    Names with two underscores on both sides are Python's own: an export by such a name would
    become a hook of the module, so only WebAssembly sees it.
    """
    attributes = {
        name: _function(module, name, item, here) if isinstance(item, Func) else item
        for name, item in exports.items()
        if not (name.startswith("__") and name.endswith("__"))
    }
    namespace = vars(module)
    before = _loaded.get(module)
    if before is not None:
        for name, item in before.attributes.items():
            if namespace.get(name) is item:
                del namespace[name]
    namespace.update(attributes)
    namespace["__all__"] = list(attributes)
    _loaded[module] = _Loaded(here, exports, attributes)


def _function(module: ModuleType, name: str, func: Func, store: Store) -> Callable[..., Any]:
    """A function of Python for an exported one."""
    call = lock_of(store).wrap(func.bind(store))
    call.__name__ = call.__qualname__ = name
    call.__module__ = module.__name__
    return call


def _find_import(entry: Any, spec: ModuleSpec, here: Store, named: NamedModules) -> Any:
    """What a module of Python or WebAssembly provides for an import."""
    source, name = entry.module, entry.name or ""
    what = f"{spec.name!r} ({spec.origin}) imports {name!r} from the module {source!r}"

    def failure(reason: str) -> ImportError:
        return ImportError(f"{what}, {reason}", name=spec.name, path=spec.origin)

    if source in predefined_modules:
        raise failure("which is WASI's and has no such function")
    try:
        imported = find_module(spec, source, named)
        loaded = _loaded.get(imported) if isinstance(imported, ModuleType) else None
        if loaded is None:
            found = find_attribute(imported, name)
        elif name not in loaded.exports:
            raise AttributeError(f"module {source!r} has no export {name!r}")
        else:
            found = loaded.exports[name]
            if isinstance(found, Func) and loaded.store is not here:
                found = _function(imported, name, found, loaded.store)
    except Refused as error:
        raise failure(str(error)) from None
    except (ImportError, TypeError, ValueError) as error:
        raise failure(f"which cannot be imported: {error}") from error
    except AttributeError as error:
        raise failure("which has no such attribute") from error
    if isinstance(found, BoundFunc) and found.store is here:
        return found.func  # WebAssembly calls WebAssembly, without Python between them
    if isinstance(entry.type, FuncType) and not callable(found):
        raise failure(f"where it is of type {type(found).__name__}")
    return found


# --- components ----------------------------------------------------------------------------------


class _Package:
    """The package that was written for a component; its files exist here only."""

    def __init__(self, origin: str, files: dict[str, bytes]) -> None:
        self.origin = origin
        self.files = files

    def path(self, name: str) -> str:
        return os.path.join(self.origin, *name.split("/"))

    def name(self, path: str) -> Optional[str]:
        """The file that a path means, None if it is none of the package's."""
        relative = os.path.relpath(path, self.origin).replace(os.sep, "/")
        return relative if relative in self.files else None

    def find(self, entry: str, name: str) -> Optional[tuple[str, bool]]:
        """The file for a module of a name, and whether it is a package."""
        relative = os.path.relpath(entry, self.origin).replace(os.sep, "/")
        stem = name if relative == "." else f"{relative}/{name}"
        for file, package in ((f"{stem}.py", False), (f"{stem}/__init__.py", True)):
            if file in self.files:
                return file, package
        return None


_packages: dict[str, _Package] = {}


class _PackageLoader(importlib.abc.SourceLoader):
    """Loads the modules of such a package."""

    def __init__(self, package: _Package, file: str) -> None:
        self.package = package
        self.file = file

    def get_filename(self, fullname: str) -> str:
        return self.package.path(self.file)

    def get_data(self, path: Union[str, bytes]) -> bytes:
        name = self.package.name(os.fsdecode(path))
        if name is None:
            raise FileNotFoundError(f"{path!r} is not a part of the package")
        return self.package.files[name]

    def source_to_code(  # type: ignore[override]
        self, data: Any, path: Any = "<string>"
    ) -> CodeType:
        return compile(data, path, "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        if self.file == "_component.py":
            vars(module)["COMPONENT"].cache = _cache_option()

    def get_resource_reader(self, fullname: str) -> Any:
        return _Resources(self.package, os.path.dirname(self.file))


class _Resources:
    """The files of a package, for `importlib.resources`."""

    def __init__(self, package: _Package, directory: str) -> None:
        self.package = package
        self.prefix = f"{directory}/" if directory else ""

    def contents(self) -> Iterable[str]:
        """The names of the files."""
        prefix = self.prefix
        names = (name[len(prefix) :] for name in self.package.files if name.startswith(prefix))
        return [name for name in names if "/" not in name]

    def is_resource(self, path: str) -> bool:
        """Whether there is a file of that name."""
        return self.prefix + path in self.package.files

    def open_resource(self, resource: str) -> io.BytesIO:
        """The contents of a file, for reading."""
        try:
            return io.BytesIO(self.package.files[self.prefix + resource])
        except KeyError:
            raise FileNotFoundError(resource) from None

    def resource_path(self, resource: str) -> str:
        """Always refused: the files have no paths."""
        raise FileNotFoundError(resource)


# --- finding -------------------------------------------------------------------------------------


class _DirectoryFinder(FileFinder):
    """Finds what another finder finds in a directory, and then WebAssembly files.

    Both know the directory's entries, and treat upper and lower case as Python does there.
    """

    def __init__(self, path: str, python: Any) -> None:
        super().__init__(path, (_AnyLoader, list(_SUFFIXES)))
        self._python = python

    def find_spec(self, fullname: str, target: Optional[ModuleType] = None) -> Optional[ModuleSpec]:
        found: Optional[ModuleSpec] = self._python.find_spec(fullname, target)
        if found is not None and found.loader is not None:
            return found
        wasm = super().find_spec(fullname, target)
        # A directory is no package because there is a WebAssembly file `__init__` in it.
        if wasm is None or wasm.origin is None or wasm.submodule_search_locations is not None:
            return found
        origin = os.path.abspath(wasm.origin)
        with open(origin, "rb") as file:
            return _spec(fullname, origin, file.read())

    def invalidate_caches(self) -> None:
        """Look at the directory again."""
        super().invalidate_caches()
        self._python.invalidate_caches()


class _AnyLoader(importlib.abc.Loader):
    """Stands for the loader of a file that nobody has looked into yet."""

    def __init__(self, fullname: str, path: str) -> None:
        pass


class _ZipFinder(zipimport.zipimporter):
    """Finds Python and WebAssembly files in a zip archive."""

    def find_spec(self, fullname: str, target: Optional[ModuleType] = None) -> Optional[ModuleSpec]:
        found = self._find_python(fullname, target)
        if found is not None and found.loader is not None:
            return found
        for suffix in _SUFFIXES:
            path = os.path.join(self.archive, self.prefix + fullname.rpartition(".")[2] + suffix)
            try:
                contents = self.get_data(path)
            except OSError:
                continue
            return _spec(fullname, os.path.abspath(path), contents)
        return found

    def _find_python(self, fullname: str, target: Optional[ModuleType]) -> Optional[ModuleSpec]:
        if sys.version_info >= (3, 10):
            return super().find_spec(fullname, target)
        else:
            loader, portions = self.find_loader(fullname)
            if loader is not None:
                return importlib.util.spec_from_loader(fullname, loader)
            if not portions:
                return None
            spec = ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = portions
            return spec


class _PackageFinder:
    """Finds the modules of a package that was written for a component."""

    def __init__(self, origin: str, entry: str) -> None:
        self.origin = origin
        self.entry = entry

    def find_spec(self, fullname: str, target: Optional[ModuleType] = None) -> Optional[ModuleSpec]:
        """The module, as the component's file has it now."""
        package = _packages[self.origin]
        found = package.find(self.entry, fullname.rpartition(".")[2])
        return None if found is None else _package_spec(fullname, package, *found)

    def invalidate_caches(self) -> None:
        """Nothing is cached here."""


def _path_hook(path: str) -> Any:
    """The finder for an entry of `sys.path`, or of a package's path."""
    for origin in list(_packages):
        if path == origin or path.startswith(origin + os.sep):
            return _PackageFinder(origin, path)
    python = _other_finder(path)
    if isinstance(python, zipimport.zipimporter):
        return _ZipFinder(path)
    if python is None or not os.path.isdir(path or os.curdir):
        raise ImportError("only directories and zip archives are supported", path=path)
    return _DirectoryFinder(path, python)


def _other_finder(path: str) -> Any:
    """The finder that there would be without this module."""
    for hook in sys.path_hooks:
        if hook is not _path_hook:
            try:
                return hook(path)
            except ImportError:
                continue
    return None


def _spec(fullname: str, origin: str, contents: bytes) -> ModuleSpec:
    from .bindgen import generate
    from .bindgen._binary import is_component

    try:
        binary = to_wasm(contents)
        if not is_component(binary):
            spec = importlib.util.spec_from_file_location(
                fullname, origin, loader=_CoreLoader(binary)
            )
            assert spec is not None
            return spec
        package = _Package(origin, generate("root", binary))
    except (WasmtimeError, ValueError) as error:
        raise ImportError(
            f"cannot import {fullname!r} from {origin}: {error}", name=fullname, path=origin
        ) from error
    _packages[origin] = package
    return _package_spec(fullname, package, "__init__.py", True)


def _package_spec(fullname: str, package: _Package, file: str, is_package: bool) -> ModuleSpec:
    path = package.path(file)
    spec = importlib.util.spec_from_file_location(
        fullname,
        path,
        loader=_PackageLoader(package, file),
        submodule_search_locations=[os.path.dirname(path)] if is_package else None,
    )
    assert spec is not None
    return spec


store = Store()
store.set_wasi(_no_wasi())
linker = _new_linker(store)
# Before the hook for directories, which it asks first; entries that were looked into already are
# looked into again.
sys.path_hooks.insert(0, _path_hook)
sys.path_importer_cache.clear()
