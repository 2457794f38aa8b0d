"""How far a map is: shown by tqdm or rich, or told to a callable."""

from __future__ import annotations

import sys
from typing import Any, Callable, Optional, Union

__all__ = ["Bar", "Progress", "parse_progress"]

#: What shows progress: nothing, a bar if there is a terminal, or a callable that is told how many
#: results there are, and how many there will be if that is known.
Progress = Union[None, bool, Callable[[int, Optional[int]], Any]]


class Bar:
    """Tells how many results there are.

    Args:
        total: How many there will be, if that is known.
    """

    def __init__(self, total: Optional[int]) -> None:
        self._total, self._done = total, 0

    def add(self) -> None:
        """There is one more."""

    def close(self) -> None:
        """There will be no more."""


class _Told(Bar):
    def __init__(self, total: Optional[int], tell: Callable[[int, Optional[int]], Any]) -> None:
        super().__init__(total)
        self._tell = tell

    def add(self) -> None:
        self._done += 1
        self._tell(self._done, self._total)


class _Tqdm(Bar):
    def __init__(self, total: Optional[int], tqdm: Any) -> None:
        super().__init__(total)
        self._bar = tqdm(total=total, unit="guest", file=sys.stderr)

    def add(self) -> None:
        self._bar.update()

    def close(self) -> None:
        self._bar.close()


class _Rich(Bar):
    def __init__(self, total: Optional[int], progress: Any) -> None:
        super().__init__(total)
        self._progress = progress
        self._task = progress.add_task("guests", total=total)
        progress.start()

    def add(self) -> None:
        self._progress.advance(self._task)

    def close(self) -> None:
        self._progress.stop()


def parse_progress(progress: object) -> Callable[[Optional[int]], Bar]:
    """What makes the bar that a `progress` argument asks for, once it is known how many there are.

    Raises:
        TypeError: It is of another type.
    """
    if progress is None or progress is False:
        return Bar
    if progress is True:
        return _shown
    if callable(progress):
        tell = progress
        return lambda total: _Told(total, tell)
    raise TypeError(f"progress must be None, a bool or a callable, not {type(progress).__name__}")


def _shown(total: Optional[int]) -> Bar:
    """A bar of tqdm or rich, whichever is installed; nothing where nobody would see it."""
    if sys.stderr is None or not sys.stderr.isatty():
        return Bar(total)
    try:
        from tqdm import tqdm

        return _Tqdm(total, tqdm)
    except ImportError:
        pass
    try:
        from rich.console import Console  # pyright: ignore[reportMissingImports]
        from rich.progress import (  # pyright: ignore[reportMissingImports]
            Progress as RichProgress,
        )

        return _Rich(total, RichProgress(console=Console(stderr=True)))
    except ImportError:
        return Bar(total)
