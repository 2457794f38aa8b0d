"""``completion``: a script with which a shell completes commands, options and files."""

from __future__ import annotations

import argparse

from .status import Failure
from .terminal import show
from .watch import Watch

__all__ = ["add_arguments", "run"]

EXAMPLES = """\
  eval "$(python -m wasmtime completion bash)"     in ~/.bashrc
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``completion``."""
    parser.add_argument("shell", choices=["bash", "zsh", "tcsh"], help="the shell")


def run(options: argparse.Namespace, _: Watch) -> int:
    """Print the script; returns the exit status.

    Raises:
        Failure: The package that writes such scripts is not installed.
    """
    try:
        import shtab  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        raise Failure("completion needs the package shtab: pip install shtab") from None
    from . import whole_parser

    show([shtab.complete(whole_parser(), options.shell)])
    return 0
