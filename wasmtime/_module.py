"""
Modules: compiled WebAssembly.
"""

from __future__ import annotations

from functools import cached_property

from ._compiled import Compiled, LibraryFunctions, Source, engine_handle
from ._engine import Engine
from ._native import core, ffi, lib
from ._types import ExportType, ImportType, module_exports, module_imports
from ._wat2wasm import to_wasm

__all__ = ["Module"]

#: The names that `Linker.define_wasi` defines functions in.
WASI_MODULES = (b"wasi_snapshot_preview1",)


class Module(Compiled):
    """
    A compiled module: code, without state. It can be instantiated any number of times, in any
    store of its engine, from any thread.

    Args:
        engine: The engine to compile with.
        wasm: The module, binary or text: text as `str`, or bytes that do not begin with NUL.
        validate: Kept for programs of older versions. A module is always validated: code that is
            not valid cannot be compiled safely.

    Raises:
        TypeError: `engine` or `wasm` is of a wrong type.
        WasmtimeError: `wasm` is not valid, or uses a proposal that the engine's configuration
            leaves off.
        ValueError: The engine is closed.

    Example:
        >>> from wasmtime import Engine, Module
        >>> Module(Engine(), '(module (func (export "f")))').exports[0].name
        'f'

    Stands on ``wasmtime_module_new``.
    """

    _functions = LibraryFunctions(
        "module",
        "wasmtime_module_t",
        lib.wasmtime_module_serialize,
        lib.wasmtime_module_deserialize,
        lib.wasmtime_module_deserialize_file,
    )

    def __init__(self, engine: Engine, wasm: Source, validate: bool = True) -> None:
        from ._scan import check_tables

        engine_handle(engine)
        binary = to_wasm(wasm)
        check_tables(binary)
        self._compile(engine, binary)

    @staticmethod
    def validate(engine: Engine, wasm: Source) -> None:
        """
        Check that something is a valid module for the engine's configuration.

        Args:
            engine: The engine.
            wasm: The module, binary or text.

        Raises:
            WasmtimeError: It is not valid; the message says where.
            TypeError: `wasm` is neither text nor bytes-like, or `engine` not an Engine.

        Stands on ``wasmtime_module_validate``.
        """
        binary = to_wasm(wasm)
        engine_handle(engine)
        core.run_job("validate", binary, engine._compiler()._use())

    @property
    def imports(self) -> list[ImportType]:
        """
        The types of what the module imports, in its order.

        Raises:
            ValueError: The module is closed.
        """
        handle = self._use()
        return module_imports(handle.pointer, self._engine)

    @cached_property
    def _imports_wasi(self) -> bool:
        """
        Whether this imports WASI preview 1, whose functions need `Store.set_wasi`.
        """
        return any(entry.module.encode() in WASI_MODULES for entry in self.imports)

    @property
    def exports(self) -> list[ExportType]:
        """
        The types of what the module exports, in its order.

        Raises:
            ValueError: The module is closed.
        """
        handle = self._use()
        return module_exports(handle.pointer, self._engine)

    def image_range(self) -> range:
        """
        The addresses that the compiled code occupies in this process, for profilers.

        Raises:
            ValueError: The module is closed.

        Stands on ``wasmtime_module_image_range``.
        """
        handle = self._use()
        start, end = ffi.new("void **"), ffi.new("void **")
        lib.wasmtime_module_image_range(handle.pointer, start, end)
        return range(int(ffi.cast("uintptr_t", start[0])), int(ffi.cast("uintptr_t", end[0])))
