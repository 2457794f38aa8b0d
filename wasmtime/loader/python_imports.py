"""What a WebAssembly file may import from Python.

Whoever made the file chose the names of its imports, and could have chosen `builtins.eval`. So
these names reach only the modules beside the file, those in its package, and those that the program
has named; and in each of them only what it offers.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Iterable, Mapping
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Optional, Union

from .._func import BoundFunc, Func

__all__ = [
    "NamedModules",
    "PythonModule",
    "Refused",
    "find_attribute",
    "find_module",
    "named_modules",
]

#: How a program names a module for WebAssembly files: by its name, or as itself.
PythonModule = Union[str, ModuleType]

#: The modules that a program has named; None for one that is imported when it is wanted.
NamedModules = Mapping[str, Optional[ModuleType]]


class Refused(ImportError):
    """An import that is not allowed. Its message continues a sentence: "the module ..., which"."""


def named_modules(modules: Iterable[PythonModule]) -> dict[str, Optional[ModuleType]]:
    """The modules that a program names, by their names.

    Args:
        modules: Names, or modules.

    Raises:
        TypeError: It is a single name, or one of them is neither a str nor a module.
        ValueError: A name is not the absolute name of a module.
    """
    if isinstance(modules, (str, ModuleType)):
        raise TypeError(
            f"python_modules must be an iterable of names and modules, not a single "
            f"{type(modules).__name__}: write [{modules!r}]"
        )
    named: dict[str, Optional[ModuleType]] = {}
    for module in modules:
        if isinstance(module, ModuleType):
            named[module.__name__] = module
        elif not isinstance(module, str):
            raise TypeError(
                f"python_modules must hold names and modules, not {type(module).__name__}"
            )
        elif module.startswith(".") or not _is_name(module):
            raise ValueError(f"python_modules holds {module!r}, which is no module's absolute name")
        else:
            named[module] = None
    return named


def find_module(importer: ModuleSpec, source: str, named: NamedModules) -> ModuleType:
    """Import a module for a WebAssembly file, if the file may import it.

    Nothing is executed for a module that it may not import.

    Args:
        importer: The module that imports it.
        source: The name of the module, relative to the file's package if a dot is in front.
        named: What the program has named.

    Raises:
        Refused: The name is no name of a module, or the file may not import that one.
        ImportError: There is none.
        Exception: What the module raises when it is executed.
    """
    if not _is_name(source[1:] if source.startswith(".") else source):
        raise Refused("which is not the name of a module")
    absolute = source
    if source.startswith("."):
        if not importer.parent:
            raise Refused("which is relative, but the file belongs to no package")
        absolute = importer.parent + source
    if absolute in named:
        module = named[absolute]
        return importlib.import_module(absolute) if module is None else module
    _check_neighbour(importer, absolute)
    return importlib.import_module(absolute)


def find_attribute(module: ModuleType, name: str) -> Any:
    """What a Python module offers by a name.

    It offers what its ``__all__`` lists or, if it has none, what is defined in it. It does not
    offer what it has imported for its own use.

    Args:
        module: The module.
        name: The name.

    Raises:
        AttributeError: There is nothing by that name.
        Refused: There is, but the module does not offer it.
    """
    public = vars(module).get("__all__")
    if public is not None:
        if name in public:
            return getattr(module, name)
        if name in vars(module):
            raise Refused("which does not list it in its __all__")
    # Not getattr(): none of the module's code runs for a name that others chose.
    try:
        found = vars(module)[name]
    except KeyError:
        raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}") from None
    if _is_pythons(name):
        raise Refused("where that name is Python's own")
    # A function of WebAssembly names no module; somebody has put it here on purpose.
    own = isinstance(found, (Func, BoundFunc)) or (
        getattr(found, "__module__", None) == vars(module).get("__name__")
    )
    if callable(found) and not own:
        raise Refused("which has it from elsewhere: to offer it, list it in the module's __all__")
    return found


def _is_name(name: str) -> bool:
    """Whether a text is the name of a module, and not a path on any system."""
    return all(
        part and part == part.strip() and part.isprintable() and not set(part) & set("/\\:")
        for part in name.split(".")
    )


def _is_pythons(name: str) -> bool:
    """Whether a name is of the form that Python keeps for itself: ``__name__``."""
    return name.startswith("__") and name.endswith("__")


def _check_neighbour(importer: ModuleSpec, absolute: str) -> None:
    """Refuse a module that lies neither beside a file nor in its package.

    Args:
        importer: The file's module.
        absolute: The name of the other one.

    Raises:
        Refused: It lies elsewhere.
        ModuleNotFoundError: It does not exist.
    """
    if any(map(_is_pythons, absolute.split("."))):
        raise _not_allowed(absolute)  # `__main__` may be a file beside it
    package = importer.parent or ""
    directory = _real(os.path.dirname(importer.origin or ""))
    if package and absolute.startswith(f"{package}."):
        names = absolute[len(package) + 1 :].split(".")
        steps = [".".join([package, *names[: count + 1]]) for count in range(len(names))]
    elif absolute == package or "." not in absolute:
        steps = [absolute]
    else:
        raise _not_allowed(absolute)
    for step in steps:
        try:
            spec = importlib.util.find_spec(step)
        except ValueError:  # such a module exists, but not from a file
            raise _not_allowed(absolute) from None
        if spec is None:
            raise ModuleNotFoundError(f"No module named {step!r}", name=step)
        if directory not in _places(spec):
            raise _not_allowed(absolute)
        if step != absolute:
            importlib.import_module(step)
            directory = os.path.join(directory, os.path.normcase(step.rpartition(".")[2]))


def _places(spec: ModuleSpec) -> set[str]:
    """The directories that a module lies in."""
    paths = list(spec.submodule_search_locations or ())
    if spec.has_location and spec.origin:
        paths.append(spec.origin)
    return {_real(os.path.dirname(path)) for path in paths}


def _real(directory: str) -> str:
    return os.path.normcase(os.path.realpath(directory))


def _not_allowed(absolute: str) -> Refused:
    return Refused(
        "which lies neither beside the file nor in its package; if the file may use it, say so "
        f"before: wasmtime.loader.configure(python_modules=[{absolute!r}])"
    )
