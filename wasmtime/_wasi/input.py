"""Standard input that Python gives: callables, file objects, and what an event loop waits for."""

from __future__ import annotations

import io
from collections.abc import AsyncIterable, Awaitable, Generator
from typing import Any, Callable, Protocol, Union

from .._coroutines import is_coroutine_function

__all__ = [
    "AsyncInput",
    "Awaited",
    "CustomInput",
    "Reader",
    "as_bytes",
    "check_source",
    "descriptor_of",
    "is_file_object",
]


class _Readable(Protocol):
    """A file object that is opened for reading bytes."""

    def read(self, size: int, /) -> Any: ...


#: What `WasiConfig.stdin_custom` takes.
CustomInput = Union[Callable[[int], Any], _Readable, AsyncIterable[Any]]


def is_file_object(source: object) -> bool:
    """Whether something is to be read with its ``read`` method."""
    return callable(getattr(source, "read", None))


def check_source(source: object) -> None:
    """Refuse what a guest cannot read from.

    Raises:
        TypeError: It is neither a callable nor a file object, or a file object for text.
    """
    if isinstance(source, io.TextIOBase):
        raise TypeError(
            "stdin_custom takes a file that is opened for bytes, not for text: open it with mode "
            "'rb', or give its buffer, as in sys.stdin.buffer"
        )
    if not (is_file_object(source) or callable(source) or AsyncInput.is_needed(source)):
        raise TypeError(
            "stdin_custom takes a callable that returns bytes, a file object, or an asynchronous "
            f"iterator of bytes, not {type(source).__name__}"
        )


def descriptor_of(source: object) -> int:
    """The descriptor that a source can be read from past Python, or -1."""
    if type(source) is io.FileIO and source.readable():
        return source.fileno()
    return -1


class AsyncInput:
    """Standard input from an asynchronous iterator, or from an object with an async ``read``.

    Args:
        source: The iterator of bytes, or the object, such as an `asyncio.StreamReader`.
    """

    __slots__ = ("_next", "_read")

    def __init__(self, source: Any) -> None:
        self._read: Any = source.read if is_file_object(source) else None
        self._next: Any = None if self._read is not None else source.__aiter__().__anext__

    @staticmethod
    def is_needed(source: object) -> bool:
        """Whether something is such a source."""
        read = getattr(source, "read", None)
        return is_coroutine_function(read) if callable(read) else hasattr(source, "__aiter__")

    async def read(self, size: int) -> Any:
        """What comes next of the input; nothing at its end."""
        if self._read is not None:
            return await self._read(size)
        try:
            while True:
                piece = await self._next()
                if piece != b"":  # which is no end here
                    return piece
        except StopAsyncIteration:
            return b""


class Awaited:
    """What a stream of Python's has yet to come to.

    The C core has the event loop await it in an asynchronous call, and refuses it in any other.

    Args:
        given: What is awaited first.
        then: Takes what that gives, and gives what it comes to, or something more to await.
        what: The stream, for the error.
    """

    __slots__ = ("_given", "_then", "_what")

    def __init__(self, given: Awaitable[Any], then: Callable[[Any], Any], what: str) -> None:
        self._given, self._then, self._what = given, then, what

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._finish().__await__()

    async def _finish(self) -> Any:
        result = self._then(await self._given)
        return await result if isinstance(result, Awaited) else result

    def close(self) -> None:
        """Nobody awaits it: a coroutine would warn of that."""
        close = getattr(self._given, "close", None)
        if close is not None:
            close()

    def refuse(self) -> None:
        """Raise a TypeError, since nobody can await it."""
        self.close()
        raise TypeError(
            f"{self._what} is asynchronous, which needs an asynchronous call of a module of WASI "
            "preview 1; any other needs what does not have to be awaited"
        )


class Reader:
    """Asks a user's source for bytes, and checks what comes."""

    __slots__ = ("_read",)

    def __init__(self, source: Any) -> None:
        if AsyncInput.is_needed(source):
            source = AsyncInput(source).read
        read = getattr(source, "read1", None) if is_file_object(source) else source
        self._read: Callable[[int], Any] = source.read if read is None else read

    def __call__(self, size: int) -> Union[bytes, Awaited]:
        given = self._read(size)
        if type(given) is bytes:
            return given
        if hasattr(given, "__await__"):
            return Awaited(given, as_bytes, "standard input")
        return as_bytes(given)


def as_bytes(given: object) -> bytes:
    """What a source gave, as bytes.

    Raises:
        TypeError: It gave something else.
    """
    if isinstance(given, (bytes, bytearray, memoryview)):
        return bytes(given)
    raise TypeError(f"standard input must be bytes, b'' at its end, not {type(given).__name__}")
