"""Functions of the host that a guest may call.

A function is called with values of Python, whatever the guest passes: numbers, and text, bytes or
JSON where its annotations say so (`abi.values`). What it raises ends the guest, and is not shown to
it; it is kept as the cause of the `SandboxError`. A `GuestError` is what it may be told.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, Callable

from .source import refusal

if TYPE_CHECKING:
    from .. import Linker, Module
    from ..component import Component
    from ..component import Linker as ComponentLinker

__all__ = ["HostFunctions"]


class HostFunctions(Mapping[str, Any]):
    """The functions of a `functions` argument, by name.

    Attributes:
        linked: What was linked with them, by code and configuration; it is not pickled.
    """

    def __init__(self, functions: Mapping[str, Any] = {}) -> None:
        for name in functions:
            if not isinstance(name, str):
                raise TypeError(f"functions must have text as names, not {name!r}")
        self._functions = dict(functions)
        self.linked: dict[Any, Any] = {}

    def __getitem__(self, name: str) -> Any:
        return self._functions[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._functions)

    def __len__(self) -> int:
        return len(self._functions)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._functions,)

    def flat(self) -> dict[str, Callable[..., Any]]:
        """The functions of a core module or interpreter: ``{"env": {"f": f}}`` is ``env#f``.

        Raises:
            TypeError: Something is not callable.
        """
        found = {}
        for name, value in self._functions.items():
            if isinstance(value, Mapping):
                found.update({f"{name}#{inner}": each for inner, each in value.items()})
            else:
                found[name] = value
        for name, value in found.items():
            if not callable(value):
                raise TypeError(f"the function {name!r} must be callable, not {value!r}")
        return found

    def are_awaited(self) -> bool:
        """Whether all of them are ``async def``: none can block an event loop."""
        return all(is_async(function) for function in self.flat().values())


def is_async(function: Callable[..., Any]) -> bool:
    """Whether a function has to be awaited."""
    return iscoroutinefunction(function) or iscoroutinefunction(type(function).__call__)


def guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that notes on the run what it raises.

    It is called with the run first, which waits for what an ``async def`` returns. What ends the
    guest for another reason passes: what this function called of the guest may have come to its
    time limit.
    """
    from .. import GuestExit

    waits = is_async(function)

    @functools.wraps(function)
    def call(run: Any, *args: Any) -> Any:
        run.has_asked = True
        try:
            returned = function(*args)
            if not waits:
                return returned
            return _awaited(run, returned) if run.is_awaited else run.wait_for(returned)
        except GuestExit:
            raise
        except Exception as error:
            run.host_error = error
            raise

    return call


async def _awaited(run: Any, awaitable: Any) -> Any:
    """What an awaitable of the host gives, in the event loop that runs the guest itself."""
    from .. import GuestExit

    try:
        return await awaitable
    except GuestExit:
        raise
    except Exception as error:
        run.host_error = error
        raise


def define_core(linker: Linker, module: Module, functions: HostFunctions) -> None:
    """Define the functions that a core module imports.

    Raises:
        SandboxError: It imports none of a name, or one cannot be called as it imports it.
    """
    from .. import FuncType
    from .abi.host import host_function

    imports = {
        (each.module, each.name or ""): each.type
        for each in module.imports
        if isinstance(each.type, FuncType)
    }
    for name, function in functions.flat().items():
        found = [key for key in imports if name in (key[1], f"{key[0]}#{key[1]}")]
        if not found:
            raise refusal("ImportError", _no_import(name, [f"{m}#{n}" for m, n in imports]))
        for key in found:
            ty = imports[key]
            linker.define_func(*key, ty, host_function(function, ty, name), access_caller=True)


def define_component(
    linker: ComponentLinker, component: Component, functions: HostFunctions
) -> None:
    """Define what a component imports.

    Raises:
        SandboxError: It imports nothing of a name, or an implementation lacks something.
    """
    from .. import WasmtimeError
    from .abi.components import implementations

    try:
        linker.define_imports(component, implementations(component, functions))
    except (KeyError, WasmtimeError) as error:
        text = error.args[0] if isinstance(error, KeyError) else str(error)
        raise refusal("ImportError", text) from error


def _no_import(name: str, known: list[str]) -> str:
    names = ", ".join(map(repr, known[:20])) or "no functions at all"
    return f"there is no import {name!r} for a function of the host: the guest imports {names}"
