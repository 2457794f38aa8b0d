"""Functions and interfaces, as generated packages declare them: names, and shapes of values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Callable

from .shapes import PLAIN, Shape

__all__ = [
    "Import",
    "Interface",
    "Signature",
    "constructor",
    "function",
    "interface",
    "method",
    "signature",
    "static",
]


@dataclass(frozen=True)
class Signature:
    """How the parameters and the result of a function are converted.

    Attributes:
        params: The shapes of the parameters.
        result: The shape of the result.
    """

    params: list[Shape]
    result: Shape


def signature(params: list[Shape], result: Shape) -> Signature:
    """An exported function whose values need converting.

    Args:
        params: The shapes of the parameters.
        result: The shape of the result.
    """
    return Signature(params, result)


@dataclass(frozen=True)
class Import:
    """An imported function.

    Attributes:
        find: Finds the host's function in the object that implements the interface.
        name: What it looks for, for errors.
        signature: How values are converted.
    """

    find: Callable[[Any], Callable[..., Any]]
    name: str
    signature: Signature


def function(name: str, params: list[Shape], result: Shape) -> Import:
    """An imported function that a method implements.

    Args:
        name: The method's name.
        params: The shapes of the parameters.
        result: The shape of the result.
    """
    return Import(attrgetter(name), name, Signature(params, result))


def constructor(cls: str, params: list[Shape], result: Shape) -> Import:
    """The constructor of a resource, which a class implements.

    Args:
        cls: The class's name, an attribute of what implements the interface.
        params: The shapes of the parameters.
        result: The shape of a handle to the resource.
    """
    return Import(attrgetter(cls), cls, Signature(params, result))


def static(cls: str, name: str, params: list[Shape], result: Shape) -> Import:
    """A static function of a resource, which a static or class method implements.

    Args:
        cls: The class's name, an attribute of what implements the interface.
        name: The method's name.
        params: The shapes of the parameters.
        result: The shape of the result.
    """
    return Import(attrgetter(f"{cls}.{name}"), f"{cls}.{name}", Signature(params, result))


def method(name: str, params: list[Shape], result: Shape) -> Import:
    """A method of a resource, which a method of the resource's object implements.

    Args:
        name: The method's name.
        params: The shapes of the parameters, without the object.
        result: The shape of the result.
    """

    def call(this: Any, *arguments: Any) -> Any:
        return getattr(this, name)(*arguments)

    return Import(lambda implementation: call, name, Signature([PLAIN, *params], result))


@dataclass(frozen=True)
class Interface:
    """An imported interface, or what is imported at the top level; see `interface`."""

    name: str
    field: str
    functions: Mapping[str, Import]
    resources: Sequence[str]
    by_library: bool


def interface(
    name: str,
    field: str,
    functions: Mapping[str, Import],
    resources: Sequence[str] = (),
    by_library: bool = False,
) -> Interface:
    """An imported interface, or what is imported at the top level.

    Args:
        name: Its name; empty for the top level.
        field: The field of the class of imports that implements it.
        functions: Its functions, by their names.
        resources: The names of its resources.
        by_library: Whether the library provides it when the field is None.
    """
    return Interface(name, field, functions, resources, by_library)
