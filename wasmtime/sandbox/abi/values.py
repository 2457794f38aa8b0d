"""Values that are no numbers, as bytes: text, bytes, JSON."""

from __future__ import annotations

from typing import Any, Literal

__all__ = ["KINDS", "Kind", "decode", "encode"]

#: How a value passes.
Kind = Literal["number", "str", "bytes", "json"]

#: The kinds of annotations; every other is JSON.
KINDS: dict[Any, Kind] = {
    int: "number",
    float: "number",
    bool: "number",
    str: "str",
    bytes: "bytes",
}


def encode(kind: Kind, value: Any) -> bytes:
    """The bytes of a value.

    Raises:
        TypeError, ValueError: It is not of that kind.
    """
    if kind == "str":
        if not isinstance(value, str):
            raise TypeError(f"expected text, not {type(value).__name__}")
        return value.encode()
    if kind == "bytes":
        return bytes(memoryview(value))
    import json  # most guests take numbers and text

    return json.dumps(value, allow_nan=False).encode()


def decode(kind: Kind, data: bytes) -> Any:
    """The value of bytes that a guest gave.

    Raises:
        ValueError: They are no UTF-8, or no JSON, or nest too deep.
    """
    if kind == "bytes":
        return data
    if kind == "str":
        return data.decode()
    import json

    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("the guest's JSON nests too deep") from None
