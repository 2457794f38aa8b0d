"""How the library's types of values are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Callable, Optional

from ..._error import WasmtimeError
from ..._native import ffi, lib
from .._resource_type import ResourceType
from .values import (
    F32,
    F64,
    S8,
    S16,
    S32,
    S64,
    U8,
    U16,
    U32,
    U64,
    Bool,
    BorrowType,
    Char,
    EnumType,
    ErrorContext,
    FixedLengthListType,
    FlagsType,
    FutureType,
    ListType,
    MapType,
    OptionType,
    OwnType,
    RecordType,
    ResultType,
    StreamType,
    String,
    TupleType,
    ValType,
    VariantType,
)

__all__ = ["MOST_PARTS", "NameReader", "TypeReader"]

#: How many parts of types are read of one component. Large worlds have some thousands.
MOST_PARTS = 100_000

#: How many types of a kind a new one is compared with.
_MOST_COMPARED = 16


class NameReader:
    """The library's way to give a name: out-parameters, reused from call to call."""

    def __init__(self) -> None:
        self.name = ffi.new("char **")
        self.length = ffi.new("size_t *")

    def text(self) -> str:
        """The name that was just given."""
        return bytes(ffi.buffer(self.name[0], self.length[0])).decode()


class TypeReader:
    """Reads the types of values of one component, or of one function.

    The library gives the parts of a type one by one, and what is used twice is given twice: a
    component of a few hundred bytes can nest pairs of pairs until there are a million parts. So a
    type that equals one read shortly before is not read again, and what is read is counted.

    It owns copies of the native types that it compares with; they are freed with it.
    """

    __slots__ = ("_comparable", "_left", "_recent")

    def __init__(self) -> None:
        self._left = MOST_PARTS
        # By kinds: the native types that can be compared, and what they were read as.
        self._recent: dict[int, list[tuple[Any, ValType]]] = {}
        # The identities of all those, which live as long as this.
        self._comparable = {id(ty) for ty in _SIMPLE.values()}

    def count(self, parts: int) -> int:
        """Note that so many parts are about to be read, and give the number back.

        Raises:
            WasmtimeError: They are too many.
        """
        self._left -= parts
        if self._left < 0:
            raise WasmtimeError(
                f"the types of the component have more than {MOST_PARTS:,} parts, which are too "
                "many to read: nest types less deeply in its WIT"
            )
        return parts

    def read(self, native: Any) -> ValType:
        """The type at a ``wasmtime_component_valtype_t *``, which is emptied."""
        kind = native.kind
        try:
            simple = _SIMPLE.get(kind)
            if simple is not None:
                return simple
            recent = self._recent.setdefault(kind, [])
            for known, result in recent[-_MOST_COMPARED:]:
                if lib.wasmtime_component_valtype_equal(known, native):
                    return result
            read = _READERS.get(kind)
            if read is None:
                raise WasmtimeError(f"a type of the unknown kind {kind}")
            result = read(self, native.of)
            if self._is_comparable(result):
                recent.append((_copy(native), result))
                self._comparable.add(id(result))
            return result
        finally:
            lib.wasmtime_component_valtype_delete(native)

    def _is_comparable(self, ty: ValType) -> bool:
        """Whether a type names no resource.

        The library ends the process where it compares two resources of a component that is not
        instantiated.
        """
        if isinstance(ty, (OwnType, BorrowType)):
            return False
        return all(part is None or id(part) in self._comparable for part in ty._inner())

    def part(self, function: Callable[..., Any], *arguments: Any) -> ValType:
        """A type that `function` gives through its last parameter."""
        self.count(1)
        out = ffi.new("wasmtime_component_valtype_t *")
        function(*arguments, out)
        return self.read(out)

    def optional(self, function: Callable[..., Any], *arguments: Any) -> Optional[ValType]:
        """A type that `function` gives through its last parameter, if it says that there is one."""
        self.count(1)
        out = ffi.new("wasmtime_component_valtype_t *")
        return self.read(out) if function(*arguments, out) else None

    def fields(
        self, count: int, get: Callable[..., Any], native: Any
    ) -> Iterator[tuple[str, ValType]]:
        """Pairs of name and type."""
        names, out = NameReader(), ffi.new("wasmtime_component_valtype_t *")
        for n in range(self.count(count)):
            get(native, n, names.name, names.length, out)
            yield names.text(), self.read(out)

    def cases(
        self, count: int, get: Callable[..., Any], native: Any
    ) -> Iterator[tuple[str, Optional[ValType]]]:
        """Pairs of name and type, None where there is no payload."""
        names, out = NameReader(), ffi.new("wasmtime_component_valtype_t *")
        has_payload = ffi.new("bool *")
        for n in range(self.count(count)):
            get(native, n, names.name, names.length, has_payload, out)
            yield names.text(), self.read(out) if has_payload[0] else None

    def names(self, count: int, get: Callable[..., Any], native: Any) -> Iterator[str]:
        """The names of an enum or of flags."""
        names = NameReader()
        for n in range(self.count(count)):
            get(native, n, names.name, names.length)
            yield names.text()


def _copy(native: Any) -> Any:
    copy = ffi.new("wasmtime_component_valtype_t *")
    lib.wasmtime_component_valtype_clone(native, copy)
    return ffi.gc(copy, lib.wasmtime_component_valtype_delete)


def _read_list(reader: TypeReader, of: Any) -> ValType:
    return ListType(reader.part(lib.wasmtime_component_list_type_element, of.list))


def _read_fixed_length_list(reader: TypeReader, of: Any) -> ValType:
    native = ffi.cast("wasmtime_component_fixed_length_list_type_t *", of.list)
    return FixedLengthListType(
        reader.part(lib.wasmtime_component_fixed_length_list_type_element, native)
    )


def _read_map(reader: TypeReader, of: Any) -> ValType:
    return MapType(
        reader.part(lib.wasmtime_component_map_type_key, of.map),
        reader.part(lib.wasmtime_component_map_type_value, of.map),
    )


def _read_record(reader: TypeReader, of: Any) -> ValType:
    count = lib.wasmtime_component_record_type_field_count(of.record)
    nth = lib.wasmtime_component_record_type_field_nth
    return RecordType(reader.fields(count, nth, of.record))


def _read_tuple(reader: TypeReader, of: Any) -> ValType:
    count = lib.wasmtime_component_tuple_type_types_count(of.tuple)
    nth = lib.wasmtime_component_tuple_type_types_nth
    return TupleType(reader.part(nth, of.tuple, n) for n in range(count))


def _read_variant(reader: TypeReader, of: Any) -> ValType:
    count = lib.wasmtime_component_variant_type_case_count(of.variant)
    nth = lib.wasmtime_component_variant_type_case_nth
    return VariantType(reader.cases(count, nth, of.variant))


def _read_enum(reader: TypeReader, of: Any) -> ValType:
    count = lib.wasmtime_component_enum_type_names_count(of.enum_)
    return EnumType(reader.names(count, lib.wasmtime_component_enum_type_names_nth, of.enum_))


def _read_flags(reader: TypeReader, of: Any) -> ValType:
    count = lib.wasmtime_component_flags_type_names_count(of.flags)
    return FlagsType(reader.names(count, lib.wasmtime_component_flags_type_names_nth, of.flags))


def _read_option(reader: TypeReader, of: Any) -> ValType:
    return OptionType(reader.part(lib.wasmtime_component_option_type_ty, of.option))


def _read_result(reader: TypeReader, of: Any) -> ValType:
    return ResultType(
        reader.optional(lib.wasmtime_component_result_type_ok, of.result),
        reader.optional(lib.wasmtime_component_result_type_err, of.result),
    )


def _read_own(reader: TypeReader, of: Any) -> ValType:
    return OwnType(ResourceType._take(lib.wasmtime_component_resource_type_clone(of.own)))


def _read_borrow(reader: TypeReader, of: Any) -> ValType:
    return BorrowType(ResourceType._take(lib.wasmtime_component_resource_type_clone(of.borrow)))


def _read_future(reader: TypeReader, of: Any) -> ValType:
    return FutureType(reader.optional(lib.wasmtime_component_future_type_ty, of.future))


def _read_stream(reader: TypeReader, of: Any) -> ValType:
    return StreamType(reader.optional(lib.wasmtime_component_stream_type_ty, of.stream))


def _read_error_context(reader: TypeReader, of: Any) -> ValType:
    return ErrorContext()


#: The types without parts, by their kinds, which count from 0.
_SIMPLE: dict[int, ValType] = dict(
    enumerate(
        (
            Bool(),
            S8(),
            S16(),
            S32(),
            S64(),
            U8(),
            U16(),
            U32(),
            U64(),
            F32(),
            F64(),
            Char(),
            String(),
        )
    )
)

_READERS: dict[int, Callable[[TypeReader, Any], ValType]] = {
    lib.WASMTIME_COMPONENT_VALTYPE_LIST: _read_list,
    lib.WASMTIME_COMPONENT_VALTYPE_RECORD: _read_record,
    lib.WASMTIME_COMPONENT_VALTYPE_TUPLE: _read_tuple,
    lib.WASMTIME_COMPONENT_VALTYPE_VARIANT: _read_variant,
    lib.WASMTIME_COMPONENT_VALTYPE_ENUM: _read_enum,
    lib.WASMTIME_COMPONENT_VALTYPE_OPTION: _read_option,
    lib.WASMTIME_COMPONENT_VALTYPE_RESULT: _read_result,
    lib.WASMTIME_COMPONENT_VALTYPE_FLAGS: _read_flags,
    lib.WASMTIME_COMPONENT_VALTYPE_OWN: _read_own,
    lib.WASMTIME_COMPONENT_VALTYPE_BORROW: _read_borrow,
    lib.WASMTIME_COMPONENT_VALTYPE_FUTURE: _read_future,
    lib.WASMTIME_COMPONENT_VALTYPE_STREAM: _read_stream,
    lib.WASMTIME_COMPONENT_VALTYPE_ERROR_CONTEXT: _read_error_context,
    lib.WASMTIME_COMPONENT_VALTYPE_MAP: _read_map,
    lib.WASMTIME_COMPONENT_VALTYPE_FIXED_LENGTH_LIST: _read_fixed_length_list,
}
