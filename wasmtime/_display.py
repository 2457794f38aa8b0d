"""How objects show themselves: at the prompt, and in notebooks.

Whatever state an object is in, showing it neither raises nor waits: a store that is closed, gone or
in use tells that instead. Nor is it in the way of others: what looks into a store keeps Python's
lock meanwhile, so that the store's own thread never finds it in use. Names are the guest's and are
escaped.

Loaded when something is shown for the first time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Callable, Optional

from ._error import WasmtimeError
from ._native import ffi, lib
from ._printable import clip, html_table, one_line
from ._types.externs import extern_type_from_native

if TYPE_CHECKING:
    from ._engine import Engine
    from ._func import Func
    from ._globals import Global
    from ._instance import Instance
    from ._memory import Memory
    from ._module import Module
    from ._sharedmemory import SharedMemory
    from ._store import Store
    from ._table import Table
    from ._tag import Tag
    from ._trap import Trap
    from .component import Component
    from .component import Instance as ComponentInstance

#: How many names are shown of many.
_FEW = 8
#: And how many in a table.
_MANY = 100
#: How long a text may be.
_LONG = 100_000
#: What bounds a store, in the order of `Store._bounds`.
_BOUNDS = ("memory_size", "table_elements", "instances", "tables", "memories")


def engine_text(engine: Engine) -> str:
    """An engine, with the settings that it was made with."""
    config = getattr(engine, "_config", None)  # None: it is not made yet
    settings = "()" if config is None else repr(config)
    return _shown("Engine", settings[settings.index("(") + 1 : -1])


def store_text(store: Store) -> str:
    """A store, with what bounds its guests."""

    def describe() -> str:
        told = []
        fuel, epochs = store._glance()
        if fuel is not None:
            told.append(f"fuel {fuel}")
        if store.timeout is not None:
            told.append(f"timeout {store.timeout} s")
        if epochs is not None:
            told.append(f"deadline in {epochs} epoch{'' if epochs == 1 else 's'}")
        told += [f"{name} {bound}" for name, bound in zip(_BOUNDS, store._bounds) if bound >= 0]
        return ", ".join(told)

    return _shown("Store", _state(store, describe))


def module_text(module: Module) -> str:
    """A module, with its name and those of what it imports and exports."""

    def describe() -> str:
        imports = [f"{entry.module}.{entry.name or ''}" for entry in module.imports]
        exports = [entry.name for entry in module.exports]
        return f"imports {_names(imports)}; exports {_names(exports)}"

    named = f" {clip(repr(module._name), 80)}" if module._name is not None else ""
    return f"<wasmtime.Module{named}: {_attempt(describe)}>"


def component_text(component: Component) -> str:
    """A component, with the names of what it imports and exports."""

    def describe() -> str:
        return f"imports {_names(component.imports)}; exports {_names(component.exports)}"

    return f"<wasmtime.component.Component: {_attempt(describe)}>"


def func_text(func: Func) -> str:
    """A function, with its type."""
    told = _at_home(func, lambda store: _signature(_type_of(func, store)))
    return _shown("Func", told, f" at {id(func):#x}")


def memory_text(memory: Memory) -> str:
    """A memory, with its size."""
    return _shown(
        "Memory",
        _at_home(memory, lambda store: _size(memory.size(store), memory.data_len(store))),
    )


def shared_memory_text(memory: SharedMemory) -> str:
    """A shared memory, with its size."""
    return _shown("SharedMemory", _attempt(lambda: _size(memory.size(), memory.data_len())))


def table_text(table: Table) -> str:
    """A table, with its size and the type of its elements."""
    return _shown(
        "Table",
        _at_home(table, lambda store: f"{table.size(store)} x {_type_of(table, store).element}"),
    )


def global_text(item: Global) -> str:
    """A global, with its type, and its value if that is a number."""

    def describe(store: Any) -> str:
        ty = _type_of(item, store)
        mutable = "mut " if ty.mutable else ""
        # A reference would be rooted for as long as the store lives.
        shown = f" = {item.value(store)!r}" if str(ty.content)[0] in "if" else ""
        return f"{mutable}{ty.content}{shown}"

    return _shown("Global", _at_home(item, describe))


def tag_text(tag: Tag) -> str:
    """A tag, with the types of what is thrown."""
    return _shown("Tag", _at_home(tag, lambda store: _signature(_type_of(tag, store).functype)))


def instance_text(instance: Instance) -> str:
    """An instance, with the names of its exports."""
    return _shown(
        "Instance", _at_home(instance, lambda store: f"exports {_names(instance.exports(store))}")
    )


def component_instance_text(instance: ComponentInstance) -> str:
    """An instance of a component, with the names of its exports."""

    def describe(_: Store) -> str:
        component = instance._component
        return "" if component is None else f"exports {_names(component.exports)}"

    return _shown("component.Instance", _at_home(instance, describe))


# --- notebooks -----------------------------------------------------------------------------------


def module_html(module: Module) -> str:
    """A module as a table of imports and exports with their types."""

    def rows() -> list[tuple[str, str]]:
        return [
            *_rows("import", [(f"{one.module}.{one.name or ''}", one) for one in module.imports]),
            *_rows("export", [(one.name or "", one) for one in module.exports]),
        ]

    return _table(module_text(module), rows)


def _rows(what: str, items: Sequence[tuple[str, Any]]) -> list[tuple[str, str]]:
    rows = [(f"{what} {name}", str(entry.type)) for name, entry in items[:_MANY]]
    more = len(items) - len(rows)
    return [*rows, (f"{what}s", f"and {more} more")] if more else rows


def component_html(component: Component) -> str:
    """A component as WIT."""
    return _table(component_text(component), lambda: [("WIT", str(component.type))])


def trap_html(trap: Trap) -> str:
    """A trap as its code and its frames."""
    code = trap.trap_code
    return html_table(
        f"{type(trap).__name__}: {code.name if code is not None else 'made by the host'}",
        [("frames", "\n".join(map(str, trap.frames))), ("message", trap.message)],
    )


def _table(title: str, rows: Callable[[], list[tuple[str, str]]]) -> str:
    try:
        return html_table(title, ((one_line(name), text) for name, text in rows()))
    except (ValueError, WasmtimeError) as error:
        return html_table(title, [("not to be told", str(error))])


# --- parts ---------------------------------------------------------------------------------------


def _shown(kind: str, told: str, rest: str = "") -> str:
    return f"<wasmtime.{kind}{': ' if told else ''}{clip(told, _LONG)}{rest}>"


def _attempt(describe: Callable[[], str]) -> str:
    """What is told, or why nothing can be."""
    try:
        return describe()
    except ValueError:
        return "closed"
    except WasmtimeError:
        return "in use"


def _state(store: Optional[Store], describe: Callable[[], str]) -> str:
    if store is None:
        return "its store is gone"
    if not store._is_open:
        return "closed"
    return _attempt(describe)


def _at_home(item: Any, describe: Callable[[Any], str]) -> str:
    """What an item's own store lets tell of it; nothing of an item that is not made yet."""
    home = item._home
    if home is None:
        return ""
    store = home()
    return _state(store, lambda: describe(store))


def _type_of(item: Any, store: Store) -> Any:
    """The type of an item; its own method would let other threads run meanwhile."""
    native = ffi.cast("wasm_externtype_t *", item._extern_type())
    try:
        return extern_type_from_native(native, store.engine)
    finally:
        lib.wasm_externtype_delete(native)


def _names(names: Iterable[Optional[str]]) -> str:
    every = list(names)
    more = f" and {len(every) - _FEW} more" if len(every) > _FEW else ""
    shown = ", ".join(one_line(name or "", 80) for name in every[:_FEW])
    return shown + more if every else "nothing"


def _size(pages: int, length: int) -> str:
    return f"{pages} page{'' if pages == 1 else 's'}, {length} bytes"


def _signature(ty: Any) -> str:
    params = ", ".join(map(str, ty.params))
    results = ", ".join(map(str, ty.results))
    return f"({params}) -> {results if len(ty.results) == 1 else f'({results})'}"
