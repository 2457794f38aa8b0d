"""Settings for WASI."""

from __future__ import annotations

from .record import Record, switch

__all__ = ["WasiSettings"]


class WasiSettings(Record):
    """Who serves guests of WASI preview 1."""

    __slots__ = ()

    @switch(False, None)
    def library_wasi(self) -> bool:
        """Whether the library's own functions serve the streams of WASI preview 1.

        Off, descriptors 0, 1 and 2, ``poll_oneoff``, clocks and random numbers are the package's:
        a guest that sleeps or reads hears deadlines, `Store.interrupt` and signals, and works in
        forked children. On, everything is the library's, which hears none of them; then
        `WasiConfig.random_seed`, `WasiConfig.clock`, `WasiConfig.stdin_custom` and
        ``on_limit="stop"`` are refused. Files and directories are the library's in both cases.
        Default: False.
        C API: ``wasmtime_linker_define_wasi``, and nine definitions that replace its own.
        """
        raise NotImplementedError
