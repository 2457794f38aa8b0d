"""Calls from Python into WebAssembly."""

from __future__ import annotations

from .rows import Work, instantiate, row

MODULE = """
(module
  (func (export "empty"))
  (func (export "add") (param i32 i32) (result i32)
    (i32.add (local.get 0) (local.get 1)))
  (func (export "six") (param i32 i64 f32 f64 i32 f64) (result f64)
    (f64.add (local.get 3) (local.get 5)))
  (func (export "three") (result i32 i64 f64)
    (i32.const 1) (i64.const 2) (f64.const 3)))
"""


@row("calls.empty", "`f(store)` of an empty function", target=60)
def empty() -> Work:
    store, exports = instantiate(MODULE)
    return Work("f(store)", f=exports["empty"], store=store)


@row("calls.add", "`f(store, 5, 3)`, i32 + i32 → i32", target=150)
def add() -> Work:
    store, exports = instantiate(MODULE)
    return Work("f(store, 5, 3)", f=exports["add"], store=store)


@row("calls.six", "six mixed parameters → f64", target=200)
def six() -> Work:
    store, exports = instantiate(MODULE)
    return Work("f(store, 1, 2, 3.0, 4.0, 5, 6.0)", f=exports["six"], store=store)


@row("calls.three", "three results", target=70)
def three() -> Work:
    store, exports = instantiate(MODULE)
    return Work("f(store)", f=exports["three"], store=store)


# A builtin of the same signature is one that does what the call must do: converts two Python ints
# to C ints and makes an int of the result. os.makedev() is that, and next to nothing besides.
# operator.add() below converts nothing; it shows what CPython's own specialised instructions take.
@row(
    "calls.builtin",
    "`os.makedev(5, 3)`, a C builtin of the same signature",
    ours_only=True,
    note="no WebAssembly: two ints to C, one int back",
)
def builtin() -> Work:
    import os

    return Work("f(5, 3)", f=os.makedev)


@row(
    "calls.operator",
    "`operator.add(5, 3)`, without conversions",
    ours_only=True,
    note="no WebAssembly: what any call from Python costs",
)
def add_in_python() -> Work:
    import operator

    return Work("f(5, 3)", f=operator.add)


@row(
    "calls.bound",
    "bound call, `add(5, 3)`",
    ours_only=True,
    baseline="calls.builtin",
    note="the GIL is kept, since the call is short",
)
def bound() -> Work:
    store, exports = instantiate(MODULE)
    return Work("f(5, 3)", f=exports["add"].bind(store))


@row(
    "calls.bound_given",
    "bound call that gives the GIL away, `release_gil=True`",
    ours_only=True,
    baseline="calls.builtin",
)
def bound_given() -> Work:
    store, exports = instantiate(MODULE)
    return Work("f(5, 3)", f=exports["add"].bind(store, release_gil=True))


@row(
    "calls.bound_gil",
    "bound call that keeps the GIL",
    ours_only=True,
    baseline="calls.builtin",
    limit=2.5,
)
def bound_gil() -> Work:
    store, exports = instantiate(MODULE)
    return Work("f(5, 3)", f=exports["add"].bind(store, release_gil=False))
