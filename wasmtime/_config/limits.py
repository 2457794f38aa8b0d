"""Settings that say how running code is interrupted, and how much stack it has."""

from __future__ import annotations

from typing import Any, Callable

from .._native import lib
from . import defaults
from .record import Record, Setting, size, switch

__all__ = ["LimitSettings"]


def _epoch_setting(
    declaration: Callable[[Any], bool],
) -> Setting[bool, object]:
    # The published package takes the truth of anything here.
    return Setting(
        declaration,
        lambda name, value: bool(value),
        True,
        lib.wasmtime_config_epoch_interruption_set,
    )


class LimitSettings(Record):
    """How code is interrupted, and how much stack it may use."""

    __slots__ = ()

    @_epoch_setting
    def epoch_interruption(self) -> bool:
        """Whether running code looks at the engine's epoch, so that it can be stopped.

        The compiler adds a check to each loop and function. It is what lets Ctrl-C and other
        signals stop WebAssembly, and what `Engine.increment_epoch` and `Store.set_epoch_deadline`
        work with. Set it to False to leave the checks out: the code is a little faster then (up
        to a tenth in tight loops), and nothing but fuel can stop it.

        Default: True; until it is set explicitly, a store has no deadline of its own.
        C API: ``wasmtime_config_epoch_interruption_set``.
        """
        raise NotImplementedError

    @switch(False, lib.wasmtime_config_consume_fuel_set)
    def consume_fuel(self) -> bool:
        """Whether code uses up fuel as it runs, and traps when there is none left.

        A store starts with no fuel at all (`Store.set_fuel`). Unlike epochs, fuel is counted
        exactly the same in each run, but it costs more. Default: False.
        C API: ``wasmtime_config_consume_fuel_set``.
        """
        raise NotImplementedError

    @size(defaults.max_wasm_stack, lib.wasmtime_config_max_wasm_stack_set, 64)
    def max_wasm_stack(self) -> int:
        """How many bytes of the thread's stack WebAssembly may use before it traps.

        The thread needs that much stack and room for host functions beyond it; a call in a
        thread that has less is refused. At least 1, at most 2**40.

        Default: half of what the operating system gives a thread, between 512 KiB and 4 MiB
        (with an `async_stack_size` that was set, what that leaves after 640 KiB for host
        functions; 256 KiB if it is below 1.25 MiB).
        C API: ``wasmtime_config_max_wasm_stack_set``.
        """
        raise NotImplementedError

    @size(defaults.async_stack_size, lib.wasmtime_config_async_stack_size_set, 64)
    def async_stack_size(self) -> int:
        """The size in bytes of the separate stacks on which asynchronous calls run.

        What exceeds `max_wasm_stack` is for the library's own host functions (WASI), and has to be
        at least 256 KiB. Python code never runs there.

        Default: 1.5 MiB more than `max_wasm_stack`.
        C API: ``wasmtime_config_async_stack_size_set``.
        """
        raise NotImplementedError
