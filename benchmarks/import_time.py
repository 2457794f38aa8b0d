"""What a new process waits for: ``import wasmtime``, and what comes with it."""

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


def _above_nothing(code: str) -> Loop:
    """The time that `code` takes, without that of an interpreter that does nothing."""
    # The first time writes the bytecode and brings the files into the page cache.
    _seconds(code)
    floor = min(_seconds("pass") for _ in range(RUNS))
    return lambda count: sum(_seconds(code) - floor for _ in range(count))


@row(
    "import_time.import",
    "`import wasmtime`, above an empty interpreter",
    target=2,
    note="whole processes, bytecode cached; the shortest with the import less the shortest without",
)
def imported() -> Loop:
    return _above_nothing("import wasmtime")


@row("import_time.sandbox", "the same with `import wasmtime.sandbox`", ours_only=True)
def imported_sandbox() -> Loop:
    return _above_nothing("import wasmtime.sandbox")


@row("import_time.first_run", "the same with a first run in the sandbox", ours_only=True)
def first_run() -> Loop:
    program = '(module (memory (export "memory") 1) (func (export "_start")))'
    return _above_nothing(f"from wasmtime.sandbox import run; run({program!r}, check=True)")
