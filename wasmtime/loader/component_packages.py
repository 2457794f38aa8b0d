"""The packages that are written for components when they are imported, from no files of their own.

The component's file takes the place of the package's directory: the path of a module is the path
of that file with the module's name behind it.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import io
import os
from collections.abc import Iterable
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType
from typing import Any, Optional, Union

from ..bindgen import generate
from .settings import cache_option

__all__ = ["PackageFinder", "component_of", "component_spec"]


class _Package:
    """The package that was written for a component; its files exist here only.

    Args:
        origin: The component's file.
        files: The contents of the package's files, by their paths with slashes.
    """

    def __init__(self, origin: str, files: dict[str, bytes]) -> None:
        self.origin = origin
        self.files = files

    def path(self, name: str) -> str:
        """The path that Python is told for a file of the package."""
        return os.path.join(self.origin, *name.split("/"))

    def name(self, path: str) -> Optional[str]:
        """The file that a path leads to; None if it leads to none of the package."""
        relative = self._relative(path)
        return relative if relative in self.files else None

    def _relative(self, path: str) -> str:
        return os.path.relpath(path, self.origin).replace(os.sep, "/")

    def find(self, entry: str, name: str) -> Optional[tuple[str, bool]]:
        """The file of a module, and whether the module is a package.

        Args:
            entry: The entry of a package's path in which the module is looked for.
            name: The module's name in it.
        """
        relative = self._relative(entry)
        stem = name if relative == "." else f"{relative}/{name}"
        for file, package in ((f"{stem}.py", False), (f"{stem}/__init__.py", True)):
            if file in self.files:
                return file, package
        return None


#: The packages so far, by the files of their components.
_packages: dict[str, _Package] = {}


def component_spec(fullname: str, origin: str, binary: bytes) -> ModuleSpec:
    """Write the package for a component.

    Args:
        fullname: The name of the package.
        origin: The component's file.
        binary: The component.

    Returns:
        The spec of the package's ``__init__``.

    Raises:
        ValueError: The component uses what bindings cannot express.
    """
    package = _packages[origin] = _Package(origin, generate("root", binary))
    return _spec(fullname, package, "__init__.py", True)


def component_of(path: str) -> Optional[str]:
    """The component whose package an entry of a path is in, by its file; None if there is none."""
    for origin in list(_packages):
        if path == origin or path.startswith(origin + os.sep):
            return origin
    return None


class _PackageLoader(importlib.abc.SourceLoader):
    """Loads a module of such a package.

    Args:
        package: The package.
        file: The module's file in it.
    """

    def __init__(self, package: _Package, file: str) -> None:
        self.package = package
        self.file = file

    def get_filename(self, fullname: str) -> str:
        """The path of the module, which exists here only."""
        return self.package.path(self.file)

    def get_data(self, path: Union[str, bytes]) -> bytes:
        """The contents of a file of the package.

        Raises:
            FileNotFoundError: There is no such file.
        """
        name = self.package.name(os.fsdecode(path))
        if name is None:
            raise FileNotFoundError(f"{path!r} is not a part of the package")
        return self.package.files[name]

    def source_to_code(  # type: ignore[override]
        self, data: Any, path: Any = "<string>"
    ) -> CodeType:
        """Compile the source of the module."""
        return compile(data, path, "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        """Execute the module; the one that has the component learns where to keep its code."""
        super().exec_module(module)
        if self.file == "_component.py":
            vars(module)["COMPONENT"].cache = cache_option()

    def get_resource_reader(self, fullname: str) -> Any:
        """The files of the module's directory, for `importlib.resources`."""
        return _Resources(self.package, os.path.dirname(self.file))


class _Resources:
    """The files of one directory of a package, for `importlib.resources`."""

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


class PackageFinder:
    """Finds the modules of a package that was written for a component.

    Args:
        origin: The component's file.
        entry: The entry of the package's path that the finder is for.
    """

    def __init__(self, origin: str, entry: str) -> None:
        """Make a finder for one directory of a package."""
        self.origin = origin
        self.entry = entry

    def find_spec(self, fullname: str, target: Optional[ModuleType] = None) -> Optional[ModuleSpec]:
        """The module, as the component's file has it now."""
        package = _packages[self.origin]
        found = package.find(self.entry, fullname.rpartition(".")[2])
        return None if found is None else _spec(fullname, package, *found)

    def invalidate_caches(self) -> None:
        """Nothing is cached here."""


def _spec(fullname: str, package: _Package, file: str, is_package: bool) -> ModuleSpec:
    path = package.path(file)
    spec = importlib.util.spec_from_file_location(
        fullname,
        path,
        loader=_PackageLoader(package, file),
        submodule_search_locations=[os.path.dirname(path)] if is_package else None,
    )
    assert spec is not None
    return spec
