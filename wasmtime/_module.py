"""
Modules: compiled WebAssembly.
"""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING, Any, Union

from ._engine import Engine
from ._error import ArgumentTypeError, WasmtimeError
from ._managed import Managed
from ._native import check, core, encode_path, ffi, lib, take_bytes
from ._scan import check_tables
from ._types import ExportType, ImportType, module_exports, module_imports
from ._wat2wasm import to_wasm

if TYPE_CHECKING:
    from ._cache import CacheOption

__all__ = ["Module"]

_Source = Union[str, bytes, bytearray, memoryview]
_Binary = Union[bytes, bytearray, memoryview]
_Path = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]


#: The names that `Linker.define_wasi` defines functions in.
WASI_MODULES = (b"wasi_snapshot_preview1",)


def engine_handle(engine: object) -> Any:
    """
    The Handle of an Engine argument, to be kept while native code uses it.
    """
    if not isinstance(engine, Engine):
        raise ArgumentTypeError(f"engine must be an Engine, not {type(engine).__name__}")
    return engine._use()


class Module(Managed):
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

    def __init__(self, engine: Engine, wasm: _Source, validate: bool = True) -> None:
        handle = engine_handle(engine)
        binary = to_wasm(wasm)
        check_tables(binary)
        result = ffi.new("wasmtime_module_t **")
        check_compiling(engine)
        check(
            lib.wasmtime_module_new(
                handle.pointer, ffi.from_buffer("uint8_t[]", binary), len(binary), result
            )
        )
        self._adopt("wasmtime_module_t", result[0], engine)

    @classmethod
    def _from_pointer(cls, pointer: Any, engine: Engine) -> Module:
        """
        Take over a ``wasmtime_module_t *``.
        """
        module = cls.__new__(cls)
        module._adopt("wasmtime_module_t", pointer, engine)
        return module

    @classmethod
    def from_file(
        cls, engine: Engine, path: _Path, validate: bool = True, cache: CacheOption = False
    ) -> Module:
        """
        Compile the module in a file, binary or text.

        Args:
            engine: The engine to compile with.
            path: The file.
            validate: As for `Module`.
            cache: Where to keep the compiled code, so that the next process starts in
                milliseconds: True for a directory of this user's own, or a directory that belongs
                to this user alone. Entries depend on the contents of the file and on the engine's
                configuration; damaged ones are compiled again, old ones removed beyond 2 GiB.

        Raises:
            OSError: The file cannot be read, or the cache directory not be made.
            WasmtimeError: What it holds is not a valid module, or others can write to the cache
                directory.
        """
        engine_handle(engine)
        with open(path, "rb") as file:
            contents = file.read()
        if cache is False:
            return cls(engine, contents, validate)
        from ._cache import open_cache

        return open_cache(cache).load(
            engine,
            "module",
            contents,
            lambda artifact: cls.deserialize(engine, artifact),
            lambda: cls(engine, contents, validate),
            lambda module: module.serialize(),
        )

    @staticmethod
    def validate(engine: Engine, wasm: _Source) -> None:
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
        handle = engine_handle(engine)
        check(
            lib.wasmtime_module_validate(
                handle.pointer, ffi.from_buffer("uint8_t[]", binary), len(binary)
            )
        )

    def serialize(self) -> bytearray:
        """
        The compiled code as bytes, for `deserialize`.

        Returns:
            A bytearray that starts with the ELF magic number and ends with a checksum, for
            machines of this kind and engines of this configuration and version only.

        Raises:
            ValueError: The module is closed.

        Stands on ``wasmtime_module_serialize``.
        """
        from ._artifact import seal

        handle = self._use()
        vec = ffi.new("wasm_byte_vec_t *")
        check(lib.wasmtime_module_serialize(handle.pointer, vec))
        return bytearray(seal(take_bytes(vec)))

    @classmethod
    def deserialize(cls, engine: Engine, encoded: _Binary) -> Module:
        """
        The module that `serialize` was called on.

        The bytes are machine code that will run in this process: they must come from where you
        would take a native library from. Damaged bytes are refused before they are looked at
        where `serialize` made them; artifacts of the official command line and of other bindings
        of the same version load too, unchecked. The library itself checks that version and
        configuration fit, not that the code is harmless.

        Args:
            engine: An engine of the same version and configuration.
            encoded: The bytes.

        Raises:
            WasmtimeError: Not an artifact, damaged, or of another version, configuration or
                machine.
            TypeError: `encoded` is not bytes-like.

        Stands on ``wasmtime_module_deserialize``.
        """
        from ._artifact import check_artifact

        if not isinstance(encoded, (bytes, bytearray, memoryview)):
            raise TypeError(f"encoded must be bytes-like, not {type(encoded).__name__}")
        handle = engine_handle(engine)
        data = bytes(encoded)
        check_artifact(data, "encoded")
        result = ffi.new("wasmtime_module_t **")
        _check_loaded(
            lib.wasmtime_module_deserialize(
                handle.pointer, ffi.from_buffer("uint8_t[]", data), len(data), result
            )
        )
        return cls._from_pointer(result[0], engine)

    @classmethod
    def deserialize_file(cls, engine: Engine, path: _Path) -> Module:
        """
        As `deserialize`, from a file, which is mapped rather than read.

        The file must not change while the module lives: a file that is cut short under a running
        module ends the process, as it would for a native library.

        Args:
            engine: An engine of the same version and configuration.
            path: The file.

        Raises:
            OSError: The file cannot be opened.
            WasmtimeError: Not an artifact, damaged, or of another version, configuration or
                machine.

        Stands on ``wasmtime_module_deserialize_file``.
        """
        from ._artifact import check_artifact_file

        handle = engine_handle(engine)
        native_path = encode_path(path, "path")
        check_artifact_file(native_path, f"the file {os.fsdecode(native_path)!r}")
        result = ffi.new("wasmtime_module_t **")
        _check_loaded(lib.wasmtime_module_deserialize_file(handle.pointer, native_path, result))
        return cls._from_pointer(result[0], engine)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """
        Pickle the compiled code, with the engine: in another process, use ``module.engine``.
        """
        return _restore_module, (self.engine, bytes(self.serialize()))

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

    @property
    def engine(self) -> Engine:
        """
        The engine that this module was compiled with.
        """
        engine: Engine = self._engine
        return engine

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


def _check_loaded(error: Any) -> None:
    """
    As `check`, with the way out where the one setting that differs by default is the reason.
    """
    try:
        check(error)
    except WasmtimeError as refused:
        if "epoch interruption" not in refused.message:
            raise
        raise WasmtimeError(
            f"{refused.message}: an artifact of the official command line or another binding has "
            "no epoch checks, which engines here have so that signals can stop WebAssembly; set "
            "Config.epoch_interruption to False for the engine that loads it"
        ) from refused


def _restore_module(engine: Engine, artifact: bytes) -> Module:
    """
    The module that was pickled.
    """
    return Module.deserialize(engine, artifact)


_compiled_in: int = 0


#: Bytes of native stack that reading and validating a module may need.
_COMPILER_STACK = 96 * 1024


def check_compiling(engine: Engine) -> None:
    """
    Refuse to compile where it cannot end well: on a stack that is too small, and in a forked child
    of a process that has compiled, where the compiler's threads are gone and would be waited for
    for ever.

    Raises:
        WasmtimeError: Compiling is not possible here; the message says what is.
    """
    global _compiled_in
    core.need_stack(_COMPILER_STACK, "compiling")
    if not engine._config.parallel_compilation:
        return
    process = os.getpid()
    if _compiled_in not in (0, process):
        raise WasmtimeError(
            "this process was forked from one that has compiled WebAssembly, whose compiler "
            "threads do not exist here: compile before the fork, use Module.deserialize(), "
            "set Config.parallel_compilation to False, or start processes with the 'spawn' or "
            "'forkserver' method"
        )
    _compiled_in = process


