"""Types as text, in the notation of WIT.

The library knows structures, not the names that they were declared by. In an interface that exports
its types, the names are found again by comparing structures; elsewhere a record, variant, enum or
flags type is written out where it stands.
"""

from __future__ import annotations

from typing import Any, Optional

from .._resource_type import ResourceType
from .items import ComponentInstanceType, ComponentType, FuncType, ModuleType, plain
from .values import (
    BorrowType,
    EnumType,
    FixedLengthListType,
    FlagsType,
    FutureType,
    ListType,
    MapType,
    OptionType,
    OwnType,
    RecordType,
    ResultType,
    StreamType,
    TupleType,
    ValType,
    VariantType,
)

__all__ = ["wit_func", "wit_interface", "wit_type", "wit_world"]

_Names = dict[Any, str]
_INDENT = "  "

#: What is known by its name; other types, such as `type size = u64`, are their structure.
_DECLARED = (RecordType, VariantType, EnumType, FlagsType, ResourceType)


def wit_type(
    ty: ValType,
    names: Optional[_Names] = None,
    declared: bool = False,
    written: Optional[dict[int, str]] = None,
) -> str:
    """A type of values.

    Args:
        ty: The type.
        names: The names of types that have one.
        declared: Write the structure even if there is a name: this is its declaration.
        written: The texts of parts that have been written, by the identities of the parts: one that
            is used often is written once.
    """
    names = names or {}
    texts = {} if written is None else written
    if not declared and names and ty in names:
        return names[ty]

    def inner(part: Optional[ValType]) -> str:
        if part is None:
            return "_"
        if id(part) not in texts:
            texts[id(part)] = wit_type(part, names, written=texts)
        return texts[id(part)]

    if isinstance(ty, ListType):
        return f"list<{inner(ty.element)}>"
    if isinstance(ty, FixedLengthListType):
        return f"list<{inner(ty.element)}, ?>"
    if isinstance(ty, MapType):
        return f"map<{inner(ty.key)}, {inner(ty.value)}>"
    if isinstance(ty, RecordType):
        return f"record {{ {', '.join(f'{n}: {inner(t)}' for n, t in ty.fields)} }}"
    if isinstance(ty, TupleType):
        return f"tuple<{', '.join(inner(t) for t in ty.elements)}>"
    if isinstance(ty, VariantType):
        cases = (n if t is None else f"{n}({inner(t)})" for n, t in ty.cases)
        return f"variant {{ {', '.join(cases)} }}"
    if isinstance(ty, EnumType):
        return f"enum {{ {', '.join(ty.names)} }}"
    if isinstance(ty, FlagsType):
        return f"flags {{ {', '.join(ty.names)} }}"
    if isinstance(ty, OptionType):
        return f"option<{inner(ty.payload)}>"
    if isinstance(ty, ResultType):
        if ty.err is not None:
            return f"result<{inner(ty.ok)}, {inner(ty.err)}>"
        return "result" if ty.ok is None else f"result<{inner(ty.ok)}>"
    if isinstance(ty, (FutureType, StreamType)):
        word = "future" if isinstance(ty, FutureType) else "stream"
        return word if ty.payload is None else f"{word}<{inner(ty.payload)}>"
    if isinstance(ty, OwnType):
        return names.get(ty.ty) or "own<resource>"
    if isinstance(ty, BorrowType):
        return f"borrow<{names.get(ty.ty) or 'resource'}>"
    word = type(ty).__name__
    return "error-context" if word == "ErrorContext" else word.lower()


def wit_func(ty: FuncType, names: Optional[_Names] = None) -> str:
    """The type of a function."""
    params = ", ".join(f"{name}: {wit_type(part, names)}" for name, part in ty.params)
    result = "" if ty.result is None else f" -> {wit_type(ty.result, names)}"
    return f"{'async ' if ty.is_async else ''}func({params}){result}"


def _names_of(externs: dict[str, Any], outer: Optional[_Names] = None) -> _Names:
    names: _Names = dict(outer or {})
    for name, extern in externs.items():
        item = plain(extern)
        if isinstance(item, _DECLARED) and item not in names:
            names[item] = name
    return names


def _item(name: str, item: Any, names: _Names, depth: int) -> list[str]:
    """The lines that declare one item."""
    pad = _INDENT * depth
    if isinstance(item, FuncType):
        return [f"{pad}{name}: {wit_func(item, names)};"]
    if isinstance(item, ResourceType):
        other = names.get(item, name)
        return [f"{pad}resource {name};" if other == name else f"{pad}type {name} = {other};"]
    if isinstance(item, ComponentInstanceType):
        return [f"{pad}{name}: {wit_interface(item, names, depth)}"]
    if isinstance(item, ComponentType):
        return [f"{pad}{name}: component;"]
    if isinstance(item, ModuleType):
        return [f"{pad}{name}: core module;"]
    other = names.get(item, name)
    if other != name:
        return [f"{pad}type {name} = {other};"]
    text = wit_type(item, names, declared=True)
    word, _, body = text.partition(" { ")
    if body and word in ("record", "variant", "enum", "flags"):
        return [f"{pad}{word} {name} {{ {body}"]
    return [f"{pad}type {name} = {text};"]


def wit_interface(ty: ComponentInstanceType, outer: Optional[_Names] = None, depth: int = 0) -> str:
    """An interface."""
    externs = ty.exports(ty._engine)
    names = _names_of(externs, outer)
    lines = ["interface {"]
    for name, extern in externs.items():
        lines.extend(_item(name, plain(extern), names, depth + 1))
    lines.append(_INDENT * depth + "}")
    return "\n".join(lines)


def wit_world(ty: ComponentType) -> str:
    """A component: the world that it targets."""
    imports, exports = ty.imports(ty._engine), ty.exports(ty._engine)
    lines = ["world component {"]
    # Types that one interface declares and another uses keep their name.
    names: _Names = {}
    for externs in (imports, exports):
        for extern in externs.values():
            item = plain(extern)
            if isinstance(item, ComponentInstanceType):
                for name, inner in item.exports(ty._engine).items():
                    part = plain(inner)
                    if isinstance(part, ResourceType):
                        names.setdefault(part, name)
    names = _names_of(imports, names)
    for word, externs in (("import", imports), ("export", exports)):
        names = _names_of(externs, names)
        for name, extern in externs.items():
            first, *rest = _item(name, plain(extern), names, 1)
            lines.append(f"{_INDENT}{word} {first.strip()}")
            lines.extend(rest)
    lines.append("}")
    return "\n".join(lines)
