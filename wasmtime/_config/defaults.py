"""Default values that depend on other settings, on the target or on this machine.

A function with the name of a setting returns that setting's default.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._native.host import default_max_wasm_stack
from .target import parse_target

if TYPE_CHECKING:
    from . import Config

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30

#: What the library's own host functions (WASI) are left of an asynchronous stack beyond what
#: WebAssembly may use, at least. The library asks for no difference at all; a function that then
#: overflows the stack would end the process. Python code never runs there.
HOST_STACK_RESERVE = 256 * KIB
#: What they are left if no size is set, as the library does it. It is address space, not memory.
_HOST_STACK = 1536 * KIB
#: What they are left if the user set a size in which there is room for it.
_LEAST_HOST_STACK = 640 * KIB


def is_pulley(config: Config) -> bool:
    """Whether code is made for Pulley, the portable interpreter."""
    return parse_target(config.target).machine == "pulley"


def is_winch(config: Config) -> bool:
    """Whether Winch compiles."""
    return config.strategy == "winch"


def not_winch(config: Config) -> bool:
    """The default of what Winch lacks, or has switched off."""
    return not is_winch(config)


def wasm_threads(config: Config) -> bool:
    """Neither Winch nor Pulley has them."""
    return not is_winch(config) and not is_pulley(config)


def wasm_component_model_async(config: Config) -> bool:
    """It needs concurrency."""
    return config.concurrency_support


def signals_based_traps(config: Config) -> bool:
    """Pulley has no machine code whose signals could be taken."""
    return not is_pulley(config)


def memory_reservation(config: Config) -> int:
    """All that a 32-bit memory can ever need, where address space is plentiful."""
    return 4 * GIB if parse_target(config.target).bits == 64 else 10 * MIB


def memory_guard_size(config: Config) -> int:
    """Pulley checks each access and needs no guard."""
    if is_pulley(config):
        return 0
    return 32 * MIB if parse_target(config.target).bits == 64 else 64 * KIB


def memory_reservation_for_growth(config: Config) -> int:
    """As much as a few growths take."""
    return 2 * GIB if parse_target(config.target).bits == 64 else MIB


def max_wasm_stack(config: Config) -> int:
    """What suits a thread's stack, or what is left of an asynchronous stack whose size was set."""
    if config._explicit("async_stack_size"):
        whole = config.async_stack_size
        reserve = _LEAST_HOST_STACK if whole >= 2 * _LEAST_HOST_STACK else HOST_STACK_RESERVE
        return min(default_max_wasm_stack(), max(whole - reserve, 0))
    return default_max_wasm_stack()


def async_stack_size(config: Config) -> int:
    """WebAssembly's part, and enough for the library's host functions."""
    if config._explicit("max_wasm_stack"):
        return config.max_wasm_stack + _HOST_STACK
    return default_max_wasm_stack() + _HOST_STACK
