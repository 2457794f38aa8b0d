"""
`import` for WebAssembly.

After ``import wasmtime.loader``, ``import name`` finds ``name.wasm`` or ``name.wat`` where it would
find ``name.py`` (which comes first), in directories and zip archives, at the top level and inside
of packages.

A core module is instantiated; its functions become functions of the Python module, without the
store as an argument, and its memories, tables and globals attributes. What it imports is looked for
in this order: WASI; what `linker` defines; an ``import`` of the Python or WebAssembly module of
that name, relative to the package if the name begins with a dot.

A component becomes the package that `wasmtime.bindgen` writes for it: instances are made of its
class ``Root``, in any store.

Everything that goes wrong is an ImportError, with the reason as its cause.

    import wasmtime.loader
    import adder  # adder.wat or adder.wasm

    assert adder.add(1, 2) == 3

Attributes:
    store: The store in which core modules live.
    linker: The linker of core modules. Define in it what they import and no module provides.
    engine: The store's engine.
    predefined_modules: Names of modules that are WASI.

`configure` changes them, for modules that are imported afterwards.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.util
import io
import os
import pkgutil
import sys
import zipimport
from collections.abc import Iterable, Iterator, Sequence
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any, Optional, Union

from ._cache import CacheOption
from ._engine import Engine
from ._error import ExitTrap, WasmtimeError
from ._func import BoundFunc, Func
from ._linker import Linker
from ._store import Store
from ._trap import Trap
from ._types import FuncType
from ._wat2wasm import to_wasm

if TYPE_CHECKING:
    from ._wasi import WasiConfig

    engine: Engine

__all__ = ["configure", "engine", "linker", "predefined_modules", "store"]

#: Names of modules that are WASI, and never imported.
predefined_modules: list[str] = ["wasi_snapshot_preview1", "wasi_unstable"]
store: Store
linker: Linker

_cache: Optional[CacheOption] = None
#: What modules that were imported have defined in the linker.
_imported: set[tuple[str, str]] = set()

_SUFFIXES = (".wasm", ".wat")
#: Attributes of a module that an export never takes the place of.
_RESERVED = frozenset([*dir(ModuleType("")), "__file__", "__path__", "__cached__", "__builtins__"])


def configure(
    *,
    engine: Optional[Engine] = None,
    store: Optional[Store] = None,
    wasi: Optional[WasiConfig] = None,
    cache: Optional[CacheOption] = None,
) -> None:
    """
    Choose where modules that are imported from now on live, and what they may do.

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

    Raises:
        ValueError: `engine` and `store` are both given and do not belong together.
        TypeError: An argument is of a wrong type.
    """
    global _cache
    if store is not None and not isinstance(store, Store):
        raise TypeError(f"store must be a Store, not {type(store).__name__}")
    if engine is not None and store is not None and store.engine is not engine:
        raise ValueError("store belongs to another engine than `engine`: leave one of them out")
    if store is None and engine is not None:
        store = Store(engine)
        if wasi is None:
            wasi = _no_wasi()
    this: Any = sys.modules[__name__]
    if wasi is not None:
        (store or this.store).set_wasi(wasi)
    if store is not None:
        this.store = store
        this.linker = _new_linker(store)
        _imported.clear()
    if cache is not None:
        _cache = cache


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
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


# --- reading -------------------------------------------------------------------------------------


def _cache_option() -> CacheOption:
    """
    Where compiled code is kept.
    """
    if _cache is not None:
        return _cache
    if sys.dont_write_bytecode:
        return False
    from ._cache import open_cache

    return open_cache(True).is_usable()


class _Source:
    """
    Where files are: a directory, or a directory in a zip archive.
    """

    def __init__(self, entry: str) -> None:
        self.entry = entry or os.getcwd()
        self.archive: Optional[zipimport.zipimporter] = None
        if not os.path.isdir(self.entry):
            importer = pkgutil.get_importer(self.entry)
            if isinstance(importer, zipimport.zipimporter):
                self.archive = importer

    def read(self, name: str) -> Optional[bytes]:
        """
        The contents of a file, None if there is none.
        """
        path = os.path.join(self.entry, name)
        try:
            if self.archive is not None:
                return self.archive.get_data(path)
            if not os.path.isfile(path):
                return None
            with open(path, "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None
        except OSError:
            if self.archive is not None:
                return None
            raise

    def find(self, name: str) -> Optional[tuple[str, bytes]]:
        """
        The path and contents of the WebAssembly file for a module's name.
        """
        if self.archive is None and not os.path.isdir(self.entry):
            return None
        for suffix in _SUFFIXES:
            contents = self.read(name + suffix)
            if contents is not None:
                path = os.path.join(self.entry, name + suffix)
                return os.path.abspath(path), contents
        return None


# --- core modules --------------------------------------------------------------------------------


class _CoreLoader(importlib.abc.Loader):
    """
    Loads a core module.
    """

    def __init__(self, binary: bytes) -> None:
        self.binary = binary

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def get_code(self, fullname: str) -> None:
        """
        Always refused: for `runpy` and ``python -m``, which run Python code.
        """
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

        compiled = compile_module(store.engine, self.binary, _cache_option())
        for entry in compiled.imports:
            if entry.module not in predefined_modules:
                self._define(entry, spec)
        instance = linker.instantiate(store, compiled)
        exports = instance.exports(store)
        names = []
        for index, export in enumerate(compiled.exports):
            name = export.name or ""
            if name in _RESERVED:
                continue
            item: Any = exports.by_index[index]
            if isinstance(item, Func):
                item = item.bind(store)
            setattr(module, name, item)
            names.append(name)
        if "__all__" not in names:
            module.__all__ = names  # type: ignore[attr-defined]

    def _define(self, entry: Any, spec: ModuleSpec) -> None:
        """
        Define one import in the linker.
        """
        source, name = entry.module, entry.name or ""
        if (source, name) not in _imported:
            try:
                linker.get(store, source, name)
            except (WasmtimeError, KeyError):
                pass
            else:
                return
        try:
            imported = importlib.import_module(source, spec.parent if source[:1] == "." else None)
        except (ImportError, TypeError, ValueError) as error:
            raise ImportError(
                f"{spec.name!r} ({spec.origin}) imports {name!r} from the module {source!r}, which "
                f"cannot be imported: {error}",
                name=spec.name,
                path=spec.origin,
            ) from error
        try:
            found = getattr(imported, name)
        except AttributeError as error:
            raise ImportError(
                f"{spec.name!r} ({spec.origin}) imports {name!r} from the module {source!r}, which "
                "has no such attribute",
                name=spec.name,
                path=spec.origin,
            ) from error
        item: Any = found
        if isinstance(found, BoundFunc) and found.store is store:
            item = found.func  # WebAssembly calls WebAssembly, without Python between them
        if isinstance(entry.type, FuncType) and not isinstance(item, Func):
            if not callable(item):
                raise ImportError(
                    f"{spec.name!r} ({spec.origin}) imports the function {name!r} from the module "
                    f"{source!r}, where it is of type {type(item).__name__}",
                    name=spec.name,
                    path=spec.origin,
                )
            item = Func(store, entry.type, item)
        linker.define(store, source, name, item)
        _imported.add((source, name))


# --- components ----------------------------------------------------------------------------------


class _Package:
    """
    The package that was written for a component; its files exist here only.
    """

    def __init__(self, origin: str, files: dict[str, bytes]) -> None:
        self.origin = origin
        self.files = files

    def path(self, name: str) -> str:
        return os.path.join(self.origin, *name.split("/"))

    def name(self, path: str) -> Optional[str]:
        """
        The file that a path means, None if it is none of the package's.
        """
        relative = os.path.relpath(path, self.origin).replace(os.sep, "/")
        return relative if relative in self.files else None

    def find(self, entry: str, name: str) -> Optional[tuple[str, bool]]:
        """
        The file for a module of a name, and whether it is a package.
        """
        relative = os.path.relpath(entry, self.origin).replace(os.sep, "/")
        stem = name if relative == "." else f"{relative}/{name}"
        for file, package in ((f"{stem}.py", False), (f"{stem}/__init__.py", True)):
            if file in self.files:
                return file, package
        return None


_packages: dict[str, _Package] = {}


class _PackageLoader(importlib.abc.SourceLoader):
    """
    Loads the modules of such a package.
    """

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
    """
    The files of a package, for `importlib.resources`.
    """

    def __init__(self, package: _Package, directory: str) -> None:
        self.package = package
        self.prefix = f"{directory}/" if directory else ""

    def contents(self) -> Iterable[str]:
        """
        The names of the files.
        """
        prefix = self.prefix
        names = (name[len(prefix) :] for name in self.package.files if name.startswith(prefix))
        return [name for name in names if "/" not in name]

    def is_resource(self, path: str) -> bool:
        """
        Whether there is a file of that name.
        """
        return self.prefix + path in self.package.files

    def open_resource(self, resource: str) -> io.BytesIO:
        """
        The contents of a file, for reading.
        """
        try:
            return io.BytesIO(self.package.files[self.prefix + resource])
        except KeyError:
            raise FileNotFoundError(resource) from None

    def resource_path(self, resource: str) -> str:
        """
        Always refused: the files have no paths.
        """
        raise FileNotFoundError(resource)


# --- finding -------------------------------------------------------------------------------------


class _Finder(importlib.abc.MetaPathFinder):
    """
    Finds WebAssembly files.
    """

    def find_spec(
        self,
        fullname: str,
        path: Optional[Sequence[str]],
        target: Optional[ModuleType] = None,
    ) -> Optional[ModuleSpec]:
        name = fullname.rpartition(".")[2]
        for entry in _entries(path):
            for origin, package in _packages.items():
                if entry == origin or entry.startswith(origin + os.sep):
                    found = package.find(entry, name)
                    return None if found is None else _package_spec(fullname, package, *found)
            wasm = _Source(entry).find(name)
            if wasm is not None:
                return _spec(fullname, *wasm)
        return None

    def invalidate_caches(self) -> None:
        """
        Nothing is cached here.
        """


def _entries(path: Optional[Sequence[str]]) -> Iterator[str]:
    for entry in sys.path if path is None else path:
        if isinstance(entry, (str, os.PathLike)):
            yield os.fspath(entry)


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
sys.meta_path.append(_Finder())
