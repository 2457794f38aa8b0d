"""Where the guests of a pool come from, in the two tiers, and how they are ended.

The supply owns what waits: instances in this process (`ahead`), workers (`worker.reserve`), or
copies of an interpreter that were started ahead.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Callable, Optional

from ..errors import SandboxError
from ..reasons import Reason
from ..settings import Settings
from ..source import Code, refusal
from ..tiers import Guest, Supply
from ..world import Task
from .targets import begin_with, is_program, supplied

if TYPE_CHECKING:
    from ..._snapshots.state import State
    from ..settings import Isolation
    from .ahead import Stock
    from .targets import Target

__all__ = ["ProcessSupply", "ThreadSupply", "supply_for"]


class _Watched(Supply):
    """Knows how to end what each thread runs."""

    def __init__(self) -> None:
        self._stops: dict[int, Callable[[], None]] = {}

    def watch(self, stop: Callable[[], None]) -> None:
        """Be told how the guest is ended that this thread runs now."""
        self._stops[threading.get_ident()] = stop

    def watched(self, guest: Guest) -> Guest:
        """A guest that can be ended."""
        self.watch(lambda: guest.stop(Reason.CANCELLED))
        return guest

    def stop(self) -> None:
        """End all that runs; it may be asked for again until all has ended."""
        for stop in list(self._stops.values()):
            stop()

    def forget(self) -> None:
        """What this thread ran has ended."""
        self._stops.pop(threading.get_ident(), None)


class ThreadSupply(_Watched):
    """Guests in this process: those that wait, or new ones.

    Args:
        warm: How many wait.
    """

    def __init__(self, warm: int) -> None:
        super().__init__()
        self._count = warm
        self._warm: Any = None
        self._stock: Optional[Stock] = None

    def begin(self, target: Any, workers: int) -> None:
        """Have the guests wait that are to.

        Raises:
            SandboxError: They cannot be made, or there is no room for so many.
        """
        from .ahead import Stock, why_not_ahead

        if not self._count:
            return
        warm = getattr(target, "_warm", None)
        if warm is not None and warm.way == "ahead":
            self._warm = warm
            warm.keep(self._count)
            return
        code, state = begin_with(target)
        why = why_not_ahead(code, state)
        if why is not None:
            raise refusal("ValueError", f"warm={self._count}: {code.name} cannot wait: {why}")
        self._stock = Stock(code, target._settings, state, self._count)
        self._stock.fill()

    def guest(self, code: Code, settings: Settings, task: Task, state: Optional[State]) -> Guest:
        """A guest that waits, if one fits; or a new one."""
        from ..here import ThreadGuest

        stock = self._stock
        taken = None if stock is None else stock.take(code, settings, task, state)
        return self.watched(taken or ThreadGuest(code, settings, task, state))

    def refill(self) -> bool:
        """Make one more that waits, if some are missing; tell whether that was so."""
        return self._stock is not None and self._stock.add()

    def prepare_thread(self, index: int) -> None:
        """Do what a thread of the pool begins with."""

    @property
    def warm(self) -> int:
        """How many wait."""
        if self._warm is not None:
            waiting: int = self._warm.waiting
            return waiting
        return 0 if self._stock is None else len(self._stock)

    @property
    def lost(self) -> int:
        """How many workers died: none, without workers."""
        return 0

    def close(self) -> None:
        """Give up what waits."""
        if self._stock is not None:
            self._stock.close()
        if self._warm is not None:
            self._warm.close()


class ProcessSupply(_Watched):
    """Guests in worker processes, which belong to the pool.

    Args:
        warm: How many instances wait in them, in all.
    """

    def __init__(self, warm: int) -> None:
        super().__init__()
        self._count = warm
        self._reserve: Any = None

    def begin(self, target: Any, workers: int) -> None:
        """Start the first worker; the threads start the others.

        Raises:
            SandboxError: It cannot be started, or the instances cannot be made.
        """
        from ..worker.reserve import Reserve

        code = getattr(target, "_ready", target._code)
        each = -(-self._count // workers)
        self._reserve = Reserve(code, target._settings, is_program(target), each)
        self._reserve.start()

    def guest(self, code: Code, settings: Settings, task: Task, state: Optional[State]) -> Guest:
        """A guest in a worker of the pool."""
        from ..worker.guest import WorkerGuest

        return self.watched(WorkerGuest(code, settings, task, self._reserve))

    def refill(self) -> bool:
        """Nothing: the workers do that themselves."""
        return False

    def prepare_thread(self, index: int) -> None:
        """Start a worker for this thread; the first one has been started."""
        if index > 0:
            try:
                self._reserve.start()
            except SandboxError:
                pass  # the first guest that needs one is told

    @property
    def warm(self) -> int:
        """How many instances wait, as far as is known: workers make new ones by themselves."""
        waiting: int = len(self._reserve) * self._reserve.warm
        return waiting

    @property
    def lost(self) -> int:
        """How many workers died, or were killed with their guest; others take their places."""
        lost: int = self._reserve.lost
        return lost

    def close(self) -> None:
        """End the workers that wait."""
        self._reserve.close()


def supply_for(
    target: Target, isolation: Optional[Isolation], warm: int, workers: int
) -> tuple[Any, Any]:
    """A target with a supply of its own, and that supply.

    Raises:
        SandboxError: What is to wait cannot be made.
    """
    tier = target._settings.isolation if isolation is None else isolation
    supply: Any = ProcessSupply(warm) if tier == "process" else ThreadSupply(warm)
    made = supplied(target, tier, supply)
    supply.begin(made, workers)
    return made, supply
