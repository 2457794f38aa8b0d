"""Which functions of a component go through the codec.

Any doubt means that a function keeps the direct path, which serves all of them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Optional

from ..._wasm.decode import Decoded, Func, Instance, UnsupportedComponent
from ..._wasm.grammar import MEMORY_OPTION, POST_RETURN_OPTION, REALLOC_OPTION, UTF8_OPTION
from . import layout
from .codec import fits
from .link import CODEC_NAME

__all__ = ["Plan", "make_plan"]

_OPTIONS = {UTF8_OPTION, MEMORY_OPTION, REALLOC_OPTION, POST_RETURN_OPTION}


@dataclass
class Plan:
    """What is to be injected.

    Attributes:
        functions: The functions, by the path of their names: of the export, or of the exported
            instance and the function in it.
        memory: Index of the guest's memory.
        realloc: Index of the guest's allocator; None if no function needs any.
    """

    functions: dict[tuple[str, ...], Func]
    memory: int
    realloc: Optional[int]


def make_plan(decoded: Decoded) -> Optional[Plan]:
    """Choose the functions of a component; None if there are none.

    They have one memory and one allocator in common: those that most of them have.
    """
    if CODEC_NAME in decoded.exports or CODEC_NAME in decoded.imports:
        return None
    found = {path: func for path, func in _functions(decoded) if _is_eligible(func, decoded.scope)}
    places = Counter(
        (_option(func, MEMORY_OPTION), _option(func, REALLOC_OPTION)) for func in found.values()
    )
    if not places:
        return None
    # One that has no allocator goes with any that has the same memory.
    memory, realloc = max(places, key=lambda place: (place[1] is not None, places[place]))
    assert memory is not None
    return Plan(
        {
            path: func
            for path, func in found.items()
            if _option(func, MEMORY_OPTION) == memory
            and _option(func, REALLOC_OPTION) in (realloc, None)
        },
        memory,
        realloc,
    )


def _functions(decoded: Decoded) -> list[tuple[tuple[str, ...], Func]]:
    """Return what is exported, at the top level and by instances there."""
    result: list[tuple[tuple[str, ...], Func]] = []
    for name, item in decoded.exports.items():
        if isinstance(item, Func):
            result.append(((name,), item))
        elif isinstance(item, Instance):
            inner = [(key, each) for key, each in item.exports.items() if isinstance(each, Func)]
            result.extend(((name, key), each) for key, each in inner)
    return result


def _option(func: Func, code: int) -> Optional[int]:
    assert func.lift is not None
    return func.lift.options.get(code)


def _is_eligible(func: Func, scope: object) -> bool:
    lift = func.lift
    if lift is None or lift.scope is not scope or func.is_async:
        return False
    if not lift.options.keys() <= _OPTIONS or MEMORY_OPTION not in lift.options:
        return False
    types = [type for _, type in func.params]
    passed = [*types, func.result] if func.result is not None else types
    try:
        for type in passed:
            layout.layout(type)
            _check_parts(type)
        if not any(map(layout.is_bulky, passed)) or not fits(func):
            return False
    except (UnsupportedComponent, RecursionError):
        return False
    # What is passed in memory needs an allocator: a valid component has one.
    return REALLOC_OPTION in lift.options or not (
        any(map(layout.has_pointers, types))
        or sum(len(layout.flatten(type)) for type in types) > layout.MAX_FLAT_PARAMS
    )


def _check_parts(type: layout.Type) -> None:
    """Raise UnsupportedComponent if there is a type, at any depth, that the codec does not know."""
    layout.layout(type)
    for part in layout.parts(layout.plain(type)):
        _check_parts(part)
