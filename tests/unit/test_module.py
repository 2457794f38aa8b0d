"""
Modules: compiling, describing, serializing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wasmtime import (
    Config,
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
    TableType,
    TagType,
    ValType,
    WasmtimeError,
    wat2wasm,
)

TEXT = '(module (func (export "f") (result i32) (i32.const 7)))'


def run(engine: Engine, module: Module) -> Any:
    store = Store(engine)
    return Instance(store, module, []).exports(store)["f"](store)  # type: ignore[operator]


@pytest.mark.parametrize(
    "convert",
    [
        lambda text: text,
        lambda text: text.encode(),
        lambda text: bytearray(text.encode()),
        lambda text: memoryview(text.encode()),
        wat2wasm,
        lambda text: bytes(wat2wasm(text)),
        lambda text: memoryview(wat2wasm(text)),
    ],
    ids=["str", "text bytes", "text bytearray", "text view", "bytearray", "bytes", "view"],
)
def test_text_and_binary_in_every_form(engine: Engine, convert: Any) -> None:
    assert run(engine, Module(engine, convert(TEXT))) == 7


def test_files_of_both_forms(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "m.wat").write_text(TEXT)
    (tmp_path / "m.wasm").write_bytes(wat2wasm(TEXT))
    for name in ("m.wat", "m.wasm"):
        path = tmp_path / name
        for form in (path, str(path), str(path).encode()):
            assert run(engine, Module.from_file(engine, form)) == 7


def test_missing_files(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        Module.from_file(engine, tmp_path / "absent")
    with pytest.raises(FileNotFoundError, match="absent"):
        Module.deserialize_file(engine, tmp_path / "absent")
    with pytest.raises(OSError, match=r"irectory|ermission"):
        Module.from_file(engine, tmp_path)


def test_imports_and_exports_are_described_in_order(engine: Engine) -> None:
    module = Module(
        engine,
        """
        (import "a" "f" (func (param i32) (result i64)))
        (import "a" "g" (global (mut f32)))
        (import "b" "t" (table 1 2 externref))
        (import "b" "m" (memory 3))
        (import "b" "e" (tag (param i32)))
        (export "F" (func 0))
        (export "M" (memory 0))
        """,
    )
    func = FuncType([ValType.I32], [ValType.I64])
    memory = MemoryType(Limits(3))
    assert module.imports == [
        ImportType("a", "f", func),
        ImportType("a", "g", GlobalType(ValType.F32, True)),
        ImportType("b", "t", TableType(ValType.EXTERNREF, Limits(1, 2))),
        ImportType("b", "m", memory),
        ImportType("b", "e", TagType(FuncType([ValType.I32], []))),
    ]
    assert module.exports == [ExportType("F", func), ExportType("M", memory)]


def test_function_types_are_those_of_the_functions() -> None:
    # A module's are read in one go, those of functions one by one.
    config = Config()
    config.wasm_gc = config.wasm_function_references = config.wasm_exceptions = True
    store = Store(Engine(config))
    heaps = ["extern", "noextern", "func", "nofunc", "any", "none", "eq", "i31", "array"]
    heaps += ["struct", "exn", "noexn"]
    types = ["i32", "i64", "f32", "f64", "v128", *(f"(ref null {heap})" for heap in heaps)]
    types += [f"(ref {heap})" for heap in heaps] + ["(ref $t)", "(ref null $t)"]
    text = "(module (type $t (func (param i32)))" + "".join(
        f'(func (export "takes {ty}") (param i32 {ty}))'
        f'(func (export "gives {ty}") (result {ty} i64) unreachable)'
        for ty in types
    )
    module = Module(store.engine, text + '(func (export "") ))')
    exports = Instance(store, module, []).exports(store)
    assert len(module.exports) == 2 * len(types) + 1
    for entry in module.exports:
        assert entry.type == exports[entry.name].type(store), entry.name  # type: ignore[union-attr]
    text = '(import "é" "" (func (param f32))) (import "" "m" (memory 1))'
    imports = Module(store.engine, text).imports
    assert [(entry.module, entry.name, str(entry.type)) for entry in imports] == [
        ("é", "", "(func (param f32))"),
        ("", "m", "(memory 1)"),
    ]


def test_serialized_modules_come_back(engine: Engine, tmp_path: Path) -> None:
    encoded = Module(engine, TEXT).serialize()
    assert isinstance(encoded, bytearray)
    for form in (encoded, bytes(encoded), memoryview(encoded)):
        assert run(engine, Module.deserialize(engine, form)) == 7
    path = tmp_path / "m.cwasm"
    path.write_bytes(encoded)
    assert run(engine, Module.deserialize_file(engine, path)) == 7
    assert run(engine, Module.deserialize_file(engine, str(path))) == 7


@pytest.mark.parametrize("encoded", [b"", b"\0", b"\x7fELF", b"rubbish" * 100], ids=repr)
def test_what_is_no_artifact_is_refused(engine: Engine, encoded: bytes, tmp_path: Path) -> None:
    with pytest.raises(WasmtimeError):
        Module.deserialize(engine, encoded)
    (tmp_path / "f").write_bytes(encoded)
    with pytest.raises(WasmtimeError):
        Module.deserialize_file(engine, tmp_path / "f")


def test_artifacts_of_another_configuration_are_refused(engine: Engine) -> None:
    config = Config()
    config.consume_fuel = True
    encoded = Module(Engine(config), TEXT).serialize()
    with pytest.raises(WasmtimeError):
        Module.deserialize(engine, encoded)


def test_a_compiled_artifact_is_no_module(engine: Engine) -> None:
    encoded = Module(engine, TEXT).serialize()
    with pytest.raises(WasmtimeError, match="deserialize"):
        Module(engine, encoded)


def test_validation(engine: Engine) -> None:
    assert Module.validate(engine, wat2wasm(TEXT)) is None
    with pytest.raises(WasmtimeError):
        Module.validate(engine, b"")
    with pytest.raises(WasmtimeError):
        Module.validate(engine, bytes(wat2wasm(TEXT))[:-1])
    assert Module.validate(engine, TEXT) is None
    with pytest.raises(TypeError):
        Module.validate(engine, 1)  # type: ignore[arg-type]


def test_proposals_that_are_off_are_refused() -> None:
    config = Config()
    config.wasm_multi_memory = False
    engine = Engine(config)
    with pytest.raises(WasmtimeError, match=r"multi-memory|multiple memories"):
        Module(engine, "(memory 1) (memory 1)")


def test_a_module_serves_many_instances(engine: Engine) -> None:
    module = Module(engine, '(memory (export "m") 1)')
    stores = [Store(engine) for _ in range(3)]
    memories = [Instance(s, module, []).exports(s)["m"] for s in stores]
    memories[0].write(stores[0], b"x")  # type: ignore[union-attr]
    assert memories[1].read(stores[1], 0, 1) == b"\0"  # type: ignore[union-attr]


def test_the_flag_validate_is_accepted(engine: Engine) -> None:
    assert run(engine, Module(engine, TEXT, validate=True)) == 7
    assert run(engine, Module(engine, TEXT, False)) == 7
    assert run(engine, Module(engine=engine, wasm=TEXT)) == 7


def test_arguments_of_the_constructor(engine: Engine) -> None:
    with pytest.raises(TypeError, match="engine must be an Engine"):
        Module(1, TEXT)  # type: ignore[arg-type]
    for wrong in (1, None, Path("file.wasm"), object()):
        with pytest.raises(TypeError, match="wasm must be"):
            Module(engine, wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="surrogate"):
        Module(engine, "\ud800")


def test_where_the_code_lies(engine: Engine) -> None:
    addresses = Module(engine, TEXT).image_range()
    assert len(addresses) > 0
    assert addresses.start > 0
