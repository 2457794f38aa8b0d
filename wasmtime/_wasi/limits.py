"""Bounds on what a guest writes, and what happens at them."""

from __future__ import annotations

import sys
from typing import Literal, Optional

__all__ = ["POLICIES", "OnLimit", "check_limit", "check_on_limit"]

#: What becomes of what a guest writes beyond a limit.
OnLimit = Literal["truncate", "stop"]

#: The same as the C core has it.
POLICIES: dict[Optional[OnLimit], int] = {None: 0, "truncate": 1, "stop": 2}
_ON_LIMIT: tuple[OnLimit, ...] = ("truncate", "stop")


def check_limit(limit: object) -> Optional[int]:
    """A limit, if it is one.

    Raises:
        TypeError: It is neither an int nor None.
        ValueError: It is negative, or more than there can be.
    """
    if limit is None:
        return None
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise TypeError(f"limit must be an int or None, not {type(limit).__name__}")
    if limit < 0:
        raise ValueError(f"limit must not be negative, but it is {limit}")
    return min(limit, sys.maxsize)


def check_on_limit(on_limit: object, limit: Optional[int]) -> Optional[OnLimit]:
    """What happens at a limit, if it is that.

    Raises:
        ValueError: It is another word, or there is no limit.
    """
    if on_limit is None:
        return None
    for known in _ON_LIMIT:
        if on_limit == known:
            if limit is None:
                raise ValueError(f"on_limit={known!r} needs a limit: give limit= too")
            return known
    raise ValueError(f"on_limit must be 'truncate', 'stop' or None, not {on_limit!r}")
