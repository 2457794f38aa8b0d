"""Modules: compiled WebAssembly."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Optional

from ._artifacts.compiled import Compiled, LibraryFunctions
from ._engine import Engine, engine_handle
from ._native import core, ffi, lib
from ._types import ExportType, ImportType, module_exports, module_imports
from ._wasi_names import PREVIEW1
from ._wat2wasm import Source, to_wasm

if TYPE_CHECKING:
    from ._artifacts.cache import CacheOption
    from ._artifacts.seal import Artifact

__all__ = ["Module"]

#: Ends what an artifact says of tables with 64-bit indices, as JSON, which `Module` cannot ask for.
_TABLES64 = b"\0tables64"


class Module(Compiled):
    """A compiled module: code, without state.

    It can be instantiated any number of times, in any store of its engine, from any thread.

    Args:
        engine: The engine to compile with.
        wasm: The module, binary or text: text as `str`, or bytes that do not begin with NUL.
        validate: Kept for programs of older versions. A module is always validated: code that is
            not valid cannot be compiled safely.
        cache: Where to keep the compiled code, so that the next process starts in milliseconds.
            True is a directory of this user's own, a path names one; see `from_file`.

    Raises:
        TypeError: An argument is of a wrong type.
        WasmtimeError: `wasm` is not valid, or uses a proposal that the engine's configuration
            leaves off; or others could exchange what is in the cache directory that was named.
        OSError: The cache directory that was named cannot be made or opened.
        ValueError: The engine is closed.

    Example:
        >>> from wasmtime import Engine, Module
        >>> Module(Engine(), '(module (func (export "f")))').exports[0].name
        'f'

    C API: ``wasmtime_module_new``.
    """

    _functions = LibraryFunctions(
        "module",
        "wasmtime_module_t",
        lib.wasmtime_module_serialize,
        lib.wasmtime_module_deserialize,
        lib.wasmtime_module_deserialize_file,
    )

    #: Positions of the imports and names of the exports that are tables with 64-bit indices.
    _tables64: tuple[list[int], list[str]] = ([], [])
    #: The module's name, from its name section; None where it was not compiled here.
    _name: Optional[str] = None

    def __init__(
        self, engine: Engine, wasm: Source, validate: bool = True, *, cache: CacheOption = False
    ) -> None:
        self._make(engine, wasm, cache)

    def _compile(self, engine: Engine, binary: bytes) -> None:
        from ._wasm.module import check_tables, module_name, tables_of_64_bits

        check_tables(binary)
        self._name = module_name(binary)
        self._tables64 = tables_of_64_bits(binary)
        super()._compile(engine, binary)

    def __repr__(self) -> str:
        from ._display import module_text

        return module_text(self)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from ._display import module_html

        return module_html(self)

    def _notes(self) -> bytes:
        if not any(self._tables64):
            return b""
        from json import dumps

        told = dumps(self._tables64).encode()
        return told + len(told).to_bytes(4, "big") + _TABLES64

    def _recall(self, artifact: Artifact) -> None:
        from ._artifacts.seal import SEAL_SIZE

        end = len(artifact) - SEAL_SIZE - len(_TABLES64)
        if artifact[end : len(artifact) - SEAL_SIZE] != _TABLES64:
            return
        from json import loads

        start = end - 4 - int.from_bytes(artifact[end - 4 : end], "big")
        imports, exports = loads(bytes(artifact[start : end - 4]))
        self._tables64 = imports, exports

    @staticmethod
    def validate(engine: Engine, wasm: Source) -> None:
        """Check that something is a valid module for the engine's configuration.

        Args:
            engine: The engine.
            wasm: The module, binary or text.

        Raises:
            WasmtimeError: It is not valid; the message says where.
            TypeError: `wasm` is neither text nor bytes-like, or `engine` not an Engine.

        C API: ``wasmtime_module_validate``.
        """
        binary = to_wasm(wasm)
        engine_handle(engine)
        core.run_job("validate", binary, engine._compiler()._use())

    @property
    def imports(self) -> list[ImportType]:
        """The types of what the module imports, in its order.

        Raises:
            ValueError: The module is closed.
        """
        handle = self._use()
        return module_imports(handle.pointer, self._engine, self._tables64[0])

    @cached_property
    def _imports_wasi(self) -> bool:
        """Whether this imports WASI preview 1, whose functions need `Store.set_wasi`."""
        return any(entry.module == PREVIEW1 for entry in self.imports)

    @property
    def exports(self) -> list[ExportType]:
        """The types of what the module exports, in its order.

        Raises:
            ValueError: The module is closed.
        """
        handle = self._use()
        return module_exports(handle.pointer, self._engine, self._tables64[1])

    def image_range(self) -> range:
        """The addresses that the compiled code occupies in this process, for profilers.

        Raises:
            ValueError: The module is closed.

        C API: ``wasmtime_module_image_range``.
        """
        handle = self._use()
        start, end = ffi.new("void **"), ffi.new("void **")
        lib.wasmtime_module_image_range(handle.pointer, start, end)
        return range(int(ffi.cast("uintptr_t", start[0])), int(ffi.cast("uintptr_t", end[0])))
