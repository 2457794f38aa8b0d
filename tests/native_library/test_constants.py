"""The numbers that the C headers define as macros, against what the running library answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from wasmtime._native import ffi, lib


def take_error(error: Any) -> None:
    """Raise an error of the library with its message."""
    if error != ffi.NULL:
        message = ffi.new("wasm_byte_vec_t *")
        lib.wasmtime_error_message(error, message)
        text = bytes(ffi.buffer(message.data, message.size)).decode()
        lib.wasm_byte_vec_delete(message)
        lib.wasmtime_error_delete(error)
        raise AssertionError(text)


@pytest.fixture(scope="module")
def engine() -> Iterator[Any]:
    """An engine with every proposal that has types of its own."""
    config = lib.wasm_config_new()
    for setting in (
        "function_references",
        "gc",
        "exceptions",
        "memory64",
        "component_model_map",
        "component_model_async",
    ):
        getattr(lib, f"wasmtime_config_wasm_{setting}_set")(config, True)
    engine = lib.wasm_engine_new_with_config(config)
    assert engine != ffi.NULL
    yield engine
    lib.wasm_engine_delete(engine)


def wasm(text: str) -> bytes:
    source = text.encode()
    out = ffi.new("wasm_byte_vec_t *")
    take_error(lib.wasmtime_wat2wasm(source, len(source), out))
    try:
        return bytes(ffi.buffer(out.data, out.size))
    finally:
        lib.wasm_byte_vec_delete(out)


def module(engine: Any, text: str) -> Any:
    binary = wasm(text)
    out = ffi.new("wasmtime_module_t **")
    take_error(lib.wasmtime_module_new(engine, binary, len(binary), out))
    return ffi.gc(out[0], lib.wasmtime_module_delete)


def imported(engine: Any, text: str) -> Iterator[Any]:
    """Give the type of each import of a module; it is valid until the next one is asked for."""
    imports = ffi.new("wasm_importtype_vec_t *")
    compiled = module(engine, text)
    lib.wasmtime_module_imports(compiled, imports)
    for index in range(imports.size):
        yield lib.wasm_importtype_type(imports.data[index])
    lib.wasm_importtype_vec_delete(imports)


VALUE_TYPES = {
    "i32": ("I32", None),
    "i64": ("I64", None),
    "f32": ("F32", None),
    "f64": ("F64", None),
    "v128": ("V128", None),
    "externref": ("REF", "EXTERN"),
    "nullexternref": ("REF", "NOEXTERN"),
    "funcref": ("REF", "FUNC"),
    "(ref null $func)": ("REF", "CONCRETE_FUNC"),
    "nullfuncref": ("REF", "NOFUNC"),
    "anyref": ("REF", "ANY"),
    "nullref": ("REF", "NONE"),
    "eqref": ("REF", "EQ"),
    "i31ref": ("REF", "I31"),
    "arrayref": ("REF", "ARRAY"),
    "(ref null $array)": ("REF", "CONCRETE_ARRAY"),
    "structref": ("REF", "STRUCT"),
    "(ref null $struct)": ("REF", "CONCRETE_STRUCT"),
    "exnref": ("REF", "EXN"),
    "nullexnref": ("REF", "NOEXN"),
}
TYPES = (
    "(type $func (func)) (type $array (array i8)) "
    "(type $struct (struct (field i8) (field (mut i16)) (field i64)))"
)


@pytest.mark.parametrize("text", VALUE_TYPES)
def test_kinds_of_value_and_heap_types(engine: Any, text: str) -> None:
    kind, heap = VALUE_TYPES[text]
    for one in imported(engine, f'(module {TYPES} (global (import "" "") {text}))'):
        content = lib.wasm_globaltype_content(lib.wasm_externtype_as_globaltype(one))
        out = ffi.new("wasmtime_valtype_t *")
        lib.wasmtime_valtype_new(content, out)
        assert out.kind == getattr(lib, f"WASMTIME_VALTYPE_KIND_{kind}")
        if heap is not None:
            found = out.reftype.heaptype.kind
            assert found == getattr(lib, f"WASMTIME_HEAPTYPE_KIND_{heap}")
        lib.wasmtime_valtype_delete(out)


def test_kinds_of_storage_types(engine: Any) -> None:
    text = f'(module {TYPES} (global (import "" "") (ref null $struct)))'
    for one in imported(engine, text):
        content = lib.wasm_globaltype_content(lib.wasm_externtype_as_globaltype(one))
        out = ffi.new("wasmtime_valtype_t *")
        lib.wasmtime_valtype_new(content, out)
        struct = out.reftype.heaptype.of.concrete_struct
        kinds = []
        for index in range(lib.wasmtime_struct_type_num_fields(struct)):
            field = ffi.new("wasmtime_field_type_t *")
            assert lib.wasmtime_struct_type_field(struct, index, field)
            kinds.append((field.storage.kind, field.mutable_))
            lib.wasmtime_field_type_delete(field)
        lib.wasmtime_valtype_delete(out)
        assert kinds == [
            (lib.WASMTIME_STORAGE_TYPE_KIND_I8, False),
            (lib.WASMTIME_STORAGE_TYPE_KIND_I16, True),
            (lib.WASMTIME_STORAGE_TYPE_KIND_VALTYPE, False),
        ]


def test_kinds_of_external_types(engine: Any) -> None:
    text = """(module
        (import "" "" (func)) (import "" "" (global i32)) (import "" "" (table 1 funcref))
        (import "" "" (memory 1)) (import "" "" (tag)))"""
    kinds = [lib.wasm_externtype_kind(one) for one in imported(engine, text)]
    names = ("FUNC", "GLOBAL", "TABLE", "MEMORY", "TAG")
    assert kinds == [getattr(lib, f"WASM_EXTERN_{name}") for name in names]


def test_kinds_of_external_items_and_values(engine: Any) -> None:
    compiled = module(
        engine,
        """(module
        (func (export "func")) (global (export "global") i32 (i32.const 7))
        (table (export "table") 1 funcref) (memory (export "memory") 1) (tag (export "tag"))
        (global (export "i32") i32 (i32.const 0)) (global (export "i64") i64 (i64.const 0))
        (global (export "f32") f32 (f32.const 0)) (global (export "f64") f64 (f64.const 0))
        (global (export "v128") v128 (v128.const i64x2 0 0))
        (global (export "funcref") funcref (ref.null func))
        (global (export "externref") externref (ref.null extern))
        (global (export "anyref") anyref (ref.null any))
        (global (export "exnref") exnref (ref.null exn)))""",
    )
    store = ffi.gc(lib.wasmtime_store_new(engine, ffi.NULL, ffi.NULL), lib.wasmtime_store_delete)
    context = lib.wasmtime_store_context(store)
    instance = ffi.new("wasmtime_instance_t *")
    trap = ffi.new("wasm_trap_t **")
    take_error(lib.wasmtime_instance_new(context, compiled, ffi.NULL, 0, instance, trap))
    assert trap[0] == ffi.NULL

    def export(name: str) -> Any:
        out = ffi.new("wasmtime_extern_t *")
        assert lib.wasmtime_instance_export_get(context, instance, name.encode(), len(name), out)
        return out

    for name in ("func", "global", "table", "memory", "tag"):
        assert export(name).kind == getattr(lib, f"WASMTIME_EXTERN_{name.upper()}"), name
    names = ("i32", "i64", "f32", "f64", "v128", "funcref", "externref", "anyref", "exnref")
    for name in names:
        value = ffi.new("wasmtime_val_t *")
        lib.wasmtime_global_get(context, ffi.addressof(export(name).of.global_), value)
        assert value.kind == getattr(lib, f"WASMTIME_{name.upper()}"), name


# Two more are there, ERROR_CONTEXT and FIXED_LENGTH_LIST, but the C API has no setting that
# turns their proposals on, so that no component of this library can have them.
COMPONENT_TYPES = {
    "BOOL": "bool",
    "S8": "s8",
    "S16": "s16",
    "S32": "s32",
    "S64": "s64",
    "U8": "u8",
    "U16": "u16",
    "U32": "u32",
    "U64": "u64",
    "F32": "f32",
    "F64": "f64",
    "CHAR": "char",
    "STRING": "string",
    "LIST": "(list u8)",
    "RECORD": "$record",
    "TUPLE": "(tuple u8 u8)",
    "VARIANT": "$variant",
    "ENUM": "$enum",
    "OPTION": "(option u8)",
    "RESULT": "(result u8)",
    "FLAGS": "$flags",
    "OWN": "(own $resource)",
    "BORROW": "(borrow $resource)",
    "FUTURE": "(future u8)",
    "STREAM": "(stream u8)",
    "MAP": "(map string u8)",
}


@pytest.mark.parametrize("name", COMPONENT_TYPES)
def test_kinds_of_component_types(engine: Any, name: str) -> None:
    text = f"""(component
        (type $r' (record (field "a" u8)))
        (import "record" (type $record (eq $r')))
        (type $v' (variant (case "a" u8)))
        (import "variant" (type $variant (eq $v')))
        (type $e' (enum "a"))
        (import "enum" (type $enum (eq $e')))
        (type $f' (flags "a"))
        (import "flags" (type $flags (eq $f')))
        (import "resource" (type $resource (sub resource)))
        (import "f" (func (param "a" {COMPONENT_TYPES[name]}))))"""
    binary = wasm(text)
    out = ffi.new("wasmtime_component_t **")
    take_error(lib.wasmtime_component_new(engine, binary, len(binary), out))
    component = ffi.gc(out[0], lib.wasmtime_component_delete)
    kind = ffi.gc(lib.wasmtime_component_type(component), lib.wasmtime_component_type_delete)
    item = ffi.new("wasmtime_component_extern_t **")
    assert lib.wasmtime_component_type_import_get(kind, engine, b"f", 1, item)
    function = ffi.new("wasmtime_component_item_t *")
    lib.wasmtime_component_extern_type(item[0], function)
    lib.wasmtime_component_extern_delete(item[0])
    assert function.kind == lib.WASMTIME_COMPONENT_ITEM_COMPONENT_FUNC
    label, length = ffi.new("char **"), ffi.new("size_t *")
    found = ffi.new("wasmtime_component_valtype_t *")
    assert lib.wasmtime_component_func_type_param_nth(
        function.of.component_func, 0, label, length, found
    )
    assert found.kind == getattr(lib, f"WASMTIME_COMPONENT_VALTYPE_{name}")
    lib.wasmtime_component_valtype_delete(found)
    lib.wasmtime_component_item_delete(function)
