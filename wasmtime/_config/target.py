"""Targets: the machines that code is compiled for."""

from __future__ import annotations

import sys
from typing import Any, Callable, NamedTuple, Optional

from .._native import encode_cstring, lib
from .._native.host import host_machine
from .record import Setting, try_on_scratch

__all__ = ["Target", "apply_target", "parse_target", "target_setting"]


class Target(NamedTuple):
    """What the rules need to know of a target."""

    machine: str
    is_windows: bool
    bits: int


def parse_target(triple: Optional[str]) -> Target:
    """Reads a triple that the library has accepted; None is this machine."""
    if triple is None:
        return Target(host_machine(), sys.platform == "win32", 64)
    parts = triple.split("-")
    first = parts[0]
    is_windows = "windows" in parts
    if any("x32" in part or "ilp32" in part for part in parts[1:]):
        return Target(triple, is_windows, 32)
    if first in ("pulley32", "pulley32be"):
        return Target("pulley", is_windows, 32)
    if first in ("pulley64", "pulley64be"):
        return Target("pulley", is_windows, 64)
    if first in ("aarch64", "arm64"):
        return Target("aarch64", is_windows, 64)
    return Target(first, is_windows, 64)


def target_setting(declaration: Callable[[Any], Optional[str]]) -> Setting[Optional[str], str]:
    """Declares the setting of a target, which the library tries when it is set."""

    def convert(name: str, value: object) -> str:
        if not isinstance(value, str):
            raise TypeError(f"expected a str for {name}, not {type(value).__name__}")
        try_on_scratch(lambda config: apply_target(config, value))
        return value

    return Setting(declaration, convert, None, lib.wasmtime_config_target_set)


def apply_target(config: Any, value: str) -> Any:
    """Applies a target to a native configuration; returns the library's error or NULL."""
    return lib.wasmtime_config_target_set(config, encode_cstring(value, "target"))
