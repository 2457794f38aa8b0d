"""
A look into a binary component: whether it uses the asynchronous canonical ABI.

A call into such a component needs the library's event loop, even if the function that is called is
an ordinary one: it must be made as an asynchronous call, which costs more. The C API does not tell
which components those are; their binary does.

Everything that is not understood here is left to the library's validation.
"""

from __future__ import annotations

__all__ = ["uses_async"]

_HEADER = b"\0asm\x0d\0\x01\0"
_COMPONENT, _CANON = 4, 8
_ASYNC_OPTION = 6
#: Options that are followed by an index: memory, realloc, post-return, callback.
_INDEXED = (3, 4, 5, 7)
_LIFT, _LOWER, _RESOURCE_NEW, _RESOURCE_DROP, _RESOURCE_REP = range(5)


def uses_async(binary: bytes) -> bool:
    """
    Whether a binary component, or one inside of it, lifts, lowers or does anything else
    asynchronously.

    Args:
        binary: The component. Anything else uses nothing.
    """
    try:
        return _component(binary, 0, len(binary))
    except IndexError:
        return False


def _component(data: bytes, at: int, end: int) -> bool:
    if data[at : at + len(_HEADER)] != _HEADER:
        return False
    at += len(_HEADER)
    while at < end:
        section = data[at]
        size, at = _number(data, at + 1)
        if section == _COMPONENT and _component(data, at, at + size):
            return True
        if section == _CANON and _canon(data, at):
            return True
        at += size
    return False


def _canon(data: bytes, at: int) -> bool:
    count, at = _number(data, at)
    for _ in range(count):
        kind = data[at]
        at += 1
        if kind in (_LIFT, _LOWER):
            _, at = _number(data, at + 1)
            options, at = _number(data, at)
            for _ in range(options):
                option = data[at]
                at += 1
                if option == _ASYNC_OPTION:
                    return True
                if option in _INDEXED:
                    _, at = _number(data, at)
            if kind == _LIFT:
                _, at = _number(data, at)
        elif kind in (_RESOURCE_NEW, _RESOURCE_DROP, _RESOURCE_REP):
            _, at = _number(data, at)
        else:
            return True
    return False


def _number(data: bytes, at: int) -> tuple[int, int]:
    """
    A number in LEB128, and where it ends.
    """
    result = shift = 0
    while True:
        byte = data[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, at
        shift += 7
