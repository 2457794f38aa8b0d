"""What a guest writes: collected in memory, or handed to a callable."""

from __future__ import annotations

import os
from collections.abc import Awaitable
from functools import partial
from typing import Any, Callable, Optional, Union

from .._error import WasmtimeError
from .._native import core
from .._trap import OutputLimitTrap
from .input import Awaited
from .limits import POLICIES, OnLimit, check_limit, check_on_limit

__all__ = ["CustomOutput", "Deliver", "Output"]

#: What `WasiConfig.stdout_custom` and `WasiConfig.stderr_custom` take: it is called with the bytes
#: that the guest wrote and returns None, or how many of them it took; or an awaitable of that.
CustomOutput = Callable[[bytes], Union[Optional[int], Awaitable[Optional[int]]]]


class Output:
    r"""What a guest wrote to a stream, collected in memory.

    Made by `WasiConfig.capture_stdout`, `WasiConfig.capture_stderr` and
    `WasiConfig.capture_output`. It can be read while the guest runs, from a host function or from
    another thread, and after the store is gone. The bytes lie in a buffer outside of every store;
    it is freed with this object.

    Args:
        limit: The greatest number of bytes held at a time, or None for no limit, with which a guest
            that prints without end fills the memory of this process. Room is made by `read`.
        on_limit: What becomes of a write that does not fit. None refuses it: the guest's write
            fails. ``"truncate"`` keeps the bytes up to the limit and discards the rest, and all
            that follows; the guest's write succeeds. ``"stop"`` keeps them too, and ends the call
            with `OutputLimitTrap`. `truncated` is true from then on.

    Example:
        >>> wasi = WasiConfig()
        >>> output = wasi.capture_stdout(limit=1 << 20)
        >>> store.set_wasi(wasi)                        # doctest: +SKIP
        >>> linker.instantiate(store, module)           # doctest: +SKIP
        >>> output.getvalue()                           # doctest: +SKIP
        b'Hello, world!\n'
    """

    __module__ = "wasmtime._wasi"  # which pickles name

    __slots__ = ("__weakref__", "_attached", "_limit", "_on_limit", "_sink")

    def __init__(self, limit: Optional[int] = None, *, on_limit: Optional[OnLimit] = None) -> None:
        self._limit = limit = check_limit(limit)
        self._on_limit: Optional[OnLimit] = check_on_limit(on_limit, limit)
        self._sink: Any = core.OutputSink(-1 if limit is None else limit, POLICIES[on_limit])
        self._attached = False

    @property
    def limit(self) -> Optional[int]:
        """The greatest number of bytes held at a time; None if there is no limit."""
        return self._limit

    @property
    def on_limit(self) -> Optional[OnLimit]:
        """What becomes of what the guest writes beyond `limit`."""
        return self._on_limit

    @property
    def total(self) -> int:
        """How many bytes the guest has written so far.

        Those already taken by `read` are included, and those that ``on_limit="truncate"``
        discarded.
        """
        return int(self._sink.total)

    @property
    def truncated(self) -> bool:
        """Whether something was refused or discarded because it would have exceeded `limit`."""
        return bool(self._sink.truncated)

    def getvalue(self) -> bytes:
        """Everything that was written and not yet taken by `read`; it stays there."""
        return bytes(self._sink.getvalue())

    def read(self) -> bytes:
        """Take everything that was written since the last call out of the buffer.

        A loop over this follows a running guest without keeping all it ever wrote.
        """
        return bytes(self._sink.take())

    def text(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """What `getvalue` returns, decoded.

        Args:
            encoding: The encoding of the guest's output.
            errors: What to do with bytes that it has no meaning for, as in `bytes.decode`.

        Raises:
            UnicodeDecodeError: If `errors` is ``"strict"`` and there are such bytes.
        """
        return self.getvalue().decode(encoding, errors)

    def __bytes__(self) -> bytes:
        return self.getvalue()

    def __len__(self) -> int:
        return len(self.getvalue())

    def __bool__(self) -> bool:
        # Without this an output that is still empty would count as none at all.
        return True

    def __repr__(self) -> str:
        limit = "" if self._limit is None else f", limit={self._limit}"
        return f"<wasmtime.Output: {self.total} bytes written{limit}>"

    def __reduce__(self) -> Any:
        raise TypeError("an Output belongs to a guest of this process and cannot be copied")

    def _attach(self) -> None:
        """Refuse a second store."""
        if self._attached:
            raise WasmtimeError(
                "this configuration captures output that already belongs to another store; call "
                "capture_stdout(), capture_stderr() or capture_output() again for the next one"
            )


class Deliver:
    """Hands bytes to a user's callable, up to a limit, and validates the count that it returns.

    Called by the C core, which refuses a guest's write where it returns False, and awaits what is
    not there yet in asynchronous calls (`Awaited`).
    """

    __slots__ = ("_callback", "_limit", "_on_limit", "_room", "_what")

    def __init__(
        self,
        callback: CustomOutput,
        what: str,
        limit: Optional[int] = None,
        on_limit: Optional[OnLimit] = None,
    ) -> None:
        self._callback = callback
        self._what = what
        self._limit = limit
        self._room = limit
        self._on_limit = on_limit

    def __call__(self, data: bytes) -> Union[bool, Awaited]:
        if self._room is None:
            return self._hand_over(data, False)
        if len(data) <= self._room:
            self._room -= len(data)
            return self._hand_over(data, False)
        if self._on_limit is None:
            return False
        data, self._room = data[: self._room], 0
        return self._hand_over(data, True)

    def _hand_over(self, data: bytes, exceeds: bool) -> Union[bool, Awaited]:
        """Hand over bytes, behind which there were more than may be, or not."""
        while data:
            taken: Any = self._callback(data)
            if taken is None:
                break
            if hasattr(taken, "__await__"):
                rest = partial(self._hand_over_rest, data, exceeds)
                return Awaited(taken, rest, self._what)
            data = data[self._count(taken, data) :]
        if exceeds and self._on_limit == "stop":
            raise OutputLimitTrap(
                f"the guest wrote more than the limit of {self._limit} bytes to {self._what}"
            )
        return True

    def _hand_over_rest(self, data: bytes, exceeds: bool, taken: object) -> Union[bool, Awaited]:
        """Go on when it is there how many bytes were taken."""
        rest = b"" if taken is None else data[self._count(taken, data) :]
        return self._hand_over(rest, exceeds)

    def _count(self, taken: object, data: bytes) -> int:
        """How many bytes a callable says that it took."""
        if isinstance(taken, bool) or not isinstance(taken, int):
            raise TypeError(
                f"the callable of {self._what} must return None or how many bytes it took, "
                f"not {type(taken).__name__}"
            )
        if taken < 0:
            raise OSError(-taken, os.strerror(-taken))
        if taken == 0 or taken > len(data):
            raise ValueError(
                f"the callable of {self._what} said that it took {taken} of {len(data)} bytes"
            )
        return taken
