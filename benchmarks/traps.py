"""Calls that trap."""

from __future__ import annotations

from .rows import Work, instantiate, row


@row(
    "traps.caught",
    "a call that traps, caught",
    target=1.7,
    note="the library records a backtrace, which takes about 9 000 ns by itself",
)
def caught() -> Work:
    from wasmtime import Trap

    store, exports = instantiate('(module (func (export "fail") unreachable))')
    return Work(
        "try:\n    fail(store)\nexcept Trap:\n    pass",
        fail=exports["fail"],
        store=store,
        Trap=Trap,
    )
