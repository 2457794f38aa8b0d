"""Stub of the hand-written module."""

from typing import Any

def __getattr__(name: str) -> Any: ...
