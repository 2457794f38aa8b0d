"""The streams of a guest of preview 1, as the package's own functions serve them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Callable, Optional, Union

from .._error import WasmtimeError
from .._native import core, decode_path
from .forwarding import forwarding
from .input import Reader, descriptor_of
from .output import Deliver
from .streams import Stream

if TYPE_CHECKING:
    from .._engine import Engine
    from .config import WasiConfig

__all__ = ["ClockReader", "gone", "own_wasi"]

_BINARY = getattr(os, "O_BINARY", 0)


def own_wasi(engine: Engine, wasi: WasiConfig) -> Any:
    """Make the `core.Wasi` that serves a store with a configuration.

    Raises:
        WasmtimeError: If a file that was there when it was set cannot be opened any more.
    """
    streams: list[Any] = []
    try:
        streams.append(_input(wasi._stdin))
        streams.append(_output(wasi._stdout, "stdout", 1))
        streams.append(_output(wasi._stderr, "stderr", 2))
        stdin, stdout, stderr = streams
        return core.Wasi(
            forwarding(engine), stdin, stdout, stderr, _clock(wasi._clock), _seed(wasi._seed)
        )
    except BaseException:
        for stream in streams:
            if isinstance(stream, tuple) and stream[1]:
                os.close(stream[0])
        raise


def _input(stream: Stream) -> Any:
    if stream.kind == "inherit":
        return (0, False, None)
    if stream.kind == "bytes":
        return stream.value
    if stream.kind == "file":
        return _opened(stream, "stdin file", os.O_RDONLY)
    if stream.kind == "custom":
        descriptor = descriptor_of(stream.value)
        return Reader(stream.value) if descriptor < 0 else (descriptor, False, stream.value)
    return None


def _output(stream: Stream, name: str, number: int) -> Any:
    if stream.kind == "inherit":
        return (number, False, None)
    if stream.kind == "file":
        return _opened(stream, f"{name} file", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    if stream.kind == "capture":
        return stream.value._sink
    if stream.kind == "custom":
        return Deliver(stream.value, f"{name}_custom", stream.limit, stream.on_limit)
    return None


def _opened(stream: Stream, what: str, flags: int) -> tuple[int, bool, None]:
    """A file of the user's; of a named pipe this waits for the other end, and hears signals."""
    try:
        return os.open(decode_path(stream.native), flags | _BINARY, 0o666), True, None
    except OSError as error:
        raise gone(what, stream) from error


def gone(what: str, stream: Stream) -> WasmtimeError:
    """The error for a file that cannot be opened although it could when it was set."""
    return WasmtimeError(
        f"failed to set {what}: {stream.value!r} could be opened when it was set, but not any more"
    )


# --- what makes a run reproducible ---------------------------------------------------------------

_BILLION = 1_000_000_000


class ClockReader:
    """Asks a user's callable what time it is; gives nanoseconds since 1970."""

    __slots__ = ("_callback",)

    def __init__(self, callback: Callable[[], float]) -> None:
        self._callback = callback

    def __call__(self) -> int:
        return nanoseconds(self._callback(), "what the callable of clock returns")


def nanoseconds(seconds: object, what: str) -> int:
    """Seconds since 1970 in nanoseconds, as the guest's clock has them.

    Raises:
        TypeError: They are no number.
        ValueError: They are before 1970, or more than a clock shows.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(
            f"{what} must be seconds since 1970, an int or a float, not {type(seconds).__name__}"
        )
    if not 0 <= seconds < 2**63 / _BILLION:  # NaN is neither
        raise ValueError(
            f"{what} must be seconds since 1970, not negative and below {2**63 // _BILLION}, "
            f"but it is {seconds}"
        )
    return seconds * _BILLION if isinstance(seconds, int) else round(seconds * _BILLION)


def _clock(clock: Union[float, Callable[[], float], None]) -> Any:
    if clock is None:
        return None
    return ClockReader(clock) if callable(clock) else nanoseconds(clock, "clock")


def _seed(seed: Union[int, bytes, None]) -> Optional[bytes]:
    """32 bytes from a seed; an int and bytes never give the same."""
    if seed is None:
        return None
    import hashlib  # not before: 3.12 dies of loading it where Python is initialized again

    text = b"int:%d" % seed if isinstance(seed, int) else b"bytes:" + seed
    return hashlib.sha256(text).digest()
