"""What modules and components have in common: native code that can leave the process and return.

A `Compiled` owns the library's object for the code and gives it up when it is closed or collected.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, BinaryIO, Callable, ClassVar, Optional, TypeVar, Union

from .._engine import Engine, engine_handle
from .._error import WasmtimeError
from .._managed import Managed
from .._native import StrPath, check, core, decode_path, encode_path, ffi, take_bytes
from .._wat2wasm import Source, source_bytes, telling_file, to_wasm

if TYPE_CHECKING:
    from .cache import CacheOption
    from .seal import Artifact

__all__ = ["Compiled", "LibraryFunctions", "class_for"]

if TYPE_CHECKING:
    _Self = TypeVar("_Self", bound="Compiled")
else:
    _Self = TypeVar("_Self")  # a name in quotes would start the compiler at every import

Binary = Union[bytes, bytearray, memoryview]


class LibraryFunctions:
    """The library's functions for one kind of compiled code.

    Attributes:
        kind: What it is called, "module" or "component"; `core.run_job` compiles by this name.
        type: Name of its C type.
    """

    __slots__ = ("deserialize", "deserialize_file", "kind", "serialize", "type")

    def __init__(
        self,
        kind: str,
        type: str,
        serialize: Callable[..., Any],
        deserialize: Callable[..., Any],
        deserialize_file: Callable[..., Any],
    ) -> None:
        self.kind = kind
        self.type = type
        self.serialize = serialize
        self.deserialize = deserialize
        self.deserialize_file = deserialize_file


class Compiled(Managed):
    """Base of `Module` and `wasmtime.component.Component`. Not public.

    It owns the native code. A subclass takes an engine and a source, and says with which functions
    of the library.
    """

    _functions: ClassVar[LibraryFunctions]

    if TYPE_CHECKING:

        def __init__(self, engine: Engine, wasm: Source, *, cache: CacheOption = False) -> None: ...

    @classmethod
    def _of_digest(
        cls: type[_Self],
        engine: Engine,
        read: Callable[[], bytes],
        cache: CacheOption,
        digest: bytes,
    ) -> _Self:
        """As the constructor, for who knows the SHA-256 digest of the bytes already.

        They are read if they have to be compiled.
        """
        made = cls.__new__(cls)
        made._obtain(engine, read, cache, digest)
        return made

    def _make(self, engine: Engine, wasm: Source, cache: CacheOption) -> None:
        """Compile a source, or load what it was compiled to before from a cache.

        Args:
            engine: The engine.
            wasm: The source.
            cache: The cache.

        Raises:
            TypeError: An argument is of a wrong type.
            OSError: The cache directory that was named cannot be made or opened.
            WasmtimeError: The source is not valid, or others could exchange what is in the cache
                directory that was named.
            ValueError: The engine is closed.
        """
        engine_handle(engine)
        if cache is False or cache is None:
            self._compile(engine, to_wasm(wasm))
            return
        from .cache import digest_of

        source = source_bytes(wasm)
        self._obtain(engine, lambda: source, cache, digest_of(source))

    def _obtain(
        self, engine: Engine, read: Callable[[], bytes], cache: CacheOption, digest: bytes
    ) -> None:
        """As `_make`, for bytes of which the SHA-256 digest is known."""
        if cache is False or cache is None:
            self._compile(engine, to_wasm(read()))
            return
        from .cache import open_cache

        open_cache(cache).load(
            engine,
            self._functions.kind,
            digest,
            lambda entry: self._load_entry(engine, entry),
            lambda: self._compile(engine, to_wasm(read())),
            lambda _: self.serialize(),
        )

    def _compile(self, engine: Engine, binary: bytes) -> None:
        """Compile a binary with an engine.

        It runs on a thread with a large stack; a signal handler that raises lets go of it.

        Raises:
            WasmtimeError: It is not valid, or there is no thread to be had.
            ValueError: The engine is closed.
        """
        functions = self._functions
        compiler = engine._compiler()
        address = core.run_job(functions.kind, binary, compiler._use())
        pointer = ffi.cast(f"{functions.type} *", address)
        if compiler is engine:
            self._adopt(functions.type, pointer, engine)
            return
        made = core.Handle(functions.type, address, pointer)
        vec = ffi.new("wasm_byte_vec_t *")
        check(functions.serialize(made.pointer, vec))
        self._adopt(functions.type, self._restored(engine, take_bytes(vec)), engine)

    def _deserialize(self, engine: Engine, artifact: bytes) -> None:
        """Become what `serialize` was called on.

        Raises:
            WasmtimeError: As `deserialize`.
        """
        from .seal import check_artifact

        check_artifact(artifact, "encoded")
        self._adopt(self._functions.type, self._restored(engine, artifact), engine)
        self._recall(artifact)

    def _load_file(self, engine: Engine, file: BinaryIO, path: bytes, what: str) -> None:
        """Become what `serialize` was called on, from an open file that the library maps.

        Args:
            engine: The engine.
            file: The file.
            path: Where the library finds it.
            what: What it is, for errors.

        Raises:
            OSError: The file cannot be mapped.
            WasmtimeError: As `deserialize`.
        """
        from .seal import checked_file

        handle = engine_handle(engine)
        with checked_file(file, what) as artifact:
            load = self._functions.deserialize_file
            self._adopt(self._functions.type, self._loaded(load, handle.pointer, path), engine)
            self._recall(artifact)

    def _load_entry(self, engine: Engine, file: BinaryIO) -> None:
        """Become what is in an open file of a cache, which must be the file that is loaded.

        It is mapped where the library can open the very file again. None of this package is ever
        changed: another takes its place, or its name goes, and a mapping outlives both.
        """
        path = f"/proc/self/fd/{file.fileno()}"
        if os.path.exists(path):
            self._load_file(engine, file, path.encode(), "the cache entry")
        else:
            self._deserialize(engine, file.read())

    def _notes(self) -> bytes:
        """What an artifact has to tell beyond what the library writes into it."""
        return b""

    def _recall(self, artifact: Artifact) -> None:
        """Read what `_notes` wrote, which is right before the seal."""

    @classmethod
    def _restored(cls, engine: Engine, artifact: bytes) -> Any:
        """Make the native object of an artifact."""
        handle = engine_handle(engine)
        data = ffi.from_buffer("uint8_t[]", artifact)
        return cls._loaded(cls._functions.deserialize, handle.pointer, data, len(artifact))

    @classmethod
    def _loaded(cls, function: Callable[..., Any], *args: Any) -> Any:
        """Load a native object with one of the library's functions."""
        result = ffi.new(f"{cls._functions.type} **")
        _check_loaded(function(*args, result))
        return result[0]

    @property
    def engine(self) -> Engine:
        """The engine that this was compiled with."""
        engine: Engine = self._engine
        return engine

    @classmethod
    def from_file(
        cls: type[_Self],
        engine: Engine,
        path: StrPath,
        validate: bool = True,
        cache: CacheOption = False,
    ) -> _Self:
        """Compile what is in a file, binary or text.

        Args:
            engine: The engine to compile with.
            path: The file.
            validate: Kept for programs of older versions; everything is always validated.
            cache: Where to keep the compiled code, so that the next process starts in
                milliseconds: True for a directory of this user's own, or a directory that belongs
                to this user alone, below ones in which others cannot exchange it. Where True
                finds no such place, there is a RuntimeWarning, and no cache. Entries depend on
                the contents of the file and on the engine's configuration; damaged ones are
                compiled again, old ones removed beyond 1 GiB. False or None keeps nothing.

        Raises:
            OSError: The file cannot be read, or the cache directory that was named not be made.
            WasmtimeError: What it holds is not valid, or others could exchange what is in the
                cache directory that was named.
        """
        engine_handle(engine)
        with open(path, "rb") as file:
            contents = file.read()
        with telling_file(path):
            if cache is False:  # a subclass need not have the parameter
                return cls(engine, contents)
            return cls(engine, contents, cache=cache)

    def serialize(self) -> bytearray:
        """Return the compiled code as bytes, for `deserialize`.

        Returns:
            A bytearray that starts with the ELF magic number and ends with a checksum, for
            machines of this kind and engines of this configuration and version only.

        Raises:
            ValueError: This is closed.

        C API: ``wasmtime_module_serialize`` and ``wasmtime_component_serialize``.
        """
        from .seal import seal

        handle = self._use()
        vec = ffi.new("wasm_byte_vec_t *")
        check(self._functions.serialize(handle.pointer, vec))
        return seal(take_bytes(vec) + self._notes())

    @classmethod
    def deserialize(cls: type[_Self], engine: Engine, encoded: Binary) -> _Self:
        """Load what `serialize` returned.

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

        C API: ``wasmtime_module_deserialize`` and ``wasmtime_component_deserialize``.
        """
        if not isinstance(encoded, (bytes, bytearray, memoryview)):
            raise TypeError(f"encoded must be bytes-like, not {type(encoded).__name__}")
        engine_handle(engine)
        loaded = cls.__new__(cls)
        loaded._deserialize(engine, bytes(encoded))
        return loaded

    @classmethod
    def deserialize_file(cls: type[_Self], engine: Engine, path: StrPath) -> _Self:
        """Load what is in a file, which is mapped rather than read.

        The file must not change while this lives: a file that is cut short under running code ends
        the process, as it would for a native library.

        Args:
            engine: An engine of the same version and configuration.
            path: The file.

        Raises:
            OSError: The file cannot be opened.
            WasmtimeError: Not an artifact, damaged, or of another version, configuration or
                machine.

        C API: ``wasmtime_module_deserialize_file`` and
        ``wasmtime_component_deserialize_file``.
        """
        engine_handle(engine)
        native_path = encode_path(path, "path")
        opened = decode_path(native_path)
        loaded = cls.__new__(cls)
        with open(opened, "rb") as file:
            loaded._load_file(engine, file, native_path, f"the file {opened!r}")
        return loaded

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickle the compiled code, with its engine.

        In another process, the result's ``engine`` is the engine to use.
        """
        from .._compiled import _restore

        return _restore, (type(self), self.engine, bytes(self.serialize()))


def class_for(kind: Optional[str]) -> Any:
    """`Module` or `Component`, for what a binary is.

    Components are imported where there is one: programs of core modules start sooner without.

    Args:
        kind: As `wasmtime._wasm.reader.kind_of` tells it; a `Module` refuses what is neither.
    """
    if kind == "component":
        from ..component import Component

        return Component
    from .._module import Module

    return Module


def _check_loaded(error: Any) -> None:
    """Raise the error of loading, if any.

    Where the one setting that differs by default is the reason, the message says what to do.
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
