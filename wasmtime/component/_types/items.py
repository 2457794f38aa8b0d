"""The types of what components import and export.

Each owns its native type, which is freed with the Python object. All that are read of one component
share a `TypeReader`.
"""

from __future__ import annotations

from typing import Any, Callable, Optional, Union

from ..._engine import Engine
from ..._error import WasmtimeError, expect
from ..._native import encode_name, ffi, lib
from ..._types import ExportType, ImportType, export_type_from_native, import_type_from_native
from ..._types.base import NothingToClose
from .._resource_type import ResourceType
from .native import NameReader, TypeReader
from .values import ValType

__all__ = [
    "ComponentExtern",
    "ComponentInstanceType",
    "ComponentItem",
    "ComponentType",
    "FuncType",
    "ModuleType",
    "plain",
]


class _Native(NothingToClose):
    """Base of the types that are read from the library piece by piece."""

    __slots__ = ("_engine", "_known", "_native", "_reader")

    _native: Any
    _engine: Any
    _known: dict[str, Any]
    _reader: TypeReader

    def __init__(self) -> None:
        raise WasmtimeError(f"Cannot directly construct a `{type(self).__name__}`")

    @classmethod
    def _take(
        cls, native: Any, delete: Any, engine: Any, reader: Optional[TypeReader] = None
    ) -> Any:
        """Take a native type over.

        Args:
            native: The type.
            delete: The function that frees it.
            engine: The engine of its component.
            reader: What reads the types of that component; None for a new one.
        """
        self = cls.__new__(cls)
        self._native = ffi.gc(native, delete)
        self._engine = engine
        self._known = {}
        self._reader = TypeReader() if reader is None else reader
        return self

    def _engine_handle(self, engine: object) -> Any:
        if expect(engine, Engine, "engine") is not self._engine:
            raise WasmtimeError("this type belongs to a component of another engine")
        return self._engine._use()

    def __reduce__(self) -> Any:
        raise TypeError(f"{type(self).__name__} objects belong to an engine and cannot be pickled")

    def _parts(self, engine: object, what: str, read: Callable[[Any], Any]) -> Any:
        """Parts of the type, which are read once.

        The library's functions for the nth part count from the first, so that reading all takes a
        time that grows with the square of their number.
        """
        handle = self._engine_handle(engine)
        if what not in self._known:
            self._known[what] = read(handle.pointer)
        return self._known[what].copy()

    def _externs(
        self, engine: object, what: str, count: Callable[..., int], nth: Callable[..., Any]
    ) -> dict[str, ComponentExtern]:
        def read(pointer: Any) -> dict[str, ComponentExtern]:
            names, items = NameReader(), {}
            out = ffi.new("wasmtime_component_extern_t **")
            for n in range(self._reader.count(count(self._native, pointer))):
                nth(self._native, pointer, n, names.name, names.length, out)
                name = names.text()
                items[name] = ComponentExtern._take(out[0], engine, self._reader)
            return items

        externs: dict[str, ComponentExtern] = self._parts(engine, what, read)
        return externs


class ComponentType(_Native):
    """The type of a component: what it imports and exports."""

    __slots__ = ("_hidden",)

    #: The export that is the package's own, if there is one.
    _hidden: Optional[str]

    def imports(self, engine: Engine) -> dict[str, ComponentExtern]:
        """What the component imports, by name.

        Args:
            engine: The component's engine.

        Raises:
            WasmtimeError: `engine` is another one.
            ValueError: The engine is closed.

        C API: ``wasmtime_component_type_import_nth``.
        """
        return self._externs(
            engine,
            "imports",
            lib.wasmtime_component_type_import_count,
            lib.wasmtime_component_type_import_nth,
        )

    def exports(self, engine: Engine) -> dict[str, ComponentExtern]:
        """What the component exports, by name.

        Args:
            engine: The component's engine.

        Raises:
            WasmtimeError: `engine` is another one.
            ValueError: The engine is closed.

        C API: ``wasmtime_component_type_export_nth``.
        """
        externs = self._externs(
            engine,
            "exports",
            lib.wasmtime_component_type_export_count,
            lib.wasmtime_component_type_export_nth,
        )
        externs.pop(getattr(self, "_hidden", ""), None)
        return externs

    def __str__(self) -> str:
        from .wit import wit_world

        return wit_world(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ComponentType) and (
            self.imports(self._engine) == other.imports(other._engine)
            and self.exports(self._engine) == other.exports(other._engine)
        )

    def __hash__(self) -> int:
        return hash((tuple(self.imports(self._engine)), tuple(self.exports(self._engine))))


class ComponentInstanceType(_Native):
    """The type of an instance, which is what an interface is: named items."""

    __slots__ = ()

    def exports(self, engine: Engine) -> dict[str, ComponentExtern]:
        """What the instance exports, by name.

        Args:
            engine: The component's engine.

        Raises:
            WasmtimeError: `engine` is another one.
            ValueError: The engine is closed.

        C API: ``wasmtime_component_instance_type_export_nth``.
        """
        return self._externs(
            engine,
            "exports",
            lib.wasmtime_component_instance_type_export_count,
            lib.wasmtime_component_instance_type_export_nth,
        )

    def __str__(self) -> str:
        from .wit import wit_interface

        return wit_interface(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ComponentInstanceType) and (
            self.exports(self._engine) == other.exports(other._engine)
        )

    def __hash__(self) -> int:
        return hash(tuple(self.exports(self._engine)))


class ModuleType(_Native):
    """The type of a core module that a component imports or exports."""

    __slots__ = ()

    def imports(self, engine: Engine) -> list[ImportType]:
        """What the module imports.

        Args:
            engine: The component's engine.

        Raises:
            WasmtimeError: `engine` is another one.
            ValueError: The engine is closed.

        C API: ``wasmtime_module_type_import_nth``.
        """

        def read(pointer: Any) -> list[ImportType]:
            result = []
            for n in range(lib.wasmtime_module_type_import_count(self._native, pointer)):
                item = ffi.gc(
                    lib.wasmtime_module_type_import_nth(self._native, pointer, n),
                    lib.wasm_importtype_delete,
                )
                result.append(import_type_from_native(item, engine))
            return result

        imports: list[ImportType] = self._parts(engine, "imports", read)
        return imports

    def exports(self, engine: Engine) -> list[ExportType]:
        """What the module exports.

        Args:
            engine: The component's engine.

        Raises:
            WasmtimeError: `engine` is another one.
            ValueError: The engine is closed.

        C API: ``wasmtime_module_type_export_nth``.
        """

        def read(pointer: Any) -> list[ExportType]:
            result = []
            for n in range(lib.wasmtime_module_type_export_count(self._native, pointer)):
                item = ffi.gc(
                    lib.wasmtime_module_type_export_nth(self._native, pointer, n),
                    lib.wasm_exporttype_delete,
                )
                result.append(export_type_from_native(item, engine))
            return result

        exports: list[ExportType] = self._parts(engine, "exports", read)
        return exports

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ModuleType) and (
            self.imports(self._engine) == other.imports(other._engine)
            and self.exports(self._engine) == other.exports(other._engine)
        )

    def __hash__(self) -> int:
        return hash(len(self.exports(self._engine)))


class FuncType(NothingToClose):
    """The type of a component's function.

    Two are equal if parameters (with their names) and result are.
    """

    __slots__ = ("_async", "_params", "_result")

    _params: tuple[tuple[str, ValType], ...]
    _result: Optional[ValType]
    _async: bool

    def __init__(self) -> None:
        raise WasmtimeError("Cannot directly construct a `FuncType`")

    @classmethod
    def _from_native(cls, native: Any, reader: TypeReader) -> FuncType:
        """Read a ``wasmtime_component_func_type_t *``, which stays the caller's."""
        self = cls.__new__(cls)
        count = lib.wasmtime_component_func_type_param_count(native)
        nth = lib.wasmtime_component_func_type_param_nth
        self._params = tuple(reader.fields(count, nth, native))
        self._result = reader.optional(lib.wasmtime_component_func_type_result, native)
        self._async = bool(lib.wasmtime_component_func_type_async(native))
        return self

    @property
    def params(self) -> list[tuple[str, ValType]]:
        """The parameters: pairs of name and type."""
        return list(self._params)

    @property
    def result(self) -> Optional[ValType]:
        """The type of the result; None if there is none."""
        return self._result

    @property
    def is_async(self) -> bool:
        """Whether the function may wait."""
        return self._async

    def __eq__(self, other: object) -> bool:
        if type(other) is not FuncType:  # a ComponentExtern compares its own type
            return NotImplemented
        return (self._params, self._result, self._async) == (
            other._params,
            other._result,
            other._async,
        )

    def __hash__(self) -> int:
        return hash((self._params, self._result))

    def __str__(self) -> str:
        from .wit import wit_func

        return wit_func(self)

    def __repr__(self) -> str:
        return f"<wasmtime.component.FuncType {self}>"


def plain(item: Any) -> Any:
    """An item itself, where a `ComponentExtern` may stand for it."""
    return item.ty if type(item) is ComponentExtern else item


class ComponentExtern(NothingToClose):
    """What a component or an instance imports or exports by a name.

    It has the type of that, and what the name says besides.

    An extern can stand for its type: it has the attributes of its type and is an instance of the
    type's class for ``isinstance``. Programs of before and after externs came in run unchanged.
    """

    __slots__ = ("_engine", "_native", "_reader", "_ty")

    _native: Any
    _engine: Any
    _reader: TypeReader
    _ty: Optional[ComponentItem]

    def __init__(self) -> None:
        raise WasmtimeError("Cannot directly construct a `ComponentExtern`")

    @classmethod
    def _take(cls, native: Any, engine: Any, reader: TypeReader) -> ComponentExtern:
        """Take a ``wasmtime_component_extern_t *`` over."""
        self = cls.__new__(cls)
        self._native = ffi.gc(native, lib.wasmtime_component_extern_delete)
        self._engine = engine
        self._reader = reader
        self._ty = None
        return self

    @property
    def ty(self) -> ComponentItem:
        """The type.

        C API: ``wasmtime_component_extern_type``.
        """
        if self._ty is None:
            item = ffi.new("wasmtime_component_item_t *")
            lib.wasmtime_component_extern_type(self._native, item)
            self._ty = _item_from_native(item, self._engine, self._reader)
        return self._ty

    @property
    def implements(self) -> Optional[str]:
        """The interface that the name says the instance implements, or None.

        C API: ``wasmtime_component_extern_implements``.
        """
        return self._text(lib.wasmtime_component_extern_implements)

    def is_implements(self, s: str) -> bool:
        """Whether the instance implements an interface.

        Args:
            s: Name of the interface.

        Raises:
            TypeError: `s` is not a str.

        C API: ``wasmtime_component_extern_is_implements``.
        """
        name = encode_name(s, "s")
        return bool(lib.wasmtime_component_extern_is_implements(self._native, name, len(name)))

    @property
    def external_id(self) -> Optional[str]:
        """The external id that the name carries, or None.

        C API: ``wasmtime_component_extern_external_id``.
        """
        return self._text(lib.wasmtime_component_extern_external_id)

    def _text(self, function: Callable[..., Any]) -> Optional[str]:
        length = ffi.new("size_t *")
        text = function(self._native, length)
        return None if text == ffi.NULL else bytes(ffi.buffer(text, length[0])).decode()

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
        return type(self.ty)

    def __getattr__(self, name: str) -> Any:
        if name == "ty" or name in self.__slots__:  # asked for by `ty` itself
            raise AttributeError(f"ComponentExtern: never initialized: it has no {name!r}")
        return getattr(self.ty, name)

    def __eq__(self, other: object) -> bool:
        return bool(self.ty == plain(other))

    def __hash__(self) -> int:
        return hash(self.ty)

    def __str__(self) -> str:
        return str(self.ty)

    def __repr__(self) -> str:
        return f"<ComponentExtern {self.ty!r}>"

    def __reduce__(self) -> Any:
        raise TypeError("a ComponentExtern belongs to its engine and cannot be pickled")


ComponentItem = Union[
    ComponentType,
    ModuleType,
    ComponentInstanceType,
    ResourceType,
    ValType,
    FuncType,
]


def _item_from_native(item: Any, engine: Any, reader: TypeReader) -> ComponentItem:
    """The item at a ``wasmtime_component_item_t *``, which is emptied."""
    kind, of = item.kind, item.of
    result: ComponentItem
    if kind == lib.WASMTIME_COMPONENT_ITEM_COMPONENT:
        result = ComponentType._take(
            of.component, lib.wasmtime_component_type_delete, engine, reader
        )
    elif kind == lib.WASMTIME_COMPONENT_ITEM_COMPONENT_INSTANCE:
        result = ComponentInstanceType._take(
            of.component_instance, lib.wasmtime_component_instance_type_delete, engine, reader
        )
    elif kind == lib.WASMTIME_COMPONENT_ITEM_MODULE:
        result = ModuleType._take(of.module, lib.wasmtime_module_type_delete, engine, reader)
    elif kind == lib.WASMTIME_COMPONENT_ITEM_COMPONENT_FUNC:
        native = ffi.gc(of.component_func, lib.wasmtime_component_func_type_delete)
        result = FuncType._from_native(native, reader)
    elif kind == lib.WASMTIME_COMPONENT_ITEM_RESOURCE:
        result = ResourceType._take(of.resource)
    elif kind == lib.WASMTIME_COMPONENT_ITEM_TYPE:
        result = reader.read(ffi.addressof(of, "type"))
    else:
        lib.wasmtime_component_item_delete(item)
        raise WasmtimeError(f"an item of the unknown kind {kind}")
    return result
