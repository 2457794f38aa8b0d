"""Guests over a Ray cluster: a map over an executor of Ray's tasks.

Needs ``pip install "wasmtime[ray]"``.
"""

from __future__ import annotations

import logging
from concurrent.futures import Executor, Future
from typing import Any, Callable

import ray  # pyright: ignore[reportMissingImports]

from wasmtime.sandbox import Plugin

SQUARE = """
(module (func (export "square") (param i64) (result i64)
  (i64.mul (local.get 0) (local.get 0))))
"""


class RayExecutor(Executor):
    """Runs functions as tasks of Ray.

    Args:
        options: What ``ray.remote`` takes, such as ``num_cpus``; a task whose worker dies is not
            run again by Ray, because the map does that, and finds out whose fault it was.
    """

    def __init__(self, **options: Any) -> None:
        """Take as many tasks at a time as the cluster has processors."""
        self._options = {"max_retries": 0, **options}
        self._max_workers = max(1, int(ray.cluster_resources().get("CPU", 1)))
        self._remote: dict[Callable[..., Any], Any] = {}

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have a worker of Ray call a function."""
        if fn not in self._remote:
            self._remote[fn] = ray.remote(**self._options)(fn)
        future: Future[Any] = self._remote[fn].remote(*args, **kwargs).future()
        return future


def main() -> None:
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    try:
        results = Plugin(SQUARE).map("square", range(1000), executor=RayExecutor())
        print(sum(result.value for result in results))
    finally:
        ray.shutdown()


if __name__ == "__main__":
    main()
