"""Binding: the exports of a guest as an object with the methods of a protocol.

Everything is checked when it is bound: that each method has an export, and that it can be called
with the parameters of the method.
"""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Awaitable, Iterator, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional, TypeVar, Union

from ... import FuncType, Module
from ..source import refusal
from .host import kind_of
from .values import Kind

if TYPE_CHECKING:
    from ..engines import Compiled

__all__ = ["Exported", "bind", "exported_functions"]

_T = TypeVar("_T")
#: What calls a function: its name, its arguments, and the kind of its result where that is known.
_Call = Callable[[str, tuple[Any, ...], Optional[Kind]], Any]


class Exported(NamedTuple):
    """What binding needs to know of an exported function.

    Attributes:
        params: How many parameters it has.
        is_core: Whether they are numbers, two of them for text, bytes and JSON.
    """

    params: int
    is_core: bool


def exported_functions(compiled: Compiled) -> dict[str, Exported]:
    """The functions that a module or component exports, by the names that calls know."""
    if isinstance(compiled, Module):
        return {
            each.name: Exported(len(each.type.params), True)
            for each in compiled.exports
            if isinstance(each.type, FuncType)
        }
    return dict(_component_functions(compiled))


def _component_functions(component: Any) -> Iterator[tuple[str, Exported]]:
    from ...component import ComponentInstanceType
    from ...component import FuncType as ComponentFuncType

    for name, item in component.exports.items():
        if isinstance(item, ComponentFuncType):
            yield name, Exported(len(item.params), False)
        elif isinstance(item, ComponentInstanceType):
            inside: Mapping[str, Any] = item.exports(component.engine)
            for inner, each in inside.items():
                if isinstance(each, ComponentFuncType) and not inner.startswith("["):
                    yield f"{name}#{inner}", Exported(len(each.params), False)


def bind(
    protocol: Callable[..., _T], exports: Mapping[str, Exported], call: _Call, call_async: _Call
) -> _T:
    """An object with the methods of a protocol.

    Args:
        protocol: The class.
        exports: What the guest exports.
        call: Calls a function.
        call_async: The same, for a coroutine.

    Raises:
        SandboxError: A method has no export, or cannot be called as it says; the message has all.
        TypeError: It is no class, or has no methods.
    """
    if not isinstance(protocol, type):
        raise TypeError(f"protocol must be a class, not {protocol!r}")
    functions = dict(_methods(protocol))
    if not functions:
        raise TypeError(f"{protocol.__qualname__} has no methods to bind")
    methods, wrong = {}, []
    for name, function in functions.items():
        try:
            export = _find(name, exports)
            methods[name] = _method(function, export, exports[export], call, call_async)
        except LookupError as error:
            wrong.append(f"    {name}: {error.args[0]}")
    if wrong:
        raise refusal(
            "LookupError",
            f"the guest does not fit {protocol.__qualname__}:\n" + "\n".join(wrong),
        )
    doc = f"The exports of a guest, as {protocol.__qualname__} has them."
    made: Any = type(protocol.__name__, (), {**methods, "__doc__": doc, "__slots__": ()})
    return typing.cast(_T, made())


def _methods(protocol: type) -> Iterator[tuple[str, Any]]:
    """The methods of a class and its bases, as they were written."""
    for cls in protocol.__mro__:
        if cls is object or cls.__name__ in ("Protocol", "Generic"):
            continue
        for name, item in vars(cls).items():
            if inspect.isfunction(item) and not name.startswith("_"):
                yield name, item


def _find(name: str, exports: Mapping[str, Exported]) -> str:
    """The export that a method means: of its name, with hyphens, in any interface."""
    spellings = (name, name.replace("_", "-"), name.rstrip("_"))
    found = [export for export in exports if export.rpartition("#")[2] in spellings]
    if len(found) == 1:
        return found[0]
    if not found:
        known = ", ".join(sorted(exports)[:30]) or "none at all"
        raise LookupError(f"there is no such function, only {known}")
    raise LookupError(f"several interfaces have it: {', '.join(found)}")


def _method(
    function: Callable[..., Any], export: str, exported: Exported, call: _Call, call_async: _Call
) -> Callable[..., Any]:
    signature = inspect.signature(function)
    hints = typing.get_type_hints(function)
    _check(signature, hints, exported)
    convert = _converter(hints.get("return"))
    returns = kind_of(hints["return"]) if exported.is_core and hints.get("return") else None

    def arguments(self: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        values = tuple(bound.arguments.values())[1:]
        return tuple(map(_as_data, values)) if exported.is_core else values

    if inspect.iscoroutinefunction(function):

        async def method_async(self: Any, *args: Any, **kwargs: Any) -> Any:
            values = arguments(self, args, kwargs)
            made: Awaitable[Any] = call_async(export, values, returns)
            return convert(await made)

        return _named(method_async, function)

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return convert(call(export, arguments(self, args, kwargs), returns))

    return _named(method, function)


def _named(method: Callable[..., Any], function: Callable[..., Any]) -> Callable[..., Any]:
    method.__name__, method.__qualname__ = function.__name__, function.__qualname__
    method.__doc__ = function.__doc__
    method.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return method


def _check(signature: inspect.Signature, hints: Mapping[str, Any], exported: Exported) -> None:
    """Refuse a method whose parameters do not fit.

    Raises:
        LookupError: They do not.
    """
    params = list(signature.parameters.values())[1:]
    for each in params:
        if each.kind not in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD):
            raise LookupError(f"its parameter {each.name!r} is no plain one")
    wanted = len(params)
    if exported.is_core:
        wanted = sum(
            2 if each.name in hints and kind_of(hints[each.name]) != "number" else 1
            for each in params
        )
    if wanted != exported.params:
        raise LookupError(f"it passes {wanted} values, and the guest takes {exported.params}")


def _as_data(value: Any) -> Any:
    """What JSON has no form for, as what it has one for."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return value.value if isinstance(value, Enum) else value


def _converter(hint: Any) -> Callable[[Any], Any]:
    """What makes a value of a guest into one of an annotation, as far as that says how."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is Union or _is_new_union(hint):
        inner = [_converter(part) for part in parts if part is not type(None)]
        one = inner[0] if len(inner) == 1 else _same
        return lambda value: None if value is None else one(value)
    if origin in (list, typing.Sequence) and parts:
        each = _converter(parts[0])
        return lambda value: [each(part) for part in value]
    if origin is dict and len(parts) == 2:
        each = _converter(parts[1])
        return lambda value: {key: each(part) for key, part in dict(value).items()}
    if isinstance(hint, type):
        return _class_converter(hint)
    return _same


def _class_converter(hint: type) -> Callable[[Any], Any]:
    if issubclass(hint, Enum):
        return hint
    if dataclasses.is_dataclass(hint):
        parts = {key: _converter(part) for key, part in typing.get_type_hints(hint).items()}

        def make(value: Any) -> Any:
            fields = dict(value)
            return hint(**{key: parts.get(key, _same)(part) for key, part in fields.items()})

        return make
    return dict if issubclass(hint, dict) else _same


def _is_new_union(hint: Any) -> bool:
    """Whether an annotation is written ``A | B``."""
    return type(hint).__name__ == "UnionType"


def _same(value: Any) -> Any:
    return value
