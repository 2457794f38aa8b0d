"""Two stores on two threads, beside two processes that do the same.

The work of a worker is a number of calls, each of which computes for about a millisecond in
WebAssembly. Both workers start together; the time is that until the later one is done. Threads and
processes take turns, and the throughputs of the best run of each are compared: with as many idle
cores as workers, 1.0 means that threads are as good as processes. On a machine whose cores are
busy with something else this row says nothing.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from .rows import Loop, row

#: A loop of 2**20 additions for each call.
MODULE = """
(module
  (func (export "work") (param i32) (result i32) (local $sum i32)
    (loop $again
      (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 31)) (local.get 0)))
      (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get $sum)))
"""
STEPS = 1 << 20
WORKERS = 2
CALLS = 150
SHORT_STEPS = 1 << 10
SHORT_CALLS = 40_000


def prepare(steps: int, calls: int) -> Callable[[], None]:
    """A store of its own, and the work in it."""
    from wasmtime import Instance, Module, Store

    store = Store()
    work: Any = Instance(store, Module(store.engine, MODULE), []).exports(store)["work"]
    work(store, 1)

    def run() -> None:
        for _ in range(calls):
            work(store, steps)

    return run


def in_threads(steps: int, calls: int, workers: int = WORKERS) -> float:
    """Seconds that the workers take on threads of this process."""
    barrier = threading.Barrier(workers + 1)

    def worker() -> None:
        run = prepare(steps, calls)
        barrier.wait()
        run()

    threads = [threading.Thread(target=worker) for _ in range(workers)]
    for thread in threads:
        thread.start()
    barrier.wait()
    started = time.perf_counter()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started


def in_processes(steps: int, calls: int, workers: int = WORKERS) -> float:
    """Seconds that the workers take in processes of their own, which are up and ready."""
    command = [
        sys.executable,
        "-c",
        f"import sys; sys.path[:] = {sys.path!r}\n"
        "from benchmarks.threads import prepare\n"
        f"run = prepare({steps}, {calls})\n"
        "print(flush=True); sys.stdin.readline(); run(); print(flush=True)",
    ]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(workers)
    ]
    pipes = [(process.stdin, process.stdout) for process in processes]
    for _, output in pipes:
        assert output is not None
        output.readline()
    started = time.perf_counter()
    for given, _ in pipes:
        assert given is not None
        given.write("go\n")
        given.flush()
    for _, output in pipes:
        assert output is not None
        output.readline()
    taken = time.perf_counter() - started
    for process in processes:
        process.communicate()
    return taken


def compare(steps: int, calls: int) -> Loop:
    """The throughput of threads, in terms of that of processes, where other rows have seconds."""
    best = in_processes(steps, calls)

    def ratio(count: int) -> float:
        nonlocal best
        best = min(best, in_processes(steps, calls))
        return count * best / in_threads(steps, calls)

    return ratio


@row(
    "threads.long",
    "two stores on two threads: throughput, that of two processes = 1",
    unit="ratio",
    limit=0.9,
    note=f"calls that compute for about a millisecond ({STEPS} steps of a loop)",
)
def long_calls() -> Loop:
    return compare(STEPS, CALLS)


@row(
    "threads.short",
    "the same with calls of about a microsecond",
    unit="ratio",
    note="each call keeps the interpreter's lock, of which there is one",
)
def short_calls() -> Loop:
    return compare(SHORT_STEPS, SHORT_CALLS)
