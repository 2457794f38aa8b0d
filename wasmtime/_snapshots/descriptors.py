"""Open files: what a guest has opened is not in its instance, and a copy would not have it."""

from __future__ import annotations

from typing import Any

from .._linker import Linker
from .._module import Module
from .._store import Store
from .errors import NotCapturable

__all__ = ["check_descriptors"]

#: The three standard streams.
_STREAMS = 3
#: How many descriptors of a guest are looked at.
_MOST_DESCRIPTORS = 4096
#: Finds the first open descriptor from one on; -1 if there is none.
_PROBE = f"""
(module
  (import "wasi_snapshot_preview1" "fd_fdstat_get"
    (func $stat (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "next_open") (param $fd i32) (result i32)
    (loop $again
      (if (i32.ge_u (local.get $fd) (i32.const {_MOST_DESCRIPTORS}))
        (then (return (i32.const -1))))
      (if (i32.eqz (call $stat (local.get $fd) (i32.const 0)))
        (then (return (local.get $fd))))
      (local.set $fd (i32.add (local.get $fd) (i32.const 1)))
      (br $again))
    (unreachable)))
"""


def check_descriptors(linker: Linker, store: Store, directories: int) -> None:
    """Refuse a snapshot of a guest that has opened or closed something.

    A small module with the guest's view of WASI looks at all its descriptors.

    Args:
        linker: Has WASI.
        store: The guest's, with room for one more instance.
        directories: How many directories the guest was given.

    Raises:
        NotCapturable: It has.
    """
    expected = set(range(_STREAMS + directories))
    probe = linker.instantiate(store, Module(linker.engine, _PROBE))
    next_open: Any = probe.exports(store)["next_open"]
    found = set()
    at = next_open(store, 0)
    while at >= 0:
        found.add(at)
        at = next_open(store, at + 1)
    for descriptor in sorted(found ^ expected):
        what = "opened" if descriptor in found else "closed"
        raise NotCapturable(
            f"the guest has {what} descriptor {descriptor}, which another instance could not have"
        )
