"""Values that have no counterpart among Python's own: records, and variants with their cases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Optional

__all__ = ["Err", "Ok", "Record", "UnwrapError", "Variant"]


class Record:
    """A record: its fields are attributes.

    Components return records as objects of this class. They accept any object that has the
    fields as attributes (a dataclass, a named tuple), and dicts.

    The names are those of WIT in snake_case: the field ``user-name`` is ``record.user_name``.
    ``getattr(record, "user-name")`` works as well, and so does ``record.class_`` for a field that
    has the name of a Python keyword.

    A record equals what has the same fields with equal values: another record, a dict, a
    dataclass, a named tuple, or an object with these attributes and no others.

    Args:
        fields: The fields.

    Example:
        >>> from wasmtime.component import Record
        >>> Record(x=1.0, y=2.0)
        Record(x=1.0, y=2.0)
    """

    def __init__(self, /, **fields: Any) -> None:
        self.__dict__.update(fields)

    def __getattr__(self, name: str) -> Any:
        """A field by another spelling of its name."""
        for other in (name.replace("-", "_"), name.replace("_", "-"), name.rstrip("_")):
            if other in self.__dict__:
                return self.__dict__[other]
        raise AttributeError(
            f"the record has no field {name!r}, only {', '.join(self.__dict__) or 'none at all'}"
        )

    def __eq__(self, other: object) -> bool:
        theirs = _fields(other)
        return NotImplemented if theirs is None else self.__dict__ == theirs

    __hash__ = None  # type: ignore[assignment]

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        """Pairs of name and value, so that ``dict(record)`` works."""
        return iter(list(self.__dict__.items()))

    def __repr__(self) -> str:
        return f"Record({', '.join(f'{key}={value!r}' for key, value in self.__dict__.items())})"


def _fields(value: Any) -> Optional[dict[Any, Any]]:
    """The fields of anything that can stand for a record; None if it has none."""
    if isinstance(value, dict):
        return {
            key.replace("-", "_") if isinstance(key, str) else key: part
            for key, part in value.items()
        }
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: getattr(value, each.name, None) for each in fields(value)}
    as_dict = getattr(type(value), "_asdict", None) if isinstance(value, tuple) else None
    return getattr(value, "__dict__", None) if as_dict is None else as_dict(value)


@dataclass(eq=False)
class Variant:
    """A value of a variant, with the case that it is.

    Variants compare by tag and payload.

    Attributes:
        tag: Name of the case, as in the type.
        payload: What the case carries; None if it carries nothing.
    """

    tag: str
    payload: Optional[Any] = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Variant):
            return NotImplemented
        return self.tag == other.tag and bool(self.payload == other.payload)

    __hash__ = None  # type: ignore[assignment]


class UnwrapError(Exception):
    """`Variant.unwrap` of a result that is an error.

    Attributes:
        error: The error's payload.
    """

    def __init__(self, error: Any) -> None:
        super().__init__(error)
        self.error = error


class Ok(Variant):
    """A result that went well. Equal to ``Variant("ok", payload)``.

    Args:
        payload: The value; None if the type has none.

    Example:
        >>> from wasmtime.component import Ok
        >>> Ok(3).unwrap()
        3
    """

    __match_args__ = ("payload",)  # pyright: ignore[reportAssignmentType]

    def __init__(self, payload: Any = None) -> None:
        super().__init__("ok", payload)

    @property
    def value(self) -> Any:
        """The payload."""
        return self.payload

    def unwrap(self) -> Any:
        """The payload."""
        return self.payload

    def __repr__(self) -> str:
        return f"Ok({self.payload!r})"


class Err(Variant):
    """A result that is an error. Equal to ``Variant("err", payload)``.

    Args:
        payload: The error; None if the type has none.
    """

    __match_args__ = ("payload",)  # pyright: ignore[reportAssignmentType]

    def __init__(self, payload: Any = None) -> None:
        super().__init__("err", payload)

    @property
    def error(self) -> Any:
        """The payload."""
        return self.payload

    def unwrap(self) -> Any:
        """Raise the error.

        Raises:
            UnwrapError: Always, with the payload as its `error`.
        """
        raise UnwrapError(self.payload)

    def __repr__(self) -> str:
        return f"Err({self.payload!r})"
