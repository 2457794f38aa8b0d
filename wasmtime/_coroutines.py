"""Coroutine functions, told from others without importing inspect."""

from __future__ import annotations

from functools import partial
from typing import Any

__all__ = ["is_coroutine_function"]

#: In the flags of the code of an ``async def`` function, and of a generator that `types.coroutine`
#: has marked.
_COROUTINE = 0x80 | 0x100


def is_coroutine_function(function: Any) -> bool:
    """Whether something is known to return what has to be awaited when it is called.

    Args:
        function: The callable; one that is wrapped (`functools.wraps`) counts as what it wraps.
    """
    function = _unwrapped(function)
    if isinstance(function, type):  # an object is made at once
        return False
    call = getattr(type(function), "__call__", None)  # noqa: B004
    return _is_marked(function) or _is_marked(_unwrapped(call))


def _unwrapped(function: Any) -> Any:
    """The function behind bound methods, partial functions and wrappers."""
    for _ in range(100):  # a wrapper may lead to itself
        if isinstance(function, partial):
            function = function.func
            continue
        inner = getattr(function, "__wrapped__", None) or getattr(function, "__func__", None)
        if inner is None or isinstance(function, type):
            break
        function = inner
    return function


def _is_marked(function: Any) -> bool:
    flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
    marked = hasattr(function, "_is_coroutine_mark") or hasattr(function, "_is_coroutine")
    return marked or (isinstance(flags, int) and bool(flags & _COROUTINE))
