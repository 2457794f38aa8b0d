"""Instances that wait for their run: made ahead, so that a run need not make its own.

A pool has a stock of them. Each serves one run and is made anew, by a thread of the pool that has
nothing else to do. They are not taken from the engine's own pool of instances, which has few places
and serves everybody.

The stock owns the guests in it, and closes those that nobody has taken; who takes one, closes it.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Optional

from ..here import ThreadGuest
from ..preparing import start_function
from ..settings import Settings
from ..source import Code, refusal
from ..world import Task

if TYPE_CHECKING:
    from ..._snapshots.state import State

__all__ = ["Stock", "why_not_ahead"]

#: How many instances are made before it is told how many fit.
_SAMPLE = 16
#: Mappings of memory that are left to everything else in the process.
_SPARE_MAPPINGS = 2_000


def why_not_ahead(code: Code, state: Optional[State]) -> Optional[str]:
    """Why instances of some code cannot be made ahead of their run; None if they can."""
    if code.kind == "component":
        return "a component takes its world when it is instantiated"
    if state is None and start_function(code):
        return "the module has a start function, which belongs to the run"
    return None


class Stock:
    """Instances of one code that wait.

    Args:
        code: The code.
        settings: What they are made with; a run with other limits cannot use them.
        state: What they begin with, of a snapshot.
        size: How many there are to be.
    """

    def __init__(self, code: Code, settings: Settings, state: Optional[State], size: int) -> None:
        self._code, self._settings, self._state = code, settings, state
        self.size = size
        self._waiting: deque[ThreadGuest] = deque()
        self._lock = threading.Lock()
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    def fill(self) -> None:
        """Make all of them.

        Raises:
            SandboxError: They cannot be made, or so many do not fit into this process.
        """
        before = _mappings()
        while len(self._waiting) < self.size:
            made = len(self._waiting)
            if made == _SAMPLE:
                self._check_room(before)
            guest = self._make()
            if guest is None:
                self.close()
                if made:
                    raise _no_room(self._code, self.size, made)
                raise self._refused
            self._waiting.append(guest)

    def add(self) -> bool:
        """Make one more, if some are missing; tell whether that was so."""
        if len(self._waiting) >= self.size:
            return False
        guest = self._make()
        if guest is None:
            return False
        with self._lock:
            is_wanted = not self._is_closed
            if is_wanted:
                self._waiting.append(guest)
        if not is_wanted:
            guest.close()
        return is_wanted

    def take(
        self, code: Code, settings: Settings, task: Task, state: Optional[State]
    ) -> Optional[ThreadGuest]:
        """One that fits a run, with its task; None if there is none."""
        mine = self._settings
        if (
            state is not self._state
            or code.sha256 != self._code.sha256
            or settings.limits != mine.limits
            or settings.functions is not mine.functions
        ):
            return None
        try:
            guest = self._waiting.popleft()
        except IndexError:
            return None
        guest.equip(task)
        return guest

    def close(self) -> None:
        """Give up those that wait."""
        with self._lock:
            self._is_closed = True
            waiting, self._waiting = self._waiting, deque()
        for guest in waiting:
            guest.close()

    _refused: Any = None

    def _make(self) -> Optional[ThreadGuest]:
        """A guest that waits; None if it cannot be instantiated, and `_refused` tells why."""
        settings = self._settings
        task = Task(limits=settings.limits, network=settings.network)
        guest = ThreadGuest(self._code, settings, task, self._state, pooled=False)
        result = guest.make_ahead()
        if result.ok:
            return guest
        from ..errors import SandboxError

        self._refused = SandboxError(result)
        guest.close()
        return None

    def _check_room(self, before: Optional[int]) -> None:
        """Refuse a stock whose mappings of memory are more than the system lets a process have."""
        now, most = _mappings(), _most_mappings()
        if before is None or now is None or most is None or now <= before:
            return
        each = (now - before) / _SAMPLE
        fit = _SAMPLE + int((most - now - _SPARE_MAPPINGS) / each)
        if fit < self.size:
            self.close()
            raise _no_room(self._code, self.size, max(fit, 0))


def _no_room(code: Code, wanted: int, fit: int) -> Exception:
    return refusal(
        "MemoryError",
        f"{wanted} warm instances of {code.name} do not fit into this process, of whose memory the "
        f"system lets so many parts be mapped (vm.max_map_count on Linux): use warm={fit}",
    )


def _mappings() -> Optional[int]:
    """How many mappings of memory this process has; None where it cannot be told."""
    if sys.platform != "linux":
        return None
    try:
        with open("/proc/self/maps", "rb") as maps:
            return sum(1 for _ in maps)
    except OSError:
        return None


def _most_mappings() -> Optional[int]:
    try:
        with open("/proc/sys/vm/max_map_count", "rb") as file:
            return int(file.read())
    except (OSError, ValueError):
        return None
