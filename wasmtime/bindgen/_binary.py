"""The types of a component, read from its binary form.

Types in the component model are structural: two records with the same fields are one type, and
the library says no more about them. Bindings need what the author wrote, that is the names of
types and which interface declares them. The binary has both, as exports and imports of types, so
this module reads it: sections, index spaces, and the instantiation of components inside of
components as far as it concerns types.

The component need not be valid, nor its author a friend. What is read has well-formed names, no
type or component is nested deeper than `MAX_DEPTH`, and no more work is done than for `MAX_PARTS`
parts: a few bytes can describe millions. Whether it is valid otherwise is found out when it is
compiled.

Identity carries meaning: an object of `Type` is one type of one declaration, and a `Named` is
what an import or export of a type introduces.

Stands on the component model's binary format (``design/mvp/Binary.md``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Callable, Optional, TypeVar, Union

__all__ = [
    "MAX_DEPTH",
    "MAX_PARTS",
    "PRIMITIVES",
    "Budget",
    "Declared",
    "Decoded",
    "EnumType",
    "FixedList",
    "Flags",
    "Func",
    "Handle",
    "Instance",
    "ListType",
    "MapType",
    "Named",
    "OpaqueType",
    "Option",
    "Primitive",
    "Reader",
    "Record",
    "Resource",
    "Result",
    "TupleType",
    "Type",
    "UnsupportedComponent",
    "Variant",
    "decode",
    "is_component",
]

_COMPONENT_PREAMBLE = b"\0asm\x0d\0\x01\0"

#: How many levels of types, or of instances of components, may be inside of one another.
MAX_DEPTH = 64
#: How many parts (declarations, fields, types written out) a component may come to.
MAX_PARTS = 100_000
#: Longest number in LEB128, in bytes.
_MAX_LEB = 10

#: The name of a field, case, flag or parameter.
_LABEL = re.compile(r"[A-Za-z][0-9A-Za-z]*(-[0-9A-Za-z]+)*")

_Part = TypeVar("_Part")

#: Code of each primitive type.
PRIMITIVES = {
    0x7F: "bool",
    0x7E: "s8",
    0x7D: "u8",
    0x7C: "s16",
    0x7B: "u16",
    0x7A: "s32",
    0x79: "u32",
    0x78: "s64",
    0x77: "u64",
    0x76: "f32",
    0x75: "f64",
    0x74: "char",
    0x73: "string",
    0x64: "error-context",
}


class UnsupportedComponent(ValueError):
    """A component that uses what bindings cannot express."""


class Budget:
    """What is left of the work that one component may cause."""

    def __init__(self) -> None:
        self.left = MAX_PARTS

    def spend(self, count: int = 1) -> None:
        """Note that `count` more parts are dealt with.

        Raises:
            UnsupportedComponent: They are too many.
        """
        self.left -= count
        if self.left < 0:
            raise _too_large()


def is_component(binary: bytes) -> bool:
    """Whether a binary is a component rather than a core module."""
    return binary[:4] == b"\0asm" and binary[6:8] == b"\x01\0"


# --- types ---------------------------------------------------------------------------------------


class Type:
    """Base of all types. Compared by identity.

    Attributes:
        depth: How many types are inside of one another here.
        size: How many types it consists of, when it is written out.
        links: How many names follow each other until there is a type without one.
    """

    depth = 1
    size = 1
    links = 0

    def measure(self, parts: Iterable[Optional[Type]]) -> None:
        """Note what it consists of.

        Raises:
            UnsupportedComponent: It is nested too deeply, or too large.
        """
        inner = [part for part in parts if part is not None]
        self.depth = 1 + max((part.depth for part in inner), default=0)
        self.size = 1 + sum(part.size for part in inner)
        if self.depth > MAX_DEPTH:
            raise _too_deep()
        if self.size > MAX_PARTS:
            raise _too_large()


def _too_deep() -> UnsupportedComponent:
    return UnsupportedComponent(
        f"the component is nested too deeply for bindings: more than {MAX_DEPTH} types, names or "
        "instances are inside of one another"
    )


def _too_large() -> UnsupportedComponent:
    return UnsupportedComponent(
        f"the component is too large for bindings: its interfaces and types come to more than "
        f"{MAX_PARTS:,} parts"
    )


@dataclass(eq=False)
class Primitive(Type):
    """One of the types that have a name of their own."""

    name: str


@dataclass(eq=False)
class Record(Type):
    """Fields by name, in order."""

    fields: list[tuple[str, Type]]

    def __post_init__(self) -> None:
        self.measure(type for _, type in self.fields)


@dataclass(eq=False)
class Variant(Type):
    """Cases by name, in order, each with its payload."""

    cases: list[tuple[str, Optional[Type]]]

    def __post_init__(self) -> None:
        self.measure(type for _, type in self.cases)


@dataclass(eq=False)
class ListType(Type):
    """A list of any length."""

    element: Type

    def __post_init__(self) -> None:
        self.measure((self.element,))


@dataclass(eq=False)
class FixedList(Type):
    """A list whose length is part of the type."""

    element: Type
    length: int

    def __post_init__(self) -> None:
        self.measure((self.element,))


@dataclass(eq=False)
class MapType(Type):
    """Values by key."""

    key: Type
    value: Type

    def __post_init__(self) -> None:
        self.measure((self.key, self.value))


@dataclass(eq=False)
class TupleType(Type):
    """A fixed sequence."""

    elements: list[Type]

    def __post_init__(self) -> None:
        self.measure(self.elements)


@dataclass(eq=False)
class Flags(Type):
    """A set of named bits."""

    names: list[str]


@dataclass(eq=False)
class EnumType(Type):
    """One of several names."""

    names: list[str]


@dataclass(eq=False)
class Option(Type):
    """A value, or none."""

    payload: Type

    def __post_init__(self) -> None:
        self.measure((self.payload,))


@dataclass(eq=False)
class Result(Type):
    """A value or an error, both of which may be without a payload."""

    ok: Optional[Type]
    err: Optional[Type]

    def __post_init__(self) -> None:
        self.measure((self.ok, self.err))


@dataclass(eq=False)
class Handle(Type):
    """An own or borrowed handle to a resource."""

    resource: Type
    own: bool


@dataclass(eq=False)
class OpaqueType(Type):
    """A type whose values cannot pass between Python and components: stream, future."""

    name: str


@dataclass(eq=False)
class Resource(Type):
    """A resource type."""


@dataclass(eq=False)
class Named(Type):
    """A type under the name that an import or export gives it."""

    name: str
    target: Type

    def __post_init__(self) -> None:
        self.depth, self.size = self.target.depth, self.target.size
        self.links = 1 + self.target.links
        if self.links > MAX_DEPTH:
            raise _too_deep()


@dataclass(eq=False)
class Func(Type):
    """The type of a function."""

    params: list[tuple[str, Type]]
    result: Optional[Type]
    is_async: bool

    def __post_init__(self) -> None:
        self.measure([type for _, type in self.params] + [self.result])


@dataclass(eq=False)
class Instance:
    """An instance: what it exports, by name and in order."""

    exports: dict[str, Any]


@dataclass(eq=False)
class _InstanceType(Type):
    declarations: list[Callable[[_Scope], None]]
    outer: _Scope

    def instantiate(self, where: _Scope) -> Instance:
        scope = where.inner(self.outer)
        for declare in self.declarations:
            declare(scope)
        return Instance(scope.exports)


@dataclass(eq=False)
class _ComponentType(Type):
    pass


@dataclass(eq=False)
class _Component:
    binary: Optional[Reader]  # None: imported, and known by its type alone
    outer: Optional[_Scope]


@dataclass(eq=False)
class _Other:
    """A core module or a value."""

    what: str


Declared = Union[Func, Instance, Type, _Component, _Other]


@dataclass
class Decoded:
    """What a component imports and exports.

    Attributes:
        imports: By name, in order.
        exports: By name, in order.
        custom: Custom sections at the top level, by name.
    """

    imports: dict[str, Any]
    exports: dict[str, Any]
    custom: dict[str, bytes]


# --- reading -------------------------------------------------------------------------------------


class Reader:
    """A position in a binary."""

    def __init__(self, data: bytes, start: int = 0, end: Optional[int] = None) -> None:
        self.data = data
        self.at = start
        self.end = len(data) if end is None else end

    def byte(self) -> int:
        if self.at >= self.end:
            raise UnsupportedComponent("the binary ends too early")
        value = self.data[self.at]
        self.at += 1
        return value

    def number(self) -> int:
        """An unsigned LEB128 number."""
        result = shift = 0
        for _ in range(_MAX_LEB):
            byte = self.byte()
            result |= (byte & 0x7F) << shift
            if byte < 0x80:
                return result
            shift += 7
        raise UnsupportedComponent("a number that is too long")

    def signed(self) -> int:
        """A signed LEB128 number, by which types are told from their indices."""
        result = shift = 0
        for _ in range(_MAX_LEB):
            byte = self.byte()
            result |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return result - (1 << shift) if byte & 0x40 else result
        raise UnsupportedComponent("a number that is too long")

    def take(self, count: int) -> bytes:
        if self.at + count > self.end:
            raise UnsupportedComponent("the binary ends too early")
        self.at += count
        return self.data[self.at - count : self.at]

    def text(self) -> str:
        """Any text."""
        return self.take(self.number()).decode()

    def name(self) -> str:
        """A name of the component model: printable ASCII."""
        name = self.text()
        if not (name and name.isascii() and name.isprintable()):
            raise UnsupportedComponent(f"a name that is not well-formed: {name!r}")
        return name

    def labels(self, what: str, read: Callable[[str], None]) -> None:
        """Labels, each followed by what `read` reads; they have to differ by more than case."""
        seen = set()
        for _ in range(self.number()):
            label = self.name()
            if not _LABEL.fullmatch(label) or label.lower() in seen:
                raise UnsupportedComponent(f"{what} that is not well-formed, or twice: {label!r}")
            seen.add(label.lower())
            read(label)

    def extern_name(self) -> str:
        """The name of an import or export; what is said about it besides is passed over."""
        form = self.byte()
        name = self.name()
        if form == 2:
            for _ in range(self.number()):
                self.byte()
                self.name()
        elif form > 2:
            raise UnsupportedComponent(f"a name of an unknown form ({form:#x}): {name!r}")
        return name

    def part(self, size: int) -> Reader:
        """The next `size` bytes as a reader of their own."""
        start = self.at
        self.at += size
        if self.at > self.end:
            raise UnsupportedComponent("the binary ends too early")
        return Reader(self.data, start, self.at)


class _Scope:
    """The index spaces of a component, or of a component or instance type.

    Args:
        outer: The scope around it, whose items it can name.
        depth: How many scopes are being read at this moment, this one included.
        budget: What is left of the work.
    """

    def __init__(self, outer: Optional[_Scope], depth: int, budget: Budget) -> None:
        if depth > MAX_DEPTH:
            raise _too_deep()
        self.outer = outer
        self.depth = depth
        self.budget = budget
        self.types: list[Type] = []
        self.funcs: list[Func] = []
        self.instances: list[Instance] = []
        self.components: list[Any] = []
        self.imports: dict[str, Any] = {}
        self.exports: dict[str, Any] = {}

    def inner(self, outer: Optional[_Scope]) -> _Scope:
        """A scope that is read while this one is."""
        return _Scope(outer, self.depth + 1, self.budget)

    def enclosing(self, count: int) -> _Scope:
        scope = self
        for _ in range(count):
            if scope.outer is None:
                raise UnsupportedComponent("an alias of a scope that does not exist")
            scope = scope.outer
        return scope

    def add(self, item: Any) -> None:
        """Give an item that is imported, exported or aliased the next index of its kind."""
        if isinstance(item, Func):
            self.funcs.append(item)
        elif isinstance(item, Instance):
            self.instances.append(item)
        elif isinstance(item, _Component):
            self.components.append(item)
        elif isinstance(item, Type):
            self.types.append(item)

    def get(self, sort: int, index: int) -> Any:
        """The item of a sort at an index."""
        spaces: dict[int, list[Any]] = {
            1: self.funcs,
            3: self.types,
            4: self.components,
            5: self.instances,
        }
        if sort == 0x11:
            return _Other("core module")
        if sort not in spaces:
            return _Other("value" if sort == 2 else "core item")
        return spaces[sort][index]


def _sort(reader: Reader) -> int:
    """A sort; the core sorts, of which only modules matter, as 0x10 and above."""
    sort = reader.byte()
    return 0x10 | (reader.byte() & 0xF) if sort == 0 else sort


# --- types in the binary -------------------------------------------------------------------------

_primitives = {name: Primitive(name) for name in PRIMITIVES.values()}


def _value_type(reader: Reader, scope: _Scope) -> Type:
    code = reader.signed()
    if code >= 0:
        return scope.types[code]
    return _primitives[PRIMITIVES[code & 0x7F]]


def _optional_type(reader: Reader, scope: _Scope) -> Optional[Type]:
    return _value_type(reader, scope) if reader.byte() else None


def _labelled(reader: Reader, scope: _Scope, what: str) -> list[tuple[str, Type]]:
    result: list[tuple[str, Type]] = []
    reader.labels(what, lambda label: result.append((label, _value_type(reader, scope))))
    scope.budget.spend(len(result))
    return result


def _record(reader: Reader, scope: _Scope) -> Type:
    return Record(_some(_labelled(reader, scope, "a field")))


def _variant(reader: Reader, scope: _Scope) -> Type:
    cases: list[tuple[str, Optional[Type]]] = []

    def case(label: str) -> None:
        cases.append((label, _optional_type(reader, scope)))
        reader.byte()  # "refines", which no longer exists

    reader.labels("a case", case)
    scope.budget.spend(len(cases))
    return Variant(_some(cases))


def _tuple(reader: Reader, scope: _Scope) -> Type:
    return TupleType(_some([_value_type(reader, scope) for _ in range(reader.number())]))


def _names(reader: Reader, scope: _Scope, what: str) -> list[str]:
    names: list[str] = []
    reader.labels(what, names.append)
    scope.budget.spend(len(names))
    return _some(names)


def _some(parts: list[_Part]) -> list[_Part]:
    if not parts:
        raise UnsupportedComponent("a record, tuple, variant, enum or flags type of no parts")
    return parts


def _func(reader: Reader, scope: _Scope, is_async: bool) -> Func:
    params = _labelled(reader, scope, "a parameter")
    if reader.byte() == 0:
        return Func(params, _value_type(reader, scope), is_async)
    reader.byte()
    return Func(params, None, is_async)


def _resource(reader: Reader, is_async: bool) -> Type:
    reader.byte()  # its representation, i32
    for _ in range(2 if is_async else 1):
        if reader.byte():
            reader.number()
    return Resource()


def _opaque(reader: Reader, scope: _Scope, name: str) -> Type:
    _optional_type(reader, scope)
    return OpaqueType(name)


_Former = Callable[[Reader, _Scope], Type]

#: Code of each form of a type, to what reads the rest of it.
_FORMS: dict[int, _Former] = {
    0x72: _record,
    0x71: _variant,
    0x70: lambda reader, scope: ListType(_value_type(reader, scope)),
    0x67: lambda reader, scope: FixedList(_value_type(reader, scope), reader.number()),
    0x63: lambda reader, scope: MapType(_value_type(reader, scope), _value_type(reader, scope)),
    0x6F: _tuple,
    0x6E: lambda reader, scope: Flags(_names(reader, scope, "a flag")),
    0x6D: lambda reader, scope: EnumType(_names(reader, scope, "a case")),
    0x6B: lambda reader, scope: Option(_value_type(reader, scope)),
    0x6A: lambda reader, scope: Result(
        _optional_type(reader, scope), _optional_type(reader, scope)
    ),
    0x69: lambda reader, scope: Handle(scope.types[reader.number()], True),
    0x68: lambda reader, scope: Handle(scope.types[reader.number()], False),
    0x66: lambda reader, scope: _opaque(reader, scope, "stream"),
    0x65: lambda reader, scope: _opaque(reader, scope, "future"),
    0x40: lambda reader, scope: _func(reader, scope, False),
    0x43: lambda reader, scope: _func(reader, scope, True),
    0x3F: lambda reader, scope: _resource(reader, False),
    0x3E: lambda reader, scope: _resource(reader, True),
}


def _defined_type(reader: Reader, scope: _Scope) -> Type:
    code = reader.byte()
    if code in _FORMS:
        return _FORMS[code](reader, scope)
    if code in PRIMITIVES:
        # An object of its own, so that an alias of a primitive type can have a name.
        return Primitive(PRIMITIVES[code])
    if code == 0x42:
        return _InstanceType(_declarations(reader, scope, False), scope)
    if code == 0x41:
        _declarations(reader, scope, True)
        return _ComponentType()
    raise UnsupportedComponent(f"a type of an unknown form ({code:#x})")


def _declarations(reader: Reader, scope: _Scope, component: bool) -> list[Callable[[_Scope], None]]:
    """The declarations of a component or instance type, each to be run in a scope.

    Every use of the type runs them anew: a resource that an instance type declares is another one
    in each instance.
    """
    result: list[Callable[[_Scope], None]] = []
    anything = _AnyScope(scope)
    for _ in range(reader.number()):
        scope.budget.spend()
        start = reader.at
        kind = reader.byte()
        if kind == 0:
            raise UnsupportedComponent("types of core modules are not supported in bindings")
        if kind not in (1, 2, 4) and not (component and kind == 3):
            raise UnsupportedComponent(f"a declaration of an unknown kind ({kind:#x})")
        _skip_declaration(reader, anything, kind)
        result.append(_declaration(Reader(reader.data, start + 1, reader.at), kind))
    return result


def _declaration(reader: Reader, kind: int) -> Callable[[_Scope], None]:
    start = reader.at

    def declare(scope: _Scope) -> None:
        scope.budget.spend()
        reader.at = start
        if kind == 1:
            scope.types.append(_defined_type(reader, scope))
        elif kind == 2:
            _alias(reader, scope)
        elif kind == 4:
            name = reader.extern_name()
            item = _described(reader, scope, name)
            scope.exports[name] = item
            scope.add(item)
        else:
            name = reader.extern_name()
            scope.add(_described(reader, scope, name))

    return declare


class _AnyScope(_Scope):
    """A scope that has everything, for passing over what is only looked at later."""

    class _Endless(list):  # type: ignore[type-arg]
        def __getitem__(self, index: Any) -> Any:
            return Primitive("bool")

    def __init__(self, where: _Scope) -> None:
        super().__init__(None, where.depth + 1, where.budget)
        self.types = self._Endless()


def _skip_declaration(reader: Reader, scope: _AnyScope, kind: int) -> None:
    if kind == 1:
        _defined_type(reader, scope)
    elif kind == 2:
        _sort(reader)
        form = reader.byte()
        reader.number()
        if form == 2:
            reader.number()
        else:
            reader.text()
    else:
        reader.extern_name()
        _skip_description(reader, scope)


def _skip_description(reader: Reader, scope: _Scope) -> None:
    kind = reader.byte()
    if kind == 0:
        reader.byte()
        reader.number()
    elif kind == 2:
        if reader.byte() == 0:
            reader.number()
        else:
            _value_type(reader, scope)
    elif kind == 3:
        if reader.byte() == 0:
            reader.number()
    elif kind in (1, 4, 5):
        reader.number()
    else:
        raise UnsupportedComponent(f"an import or export of an unknown kind ({kind:#x})")


def _described(reader: Reader, scope: _Scope, name: str) -> Any:
    """What an external description describes, as a new item."""
    kind = reader.byte()
    if kind == 0:
        reader.byte()
        reader.number()
        return _Other("core module")
    if kind == 1:
        return scope.types[reader.number()]
    if kind == 2:
        if reader.byte() == 0:
            reader.number()
        else:
            _value_type(reader, scope)
        return _Other("value")
    if kind == 3:
        if reader.byte() == 0:
            return Named(name, scope.types[reader.number()])
        return Named(name, Resource())
    index = reader.number()
    if kind == 4:
        return _Component(None, None)
    declared = scope.types[index]
    while isinstance(declared, Named):
        declared = declared.target
    if not isinstance(declared, _InstanceType):
        raise UnsupportedComponent(f"{name!r} is not described as an instance")
    return declared.instantiate(scope)


def _alias(reader: Reader, scope: _Scope) -> None:
    sort = _sort(reader)
    form = reader.byte()
    if form == 0:
        instance = scope.instances[reader.number()]
        item = instance.exports[reader.name()]
    elif form == 1:
        reader.number()
        reader.text()
        return
    else:
        outer = scope.enclosing(reader.number())
        index = reader.number()
        if sort >= 0x10:
            return
        item = outer.get(sort, index)
    if sort == 3:
        scope.types.append(item)
    else:
        scope.add(item)


# --- sections ------------------------------------------------------------------------------------

#: What follows the code of each canonical definition other than lift and lower. t: an index or
#: number, o: options, r: a result list, v: a core value type, b: a byte.
_CANONICAL = {
    **dict.fromkeys((0x02, 0x03, 0x04, 0x07, 0x0E, 0x13, 0x14, 0x15, 0x1A, 0x1B, 0x40), "t"),
    **dict.fromkeys((0x05, 0x08, 0x0D, 0x1E, 0x1F, 0x22, 0x23, 0x24, 0x25, 0x26, 0x2A, 0x42), ""),
    **dict.fromkeys((0x06, 0x0C, 0x28, 0x29, 0x2B), "b"),
    **dict.fromkeys((0x0F, 0x10, 0x16, 0x17), "to"),
    **dict.fromkeys((0x11, 0x12, 0x18, 0x19), "tb"),
    **dict.fromkeys((0x1C, 0x1D), "o"),
    **dict.fromkeys((0x20, 0x21), "bt"),
    **dict.fromkeys((0x0A, 0x0B), "vt"),
    **dict.fromkeys((0x27, 0x41), "tt"),
    0x09: "ro",
}


def _options(reader: Reader) -> None:
    for _ in range(reader.number()):
        if reader.byte() in (3, 4, 5, 7, 8):
            reader.number()


def _canonical(reader: Reader, scope: _Scope) -> None:
    code = reader.byte()
    if code in (0, 1):
        reader.byte()
        reader.number()
        _options(reader)
        if code == 0:
            lifted = scope.types[reader.number()]
            assert isinstance(lifted, Func)
            scope.add(lifted)
        return
    if code not in _CANONICAL:
        raise UnsupportedComponent(f"a canonical definition of an unknown kind ({code:#x})")
    for part in _CANONICAL[code]:
        if part == "t":
            reader.number()
        elif part == "o":
            _options(reader)
        elif part == "r":
            if reader.byte() == 0:
                _value_type(reader, scope)
            else:
                reader.byte()
        else:
            reader.byte()


def _instance(reader: Reader, scope: _Scope) -> None:
    if reader.byte() == 0:
        component = scope.components[reader.number()]
        arguments = {}
        for _ in range(reader.number()):
            scope.budget.spend()
            name = reader.name()
            sort = _sort(reader)
            arguments[name] = scope.get(sort, reader.number())
        scope.instances.append(_instantiate(component, arguments, scope))
        return
    exports = {}
    for _ in range(reader.number()):
        scope.budget.spend()
        name = reader.extern_name()
        sort = _sort(reader)
        exports[name] = scope.get(sort, reader.number())
    scope.instances.append(Instance(exports))


def _instantiate(component: _Component, arguments: dict[str, Any], where: _Scope) -> Instance:
    if component.binary is None:
        raise UnsupportedComponent("an instance of a component that is imported")
    binary = component.binary
    scope = where.inner(component.outer)
    _sections(Reader(binary.data, binary.at, binary.end), scope, arguments, None)
    return Instance(scope.exports)


def _import(reader: Reader, scope: _Scope, arguments: Optional[dict[str, Any]]) -> None:
    name = reader.extern_name()
    if arguments is not None and name in arguments:
        _skip_description(reader, scope)
        item = arguments[name]
    else:
        item = _described(reader, scope, name)
    scope.imports[name] = item
    scope.add(item)


def _export(reader: Reader, scope: _Scope) -> None:
    name = reader.extern_name()
    sort = _sort(reader)
    item = scope.get(sort, reader.number())
    ascribed: Any = None
    if reader.byte():
        ascribed = _described(reader, scope, name)
    if sort == 1 and ascribed is not None:
        item = ascribed
    elif sort == 3:
        # An ascription of `sub resource` hides what the type is, not that it is this one.
        hidden = isinstance(ascribed, Named) and isinstance(ascribed.target, Resource)
        item = ascribed if ascribed is not None and not hidden else Named(name, item)
    elif sort == 5 and isinstance(ascribed, Instance):
        item = Instance({key: item.exports[key] for key in ascribed.exports})
    scope.exports[name] = item
    if isinstance(item, Type) and sort == 3:
        scope.types.append(item)
    else:
        scope.add(item)


def _sections(
    reader: Reader,
    scope: _Scope,
    arguments: Optional[dict[str, Any]],
    custom: Optional[dict[str, bytes]],
) -> None:
    if reader.take(8) != _COMPONENT_PREAMBLE:
        raise UnsupportedComponent("not a component of a version that is known here")
    while reader.at < reader.end:
        kind = reader.byte()
        section = reader.part(reader.number())
        scope.budget.spend()
        if kind == 0 and custom is not None:
            name = section.text()
            custom[name] = section.take(section.end - section.at)
        elif kind == 4:
            scope.components.append(_Component(section, scope))
        elif kind in (5, 6, 7, 8, 10, 11):
            for _ in range(section.number()):
                scope.budget.spend()
                if kind == 5:
                    _instance(section, scope)
                elif kind == 6:
                    _alias(section, scope)
                elif kind == 7:
                    scope.types.append(_defined_type(section, scope))
                elif kind == 8:
                    _canonical(section, scope)
                elif kind == 10:
                    _import(section, scope, arguments)
                else:
                    _export(section, scope)


def decode(binary: bytes) -> Decoded:
    """Read what a component imports and exports.

    Args:
        binary: A component.

    Raises:
        UnsupportedComponent: It uses parts of the format that are not known here, is not valid, or
            is too large or nested too deeply.
    """
    scope = _Scope(None, 1, Budget())
    custom: dict[str, bytes] = {}
    try:
        _sections(Reader(binary), scope, None, custom)
    except (
        AssertionError,
        AttributeError,
        IndexError,
        KeyError,
        TypeError,
        UnicodeError,
    ) as error:
        raise UnsupportedComponent(
            f"the component is not valid, or its types could not be followed: {error!r}"
        ) from error
    return Decoded(scope.imports, scope.exports, custom)


def follow(type: Type) -> Iterable[Type]:
    """The type, and what it is a name of, from the outermost name inwards."""
    while True:
        yield type
        if not isinstance(type, Named):
            return
        type = type.target
