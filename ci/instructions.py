#!/usr/bin/env python3
"""Count the instructions of the hot paths, under valgrind, and compare with the committed counts.

Times differ from run to run; the number of instructions hardly does, so a change that makes a call
more expensive by a few percent shows here and nowhere else. Each path is run N and 2N times in two
processes under callgrind; the difference, divided by N, is the number of instructions of one go,
with everything that happens once (starting Python, compiling, leaving) gone from it. The step of
the Python loop around it is included.

    python ci/instructions.py            compare
    python ci/instructions.py --update   measure and record

It measures the package that the interpreter it is started with imports. The counts depend on the
version and the build of Python, so there is a record for each version, and only a version that has
one is judged. valgrind must be installed. This is no part of the ordinary tests.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Optional

RECORD = Path(__file__).with_suffix(".json")

#: How far a count may rise above the recorded one.
TOLERANCE = 0.03

GOES = 20_000

#: How often each process is run. The least counts: whether a call keeps Python's lock depends on
#: how long calls take, which under valgrind on a busy machine may be long.
TRIES = 2

MODULE = """
(module
  (import "" "f" (func $f (param i32) (result i32)))
  (memory (export "memory") 1)
  (global (export "number") (mut i32) (i32.const 1))
  (func (export "empty"))
  (func (export "add") (param i32 i32) (result i32)
    (i32.add (local.get 0) (local.get 1)))
  (func (export "host") (param $left i32)
    (loop $again
      (drop (call $f (local.get $left)))
      (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))))
"""

#: What is counted: the statement, and whether it repeats itself `count` times.
PATHS = {
    "call of an empty function": "for _ in repeat(None, count): empty(store)",
    "call of add(i32, i32)": "for _ in repeat(None, count): add(store, 5, 3)",
    "bound call of add": "for _ in repeat(None, count): bound(5, 3)",
    "bound call of add, GIL kept": "for _ in repeat(None, count): bound_gil(5, 3)",
    "host call": "host.bind(store, release_gil=True)(count)",
    "host call, GIL kept": "host.bind(store, release_gil=False)(count)",
    "memory.read of 16 bytes": "for _ in repeat(None, count): memory.read(store, 64, 80)",
    "memory.write of 16 bytes": "for _ in repeat(None, count): memory.write(store, data, 64)",
    "global.value": "for _ in repeat(None, count): number.value(store)",
    "a store": "for _ in repeat(None, count): Store(engine)",
    "the loop alone": "for _ in repeat(None, count): pass",
}

PROGRAM = f"""
import sys
from itertools import repeat
from wasmtime import Config, Engine, Func, FuncType, Instance, Module, Store, ValType

def run(statement, count):
    config = Config()
    config.parallel_compilation = False
    engine = Engine(config)
    store = Store(engine)
    i32 = ValType.i32()
    f = Func(store, FuncType([i32], [i32]), lambda number: number)
    exports = Instance(store, Module(engine, '''{MODULE}'''), [f]).exports(store)
    names = dict(exports)
    names.update(
        Store=Store, engine=engine, store=store, count=count, repeat=repeat, data=b"x" * 16,
        bound=exports["add"].bind(store),
        bound_gil=exports["add"].bind(store, release_gil=False),
    )
    scope = {{}}
    exec(f"def go({{', '.join(names)}}):\\n    {{statement}}", scope)
    scope["go"](**names)

run(sys.argv[1], int(sys.argv[2]))
"""


def interpreter_key() -> str:
    """What the counts depend on, as far as it has a name."""
    return f"{platform.python_implementation()} {platform.python_version()} {platform.machine()}"


def executed(statement: str, count: int) -> int:
    """How many instructions a whole process executes."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    environment["PYTHONHASHSEED"] = "0"
    with tempfile.TemporaryDirectory() as scratch:
        command = [
            "valgrind",
            "--tool=callgrind",
            f"--callgrind-out-file={scratch}/out",
            sys.executable,
            "-c",
            PROGRAM,
            statement,
            str(count),
        ]
        done = subprocess.run(
            command, cwd=scratch, env=environment, capture_output=True, text=True, check=False
        )
    found = re.search(r"Collected\s*:\s*(\d+)", done.stderr)
    if done.returncode != 0 or found is None:
        raise SystemExit(f"the run under valgrind failed:\n{done.stderr[-2000:]}")
    return int(found.group(1))


def count(statement: str) -> float:
    """How many instructions one go takes."""

    def least(goes: int) -> int:
        return min(executed(statement, goes) for _ in range(TRIES))

    return (least(2 * GOES) - least(GOES)) / GOES


def compare(counts: dict[str, float], recorded: dict[str, float]) -> bool:
    """Print a table; whether no count rose above what is tolerated."""
    fine = True
    for name, now in counts.items():
        before = recorded.get(name)
        if before is None:
            print(f"{name:32} {now:9.1f}  not recorded")
            continue
        change = now / before - 1
        verdict = ""
        if change > TOLERANCE:
            fine, verdict = False, "  too many"
        elif change < -TOLERANCE:
            verdict = "  fewer: record them with --update"
        print(f"{name:32} {now:9.1f}  recorded {before:9.1f}  {change:+7.2%}{verdict}")
    return fine


def main(argv: Optional[list[str]] = None) -> int:
    """Count and compare, or record."""
    parser = argparse.ArgumentParser(description="Count the instructions of the hot paths.")
    parser.add_argument("--update", action="store_true", help="record the counts of now")
    parser.add_argument("--only", metavar="TEXT", help="the paths whose name has this in it")
    options = parser.parse_args(argv)
    if shutil.which("valgrind") is None:
        raise SystemExit("this needs valgrind, which is not installed")
    records: dict[str, Any] = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    key = interpreter_key()
    if key not in records and not options.update:
        print(f"nothing is recorded for {key}: nothing to compare (--update records it)")
        return 0
    paths = {n: s for n, s in PATHS.items() if options.only is None or options.only in n}
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        counts = dict(zip(paths, pool.map(count, paths.values())))
    fine = compare(counts, records.get(key, {}))
    if options.update:
        rounded = {name: round(number, 1) for name, number in counts.items()}
        records[key] = {**records.get(key, {}), **rounded}
        RECORD.write_text(json.dumps(records, indent=1, sort_keys=True) + "\n")
        return 0
    return 0 if fine else 1


if __name__ == "__main__":
    raise SystemExit(main())
