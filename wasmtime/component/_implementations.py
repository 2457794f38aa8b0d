"""Python objects as the implementations of what components import.

A plan is made before anything is defined: what is lacking is found then, all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Callable, Optional, Union

from .._coroutines import is_coroutine_function
from .._error import WasmtimeError
from ._component import Component
from ._exports import short_names, snake
from ._host import class_for, destroy
from ._resource_type import ResourceType
from ._types import ComponentInstanceType, FuncType, ModuleType, ValType, plain

if TYPE_CHECKING:
    from ._linker_instance import LinkerInstance

__all__ = ["Definition", "define_plan", "describe", "plan_imports"]

#: Defines an item of a name in a linker.
Definition = Callable[["LinkerInstance", str], None]

#: The names of imports, and how to define each: an item, or the items of an interface.
Plan = list[tuple[str, Union[Definition, dict[str, Definition]]]]


def plan_imports(component: Component, imports: Mapping[str, Any]) -> Plan:
    """How to define what a component imports.

    Args:
        component: The component.
        imports: What implements its imports, by their names.

    Raises:
        KeyError: A name is not among the component's.
        WasmtimeError: An implementation lacks something; the message lists all.
        TypeError: An implementation is of a wrong type.
    """
    wanted = component.imports
    aliases = {alias: name for name in wanted for alias in reversed(short_names(name))}
    plan: Plan = []
    lacking: list[str] = []
    for key, implementation in imports.items():
        name = key if key in wanted else aliases.get(key)
        if name is None:
            raise KeyError(
                f"{key!r}: the component has no such import, only "
                f"{', '.join(map(repr, wanted)) or 'none at all'}"
            )
        item = plain(wanted[name])
        if isinstance(item, ComponentInstanceType):
            externs = item.exports(component.engine)
            plan.append((name, _plan_items(externs, implementation, f"{name}#", lacking)))
        else:
            plan.extend(_plan_items({name: item}, {name: implementation}, "", lacking).items())
    if lacking:
        raise WasmtimeError(
            "these imports of the component are not implemented:\n"
            + "\n".join(f"    {line}" for line in lacking)
        )
    return plan


def define_plan(plan: Plan, root: LinkerInstance) -> None:
    """Define everything that was planned."""
    for name, definition in plan:
        if isinstance(definition, dict):
            with root.add_instance(name) as instance:
                for inner, define in definition.items():
                    define(instance, inner)
        else:
            definition(root, name)


def describe(item: Any) -> str:
    """An item in words, for a message."""
    if isinstance(item, ResourceType):
        return "resource"
    return "core module" if isinstance(item, ModuleType) else str(item)


def _find(implementation: Any, name: str) -> Any:
    """What implements a name: an attribute of an object or an item of a mapping.

    Returns:
        None if nothing does.
    """
    words = name.split("-")
    camel = "".join(word[:1].upper() + word[1:] for word in words)
    spellings = (snake(name), name, camel, snake(name) + "_")
    for spelling in spellings:
        if isinstance(implementation, Mapping):
            if spelling in implementation:
                return implementation[spelling]
        else:
            found = getattr(implementation, spelling, None)
            if found is not None:
                return found
    return None


def _plan_items(
    externs: Mapping[str, Any], implementation: Any, prefix: str, lacking: list[str]
) -> dict[str, Definition]:
    """How to define the items of an interface.

    Args:
        externs: The items, by name.
        implementation: What implements them.
        prefix: What comes before their names in messages.
        lacking: Is added what has no implementation.
    """
    plan: dict[str, Definition] = {}
    for name, extern in externs.items():
        item = plain(extern)
        if isinstance(item, ValType):
            continue
        if name.startswith("["):
            found = _resource_function(name, implementation)
        else:
            found = _find(implementation, name)
        if found is None:
            lacking.append(f"{prefix}{name}: {describe(item)}")
        elif isinstance(item, FuncType):
            plan[name] = _function(found, f"{prefix}{name}")
        elif isinstance(item, ResourceType):
            plan[name] = _resource(found, f"{prefix}{name}")
        elif isinstance(item, ModuleType):
            plan[name] = _module(found)
        else:
            lacking.append(f"{prefix}{name}: {describe(item)} (which cannot be implemented)")
    return plan


def _function(function: Any, what: str) -> Definition:
    if not callable(function):
        raise TypeError(
            f"{what}: a function must be implemented by a callable, not {type(function).__name__}"
        )
    pass_store = getattr(function, "_wit_needs_store", False)
    return lambda instance, name: instance._define(name, function, True, pass_store)


def _resource(cls: Any, what: str) -> Definition:
    if not isinstance(cls, type):
        raise TypeError(
            f"{what}: a resource must be implemented by a class, not {type(cls).__name__}"
        )
    if is_coroutine_function(getattr(cls, "drop", None)):
        raise TypeError(
            f"{what}: {cls.__name__}.drop must not be a coroutine function: a destructor cannot "
            "wait"
        )
    return lambda instance, name: instance.add_resource(name, class_for(cls), destroy)


def _module(module: Any) -> Definition:
    return lambda instance, name: instance.add_module(name, module)


def _resource_function(name: str, implementation: Any) -> Optional[Callable[..., Any]]:
    """What implements a function of a resource.

    Args:
        name: Its name: ``[constructor]r``, ``[method]r.f`` or ``[static]r.f``.
        implementation: What implements the interface of the resource.
    """
    kind, _, rest = name[1:].partition("]")
    resource, _, member = rest.partition(".")
    cls = _find(implementation, resource)
    if not isinstance(cls, type):
        return None
    if kind == "constructor":
        return cls
    function = _find(cls, member)
    if function is None or kind != "method":
        return function if function is None or callable(function) else None
    attribute = next(
        each
        for each in (snake(member), member, snake(member) + "_", function.__name__)
        if hasattr(cls, each)
    )
    if getattr(function, "_wit_needs_store", False):

        def method_with_store(store: Any, self: Any, *arguments: Any) -> Any:
            return getattr(self, attribute)(store, *arguments)

        method_with_store._wit_needs_store = True  # type: ignore[attr-defined]
        return _stands_for(function, method_with_store)

    def method(self: Any, *arguments: Any) -> Any:
        return getattr(self, attribute)(*arguments)

    return _stands_for(function, method)


def _stands_for(function: Callable[..., Any], wrapper: Any) -> Callable[..., Any]:
    """The wrapper, which tells whether the function is a coroutine function."""
    wrapper.__wrapped__ = function
    return wrapper  # type: ignore[no-any-return]
