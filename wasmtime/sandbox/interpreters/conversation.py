"""The host's side of what a driver says, taken out of a guest's standard output."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, Callable, Optional

from ..errors import GuestError

__all__ = ["Conversation"]

#: How long one line of a driver may be.
_LONGEST_LINE = 16 << 20


class Conversation:
    """What passes between a driver and the host, in either tier, on whichever thread.

    Args:
        functions: The functions that snippets may call.
        mark: What begins a line that is for the host; None for a new one.

    Attributes:
        mark: What begins a line that is for the host.
    """

    def __init__(
        self, functions: Mapping[str, Callable[..., Any]], mark: Optional[str] = None
    ) -> None:
        self.mark = f"\x01{os.urandom(16).hex()}\x02" if mark is None else mark
        self._mark = self.mark.encode()
        self._functions = functions
        self._pending = b""
        self._answers = b""

    def filter(self, stream: str, data: bytes) -> bytes:
        """Take what is for the host out of output, and answer it; the rest is output.

        Raises:
            Exception: What a function raised, unless it is a `GuestError`.
        """
        if stream != "stdout":
            return data
        data = self._pending + data
        self._pending = b""
        output = []
        while data:
            at = data.find(self._mark)
            if at < 0:
                kept = _tail(data, self._mark)
                output.append(data[: len(data) - kept])
                self._pending = data[len(data) - kept :]
                break
            output.append(data[:at])
            end = data.find(b"\n", at)
            if end < 0:
                self._pending = data[at:]
                if len(self._pending) > _LONGEST_LINE:
                    self._pending = b""
                break
            self._hear(data[at + len(self._mark) : end])
            data = data[end + 1 :]
        return b"".join(output)

    def rest(self) -> bytes:
        """Output that was held back, because it might have been the beginning of a mark."""
        rest, self._pending = self._pending, b""
        return rest

    def read(self, size: int) -> bytes:
        """The standard input of the guest: answers, and the end when there are none."""
        if not self._answers:
            self.wait()
        taken, self._answers = self._answers[:size], self._answers[size:]
        return taken

    def said(self) -> bytes:
        """All that there is to say now."""
        said, self._answers = self._answers, b""
        return said

    def wait(self) -> None:
        """Called when the guest reads and there is nothing to say: it finds the end."""

    def answer(self, kind: str, *values: Any) -> None:
        """Say something to the guest."""
        self._answers += json.dumps([kind, *values]).encode() + b"\n"

    def _hear(self, line: bytes) -> None:
        try:
            said = json.loads(line)
            kind, rest = said[0], said[1:]
        except (ValueError, RecursionError, LookupError, TypeError):
            return  # a guest that talks nonsense is not answered
        if kind == "call" and len(rest) == 3:
            self._call(*rest)
        elif kind == "next" and len(rest) == 2:
            self.next(*rest)

    def next(self, status: Any, value: Any) -> None:
        """The guest has run a snippet, and waits for another."""

    def _call(self, name: Any, args: Any, kwargs: Any) -> None:
        function = self._functions.get(name) if isinstance(name, str) else None
        if function is None or not isinstance(args, list) or not isinstance(kwargs, dict):
            self.answer("error", "the host has no such function")
            return
        try:
            value = function(*args, **kwargs)
        except GuestError as error:
            self.answer("error", str(error))
        else:
            self.answer("value", value)


def _tail(data: bytes, mark: bytes) -> int:
    """How many bytes at the end may be the beginning of a mark."""
    for length in range(min(len(mark) - 1, len(data)), 0, -1):
        if data.endswith(mark[:length]):
            return length
    return 0
