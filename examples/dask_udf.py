"""A user-defined function in WebAssembly, over a Dask DataFrame: a column at a time, no loop.

The function is code of somebody else: it gets numbers and gives numbers, within limits, in
whichever worker has the partition. A column goes into its memory as one buffer, and comes back as
one.

Needs ``pip install "wasmtime[dask]"``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from dask import dataframe  # pyright: ignore[reportMissingImports]
from dask.distributed import Client, LocalCluster  # pyright: ignore[reportMissingImports]

from wasmtime.sandbox import Plugin, ResourceLimits

#: ``celsius(address, bytes)`` converts f64 in place, and gives address << 32 | bytes.
FUNCTION = """
(module
  (memory (export "memory") 1)
  (func (export "malloc") (param $size i32) (result i32)
    (drop (memory.grow (i32.add (i32.div_u (local.get $size) (i32.const 65536)) (i32.const 1))))
    (i32.const 65536))
  (func (export "celsius") (param $at i32) (param $size i32) (result i64)
    (local $p i32) (local $end i32)
    (local.set $p (local.get $at))
    (local.set $end (i32.add (local.get $at) (local.get $size)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $p) (local.get $end)))
        (f64.store (local.get $p)
          (f64.div
            (f64.mul (f64.sub (f64.load (local.get $p)) (f64.const 32)) (f64.const 5))
            (f64.const 9)))
        (local.set $p (i32.add (local.get $p) (i32.const 8)))
        (br $next)))
    (i64.or
      (i64.shl (i64.extend_i32_u (local.get $at)) (i64.const 32))
      (i64.extend_i32_u (local.get $size)))))
"""


def celsius(part: Any, plugin: Plugin) -> Any:
    """The converted temperatures of a partition, which is a DataFrame of pandas."""
    column = np.ascontiguousarray(part["fahrenheit"], dtype="f8")
    converted = plugin.call("celsius", column.tobytes())
    return part.assign(celsius=np.frombuffer(converted, dtype="f8"))


def main() -> None:
    plugin = Plugin(FUNCTION, limits=ResourceLimits(timeout=10.0, memory="256 MiB"))
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0")
    with cluster, Client(cluster) as client:
        numbers = np.linspace(-40.0, 212.0, 200_000)
        frame = dataframe.from_dict({"fahrenheit": numbers}, npartitions=8)
        made = frame.map_partitions(celsius, plugin).compute()
        print(f"{len(made)} rows, from {made.celsius.min():.1f} to {made.celsius.max():.1f}")

        # Many separate inputs: each gets a guest of its own, and a result, whatever becomes of it.
        results = plugin.map("celsius", [b"\0" * 8, 451.0, b"\0" * 16], executor=client)
        for result in results:
            print(result.reason, len(result.value) if result.ok else result.message)


if __name__ == "__main__":
    main()
