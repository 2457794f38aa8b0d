"""Core modules as Python modules: their imports are found, their exports become attributes."""

from __future__ import annotations

import importlib.abc
import weakref
from importlib.machinery import ModuleSpec
from inspect import Parameter, Signature
from keyword import iskeyword
from types import ModuleType
from typing import Any, Callable, NamedTuple, Optional

from .._annotations import PYTHON_TYPES
from .._error import ExitTrap, WasmtimeError
from .._func import BoundFunc, Func
from .._instance import Instance
from .._module import Module
from .._store import Store
from .._trap import Trap
from .._types import FuncType
from .._wasm.module import parameter_names
from .python_imports import Refused, find_attribute, find_module
from .settings import Settings, current
from .store_lock import lock_of

__all__ = ["CoreModuleLoader"]

#: How long an import waits for its turn at the store, in seconds. Not for ever, as a call does:
#: the thread that has it may wait for this import.
_PATIENCE = 60.0


class _Loaded(NamedTuple):
    """A core module that was imported.

    Attributes:
        store: The store that its instance lives in.
        exports: What it exports, by name.
        attributes: The attributes that the Python module got.
    """

    store: Store
    exports: dict[str, Any]
    attributes: dict[str, Any]


_loaded: weakref.WeakKeyDictionary[ModuleType, _Loaded] = weakref.WeakKeyDictionary()


class CoreModuleLoader(importlib.abc.Loader):
    """Loads a core module.

    Args:
        binary: The module.
    """

    def __init__(self, binary: bytes) -> None:
        """Keep a binary until it is executed."""
        self.binary = binary

    def create_module(self, spec: ModuleSpec) -> None:
        """Leave it to Python to make the module."""

    def get_code(self, fullname: str) -> None:
        """Refuse to run as a program: `runpy` and ``python -m`` ask for Python code.

        Raises:
            ImportError: Always.
        """
        raise ImportError(
            f"{fullname!r} is WebAssembly, which has no Python code to run: import it, or run the "
            "file with 'python -m wasmtime run'",
            name=fullname,
        )

    def exec_module(self, module: ModuleType) -> None:
        """Instantiate the core module, and make its exports attributes.

        Raises:
            ImportError: Something went wrong, which is the error's cause.
        """
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
        settings = current()
        store, turn = settings.store, lock_of(settings.store)
        compiled = Module(store.engine, self.binary, cache=settings.cache)
        with turn.hold(_PATIENCE):
            imports: list[Any] = [
                settings.linker._lookup(store, entry.module.encode(), (entry.name or "").encode())
                for entry in compiled.imports
            ]
        # Not in our turn at the store: a module that is imported here may wait for others.
        for index, entry in enumerate(compiled.imports):
            if imports[index] is None:
                imports[index] = _find_import(entry, spec, settings)
        with turn.hold(_PATIENCE):
            for index, entry in enumerate(compiled.imports):
                if isinstance(entry.type, FuncType) and not isinstance(imports[index], Func):
                    imports[index] = Func(store, entry.type, imports[index])
            instance = Instance(store, compiled, imports)
            by_index = instance.exports(store).by_index
            exports = {
                export.name or "": by_index[index] for index, export in enumerate(compiled.exports)
            }
        names = parameter_names(self.binary)
        # By the types of the module: asking a function for its own would take a turn at the store.
        signatures = {
            export.name or "": _signature(export.type, names.get(export.name or "", {}))
            for export in compiled.exports
            if isinstance(export.type, FuncType)
        }
        _show(module, exports, store, signatures)


# --- exports -------------------------------------------------------------------------------------


def _show(
    module: ModuleType, exports: dict[str, Any], store: Store, signatures: dict[str, Signature]
) -> None:
    """Make the exports attributes of a module, in place of those that it had before a reload.

    Names with two underscores on both sides belong to Python: an export by such a name would
    become a hook of the module, so only WebAssembly sees it.
    """
    attributes = {
        name: _function(module, name, item, store, signatures[name])
        if isinstance(item, Func)
        else item
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
    _loaded[module] = _Loaded(store, exports, attributes)


def _function(
    module: ModuleType, name: str, func: Func, store: Store, signature: Optional[Signature] = None
) -> Callable[..., Any]:
    """A Python function that calls an exported one when its turn at the store has come.

    Args:
        module: The module that it becomes an attribute of.
        name: The name of the export.
        func: The exported function.
        store: The store that it lives in.
        signature: What `inspect.signature` tells of it.
    """
    turn = lock_of(store)
    with turn.hold(_PATIENCE):  # binding compiles the signature, in the store
        bound = func.bind(store)
    call = turn.wrap(bound)
    call.__name__ = call.__qualname__ = name
    call.__module__ = module.__name__
    call.__doc__ = f"The function {name!r} of a WebAssembly module."
    if signature is not None:
        call.__signature__ = signature  # type: ignore[attr-defined]
    return call


def _signature(ty: FuncType, names: dict[int, str]) -> Signature:
    """What `inspect.signature` tells of a function.

    Args:
        ty: Its type.
        names: Those of its parameters that are known, by position.
    """
    parameters: list[Parameter] = []
    taken: set[str] = set()
    for position, param in enumerate(ty.params):
        name = names.get(position, "")
        if not name.isidentifier() or iskeyword(name) or name in taken:
            name = f"p{position}"
        while name in taken:
            name += "_"
        taken.add(name)
        hint = PYTHON_TYPES.get(param, Any)
        parameters.append(Parameter(name, Parameter.POSITIONAL_ONLY, annotation=hint))
    results = [PYTHON_TYPES.get(result, Any) for result in ty.results]
    returned: Any = None if not results else results[0] if len(results) == 1 else list
    return Signature(parameters, return_annotation=returned)


# --- imports -------------------------------------------------------------------------------------


def _find_import(entry: Any, spec: ModuleSpec, settings: Settings) -> Any:
    """What a module of Python or WebAssembly provides for an import.

    Args:
        entry: The import.
        spec: The module that imports it.
        settings: The settings for that module.

    Raises:
        ImportError: There is nothing by that name, or nothing that may be used.
    """
    source, name = entry.module, entry.name or ""
    what = f"{spec.name!r} ({spec.origin}) imports {name!r} from the module {source!r}"

    def failure(reason: str) -> ImportError:
        return ImportError(f"{what}, {reason}", name=spec.name, path=spec.origin)

    if source in settings.predefined:
        raise failure("which is WASI's and has no such function")
    try:
        found = _find_item(find_module(spec, source, settings.named), source, name, settings.store)
    except Refused as error:
        raise failure(str(error)) from None
    except (ImportError, TypeError, ValueError) as error:
        raise failure(f"which cannot be imported: {error}") from error
    except AttributeError as error:
        raise failure("which has no such attribute") from error
    if isinstance(found, BoundFunc) and found.store is settings.store:
        return found.func  # WebAssembly calls WebAssembly, without Python between them
    if isinstance(entry.type, FuncType) and not callable(found):
        raise failure(f"where it is of type {type(found).__name__}")
    return found


def _find_item(imported: ModuleType, source: str, name: str, store: Store) -> Any:
    """What a module has by a name: an export of a core module, or an attribute of any other.

    Args:
        imported: The module.
        source: What the importing module calls it.
        name: The name.
        store: The store of the importing module.

    Raises:
        AttributeError: There is nothing by that name.
        Refused: There is, but the module does not offer it.
    """
    loaded = _loaded.get(imported) if isinstance(imported, ModuleType) else None
    if loaded is None:
        return find_attribute(imported, name)
    if name not in loaded.exports:
        raise AttributeError(f"module {source!r} has no export {name!r}")
    found = loaded.exports[name]
    if isinstance(found, Func) and loaded.store is not store:
        return _function(imported, name, found, loaded.store)
    return found
