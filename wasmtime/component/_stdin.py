"""Standard input of WASI preview 2, which is read when the guest first asks for it.

What the process itself may read, too, must not be taken from it for a guest that does not. So
``get-stdin`` is a function of ours, which has the pipe of the store be filled from then on
(csrc/core/runtime/feed.c), if its input comes through one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._store import StoreContext
from .._wasi_names import STDIN, STREAMS
from ._forwarding import Forwarding, shadow

if TYPE_CHECKING:
    from ._linker import Linker

__all__ = ["define_stdin"]

_SOURCE = f"""(component
  (import "{STREAMS}" (instance $streams (export "input-stream" (type (sub resource)))))
  (alias export $streams "input-stream" (type $stream))
  (import "{STDIN}" (instance $stdin
    (alias outer 1 $stream (type $s))
    (export "input-stream" (type $t (eq $s)))
    (export "get-stdin" (func (result (own $t))))))
  (core func $get (canon lower (func $stdin "get-stdin")))
  (core module $m
    (import "" "get" (func $get (result i32)))
    (func (export "get") (result i32) (call $get)))
  (core instance $m (instantiate $m (with "" (instance (export "get" (func $get))))))
  (func (export "get-stdin") (result (own $stream)) (canon lift (core func $m "get"))))"""


_FORWARDING = Forwarding("_wasi_stdin", _SOURCE, instances=1)


def _get_stdin(context: StoreContext) -> Any:
    context._store._begin_feed()
    return _FORWARDING.exports(context)["get-stdin"](context)


def define_stdin(linker: Linker) -> None:
    """Let a linker's ``get-stdin`` be ours, where input comes through pipes of ours."""
    from .._store import Store

    if hasattr(Store, "_begin_feed"):
        shadow(linker, STDIN, {"get-stdin": _get_stdin})
