"""Settings for debuggers and profilers of compiled code."""

from __future__ import annotations

from .._native import lib
from .record import Record, choice, switch

__all__ = ["DebuggingSettings"]

_PROFILERS = {
    "none": lib.WASMTIME_PROFILING_STRATEGY_NONE,
    "jitdump": lib.WASMTIME_PROFILING_STRATEGY_JITDUMP,
    "vtune": lib.WASMTIME_PROFILING_STRATEGY_VTUNE,
    "perfmap": lib.WASMTIME_PROFILING_STRATEGY_PERFMAP,
}


class DebuggingSettings(Record):
    """What compiled code tells debuggers and profilers."""

    __slots__ = ()

    @switch(False, lib.wasmtime_config_debug_info_set)
    def debug_info(self) -> bool:
        """Whether DWARF debug information is made for the compiled code, for native debuggers.

        Not available with Winch. Default: False.
        C API: ``wasmtime_config_debug_info_set``.
        """
        raise NotImplementedError

    @choice(_PROFILERS, "none", lib.wasmtime_config_profiler_set, "profiler")
    def profiler(self) -> str:
        """The profiler to report compiled code to: "none", "jitdump", "vtune" or "perfmap".

        "jitdump" writes `jit-PID.dump` into the current directory (Linux), "perfmap" writes
        `/tmp/perf-PID.map` (Unix), both for perf; "vtune" is for Intel VTune (x86-64).
        Default: "none".

        The names of these files can be foreseen, and the library follows links. So a file that is
        there already is used only if it is a regular file of this user's with no other name, and
        the engine is refused otherwise, or where everybody may rename files in the directory. In a
        directory of somebody else's, its owner can still exchange the file in between.
        C API: ``wasmtime_config_profiler_set``.
        """
        raise NotImplementedError

    @switch(True, lib.wasmtime_config_native_unwind_info_set)
    def native_unwind_info(self) -> bool:
        """Whether unwinding tables are made for the compiled code, for native backtraces.

        Cannot be off on Windows. Default: True.
        C API: ``wasmtime_config_native_unwind_info_set``.
        """
        raise NotImplementedError
