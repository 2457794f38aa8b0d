"""How the command ends: exit statuses, and the exception that carries one."""

from __future__ import annotations

import sys

__all__ = ["STATUS_ERROR", "STATUS_INTERRUPTED", "STATUS_TRAP", "STATUS_USAGE", "Failure"]

STATUS_ERROR = 1
STATUS_USAGE = 2
STATUS_INTERRUPTED = 130
#: What an aborting process leaves: 128 and SIGABRT, or Windows' own number for it.
STATUS_TRAP = 3 if sys.platform == "win32" else 134


class Failure(Exception):
    """What ends the command with a message for the user instead of a traceback."""

    def __init__(self, message: str, status: int = STATUS_ERROR) -> None:
        super().__init__(message)
        self.status = status
