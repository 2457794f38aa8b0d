"""
The interface ``example:plugins/console@1.0.0``, which the host provides.
"""

from abc import abstractmethod
from enum import Enum
from typing import Protocol


class Level(Enum):
    """
    The enum ``level``.
    """

    INFO = 0
    WARNING = 1


class HostConsole(Protocol):
    """
    What implements ``example:plugins/console@1.0.0``.
    """

    @abstractmethod
    def log(self, level: Level, text: str) -> None:
        raise NotImplementedError
