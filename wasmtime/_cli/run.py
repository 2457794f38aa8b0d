"""``run``: a WASI program, or one function of a module or component."""

from __future__ import annotations

import argparse
from typing import Any, Optional

from .._func import Func
from .._linker import Linker
from .._module import Module
from .._types import FuncType
from .options import add_arguments
from .programs import load, load_module, make_engine
from .status import STATUS_USAGE, Failure
from .stores import make_store
from .terminal import listed, show
from .values import format_value, parse_value
from .watch import Watch

__all__ = ["add_arguments", "run"]


def run(options: argparse.Namespace, watch: Watch) -> int:
    """Run a program, or call a function of it; returns the exit status.

    Raises:
        Failure: It cannot be loaded, or the options do not fit it.
        WasmtimeError: It cannot be linked; `ExitTrap` if it exits with a status.
        Trap: It trapped.
    """
    if options.timeout is not None:
        watch.limit(options.timeout)
    engine = make_engine(options.no_cache, options.fuel is not None)
    module = load(engine, options.program, options.allow_precompiled)
    if not isinstance(module, Module):
        # Imported where it is needed: programs that are core modules start sooner without.
        from .run_component import run_component

        return run_component(module, options, watch)
    return _run_module(module, options, watch)


def _run_module(module: Module, options: argparse.Namespace, watch: Watch) -> int:
    engine = module.engine
    preloads = [
        (name, load_module(engine, path, options.allow_precompiled))
        for name, path in options.preloads
    ]
    entry = _entry_point(module, options)

    store = make_store(engine, options)
    linker = Linker(engine)
    linker.define_wasi()

    watch.engine = engine
    for name, preload in preloads:
        linker.define_instance(store, name, linker.instantiate(store, preload))
    if options.unknown_imports_trap:
        linker.define_unknown_imports_as_traps(module)
    exports = linker.instantiate(store, module).exports(store)
    initialize = exports.get("_initialize")
    if isinstance(initialize, Func):
        initialize(store)
    if entry is None:
        return 0
    name, ty, values = entry
    function = exports[name]
    assert isinstance(function, Func)
    result = function(store, *values)
    if options.invoke is not None:
        results = result if isinstance(result, (list, tuple)) else [result]
        show([format_value(value, kind) for value, kind in zip(results, ty.results)])
    return 0


def _entry_point(
    module: Module, options: argparse.Namespace
) -> Optional[tuple[str, FuncType, list[Any]]]:
    """The function to call, its type and its arguments.

    Returns:
        None if there is nothing to do but instantiate the module.
    """
    functions = {
        export.name: export.type for export in module.exports if isinstance(export.type, FuncType)
    }
    if options.invoke is None:
        for name in ("", "_start"):
            if name in functions:
                return name, functions[name], []
        callable_names = sorted(set(functions) - {"_initialize"})
        if not callable_names:
            return None
        raise Failure(
            f"{options.program} has no _start function; name one of its functions with --invoke: "
            + listed(callable_names)
        )
    if options.invoke not in functions:
        known = listed(sorted(functions)) or "none"
        raise Failure(
            f"{options.program} exports no function {options.invoke!r}; it exports: {known}"
        )
    ty = functions[options.invoke]
    wanted, given = len(ty.params), len(options.arguments)
    if wanted != given:
        raise Failure(
            f"the function {options.invoke!r} takes {wanted} arguments, but {given} were given",
            STATUS_USAGE,
        )
    values = [
        parse_value(text, kind, f"argument {number} of {options.invoke!r}")
        for number, (text, kind) in enumerate(zip(options.arguments, ty.params), 1)
    ]
    return options.invoke, ty, values
