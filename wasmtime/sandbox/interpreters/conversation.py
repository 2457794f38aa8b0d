"""The host's side of what a driver says, taken out of a guest's standard output."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Callable, Optional

from ..._native import core
from ..errors import GuestError

__all__ = ["Conversation"]


class Conversation:
    """What passes between a driver and the host, in either tier, on whichever thread.

    Args:
        functions: The functions that snippets may call.
        mark: What begins a line that is for the host; None for a new one.

    Attributes:
        mark: What begins a line that is for the host.
        answers: Whether the guest waits for answers, which have to be given at once.
    """

    def __init__(
        self, functions: Mapping[str, Callable[..., Any]], mark: Optional[str] = None
    ) -> None:
        self.mark = f"\x01{core.random_bytes(16).hex()}\x02" if mark is None else mark
        self._mark = self.mark.encode()
        self._functions = functions
        self.answers = bool(functions)
        self._sifter: Any = core.OutputSink()
        self._sifter.set_mark(self._mark)
        self._answers = b""

    def filter(self, stream: str, data: bytes) -> bytes:
        """Take what is for the host out of output, and answer it; the rest is output.

        Raises:
            Exception: What a function raised, unless it is a `GuestError`.
        """
        if stream != "stdout":
            return data
        self._sifter.write(data)
        self.hear(self._sifter.take_messages())
        output: bytes = self._sifter.take()
        return output

    def hear(self, messages: bytes) -> None:
        """Take lines that the guest has for the host, without their marks, and answer them.

        Raises:
            Exception: As `filter`.
        """
        for line in messages.split(b"\n")[:-1]:
            self._hear(line)

    def rest(self) -> bytes:
        """Output that was held back, because it might have been the beginning of a mark."""
        rest: bytes = self._sifter.take_rest()
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
            said = json.loads(line.decode())
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
