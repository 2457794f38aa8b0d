"""What a snapshot consists of: plain numbers and bytes, nothing of the host's."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Optional

from .._native import core

__all__ = ["GlobalState", "MemoryState", "State", "TableState", "merge_runs"]

#: Runs of pages of a memory are joined until there are this many at most.
_MOST_RUNS = 16


@dataclass(frozen=True)
class MemoryState:
    """A memory.

    Attributes:
        size: How many bytes it has.
        runs: Where it differs from that of a new instance: offsets and bytes, in order.
    """

    size: int
    runs: tuple[tuple[int, bytes], ...]

    @cached_property
    def image(self) -> core.SnapshotImage:
        """The runs in a form that is copied or mapped fast."""
        return core.SnapshotImage(self.runs)


@dataclass(frozen=True)
class GlobalState:
    """A global: its index among the defined ones, the kind of its value, and 16 bytes of it."""

    index: int
    kind: int
    bits: bytes


@dataclass(frozen=True)
class TableState:
    """A table.

    Attributes:
        size: How many elements it has.
        changed: What differs from a new instance: indices, and references as numbers.
    """

    size: int
    changed: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class State:
    """The state of an instance, as far as it differs from that of a new one.

    Attributes:
        memories: Each memory that the module defines.
        globals: Each global that has state.
        tables: Each table that the module defines.
        dropped: The segments that were dropped: `"data"` or `"elements"`, and the index.
        resume_at: Where a program that waits for its input has put its locals; None for others.
    """

    memories: tuple[MemoryState, ...]
    globals: tuple[GlobalState, ...]
    tables: tuple[TableState, ...]
    dropped: tuple[tuple[str, int], ...]
    resume_at: Optional[int] = None

    @property
    def size(self) -> int:
        """How many bytes of memory are kept."""
        return sum(len(run) for memory in self.memories for _, run in memory.runs)

    @cached_property
    def left(self) -> deque[Any]:
        """Copies that wait for another run, each with its process: see `sandbox.spares`."""
        return deque()

    @property
    def learns(self) -> bool:
        """Whether copies are to be looked at, once they have run."""
        return any(memory.image.learns for memory in self.memories if memory.runs)


def merge_runs(runs: Iterable[tuple[int, int]], most: int = _MOST_RUNS) -> list[tuple[int, int]]:
    """Join neighbouring runs, the closest first.

    Each is one mapping, which takes longer than it takes to keep some pages that are the same. So
    these may be as many as a quarter of what differs, and more until there are `most` runs.
    """
    found = list(runs)
    gaps = sorted((after[0] - before[1], after[0]) for before, after in zip(found, found[1:]))
    spare = sum(end - start for start, end in found) // 4
    joined: set[int] = set()
    for gap, start in gaps:
        if gap > spare and len(found) - len(joined) <= most:
            break
        spare -= gap
        joined.add(start)
    merged: list[tuple[int, int]] = []
    for start, end in found:
        if start in joined:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return merged
