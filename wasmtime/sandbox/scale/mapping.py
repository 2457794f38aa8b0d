"""Maps: batches of inputs given away, and their results taken, in order or as they come.

A batch that is lost because its worker died is given away again, with nothing else at the same
time, and one input at a time if it is lost again: so whoever kills workers is told from those that
were with it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sized
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Callable, Optional

from ..limits import parse_whole
from ..pools.targets import is_plugin, lost
from ..result import Result
from .batches import Batch, Batches
from .lanes import Lane, PoolLane, lane_for
from .progress import Bar, Progress, parse_progress

if TYPE_CHECKING:
    from ..pools.pool import Pool
    from ..pools.targets import Target

__all__ = ["map_in_pool", "map_inputs"]

#: How many batches wait for each worker, beside the one that it has.
_WAITING = 1
#: How far inputs are taken ahead of the first result that is missing.
_MOST_AHEAD = 10_000


def map_inputs(
    target: Target,
    inputs: Iterable[Any],
    name: Optional[str],
    executor: Any,
    ordered: bool,
    retries: int,
    chunksize: Optional[int],
    progress: Progress,
) -> Iterator[Result]:
    """Run a guest for each input; see `Program.map`.

    Raises:
        TypeError: An argument is of a wrong type.
        ValueError: An argument is out of range.
    """
    if executor is None:
        return _map_alone(target, inputs, name, ordered, retries, chunksize, progress)
    lane = lane_for(target, name, executor, parse_whole("retries", retries, 0))
    return _mapping(lane, target, inputs, name, ordered, retries, chunksize, progress)


def map_in_pool(
    pool: Pool,
    inputs: Iterable[Any],
    name: Optional[str],
    ordered: bool,
    chunksize: Optional[int],
    progress: Progress,
) -> Iterator[Result]:
    """Run a guest of a pool for each input; see `Pool.map`."""
    target = pool._target
    return _mapping(PoolLane(pool, name), target, inputs, name, ordered, 0, chunksize, progress)


def _map_alone(target: Target, inputs: Iterable[Any], *others: Any) -> Iterator[Result]:
    """Map over a pool that is made for it, and closed behind it."""
    from ..pools.pool import Pool

    name, ordered, retries, chunksize, progress = others
    pool = Pool(target, retries=retries)
    try:
        results = map_in_pool(pool, inputs, name, ordered, chunksize, progress)
    except BaseException:
        pool.close(cancel=True)
        raise
    return _closing(pool, results)


def _closing(pool: Pool, results: Iterator[Result]) -> Iterator[Result]:
    is_over = False
    try:
        yield from results
        is_over = True
    finally:
        pool.close(cancel=not is_over)


def _mapping(
    lane: Lane,
    target: Target,
    inputs: Iterable[Any],
    name: Optional[str],
    ordered: bool,
    retries: int,
    chunksize: Optional[int],
    progress: Progress,
) -> Iterator[Result]:
    """Check the arguments of a map now, and begin when the first result is asked for."""
    if is_plugin(target) and not isinstance(name, str):
        raise TypeError("name must be the name of a function of the plug-in")
    if not is_plugin(target) and name is not None:
        raise TypeError("name is for plug-ins, which have functions")
    fixed = None if chunksize is None else parse_whole("chunksize", chunksize, 1)
    show = parse_progress(progress)
    total = len(inputs) if isinstance(inputs, Sized) else None
    batches = Batches(iter(inputs), total, fixed, lane.seconds)
    return _Mapping(lane, batches, parse_whole("retries", retries, 0)).run(ordered, show, total)


class _Mapping:
    """One map: what is away, what has come back, and what has to go alone."""

    def __init__(self, lane: Lane, batches: Batches, retries: int) -> None:
        self._lane, self._batches, self._retries = lane, batches, retries
        self._away: dict[Any, Batch] = {}
        self._back: SimpleQueue[Any] = SimpleQueue()
        self._suspects: deque[Batch] = deque()
        self._found: dict[int, Result] = {}
        self._given = 0

    def run(
        self, ordered: bool, show: Callable[[Optional[int]], Bar], total: Optional[int]
    ) -> Iterator[Result]:
        """The results."""
        bar = show(total)
        try:
            while self._give_away():
                self._take_back()
                for result in self._ready(ordered):
                    bar.add()
                    yield result
        finally:
            bar.close()
            for future in self._away:
                future.cancel()
            self._lane.close()

    def _give_away(self) -> bool:
        """Have as much away as is worth while; tell whether there is something to wait for."""
        if self._suspects:
            if not self._away:
                self._send(self._suspects.popleft())
            return True
        workers = self._lane.workers
        while len(self._away) < workers * (1 + _WAITING):
            if self._batches.taken - self._given >= _MOST_AHEAD:
                break
            batch = self._batches.next(workers)
            if batch is None:
                break
            self._send(batch)
        return bool(self._away or self._found)

    def _send(self, batch: Batch) -> None:
        future = self._lane.submit(batch)
        self._away[future] = batch
        future.add_done_callback(self._back.put)

    def _take_back(self) -> None:
        """Wait for a batch, and see what has become of it."""
        future = self._back.get()
        batch = self._away.pop(future)
        how = self._lane.lost(future)
        if how is not None:
            self._suspect(batch, how)
            return
        report = self._lane.report(future, batch)
        if report is None:  # the worker lacks what the guest is made of: it goes with the batch
            self._send(batch)
            return
        self._batches.measured(len(batch.inputs), report.seconds)
        self._found.update(enumerate(report.results, batch.first))

    def _suspect(self, batch: Batch, how: str) -> None:
        """A batch is lost with its worker, and may be why: from the second time on, it is."""
        if batch.losses and len(batch.inputs) > 1:
            each = [Batch(batch.first + at, [one], 1) for at, one in enumerate(batch.inputs)]
            self._suspects.extendleft(reversed(each))
        elif batch.losses >= self._retries:
            self._found.update(enumerate([lost(how)] * len(batch.inputs), batch.first))
        else:
            self._suspects.append(batch._replace(losses=batch.losses + 1))

    def _ready(self, ordered: bool) -> Iterator[Result]:
        """The results that can be given now."""
        found = self._found
        if not ordered:
            self._given += len(found)
            self._found = {}
            yield from found.values()
            return
        while self._given in found:
            self._given += 1
            yield found.pop(self._given - 1)
