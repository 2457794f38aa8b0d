"""Standard input that Python gives: callables and file objects."""

from __future__ import annotations

import io
from typing import Any, Callable, Protocol, Union

__all__ = ["CustomInput", "Reader", "check_source", "descriptor_of", "is_file_object"]


class _Readable(Protocol):
    """A file object that is opened for reading bytes."""

    def read(self, size: int, /) -> Any: ...


#: What `WasiConfig.stdin_custom` takes.
CustomInput = Union[Callable[[int], Any], _Readable]


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
    if not is_file_object(source) and not callable(source):
        raise TypeError(
            "stdin_custom takes a callable that returns bytes, or a file object, not "
            f"{type(source).__name__}"
        )


def descriptor_of(source: object) -> int:
    """The descriptor that a source can be read from past Python, or -1."""
    if type(source) is io.FileIO and source.readable():
        return source.fileno()
    return -1


class Reader:
    """Asks a user's callable or file object for bytes, and checks what comes."""

    __slots__ = ("_read",)

    def __init__(self, source: Any) -> None:
        read = getattr(source, "read1", None) if is_file_object(source) else source
        self._read: Callable[[int], Any] = source.read if read is None else read

    def __call__(self, size: int) -> bytes:
        given = self._read(size)
        if type(given) is bytes:
            return given
        if isinstance(given, (bytes, bytearray, memoryview)):
            return bytes(given)
        if hasattr(given, "__await__"):
            if hasattr(given, "close"):
                given.close()
            raise TypeError(
                "standard input is asynchronous, which needs an asynchronous call; a synchronous "
                "one needs a callable that returns bytes"
            )
        raise TypeError(f"standard input must be bytes, b'' at its end, not {type(given).__name__}")
