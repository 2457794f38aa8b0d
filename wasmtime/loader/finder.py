"""Finding WebAssembly files where Python would find its own, in directories and zip archives."""

from __future__ import annotations

import importlib.abc
import importlib.util
import os
import sys
import zipimport
from importlib.machinery import FileFinder, ModuleSpec
from types import ModuleType
from typing import Any, Optional

from .._error import WasmtimeError
from .._wasm.reader import kind_of
from .._wat2wasm import telling_file, to_wasm
from .component_packages import PackageFinder, component_of, component_spec
from .core_modules import CoreModuleLoader

__all__ = ["install"]

_SUFFIXES = (".wasm", ".wat")


class _DirectoryFinder(FileFinder):
    """Finds what Python's finder finds in a directory, and then WebAssembly files.

    Both know the directory's entries, and treat upper and lower case as Python does there.

    Args:
        path: The directory.
        python: Python's finder for it.
    """

    def __init__(self, path: str, python: Any) -> None:
        """Look for WebAssembly files beside what another finder looks for."""
        super().__init__(path, (_AnyLoader, list(_SUFFIXES)))
        self._python = python

    def find_spec(self, fullname: str, target: Optional[ModuleType] = None) -> Optional[ModuleSpec]:
        """Find a module; a directory without ``__init__.py`` comes last."""
        found: Optional[ModuleSpec] = self._python.find_spec(fullname, target)
        if found is not None and found.loader is not None:
            return found
        wasm = super().find_spec(fullname, target)
        # A WebAssembly file `__init__` does not make its directory a package.
        if wasm is None or wasm.origin is None or wasm.submodule_search_locations is not None:
            return found
        origin = os.path.abspath(wasm.origin)
        with open(origin, "rb") as file:
            return _spec(fullname, origin, file.read())

    def invalidate_caches(self) -> None:
        """Look into the directory again."""
        super().invalidate_caches()
        self._python.invalidate_caches()


class _AnyLoader(importlib.abc.Loader):
    """The loader of a file until somebody looks into the file."""

    def __init__(self, fullname: str, path: str) -> None:
        """Take what finders pass to loaders, and keep nothing of it."""


class _ZipFinder(zipimport.zipimporter):
    """Finds Python and WebAssembly files in a zip archive."""

    def find_spec(self, fullname: str, target: Optional[ModuleType] = None) -> Optional[ModuleSpec]:
        """Find a module; a directory without ``__init__.py`` comes last."""
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


def _path_hook(path: str) -> Any:
    """The finder for an entry of `sys.path`, or of a package's path."""
    component = component_of(path)
    if component is not None:
        return PackageFinder(component, path)
    python = _other_finder(path)
    if isinstance(python, zipimport.zipimporter):
        return _ZipFinder(path)
    if python is None or not os.path.isdir(path or os.curdir):
        raise ImportError("only directories and zip archives are supported", path=path)
    return _DirectoryFinder(path, python)


def _other_finder(path: str) -> Any:
    """The finder that there would be without this package."""
    for hook in sys.path_hooks:
        if hook is not _path_hook:
            try:
                return hook(path)
            except ImportError:
                continue
    return None


def _spec(fullname: str, origin: str, contents: bytes) -> ModuleSpec:
    """The spec of a module that is a WebAssembly file.

    Args:
        fullname: The name of the module.
        origin: The file.
        contents: What is in it.

    Raises:
        ImportError: The contents are not WebAssembly, or bindings cannot express it.
    """
    try:
        with telling_file(origin):
            binary = to_wasm(contents)
        if kind_of(binary) == "component":
            return component_spec(fullname, origin, binary)
    except (WasmtimeError, ValueError) as error:
        raise ImportError(
            f"cannot import {fullname!r} from {origin}: {error}", name=fullname, path=origin
        ) from error
    loader = CoreModuleLoader(binary)
    spec = importlib.util.spec_from_file_location(fullname, origin, loader=loader)
    assert spec is not None
    return spec


def install() -> None:
    """Make Python find WebAssembly files."""
    # Before the hook for directories, which it asks first.
    sys.path_hooks.insert(0, _path_hook)
    # Entries that Python has looked into already are looked into again.
    sys.path_importer_cache.clear()
