"""Copies of guests that were set up once, beside setting them up again."""

from __future__ import annotations

from typing import Any

from .rows import Work, row

#: Setting up fills 8 MiB, in which a call then changes 64 pages.
GUEST = """
(module (memory (export "memory") 130)
  (func (export "set_up") (memory.fill (i32.const 0) (i32.const 7) (i32.const 0x800000)))
  (func (export "use") (result i32) (local $at i32)
    (loop $again
      (i32.store (local.get $at) (i32.const 1))
      (local.set $at (i32.add (local.get $at) (i32.const 0x20000)))
      (br_if $again (i32.lt_u (local.get $at) (i32.const 0x800000))))
    (i32.load (i32.const 0))))
"""


def _use(session: Any) -> None:
    with session:
        assert session.call("use") == 1


@row("snapshots.copy", "a copy of a guest with 8 MiB of state, one call, its end", ours_only=True)
def copy() -> Work:
    from wasmtime.sandbox import Plugin, ResourceLimits

    # A limit that the pool of small guests has no room for, as interpreters are too large for it.
    with Plugin(GUEST, limits=ResourceLimits(memory="1 GiB")).open() as session:
        session.call("set_up")
        snapshot = session.snapshot()
    return Work("use(open())", open=snapshot.open, use=_use)


@row("snapshots.again", "the same, set up again instead of copied", ours_only=True)
def again() -> Work:
    from wasmtime.sandbox import Plugin, ResourceLimits

    plugin = Plugin(GUEST, limits=ResourceLimits(memory="1 GiB"))

    def set_up() -> Any:
        session = plugin.open()
        session.call("set_up")
        return session

    return Work("use(open())", open=set_up, use=_use)
