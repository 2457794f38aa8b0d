"""Appending the codec to the binary of a component.

Everything is appended: no item that the component has changes its index, and no code its place. The
new sections instantiate the codec with the guest's memory and functions, lift what it exports, and
export that as one instance, under a name that the package hides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Optional

from ..._wasm.decode import Func, UnsupportedComponent, decode
from ..._wasm.grammar import (
    CORE_FUNC_SORT,
    CORE_INSTANCE_SORT,
    CORE_MEMORY_SORT,
    CORE_MODULE_SORT,
    MEMORY_OPTION,
    POST_RETURN_OPTION,
    REALLOC_OPTION,
    SECTION_ALIASES,
    SECTION_CANON,
    SECTION_CORE_INSTANCES,
    SECTION_CORE_MODULE,
    SECTION_EXPORTS,
    SECTION_INSTANCES,
    SECTION_TYPES,
    SORT_FUNC,
    SORT_INSTANCE,
)
from ..._wasm.scopes import Scope
from ..._wasm.writer import name as encoded_name
from ..._wasm.writer import section, unsigned, vector
from ..._wat2wasm import wat2wasm
from .codec import codec_text
from .link import CODEC_NAME, label
from .plan import Plan, make_plan

__all__ = ["inject"]

#: The types of the codec's functions: message to nothing, message and end to answer, nothing to
#: answer, nothing to nothing.
_FEED, _CALL, _MORE, _PLAIN = range(4)
_STRING = b"\x73"
#: What every codec exports: name, type, and the function that runs after it.
_COMMON: list[tuple[str, int, Optional[str]]] = [
    ("feed", _FEED, None),
    ("more", _MORE, "after"),
    ("drop", _PLAIN, "dropped"),
    ("fail", _PLAIN, None),
]


def inject(binary: bytes) -> Optional[bytes]:
    """Return a component with a codec; None if it has no use for one.

    Args:
        binary: A component that need not be valid.
    """
    try:
        decoded = decode(binary)
    except UnsupportedComponent:
        return None
    plan = make_plan(decoded)
    if plan is None:
        return None
    return binary + _sections(plan, decoded.scope)


def _sections(plan: Plan, scope: Scope) -> bytes:
    """Return the sections to append, whose items come behind those of the scope."""
    core = scope.core
    functions = list(plan.functions.values())
    exported = [*_COMMON, *((str(number), _CALL, "after") for number in range(len(functions)))]
    core_names = ["realloc", "after", "dropped", *(name for name, _, _ in exported)]
    labels = [*(name for name, _, _ in _COMMON), *map(label, plan.functions)]
    codec = core[CORE_INSTANCE_SORT] + 1  # the instance before it is what it imports
    instance = bytes([SORT_INSTANCE]) + unsigned(len(scope.instances))
    aliases = [_core_alias(CORE_MEMORY_SORT, codec, "memory")]
    aliases += [_core_alias(CORE_FUNC_SORT, codec, name) for name in core_names]
    sections: list[tuple[int, list[bytes]]] = [
        (
            SECTION_CORE_INSTANCES,
            [b"\1" + vector(_imports(plan)), _instantiate(core, codec - 1)],
        ),
        (SECTION_ALIASES, aliases),
        (SECTION_TYPES, _types()),
        (SECTION_CANON, _lifts(exported, core_names, core, len(scope.types))),
        (SECTION_INSTANCES, [b"\1" + vector(_exports(labels, len(scope.funcs)))]),
        (SECTION_EXPORTS, [b"\0" + encoded_name(CODEC_NAME) + instance + b"\0"]),
    ]
    module = bytes(wat2wasm(codec_text(functions, plan.realloc is not None)))
    return section(SECTION_CORE_MODULE, module) + b"".join(
        section(code, vector(items)) for code, items in sections
    )


def _lifts(
    exported: list[tuple[str, int, Optional[str]]],
    core_names: list[str],
    core: Counter[int],
    types: int,
) -> list[bytes]:
    """Return the canonical definitions that lift what the codec exports."""
    place = {name: core[CORE_FUNC_SORT] + n for n, name in enumerate(core_names)}
    lifts = []
    for name, type, after in exported:
        options = [
            bytes([MEMORY_OPTION]) + unsigned(core[CORE_MEMORY_SORT]),
            bytes([REALLOC_OPTION]) + unsigned(place["realloc"]),
        ]
        if after is not None:
            options.append(bytes([POST_RETURN_OPTION]) + unsigned(place[after]))
        lifts.append(b"\0\0" + unsigned(place[name]) + vector(options) + unsigned(types + type))
    return lifts


def _exports(labels: list[str], funcs: int) -> list[bytes]:
    """Return what the codec's instance exports: the functions from index `funcs` on."""
    return [
        b"\0" + encoded_name(each) + bytes([SORT_FUNC]) + unsigned(funcs + n)
        for n, each in enumerate(labels)
    ]


def _types() -> list[bytes]:
    """Return the types of the codec's functions, in the order of their numbers."""
    message, end = encoded_name("m") + _STRING, encoded_name("end") + _STRING
    return [
        b"\x40" + vector([message]) + b"\1\0",
        b"\x40" + vector([message, end]) + b"\0" + _STRING,
        b"\x40\0\0" + _STRING,
        b"\x40\0\1\0",
    ]


def _imports(plan: Plan) -> list[bytes]:
    """Return what the codec imports, as exports of a core instance."""
    items = [encoded_name("memory") + _core_sort(CORE_MEMORY_SORT) + unsigned(plan.memory)]
    if plan.realloc is not None:
        items.append(_core_func("realloc", plan.realloc))
    for number, func in enumerate(plan.functions.values()):
        items.extend(_core_funcs(number, func))
    return items


def _core_funcs(number: int, func: Func) -> Iterable[bytes]:
    assert func.lift is not None
    yield _core_func(f"f{number}", func.lift.core_func)
    post_return = func.lift.options.get(POST_RETURN_OPTION)
    if post_return is not None:
        yield _core_func(f"p{number}", post_return)


def _core_func(name: str, index: int) -> bytes:
    return encoded_name(name) + _core_sort(CORE_FUNC_SORT) + unsigned(index)


def _instantiate(core: Counter[int], imports: int) -> bytes:
    argument = encoded_name("") + _core_sort(CORE_INSTANCE_SORT) + unsigned(imports)
    return b"\0" + unsigned(core[CORE_MODULE_SORT]) + vector([argument])


def _core_alias(sort: int, instance: int, name: str) -> bytes:
    return b"\0" + _core_sort(sort) + b"\1" + unsigned(instance) + encoded_name(name)


# --- the binary format ----------------------------------------------------------------------------


def _core_sort(sort: int) -> bytes:
    """Return the code of a core sort where a core sort is expected."""
    return bytes([sort & 0xFF])
