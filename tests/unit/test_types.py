"""Types as values, and their way to the library and back."""

from __future__ import annotations

import copy
import gc
import pickle
from pathlib import Path
from typing import Any, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmtime import (
    Engine,
    ExportType,
    FuncType,
    GlobalType,
    ImportType,
    Instance,
    Limits,
    MemoryType,
    Module,
    Store,
    Table,
    TableType,
    TagType,
    ValType,
    WasmtimeError,
)
from wasmtime._config import Config
from wasmtime._gctypes import ArrayType, ExnType, FieldType, StorageType, StructType
from wasmtime._native import lib
from wasmtime._types import TypeValue, extern_type_from_native
from wasmtime.component import Component

NUMBERS = [ValType.I32, ValType.I64, ValType.F32, ValType.F64, ValType.V128]
HEAPS = [
    "extern", "noextern", "func", "nofunc", "any", "none",
    "eq", "i31", "array", "struct", "exn", "noexn",
]  # fmt: skip

numbers = st.sampled_from(NUMBERS)
references = st.builds(ValType.ref, st.sampled_from(HEAPS), st.booleans())
value_types = numbers | references
func_types = st.builds(
    FuncType, st.lists(value_types, max_size=6), st.lists(value_types, max_size=4)
)
global_types = st.builds(GlobalType, value_types, st.booleans())


@st.composite
def limits(draw: Any, largest: int) -> Limits:
    low = draw(st.integers(0, largest))
    return Limits(low, draw(st.none() | st.integers(low, largest)))


table_types = st.builds(TableType, references, limits(2**32 - 2))
memory_types = (
    st.builds(MemoryType, limits(65536))
    | st.builds(MemoryType, limits(2**48 - 1), is_64=st.just(True))
    | st.builds(MemoryType, limits(2**32 - 1), page_size_log2=st.just(0))
    | st.builds(
        MemoryType,
        st.integers(0, 65536).map(lambda size: Limits(size, size)),
        shared=st.just(True),
    )
)
tag_types = st.builds(TagType, func_types)
extern_types = func_types | global_types | table_types | memory_types | tag_types
AS_EXTERN: dict[type, Any] = {
    FuncType: lib.wasm_functype_as_externtype,
    GlobalType: lib.wasm_globaltype_as_externtype,
    TableType: lib.wasm_tabletype_as_externtype,
    MemoryType: lib.wasm_memorytype_as_externtype,
    TagType: lib.wasm_tagtype_as_externtype,
}


# ----------------------------------------------------------------------------------- value types


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("i32", "i32"), ("i64", "i64"), ("f32", "f32"), ("f64", "f64"), ("v128", "v128"),
        ("funcref", "funcref"), ("externref", "externref"), ("anyref", "anyref"),
        ("exnref", "exnref"),
    ],
)  # fmt: skip
def test_named_value_types(name: str, text: str) -> None:
    ty = getattr(ValType, name)()
    assert ty is getattr(ValType, name.upper())
    assert str(ty) == repr(ty) == text


@pytest.mark.parametrize(
    "name",
    ["eqref", "i31ref", "structref", "arrayref", "nullref", "nullfuncref", "nullexternref",
     "nullexnref"],
)  # fmt: skip
def test_other_reference_types(name: str) -> None:
    ty = getattr(ValType, name)()
    assert str(ty) == name
    assert ty.is_ref
    assert ty.nullable
    assert ValType.ref(ty.heap_type) is ty


def test_value_types_are_distinct() -> None:
    types = [*NUMBERS, *(ValType.ref(heap, null) for heap in HEAPS for null in (True, False))]
    assert len(set(types)) == len(set(map(str, types))) == len(types) == 29
    for a in types:
        for b in types:
            assert (a == b) == (a is b) == (not (a != b))  # noqa: SIM202


def test_value_types_are_not_constructed() -> None:
    with pytest.raises(WasmtimeError, match="cannot construct directly"):
        ValType()


def test_reference_types() -> None:
    ty = ValType.ref("func", nullable=False)
    assert str(ty) == "(ref func)"
    assert ty.heap_type == "func"
    assert not ty.nullable
    assert ty.is_ref
    assert ty.as_nullable() is ValType.FUNCREF
    assert ValType.FUNCREF.as_nullable(False) is ty
    assert ValType.I32.heap_type is None
    assert not ValType.I32.nullable
    assert not ValType.I32.is_ref
    with pytest.raises(TypeError, match="not a reference type"):
        ValType.I32.as_nullable()
    with pytest.raises(ValueError, match="unknown heap type 'funcref': expected one of"):
        ValType.ref("funcref")
    with pytest.raises(TypeError, match="not int"):
        ValType.ref(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="pass engine="):
        ValType.ref(FuncType([], []))


def test_value_types_compare_with_anything() -> None:
    assert ValType.I32 != "i32"
    assert ValType.I32 != ValType.FUNCREF
    assert ValType.I32 != None  # noqa: E711


@given(value_types)
def test_value_types_to_the_library_and_back(ty: ValType) -> None:
    assert ValType._from_native(ty._to_native()) is ty


# --------------------------------------------------------------------------------- extern types


@given(extern_types)
def test_extern_types_to_the_library_and_back(ty: Any) -> None:
    native = ty._to_native()
    assert extern_type_from_native(AS_EXTERN[type(ty)](native)) == ty
    assert type(ty)._from_native(native) == ty


@given(extern_types | value_types | limits(2**64 - 1))
def test_types_are_values(ty: Any) -> None:
    assert pickle.loads(pickle.dumps(ty)) == ty
    assert copy.copy(ty) is ty
    assert copy.deepcopy(ty) is ty
    assert hash(pickle.loads(pickle.dumps(ty))) == hash(ty)
    assert not (ty != ty)  # noqa: SIM202
    assert ty != 1
    with ty as same:
        assert same is ty
    ty.close()
    assert str(ty)
    assert repr(ty)
    for name in ("params", "min", "limits", "_anything"):
        with pytest.raises(AttributeError):
            setattr(ty, name, 1)
        with pytest.raises(AttributeError):
            delattr(ty, name)


@given(extern_types, extern_types)
def test_equal_types_have_equal_texts(a: Any, b: Any) -> None:
    if a == b:
        assert hash(a) == hash(b)
        assert str(a) == str(b)
        assert repr(a) == repr(b)
    else:
        assert repr(a) != repr(b)


def test_texts() -> None:
    i32, f64 = ValType.i32(), ValType.f64()
    texts = {
        FuncType([], []): "(func)",
        FuncType([i32, i32], [i32]): "(func (param i32 i32) (result i32))",
        FuncType([], [f64]): "(func (result f64))",
        GlobalType(i32, False): "(global i32)",
        GlobalType(i32, True): "(global (mut i32))",
        TableType(ValType.funcref(), Limits(1, None)): "(table 1 funcref)",
        TableType(ValType.externref(), Limits(1, 2)): "(table 1 2 externref)",
        MemoryType(Limits(1, 2)): "(memory 1 2)",
        MemoryType(Limits(1, 2), shared=True): "(memory 1 2 shared)",
        MemoryType(Limits(1), is_64=True): "(memory i64 1)",
        MemoryType(Limits(1), page_size_log2=0): "(memory 1 (pagesize 1))",
        TagType(FuncType([i32], [])): "(tag (param i32))",
    }
    for ty, text in texts.items():
        assert str(ty) == text
        # What is printed is what the text format says.
        names = "" if text.startswith("(table") else "$x "
        word, _, rest = text[1:].partition(" ")
        word = word.rstrip(")")
        config = Config(wasm_custom_page_sizes=True)
        closing = ")" if text.count(")") > rest.count(")") else ""
        module = Module(Engine(config), f'(module (import "a" "b" ({word} {names}{rest}{closing}))')
        assert module.imports[0].type == ty


def test_reprs() -> None:
    assert repr(FuncType([ValType.I32], [])) == "FuncType([i32], [])"
    assert repr(GlobalType(ValType.I32, True)) == "GlobalType(i32, True)"
    assert repr(TableType(ValType.FUNCREF, Limits(1))) == "TableType(funcref, Limits(1, None))"
    assert repr(MemoryType(Limits(1), True, False, 0)) == (
        "MemoryType(Limits(1, None), is_64=True, page_size_log2=0)"
    )
    assert repr(TagType(FuncType([], []))) == "TagType(FuncType([], []))"


def test_func_type() -> None:
    ty = FuncType(params=[ValType.i32()], results=[ValType.i64()])
    assert ty.params == [ValType.i32()]
    assert ty.results == [ValType.i64()]
    ty.params.append(ValType.i32())
    assert len(ty.params) == 1
    assert FuncType((ty for ty in [ValType.I32]), ()).params == [ValType.I32]
    with pytest.raises(TypeError, match=r"expected ValType, not int, as params\[1\]"):
        FuncType([ValType.I32, 3], [])  # type: ignore[list-item]
    with pytest.raises(TypeError, match=r"results\[0\]"):
        FuncType([], ["i32"])  # type: ignore[list-item]
    with pytest.raises(TypeError):
        FuncType(3, [])  # type: ignore[arg-type]


def test_global_type() -> None:
    ty = GlobalType(valtype=ValType.i32(), mutable=True)
    assert ty.content == ValType.i32()
    assert ty.mutable is True
    assert GlobalType(ValType.i32(), 0).mutable is False  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="expected valtype"):
        GlobalType("i32", True)  # type: ignore[arg-type]


def test_limits() -> None:
    sizes = Limits(min=1, max=2)
    assert (sizes.min, sizes.max) == (1, 2)
    assert Limits(1) == Limits(1, None) != Limits(1, 1)
    assert Limits(2**64 - 1, 2**64 - 1).max == 2**64 - 1
    for wrong in (-1, 2**64):
        with pytest.raises(OverflowError, match="min must be between"):
            Limits(wrong, None)
        with pytest.raises(OverflowError, match="max must be between"):
            Limits(0, wrong)
    for kind in ("1", 1.0, None, True):
        with pytest.raises(TypeError, match="min must be an int"):
            Limits(kind, None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="max must be an int"):
        Limits(0, 1.0)  # type: ignore[arg-type]


def test_table_type() -> None:
    ty = TableType(valtype=ValType.externref(), limits=Limits(1, 2))
    assert ty.element == ValType.externref()
    assert ty.limits == Limits(1, 2)
    with pytest.raises(WasmtimeError, match="i32 is not a reference type"):
        TableType(ValType.i32(), Limits(1, None))
    with pytest.raises(WasmtimeError, match="cannot be smaller"):
        TableType(ValType.funcref(), Limits(2, 1))
    with pytest.raises(OverflowError, match=r"limits\.min"):
        TableType(ValType.funcref(), Limits(2**32, None))
    with pytest.raises(OverflowError, match=r"limits\.max"):
        TableType(ValType.funcref(), Limits(1, 2**32))
    with pytest.raises(TypeError, match="expected Limits"):
        TableType(ValType.funcref(), 1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="expected valtype"):
        TableType("funcref", Limits(1))  # type: ignore[arg-type]


def test_memory_type() -> None:
    ty = MemoryType(Limits(1, None))
    assert not ty.is_64
    assert not ty.is_shared
    assert (ty.page_size, ty.page_size_log2) == (65536, 16)
    assert MemoryType(Limits(1, None), page_size_log2=0).page_size == 1
    assert MemoryType(Limits(0x100000000, None), is_64=True).limits.min == 0x100000000
    with pytest.raises(TypeError, match="expected Limits"):
        MemoryType(1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "because"),
    [
        ((Limits(0x100000000),), "minimum size too large"),
        ((Limits(1, 0x100000000),), "maximum size too large"),
        ((Limits(65537),), "minimum size is too large"),
        ((Limits(0, 65537),), "maximum size is too large"),
        ((Limits(2, 1),), "cannot be smaller"),
        ((Limits(1), False, True), "must have a maximum"),
        ((Limits(1 << 48), True), "must fit in a u64"),
        ((Limits(1), False, False, 1), "page size must be"),
        ((Limits(1), False, False, 255), "page size must be"),
    ],
)
def test_memories_that_cannot_be(arguments: tuple[Any, ...], because: str) -> None:
    with pytest.raises(WasmtimeError, match=because):
        MemoryType(*arguments)


def test_page_size_out_of_range() -> None:
    for wrong in (-1, 256):
        with pytest.raises(OverflowError, match="page_size_log2"):
            MemoryType(Limits(1), page_size_log2=wrong)


def test_tag_type() -> None:
    functype = FuncType([ValType.I32], [])
    ty = TagType(functype)
    # The function type is not used up.
    assert ty.functype == functype == TagType(functype).functype
    with pytest.raises(TypeError, match="expected a FuncType"):
        TagType("func")  # type: ignore[arg-type]


# ------------------------------------------------------------------------------ imports and exports


def test_import_and_export_types() -> None:
    ty = ImportType("env", "f\n", FuncType([], []))
    assert (ty.module, ty.name, ty.type) == ("env", "f\n", FuncType([], []))
    assert str(ty) == '(import "env" "f\\u{a}" (func))'
    assert pickle.loads(pickle.dumps(ty)) == ty
    assert len({ty, ImportType("env", "f\n", FuncType([], []))}) == 1
    export = ExportType('say "hi"', MemoryType(Limits(1)))
    assert str(export) == '(export "say \\"hi\\"" (memory 1))'
    assert pickle.loads(pickle.dumps(export)) == export != ty
    with pytest.raises(TypeError):
        ExportType("x", ValType.I32)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        ImportType(1, "x", FuncType([], []))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="surrogate"):
        ExportType("\udc00", FuncType([], []))


def test_types_of_a_module() -> None:
    module = Module(
        Engine(),
        """(module
          (import "" "" (func))
          (import "a" "käse" (global (mut v128)))
          (import "m" "shared" (memory i64 1 2 shared))
          (import "m" "t" (table 1 anyref))
          (import "m" "tag" (tag (param externref)))
          (func (export "\\u{1f9c0}") (param v128 (ref func)) (result exnref) unreachable)
          (export "" (memory 0)))""",
    )
    assert module.imports == [
        ImportType("", "", FuncType([], [])),
        ImportType("a", "käse", GlobalType(ValType.V128, True)),
        ImportType("m", "shared", MemoryType(Limits(1, 2), is_64=True, shared=True)),
        ImportType("m", "t", TableType(ValType.ANYREF, Limits(1))),
        ImportType("m", "tag", TagType(FuncType([ValType.EXTERNREF], []))),
    ]
    assert module.exports == [
        ExportType("🧀", FuncType([ValType.V128, ValType.ref("func", False)], [ValType.EXNREF])),
        ExportType("", MemoryType(Limits(1, 2), is_64=True, shared=True)),
    ]


@pytest.mark.parametrize(
    "text",
    [
        '(module (table (export "t") i64 1 0x100000000 funcref))',
        '(module (table (export "t") i64 1 0xffffffffffffffff funcref))',
        '(module (import "a" "t" (table i64 0x100000000 funcref)))',
        '(module (import "a" "f" (func))'
        ' (import "a" "t" (table i64 1 0x100000000 (ref null func))))',
        '(module (import "a" "t" (table 1 funcref)) (table 1 funcref)'
        ' (table (export "t") i64 1 0x100000000 (ref null extern)))',
        "(module (func $f) (table 1 (ref func) (ref.func $f))"
        ' (table (export "t") i64 1 0x100000000 funcref))',
    ],
)
def test_tables_that_the_c_api_cannot_describe(text: str) -> None:
    with pytest.raises(WasmtimeError, match="limits of more than 32 bits"):
        Module(Engine(), text)


@pytest.mark.parametrize(
    "text",
    [
        '(module (table (export "t") i64 1 0xffffffff funcref))',
        "(module (table i64 1 0x100000000 funcref))",
        '(module (memory (export "t") i64 1 0x100000000))',
        '(module (import "" "" (memory i64 1 0x1000000000000)) (import "" "" (global v128)))',
        '(module (table i64 1 0x100000000 funcref) (table (export "t") 1 funcref)'
        ' (func (export "f")))',
    ],
)
def test_tables_and_memories_that_it_can(text: str) -> None:
    module = Module(Engine(), text)
    assert module.imports is not None
    assert module.exports is not None


@pytest.mark.parametrize(
    "text",
    [
        '(component (core module $m (table (export "t") i64 0 0x100000007 funcref))'
        ' (export "m" (core module $m)))',
        "(component (component (component"
        ' (core module (import "" "" (table i64 0x100000000 externref))))))',
        '(component (import "m" (core module (export "t" (table i64 0 0x100000007 funcref)))))',
        '(component (import "i" (instance (export "m" (core module'
        ' (type (func (param i32))) (import "a" "f" (func (type 0)))'
        ' (import "a" "t" (table i64 1 0x100000007 (ref null extern))))))))',
        '(component (core type (module (export "t" (table i64 0x100000000 funcref)))))',
    ],
)
def test_components_with_tables_that_the_c_api_cannot_describe(text: str) -> None:
    with pytest.raises(WasmtimeError, match="limits of more than 32 bits"):
        Component(Engine(), text)


@pytest.mark.parametrize(
    "text",
    [
        '(component (core module $m (type $f (func)) (table (export "t") 1 (ref null $f)))'
        ' (export "m" (core module $m)))',
        '(component (core module $m (type $f (func)) (import "" "" (global (ref null $f))))'
        ' (instance (export "m" (core module $m))))',
        "(component (core module $m (type $f (func))"
        ' (global (export "g") (ref null $f) (ref.null $f))) (export "m" (core module $m)))',
        '(component (import "m" (core module (type (func)) (export "t" (table 1 (ref null 0))))))',
        '(component (import "m" (core module (rec (type (struct)) (type (func (param (ref 0)))))'
        ' (export "f" (func (type 1))))))',
        '(component (type (record (field "a" (list u8)))) (type (enum "a")) (type (flags "a"))'
        ' (type (variant (case "a" u8) (case "b"))) (type (result u8 (error string)))'
        ' (type (tuple u8 0)) (type (option 3)) (type (func async (param "a" 1) (result 2)))'
        " (type (resource (rep i32)))"
        ' (import "i" (instance (export "r" (type (sub resource))) (type (own 0)) (type (borrow 0))'
        ' (export "m" (core module (type (sub (func (result (ref null 0)))))'
        ' (export "f" (func (type 0))))))))',
    ],
)
def test_components_with_modules_that_the_library_cannot_describe(text: str) -> None:
    """
    It would end the process.
    """
    with pytest.raises(WasmtimeError, match="a type that the module defines"):
        Component(Engine(), text)


def test_modules_inside_of_a_component_may_use_their_own_types() -> None:
    Component(
        Engine(),
        """(component
          (core module $m (type $f (func)) (table (export "t") 1 (ref null $f)))
          (core instance $i (instantiate $m))
          (core module $n (type $f (func)) (import "i" "t" (table 1 (ref null $f))))
          (core instance (instantiate $n (with "i" (instance $i)))))""",
    )


def test_components_with_tables_that_it_can() -> None:
    component = Component(
        Engine(),
        """(component
          (import "m" (core module $m
            (import "𝄞𝄞" "ää" (table i64 0 0xffffffff funcref))
            (export "m" (memory i64 0x100000 0x100000000))))
          (core module $inner
            (table i64 0 0x100000007 funcref) (table (export "t") i64 0 7 funcref))
          (export "inner" (core module $inner)))""",
    )
    assert component.type == component.type
    (module,) = component.exports.values()
    assert [item.name for item in module.exports(component.engine)] == ["t"]


TABLES_OF_64_BITS = """(module
    (import "a" "f" (func)) (import "a" "t" (table 1 funcref)) (import "a" "T" (table i64 1 anyref))
    (table (export "u") 2 100 funcref) (table (export "U") i64 2 100 funcref)
    (table i64 3 funcref) (memory (export "m") i64 1)
    (export "f" (func 0)) (export "t" (table 0)) (export "T" (table 1)))"""


def test_tables_say_that_their_indices_have_64_bits(engine: Engine, tmp_path: Path) -> None:
    module = Module(engine, TABLES_OF_64_BITS)
    (tmp_path / "module").write_bytes(module.serialize())
    for made in (
        module,
        Module.deserialize(engine, module.serialize()),
        Module.deserialize_file(engine, tmp_path / "module"),
        Module.deserialize(engine, Module.deserialize(engine, module.serialize()).serialize()),
        pickle.loads(pickle.dumps(module)),
    ):
        types = {entry.name: str(entry.type) for entry in [*made.exports, *made.imports]}
        assert types == {
            "f": "(func)",
            "t": "(table 1 funcref)",
            "T": "(table i64 1 anyref)",
            "u": "(table 2 100 funcref)",
            "U": "(table i64 2 100 funcref)",
            "m": "(memory i64 1)",
        }
    wide = TableType(ValType.FUNCREF, Limits(2, 100), is_64=True)
    assert next(entry.type for entry in module.exports if entry.name == "U") == wide
    assert wide.is_64
    assert wide != TableType(ValType.FUNCREF, Limits(2, 100))
    assert repr(wide) == "TableType(funcref, Limits(2, 100), is_64=True)"
    assert pickle.loads(pickle.dumps(wide)) == wide
    with pytest.raises(WasmtimeError, match="makes no tables with 64-bit indices"):
        Table(Store(engine), wide, None)


@pytest.mark.parametrize("index", ["", "i64 "])
@pytest.mark.parametrize("element", ["funcref", "externref", "anyref", "(ref null i31)"])
@pytest.mark.parametrize("limits", ["0", "2", "2 100"])
def test_a_table_has_the_type_that_its_module_tells(index: str, element: str, limits: str) -> None:
    store = Store(Engine(Config(wasm_gc=True, wasm_function_references=True)))
    module = Module(store.engine, f'(module (table (export "t") {index}{limits} {element}))')
    table: Any = Instance(store, module, []).exports(store)["t"]
    assert table.type(store) == module.exports[0].type
    assert table.type(store).is_64 == bool(index)


def test_the_type_of_a_table_where_there_are_none_of_64_bits() -> None:
    store = Store(Engine(Config(wasm_memory64=False)))
    table = Table(store, TableType(ValType.FUNCREF, Limits(2)), None)
    assert not table.type(store).is_64
    store.engine.close()
    assert str(table.type(store)) == "(table 2 funcref)"


@given(st.binary(max_size=64))
def test_the_look_into_modules_takes_anything(data: bytes) -> None:
    from wasmtime._wasm.component import check_modules
    from wasmtime._wasm.module import check_tables, tables_of_64_bits

    module, component = b"\0asm\1\0\0\0", b"\0asm\x0d\0\1\0"
    heads = [b"", module, module + b"\2\x7f", module + b"\4\x10\1"]
    heads += [component, component + b"\3\x20", component + b"\4\x7f" + component]
    for head in heads:
        for check in (check_tables, check_modules):
            try:
                check(head + data)
            except WasmtimeError:
                pass
        imports, exports = tables_of_64_bits(head + data)
        assert all(isinstance(position, int) for position in imports)
        assert all(isinstance(name, str) for name in exports)


def compact_imports(*items: bytes) -> bytes:
    def section(kind: int, contents: bytes) -> bytes:
        return bytes([kind, len(contents)]) + contents

    header = b"\0asm\1\0\0\0" + section(1, b"\1\x60\0\0")
    return header + section(2, bytes([len(items)]) + b"".join(items))


def test_wide_tables_among_compact_imports() -> None:
    wide = b"\1\x70\5\1" + b"\x80\x80\x80\x80\x10"  # (table i64 1 0x100000000 funcref)
    engine = Engine(Config(wasm_compact_imports=True))
    one = b"\1a\0\x7f\2\1b\0\0\1c"
    many = b"\1a\0\x7e"
    fine = Module(engine, compact_imports(one + b"\0\0", many + b"\0\0\2\1d\1e"))
    assert [item.name for item in fine.imports] == ["b", "c", "d", "e"]
    for item in (one + wide, many + wide + b"\2\1d\1e"):
        with pytest.raises(WasmtimeError, match="limits of more than 32 bits"):
            Module(engine, compact_imports(item))


# -------------------------------------------------------------------------------- concrete types


def test_concrete_types_of_a_module(engine: Engine) -> None:
    module = Module(
        engine,
        """(module
          (rec (type $node (struct (field (mut i32)) (field (ref null $node)) (field i8))))
          (type $bytes (array (mut i8)))
          (type $f (func (param (ref $node)) (result i32)))
          (func (export "a") (param (ref $node) (ref null $bytes) (ref null $f)))
          (func (export "b") (type $f) unreachable))""",
    )
    a, b = (export.type for export in module.exports)
    assert isinstance(a, FuncType)
    assert isinstance(b, FuncType)
    node, array, function = a.params
    assert [str(ty) for ty in a.params] == [
        "(ref $struct)",
        "(ref null $array)",
        "(ref null $func)",
    ]
    struct = node.heap_type
    assert isinstance(struct, StructType)
    assert str(struct) == "(struct (field (mut i32)) (field (ref null $struct)) (field i8))"
    link = struct.fields[1].storage.valtype
    assert link is not None
    assert link == node.as_nullable()
    assert link.heap_type == struct
    assert array.heap_type == ArrayType(engine, FieldType(StorageType.I8, True))
    assert function.heap_type == b
    assert b.params == [node]
    assert node != array
    assert hash(node) == hash(link.as_nullable(False))
    with pytest.raises(TypeError, match="belongs to one engine"):
        pickle.dumps(node)
    with pytest.raises(TypeError, match="belongs to one engine"):
        pickle.dumps(struct)
    assert copy.copy(node) is node
    # The types outlive the module they were read from.
    del module
    gc.collect()
    assert struct.fields[0] == FieldType(ValType.I32, True)


def test_making_concrete_types(engine: Engine) -> None:
    struct = StructType(engine, [ValType.I32, StorageType.i16(), FieldType(ValType.F64, True)])
    assert str(struct) == "(struct (field i32) (field i16) (field (mut f64)))"
    assert [field.mutable for field in struct.fields] == [False, False, True]
    reference = ValType.ref(struct, nullable=False)
    assert reference.heap_type == struct
    assert not reference.nullable
    outer = StructType(engine, [reference])
    assert outer.fields == [FieldType(reference)]
    assert struct == StructType(engine, struct.fields) != outer
    assert hash(struct) == hash(StructType(engine, struct.fields))
    array = ArrayType(engine, reference)
    assert array.element == FieldType(reference, False)
    assert str(array) == "(array (ref $struct))"
    exception = ExnType(engine, [ValType.I32, reference.as_nullable()])
    assert exception.params == [ValType.I32, reference.as_nullable()]
    assert exception.tag_type == TagType(FuncType(exception.params, []))
    assert str(exception) == "(exn (param i32 (ref null $struct)))"
    function = ValType.ref(FuncType([reference], []), engine=engine)
    assert function.heap_type == FuncType([reference], [])
    for ty in (struct, array, exception):
        assert isinstance(ty, TypeValue)
        assert ValType.ref(ty).heap_type == ty
        assert repr(ty)


def test_concrete_types_of_other_engines(engine: Engine) -> None:
    mine, other = StructType(engine, [ValType.I32]), StructType(Engine(), [ValType.I32])
    assert mine != other
    assert ValType.ref(mine) != ValType.ref(other)
    uses: list[Callable[[], object]] = [
        lambda: StructType(engine, [ValType.ref(other)]),
        lambda: ArrayType(engine, ValType.ref(other)),
        lambda: ExnType(engine, [ValType.ref(other)]),
        lambda: ValType.ref(other, engine=engine),
        lambda: ValType.ref(FuncType([ValType.ref(other)], []), engine=engine),
    ]
    for use in uses:
        with pytest.raises(ValueError, match="another engine"):
            use()


def test_wrong_arguments_for_concrete_types(engine: Engine) -> None:
    closed = Engine()
    closed.close()
    for make in (
        lambda engine: StructType(engine, []),
        lambda engine: ArrayType(engine, ValType.I32),
        lambda engine: ExnType(engine, []),
    ):
        with pytest.raises(TypeError, match="expected an Engine"):
            make(3)
        with pytest.raises(ValueError, match="closed"):
            make(closed)
        with pytest.raises(WasmtimeError, match="no garbage collector"):
            make(Engine(Config(gc_support=False)))
    with pytest.raises(TypeError, match=r"fields\[0\]"):
        StructType(engine, ["i32"])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="element"):
        ArrayType(engine, "i8")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"params\[0\]"):
        ExnType(engine, [StorageType.I8])  # type: ignore[list-item]
    with pytest.raises(TypeError):
        StorageType("i8")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        FieldType("i8")  # type: ignore[arg-type]
    with pytest.raises(WasmtimeError, match="at most 10000"):
        StructType(engine, [ValType.I32] * 10_001)


def test_storage_and_field_types() -> None:
    values = [StorageType.I8, StorageType.I16, StorageType(ValType.I32), StorageType(ValType.V128)]
    assert len(set(values)) == 4
    assert list(map(str, values)) == ["i8", "i16", "i32", "v128"]
    assert list(map(repr, values[:3])) == ["StorageType.I8", "StorageType.I16", "StorageType(i32)"]
    for value in values:
        for field in (FieldType(value), FieldType(value, True)):
            assert pickle.loads(pickle.dumps(field)) == field
            assert hash(pickle.loads(pickle.dumps(field))) == hash(field)
    assert FieldType(ValType.I32) == FieldType(StorageType(ValType.I32)) != FieldType(ValType.I64)
    assert repr(FieldType(StorageType.I8, True)) == "FieldType(StorageType.I8, True)"
    assert StorageType.i8().valtype is None
    assert StorageType(ValType.I32).valtype == ValType.I32
