"""Values of components as text: arguments that are read, and results that are shown."""

from __future__ import annotations

import json
from typing import Any, Optional

from ..component import (
    F32,
    F64,
    Bool,
    Char,
    EnumType,
    ListType,
    MapType,
    OptionType,
    Record,
    RecordType,
    String,
    TupleType,
    ValType,
    Variant,
    VariantType,
)
from .status import STATUS_USAGE, Failure

__all__ = ["parse_argument", "to_text"]


def parse_argument(text: str, ty: ValType, what: str) -> Any:
    """A value from a command line.

    A string as it is, a number, ``true`` or ``false``, the name of an enum's case; everything else
    as JSON (a variant as an object with its case as the only key).

    Args:
        text: The argument.
        ty: The type that is wanted.
        what: Its name, for the error.

    Raises:
        Failure: The text is not of that form.
    """
    if isinstance(ty, (String, Char, EnumType)):
        return text
    try:
        if isinstance(ty, (F32, F64)):
            return float(text)
        return _from_json(json.loads(text), ty)
    except ValueError:
        raise Failure(f"{what} is not a value of type {ty}: {text!r}", STATUS_USAGE) from None
    except RecursionError:
        raise Failure(
            f"{what} is nested too deeply for a value of type {ty}", STATUS_USAGE
        ) from None


def _from_json(value: Any, ty: Optional[ValType]) -> Any:
    """What JSON cannot say by itself: tuples, variants, flags."""
    if ty is None or isinstance(ty, Bool):
        return value
    if isinstance(ty, ListType) and isinstance(value, list):
        return [_from_json(each, ty.element) for each in value]
    if isinstance(ty, TupleType) and isinstance(value, list):
        return tuple(_from_json(each, part) for each, part in zip(value, ty.elements))
    if isinstance(ty, RecordType) and isinstance(value, dict):
        parts = dict(ty.fields)
        return {
            name: _from_json(each, parts.get(name, parts.get(name.replace("_", "-"))))
            for name, each in value.items()
        }
    if isinstance(ty, OptionType):
        return None if value is None else _from_json(value, ty.payload)
    if isinstance(ty, VariantType):
        if isinstance(value, str):
            return Variant(value)
        if isinstance(value, dict) and len(value) == 1:
            ((tag, payload),) = value.items()
            return Variant(tag, _from_json(payload, dict(ty.cases).get(tag)))
    if isinstance(ty, MapType) and isinstance(value, dict):
        return {key: _from_json(each, ty.value) for key, each in value.items()}
    return value


def to_text(value: Any) -> str:
    """A result for a terminal: a string as it is, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(_to_json(value), ensure_ascii=False)


def _to_json(value: Any) -> Any:
    if isinstance(value, Record):
        return {name: _to_json(each) for name, each in value}
    if isinstance(value, Variant):
        return {value.tag: _to_json(value.payload)}
    if isinstance(value, (list, tuple)):
        return [_to_json(each) for each in value]
    if isinstance(value, dict):
        return {str(key): _to_json(each) for key, each in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if isinstance(value, bytes):
        return list(value)
    return value if isinstance(value, (int, float, str, bool, type(None))) else repr(value)
