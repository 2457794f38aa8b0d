"""How late guests end after their time is up, and what a timeout costs a call."""

from __future__ import annotations

import time
from typing import Any

from .rows import Loop, Work, instantiate, row

#: The guest's time, in seconds.
TIME = 0.005

SLEEPER = """
(import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
(memory (export "memory") 1)
(func (export "sleep")
  (i64.store (i32.const 24) (i64.const 60_000_000_000))
  (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128))))
"""


def lateness(store: Any, function: Any) -> Loop:
    """Seconds between the end of the time and the exception."""
    from wasmtime import TimeoutTrap

    store.set_timeout(TIME)

    def loop(count: int) -> float:
        late = 0.0
        for _ in range(count):
            started = time.perf_counter()
            try:
                function(store)
            except TimeoutTrap:
                late += time.perf_counter() - started - TIME
        return late

    return loop


@row(
    "timeouts.computing",
    "a guest that computes ends, after its time is up",
    ours_only=True,
    note="`Store.set_timeout(0.005)`",
)
def computing() -> Loop:
    store, exports = instantiate('(func (export "spin") (loop (br 0)))')
    return lateness(store, exports["spin"])


@row("timeouts.sleeping", "the same for one that sleeps", ours_only=True)
def sleeping() -> Loop:
    from wasmtime import Engine, Linker, Module, Store, WasiConfig

    engine = Engine()
    store, linker = Store(engine), Linker(engine)
    linker.define_wasi()
    store.set_wasi(WasiConfig())
    exports = linker.instantiate(store, Module(engine, SLEEPER)).exports(store)
    return lateness(store, exports["sleep"])


ADD = '(func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))'


@row("timeouts.without", "`add(store, 5, 3)` without a timeout", ours_only=True)
def without() -> Work:
    store, exports = instantiate(ADD)
    return Work("add(store, 5, 3)", add=exports["add"], store=store)


@row(
    "timeouts.with",
    "the same with one",
    ours_only=True,
    note="a look at the clock",
)
def with_timeout() -> Work:
    store, exports = instantiate(ADD)
    store.set_timeout(60)
    return Work("add(store, 5, 3)", add=exports["add"], store=store)
