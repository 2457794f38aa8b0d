"""Shapes: how the values of each type are converted, declared by generated packages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Callable, Optional

from ...component import Err, Ok, Variant

if TYPE_CHECKING:
    from .instance import BoundInstance

__all__ = [
    "PLAIN",
    "Convert",
    "Shape",
    "enum",
    "flags",
    "list_of",
    "map_of",
    "option_of",
    "option_of_option",
    "record",
    "result_of",
    "same",
    "tuple_of",
    "variant",
    "wrong_type",
]

#: Converts one value. None does for a conversion that changes nothing.
Convert = Optional[Callable[[Any], Any]]


def same(value: Any) -> Any:
    """The conversion that changes nothing, as a function."""
    return value


def wrong_type(value: Any, wanted: str) -> TypeError:
    """The error for a value of a wrong type.

    Args:
        value: The value.
        wanted: What it should have been, in words.
    """
    return TypeError(f"expected {wanted}, got {type(value).__name__}")


@dataclass(frozen=True, eq=False)
class Shape:
    """How the values of one type are converted.

    Attributes:
        make: Given the instance, makes the pair of conversions: from the component's value to
            Python's ("lift"), and back ("lower").
        nullable: Whether None is among the values on the component's side.
    """

    __module__ = "wasmtime.bindgen.support"  # its public name

    make: Callable[[BoundInstance], tuple[Convert, Convert]]
    nullable: bool = False


#: The shape of everything that passes as it is.
PLAIN = Shape(lambda bound: (None, None))


def record(cls: type, *fields: tuple[str, str, Shape]) -> Shape:
    """A record that a dataclass stands for.

    Args:
        cls: The class.
        fields: For each field, its name in WIT, that of the attribute, and its shape.
    """
    keys = [name.replace("-", "_") for name, _, _ in fields]
    attributes = [attribute for _, attribute, _ in fields]

    def make(bound: BoundInstance) -> tuple[Convert, Convert]:
        lifts, lowers = zip(*(bound.conversions(shape) for _, _, shape in fields))
        if any(lifts):
            steps = [each or same for each in lifts]

            def lift(value: Any) -> Any:
                parts = value.__dict__.values()
                return cls(*[step(part) for step, part in zip(steps, parts)])
        else:

            def lift(value: Any) -> Any:
                return cls(*value.__dict__.values())

        if not any(lowers) and keys == attributes:
            return lift, None  # the component takes any object with these attributes
        plan = list(zip(keys, map(attrgetter, attributes), [each or same for each in lowers]))

        def lower(value: Any) -> Any:
            try:
                return {key: step(get(value)) for key, get, step in plan}
            except AttributeError:
                if isinstance(value, cls):
                    raise
                raise wrong_type(value, cls.__name__) from None

        return lift, lower

    return Shape(make)


def variant(*cases: Any) -> Shape:
    """A variant, each of whose cases a class stands for.

    Args:
        cases: For each case, its name in WIT, the class, and the shape of the payload if it has
            one.
    """

    def make(bound: BoundInstance) -> tuple[Convert, Convert]:
        lifts: dict[str, Callable[[Any], Any]] = {}
        lowers: dict[type, Callable[[Any], Any]] = {}
        for tag, cls, *shape in cases:
            lift, lower = bound.conversions(shape[0]) if shape else (None, None)
            lifts[tag] = _case_lift(cls, lift, bool(shape))
            lowers[cls] = _case_lower(tag, lower, bool(shape))

        def lift_variant(value: Any) -> Any:
            return lifts[value.tag](value.payload)

        def lower_variant(value: Any) -> Any:
            cls = type(value)
            while cls not in lowers:
                bases = [base for base in cls.__mro__ if base in lowers]
                if not bases:
                    names = ", ".join(each.__name__ for each in lowers)
                    raise wrong_type(value, f"one of {names}")
                cls = bases[0]
            return lowers[cls](value)

        return lift_variant, lower_variant

    return Shape(make)


def _case_lift(cls: Any, lift: Convert, payload: bool) -> Callable[[Any], Any]:
    if not payload:
        return lambda _: cls()
    if lift is None:
        return cls  # type: ignore[no-any-return]
    step = lift
    return lambda value: cls(step(value))


def _case_lower(tag: str, lower: Convert, payload: bool) -> Callable[[Any], Any]:
    if not payload:
        return lambda _: Variant(tag)
    step = lower or same
    return lambda value: Variant(tag, step(value.value))


def enum(*members: tuple[str, Any]) -> Shape:
    """An enum, whose cases are the members of an `enum.Enum`.

    Args:
        members: For each case, its name in WIT, and the member.
    """
    by_name = dict(members)
    names = {member: name for name, member in members}
    cls = type(members[0][1]).__name__

    def lower(value: Any) -> Any:
        try:
            return names[value]
        except (KeyError, TypeError):
            raise wrong_type(value, cls) from None

    return Shape(lambda bound: (by_name.__getitem__, lower))


def flags(*members: tuple[str, Any]) -> Shape:
    """Flags, which are the members of an `enum.Flag`.

    Args:
        members: For each flag, its name in WIT, and the member.
    """
    by_name = dict(members)
    cls: Any = type(members[0][1]) if members else None

    def lift(value: Any) -> Any:
        result = cls(0)
        for name in value:
            result |= by_name[name]
        return result

    def lower(value: Any) -> Any:
        if not isinstance(value, cls):
            raise wrong_type(value, cls.__name__)
        return {name for name, member in members if member in value}

    return Shape(lambda bound: (lift, lower))


def list_of(element: Shape) -> Shape:
    """A list.

    Args:
        element: The shape of the elements.
    """

    def make(bound: BoundInstance) -> tuple[Convert, Convert]:
        lift, lower = bound.conversions(element)
        return _each(lift), _each(lower)

    return Shape(make)


def _each(step: Convert) -> Convert:
    if step is None:
        return None
    convert = step
    return lambda values: [convert(value) for value in values]


def map_of(key: Shape, value: Shape) -> Shape:
    """A map.

    Args:
        key: The shape of the keys.
        value: The shape of the values.
    """

    def both(key: Convert, value: Convert) -> Convert:
        if key is None and value is None:
            return None
        first, second = key or same, value or same
        return lambda values: {first(name): second(part) for name, part in values.items()}

    def make(bound: BoundInstance) -> tuple[Convert, Convert]:
        keys, values = bound.conversions(key), bound.conversions(value)
        return both(keys[0], values[0]), both(keys[1], values[1])

    return Shape(make)


def tuple_of(*elements: Shape) -> Shape:
    """A tuple.

    Args:
        elements: The shapes of the elements.
    """

    def all_of(steps: Sequence[Convert]) -> Convert:
        if not any(steps):
            return None
        converts = [step or same for step in steps]

        def convert(values: Any) -> Any:
            if len(values) != len(converts):
                raise TypeError(f"expected a tuple of {len(converts)} elements, got {len(values)}")
            return tuple([step(value) for step, value in zip(converts, values)])

        return convert

    def make(bound: BoundInstance) -> tuple[Convert, Convert]:
        lifts, lowers = zip(*(bound.conversions(shape) for shape in elements))
        return all_of(lifts), all_of(lowers)

    return Shape(make)


def option_of(payload: Shape) -> Shape:
    """An option of what is not an option itself: None, or the payload.

    Args:
        payload: The payload's shape.
    """

    def maybe(step: Convert) -> Convert:
        if step is None:
            return None
        convert = step
        return lambda value: None if value is None else convert(value)

    def make(bound: BoundInstance) -> tuple[Convert, Convert]:
        lift, lower = bound.conversions(payload)
        return maybe(lift), maybe(lower)

    return Shape(make, nullable=True)


def option_of_option(payload: Shape, some: Any) -> Shape:
    """An option of an option: None, or the payload in a `Some`.

    Args:
        payload: The shape of the inner option.
        some: The class `Some`.
    """
    # Where the inner None could be taken for the outer one, the component's value has a tag.
    tagged = payload.nullable

    def make(bound: BoundInstance) -> tuple[Convert, Convert]:
        lift, lower = (each or same for each in bound.conversions(payload))

        def lift_option(value: Any) -> Any:
            if tagged:
                return some(lift(value.payload)) if value.tag == "some" else None
            return None if value is None else some(lift(value))

        def lower_option(value: Any) -> Any:
            if value is None:
                return Variant("none") if tagged else None
            if not isinstance(value, some):
                raise wrong_type(value, "Some or None")
            inner = lower(value.value)
            return Variant("some", inner) if tagged else inner

        return lift_option, lower_option

    return Shape(make, nullable=not tagged)


def result_of(ok: Shape, err: Shape, ok_class: Any, err_class: Any) -> Shape:
    """A result.

    Args:
        ok: The shape of the value.
        err: The shape of the error.
        ok_class: The class `Ok`.
        err_class: The class `Err`.
    """

    def make(bound: BoundInstance) -> tuple[Convert, Convert]:
        lift_ok, lower_ok = (each or same for each in bound.conversions(ok))
        lift_err, lower_err = (each or same for each in bound.conversions(err))

        def lift(value: Any) -> Any:
            if value.tag == "ok":
                return ok_class(lift_ok(value.payload))
            return err_class(lift_err(value.payload))

        def lower(value: Any) -> Any:
            if isinstance(value, ok_class):
                inner: Any = value.value
                return Ok(None if inner is None and ok is PLAIN else lower_ok(inner))
            if isinstance(value, err_class):
                inner = value.value
                return Err(None if inner is None and err is PLAIN else lower_err(inner))
            raise wrong_type(value, "Ok or Err")

        return lift, lower

    return Shape(make)
