"""Values of core WebAssembly as text: arguments that are read, and results that are shown."""

from __future__ import annotations

import struct
from typing import Any

from .._types import ValType
from .status import STATUS_USAGE, Failure

__all__ = ["format_value", "parse_value"]


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
