"""``compile``: a module or component, into a file that ``run`` loads without compiling."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Optional

from .programs import STANDARD, add_cache_option, load, make_engine
from .status import STATUS_USAGE, Failure
from .watch import Watch

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``compile``."""
    parser.add_argument(
        "module",
        metavar="MODULE",
        help="a WebAssembly module or component, binary or text; '-' reads it from standard input",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="where to put the compiled module, '-' for standard output; by default its name with "
        "the suffix .cwasm, in the current directory",
    )
    parser.add_argument(
        "--consume-fuel",
        action="store_true",
        help="compile for 'run --fuel', which accepts no other",
    )
    add_cache_option(parser)


def run(options: argparse.Namespace, watch: Watch) -> int:
    """Compile a program into a file; returns the exit status.

    Raises:
        Failure: The program cannot be loaded, or the file cannot be written.
    """
    output = _output_of(options)
    engine = make_engine(options.no_cache, options.consume_fuel)
    watch.engine = engine
    compiled = bytes(load(engine, options.module, allow_precompiled=False).serialize())
    if output == STANDARD:
        if sys.stdout is not None:
            sys.stdout.buffer.write(compiled)
            sys.stdout.flush()
    else:
        _write(output, compiled)
    return 0


def _output_of(options: argparse.Namespace) -> str:
    """Where to put the compiled module."""
    module: str = options.module
    output: Optional[str] = options.output
    if output is None:
        if module == STANDARD:
            raise Failure("-o must name the compiled module of standard input", STATUS_USAGE)
        return os.path.splitext(os.path.basename(module))[0] + ".cwasm"
    if output == STANDARD and sys.stdout is not None and sys.stdout.isatty():
        raise Failure(
            "the compiled module is not for a terminal: name a file with -o, or redirect it",
            STATUS_USAGE,
        )
    return output


def _write(output: str, compiled: bytes) -> None:
    try:
        if os.path.exists(output) and not os.path.isfile(output):
            # A pipe or a device: to be written to, not to be replaced by a file.
            with open(output, "wb") as stream:
                stream.write(compiled)
        else:
            _replace(os.path.realpath(output), compiled)
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
