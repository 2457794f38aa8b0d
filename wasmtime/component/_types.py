"""The types of components: of what they import and export, and of the values that pass.

Types of values are plain, immutable Python values: they compare by structure, can be hashed and
printed (`str` gives WIT text), and hold nothing native but the identity of resources. What a
component imports and exports is read from the library when it is asked for.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Callable, Optional, Union

from .._engine import Engine
from .._error import ArgumentTypeError, WasmtimeError
from .._native import encode_name, ffi, lib
from .._types import ExportType, ImportType, export_type_from_native, import_type_from_native
from ._errors import UnsupportedTypeError
from ._resource_type import ResourceType
from ._resources import ResourceAny, ResourceHost
from ._values import Record, Variant

__all__ = [
    "F32",
    "F64",
    "S8",
    "S16",
    "S32",
    "S64",
    "U8",
    "U16",
    "U32",
    "U64",
    "Bool",
    "BorrowType",
    "Char",
    "ComponentExtern",
    "ComponentInstanceType",
    "ComponentItem",
    "ComponentType",
    "EnumType",
    "ErrorContext",
    "FixedLengthListType",
    "FlagsType",
    "FuncType",
    "FutureType",
    "ListType",
    "MapType",
    "ModuleType",
    "OptionType",
    "OwnType",
    "Record",
    "RecordType",
    "ResultType",
    "StreamType",
    "String",
    "TupleType",
    "ValType",
    "Variant",
    "VariantLikeType",
    "VariantType",
]


class ValType:
    """Base of the types of values."""

    __slots__ = ()

    @abstractmethod
    def add_classes(self, s: set[type]) -> None:
        """Add the Python classes that values of this type are raised to.

        Args:
            s: The set to add to.
        """

    def __str__(self) -> str:
        from ._wit import wit_type

        return wit_type(self)


class _Simple(ValType):
    """A type without parts."""

    __slots__ = ()

    _class: type = object

    def add_classes(self, s: set[type]) -> None:
        s.add(self._class)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self)

    def __hash__(self) -> int:
        return hash(type(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class Bool(_Simple):
    """``bool``: True or False."""

    __slots__ = ()
    _class = bool


class S8(_Simple):
    """``s8``: an int, -128 ... 127."""

    __slots__ = ()
    _class = int


class S16(_Simple):
    """``s16``: an int, -32768 ... 32767."""

    __slots__ = ()
    _class = int


class S32(_Simple):
    """``s32``: an int, -2**31 ... 2**31-1."""

    __slots__ = ()
    _class = int


class S64(_Simple):
    """``s64``: an int, -2**63 ... 2**63-1."""

    __slots__ = ()
    _class = int


class U8(_Simple):
    """``u8``: an int, 0 ... 255."""

    __slots__ = ()
    _class = int


class U16(_Simple):
    """``u16``: an int, 0 ... 65535."""

    __slots__ = ()
    _class = int


class U32(_Simple):
    """``u32``: an int, 0 ... 2**32-1."""

    __slots__ = ()
    _class = int


class U64(_Simple):
    """``u64``: an int, 0 ... 2**64-1."""

    __slots__ = ()
    _class = int


class F32(_Simple):
    """``f32``: a float, rounded to single precision."""

    __slots__ = ()
    _class = float


class F64(_Simple):
    """``f64``: a float."""

    __slots__ = ()
    _class = float


class Char(_Simple):
    """``char``: a str of one character that is not a surrogate."""

    __slots__ = ()
    _class = str


class String(_Simple):
    """``string``: a str without lone surrogates."""

    __slots__ = ()
    _class = str


class ErrorContext(_Simple):
    """``error-context``, which the C API has no values of."""

    __slots__ = ()

    def add_classes(self, s: set[type]) -> None:
        raise UnsupportedTypeError("values of type error-context are not supported by the C API")


@dataclass(frozen=True)
class ListType(ValType):
    """``list<element>``: a list, or bytes if the element is `U8`.

    Attributes:
        element: The type of the elements.
    """

    element: ValType

    def add_classes(self, s: set[type]) -> None:
        s.add(bytes if isinstance(self.element, U8) else list)

    __str__ = ValType.__str__


@dataclass(frozen=True)
class FixedLengthListType(ValType):
    """``list<element, length>``: a list of a length that the type says. The C API does not tell the
    length; a value of another one is refused by the call.

    Attributes:
        element: The type of the elements.
    """

    element: ValType

    def add_classes(self, s: set[type]) -> None:
        s.add(bytes if isinstance(self.element, U8) else list)

    __str__ = ValType.__str__


@dataclass(frozen=True)
class MapType(ValType):
    """``map<key, value>``: a dict.

    Attributes:
        key: The type of the keys.
        value: The type of the values.
    """

    key: ValType
    value: ValType

    def add_classes(self, s: set[type]) -> None:
        s.add(dict)

    __str__ = ValType.__str__


class _Parts(ValType):
    """A type that is given by a tuple."""

    __slots__ = ("_parts",)

    _parts: tuple[Any, ...]

    def __init__(self, parts: Iterable[Any]) -> None:
        object.__setattr__(self, "_parts", tuple(parts))

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} objects cannot be changed")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Parts) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[Any, ...]:
        return (type(self), self._parts)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self._parts)!r})"

    def __reduce__(self) -> Any:
        return type(self), (self._parts,)


class RecordType(_Parts):
    """``record``: a `Record`.

    Args:
        fields: Pairs of name and type.
    """

    __slots__ = ()

    def __init__(self, fields: Iterable[tuple[str, ValType]]) -> None:
        super().__init__((name, ty) for name, ty in fields)

    @property
    def fields(self) -> list[tuple[str, ValType]]:
        """The fields: pairs of name and type."""
        return list(self._parts)

    def add_classes(self, s: set[type]) -> None:
        s.add(Record)


class TupleType(_Parts):
    """``tuple``: a tuple.

    Args:
        elements: The types of the elements.
    """

    __slots__ = ()

    def __init__(self, elements: Iterable[ValType]) -> None:
        super().__init__(elements)

    @property
    def elements(self) -> list[ValType]:
        """The types of the elements."""
        return list(self._parts)

    def add_classes(self, s: set[type]) -> None:
        s.add(tuple)


class VariantLikeType(ValType):
    """What has cases: variants, options and results.

    A function that is called the way of older versions (`Instance.get_func`) gives the bare
    payload if the classes of all payloads differ, so that the class tells the case, and a
    `Variant` otherwise. Functions from `Instance.exports` give a `Variant`, `Ok` or `Err` always.
    """

    __slots__ = ()

    @abstractmethod
    def _cases(self) -> list[tuple[str, Optional[ValType]]]:
        """The cases: pairs of name and the payload's type."""

    def add_classes(self, s: set[type]) -> None:
        if self._tagged():
            s.add(Variant)
            return
        for _, ty in self._cases():
            if ty is None:
                s.add(object)
            else:
                ty.add_classes(s)

    def _tagged(self) -> bool:
        seen: set[type] = set()
        for _, ty in self._cases():
            classes: set[type] = set()
            if ty is None:
                classes.add(object)
            else:
                ty.add_classes(classes)
            if classes & seen:
                return True
            seen |= classes
        return False


class VariantType(_Parts, VariantLikeType):
    """``variant``: a `Variant`, or in older programs the bare payload; see `VariantLikeType`.

    Args:
        cases: Pairs of name and the payload's type, None where there is no payload.
    """

    __slots__ = ()
    add_classes = VariantLikeType.add_classes

    def __init__(self, cases: Iterable[tuple[str, Optional[ValType]]]) -> None:
        super().__init__((name, ty) for name, ty in cases)

    @property
    def cases(self) -> list[tuple[str, Optional[ValType]]]:
        """The cases: pairs of name and the payload's type, None where there is no payload."""
        return list(self._parts)

    def _cases(self) -> list[tuple[str, Optional[ValType]]]:
        return self.cases


class EnumType(_Parts):
    """``enum``: a str, the name of the case.

    Args:
        names: The names of the cases.
    """

    __slots__ = ()

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__(names)

    @property
    def names(self) -> list[str]:
        """The names of the cases."""
        return list(self._parts)

    @property
    def names_count(self) -> int:
        """How many cases there are."""
        return len(self._parts)

    def name(self, n: int) -> Optional[str]:
        """The name of case `n`, counted from 0; None if there are not so many."""
        return str(self._parts[n]) if 0 <= n < len(self._parts) else None

    def add_classes(self, s: set[type]) -> None:
        s.add(str)


class FlagsType(_Parts):
    """``flags``: a set of str.

    Args:
        names: The names of the flags.
    """

    __slots__ = ()

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__(names)

    @property
    def names(self) -> list[str]:
        """The names of the flags."""
        return list(self._parts)

    def add_classes(self, s: set[type]) -> None:
        s.add(set)


@dataclass(frozen=True)
class OptionType(VariantLikeType):
    """``option<payload>``: the payload or None; a `Variant` with the tag ``some`` or ``none`` if None
    may be a payload.

    Attributes:
        payload: The type of the payload.
    """

    payload: ValType

    def _cases(self) -> list[tuple[str, Optional[ValType]]]:
        return [("none", None), ("some", self.payload)]

    __str__ = ValType.__str__


@dataclass(frozen=True)
class ResultType(VariantLikeType):
    """``result<ok, err>``: `Ok` or `Err`, or in older programs the bare payload; see
    `VariantLikeType`.

    Attributes:
        ok: The type of the value, or None.
        err: The type of the error, or None.
    """

    ok: Optional[ValType] = None
    err: Optional[ValType] = None

    def _cases(self) -> list[tuple[str, Optional[ValType]]]:
        return [("ok", self.ok), ("err", self.err)]

    __str__ = ValType.__str__


@dataclass(frozen=True)
class FutureType(ValType):
    """``future<payload>``, which the C API has no values of.

    Attributes:
        payload: The type of the payload, or None.
    """

    payload: Optional[ValType] = None

    def add_classes(self, s: set[type]) -> None:
        raise UnsupportedTypeError("values of type future are not supported by the C API")

    __str__ = ValType.__str__


@dataclass(frozen=True)
class StreamType(ValType):
    """``stream<payload>``, which the C API has no values of.

    Attributes:
        payload: The type of the payload, or None.
    """

    payload: Optional[ValType] = None

    def add_classes(self, s: set[type]) -> None:
        raise UnsupportedTypeError("values of type stream are not supported by the C API")

    __str__ = ValType.__str__


@dataclass(frozen=True)
class OwnType(ValType):
    """``own<ty>``: a resource that is handed over, `ResourceAny` or `ResourceHost`.

    Attributes:
        ty: The type of the resource.
    """

    ty: ResourceType

    def add_classes(self, s: set[type]) -> None:
        s.update((ResourceAny, ResourceHost))

    __str__ = ValType.__str__


@dataclass(frozen=True)
class BorrowType(ValType):
    """``borrow<ty>``: a resource that is lent for a call, `ResourceAny` or `ResourceHost`.

    Attributes:
        ty: The type of the resource.
    """

    ty: ResourceType

    def add_classes(self, s: set[type]) -> None:
        s.update((ResourceAny, ResourceHost))

    __str__ = ValType.__str__


class _Reader:
    """The library's way to give names and types: out-parameters, reused from call to call."""

    def __init__(self) -> None:
        self.name = ffi.new("char **")
        self.length = ffi.new("size_t *")
        self.type = ffi.new("wasmtime_component_valtype_t *")
        self.flag = ffi.new("bool *")

    def text(self) -> str:
        """The name that was just given."""
        return bytes(ffi.buffer(self.name[0], self.length[0])).decode()


def valtype_from_native(native: Any) -> ValType:
    """The type at a ``wasmtime_component_valtype_t *``, which is emptied."""
    kind = native.kind
    try:
        if kind < len(_SIMPLE):
            simple: ValType = _SIMPLE[kind]()
            return simple
        reader = _READERS.get(kind)
        if reader is None:
            raise WasmtimeError(f"a type of the unknown kind {kind}")
        result: ValType = reader(native.of)
        return result
    finally:
        lib.wasmtime_component_valtype_delete(native)


def _part(function: Callable[..., Any], *arguments: Any) -> Optional[ValType]:
    """A type that `function` gives through its last parameter; None if it says that there is none."""
    out = ffi.new("wasmtime_component_valtype_t *")
    if function(*arguments, out) is False:
        return None
    return valtype_from_native(out)


def _given(function: Callable[..., Any], *arguments: Any) -> ValType:
    """A type that `function` always gives."""
    part = _part(function, *arguments)
    assert part is not None
    return part


def _named(
    count: int, get: Callable[..., Any], native: Any, has_payload: bool = False
) -> list[tuple[str, Any]]:
    """Pairs of name and type, as fields and cases are read."""
    reader, result = _Reader(), []
    extra = (reader.flag,) if has_payload else ()
    for n in range(count):
        get(native, n, reader.name, reader.length, *extra, reader.type)
        name = reader.text()
        result.append(
            (name, None if extra and not reader.flag[0] else valtype_from_native(reader.type))
        )
    return result


def _names(count: int, get: Callable[..., Any], native: Any) -> list[str]:
    reader, result = _Reader(), []
    for n in range(count):
        get(native, n, reader.name, reader.length)
        result.append(reader.text())
    return result


def _read_record(of: Any) -> ValType:
    count = lib.wasmtime_component_record_type_field_count(of.record)
    return RecordType(_named(count, lib.wasmtime_component_record_type_field_nth, of.record))


def _read_tuple(of: Any) -> ValType:
    count = lib.wasmtime_component_tuple_type_types_count(of.tuple)
    nth = lib.wasmtime_component_tuple_type_types_nth
    return TupleType(_given(nth, of.tuple, n) for n in range(count))


def _read_variant(of: Any) -> ValType:
    count = lib.wasmtime_component_variant_type_case_count(of.variant)
    return VariantType(
        _named(count, lib.wasmtime_component_variant_type_case_nth, of.variant, has_payload=True)
    )


def _read_fixed_length_list(of: Any) -> ValType:
    native = ffi.cast("wasmtime_component_fixed_length_list_type_t *", of.list)
    return FixedLengthListType(
        _given(lib.wasmtime_component_fixed_length_list_type_element, native)
    )


_SIMPLE: list[Callable[[], ValType]] = [
    Bool,
    S8,
    S16,
    S32,
    S64,
    U8,
    U16,
    U32,
    U64,
    F32,
    F64,
    Char,
    String,
]

_READERS: dict[int, Callable[[Any], ValType]] = {
    lib.WASMTIME_COMPONENT_VALTYPE_LIST: lambda of: ListType(
        _given(lib.wasmtime_component_list_type_element, of.list)
    ),
    lib.WASMTIME_COMPONENT_VALTYPE_RECORD: _read_record,
    lib.WASMTIME_COMPONENT_VALTYPE_TUPLE: _read_tuple,
    lib.WASMTIME_COMPONENT_VALTYPE_VARIANT: _read_variant,
    lib.WASMTIME_COMPONENT_VALTYPE_ENUM: lambda of: EnumType(
        _names(
            lib.wasmtime_component_enum_type_names_count(of.enum_),
            lib.wasmtime_component_enum_type_names_nth,
            of.enum_,
        )
    ),
    lib.WASMTIME_COMPONENT_VALTYPE_OPTION: lambda of: OptionType(
        _given(lib.wasmtime_component_option_type_ty, of.option)
    ),
    lib.WASMTIME_COMPONENT_VALTYPE_RESULT: lambda of: ResultType(
        _part(lib.wasmtime_component_result_type_ok, of.result),
        _part(lib.wasmtime_component_result_type_err, of.result),
    ),
    lib.WASMTIME_COMPONENT_VALTYPE_FLAGS: lambda of: FlagsType(
        _names(
            lib.wasmtime_component_flags_type_names_count(of.flags),
            lib.wasmtime_component_flags_type_names_nth,
            of.flags,
        )
    ),
    lib.WASMTIME_COMPONENT_VALTYPE_OWN: lambda of: OwnType(
        ResourceType._take(lib.wasmtime_component_resource_type_clone(of.own))
    ),
    lib.WASMTIME_COMPONENT_VALTYPE_BORROW: lambda of: BorrowType(
        ResourceType._take(lib.wasmtime_component_resource_type_clone(of.borrow))
    ),
    lib.WASMTIME_COMPONENT_VALTYPE_FUTURE: lambda of: FutureType(
        _part(lib.wasmtime_component_future_type_ty, of.future)
    ),
    lib.WASMTIME_COMPONENT_VALTYPE_STREAM: lambda of: StreamType(
        _part(lib.wasmtime_component_stream_type_ty, of.stream)
    ),
    lib.WASMTIME_COMPONENT_VALTYPE_ERROR_CONTEXT: lambda of: ErrorContext(),
    lib.WASMTIME_COMPONENT_VALTYPE_MAP: lambda of: MapType(
        _given(lib.wasmtime_component_map_type_key, of.map),
        _given(lib.wasmtime_component_map_type_value, of.map),
    ),
    lib.WASMTIME_COMPONENT_VALTYPE_FIXED_LENGTH_LIST: _read_fixed_length_list,
}


class _Native:
    """Base of the types that are read from the library piece by piece."""

    __slots__ = ("_engine", "_known", "_native")

    _native: Any
    _engine: Any
    _known: dict[str, Any]

    def __init__(self) -> None:
        raise WasmtimeError(f"Cannot directly construct a `{type(self).__name__}`")

    @classmethod
    def _take(cls, native: Any, delete: Any, engine: Any) -> Any:
        """Take a native type over."""
        self = cls.__new__(cls)
        self._native = ffi.gc(native, delete)
        self._engine = engine
        self._known = {}
        return self

    def _engine_handle(self, engine: object) -> Any:
        if not isinstance(engine, Engine):
            raise ArgumentTypeError(f"engine must be an Engine, not {type(engine).__name__}")
        if engine is not self._engine:
            raise WasmtimeError("this type belongs to a component of another engine")
        return engine._use()

    def __reduce__(self) -> Any:
        raise TypeError(f"{type(self).__name__} objects belong to an engine and cannot be pickled")

    def close(self) -> None:
        """Nothing: kept for programs of older versions."""

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def _parts(self, engine: object, what: str, read: Callable[[Any], Any]) -> Any:
        """Parts of the type, read once: the library's functions for the nth part count from the
        first, so that reading all takes a time that grows with the square of their number.
        """
        handle = self._engine_handle(engine)
        if what not in self._known:
            self._known[what] = read(handle.pointer)
        return self._known[what].copy()

    def _externs(
        self, engine: object, what: str, count: Callable[..., int], nth: Callable[..., Any]
    ) -> dict[str, ComponentExtern]:
        def read(pointer: Any) -> dict[str, ComponentExtern]:
            reader, items = _Reader(), {}
            out = ffi.new("wasmtime_component_extern_t **")
            for n in range(count(self._native, pointer)):
                nth(self._native, pointer, n, reader.name, reader.length, out)
                name = reader.text()
                items[name] = ComponentExtern._take(out[0], engine)
            return items

        externs: dict[str, ComponentExtern] = self._parts(engine, what, read)
        return externs


class ComponentType(_Native):
    """The type of a component: what it imports and exports."""

    __slots__ = ()

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
        return self._externs(
            engine,
            "exports",
            lib.wasmtime_component_type_export_count,
            lib.wasmtime_component_type_export_nth,
        )

    def __str__(self) -> str:
        from ._wit import wit_world

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
        from ._wit import wit_interface

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


class FuncType:
    """The type of a component's function. Two are equal if parameters (with their names) and result
    are.
    """

    __slots__ = ("_async", "_params", "_result")

    _params: tuple[tuple[str, ValType], ...]
    _result: Optional[ValType]
    _async: bool

    def __init__(self) -> None:
        raise WasmtimeError("Cannot directly construct a `FuncType`")

    @classmethod
    def _from_native(cls, native: Any) -> FuncType:
        """Read a ``wasmtime_component_func_type_t *``, which stays the caller's."""
        self = cls.__new__(cls)
        count = lib.wasmtime_component_func_type_param_count(native)
        self._params = tuple(_named(count, lib.wasmtime_component_func_type_param_nth, native))
        self._result = _part(lib.wasmtime_component_func_type_result, native)
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
        return (
            isinstance(other, FuncType)
            and self._params == _plain(other)._params
            and self._result == _plain(other)._result
            and self._async == _plain(other)._async
        )

    def __hash__(self) -> int:
        return hash((self._params, self._result))

    def __str__(self) -> str:
        from ._wit import wit_func

        return wit_func(self)

    def __repr__(self) -> str:
        return f"<wasmtime.component.FuncType {self}>"

    def close(self) -> None:
        """Nothing: kept for programs of older versions."""

    def __enter__(self) -> FuncType:
        return self

    def __exit__(self, *exc: object) -> None:
        pass


def _plain(item: Any) -> Any:
    """An item itself, where a `ComponentExtern` may stand for it."""
    return item.ty if type(item) is ComponentExtern else item


class ComponentExtern:
    """What a component or an instance imports or exports by a name: its type, and what the name says
    besides.

    An extern can stand for its type: it has the attributes of its type and is an instance of the
    type's class for ``isinstance``. Programs of before and after externs came in run unchanged.
    """

    __slots__ = ("_engine", "_native", "_ty")

    _native: Any
    _engine: Any
    _ty: Optional[ComponentItem]

    def __init__(self) -> None:
        raise WasmtimeError("Cannot directly construct a `ComponentExtern`")

    @classmethod
    def _take(cls, native: Any, engine: Any) -> ComponentExtern:
        """Take a ``wasmtime_component_extern_t *`` over."""
        self = cls.__new__(cls)
        self._native = ffi.gc(native, lib.wasmtime_component_extern_delete)
        self._engine = engine
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
            self._ty = _item_from_native(item, self._engine)
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
        return bool(self.ty == _plain(other))

    def __hash__(self) -> int:
        return hash(self.ty)

    def __str__(self) -> str:
        return str(self.ty)

    def __repr__(self) -> str:
        return f"<ComponentExtern {self.ty!r}>"

    def close(self) -> None:
        """Nothing: kept for programs of older versions."""

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


def _item_from_native(item: Any, engine: Any) -> ComponentItem:
    """The item at a ``wasmtime_component_item_t *``, which is emptied."""
    kind, of = item.kind, item.of
    result: ComponentItem
    if kind == lib.WASMTIME_COMPONENT_ITEM_COMPONENT:
        result = ComponentType._take(of.component, lib.wasmtime_component_type_delete, engine)
    elif kind == lib.WASMTIME_COMPONENT_ITEM_COMPONENT_INSTANCE:
        result = ComponentInstanceType._take(
            of.component_instance, lib.wasmtime_component_instance_type_delete, engine
        )
    elif kind == lib.WASMTIME_COMPONENT_ITEM_MODULE:
        result = ModuleType._take(of.module, lib.wasmtime_module_type_delete, engine)
    elif kind == lib.WASMTIME_COMPONENT_ITEM_COMPONENT_FUNC:
        native = ffi.gc(of.component_func, lib.wasmtime_component_func_type_delete)
        result = FuncType._from_native(native)
    elif kind == lib.WASMTIME_COMPONENT_ITEM_RESOURCE:
        result = ResourceType._take(of.resource)
    elif kind == lib.WASMTIME_COMPONENT_ITEM_TYPE:
        result = valtype_from_native(ffi.addressof(of, "type"))
    else:
        lib.wasmtime_component_item_delete(item)
        raise WasmtimeError(f"an item of the unknown kind {kind}")
    return result


def unsupported_part(ty: Optional[ValType]) -> Optional[str]:
    """What in a type the C API has no values of; None if it has them all."""
    if isinstance(ty, (FutureType, StreamType, ErrorContext)):
        return str(ty)
    for part in parts_of(ty):
        found = unsupported_part(part)
        if found is not None:
            return found
    return None


def parts_of(ty: Optional[ValType]) -> list[Optional[ValType]]:
    """The types that a type is made of."""
    if isinstance(ty, (ListType, FixedLengthListType)):
        return [ty.element]
    if isinstance(ty, MapType):
        return [ty.key, ty.value]
    if isinstance(ty, RecordType):
        return [part for _, part in ty.fields]
    if isinstance(ty, TupleType):
        return list(ty.elements)
    if isinstance(ty, VariantLikeType):
        return [part for _, part in ty._cases()]
    if isinstance(ty, (FutureType, StreamType)):
        return [ty.payload]
    return []
