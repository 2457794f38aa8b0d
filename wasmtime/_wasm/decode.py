"""What a component imports and exports, read from its binary form.

Types in the component model are structural: two records with the same fields are one type, and
the library says no more about them. Bindings need what the author wrote, that is the names of
types and which interface declares them. The binary has both, as exports and imports of types, so
this module reads it: sections, index spaces, and the instantiation of components inside of
components as far as it concerns types.

The component need not be valid, nor its author a friend. What is read has well-formed names, no
type or component is nested deeper than `MAX_DEPTH`, and no more work is done than for `MAX_PARTS`
parts: a few bytes can describe millions. Whether it is valid otherwise is found out when it is
compiled.

The format is the component model's (``design/mvp/Binary.md``). The names in `__all__` are all that
readers of components need, those of `types` included.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from dataclasses import dataclass, replace
from typing import Any, Callable, Optional, TypeVar

from .grammar import (
    CORE_FUNC_SORT,
    CORE_INSTANCE_SORT,
    CORE_SORTS,
    DECLARE_ALIAS,
    DECLARE_CORE_TYPE,
    DECLARE_EXPORT,
    DECLARE_IMPORT,
    DECLARE_TYPE,
    FORM_COMPONENT,
    FORM_INSTANCE,
    SECTION_ALIASES,
    SECTION_CANON,
    SECTION_COMPONENT,
    SECTION_CORE_INSTANCES,
    SECTION_CORE_MODULE,
    SECTION_CUSTOM,
    SECTION_EXPORTS,
    SECTION_IMPORTS,
    SECTION_INSTANCES,
    SECTION_TYPES,
    SORT_COMPONENT,
    SORT_FUNC,
    SORT_INSTANCE,
    SORT_TYPE,
    SORT_VALUE,
    read_extern_name,
    read_options,
    read_sort,
    skip_alias,
    skip_description,
)
from .reader import PREAMBLE_SIZE, MalformedBinary, Reader
from .scopes import (
    CORE_MODULE,
    AnyScope,
    ComponentType,
    InnerComponent,
    Instance,
    InstanceType,
    Other,
    Scope,
)
from .types import (
    MAX_DEPTH,
    MAX_PARTS,
    PRIMITIVES,
    Budget,
    EnumType,
    FixedList,
    Flags,
    Func,
    Handle,
    Lift,
    ListType,
    MapType,
    Named,
    OpaqueType,
    Option,
    Primitive,
    Record,
    Resource,
    Result,
    TupleType,
    Type,
    UnsupportedComponent,
    Variant,
    follow,
)

__all__ = [
    "MAX_DEPTH",
    "MAX_PARTS",
    "Budget",
    "Decoded",
    "EnumType",
    "FixedList",
    "Flags",
    "Func",
    "Handle",
    "Instance",
    "Lift",
    "ListType",
    "MapType",
    "Named",
    "OpaqueType",
    "Option",
    "Primitive",
    "Record",
    "Resource",
    "Result",
    "TupleType",
    "Type",
    "UnsupportedComponent",
    "Variant",
    "decode",
    "follow",
]

#: How a component of the version that is known here begins.
_PREAMBLE = b"\0asm\x0d\0\x01\0"

#: The name of a field, case, flag or parameter.
_LABEL = re.compile(r"[A-Za-z][0-9A-Za-z]*(-[0-9A-Za-z]+)*")

_Part = TypeVar("_Part")


@dataclass
class Decoded:
    """What a component imports and exports.

    Attributes:
        imports: By name, in order.
        exports: By name, in order.
        custom: Custom sections at the top level, by name.
        scope: The index spaces at the top level.
    """

    imports: dict[str, Any]
    exports: dict[str, Any]
    custom: dict[str, bytes]
    scope: Scope


# --- names ---------------------------------------------------------------------------------------


def _name(reader: Reader) -> str:
    """Read a name of the component model: printable ASCII."""
    return _checked(reader.name())


def _extern_name(reader: Reader) -> str:
    """Read the name of an import or export."""
    return _checked(read_extern_name(reader))


def _checked(name: str) -> str:
    if not (name and name.isascii() and name.isprintable()):
        raise UnsupportedComponent(f"a name that is not well-formed: {name!r}")
    return name


def _labels(reader: Reader, what: str, read: Callable[[str], None]) -> None:
    """Read labels, each followed by what `read` reads; they have to differ by more than case."""
    seen = set()
    for _ in range(reader.number()):
        label = _name(reader)
        if not _LABEL.fullmatch(label) or label.lower() in seen:
            raise UnsupportedComponent(f"{what} that is not well-formed, or twice: {label!r}")
        seen.add(label.lower())
        read(label)


# --- types in the binary -------------------------------------------------------------------------

_primitives = {name: Primitive(name) for name in PRIMITIVES.values()}


def _value_type(reader: Reader, scope: Scope) -> Type:
    code = reader.signed()
    if code >= 0:
        return scope.types[code]
    return _primitives[PRIMITIVES[code & 0x7F]]


def _optional_type(reader: Reader, scope: Scope) -> Optional[Type]:
    return _value_type(reader, scope) if reader.byte() else None


def _labelled(reader: Reader, scope: Scope, what: str) -> list[tuple[str, Type]]:
    result: list[tuple[str, Type]] = []
    _labels(reader, what, lambda label: result.append((label, _value_type(reader, scope))))
    scope.budget.spend(len(result))
    return result


def _record(reader: Reader, scope: Scope) -> Type:
    return Record(_some(_labelled(reader, scope, "a field")))


def _variant(reader: Reader, scope: Scope) -> Type:
    cases: list[tuple[str, Optional[Type]]] = []

    def case(label: str) -> None:
        cases.append((label, _optional_type(reader, scope)))
        reader.byte()  # "refines", which no longer exists

    _labels(reader, "a case", case)
    scope.budget.spend(len(cases))
    return Variant(_some(cases))


def _tuple(reader: Reader, scope: Scope) -> Type:
    return TupleType(_some([_value_type(reader, scope) for _ in range(reader.number())]))


def _names(reader: Reader, scope: Scope, what: str) -> list[str]:
    names: list[str] = []
    _labels(reader, what, names.append)
    scope.budget.spend(len(names))
    return _some(names)


def _some(parts: list[_Part]) -> list[_Part]:
    if not parts:
        raise UnsupportedComponent("a record, tuple, variant, enum or flags type of no parts")
    return parts


def _func(reader: Reader, scope: Scope, is_async: bool) -> Func:
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


def _opaque(reader: Reader, scope: Scope, name: str) -> Type:
    _optional_type(reader, scope)
    return OpaqueType(name)


_Former = Callable[[Reader, Scope], Type]

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


def _defined_type(reader: Reader, scope: Scope) -> Type:
    code = reader.byte()
    if code in _FORMS:
        return _FORMS[code](reader, scope)
    if code in PRIMITIVES:
        # An object of its own, so that an alias of a primitive type can have a name.
        return Primitive(PRIMITIVES[code])
    if code == FORM_INSTANCE:
        return InstanceType(_declarations(reader, scope, _OF_INSTANCES), scope)
    if code == FORM_COMPONENT:
        _declarations(reader, scope, _OF_COMPONENTS)
        return ComponentType()
    raise UnsupportedComponent(f"a type of an unknown form ({code:#x})")


#: What can be declared in the type of an instance, and in that of a component.
_OF_INSTANCES = (DECLARE_TYPE, DECLARE_ALIAS, DECLARE_EXPORT)
_OF_COMPONENTS = (*_OF_INSTANCES, DECLARE_IMPORT)


def _declarations(
    reader: Reader, scope: Scope, kinds: Container[int]
) -> list[Callable[[Scope], None]]:
    """Read the declarations of a component or instance type, each to be run in a scope.

    Every use of the type runs them anew: a resource that an instance type declares is another one
    in each instance.
    """
    result: list[Callable[[Scope], None]] = []
    anything = AnyScope(scope)
    for _ in range(reader.number()):
        scope.budget.spend()
        start = reader.at
        kind = reader.byte()
        if kind == DECLARE_CORE_TYPE:
            raise UnsupportedComponent("types of core modules are not supported in bindings")
        if kind not in kinds:
            raise UnsupportedComponent(f"a declaration of an unknown kind ({kind:#x})")
        _skip_declaration(reader, anything, kind)
        result.append(_declaration(Reader(reader.data, start + 1, reader.at), kind))
    return result


def _declaration(reader: Reader, kind: int) -> Callable[[Scope], None]:
    start = reader.at

    def declare(scope: Scope) -> None:
        scope.budget.spend()
        reader.at = start
        if kind == DECLARE_TYPE:
            scope.types.append(_defined_type(reader, scope))
        elif kind == DECLARE_ALIAS:
            _alias(reader, scope)
        else:
            name = _extern_name(reader)
            item = _described(reader, scope, name)
            if kind == DECLARE_EXPORT:
                scope.exports[name] = item
            scope.add(item)

    return declare


def _skip_declaration(reader: Reader, scope: AnyScope, kind: int) -> None:
    if kind == DECLARE_TYPE:
        _defined_type(reader, scope)
    elif kind == DECLARE_ALIAS:
        skip_alias(reader)
    else:
        _extern_name(reader)
        skip_description(reader)


def _described(reader: Reader, scope: Scope, name: str) -> Any:
    """Make a new item of what the description of an import or export describes."""
    kind = reader.byte()
    if kind == 0:
        reader.byte()
        reader.number()
        return CORE_MODULE
    if kind == SORT_FUNC:
        return scope.types[reader.number()]
    if kind == SORT_VALUE:
        if reader.byte() == 0:
            reader.number()
        else:
            _value_type(reader, scope)
        return Other("value")
    if kind == SORT_TYPE:
        if reader.byte() == 0:
            return Named(name, scope.types[reader.number()])
        return Named(name, Resource())
    index = reader.number()
    if kind == SORT_COMPONENT:
        return InnerComponent(None, None)
    declared = scope.types[index]
    while isinstance(declared, Named):
        declared = declared.target
    if not isinstance(declared, InstanceType):
        raise UnsupportedComponent(f"{name!r} is not described as an instance")
    return declared.instantiate(scope)


def _alias(reader: Reader, scope: Scope) -> None:
    sort = read_sort(reader)
    form = reader.byte()
    if form == 0:
        instance = scope.instances[reader.number()]
        item = instance.exports[_name(reader)]
    elif form == 1:
        reader.number()
        reader.name()
        scope.core[sort] += 1
        return
    else:
        outer = scope.enclosing(reader.number())
        index = reader.number()
        if sort >= CORE_SORTS:
            scope.core[sort] += 1
            return
        item = outer.get(sort, index)
    if sort == SORT_TYPE:
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


def _canonical(reader: Reader, scope: Scope) -> None:
    code = reader.byte()
    if code == 0:
        reader.byte()
        lift = Lift(scope, reader.number(), read_options(reader))
        lifted = scope.types[reader.number()]
        if not isinstance(lifted, Func):
            raise UnsupportedComponent("a function is lifted to a type that is not a function's")
        scope.add(replace(lifted, lift=lift))
        return
    scope.core[CORE_FUNC_SORT] += 1
    if code == 1:
        reader.byte()
        reader.number()
        read_options(reader)
        return
    if code not in _CANONICAL:
        raise UnsupportedComponent(f"a canonical definition of an unknown kind ({code:#x})")
    for part in _CANONICAL[code]:
        if part == "t":
            reader.number()
        elif part == "o":
            read_options(reader)
        elif part == "r":
            if reader.byte() == 0:
                _value_type(reader, scope)
            else:
                reader.byte()
        else:
            reader.byte()


def _instance(reader: Reader, scope: Scope) -> None:
    if reader.byte() == 0:
        component = scope.components[reader.number()]
        arguments = {}
        for _ in range(reader.number()):
            scope.budget.spend()
            name = _name(reader)
            sort = read_sort(reader)
            arguments[name] = scope.get(sort, reader.number())
        scope.instances.append(_instantiate(component, arguments, scope))
        return
    exports = {}
    for _ in range(reader.number()):
        scope.budget.spend()
        name = _extern_name(reader)
        sort = read_sort(reader)
        exports[name] = scope.get(sort, reader.number())
    scope.instances.append(Instance(exports))


def _instantiate(component: InnerComponent, arguments: dict[str, Any], where: Scope) -> Instance:
    if component.binary is None:
        raise UnsupportedComponent("an instance of a component that is imported")
    binary = component.binary
    scope = where.inner(component.outer)
    _sections(Reader(binary.data, binary.at, binary.end), scope, arguments, None)
    return Instance(scope.exports)


def _import(reader: Reader, scope: Scope, arguments: Optional[dict[str, Any]]) -> None:
    name = _extern_name(reader)
    if arguments is not None and name in arguments:
        skip_description(reader)
        item = arguments[name]
    else:
        item = _described(reader, scope, name)
    scope.imports[name] = item
    scope.add(item)


def _export(reader: Reader, scope: Scope) -> None:
    name = _extern_name(reader)
    sort = read_sort(reader)
    item = scope.get(sort, reader.number())
    ascribed: Any = None
    if reader.byte():
        ascribed = _described(reader, scope, name)
    if sort == SORT_FUNC and ascribed is not None:
        item = replace(ascribed, lift=item.lift)
    elif sort == SORT_TYPE:
        # An ascription of `sub resource` hides what the type is, not that it is this one.
        hidden = isinstance(ascribed, Named) and isinstance(ascribed.target, Resource)
        item = ascribed if ascribed is not None and not hidden else Named(name, item)
    elif sort == SORT_INSTANCE and isinstance(ascribed, Instance):
        item = Instance({key: item.exports[key] for key in ascribed.exports})
    scope.exports[name] = item
    if isinstance(item, Type) and sort == SORT_TYPE:
        scope.types.append(item)
    else:
        scope.add(item)


def _sections(
    reader: Reader,
    scope: Scope,
    arguments: Optional[dict[str, Any]],
    custom: Optional[dict[str, bytes]],
) -> None:
    if reader.take(PREAMBLE_SIZE) != _PREAMBLE:
        raise UnsupportedComponent("not a component of a version that is known here")
    for code, section in reader.sections():
        scope.budget.spend()
        if code == SECTION_CUSTOM and custom is not None:
            name = section.name()
            custom[name] = section.rest()
        elif code == SECTION_COMPONENT:
            scope.components.append(InnerComponent(section, scope))
        elif code == SECTION_CORE_MODULE:
            scope.add(CORE_MODULE)
        elif code == SECTION_CORE_INSTANCES:
            scope.core[CORE_INSTANCE_SORT] += section.number()
        elif code == SECTION_IMPORTS:
            for _ in _each_definition(section, scope):
                _import(section, scope, arguments)
        elif code in _DEFINITIONS:
            for _ in _each_definition(section, scope):
                _DEFINITIONS[code](section, scope)


def _each_definition(section: Reader, scope: Scope) -> Iterator[None]:
    """Yield once for each definition of a section, before it is read."""
    for _ in range(section.number()):
        scope.budget.spend()
        yield


#: What reads one definition of a section, by the section's code.
_DEFINITIONS: dict[int, Callable[[Reader, Scope], None]] = {
    SECTION_INSTANCES: _instance,
    SECTION_ALIASES: _alias,
    SECTION_TYPES: lambda reader, scope: scope.types.append(_defined_type(reader, scope)),
    SECTION_CANON: _canonical,
    SECTION_EXPORTS: _export,
}


def decode(binary: bytes) -> Decoded:
    """Read what a component imports and exports.

    Args:
        binary: A component.

    Raises:
        UnsupportedComponent: It uses parts of the format that are not known here, is not valid, or
            is too large or nested too deeply.
    """
    scope = Scope(None, 1, Budget())
    custom: dict[str, bytes] = {}
    try:
        _sections(Reader(binary), scope, None, custom)
    except MalformedBinary as error:
        raise UnsupportedComponent(str(error)) from error
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise UnsupportedComponent(
            f"the component is not valid, or its types could not be followed: {error!r}"
        ) from error
    return Decoded(scope.imports, scope.exports, custom, scope)
