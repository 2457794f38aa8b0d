"""``compile``: a module or component, into a file that ``run`` loads without compiling."""

from __future__ import annotations

import argparse

from .groups import add_group_options
from .output import output_of, output_option, refuse_terminal, write_output
from .programs import add_cache_option, load, make_engine
from .watch import Watch

__all__ = ["add_arguments", "run"]

EXAMPLES = """\
  compile program.wasm                        into program.cwasm
  compile --target aarch64-linux program.wasm   for another machine
  run --allow-precompiled program.cwasm       runs it
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``compile``."""
    parser.add_argument(
        "module",
        metavar="MODULE",
        help="a WebAssembly module or component, binary or text; '-' reads it from standard input",
    )
    output_option(
        parser,
        "where to put the compiled module, '-' for standard output; by default its name with "
        "the suffix .cwasm, in the current directory",
    )
    parser.add_argument(
        "--target", metavar="TRIPLE", help="compile for another kind of machine, x86_64-linux say"
    )
    parser.add_argument(
        "--consume-fuel",
        action="store_true",
        help="compile for 'run --fuel', which accepts no other",
    )
    add_group_options(parser, "OCDW")
    add_cache_option(parser)


def run(options: argparse.Namespace, watch: Watch) -> int:
    """Compile a program into a file; returns the exit status.

    Raises:
        Failure: The program cannot be loaded, or the file cannot be written.
    """
    what = "compiled module"
    output = output_of(options.output, options.module, ".cwasm", what)
    refuse_terminal(output, what)
    settings = dict(options.settings)
    if options.target is not None:
        settings["target"] = options.target
    engine = make_engine(options.no_cache, options.consume_fuel, settings)
    watch.engine = engine
    write_output(output, bytes(load(engine, options.module, allow_precompiled=False).serialize()))
    return 0
