"""
``import wasmtime`` above an empty interpreter.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

from .harness import Measured, row

RUNS = 15


def _seconds(code: str) -> float:
    """
    The time of an interpreter that runs `code`, from its start to its end.
    """
    # The flags leave out what is not measured: the user's site-packages and environment.
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTHON")
    }
    started = time.perf_counter()
    subprocess.run([sys.executable, "-I", "-c", code], check=True, env=environment)
    return time.perf_counter() - started


@row(
    "import_time.import",
    "`import wasmtime`, above an empty interpreter",
    target=2,
    note="whole processes, bytecode cached; the shortest with the import less the shortest without",
)
def imported() -> Measured:
    # The first import writes the bytecode and brings the files into the page cache.
    _seconds("import wasmtime")
    empty, full = [], []
    for _ in range(RUNS):
        empty.append(_seconds("pass"))
        full.append(_seconds("import wasmtime"))
    floor = min(empty)
    return Measured(tuple((seconds - floor) * 1e9 for seconds in full))
