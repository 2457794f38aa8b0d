"""Functions of the host that a core module calls, with text, bytes and JSON by annotations.

=============================  ===================================================
annotation                     WebAssembly type
=============================  ===================================================
none, `int`, `float`, `bool`   one number
`str`                          two i32: address and length of UTF-8
`bytes`                        two i32: address and length
`dict`, `list`, `Any`, others  two i32: address and length of JSON
as result: `str`, …            one i64, ``address << 32 | length``, of memory that
                               the guest's allocator gave
=============================  ===================================================

`Caller` as the annotation of the first parameter gives it what `Linker.func` gives.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Callable

from ... import Caller, FuncType, Trap
from ..functions import guarded
from ..source import refusal
from ..steps import Steps, take, take_async
from .memory import Allocator, pack, read
from .values import KINDS, Kind, decode, encode

__all__ = ["guest_faults", "host_function", "kind_of", "kinds_of"]

_MISSING: Any = object()


def kinds_of(function: Callable[..., Any]) -> tuple[list[Kind], Kind, bool]:
    """What the annotations of a function say.

    Returns:
        The kinds of its parameters, that of its result, and whether the first parameter, which is
        not among them, is a `Caller`. Without a signature (a built-in function) there are none.
    """
    remote = getattr(function, "kinds", None)
    if isinstance(remote, tuple):  # of a worker: the parent has read the annotations
        return remote
    try:
        signature = inspect.signature(function)
        hints = typing.get_type_hints(function)
    except (TypeError, ValueError, NameError):
        return [], "number", False
    params = [
        each
        for each in signature.parameters.values()
        if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
    ]
    wants_caller = bool(params) and hints.get(params[0].name) is Caller
    kinds: list[Kind] = [kind_of(hints.get(each.name, _MISSING)) for each in params[wants_caller:]]
    return kinds, kind_of(hints.get("return", _MISSING)), wants_caller


def kind_of(hint: Any) -> Kind:
    """How a value of an annotation passes."""
    if hint is _MISSING or hint is None or hint is type(None):
        return "number"
    if typing.get_origin(hint) is typing.Annotated:
        hint = typing.get_args(hint)[0]
    return KINDS.get(hint, "json")


def host_function(function: Callable[..., Any], ty: FuncType, name: str) -> Callable[..., Any]:
    """What to define for a function: it is given a `Caller` and numbers.

    Args:
        function: The function of the host.
        ty: The type that it is imported with.
        name: Its name, for errors.

    Raises:
        SandboxError: Its annotations do not fit the type.
    """
    kinds, result, wants_caller = kinds_of(function)
    if all(kind == "number" for kind in (*kinds, result)):
        return _plain(function, wants_caller)
    _check(kinds, result, ty, name)
    return _converting(function, kinds, result, wants_caller)


def _plain(function: Callable[..., Any], wants_caller: bool) -> Callable[..., Any]:
    """A function of numbers, which pass as they are."""
    call = guarded(function)
    if wants_caller:
        return lambda caller, *args: call(caller.data(), caller, *args)
    return lambda caller, *args: call(caller.data(), *args)


def _converting(
    function: Callable[..., Any], kinds: list[Kind], result: Kind, wants_caller: bool
) -> Callable[..., Any]:
    """A function that is given a Caller and numbers, and converts them.

    What is wrong with what the guest gives traps the guest; what is wrong with what the function
    returns is the host's.
    """
    encoded = guarded(lambda value: value if result == "number" else encode(result, value))

    def lift(caller: Any, numbers: tuple[Any, ...]) -> list[Any]:
        left = iter(numbers)
        made = [caller] if wants_caller else []
        with guest_faults():
            for kind in kinds:
                number = next(left)
                if kind != "number":
                    number = decode(kind, read(caller, caller["memory"], number, next(left)))
                made.append(number)
        return made

    def lowering(caller: Any, value: Any) -> Steps[Any]:
        data = encoded(caller.data(), value)
        if result == "number":
            return data
        with guest_faults():
            address = yield from Allocator.of(caller).placing(caller, data)
            return pack(address, len(data))

    async def lower_later(caller: Any, value: Any) -> Any:
        return await take_async(lowering(caller, await value))

    call = guarded(function)

    def convert(caller: Any, *numbers: Any) -> Any:
        run = caller.data()
        value = call(run, *lift(caller, numbers))
        return lower_later(caller, value) if run.is_awaited else take(lowering(caller, value))

    return convert


@contextmanager
def guest_faults() -> Iterator[None]:
    """Trap for what the guest gave wrongly: addresses outside of its memory, text that is none."""
    try:
        yield
    except (ValueError, LookupError, MemoryError) as error:
        raise Trap(str(error)) from None


def _check(kinds: list[Kind], result: Kind, ty: FuncType, name: str) -> None:
    wanted = sum(1 if kind == "number" else 2 for kind in kinds)
    results = list(map(str, ty.results))
    fits = len(ty.params) == wanted and (result == "number" or results == ["i64"])
    if not fits:
        raise refusal(
            "TypeError",
            f"the function {name!r} is imported as {ty}, which its annotations do not fit: text, "
            "bytes and JSON are two i32 as parameters and an i64 as result",
        )
