"""``profile``: where a program spends its time, as a flame graph."""

from __future__ import annotations

import argparse
import os
from contextlib import AbstractContextManager
from typing import Any

from .._profiler import GuestProfiler
from .._store import Store
from .options import seconds
from .output import output_option, write_output
from .programs import load_module
from .run import add_program_arguments, engine_of, run_module
from .watch import Watch

__all__ = ["add_arguments", "run"]

EXAMPLES = """\
  profile -o flame.html program.wasm ARGS    a page for the browser
  profile -o profile.json program.wasm       for https://profiler.firefox.com
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``profile``: those of ``run``, and some."""
    output_option(
        parser,
        "where to put the profile: a flame graph, or, if the name ends with .json, what "
        "profiler.firefox.com shows; by default the program's name with the suffix .profile.html",
    )
    parser.add_argument(
        "--interval",
        metavar="TIME",
        type=seconds,
        default=0.001,
        help="time between samples (default: 1ms)",
    )
    add_program_arguments(parser)


def run(options: argparse.Namespace, watch: Watch) -> int:
    """Run a program and write its profile, also if it ends by a trap; returns its exit status.

    Raises:
        Failure: It cannot be loaded, is a component, or the file cannot be written.
        WasmtimeError: As ``run``.
    """
    if options.timeout is not None:
        watch.limit(options.timeout)
    engine = engine_of(options)
    module = load_module(engine, options.program, options.allow_precompiled)
    name = os.path.basename(options.program)
    profiler = GuestProfiler(engine, name, {name: module}, options.interval)
    try:
        return run_module(module, options, watch, _sampling(profiler))
    finally:
        output = options.output or f"{os.path.splitext(name)[0]}.profile.html"
        write_output(output, _in_form(profiler.finish(), output, name))


def _sampling(profiler: GuestProfiler) -> Any:
    def around(store: Store) -> AbstractContextManager[Any]:
        return profiler.sampling(store)

    return around


def _in_form(profile: bytes, output: str, name: str) -> bytes:
    """The profile in the form that the name of the file asks for."""
    if output.endswith(".json"):
        return profile
    from .flamegraph import flame_graph

    return flame_graph(profile, name).encode()
