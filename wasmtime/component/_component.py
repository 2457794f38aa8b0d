"""
Components: compiled code with a typed interface.
"""

from __future__ import annotations

import os
from typing import Any, Optional, Union

from .._artifact import check_artifact, check_artifact_file, seal
from .._cache import CacheOption, open_cache
from .._engine import Engine
from .._error import WasmtimeError
from .._managed import Managed
from .._module import _check_loaded, check_compiling, engine_handle
from .._native import check, encode_name, encode_path, ffi, lib, take_bytes
from .._wat2wasm import Source, to_wasm
from ._types import ComponentExtern, ComponentType

__all__ = ["Component", "ExportIndex"]

_Binary = Union[bytes, bytearray, memoryview]
_Path = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]


class ExportIndex:
    """
    The place of an export, which is found faster by it than by name.

    It belongs to one component, and serves all of its instances.
    """

    __slots__ = ("_native",)

    _native: Any

    def __init__(self) -> None:
        raise WasmtimeError("Cannot directly construct an `ExportIndex`")

    @classmethod
    def _take(cls, native: Any) -> Optional[ExportIndex]:
        """
        Take a ``wasmtime_component_export_index_t *`` over; None for NULL.
        """
        if native == ffi.NULL:
            return None
        self = cls.__new__(cls)
        self._native = ffi.gc(native, lib.wasmtime_component_export_index_delete)
        return self

    def _pointer(self) -> Any:
        if self._native is None:
            raise ValueError("already closed")
        return self._native

    def close(self) -> None:
        """
        Give the index up; using it afterwards raises ValueError.
        """
        self._native = None

    def __enter__(self) -> ExportIndex:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __copy__(self) -> Any:
        return self

    def __reduce__(self) -> Any:
        raise TypeError("an ExportIndex belongs to its component and cannot be pickled")


def index_pointer(index: object, what: str = "instance") -> Any:
    """
    The native pointer of an argument that may be an ExportIndex or None.
    """
    if index is None:
        return ffi.NULL
    if not isinstance(index, ExportIndex):
        raise TypeError(f"{what} must be an ExportIndex or None, not {type(index).__name__}")
    return index._pointer()


class Component(Managed):
    """
    A compiled component: code without state. It can be instantiated any number of times, in any
    store of its engine, from any thread.

    Args:
        engine: The engine to compile with.
        wasm: The component, binary or text: text as `str`, or bytes that do not begin with NUL.

    Raises:
        TypeError: `engine` or `wasm` is of a wrong type.
        WasmtimeError: `wasm` is not a valid component (a core module is none).
        ValueError: The engine is closed.

    Example:
        >>> from wasmtime import Engine
        >>> from wasmtime.component import Component
        >>> Component(Engine(), '(component (import "log" (func (param "text" string))))').imports
        {'log': <ComponentExtern <wasmtime.component.FuncType func(text: string)>>}

    Stands on ``wasmtime_component_new``.
    """

    _type: Optional[ComponentType] = None
    _wasi_needs: Optional[tuple[bool, bool]] = None

    def __init__(self, engine: Engine, wasm: Source) -> None:
        handle = engine_handle(engine)
        binary = to_wasm(wasm)
        result = ffi.new("wasmtime_component_t **")
        check_compiling(engine)
        check(
            lib.wasmtime_component_new(
                handle.pointer, ffi.from_buffer("uint8_t[]", binary), len(binary), result
            )
        )
        self._adopt("wasmtime_component_t", result[0], engine)

    @classmethod
    def _from_pointer(cls, pointer: Any, engine: Engine) -> Component:
        """
        Take over a ``wasmtime_component_t *``.
        """
        component = cls.__new__(cls)
        component._adopt("wasmtime_component_t", pointer, engine)
        return component

    @classmethod
    def from_file(cls, engine: Engine, path: _Path, cache: CacheOption = False) -> Component:
        """
        Compile the component in a file, binary or text.

        Args:
            engine: The engine to compile with.
            path: The file.
            cache: Where to keep the compiled code, as for `wasmtime.Module.from_file`.

        Raises:
            OSError: The file cannot be read, or the cache directory not be made.
            WasmtimeError: What it holds is not a valid component, or others can write to the
                cache directory.
        """
        engine_handle(engine)
        with open(path, "rb") as file:
            contents = file.read()
        if cache is False:
            return cls(engine, contents)
        return open_cache(cache).load(
            engine,
            "component",
            contents,
            lambda artifact: cls.deserialize(engine, artifact),
            lambda: cls(engine, contents),
            Component.serialize,
        )

    @classmethod
    def deserialize(cls, engine: Engine, encoded: _Binary) -> Component:
        """
        The component that `serialize` was called on.

        The bytes are machine code that will run in this process: they must come from where you
        would take a native library from.

        Args:
            engine: An engine of the same version and configuration.
            encoded: The bytes.

        Raises:
            WasmtimeError: Not an artifact, damaged, or of another version, configuration or
                machine.
            TypeError: `encoded` is not bytes-like.

        Stands on ``wasmtime_component_deserialize``.
        """
        if not isinstance(encoded, (bytes, bytearray, memoryview)):
            raise TypeError(f"encoded must be bytes-like, not {type(encoded).__name__}")
        handle = engine_handle(engine)
        data = bytes(encoded)
        check_artifact(data, "encoded")
        result = ffi.new("wasmtime_component_t **")
        _check_loaded(
            lib.wasmtime_component_deserialize(
                handle.pointer, ffi.from_buffer("uint8_t[]", data), len(data), result
            )
        )
        return cls._from_pointer(result[0], engine)

    @classmethod
    def deserialize_file(cls, engine: Engine, path: _Path) -> Component:
        """
        As `deserialize`, from a file, which is mapped rather than read and must not change while
        the component lives.

        Args:
            engine: An engine of the same version and configuration.
            path: The file.

        Raises:
            OSError: The file cannot be opened.
            WasmtimeError: Not an artifact, damaged, or of another version, configuration or
                machine.

        Stands on ``wasmtime_component_deserialize_file``.
        """
        handle = engine_handle(engine)
        native_path = encode_path(path, "path")
        check_artifact_file(native_path, f"the file {os.fsdecode(native_path)!r}")
        result = ffi.new("wasmtime_component_t **")
        _check_loaded(lib.wasmtime_component_deserialize_file(handle.pointer, native_path, result))
        return cls._from_pointer(result[0], engine)

    def serialize(self) -> bytearray:
        """
        The compiled code as bytes, for `deserialize`.

        Returns:
            A bytearray, for machines of this kind and engines of this configuration and version.

        Raises:
            ValueError: The component is closed.

        Stands on ``wasmtime_component_serialize``.
        """
        handle = self._use()
        vec = ffi.new("wasm_byte_vec_t *")
        check(lib.wasmtime_component_serialize(handle.pointer, vec))
        return bytearray(seal(take_bytes(vec)))

    def __reduce_ex__(self, protocol: Any) -> Any:
        """
        Pickle the compiled code, with the engine: in another process, use ``component.engine``.
        """
        return _restore_component, (self.engine, bytes(self.serialize()))

    def get_export_index(
        self, name: str, instance: Optional[ExportIndex] = None
    ) -> Optional[ExportIndex]:
        """
        The place of an export.

        Args:
            name: Name of the export.
            instance: The place of the exported instance to look in; None for the component.

        Returns:
            The place; None if there is no such export.

        Raises:
            TypeError: An argument is of a wrong type.
            ValueError: The component or `instance` is closed.

        Stands on ``wasmtime_component_get_export_index``.
        """
        handle = self._use()
        encoded = encode_name(name, "name")
        outer = index_pointer(instance)
        return ExportIndex._take(
            lib.wasmtime_component_get_export_index(handle.pointer, outer, encoded, len(encoded))
        )

    @property
    def type(self) -> ComponentType:
        """
        The type of the component: what it imports and exports. ``str(component.type)`` is WIT
        text.

        Raises:
            ValueError: The component is closed.

        Stands on ``wasmtime_component_type``.
        """
        handle = self._use()
        found = self._type
        if found is None:
            found = self._type = ComponentType._take(
                lib.wasmtime_component_type(handle.pointer),
                lib.wasmtime_component_type_delete,
                self._engine,
            )
        return found

    @property
    def engine(self) -> Engine:
        """
        The engine that this component was compiled with.
        """
        engine: Engine = self._engine
        return engine

    @property
    def imports(self) -> dict[str, ComponentExtern]:
        """
        What the component imports, by name.

        Raises:
            ValueError: The component or its engine is closed.
        """
        return self.type.imports(self._engine)

    @property
    def exports(self) -> dict[str, ComponentExtern]:
        """
        What the component exports, by name.

        Raises:
            ValueError: The component or its engine is closed.
        """
        return self.type.exports(self._engine)

    def _needs_wasi(self) -> tuple[bool, bool]:
        """
        Whether the component imports anything of WASI, and of wasi:http.
        """
        if self._wasi_needs is None:
            names = list(self.imports)
            self._wasi_needs = (
                any(name.startswith("wasi:") for name in names),
                any(name.startswith("wasi:http/") for name in names),
            )
        return self._wasi_needs


def _restore_component(engine: Engine, artifact: bytes) -> Component:
    """
    Unpickle a component.
    """
    return Component.deserialize(engine, artifact)
