"""``python -m wasmtime.bindgen``: write the package for a component or module to a directory."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Optional

from .._error import WasmtimeError
from .._printable import printable
from .._wat2wasm import telling_file
from . import generate


def main(arguments: Optional[list[str]] = None) -> int:
    """Run the command.

    Args:
        arguments: What follows the command's name; the process's own by default.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(
        prog="python -m wasmtime.bindgen",
        description="Write a typed Python package for a WebAssembly component or module.",
    )
    add_arguments(parser)
    return write_package(parser.parse_args(arguments), parser.prog)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("filename", help="the component or module, binary or text")
    parser.add_argument("--out-dir", required=True, help="directory of the package; made if needed")
    parser.add_argument("--name", help="what it is called; by default after the file")
    parser.add_argument(
        "--async",
        dest="asynchronous",
        action="store_true",
        help="write the asynchronous form, whose functions are awaited",
    )
    parser.add_argument(
        "--arrays",
        action="store_true",
        help="have lists of numbers that come from the component as arrays, which NumPy takes "
        "without a copy",
    )


def write_package(options: argparse.Namespace, command: str) -> int:
    """Write the package that options ask for.

    Args:
        options: What `add_arguments` declares.
        command: What the command is called, for errors.

    Returns:
        The exit status.
    """
    source = Path(options.filename)
    try:
        name = options.name or source.stem
        with telling_file(source):
            files = generate(
                name,
                source.read_bytes(),
                asynchronous=options.asynchronous,
                arrays=options.arrays,
            )
        for file, contents in files.items():
            target = Path(options.out_dir, file)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(contents)
            print("Generating", printable(str(target)))
    except (OSError, ValueError, WasmtimeError) as error:
        message = printable(f"{command}: {options.filename}: {error}")
        print(message, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
