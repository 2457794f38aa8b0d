"""Executors whose workers die: what tells of it, and another executor for one that is broken."""

from __future__ import annotations

from concurrent.futures import BrokenExecutor, CancelledError
from typing import Any

__all__ = ["is_broken", "is_lost", "rebuilt"]

#: What tells that a worker died, in libraries that are not imported for this; by class and module.
_LOST = {
    ("distributed.scheduler", "KilledWorker"),
    ("distributed.client", "FutureCancelledError"),
    ("ray.exceptions", "WorkerCrashedError"),
    ("ray.exceptions", "ActorDiedError"),
    ("ray.exceptions", "RayActorError"),
    ("ray.exceptions", "NodeDiedError"),
    ("ray.exceptions", "OutOfMemoryError"),
}


def is_broken(error: BaseException) -> bool:
    """Whether an executor does nothing any more, because a worker of it died."""
    return isinstance(error, BrokenExecutor)


def is_lost(error: BaseException) -> bool:
    """Whether an error tells that the worker was lost that had a batch."""
    if isinstance(error, (BrokenExecutor, CancelledError)):
        return True
    return any((each.__module__, each.__name__) in _LOST for each in type(error).__mro__)


def rebuilt(executor: Any) -> Any:
    """A new executor like one that is broken for good; None for kinds that are not known.

    Args:
        executor: A `ProcessPoolExecutor`, or one of loky.
    """
    workers = getattr(executor, "_max_workers", None)
    kind = type(executor)
    if kind.__module__.startswith("loky"):
        return _rebuilt_loky(executor, workers)
    if kind.__module__ != "concurrent.futures.process":
        return None
    return kind(
        workers,
        mp_context=executor._mp_context,
        initializer=executor._initializer,
        initargs=executor._initargs,
    )


def _rebuilt_loky(executor: Any, workers: Any) -> Any:
    import loky  # pyright: ignore[reportMissingImports]

    if type(executor).__name__ == "_ReusablePoolExecutor":
        return loky.get_reusable_executor(max_workers=workers)
    return loky.ProcessPoolExecutor(workers, context=executor._context)
