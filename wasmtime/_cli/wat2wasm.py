"""``wat2wasm``: text into binary."""

from __future__ import annotations

import argparse
from typing import Optional

from .output import output_of, output_option, refuse_terminal, write_output
from .programs import STANDARD, binary_of
from .watch import Watch

__all__ = ["add_arguments", "run"]

EXAMPLES = """\
  wat2wasm program.wat              into program.wasm
  wat2wasm - -o - < a.wat > a.wasm  from standard input to standard output
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``wat2wasm``."""
    parser.add_argument("program", metavar="FILE", help="a module or component as text")
    output_option(
        parser,
        "where to put the binary, '-' for standard output; by default the name with the suffix "
        ".wasm, in the current directory",
    )


def run(options: argparse.Namespace, _: Watch) -> int:
    """Translate text into binary; returns the exit status.

    Raises:
        Failure: The text is not well-formed, or a file cannot be read or written.
    """
    asked: Optional[str] = options.output
    if asked is None and options.program == STANDARD:
        asked = STANDARD
    output = output_of(asked, options.program, ".wasm", "binary")
    refuse_terminal(output, "binary")
    write_output(output, binary_of(options.program))
    return 0
