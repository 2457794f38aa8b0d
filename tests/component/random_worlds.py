"""Random types of components, and values of them, for comparing two ways to pass them."""

from __future__ import annotations

import struct
from random import Random
from typing import Any, Callable

from wasmtime.component import Err, Ok, Record, Variant

Value = Callable[[], Any]

_INTEGERS = {f"{sign}{bits}": (sign, bits) for sign in "su" for bits in (8, 16, 32, 64)}
_SCALARS = (*_INTEGERS, "f32", "f64", "bool", "char")


class World:
    """A random type and a maker of its values.

    Attributes:
        text: The type as `echo.declare` takes it.
        value: Makes a random value.
    """

    def __init__(self, random: Random, depth: int = 6) -> None:
        self._random = random
        self._named: list[str] = []
        text, self.value, _ = self._type(depth)
        if text.startswith("$"):  # the last one is not to have a name
            text = self._named.pop().partition(" = ")[2]
        self.text = " ; ".join([*self._named, text])

    def _type(self, depth: int) -> tuple[str, Value, str]:
        forms: list[Callable[[int], tuple[str, Value, str]]] = [self._scalar, self._string]
        if depth > 0:
            forms += 3 * [self._list] + [
                self._record,
                self._tuple,
                self._variant,
                self._option,
                self._result,
                self._enum,
                self._flags,
                self._map,
            ]
        return self._random.choice(forms)(depth - 1)

    def _name(self, definition: str) -> str:
        name = f"n{len(self._named)}"
        self._named.append(f"{name} = {definition}")
        return f"${name}"

    def _scalar(self, depth: int) -> tuple[str, Value, str]:
        random, name = self._random, self._random.choice(_SCALARS)
        if name in _INTEGERS:
            sign, bits = _INTEGERS[name]
            low = -(1 << bits - 1) if sign == "s" else 0
            return name, lambda: random.choice((low, low + (1 << bits) - 1, low + 7)), "scalar"
        makers: dict[str, Value] = {
            "f32": lambda: struct.unpack("<f", random.randbytes(3) + b"\x41")[0],
            "f64": lambda: random.choice((0.0, -1.5, 1e300, float("inf"), random.random())),
            "bool": lambda: random.random() < 0.5,
            "char": lambda: random.choice("aé€😀\0\ud7ff\ue000\U0010ffff"),
        }
        return name, makers[name], "scalar"

    def _string(self, depth: int) -> tuple[str, Value, str]:
        random = self._random
        return "string", lambda: random.choice(("", "é€😀", "x" * 200, "\0")), "string"

    def _list(self, depth: int) -> tuple[str, Value, str]:
        random = self._random
        text, make, _ = self._type(depth)
        if text == "u8":
            return "(list u8)", lambda: random.randbytes(random.choice((0, 1, 111, 300))), "list"
        return (
            f"(list {text})",
            lambda: [make() for _ in range(random.choice((0, 1, 2, 5)))],
            "list",
        )

    def _parts(self, depth: int) -> list[tuple[str, Value, str]]:
        return [self._type(depth) for _ in range(self._random.randint(1, 5))]

    def _record(self, depth: int) -> tuple[str, Value, str]:
        parts = self._parts(depth)
        fields = " ".join(f'(field "f{n}" {text})' for n, (text, _, _) in enumerate(parts))
        makers = {f"f{n}": make for n, (_, make, _) in enumerate(parts)}
        return (
            self._name(f"(record {fields})"),
            lambda: Record(**{name: make() for name, make in makers.items()}),
            "record",
        )

    def _tuple(self, depth: int) -> tuple[str, Value, str]:
        parts = self._parts(depth)
        text = f"(tuple {' '.join(text for text, _, _ in parts)})"
        return text, lambda: tuple(make() for _, make, _ in parts), "tuple"

    def _variant(self, depth: int) -> tuple[str, Value, str]:
        random = self._random
        parts = self._parts(depth)
        cases = " ".join(f'(case "c{n}" {text})' for n, (text, _, _) in enumerate(parts))

        def value() -> Variant:
            number = random.randrange(len(parts) + 1)
            if number == len(parts):
                return Variant("nothing")
            return Variant(f"c{number}", parts[number][1]())

        return self._name(f'(variant {cases} (case "nothing"))'), value, "variant"

    def _option(self, depth: int) -> tuple[str, Value, str]:
        random = self._random
        text, make, kind = self._type(depth)
        if kind == "option":  # None could be either
            return (
                f"(option {text})",
                lambda: Variant("some", make()) if random.random() < 0.7 else Variant("none"),
                "tagged option",
            )
        return f"(option {text})", lambda: make() if random.random() < 0.7 else None, "option"

    def _result(self, depth: int) -> tuple[str, Value, str]:
        random = self._random
        (ok, good, _), (err, bad, _) = self._type(depth), self._type(depth)
        return (
            f"(result {ok} (error {err}))",
            lambda: Ok(good()) if random.random() < 0.5 else Err(bad()),
            "result",
        )

    def _enum(self, depth: int) -> tuple[str, Value, str]:
        random, count = self._random, self._random.choice((1, 3, 300))
        names = " ".join(f'"e{n}"' for n in range(count))
        return self._name(f"(enum {names})"), lambda: f"e{random.randrange(count)}", "enum"

    def _flags(self, depth: int) -> tuple[str, Value, str]:
        random, count = self._random, self._random.choice((1, 8, 9, 17, 32))
        names = [f"g{n}" for n in range(count)]
        text = " ".join(f'"{name}"' for name in names)
        return (
            self._name(f"(flags {text})"),
            lambda: {name for name in names if random.random() < 0.5},
            "flags",
        )

    def _map(self, depth: int) -> tuple[str, Value, str]:
        random = self._random
        text, make, _ = self._type(depth)
        return (
            f"(map string {text})",
            lambda: {f"k{n}": make() for n in range(random.choice((0, 1, 3)))},
            "map",
        )
