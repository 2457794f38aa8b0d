"""``cache``: the compiled code that this package keeps for the user."""

from __future__ import annotations

import argparse
import time

from .._artifacts.cache import Cache, default_directory
from .._error import WasmtimeError
from .status import Failure
from .terminal import show
from .watch import Watch

__all__ = ["add_arguments", "run"]

EXAMPLES = """\
  cache ls       what is kept: size, days since it was used, name
  cache clear    removes all of it
  cache path     where it is
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``cache``."""
    parser.add_argument(
        "action",
        choices=["ls", "clear", "path"],
        help="list the entries, remove them, or tell where they are",
    )


def run(options: argparse.Namespace, _: Watch) -> int:
    """List or remove entries of the cache; returns the exit status.

    Raises:
        Failure: The directory cannot be opened, or others could exchange what is in it.
    """
    try:
        if options.action == "path":
            show([default_directory()])
        elif options.action == "clear":
            count, size = Cache().clear()
            show([f"{count} entries removed, {size} bytes"])
        else:
            now = time.time()
            show(
                f"{size:>12}  {(now - used) / 86400:6.1f} d  {name}"
                for used, size, name in Cache().entries()
            )
    except (OSError, WasmtimeError) as error:
        raise Failure(f"the cache cannot be used: {error}") from None
    return 0
