"""Where batches run: on the threads of a pool, or in an executor, which may be a cluster's."""

from __future__ import annotations

import pickle
import warnings
from abc import ABC, abstractmethod
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from time import monotonic
from typing import TYPE_CHECKING, Any, Callable, Optional, Union

from ..._native.host import processors
from ..._printable import clip
from ..reasons import Reason
from ..result import ExceptionInfo, Result
from ..waiting import in_context
from .batches import Batch
from .loss import is_broken, is_lost, rebuilt
from .remote import Lacking, Report, run_batch, run_here, run_parcel
from .travel import pack

if TYPE_CHECKING:
    from ..pools.pool import Pool
    from ..pools.targets import Target

__all__ = ["Lane", "PoolLane", "lane_for"]

#: Seconds that a batch should take: much longer than to send it, and short beside a person's wait.
_NEAR, _FAR = 0.02, 0.2
#: Seconds for which a number of workers is taken to be right.
_COUNTED = 1.0
#: How much is told of an input that cannot be sent.
_LONGEST = 200


class Lane(ABC):
    """Where batches run.

    Attributes:
        seconds: How long a batch should take.
    """

    seconds = _NEAR

    @property
    @abstractmethod
    def workers(self) -> int:
        """How many batches run at a time, now."""

    @abstractmethod
    def submit(self, batch: Batch) -> Future[Any]:
        """Give a batch away."""

    def lost(self, future: Future[Any]) -> Optional[str]:
        """How the worker was lost that had a batch; None if it was not."""
        return None

    def report(self, future: Future[Any], batch: Batch) -> Optional[Report]:
        """What came of a batch; None if it has to be given away again, to be sent in full.

        Raises:
            Exception: What the executor failed with.
        """
        report: Report = future.result()
        return report

    def close(self) -> None:  # noqa: B027 - most lanes make nothing
        """Give up what was made for this map."""


class PoolLane(Lane):
    """The threads of a pool."""

    def __init__(self, pool: Pool, name: Optional[str]) -> None:
        self._pool, self._name = pool, name

    @property
    def workers(self) -> int:
        """As many as the pool has."""
        return self._pool.workers

    def submit(self, batch: Batch) -> Future[Any]:
        """Have a thread of the pool run it."""
        pool, name = self._pool, self._name
        return pool.enqueue(
            in_context(lambda: run_batch(pool._target, name, batch.inputs, pool.run_here))
        )


class ThreadLane(Lane):
    """A `ThreadPoolExecutor`, to which nothing has to be sent."""

    def __init__(self, executor: Any, target: Target, name: Optional[str], retries: int) -> None:
        self._executor, self._target = executor, target
        self._name, self._retries = name, retries

    @property
    def workers(self) -> int:
        """As many as the executor has threads."""
        return _workers_of(self._executor)

    def submit(self, batch: Batch) -> Future[Any]:
        """Have a thread of the executor run it."""
        future: Future[Any] = self._executor.submit(
            in_context(run_here), self._target, self._name, batch.inputs, self._retries
        )
        return future


class ParcelLane(Lane):
    """An executor whose workers are other processes, on this machine or others."""

    seconds = _FAR

    def __init__(self, executor: Any, target: Target, name: Optional[str], retries: int) -> None:
        self._executor = executor
        self._own: Any = None
        self._parcel, self._freight = pack(target, name, retries)
        self._refused: dict[int, Result] = {}
        # Batches that came back because their worker lacks the freight, and whether it goes with
        # them; and the workers for which it was sent.
        self._lacking: dict[int, bool] = {}
        self._served: set[str] = set()
        self._warned: set[str] = set()
        self._count, self._count_again = 1, 0.0

    @property
    def workers(self) -> int:
        """As many as the executor has now, or had a moment ago: a cluster takes time to tell."""
        if monotonic() >= self._count_again:
            self._count = _workers_of(self._executor)
            self._count_again = monotonic() + _COUNTED
        return self._count

    def submit(self, batch: Batch) -> Future[Any]:
        """Send it to a worker; inputs that cannot be sent stay here."""
        sent = [self._packed(batch.first + at, each) for at, each in enumerate(batch.inputs)]
        freight = self._freight() if self._lacking.get(batch.first) else None
        try:
            return self._submit(run_parcel, self._parcel, freight, sent)
        except BrokenExecutor as error:
            self._rebuild(error)
            return self._submit(run_parcel, self._parcel, freight, sent)

    def _submit(self, function: Callable[..., Any], *args: Any) -> Future[Any]:
        future: Future[Any] = self._executor.submit(function, *args)
        return future

    def _packed(self, index: int, given: Any) -> Optional[bytes]:
        try:
            return pickle.dumps(given, pickle.HIGHEST_PROTOCOL)
        except Exception as error:
            text = f"input {index}, {_shown(given)}, cannot be pickled: {error}"
            info = ExceptionInfo(type(error).__name__, clip(text, 10 * _LONGEST))
            self._refused[index] = Result(Reason.NOT_STARTED, exception=info)
            return None

    def lost(self, future: Future[Any]) -> Optional[str]:
        """How the worker was lost; a broken executor is rebuilt."""
        error = None if future.cancelled() else future.exception()
        if error is None and not future.cancelled():
            return None
        if error is not None and not is_lost(error):
            return None
        if error is not None and is_broken(error):
            self._rebuild(error, of=future)
        how = "its batch was cancelled" if error is None else f"{type(error).__name__}: {error}"
        return f"the worker of the executor was lost: {clip(how, 10 * _LONGEST)}"

    def _rebuild(self, error: BaseException, of: Any = None) -> None:
        """Go on with a new executor, unless this one serves."""
        if not _is_dead(self._executor):
            return
        made = rebuilt(self._executor)
        if made is None:
            raise error
        if self._own is not None:
            self._own.shutdown(wait=False)
        self._executor = self._own = made

    def report(self, future: Future[Any], batch: Batch) -> Optional[Report]:
        """What a worker sent back."""
        report: Union[Report, Lacking] = future.result()
        if isinstance(report, Lacking):
            # Others of the same worker need no freight of their own, unless it went to another.
            is_again = batch.first in self._lacking
            self._lacking[batch.first] = is_again or report.worker not in self._served
            self._served.add(report.worker)
            return None
        self._lacking.pop(batch.first, None)
        for text in report.warnings:
            if text not in self._warned:
                self._warned.add(text)
                warnings.warn(text, RuntimeWarning, stacklevel=6)
        results = report.loaded()
        for at in range(len(results)):
            results[at] = self._refused.pop(batch.first + at, results[at])
        return report._replace(results=results)

    def close(self) -> None:
        """Shut down the executor that was made in place of a broken one."""
        if self._own is not None:
            self._own.shutdown(wait=False)


def _shown(given: Any) -> str:
    try:
        return clip(repr(given), _LONGEST)
    except Exception:
        return f"a {type(given).__name__}"


def _workers_of(executor: Any) -> int:
    """How many tasks an executor runs at a time."""
    client = getattr(executor, "_client", None)
    known = getattr(client, "nthreads", None)
    if known is not None:
        threads: int = sum(known().values())
        return max(1, threads)
    workers = getattr(executor, "_max_workers", None)
    return workers if isinstance(workers, int) and workers > 0 else processors()


def _is_dead(executor: Any) -> bool:
    """Whether an executor of processes takes nothing any more."""
    if getattr(executor, "_broken", False):
        return True
    flags = getattr(executor, "_flags", None)
    return bool(getattr(flags, "broken", None) or getattr(flags, "shutdown", False))


def lane_for(target: Target, name: Optional[str], executor: Any, retries: int) -> Lane:
    """Where the batches of a map run.

    Args:
        target: What runs.
        name: The function of a plug-in.
        executor: A `concurrent.futures.Executor`; or a Dask client, which has one.
        retries: How often an input is run again whose worker was lost.

    Raises:
        TypeError: `executor` is of another type, or the target cannot be pickled.
    """
    if hasattr(executor, "get_executor"):
        executor = executor.get_executor(pure=False)
    if not callable(getattr(executor, "submit", None)) or hasattr(executor, "run_here"):
        raise TypeError(
            f"executor must be a concurrent.futures.Executor, not {type(executor).__name__}; "
            "a Pool has a map of its own"
        )
    if isinstance(executor, ThreadPoolExecutor):
        return ThreadLane(executor, target, name, retries)
    return ParcelLane(executor, target, name, retries)
