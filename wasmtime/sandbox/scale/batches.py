"""How many inputs go together: as many as take so much longer than sending them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Optional

__all__ = ["Batch", "Batches"]

#: How much more of the next batch than of the last.
_GROWTH = 4
#: How much a new measurement counts against those before it.
_WEIGHT = 0.5
#: So many batches for each worker are left for the end, so that they end together.
_LAST = 3
#: However little an input costs, no more go together.
_MOST = 10_000


class Batch(NamedTuple):
    """Inputs that go together.

    Attributes:
        first: Where they begin among all inputs.
        inputs: The inputs.
        losses: How often the worker was lost that had them; if it ever was, they go alone.
    """

    first: int
    inputs: list[Any]
    losses: int = 0


class Batches:
    """Takes inputs together.

    Args:
        inputs: The inputs.
        total: How many there are, if that is known.
        fixed: How many go together; None for as many as take `seconds`.
        seconds: How long a batch should take.
    """

    def __init__(
        self, inputs: Iterator[Any], total: Optional[int], fixed: Optional[int], seconds: float
    ) -> None:
        self._inputs, self._total = inputs, total
        self._fixed, self._seconds = fixed, seconds
        self._cost: Optional[float] = None
        self._size = 1
        self.taken = 0

    def next(self, workers: int) -> Optional[Batch]:
        """The next inputs, None if there are no more.

        Args:
            workers: How many batches run at a time.
        """
        size = self._fixed or self._next_size(workers)
        inputs = []
        for each in self._inputs:
            inputs.append(each)
            if len(inputs) == size:
                break
        if not inputs:
            return None
        self.taken += len(inputs)
        return Batch(self.taken - len(inputs), inputs)

    def measured(self, count: int, seconds: float) -> None:
        """So many inputs took so long."""
        cost = seconds / count
        self._cost = cost if self._cost is None else self._cost + _WEIGHT * (cost - self._cost)

    def _next_size(self, workers: int) -> int:
        if self._cost is None:
            return 1
        wanted = min(_MOST, int(self._seconds / max(self._cost, 1e-9)))
        self._size = max(1, min(wanted, _GROWTH * self._size))
        if self._total is None:
            return self._size
        return max(1, min(self._size, -(-(self._total - self.taken) // (_LAST * workers))))
