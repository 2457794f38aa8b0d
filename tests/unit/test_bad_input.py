"""
Bad input is a Python exception that names the argument, the value and the way out.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from wasmtime import (
    Config,
    Engine,
    Func,
    FuncType,
    Global,
    GlobalType,
    Instance,
    Limits,
    Linker,
    Memory,
    MemoryType,
    Module,
    Store,
    Table,
    TableType,
    ValType,
    WasiConfig,
    WasmtimeError,
    wat2wasm,
)

MODULE = bytes(
    wat2wasm(
        """(module
        (import "a" "b" (func (param i32)))
        (memory (export "m") 1) (table 1 funcref) (global (mut i64) (i64.const 0))
        (func (export "f") (param i32) (result i32)
            (local.get 0) (if (result i32) (then (i32.const 1)) (else (i32.const 2))))
        (data (i32.const 0) "hello"))"""
    )
)


# ------------------------------------------------------------------- garbage and truncation


@pytest.mark.parametrize(
    "garbage",
    [b"", b"\0", b"\0asm", b"\0asm\1\0\0", b"\0asm\2\0\0\0", b"\0" * 100, b"\0asm\1\0\0\0\xff"],
    ids=repr,
)
def test_garbage(engine: Engine, garbage: bytes) -> None:
    with pytest.raises(WasmtimeError):
        Module(engine, garbage)
    with pytest.raises(WasmtimeError):
        Module.validate(engine, garbage)


def test_every_truncation_of_a_module(engine: Engine) -> None:
    for length in range(len(MODULE)):
        part = MODULE[:length]
        try:
            Module.validate(engine, part)
        except WasmtimeError:
            with pytest.raises(WasmtimeError):
                Module(engine, part)


def test_mutations_of_a_module_compile_or_raise(engine: Engine) -> None:
    chance = random.Random(0)
    for _ in range(300):
        data = bytearray(MODULE)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(8, len(data))] = chance.randrange(256)
        try:
            module = Module(engine, data)
        except WasmtimeError:
            pass
        else:
            assert all(str(ty) for ty in [*module.imports, *module.exports])


@pytest.mark.parametrize(
    "text", ["(", "(module", "(modul)", "\0", "(func (i32.const))", '(export "a" (func 9))', "☃"]
)
def test_text_that_does_not_parse(engine: Engine, text: str) -> None:
    with pytest.raises(WasmtimeError) as caught:
        Module(engine, text)
    assert str(caught.value)


def test_deeply_nested_text(engine: Engine) -> None:
    for depth in (1000, 100_000):
        with pytest.raises(WasmtimeError):
            Module(engine, "(" * depth)
    body = "(block " * 5000 + ")" * 5000
    try:
        Module(engine, f"(func {body})")
    except WasmtimeError:
        pass


# ----------------------------------------------------------------------- names and numbers


def test_names_with_lone_surrogates(engine: Engine, store: Store) -> None:
    linker = Linker(engine)
    for use in (
        lambda: linker.define_func("\ud800", "", FuncType([], []), lambda: None),
        lambda: linker.define_func("", "\udfff", FuncType([], []), lambda: None),
        lambda: Instance(store, Module(engine, "(module)"), []).get_export(store, "\ud800"),
        lambda: wat2wasm("\ud800"),
    ):
        with pytest.raises(ValueError, match="surrogate"):
            use()


def test_names_with_nul_where_c_strings_are_wanted(tmp_path: Any) -> None:
    config = Config()
    wasi = WasiConfig()
    for use in (
        lambda: setattr(config, "target", "x86_64\0"),
        lambda: setattr(wasi, "stdin_file", str(tmp_path / "a\0b")),
        lambda: wasi.preopen_dir(str(tmp_path), "a\0b"),
        lambda: Module.deserialize_file(Engine(), "a\0b"),
    ):
        with pytest.raises(ValueError, match=r"NUL|null"):
            use()


@pytest.mark.parametrize("number", [-1, 2**64, 10**40])
def test_sizes_out_of_range(store: Store, number: int) -> None:
    memory = Memory(store, MemoryType(Limits(1)))
    table = Table(store, TableType(ValType.EXTERNREF, Limits(1)), None)
    with pytest.raises((OverflowError, WasmtimeError)):
        memory.grow(store, number)
    with pytest.raises(OverflowError):
        table.grow(store, number, None)
    with pytest.raises(OverflowError):
        Limits(number)
    with pytest.raises(OverflowError):
        Limits(0, number)
    with pytest.raises(OverflowError):
        store.set_fuel(number)
    with pytest.raises(OverflowError):
        store.set_epoch_deadline(number)
    assert memory.size(store) == table.size(store) == 1


def test_limits_that_contradict_themselves(store: Store) -> None:
    with pytest.raises(WasmtimeError):
        Memory(store, MemoryType(Limits(2, 1)))
    with pytest.raises(WasmtimeError):
        Table(store, TableType(ValType.FUNCREF, Limits(2, 1)), None)
    with pytest.raises(WasmtimeError):
        MemoryType(Limits(65537))
    with pytest.raises(OverflowError):
        TableType(ValType.FUNCREF, Limits(2**32))
    with pytest.raises(WasmtimeError):
        TableType(ValType.I32, Limits(1))


def test_tables_that_the_machine_cannot_have(store: Store) -> None:
    with pytest.raises(WasmtimeError):
        Table(store, TableType(ValType.FUNCREF, Limits(2**32 - 1)), None)
    table = Table(store, TableType(ValType.FUNCREF, Limits(1)), None)
    with pytest.raises(WasmtimeError):
        table.grow(store, 2**63, None)
    assert table.size(store) == 1


# ------------------------------------------------------------------------- foreign objects


def test_objects_of_another_store_say_so(engine: Engine, store: Store) -> None:
    other = Store(engine)
    instance = Instance(
        other,
        Module(
            engine,
            """(func (export "f") (param i32)) (memory (export "m") 1)
            (global (export "g") (mut i32) (i32.const 0)) (table (export "t") 1 funcref)""",
        ),
        [],
    )
    exports: Any = instance.exports(other)
    uses = [
        lambda: exports["f"](store, 1),
        lambda: exports["f"].call(store, 1),
        lambda: exports["f"].type(store),
        lambda: exports["f"].bind(store),
        lambda: exports["m"].read(store),
        lambda: exports["m"].write(store, b""),
        lambda: exports["m"].grow(store, 1),
        lambda: exports["m"].size(store),
        lambda: exports["m"].data_len(store),
        lambda: exports["m"].data_ptr(store),
        lambda: exports["m"].get_buffer_ptr(store),
        lambda: exports["m"].type(store),
        lambda: exports["m"].page_size(store),
        lambda: exports["g"].value(store),
        lambda: exports["g"].set_value(store, 1),
        lambda: exports["g"].type(store),
        lambda: exports["t"].size(store),
        lambda: exports["t"].get(store, 0),
        lambda: exports["t"].set(store, 0, None),
        lambda: exports["t"].grow(store, 1, None),
        lambda: exports["t"].type(store),
        lambda: instance.exports(store),
        lambda: instance.get_export(store, "f"),
        lambda: Linker(engine).define(store, "", "", exports["f"]),
        lambda: Linker(engine).define_instance(store, "", instance),
        lambda: Instance(store, Module(engine, '(import "" "" (memory 1))'), [exports["m"]]),
        lambda: Global(store, GlobalType(ValType.FUNCREF, True), exports["f"]),
        lambda: Table(store, TableType(ValType.FUNCREF, Limits(1)), exports["f"]),
    ]
    for use in uses:
        with pytest.raises(WasmtimeError, match="belongs to another store"):
            use()


def test_objects_of_another_engine_say_so(engine: Engine) -> None:
    mine, other = Store(engine), Store()
    module = Module(engine, "(module)")
    linker = Linker(engine)
    func = Func(other, FuncType([], []), lambda: None)
    uses = [
        lambda: Instance(other, module, []),
        lambda: linker.instantiate(other, module),
        lambda: Linker(other.engine).instantiate(mine, module),
        lambda: linker.instantiate(mine, Module(other.engine, "(module)")),
        lambda: linker.instantiate_pre(Module(other.engine, "(module)")),
        lambda: linker.instantiate_pre(module).instantiate(other),
        lambda: linker.define(other, "", "", func),
        lambda: linker.define_module(other, "", module),
        lambda: linker.define_module(mine, "", Module(other.engine, "(module)")),
        lambda: linker.define_instance(
            other, "", Instance(other, Module(other.engine, "(module)"), [])
        ),
        lambda: linker.get(other, "", ""),
        lambda: linker.get_default(other, ""),
        lambda: linker.define_wasi(other, WasiConfig()),
        lambda: linker.define_unknown_imports_as_traps(Module(other.engine, "(module)")),
        lambda: linker.define_unknown_imports_as_default_values(other, module),
    ]
    for use in uses:
        with pytest.raises(WasmtimeError, match="another engine"):
            use()


# -------------------------------------------------------------------------- configuration


def test_settings_of_a_wrong_type_or_range() -> None:
    config = Config()
    with pytest.raises(TypeError):
        config.consume_fuel = 1  # type: ignore[assignment]
    with pytest.raises(TypeError):
        config.max_wasm_stack = "1"  # type: ignore[assignment]
    with pytest.raises(WasmtimeError, match="unknown strategy: nonsense"):
        config.strategy = "nonsense"
    with pytest.raises(AttributeError):
        config.no_such_setting = True  # type: ignore[attr-defined]


def test_wasi_refuses_what_it_cannot_open(tmp_path: Any) -> None:
    wasi = WasiConfig()
    for use in (
        lambda: setattr(wasi, "stdin_file", tmp_path / "absent"),
        lambda: wasi.preopen_dir(tmp_path / "absent", "/"),
    ):
        with pytest.raises((OSError, WasmtimeError), match="absent"):
            use()
