"""Why there is no snapshot."""

from __future__ import annotations

from .._error import WasmtimeError

__all__ = ["NotCapturable"]


class NotCapturable(WasmtimeError):
    """The state of a module or instance cannot be told; the message says which part of it."""
