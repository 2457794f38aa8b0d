"""``run`` for a component: a command of WASI preview 2, or one of its functions."""

from __future__ import annotations

import argparse
from typing import Any, Optional

from .._error import WasmtimeError
from .._store import Store
from .._wasi_names import HTTP, SOCKETS
from ..component import Component, ComponentInstanceType, Err, Func, FuncType, Linker
from ..component._types import plain
from .component_values import parse_argument, to_text
from .status import STATUS_USAGE, Failure
from .stores import make_store
from .terminal import complain, listed, show
from .watch import Watch

__all__ = ["run_component"]


def run_component(component: Component, options: argparse.Namespace, watch: Watch) -> int:
    """Run a component as a program, or call a function of it; returns the exit status.

    Raises:
        Failure: The options do not fit the component, or an argument does not fit its function.
        WasmtimeError: The component is no command, lacks the function, or cannot be linked;
            `ExitTrap` if it exits with a status.
        Trap: It trapped.
    """
    _check_options(component, options)
    store = make_store(component.engine, options)
    watch.engine = component.engine
    linker = Linker(component.engine)
    linker.add_wasip2()
    if options.http:
        linker.add_wasi_http()
        store.set_wasi_http()
    if options.unknown_imports_trap:
        linker.define_unknown_imports_as_traps(component)
    exports = linker.instantiate(store, component).exports(store)
    if options.invoke is None:
        return _run_command(store, component, exports)
    result = _invoke(store, component, exports, options)
    if result is not None:
        show([result])
    return 0


def _check_options(component: Component, options: argparse.Namespace) -> None:
    if options.preloads:
        raise Failure("--preload is for core modules; a component has its imports linked by type")
    if options.seed is not None or options.clock is not None:
        raise Failure("--seed and --clock are for core modules", STATUS_USAGE)
    wants_http = any(name.startswith(HTTP) for name in component.imports)
    if wants_http and not options.http and not options.unknown_imports_trap:
        raise Failure(
            f"{options.program} is a component that imports wasi:http; --http lets it make HTTP "
            "requests, to any server that this machine reaches"
        )
    if options.network and any(name.startswith(SOCKETS) for name in component.imports):
        complain(
            "this version of the library refuses every socket, TCP and UDP alike; --network does "
            "not change that",
            "warning",
        )


def _run_command(store: Store, component: Component, exports: Any) -> int:
    """Run a command of WASI preview 2, which exports ``wasi:cli/run``; returns the exit status."""
    run = next((exports[name] for name in exports if name.startswith("wasi:cli/run@")), None)
    if run is None:
        raise WasmtimeError(
            "the component is no command: it does not export wasi:cli/run; name one of its "
            f"functions with --invoke: {_functions(component) or '(it has none)'}"
        )
    return 1 if isinstance(run["run"](store), Err) else 0


def _invoke(
    store: Store, component: Component, exports: Any, options: argparse.Namespace
) -> Optional[str]:
    """Call the function that ``--invoke`` names: ``function``, or ``interface#function``.

    Returns:
        Its result as text, None if it has none.
    """
    invoke: str = options.invoke
    item: Any = exports
    for part in invoke.split("#"):
        item = item[part] if not isinstance(item, Func) and part in item else None
        if item is None:
            break
    if not isinstance(item, Func):
        known = _functions(component) or "none"
        raise WasmtimeError(f"the component exports no function {invoke!r}; it exports: {known}")
    ty = item.type(store)
    wanted, given = len(ty.params), len(options.arguments)
    if wanted != given:
        raise Failure(
            f"the function {invoke!r} takes {wanted} arguments, but {given} were given",
            STATUS_USAGE,
        )
    values = [
        parse_argument(text, part, name) for text, (name, part) in zip(options.arguments, ty.params)
    ]
    try:
        result = item(store, *values)
    except (TypeError, ValueError, OverflowError) as error:  # no other Python code is called here
        raise Failure(
            f"the function {invoke!r} cannot be called so: {error}", STATUS_USAGE
        ) from None
    return None if ty.result is None else to_text(result)


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
    return listed(names)
