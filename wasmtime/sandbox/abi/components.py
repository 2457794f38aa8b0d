"""Functions, objects and classes of the host as a component calls them, guarded.

A guard notes on the run what a function raises, and turns a `GuestError` into the error of a result
whose error is a string.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Callable

from ...component import ComponentInstanceType, Err, FuncType, ResultType, String, needs_store
from ..errors import GuestError
from ..functions import guarded, is_async

if TYPE_CHECKING:
    from ...component import Component

__all__ = ["implementations"]


def implementations(component: Component, functions: Mapping[str, Any]) -> dict[str, Any]:
    """What `component.Linker.define_imports` takes, for functions of the host."""
    types = _function_types(component)
    return {name: _guard(value, name, types) for name, value in functions.items()}


def _function_types(component: Component) -> dict[str, FuncType]:
    """The types of the functions that a component imports, by their own names in snake_case.

    They tell whether a function has an error to report; two of one name are told apart nowhere, and
    report none unless both have one.
    """
    found: dict[str, FuncType] = {}

    def add(name: str, ty: FuncType) -> None:
        key = name.replace("-", "_")
        if key not in found or not _reports_text(ty):
            found[key] = ty

    # An extern passes for its type, which type checkers do not know.
    imports: Mapping[str, Any] = component.imports
    for name, extern in imports.items():
        if isinstance(extern, FuncType):
            add(name, extern)
        elif isinstance(extern, ComponentInstanceType):
            inside: Mapping[str, Any] = extern.exports(component.engine)
            for inner, each in inside.items():
                if isinstance(each, FuncType):
                    add(inner, each)
    return found


def _reports_text(ty: FuncType) -> bool:
    result = ty.result
    return isinstance(result, ResultType) and isinstance(result.err, String)


def _guard(value: Any, name: str, types: Mapping[str, FuncType]) -> Any:
    """A guarded function, or an object whose functions are."""
    if isinstance(value, type):
        return value  # a resource: its methods are called by the package itself
    if isinstance(value, Mapping):
        return {key: _guard(each, key, types) for key, each in value.items()}
    if callable(value):
        return _guard_function(value, types.get(name.replace("-", "_")))
    return _GuardedObject(value, types)


class _GuardedObject:
    """An object that implements an interface, with guarded functions."""

    def __init__(self, value: Any, types: Mapping[str, FuncType]) -> None:
        self._value, self._types = value, types

    def __getattr__(self, name: str) -> Any:
        return _guard(getattr(self._value, name), name, self._types)


def _guard_function(function: Callable[..., Any], ty: Any) -> Callable[..., Any]:
    """A function that is given the store first, and the run through it."""
    wants_store = getattr(function, "_wit_needs_store", False)
    reports = ty is not None and _reports_text(ty)
    call = guarded(_reporting(function) if reports else function)
    if wants_store:
        return needs_store(lambda store, *args: call(store.data(), store, *args))
    return needs_store(lambda store, *args: call(store.data(), *args))


def _reporting(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose `GuestError` is its result."""
    if is_async(function):

        @functools.wraps(function)
        async def report_async(*args: Any) -> Any:
            try:
                return await function(*args)
            except GuestError as error:
                return Err(str(error))

        return report_async

    @functools.wraps(function)
    def report(*args: Any) -> Any:
        try:
            return function(*args)
        except GuestError as error:
            return Err(str(error))

    return report
