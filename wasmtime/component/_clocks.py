"""The timers of WASI preview 2, which end when the time of their store is up.

The library waits for them in native code, which hears no timeout. So ``subscribe-duration`` and
``subscribe-instant`` are functions of ours: they ask the library for the guest's moment, or for
the end of the store's time if that is sooner. The wait is over then, and the guest with it: it
is watched from then on (``Store._cut_wait``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._store import StoreContext
from .._wasi_names import CLOCK, POLL
from ._forwarding import NEVER, Forwarding, shadow

if TYPE_CHECKING:
    from ._linker import Linker

__all__ = ["define_clocks"]

#: Its functions are given the nanoseconds that are left, too. A moment counts from the library's
#: own beginning of time.
_SOURCE = f"""(component
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


_FORWARDING = Forwarding("_wasi_clocks", _SOURCE, instances=1)


def _subscribe_duration(context: StoreContext, when: int) -> Any:
    left = context._store._cut_wait(when)
    return _FORWARDING.exports(context)["subscribe-duration"](context, when, left)


def _subscribe_instant(context: StoreContext, when: int) -> Any:
    # The guest's moment counts from where only the library knows.
    left = context._store._cut_wait(NEVER)
    return _FORWARDING.exports(context)["subscribe-instant"](context, when, left)


def define_clocks(linker: Linker) -> None:
    """Let a linker's timers be ours. It defines the library's already."""
    functions = {
        "subscribe-duration": _subscribe_duration,
        "subscribe-instant": _subscribe_instant,
    }
    shadow(linker, CLOCK, functions)
