"""Interpreters that are set up once, beside native ones: ``python -m benchmarks.warm``.

It takes interpreters that were prepared as docs/snapshots.md tells, and are too large to be fetched
for a table:

    python -m benchmarks.warm --python python.async.wasm --javascript quickjs.async.wasm

Guests and native processes take turns, so that what else the machine does slows all of them down.
The best and the median of all rounds are shown: on a machine that is busy, the best tell more.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Optional

from wasmtime.sandbox import Argv, Interpreter, InterpreterSession, ResourceLimits

#: How often the works take turns, and how often each runs in a turn.
ROUNDS, RUNS, PROCESSES = 5, 40, 4
#: How often each of several threads runs a work: the system takes some time to spread threads.
THREAD_RUNS = 400
#: How many copies wait while memory is measured.
COPIES = 20

IMPORTS = "import json, re, dataclasses"
KEYS = "globalThis.keys = {}; for (let i = 0; i < 20000; i++) keys['k' + i] = i"
LIMITS = ResourceLimits(compile_timeout=600)


def python(path: Path) -> Interpreter:
    """CPython with some modules imported."""
    return Interpreter(path, Argv(("-I", "-S", "-c"), "python"), setup=IMPORTS, limits=LIMITS)


def javascript(path: Path) -> Interpreter:
    """QuickJS with 20,000 keys."""
    adapter = Argv(("-e",), "javascript", driver_options=("--std", "-e"))
    return Interpreter(path, adapter, setup=KEYS, limits=LIMITS)


def snippet(interpreter: Interpreter, code: str) -> Callable[[], None]:
    """Run a snippet in a copy."""
    assert interpreter.run(code).text == "42\n"

    def run() -> None:
        interpreter.run(code)

    return run


def native(*code: str) -> Callable[[], None]:
    """Run a snippet in a process of this Python."""
    command = [sys.executable, "-I", "-S", "-c", "; ".join((*code, "print(6*7)"))]

    def run() -> None:
        subprocess.run(command, capture_output=True, check=True)

    return run


def timed(work: Callable[[], None]) -> float:
    """The seconds of one run."""
    start = perf_counter()
    work()
    return perf_counter() - start


def hashing() -> None:
    """What threads do without each other: the machine's own ratio."""
    hashlib.sha256(bytes(1 << 20)).digest()


def rate(work: Callable[[], None], count: int) -> float:
    """Runs a second, on so many threads."""

    def several() -> None:
        for _ in range(THREAD_RUNS):
            work()

    threads = [threading.Thread(target=several) for _ in range(count)]

    def together() -> None:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return count * THREAD_RUNS / timed(together)


def show_threads(name: str, work: Callable[[], None]) -> None:
    """Show how many runs one thread makes, and two."""
    pairs = [(rate(work, 1), rate(work, 2)) for _ in range(ROUNDS)]
    one, two = (max(rates) for rates in zip(*pairs))
    print(f"{name}: {one:.0f}/s on one thread, {two:.0f}/s on two: {two / one:.2f}")


def private_memory() -> Optional[int]:
    """Bytes that this process shares with nobody; None where the system does not tell."""
    try:
        lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    except OSError:
        return None
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Private_"))


def show_memory(interpreter: Interpreter) -> None:
    """Show how much a copy has of its own."""
    with interpreter.open() as session:
        snapshot = session.snapshot()
    snapshot.open().close()  # what is loaded at the first use
    before = private_memory()
    copies: list[InterpreterSession] = [snapshot.open() for _ in range(COPIES)]
    waiting = private_memory()
    for copy in copies:
        copy.eval("6 * 7")
    used = private_memory()
    for copy in copies:
        copy.close()
    if before is not None and waiting is not None and used is not None:
        each = [(now - before) / COPIES / (1 << 20) for now in (waiting, used)]
        print(f"a copy of its own: {each[0]:.2f} MiB, after a snippet {each[1]:.2f} MiB")


def show_times(works: dict[str, tuple[Callable[[], None], int]]) -> None:
    """Let works take turns, and show what one run of each takes."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, (work, count) in works.items():
            times[name] += [timed(work) for _ in range(count)]
    for name, found in times.items():
        print(f"{name}: median {median(found) * 1e3:.2f} ms, best {min(found) * 1e3:.2f} ms")


def main() -> None:
    """Measure what is given."""
    parser = argparse.ArgumentParser(description="Measure interpreters that are set up once.")
    parser.add_argument("--python", type=Path, help="CPython for WASI, asyncified")
    parser.add_argument("--javascript", type=Path, help="QuickJS for WASI, asyncified")
    options = parser.parse_args()
    works = {
        "native python -I -S": (native(), PROCESSES),
        f"native python -I -S, {IMPORTS}": (native(IMPORTS), PROCESSES),
    }
    guests: list[Interpreter] = []
    if options.python is not None:
        guests.append(python(options.python))
        works[f"CPython, {IMPORTS}"] = (snippet(guests[-1], "print(6*7)"), RUNS)
    if options.javascript is not None:
        guests.append(javascript(options.javascript))
        works["QuickJS, 20,000 keys"] = (snippet(guests[-1], "console.log(6*7)"), RUNS)
    show_times(works)
    show_threads("SHA-256 of 1 MiB", hashing)
    for name, guest in zip(list(works)[2:], guests):
        show_threads(name, works[name][0])
        show_memory(guest)


if __name__ == "__main__":
    main()
