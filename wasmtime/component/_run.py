"""Components as programs: what ``python -m wasmtime run`` does with one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Optional

from .._engine import Engine
from .._error import WasmtimeError
from .._store import Store
from .._terminal import printable
from ._component import Component
from ._func import Func
from ._linker import Linker
from ._types import (
    F32,
    F64,
    Bool,
    Char,
    ComponentInstanceType,
    EnumType,
    FuncType,
    ListType,
    MapType,
    OptionType,
    RecordType,
    String,
    TupleType,
    ValType,
    VariantType,
    plain,
)
from ._values import Err, Record, Variant

__all__ = ["ArgumentError", "parse_argument", "run_command", "to_text"]


class ArgumentError(ValueError):
    """An argument of a function that cannot be read or does not fit."""


def run_command(
    store: Store,
    component: Component,
    *,
    invoke: Optional[str] = None,
    arguments: Sequence[str] = (),
    http: bool = False,
    unknown_imports_trap: bool = False,
) -> tuple[int, Optional[str]]:
    """Run a component as a program.

    It is a command of WASI preview 2 (it exports ``wasi:cli/run``), or one of its functions is
    called.

    Args:
        store: A store that has been given its WASI configuration.
        component: The component.
        invoke: Name of the function to call instead; ``interface#function`` in an interface.
        arguments: The arguments of that function, as text; see `parse_argument`.
        http: Let the component make HTTP requests, which the WASI configuration must allow too.
        unknown_imports_trap: Run it although imports are missing; calling one traps.

    Returns:
        The exit status, and the result of the invoked function as text, None if it has none.

    Raises:
        WasmtimeError: The component is no command, lacks the function, or cannot be linked;
            `wasmtime.ExitTrap` if it exits with a status.
        ArgumentError: An argument cannot be read or does not fit, or there are too many or too few.
        Trap: The component trapped.
    """
    engine: Engine = component.engine
    linker = Linker(engine)
    linker.add_wasip2()
    if http:
        linker.add_wasi_http()
        store.set_wasi_http()
    if unknown_imports_trap:
        linker.define_unknown_imports_as_traps(component)
    exports = linker.instantiate(store, component).exports(store)
    if invoke is None:
        run = next((exports[name] for name in exports if name.startswith("wasi:cli/run@")), None)
        if run is None:
            raise WasmtimeError(
                "the component is no command: it does not export wasi:cli/run; name one of its "
                f"functions with --invoke: {_functions(component) or '(it has none)'}"
            )
        return (1 if isinstance(run["run"](store), Err) else 0), None
    item: Any = exports
    for part in invoke.split("#"):
        item = item[part] if not isinstance(item, Func) and part in item else None
        if item is None:
            break
    if not isinstance(item, Func):
        known = _functions(component) or "none"
        raise WasmtimeError(f"the component exports no function {invoke!r}; it exports: {known}")
    ty = item.type(store)
    if len(ty.params) != len(arguments):
        raise ArgumentError(
            f"the function {invoke!r} takes {len(ty.params)} arguments, but {len(arguments)} were "
            "given"
        )
    values = [parse_argument(text, part, name) for text, (name, part) in zip(arguments, ty.params)]
    try:
        result = item(store, *values)
    except (TypeError, ValueError, OverflowError) as error:  # no other Python code is called here
        raise ArgumentError(f"the function {invoke!r} cannot be called so: {error}") from None
    return 0, None if ty.result is None else to_text(result)


def _functions(component: Component) -> str:
    """The names of all functions that a component exports, for a message."""
    names = []
    for name, extern in component.exports.items():
        item = plain(extern)
        if isinstance(item, FuncType):
            names.append(name)
        elif isinstance(item, ComponentInstanceType):
            names.extend(
                f"{name}#{inner}"
                for inner, part in item.exports(component.engine).items()
                if isinstance(plain(part), FuncType)
            )
    return ", ".join(printable(name, layout="") for name in names)


def parse_argument(text: str, ty: ValType, what: str) -> Any:
    """A value from a command line.

    A string is taken as it is, and so are a number, ``true`` or ``false``, and the name of an
    enum's case. Everything else is JSON; a variant is an object with its case as the only key.

    Args:
        text: The argument.
        ty: The type that is wanted.
        what: Its name, for the error.

    Raises:
        ArgumentError: The text is not of that form.
    """
    if isinstance(ty, (String, Char, EnumType)):
        return text
    try:
        if isinstance(ty, (F32, F64)):
            return float(text)
        return _from_json(json.loads(text), ty)
    except ValueError:
        raise ArgumentError(f"{what} is not a value of type {ty}: {text!r}") from None
    except RecursionError:
        raise ArgumentError(f"{what} is nested too deeply for a value of type {ty}") from None


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
