"""The timers of WASI preview 2, which end when the time of their store is up.

The library waits for them in native code, which hears no timeout. So ``subscribe-duration`` and
``subscribe-instant`` are functions of ours: they ask the library for the guest's moment, or for
the end of the store's time if that is sooner. The wait is over then, and the guest with it: it
is watched from then on (``Store._cut_wait``).

The library's functions can be called by a component only: a small one, which is instantiated in a
store when its guest first asks for a timer, and compiled for an engine when that first happens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from .._native import check, core, ffi, lib
from .._store import StoreContext
from .._wasi_names import CLOCK, POLL
from ._component import Component
from ._linker_instance import open_instance, open_root

if TYPE_CHECKING:
    from .._engine import Engine
    from .._store import Store
    from ._linker import Linker

__all__ = ["define_clocks"]

#: Its functions are given the nanoseconds that are left, too. A moment counts from the library's
#: own beginning of time.
_FORWARDING = f"""(component
  (import "{POLL}" (instance $poll (export "pollable" (type $t (sub resource)))))
  (alias export $poll "pollable" (type $pollable))
  (import "{CLOCK}" (instance $clock
    (alias outer 1 $pollable (type $t))
    (export "pollable" (type $tt (eq $t)))
    (export "now" (func (result u64)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $tt))))
    (export "subscribe-instant" (func (param "when" u64) (result (own $tt))))))
  (core func $now (canon lower (func $clock "now")))
  (core func $duration (canon lower (func $clock "subscribe-duration")))
  (core func $instant (canon lower (func $clock "subscribe-instant")))
  (core module $m
    (import "" "now" (func $now (result i64)))
    (import "" "duration" (func $duration (param i64) (result i32)))
    (import "" "instant" (func $instant (param i64) (result i32)))
    (func $sooner (param i64 i64) (result i64)
      (select (local.get 0) (local.get 1) (i64.lt_u (local.get 0) (local.get 1))))
    (func $end (param $left i64) (result i64) (local $now i64)
      (local.set $now (call $now))
      (select (i64.const -1) (i64.add (local.get $now) (local.get $left))
        (i64.gt_u (local.get $left) (i64.sub (i64.const -1) (local.get $now)))))
    (func (export "duration") (param i64 i64) (result i32)
      (call $duration (call $sooner (local.get 0) (local.get 1))))
    (func (export "instant") (param i64 i64) (result i32)
      (call $instant (call $sooner (local.get 0) (call $end (local.get 1))))))
  (core instance $m (instantiate $m (with "" (instance
    (export "now" (func $now))
    (export "duration" (func $duration))
    (export "instant" (func $instant))))))
  (func (export "subscribe-duration")
    (param "when" u64) (param "left" u64) (result (own $pollable))
    (canon lift (core func $m "duration")))
  (func (export "subscribe-instant")
    (param "when" u64) (param "left" u64) (result (own $pollable))
    (canon lift (core func $m "instant"))))"""


#: More nanoseconds than any wait takes.
_NEVER = 2**64 - 1


def _forwarding(engine: Engine) -> tuple[Linker, Component]:
    """What is instantiated in the stores of an engine."""
    from ._linker import Linker

    found: Any = engine.__dict__.get("_wasi_clocks")
    if found is None:
        linker = Linker(engine)
        linker._add_wasip2_of_library()
        found = engine.__dict__["_wasi_clocks"] = (linker, Component(engine, _FORWARDING))
    return found  # type: ignore[no-any-return]


def _timers(store: Store, context: StoreContext) -> Any:
    """The exports that forward, in a store."""
    exports = store.__dict__.get("_wasi_clocks")
    if exports is None:
        linker, component = _forwarding(store.engine)
        store._suspend_limits()
        try:
            exports = linker.instantiate(context, component).exports(context)
        finally:
            store._resume_limits(1, 0)
        store.__dict__["_wasi_clocks"] = exports
    return exports


def _subscribe_duration(context: StoreContext, when: int) -> Any:
    store = context._store
    return _timers(store, context)["subscribe-duration"](context, when, store._cut_wait(when))


def _subscribe_instant(context: StoreContext, when: int) -> Any:
    store = context._store
    left = store._cut_wait(_NEVER)  # the guest's moment counts from where only the library knows
    return _timers(store, context)["subscribe-instant"](context, when, left)


def define_clocks(linker: Linker) -> None:
    """Let a linker's timers be ours. It defines the library's already.

    Not for asynchronous calls: in the middle of one, no component can be called.
    """
    with linker._changing() as native:
        lib.wasmtime_component_linker_allow_shadowing(native, True)
        try:
            # Freed at the end of the block: each is a claim on what it was opened in.
            with open_root(native) as root, open_instance(root, CLOCK.encode()) as clock:
                _define(linker, clock, b"subscribe-duration", _subscribe_duration)
                _define(linker, clock, b"subscribe-instant", _subscribe_instant)
        finally:
            lib.wasmtime_component_linker_allow_shadowing(native, linker._shadowing)


def _define(linker: Linker, clock: Any, name: bytes, func: Callable[..., Any]) -> None:
    host = core.ComponentHostFunc(func, False, True)
    callback = ffi.cast("wasmtime_component_func_callback_t", host.callback)
    env = ffi.cast("void *", host.env)
    with linker._keeping(host):
        check(
            lib.wasmtime_component_linker_instance_add_func(
                clock, name, len(name), callback, env, ffi.NULL
            )
        )
