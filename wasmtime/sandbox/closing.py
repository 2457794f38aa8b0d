"""What is closed behind a block: ``with``, and ``async with`` in a coroutine."""

from __future__ import annotations

from typing import Any, TypeVar

from .waiting import in_thread

__all__ = ["Closing"]

_S = TypeVar("_S", bound="Closing")


class Closing:
    """Gives a class with `close` both forms of a context manager; it cannot be pickled."""

    def close(self) -> None:
        """Give up what this has."""
        raise NotImplementedError

    async def close_async(self) -> None:
        """As `close`, for a coroutine; it is closed even if this is cancelled."""
        await in_thread(self.close)

    def __reduce__(self) -> Any:
        raise TypeError(f"a {type(self).__name__} belongs to this process and cannot be copied")

    def __enter__(self: _S) -> _S:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    async def __aenter__(self: _S) -> _S:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close_async()
