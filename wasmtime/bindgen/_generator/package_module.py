"""A module of a package, with the type hints that its code needs."""

from __future__ import annotations

from collections.abc import Container
from typing import Optional

from .layout import Code, Group, flat
from .model import (
    Declaration,
    Expression,
    FixedListOf,
    HandleTo,
    ListOf,
    MapOf,
    Opaque,
    OptionOf,
    Plain,
    Reference,
    TupleOf,
    unaliased,
)
from .module import Module
from .package import Package, Place

__all__ = ["PackageModule", "is_option"]

_INTEGERS = ("u8", "s8", "u16", "s16", "u32", "s32", "u64", "s64")
_PLAIN = {
    "bool": "bool",
    "f32": "float",
    "f64": "float",
    "char": "str",
    "string": "str",
    **dict.fromkeys(_INTEGERS, "int"),
}

#: The numbers whose lists may be arrays, and what the names of their type hints begin with. A list
#: of u8 is bytes.
_NUMBERS = {
    "f32": "Float",
    "f64": "Float",
    **{name: "Int" for name in _INTEGERS if name != "u8"},
}


def is_option(expression: Expression) -> bool:
    """Whether a type is an option, for which None is a value already."""
    return isinstance(unaliased(expression), OptionOf)


def _is_byte(expression: Expression) -> bool:
    """Whether a list of these is bytes."""
    expression = unaliased(expression)
    return isinstance(expression, Plain) and expression.name == "u8"


class PackageModule(Module):
    """A module of a package.

    Args:
        package: The package.
        docs: The module's docstring.
        defined: The names that it defines itself.
        directory: "imports" or "exports"; empty at the top of the package.
        place: The interface whose module it is, if any.
        submodules: For a package's ``__init__``, the names of the modules beside it.

    Attributes:
        later: Names that the module defines further below.
    """

    def __init__(
        self,
        package: Package,
        docs: str,
        defined: set[str],
        directory: str = "",
        place: Optional[Place] = None,
        submodules: Container[str] = (),
    ) -> None:
        super().__init__(docs, defined, submodules, package.asynchronous)
        self.package = package
        self.directory = directory
        self.place = place
        self.later: set[str] = set()
        #: Whether the last annotation used a name of `later`.
        self._forward = False

    def class_name(self, declaration: Declaration, hidden: Container[str] = ()) -> str:
        """What a declared type is called in this module."""
        place = self.package.place_of(declaration)
        name = place.types[declaration]
        if place is self.place:
            return name
        up = ".." if self.directory else "."
        source = "." if self.directory == place.directory else up + place.directory
        return f"{self.use(source, place.module, hidden)}.{name}"

    def shared(self, name: str, hidden: Container[str] = ()) -> str:
        """What `Ok`, `Err`, `Result` or `Some` is called in this module."""
        self.package.shared.add("Some" if name == "Some" else "Result")
        return self.use("..types" if self.directory else ".types", name, hidden)

    def hint(
        self,
        expression: Optional[Expression],
        hidden: Container[str] = (),
        around: str = "",
        given: bool = False,
    ) -> Code:
        """The type hint for a type, in quotes if it uses names that are only defined later.

        Args:
            expression: The type; None for the result of a function that has none.
            hidden: Names that mean something else where the hint is used.
            around: The generic type that it is the argument of, if any.
            given: Whether it is for what the component is given, which may be of more types than
                what it gives.
        """
        self._forward = False
        code: Code = "None"
        if expression is not None:
            code = self.annotation(expression, hidden, given and self._takes_more(expression))
        if around:
            code = Group(around, "[]", [code])
        return f'"{flat(code)}"' if self._forward else code

    def annotation(
        self, expression: Expression, hidden: Container[str] = (), takes_more: bool = False
    ) -> Code:
        """As `hint`, without quotes.

        Args:
            expression: The type.
            hidden: Names that mean something else where the annotation is used.
            takes_more: Whether it is for any numbers that a list, or an option of one, is made of.
        """
        if takes_more:
            expression = unaliased(expression)
        if isinstance(expression, Plain):
            return self.use("builtins", _PLAIN[expression.name], hidden)
        if isinstance(expression, Opaque):
            return self.use("typing", "Any", hidden)
        if isinstance(expression, Reference):
            return self._named(expression.declaration, hidden)
        if isinstance(expression, HandleTo):
            return self._named(expression.resource, hidden)
        if isinstance(expression, (ListOf, FixedListOf)):
            if _is_byte(expression.element):
                return self.use("builtins", "bytes", hidden)
            if self._is_array(expression):
                return self._array(expression.element, hidden, takes_more)
            return self._generic("List", [expression.element], hidden)
        if isinstance(expression, MapOf):
            return self._generic("Dict", [expression.key, expression.value], hidden)
        if isinstance(expression, TupleOf):
            return self._generic("Tuple", expression.elements, hidden)
        if isinstance(expression, OptionOf):
            payload = self.annotation(expression.payload, hidden, takes_more)
            if is_option(expression.payload):
                payload = Group(self.shared("Some", hidden), "[]", [payload])
            return Group(self.use("typing", "Optional", hidden), "[]", [payload])
        sides: list[Code] = [
            "None" if side is None else self.annotation(side, hidden)
            for side in (expression.ok, expression.err)
        ]
        return Group(self.shared("Result", hidden), "[]", sides)

    def _is_array(self, expression: Expression) -> bool:
        """Whether the component gives a list of a type as an array."""
        if not self.package.arrays or not isinstance(expression, (ListOf, FixedListOf)):
            return False
        element = unaliased(expression.element)
        return isinstance(element, Plain) and element.name in _NUMBERS

    def _takes_more(self, expression: Expression) -> bool:
        """Whether the component takes more for a type than the arrays that it gives."""
        expression = unaliased(expression)
        if isinstance(expression, OptionOf):
            return self._takes_more(expression.payload)
        return self._is_array(expression)

    def _array(self, element: Expression, hidden: Container[str], takes_more: bool) -> str:
        """The type hint for a list of numbers."""
        element = unaliased(element)
        assert isinstance(element, Plain)
        name = _NUMBERS[element.name]
        name = f"{name}s" if takes_more else f"{name}Array"
        return self.use("wasmtime.bindgen.support", name, hidden)

    def _named(self, declaration: Declaration, hidden: Container[str]) -> str:
        name = self.class_name(declaration, hidden)
        if name in self.later:
            self._forward = True
        return name

    def _generic(self, name: str, arguments: list[Expression], hidden: Container[str]) -> Code:
        items = [self.annotation(each, hidden) for each in arguments]
        return Group(self.use("typing", name, hidden), "[]", items)
