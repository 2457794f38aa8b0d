"""Components: compiled code with a typed interface."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Optional

from .._artifacts.compiled import Compiled, LibraryFunctions
from .._artifacts.seal import SEAL_SIZE
from .._engine import Engine
from .._error import WasmtimeError
from .._native import encode_name, ffi, lib
from .._store import store_of
from .._wasi_names import HTTP
from .._wat2wasm import Source
from ._bulk.link import CODEC_NAME, Codec, allows_codec
from ._types import ComponentExtern, ComponentType

if TYPE_CHECKING:
    from .._artifacts.cache import CacheOption
    from .._artifacts.seal import Artifact

__all__ = ["Component", "ExportIndex"]

#: What an artifact of a component ends with (before its seal) whose calls need an event loop, and
#: of one that has a codec. None has both; they are of one length.
_WAITS = b"\0waits"
_CODEC = b"\0codec"


class ExportIndex:
    """The place of an export, which is found faster by it than by name.

    It belongs to one component, and serves all of its instances.
    """

    __slots__ = ("_native", "_path")

    _native: Any
    #: The names that lead to the export; empty if they are not known.
    _path: tuple[str, ...]

    def __init__(self) -> None:
        raise WasmtimeError("Cannot directly construct an `ExportIndex`")

    @classmethod
    def _take(
        cls, native: Any, name: str, outer: Optional[ExportIndex] = None
    ) -> Optional[ExportIndex]:
        """Take a ``wasmtime_component_export_index_t *`` over; None for NULL.

        Args:
            native: The place.
            name: Name of the export.
            outer: The place of the instance that exports it; None for the component.
        """
        if native == ffi.NULL:
            return None
        self = cls.__new__(cls)
        self._path = (name,) if outer is None else (*outer._path, name)
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
    #: The codec that lists go through, if it has one.
    _codec: Optional[Codec] = None

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
        self._waits = uses_async(binary)
        if not self._compile_with_codec(engine, binary):
            super()._compile(engine, binary)

    def _compile_with_codec(self, engine: Engine, binary: bytes) -> bool:
        """Compile with a codec for lists, if the component has a use for one; whether it has."""
        if self._waits or not allows_codec(engine._config):
            return False
        from ._bulk.inject import inject

        injected = inject(binary)
        if injected is None:
            return False
        try:
            super()._compile(engine, injected)
        except WasmtimeError:  # not valid perhaps: the error is to be of the component as it is
            return False
        self._codec = Codec(self)
        return True

    def _notes(self) -> bytes:
        return _WAITS if self._waits else _CODEC if self._codec is not None else b""

    def _recall(self, artifact: Artifact) -> None:
        note = artifact[-len(_WAITS) - SEAL_SIZE : -SEAL_SIZE]
        self._waits = note == _WAITS
        self._codec = Codec(self) if note == _CODEC else None

    @contextmanager
    def _counting(self, store: Any) -> Iterator[None]:
        """Keep the codec out of the store's limits, for the instance that is made in the block."""
        if self._codec is None:
            yield
            return
        home = store_of(store)
        home._count_codecs(1)
        try:
            yield
        except BaseException:
            home._count_codecs(-1)
            raise

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
        if instance is None and self._hides(name):
            return None
        return self._export_index(name, instance)

    def _hides(self, name: str) -> bool:
        """Tell whether an export is none of the component's own."""
        return self._codec is not None and name == CODEC_NAME

    def _export_index(self, name: str, instance: Optional[ExportIndex]) -> Optional[ExportIndex]:
        """The place of an export, a hidden one included."""
        handle = self._use()
        encoded = encode_name(name, "name")
        outer = index_pointer(instance)
        return ExportIndex._take(
            lib.wasmtime_component_get_export_index(handle.pointer, outer, encoded, len(encoded)),
            name,
            instance,
        )

    def __repr__(self) -> str:
        from .._display import component_text

        return component_text(self)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from .._display import component_html

        return component_html(self)

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
            if self._codec is not None:
                found._hidden = CODEC_NAME
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
