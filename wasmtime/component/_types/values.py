"""The types of values.

They are plain, immutable Python values, which own nothing native but the identity of resources.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Optional

from .._errors import UnsupportedTypeError
from .._resource_type import ResourceType
from .._resources import ResourceAny, ResourceHost
from .._values import Record, Variant

__all__ = [
    "F32",
    "F64",
    "S8",
    "S16",
    "S32",
    "S64",
    "U8",
    "U16",
    "U32",
    "U64",
    "Bool",
    "BorrowType",
    "Char",
    "EnumType",
    "ErrorContext",
    "FixedLengthListType",
    "FlagsType",
    "FutureType",
    "ListType",
    "MapType",
    "OptionType",
    "OwnType",
    "RecordType",
    "ResultType",
    "StreamType",
    "String",
    "TupleType",
    "ValType",
    "VariantLikeType",
    "VariantType",
    "unsupported_part",
]


class ValType:
    """Base of the types of values."""

    __slots__ = ()

    #: The Python classes that values are lifted to, where that does not depend on the parts.
    _lifts_to: ClassVar[tuple[type, ...]] = ()

    def add_classes(self, s: set[type]) -> None:
        """Add the Python classes that values of this type are lifted to.

        Args:
            s: The set to add to.

        Raises:
            UnsupportedTypeError: The C API has no values of this type.
        """
        s.update(self._lifts_to)

    def _inner(self) -> Iterable[Optional[ValType]]:
        """The types that this one is made of; None where one is left out."""
        return ()

    def __str__(self) -> str:
        from .wit import wit_type

        return wit_type(self)


class _Simple(ValType):
    """A type without parts."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self)

    def __hash__(self) -> int:
        return hash(type(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class _Unsupported(ValType):
    """A type that the C API has no values of."""

    __slots__ = ()

    _word: ClassVar[str]

    def add_classes(self, s: set[type]) -> None:
        """Raise UnsupportedTypeError."""
        raise UnsupportedTypeError(f"values of type {self._word} are not supported by the C API")


class Bool(_Simple):
    """``bool``: True or False."""

    __slots__ = ()
    _lifts_to = (bool,)


class S8(_Simple):
    """``s8``: an int, -128 ... 127."""

    __slots__ = ()
    _lifts_to = (int,)


class S16(_Simple):
    """``s16``: an int, -32768 ... 32767."""

    __slots__ = ()
    _lifts_to = (int,)


class S32(_Simple):
    """``s32``: an int, -2**31 ... 2**31-1."""

    __slots__ = ()
    _lifts_to = (int,)


class S64(_Simple):
    """``s64``: an int, -2**63 ... 2**63-1."""

    __slots__ = ()
    _lifts_to = (int,)


class U8(_Simple):
    """``u8``: an int, 0 ... 255."""

    __slots__ = ()
    _lifts_to = (int,)


class U16(_Simple):
    """``u16``: an int, 0 ... 65535."""

    __slots__ = ()
    _lifts_to = (int,)


class U32(_Simple):
    """``u32``: an int, 0 ... 2**32-1."""

    __slots__ = ()
    _lifts_to = (int,)


class U64(_Simple):
    """``u64``: an int, 0 ... 2**64-1."""

    __slots__ = ()
    _lifts_to = (int,)


class F32(_Simple):
    """``f32``: a float, rounded to single precision."""

    __slots__ = ()
    _lifts_to = (float,)


class F64(_Simple):
    """``f64``: a float."""

    __slots__ = ()
    _lifts_to = (float,)


class Char(_Simple):
    """``char``: a str of one character that is not a surrogate."""

    __slots__ = ()
    _lifts_to = (str,)


class String(_Simple):
    """``string``: a str without lone surrogates."""

    __slots__ = ()
    _lifts_to = (str,)


class ErrorContext(_Simple, _Unsupported):
    """``error-context``, which the C API has no values of."""

    __slots__ = ()
    _word = "error-context"


@dataclass(frozen=True)
class _Sequence(ValType):
    """A type of lists."""

    element: ValType

    def add_classes(self, s: set[type]) -> None:
        """Add bytes if the elements are bytes, else list."""
        s.add(bytes if isinstance(self.element, U8) else list)

    def _inner(self) -> Iterable[Optional[ValType]]:
        return (self.element,)


@dataclass(frozen=True)
class ListType(_Sequence):
    """``list<element>``: a list, or bytes if the element is `U8`.

    Attributes:
        element: The type of the elements.
    """


@dataclass(frozen=True)
class FixedLengthListType(_Sequence):
    """``list<element, length>``: a list of a length that the type says.

    The C API does not tell the length; a value of another one is refused by the call.

    Attributes:
        element: The type of the elements.
    """


@dataclass(frozen=True)
class MapType(ValType):
    """``map<key, value>``: a dict.

    Attributes:
        key: The type of the keys.
        value: The type of the values.
    """

    _lifts_to = (dict,)

    key: ValType
    value: ValType

    def _inner(self) -> Iterable[Optional[ValType]]:
        return (self.key, self.value)


class _Parts(ValType):
    """A type that is given by a tuple."""

    __slots__ = ("_parts",)

    _parts: tuple[Any, ...]

    def __init__(self, parts: Iterable[Any]) -> None:
        object.__setattr__(self, "_parts", tuple(parts))

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} objects cannot be changed")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Parts) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[Any, ...]:
        return (type(self), self._parts)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self._parts)!r})"

    def __reduce__(self) -> Any:
        return type(self), (self._parts,)


class RecordType(_Parts):
    """``record``: a `Record`.

    Args:
        fields: Pairs of name and type.
    """

    __slots__ = ()
    _lifts_to = (Record,)

    def __init__(self, fields: Iterable[tuple[str, ValType]]) -> None:
        super().__init__((name, ty) for name, ty in fields)

    @property
    def fields(self) -> list[tuple[str, ValType]]:
        """The fields: pairs of name and type."""
        return list(self._parts)

    def _inner(self) -> Iterable[Optional[ValType]]:
        return (ty for _, ty in self._parts)


class TupleType(_Parts):
    """``tuple``: a tuple.

    Args:
        elements: The types of the elements.
    """

    __slots__ = ()
    _lifts_to = (tuple,)

    def __init__(self, elements: Iterable[ValType]) -> None:
        super().__init__(elements)

    @property
    def elements(self) -> list[ValType]:
        """The types of the elements."""
        return list(self._parts)

    def _inner(self) -> Iterable[Optional[ValType]]:
        return self._parts


class VariantLikeType(ValType):
    """What has cases: variants, options and results.

    A function that is called the way of older versions (`Instance.get_func`) gives the bare
    payload if the classes of all payloads differ, so that the class tells the case, and a
    `Variant` otherwise. Functions from `Instance.exports` give a `Variant`, `Ok` or `Err` always.
    """

    __slots__ = ()

    @abstractmethod
    def _cases(self) -> list[tuple[str, Optional[ValType]]]:
        """The cases: pairs of name and the payload's type."""

    def add_classes(self, s: set[type]) -> None:
        """Add the classes of the payloads, or `Variant` where they do not tell the case."""
        seen: set[type] = set()
        for ty in self._inner():
            classes: set[type] = {object} if ty is None else set()
            if ty is not None:
                ty.add_classes(classes)
            if not classes.isdisjoint(seen):
                s.add(Variant)
                return
            seen |= classes
        s |= seen

    def _inner(self) -> Iterable[Optional[ValType]]:
        return (ty for _, ty in self._cases())


class VariantType(_Parts, VariantLikeType):
    """``variant``: a `Variant`, or in older programs the bare payload; see `VariantLikeType`.

    Args:
        cases: Pairs of name and the payload's type, None where there is no payload.
    """

    __slots__ = ()

    def __init__(self, cases: Iterable[tuple[str, Optional[ValType]]]) -> None:
        super().__init__((name, ty) for name, ty in cases)

    @property
    def cases(self) -> list[tuple[str, Optional[ValType]]]:
        """The cases: pairs of name and the payload's type, None where there is no payload."""
        return list(self._parts)

    def _cases(self) -> list[tuple[str, Optional[ValType]]]:
        return self.cases


class _Names(_Parts):
    """A type that is given by names."""

    __slots__ = ()

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__(names)

    @property
    def names(self) -> list[str]:
        """The names, in the order of the type."""
        return list(self._parts)


class EnumType(_Names):
    """``enum``: a str, the name of the case.

    Args:
        names: The names of the cases.
    """

    __slots__ = ()
    _lifts_to = (str,)

    @property
    def names_count(self) -> int:
        """How many cases there are."""
        return len(self._parts)

    def name(self, n: int) -> Optional[str]:
        """The name of case `n`, counted from 0; None if there are not so many."""
        return str(self._parts[n]) if 0 <= n < len(self._parts) else None


class FlagsType(_Names):
    """``flags``: a set of str.

    Args:
        names: The names of the flags.
    """

    __slots__ = ()
    _lifts_to = (set,)


@dataclass(frozen=True)
class OptionType(VariantLikeType):
    """``option<payload>``: the payload or None.

    Where None may be a payload, it is a `Variant` with the tag ``some`` or ``none``.

    Attributes:
        payload: The type of the payload.
    """

    payload: ValType

    def _cases(self) -> list[tuple[str, Optional[ValType]]]:
        return [("none", None), ("some", self.payload)]


@dataclass(frozen=True)
class ResultType(VariantLikeType):
    """``result<ok, err>``: `Ok` or `Err`.

    In older programs it is the bare payload; see `VariantLikeType`.

    Attributes:
        ok: The type of the value, or None.
        err: The type of the error, or None.
    """

    ok: Optional[ValType] = None
    err: Optional[ValType] = None

    def _cases(self) -> list[tuple[str, Optional[ValType]]]:
        return [("ok", self.ok), ("err", self.err)]


@dataclass(frozen=True)
class _Channel(_Unsupported):
    """A type of values that arrive later."""

    payload: Optional[ValType] = None

    def _inner(self) -> Iterable[Optional[ValType]]:
        return (self.payload,)


@dataclass(frozen=True)
class FutureType(_Channel):
    """``future<payload>``, which the C API has no values of.

    Attributes:
        payload: The type of the payload, or None.
    """

    _word = "future"


@dataclass(frozen=True)
class StreamType(_Channel):
    """``stream<payload>``, which the C API has no values of.

    Attributes:
        payload: The type of the payload, or None.
    """

    _word = "stream"


@dataclass(frozen=True)
class _Handle(ValType):
    """A type of resources that are passed."""

    _lifts_to = (ResourceAny, ResourceHost)

    ty: ResourceType


@dataclass(frozen=True)
class OwnType(_Handle):
    """``own<ty>``: a resource that is handed over, `ResourceAny` or `ResourceHost`.

    Attributes:
        ty: The type of the resource.
    """


@dataclass(frozen=True)
class BorrowType(_Handle):
    """``borrow<ty>``: a resource that is lent for a call, `ResourceAny` or `ResourceHost`.

    Attributes:
        ty: The type of the resource.
    """


def unsupported_part(ty: Optional[ValType]) -> Optional[str]:
    """What in a type the C API has no values of; None if it has them all."""
    seen: set[int] = set()  # a part that is used often is looked at once

    def find(part: Optional[ValType]) -> Optional[str]:
        if part is None or id(part) in seen:
            return None
        if isinstance(part, _Unsupported):
            return str(part)
        seen.add(id(part))
        found = (find(inner) for inner in part._inner())
        return next((text for text in found if text is not None), None)

    return find(ty)
