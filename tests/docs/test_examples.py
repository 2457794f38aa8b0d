"""
Every program in examples/ runs, and prints what it should.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support import CHECKOUT

from wasmtime import Module, Trap, TrapCode, WasmtimeError

EXAMPLES = CHECKOUT / "examples"

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
    "egress.py": [
        "host-error - the address is not allowed: 'http://example.org/'",
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
        "caught: index out of range: 5 bytes at 0x10000 are not all inside the memory of 65536 "
        "bytes; WebAssembly frames in between: 1",
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
        "piler: 1000",
        "talker: stopped, out_of_fuel",
        "greeter: 12, b'Hello'",
        "giant: refused, memory minimum size of 1000 pages exceeds memory limits",
        "divider: stopped, integer_division_by_zero",
        "diver: stopped, stack_overflow",
        "impostor: refused, it has no function apply(i32) -> i32",
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
ELSEWHERE = {"asgi_application.py", "dask_udf.py", "ray_map.py"}


def test_every_example_is_run() -> None:
    there = {path.name for path in EXAMPLES.glob("*.py")}
    assert there == set(EXPECTED) | ELSEWHERE


@pytest.mark.parametrize("name", sorted(EXPECTED))
@pytest.mark.slow
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


@pytest.fixture
def plugin_host(monkeypatch: pytest.MonkeyPatch) -> Any:
    """
    The module of the example.
    """
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module("plugin_host")


@pytest.mark.slow
def test_plugins_that_never_end_take_no_time_from_those_that_do(plugin_host: Any) -> None:
    """
    A timer for each call ended the calls of all other threads, too.
    """
    text, fuel = plugin_host.PLUGINS["dawdler"]
    with plugin_host.PluginHost() as host:
        honest = Module(host.engine, plugin_host.PLUGINS["square"][0])
        dawdler = Module(host.engine, text)
        started = threading.Event()
        done = threading.Event()

        def dawdle() -> list[TrapCode | None]:
            codes = []
            for _ in range(3):
                started.set()
                with pytest.raises(Trap) as stopped:
                    host.apply(dawdler, 0, fuel)
                codes.append(stopped.value.trap_code)
            return codes

        def work() -> list[int]:
            started.wait()
            results = []
            while not done.is_set():
                results.append(host.apply(honest, 12)[0])
            return results

        with ThreadPoolExecutor(4) as pool:
            workers = [pool.submit(work) for _ in range(2)]
            dawdlers = [pool.submit(dawdle) for _ in range(2)]
            try:
                for future in dawdlers:
                    assert future.result(60) == [TrapCode.INTERRUPT] * 3
            finally:
                done.set()
            for future in workers:
                assert set(future.result(60)) == {144}


def test_a_plugin_keeps_to_its_limits_where_it_says_something(plugin_host: Any) -> None:
    say = '(import "host" "say" (func $say (param i32 i32)))'
    apply = f"{plugin_host.APPLY} (call $say (i32.const 0) (i32.const -1)) (i32.const 1))"
    with plugin_host.PluginHost() as host:
        module = Module(host.engine, f'{say} (memory (export "memory") 1) {apply}')
        assert host.apply(module, 0) == (1, bytes(plugin_host.SPEECH))
        without = Module(host.engine, f"{say} {apply}")
        with pytest.raises(WasmtimeError, match="exports no memory"):
            host.apply(without, 0)
