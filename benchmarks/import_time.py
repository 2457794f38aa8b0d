"""``import wasmtime`` above an empty interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from .rows import Loop, row

RUNS = 10


def _seconds(code: str) -> float:
    """The time of an interpreter that runs `code`, from its start to its end."""
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
def imported() -> Loop:
    # The first import writes the bytecode and brings the files into the page cache.
    _seconds("import wasmtime")
    floor = min(_seconds("pass") for _ in range(RUNS))
    return lambda count: sum(_seconds("import wasmtime") - floor for _ in range(count))
