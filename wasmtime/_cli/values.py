"""Values of core WebAssembly as text: arguments that are read, and results that are shown."""

from __future__ import annotations

import json
import struct
from typing import Any, Optional

from .._types import ValType
from .status import STATUS_USAGE, Failure

__all__ = ["format_value", "parse_value", "plain_argument", "plain_text"]


def parse_value(text: str, kind: ValType, what: str) -> Any:
    """An argument for a parameter of type `kind`; `what` names it in messages.

    Raises:
        Failure: It has not the form of the type.
    """
    try:
        if kind in (ValType.i32(), ValType.i64()):
            bits = 32 if kind == ValType.i32() else 64
            digits = text.lstrip("+-").lower()
            number = int(text, 16 if digits.startswith("0x") else 10)
            if not -(1 << (bits - 1)) <= number < 1 << bits:
                raise Failure(f"{what} is out of range for {kind}: {text}", STATUS_USAGE)
            return number
        if kind in (ValType.f32(), ValType.f64()):
            return float(text)
    except ValueError:
        raise Failure(f"{what} is not a number of type {kind}: {text!r}", STATUS_USAGE) from None
    raise Failure(f"{what} has the type {kind}, which has no text form", STATUS_USAGE)


def format_value(value: Any, kind: ValType) -> str:
    """A result as text: numbers in decimal, references by their type alone."""
    if kind == ValType.f32():
        return _format_f32(value)
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (bytes, bytearray)):
        return str(int.from_bytes(value, "little"))
    return f"<null {kind}>" if value is None else f"<{kind}>"


def _format_f32(value: float) -> str:
    """The shortest decimal number that is this one in single precision."""
    single = struct.pack("<f", value)
    for digits in range(6, 9):
        text = f"{value:.{digits}g}"
        if struct.pack("<f", float(text)) == single:
            return repr(float(text))
    return repr(float(f"{value:.9g}"))


def plain_argument(text: str) -> Any:
    """An argument whose type is not known here: a value of JSON, or the text itself.

    A text that is a value of JSON has to be one in quotes: ``'"5"'``.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return int(text, 0)
    except ValueError:
        return text


def plain_text(value: Any) -> Optional[str]:
    """A result as text: a string as it is, everything else as JSON; None for no result."""
    if value is None or isinstance(value, str):
        return value
    from .component_values import to_text

    return to_text(value)
