"""Files that commands write."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Optional

from .programs import STANDARD
from .status import STATUS_USAGE, Failure

__all__ = ["output_of", "output_option", "refuse_terminal", "write_output"]


def output_option(parser: argparse.ArgumentParser, text: str) -> None:
    """Declare the option ``-o``.

    Args:
        parser: The command's parser.
        text: What its help says.
    """
    parser.add_argument("-o", "--output", metavar="FILE", help=text)


def output_of(output: Optional[str], program: str, suffix: str, what: str) -> str:
    """Where to write: what ``-o`` says, or a file in the current directory.

    Args:
        output: What ``-o`` says, if it is given.
        program: The program's file.
        suffix: What takes the place of its suffix.
        what: What is written, for the error.

    Raises:
        Failure: The program comes from standard input, which has no name.
    """
    if output is not None:
        return output
    if program == STANDARD:
        raise Failure(f"-o must name the {what} of standard input", STATUS_USAGE)
    return os.path.splitext(os.path.basename(program))[0] + suffix


def refuse_terminal(output: str, what: str) -> None:
    """Refuse to write a binary to a terminal.

    Raises:
        Failure: Standard output was asked for, and it is one.
    """
    if output == STANDARD and sys.stdout is not None and sys.stdout.isatty():
        raise Failure(
            f"the {what} is not for a terminal: name a file with -o, or redirect it", STATUS_USAGE
        )


def write_output(output: str, contents: bytes) -> None:
    """Write a file at once, or to standard output.

    Raises:
        Failure: It cannot be written.
    """
    if output == STANDARD:
        if sys.stdout is not None:
            sys.stdout.buffer.write(contents)
            sys.stdout.flush()
        return
    try:
        if os.path.exists(output) and not os.path.isfile(output):
            # A pipe or a device: to be written to, not to be replaced by a file.
            with open(output, "wb") as stream:
                stream.write(contents)
        else:
            _replace(os.path.realpath(output), contents)
    except OSError as error:
        raise Failure(f"cannot write {output}: {error.strerror}") from None


def _replace(path: str, contents: bytes) -> None:
    """Write a file at once: a half-written one could not be told from a whole one later."""
    import tempfile  # which takes as long to load as the rest of this package

    descriptor, partial = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".wasmtime-")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(contents)
        mask = os.umask(0o077)
        os.umask(mask)
        os.chmod(partial, 0o666 & ~mask)
        os.replace(partial, path)
    except BaseException:
        os.unlink(partial)
        raise
