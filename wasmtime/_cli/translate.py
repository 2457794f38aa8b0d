"""``wat2wasm`` and ``validate``: text into binary, and whether a binary is valid."""

from __future__ import annotations

import argparse
import os

from .._error import WasmtimeError
from .._module import Module
from .._wasm.reader import kind_of
from .groups import add_group_options
from .output import output_option, refuse_terminal, write_output
from .programs import STANDARD, binary_of, make_engine
from .status import STATUS_ERROR
from .terminal import complain
from .watch import Watch

__all__ = [
    "add_translate_arguments",
    "add_validate_arguments",
    "translate",
    "validate",
]

TRANSLATE_EXAMPLES = """\
  wat2wasm program.wat              into program.wasm
  wat2wasm - -o - < a.wat > a.wasm  from standard input to standard output
"""

VALIDATE_EXAMPLES = """\
  validate program.wasm plugin.wasm   says nothing if both are valid
  validate -W gc=n program.wasm       without a proposal of WebAssembly
"""


def add_translate_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``wat2wasm``."""
    parser.add_argument("program", metavar="FILE", help="a module or component as text")
    output_option(
        parser,
        "where to put the binary, '-' for standard output; by default the name with the suffix "
        ".wasm, in the current directory",
    )


def translate(options: argparse.Namespace, _: Watch) -> int:
    """Translate text into binary; returns the exit status.

    Raises:
        Failure: The text is not well-formed, or a file cannot be read or written.
    """
    output = options.output
    if output is None:
        name = os.path.basename(options.program)
        output = STANDARD if name == STANDARD else os.path.splitext(name)[0] + ".wasm"
    refuse_terminal(output, "binary")
    write_output(output, binary_of(options.program))
    return 0


def add_validate_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``validate``."""
    add_group_options(parser, "W")
    parser.add_argument(
        "programs", metavar="FILE", nargs="+", help="modules or components, binary or text"
    )


def validate(options: argparse.Namespace, watch: Watch) -> int:
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
