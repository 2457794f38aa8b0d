"""Copies of a snapshot that have run, for those that come after them.

To make an instance, and to take it away, is more work for the system than most snippets are; and
the threads of a process wait for each other meanwhile. So a copy that ended by itself, and of which
only memory can have changed, gets back what it began with, and waits for the next run.

The state owns those that wait, and they go with it. A run that takes one owns it from then on.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Optional

if TYPE_CHECKING:
    from .._snapshots.state import State
    from .execution import Execution
    from .linking import Linked
    from .world import Task

__all__ = ["leave_spare", "take_spare"]

#: How many wait at most.
_MOST = 8


def take_spare(state: State, linked: Linked, task: Task) -> Optional[Execution]:
    """A copy that waits, with its task; None if none fits.

    Args:
        state: What it is to begin with.
        linked: Its code.
        task: Its run.
    """
    while True:
        try:
            process, spare = state.left.popleft()
        except IndexError:
            return None
        found: Execution = spare
        # A child of a fork makes its own: the library serves it nothing of its parent.
        if found.linked is linked and found.limits == task.limits and process == os.getpid():
            found.equip(task)
            return found
        found.close()


def leave_spare(state: Optional[State], execution: Execution) -> bool:
    """Let a copy wait that has run to its end; False if it is to be closed.

    Args:
        state: What it began with, if it is a copy.
        execution: The copy.
    """
    if state is None or len(state.left) >= _MOST or not execution.begin_again():
        return False
    state.left.append((os.getpid(), execution))
    return True
