"""``validate``: whether modules and components are valid."""

from __future__ import annotations

import argparse

from .._error import WasmtimeError
from .._module import Module
from .._wasm.reader import kind_of
from .groups import add_group_options
from .programs import binary_of, make_engine
from .status import STATUS_ERROR
from .terminal import complain
from .watch import Watch

__all__ = ["add_arguments", "run"]

EXAMPLES = """\
  validate program.wasm plugin.wasm   says nothing if both are valid
  validate -W gc=n program.wasm       without a proposal of WebAssembly
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``validate``."""
    add_group_options(parser, "W")
    parser.add_argument(
        "programs", metavar="FILE", nargs="+", help="modules or components, binary or text"
    )


def run(options: argparse.Namespace, watch: Watch) -> int:
    """Tell what is wrong with files; returns the exit status, 1 if one is not valid.

    Raises:
        Failure: One cannot be read, or is no well-formed text.
    """
    engine = make_engine(no_cache=True, fuel=False, settings=options.settings)
    watch.engine = engine
    status = 0
    for path in options.programs:
        binary = binary_of(path)
        try:
            if kind_of(binary) == "component":
                from ..component import Component

                Component(engine, binary)  # the library validates components by compiling them
            else:
                Module.validate(engine, binary)
        except WasmtimeError as error:
            complain(f"{path} is not valid: {error}")
            status = STATUS_ERROR
    return status
