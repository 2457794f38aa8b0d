"""``bindgen``: a typed Python package for a module or component."""

from __future__ import annotations

import argparse

from ..bindgen.__main__ import add_arguments, write_package
from .watch import Watch

__all__ = ["add_arguments", "run"]

EXAMPLES = """\
  bindgen plugin.wasm --out-dir plugin     then: from plugin import Root
"""


def run(options: argparse.Namespace, _: Watch) -> int:
    """Write the package; returns the exit status."""
    return write_package(options, "python -m wasmtime bindgen")
