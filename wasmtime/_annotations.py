"""The WebAssembly type of a Python function, from its annotations."""

from __future__ import annotations

import sys
import typing
from typing import TYPE_CHECKING, Annotated, Any, Callable

from ._types import FuncType, ValType

if TYPE_CHECKING:
    from typing import TypeAlias

__all__ = ["PYTHON_TYPES", "f32", "f64", "host_signature", "i32", "i64"]

#: Annotation of a 32-bit integer; to a type checker it is ``int``.
i32: TypeAlias = Annotated[int, ValType.I32]
#: Annotation of a 64-bit integer; to a type checker it is ``int``.
i64: TypeAlias = Annotated[int, ValType.I64]
#: Annotation of a 32-bit float; to a type checker it is ``float``.
f32: TypeAlias = Annotated[float, ValType.F32]
#: Annotation of a 64-bit float; to a type checker it is ``float``.
f64: TypeAlias = Annotated[float, ValType.F64]

#: The Python types of numbers and vectors.
PYTHON_TYPES: dict[ValType, type] = {
    ValType.I32: int,
    ValType.I64: int,
    ValType.F32: float,
    ValType.F64: float,
    ValType.V128: bytes,
}

if sys.version_info >= (3, 10):
    from types import UnionType

    _UNIONS: tuple[Any, ...] = (typing.Union, UnionType)
else:
    _UNIONS = (typing.Union,)


def host_signature(func: Callable[..., Any], access_caller: bool = False) -> tuple[FuncType, bool]:
    """What the annotations of a function say.

    Args:
        func: A function or another callable object.
        access_caller: Its first parameter gets a `Caller`, whatever its annotation.

    Returns:
        Its type, and whether its first parameter gets a `Caller`.

    Raises:
        TypeError: An annotation is missing or has no WebAssembly type, or `func` has parameters
            other than plain positional ones.
    """
    import inspect

    from ._func import Caller

    label = getattr(func, "__qualname__", repr(func))
    try:
        signature = inspect.signature(func)
        annotated = func if hasattr(func, "__annotations__") else type(func).__call__
        hints = typing.get_type_hints(annotated, include_extras=True)
    except (TypeError, ValueError, NameError) as error:
        raise TypeError(
            f"the annotations of {label} cannot be read ({error}): give a FuncType"
        ) from error
    parameters = list(signature.parameters.values())
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) or (
            parameter.kind == parameter.KEYWORD_ONLY and parameter.default is parameter.empty
        ):
            raise TypeError(
                f"the parameter {parameter.name!r} of {label} has no WebAssembly type: give a "
                "FuncType"
            )
    parameters = [p for p in parameters if p.kind != p.KEYWORD_ONLY]
    if parameters and hints.get(parameters[0].name) is Caller:
        access_caller = True
    if access_caller:
        parameters = parameters[1:]
    params = [
        _val_type(hints.get(p.name, _MISSING), f"the parameter {p.name!r} of {label}")
        for p in parameters
    ]
    returned = hints.get("return", _MISSING)
    if returned is None or returned is type(None):
        results = []
    elif typing.get_origin(returned) is tuple:
        results = [_val_type(item, f"a result of {label}") for item in typing.get_args(returned)]
    else:
        results = [_val_type(returned, f"the result of {label}")]
    return FuncType(params, results), access_caller


_MISSING = object()


def _val_type(hint: Any, what: str) -> ValType:
    from ._func import Func

    if hint is _MISSING:
        raise TypeError(f"{what} has no annotation: add one, or give a FuncType")
    if isinstance(hint, ValType):
        return hint
    if typing.get_origin(hint) is Annotated:
        for note in typing.get_args(hint)[1:]:
            if isinstance(note, ValType):
                return note
        hint = typing.get_args(hint)[0]
    if typing.get_origin(hint) in _UNIONS:
        options = [option for option in typing.get_args(hint) if option is not type(None)]
        if len(options) == 1 and options[0] in (Func, object):
            hint = options[0]
    if hint is int:
        return ValType.I32
    if hint is float:
        return ValType.F64
    if hint is Func:
        return ValType.FUNCREF
    if hint is Any or hint is object:
        return ValType.EXTERNREF
    raise TypeError(
        f"{what} is annotated with {hint!r}, which has no WebAssembly type: use i32, i64, f32, "
        "f64, int, float, Func or object, or give a FuncType"
    )
