"""``run``: a WASI program, or one function of a module or component."""

from __future__ import annotations

import argparse
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Callable, Optional

from .._engine import Engine
from .._func import Func
from .._linker import Linker
from .._module import Module
from .._store import Store
from .._types import FuncType
from . import options as run_options
from .groups import add_group_options
from .programs import load, load_module, make_engine
from .status import STATUS_USAGE, Failure
from .stores import make_store
from .terminal import listed, show
from .values import format_value, parse_value
from .watch import Watch

__all__ = ["add_arguments", "add_program_arguments", "engine_of", "run", "run_module"]

EXAMPLES = """\
  run --dir . program.wasm ARGS       a program, with the current directory
  run --timeout 5s -W fuel=1000000 --max-memory-size 64MiB untrusted.wasm
  run --invoke add add.wat 5 3        one function
  run --isolate --timeout 5s untrusted.wasm   in a process of its own
  run --json tool.wasm | jq .reason   how it ended, what it wrote, what it used
  run --seed 1 --clock 2030-01-01T00:00:00Z program.wasm   the same each time
  cat program.wasm | run -            from standard input

exit status: the program's own; 134 if it trapped or was stopped (3 on Windows),
130 after Ctrl-C, 1 if it could not be loaded or started, 2 for wrong options
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``run``."""
    add_program_arguments(parser)
    run_options.add_sandbox_options(parser)


def add_program_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare those that other commands have too which run a program."""
    add_group_options(parser)
    run_options.add_arguments(parser)


def engine_of(options: argparse.Namespace) -> Engine:
    """The engine that the options ask for.

    Raises:
        Failure: They do not go together.
    """
    cached = not options.no_cache and options.cache is not False
    return make_engine(not cached, options.fuel is not None, options.settings)


def run(options: argparse.Namespace, watch: Watch) -> int:
    """Run a program, or call a function of it; returns the exit status.

    Raises:
        Failure: It cannot be loaded, or the options do not fit it.
        WasmtimeError: It cannot be linked; `ExitTrap` if it exits with a status.
        Trap: It trapped.
    """
    if options.json or options.isolate:
        # Imported where it is needed, like the rest of this function's: a program starts sooner.
        from .run_sandboxed import run_sandboxed

        return run_sandboxed(options, watch)
    if options.timeout is not None:
        watch.limit(options.timeout)
    engine = engine_of(options)
    module = load(engine, options.program, options.allow_precompiled)
    if not isinstance(module, Module):
        from .run_component import run_component

        return run_component(module, options, watch)
    return run_module(module, options, watch)


def run_module(
    module: Module,
    options: argparse.Namespace,
    watch: Watch,
    around: Callable[[Store], AbstractContextManager[Any]] = nullcontext,
) -> int:
    """Run a core module, or call a function of it; returns the exit status.

    Args:
        module: The module.
        options: What `add_arguments` declares.
        watch: Stops it.
        around: Makes what is entered while the guest runs.

    Raises:
        Failure: The options do not fit it.
        WasmtimeError: As `run`.
    """
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
    with around(store):
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
