"""Many guests: what maps and pools add to a plain loop, and what they gain.

The guests compute for about a millisecond each, and are given away by the hundred.
"""

from __future__ import annotations

from typing import Any

from .rows import Work, row

#: Counts down, which is not left out.
COUNT = """
(module (func (export "count") (param $left i32) (result i32)
  (loop $again
    (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
  (local.get $left)))
"""
GUESTS = 100
#: As many as take about a millisecond, and the same for all rows.
STEPS = 500_000


def _guests() -> tuple[Any, list[int]]:
    """A plug-in, and inputs that take it about a millisecond each."""
    from wasmtime.sandbox import Plugin

    return Plugin(COUNT), [STEPS] * GUESTS


@row("scale.loop", "a guest of 1 ms, of 100 in a plain loop", ours_only=True, inner=GUESTS)
def loop() -> Work:
    plugin, inputs = _guests()
    statement = "for each in inputs: call('count', each)"
    return Work(statement, inputs=inputs, call=plugin.try_call)


@row(
    "scale.map", "the same by `Pool.map`, one worker: what a map adds", ours_only=True, inner=GUESTS
)
def one_worker() -> Work:
    return _pooled(workers=1)


@row("scale.threads", "the same by `Pool.map`, two threads", ours_only=True, inner=GUESTS)
def threads() -> Work:
    return _pooled(workers=2)


@row(
    "scale.processes", "the same by `Pool.map`, two worker processes", ours_only=True, inner=GUESTS
)
def processes() -> Work:
    return _pooled(workers=2, isolation="process")


@row(
    "scale.submit",
    "the same by `Pool.submit`, one worker, of 100 in its queue",
    ours_only=True,
    inner=GUESTS,
)
def submit() -> Work:
    from wasmtime.sandbox import Pool

    plugin, inputs = _guests()
    pool = Pool(plugin, workers=1)
    statement = (
        "for future in [submit('count', each) for each in inputs]: assert future.result().ok"
    )
    return Work(statement, submit=pool.submit, inputs=inputs)


@row("scale.warm", "an empty call by `Pool.submit`, of an instance that waits", ours_only=True)
def warm() -> Work:
    return _empty(warm=64)


@row("scale.cold", "the same, of an instance that is made for it", ours_only=True)
def cold() -> Work:
    return _empty()


def _pooled(**options: Any) -> Work:
    from wasmtime.sandbox import Pool

    plugin, inputs = _guests()
    pool = Pool(plugin, **options)
    statement = "assert all(result.ok for result in map(inputs, name='count'))"
    return Work(statement, map=pool.map, inputs=inputs)


def _empty(**options: Any) -> Work:
    from wasmtime.sandbox import Plugin, Pool

    pool = Pool(Plugin(COUNT), workers=1, **options)
    return Work("submit('count', 1).result()", submit=pool.submit)
