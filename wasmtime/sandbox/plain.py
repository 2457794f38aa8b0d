"""Values as JSON has them, and back: what crosses to a worker process, and what `to_dict` gives.

None, bools, ints, finite floats, text, lists and dicts with text as keys stand for themselves.
Every other value is a dict with one key that begins with ``$``:

=======================  =================================================
``{"$bytes": text}``     bytes, in Base64
``{"$float": text}``     ``nan``, ``inf`` or ``-inf``
``{"$tuple": [...]}``    a tuple
``{"$set": [...]}``      a set, of flags
``{"$record": {...}}``   a record, dataclass or named tuple
``{"$variant": [...]}``  tag and payload; ``$ok`` and ``$err`` have the payload alone
``{"$dict": [...]}``     pairs of a dict whose keys are not text, or begin with ``$``
=======================  =================================================

`from_plain` makes nothing but these kinds of values, however it is given: it reads what a hostile
process wrote. Both are bounded in depth.
"""

from __future__ import annotations

import math
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, Callable

from ..component import Err, Ok, Record, Variant

__all__ = ["MAX_DEPTH", "from_plain", "to_plain"]

#: How deep values may nest.
MAX_DEPTH = 100


def to_plain(value: Any, depth: int = MAX_DEPTH) -> Any:
    """A value as JSON has it.

    Raises:
        TypeError: There is no form for something in it.
        ValueError: It nests more than 100 levels deep.
    """
    if value is None or (isinstance(value, (bool, str)) and not isinstance(value, Enum)):
        return value
    if isinstance(value, Enum):
        return to_plain(value.value, depth)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"$float": repr(float(value))}
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"$bytes": b64encode(value).decode("ascii")}
    if depth == 0:
        raise ValueError(f"the value nests more than {MAX_DEPTH} levels deep")
    return _compound(value, depth - 1)


def _compound(value: Any, depth: int) -> Any:
    if isinstance(value, Ok):
        return {"$ok": to_plain(value.payload, depth)}
    if isinstance(value, Err):
        return {"$err": to_plain(value.payload, depth)}
    if isinstance(value, Variant):
        return {"$variant": [value.tag, to_plain(value.payload, depth)]}
    record = _fields(value)
    if record is not None:
        return {"$record": {name: to_plain(part, depth) for name, part in record.items()}}
    if isinstance(value, list):
        return [to_plain(part, depth) for part in value]
    if isinstance(value, tuple):
        return {"$tuple": [to_plain(part, depth) for part in value]}
    if isinstance(value, (set, frozenset)):
        return {"$set": sorted((to_plain(part, depth) for part in value), key=repr)}
    if isinstance(value, Mapping):
        if all(isinstance(key, str) and not key.startswith("$") for key in value):
            return {key: to_plain(part, depth) for key, part in value.items()}
        pairs = [[to_plain(key, depth), to_plain(part, depth)] for key, part in value.items()]
        return {"$dict": pairs}
    raise TypeError(f"a value of type {type(value).__name__} is not plain data")


def _fields(value: Any) -> Any:
    """The fields of what stands for a record; None for everything else."""
    if isinstance(value, Record):
        return dict(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: getattr(value, each.name) for each in fields(value)}
    as_dict = getattr(type(value), "_asdict", None) if isinstance(value, tuple) else None
    return None if as_dict is None else as_dict(value)


def from_plain(value: Any, depth: int = MAX_DEPTH) -> Any:
    """The value that `to_plain` gave.

    Raises:
        ValueError: It is nothing that `to_plain` gives, or nests too deep.
    """
    if depth < 0:
        raise ValueError(f"the value nests more than {MAX_DEPTH} levels deep")
    if isinstance(value, list):
        return [from_plain(part, depth - 1) for part in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((key, part),) = value.items()
        if key.startswith("$"):
            return _marked(key, part, depth - 1)
    if any(key.startswith("$") for key in value):
        raise ValueError("a key begins with $")
    return {key: from_plain(part, depth - 1) for key, part in value.items()}


def _marked(mark: str, part: Any, depth: int) -> Any:
    read = _READERS.get(mark)
    if read is None:
        raise ValueError(f"there is no mark {mark[:20]!r}")
    try:
        return read(part, depth)
    except (TypeError, AttributeError, KeyError) as error:
        raise ValueError(f"what {mark} marks is malformed: {error}") from None


def _list(part: Any) -> list[Any]:
    if not isinstance(part, list):
        raise TypeError("no list")
    return part


def _pair(part: Any) -> tuple[Any, Any]:
    first, second = _list(part)
    return first, second


def _text(part: Any) -> str:
    if not isinstance(part, str):
        raise TypeError("no text")
    return part


def _record(part: Any, depth: int) -> Record:
    if not isinstance(part, dict) or not all(key.isidentifier() for key in part):
        raise TypeError("no fields")
    return Record(**{key: from_plain(value, depth) for key, value in part.items()})


def _variant(part: Any, depth: int) -> Variant:
    tag, payload = _pair(part)
    return Variant(_text(tag), from_plain(payload, depth))


_READERS: dict[str, Callable[[Any, int], Any]] = {
    "$bytes": lambda part, depth: b64decode(_text(part), validate=True),
    "$float": lambda part, depth: {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[part],
    "$tuple": lambda part, depth: tuple(from_plain(each, depth) for each in _list(part)),
    "$set": lambda part, depth: {from_plain(each, depth) for each in _list(part)},
    "$record": _record,
    "$variant": _variant,
    "$ok": lambda part, depth: Ok(from_plain(part, depth)),
    "$err": lambda part, depth: Err(from_plain(part, depth)),
    "$dict": lambda part, depth: {
        from_plain(key, depth): from_plain(value, depth) for key, value in map(_pair, _list(part))
    },
}
