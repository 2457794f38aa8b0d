"""
Every program in examples/ runs, and prints what it should.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"

#: Lines that a program prints, in this order, perhaps with others in between.
EXPECTED = {
    "component_resources.py": [
        "needs example:host/counters#counter",
        "a counter from 30",
        "dropped at 40",
        "40",
    ],
    "component_values.py": [
        "interface {",
        "Record(x_axis=11.0, y_axis=22.0), of which 11.0",
        "refused: b.y_axis: expected f64, got str",
    ],
    "externref.py": [
        "WebAssembly holds the account of Ada",
        "WebAssembly holds ['any', 'object']",
        "WebAssembly holds None",
        "the same object: True",
        "alive: True",
        "alive after it was dropped: False",
    ],
    "gc_objects.py": [
        "built by WebAssembly: [3, 2, 1]",
        "built by Python, summed by WebAssembly: 60",
        "after a change: 30",
        "known: 399",
        "caught by WebAssembly: -77",
        "caught by Python: (77,) of the tag unknown: True",
    ],
    "hello.py": [
        "Hello from Python, 3 to go",
        "Hello from Python, 2 to go",
        "Hello from Python, 1 to go",
    ],
    "host_functions.py": [
        "log: naïve café",
        "log: NAÏVE CAFÉ",
        "caught: 5 bytes at 0x10000 are not all inside the memory; "
        "WebAssembly frames in between: 1",
    ],
    "linking.py": ["6 squares: [0, 1, 4, 9, 16, 25]"],
    "memory_arrays.py": [
        "scaled: [5.0, 15.0, 25.0, 35.0]",
        "not closed: BufferError",
        "record: (7, 0.25, 0.5)",
        "closed",
    ],
    "plugin_host.py": [
        "square: 144",
        "spinner: stopped, out_of_fuel",
        "dawdler: stopped, interrupt",
        "hoarder: 16",
        "giant: refused, memory minimum size of 1000 pages exceeds memory limits",
        "divider: stopped, integer_division_by_zero",
        "diver: stopped, stack_overflow",
        "    'env' 'secret': (func)",
    ],
    "serialization.py": [
        "from the artifact: 42",
        "damaged: WasmtimeError",
        "first time: 42, entries in the cache: 1",
        "second time: 42, entries in the cache: 1",
    ],
    "threads.py": ["17984 primes below 200000", "store is in use by another thread"],
    "timeout.py": ["stopped: True, in time: True", "stopped: enough after 3 ticks"],
    "wasi_program.py": [
        "greeting.txt: status 0, output 'Hello from a file\\n', errors ''",
        "../secret.txt: status 1, output '', errors 'cannot open the file\\n'",
    ],
}

#: Programs that other tests run.
ELSEWHERE: set[str] = set()


def test_every_example_is_run() -> None:
    there = {path.name for path in EXAMPLES.glob("*.py")}
    assert there == set(EXPECTED) | ELSEWHERE


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_example(name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "utf8", str(EXAMPLES / name)],
        cwd=str(tmp_path),
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    printed = iter(done.stdout.splitlines())
    for line in EXPECTED[name]:
        assert line in printed, f"{line!r} is missing, or out of order, in:\n{done.stdout}"
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []
