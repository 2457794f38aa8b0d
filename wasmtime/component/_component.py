"""Components: compiled code with a typed interface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from .._artifacts.compiled import Compiled, LibraryFunctions
from .._artifacts.seal import SEAL_SIZE
from .._engine import Engine
from .._error import WasmtimeError
from .._native import encode_name, ffi, lib
from .._wasi_names import HTTP
from .._wat2wasm import Source
from ._types import ComponentExtern, ComponentType

if TYPE_CHECKING:
    from .._artifacts.cache import CacheOption
    from .._artifacts.seal import Artifact

__all__ = ["Component", "ExportIndex"]

#: What an artifact of a component ends with (before its seal) whose calls need an event loop.
_WAITS = b"\0waits"


class ExportIndex:
    """The place of an export, which is found faster by it than by name.

    It belongs to one component, and serves all of its instances.
    """

    __slots__ = ("_native",)

    _native: Any

    def __init__(self) -> None:
        raise WasmtimeError("Cannot directly construct an `ExportIndex`")

    @classmethod
    def _take(cls, native: Any) -> Optional[ExportIndex]:
        """Take a ``wasmtime_component_export_index_t *`` over; None for NULL."""
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
        """Give the index up; using it afterwards raises ValueError."""
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
    """The native pointer of an argument that may be an ExportIndex or None."""
    if index is None:
        return ffi.NULL
    if not isinstance(index, ExportIndex):
        raise TypeError(f"{what} must be an ExportIndex or None, not {type(index).__name__}")
    return index._pointer()


class Component(Compiled):
    """A compiled component: code without state.

    It can be instantiated any number of times, in any store of its engine, from any thread.

    Args:
        engine: The engine to compile with.
        wasm: The component, binary or text: text as `str`, or bytes that do not begin with NUL.
        cache: Where to keep the compiled code, so that the next process starts in milliseconds.
            True is a directory of this user's own, a path names one; see `from_file`.

    Raises:
        TypeError: An argument is of a wrong type.
        WasmtimeError: `wasm` is not a valid component (a core module is none), or others could
            exchange what is in the cache directory that was named.
        OSError: The cache directory that was named cannot be made or opened.
        ValueError: The engine is closed.

    Example:
        >>> from wasmtime import Engine
        >>> from wasmtime.component import Component
        >>> Component(Engine(), '(component (import "log" (func (param "text" string))))').imports
        {'log': <ComponentExtern <wasmtime.component.FuncType func(text: string)>>}

    C API: ``wasmtime_component_new``.
    """

    _type: Optional[ComponentType] = None
    _wasi_needs: Optional[tuple[bool, bool]] = None
    #: Whether calls need the library's event loop. Artifacts of other makers do not tell.
    _waits: bool = False

    _functions = LibraryFunctions(
        "component",
        "wasmtime_component_t",
        lib.wasmtime_component_serialize,
        lib.wasmtime_component_deserialize,
        lib.wasmtime_component_deserialize_file,
    )

    def __init__(self, engine: Engine, wasm: Source, *, cache: CacheOption = False) -> None:
        self._make(engine, wasm, cache)

    def _compile(self, engine: Engine, binary: bytes) -> None:
        from .._wasm.component import check_modules, uses_async

        check_modules(binary)
        super()._compile(engine, binary)
        self._waits = uses_async(binary)

    def _notes(self) -> bytes:
        return _WAITS if self._waits else b""

    def _recall(self, artifact: Artifact) -> None:
        self._waits = artifact[-len(_WAITS) - SEAL_SIZE : -SEAL_SIZE] == _WAITS

    def get_export_index(
        self, name: str, instance: Optional[ExportIndex] = None
    ) -> Optional[ExportIndex]:
        """The place of an export.

        Args:
            name: Name of the export.
            instance: The place of the exported instance to look in; None for the component.

        Returns:
            The place; None if there is no such export.

        Raises:
            TypeError: An argument is of a wrong type.
            ValueError: The component or `instance` is closed.

        C API: ``wasmtime_component_get_export_index``.
        """
        handle = self._use()
        encoded = encode_name(name, "name")
        outer = index_pointer(instance)
        return ExportIndex._take(
            lib.wasmtime_component_get_export_index(handle.pointer, outer, encoded, len(encoded))
        )

    @property
    def type(self) -> ComponentType:
        """The type of the component: what it imports and exports.

        ``str(component.type)`` is WIT text.

        Raises:
            ValueError: The component is closed.

        C API: ``wasmtime_component_type``.
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
    def imports(self) -> dict[str, ComponentExtern]:
        """What the component imports, by name.

        Raises:
            ValueError: The component or its engine is closed.
        """
        return self.type.imports(self._engine)

    @property
    def exports(self) -> dict[str, ComponentExtern]:
        """What the component exports, by name.

        Raises:
            ValueError: The component or its engine is closed.
        """
        return self.type.exports(self._engine)

    def _needs_wasi(self) -> tuple[bool, bool]:
        """Whether the component imports anything of WASI, and of wasi:http."""
        if self._wasi_needs is None:
            names = list(self.imports)
            self._wasi_needs = (
                any(name.startswith("wasi:") for name in names),
                any(name.startswith(HTTP) for name in names),
            )
        return self._wasi_needs
