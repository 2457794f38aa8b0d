"""
What programs written for the published package rely on: names of parameters and modules, messages,
classes of exceptions, and both generations of the interface.
"""

from __future__ import annotations

import ctypes
import importlib
import inspect
from typing import Any

import pytest

import wasmtime
from wasmtime import (
    Config,
    DirPerms,
    Engine,
    ExitTrap,
    FilePerms,
    Frame,
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
    Trap,
    Val,
    ValType,
    WasiConfig,
    WasmtimeError,
    wat2wasm,
)

# ----------------------------------------------------------------------- names of parameters

PARAMETERS = {
    "Engine": ["config"],
    "Engine.increment_epoch": [],
    "Engine.is_pulley": [],
    "Store": ["engine", "data"],
    "Store.set_fuel": ["fuel"],
    "Store.set_epoch_deadline": ["ticks_after_current"],
    "Store.set_limits": ["memory_size", "table_elements", "instances", "tables", "memories"],
    "Store.set_wasi": ["wasi"],
    "Module": ["engine", "wasm", "validate"],
    "Module.from_file": ["engine", "path", "validate"],
    "Module.deserialize": ["engine", "encoded"],
    "Module.deserialize_file": ["engine", "path"],
    "Module.validate": ["engine", "wasm"],
    "Func": ["store", "ty", "func", "access_caller"],
    "Func.type": ["store"],
    "Caller.get": ["name"],
    "Instance": ["store", "module", "imports"],
    "Instance.exports": ["store"],
    "Instance.get_export": ["store", "name"],
    "Memory": ["store", "ty"],
    "Memory.type": ["store"],
    "Memory.grow": ["store", "delta"],
    "Memory.size": ["store"],
    "Memory.data_len": ["store"],
    "Memory.data_ptr": ["store"],
    "Memory.get_buffer_ptr": ["store", "size", "offset"],
    "Memory.read": ["store", "start", "stop"],
    "Memory.write": ["store", "value", "start"],
    "SharedMemory": ["engine", "ty"],
    "SharedMemory.grow": ["delta"],
    "Table": ["store", "ty", "init"],
    "Table.type": ["store"],
    "Table.size": ["store"],
    "Table.grow": ["store", "amt", "init"],
    "Table.get": ["store", "idx"],
    "Table.set": ["store", "idx", "val"],
    "Global": ["store", "ty", "val"],
    "Global.type": ["store"],
    "Global.value": ["store"],
    "Global.set_value": ["store", "val"],
    "Linker": ["engine"],
    "Linker.define": ["store", "module", "name", "item"],
    "Linker.define_func": ["module", "name", "ty", "func", "access_caller"],
    "Linker.define_instance": ["store", "name", "instance"],
    "Linker.define_module": ["store", "name", "module"],
    "Linker.get": ["store", "module", "name"],
    "Linker.get_default": ["store", "name"],
    "Linker.instantiate": ["store", "module"],
    "Linker.instantiate_pre": ["module"],
    "InstancePre.instantiate": ["store"],
    "FuncType": ["params", "results"],
    "GlobalType": ["valtype", "mutable"],
    "TableType": ["valtype", "limits"],
    "MemoryType": ["limits", "is_64", "shared", "page_size_log2"],
    "TagType": ["functype"],
    "Limits": ["min", "max"],
    "Val.i32": ["val"],
    "Val.externref": ["extern"],
    "Val.funcref": ["f"],
    "Val.ref_null": ["ty"],
    "Trap": ["message"],
    "WasmtimeError": ["message"],
    "wat2wasm": ["wat"],
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_have_the_published_names_and_order(name: str) -> None:
    target: Any = wasmtime
    for part in name.split("."):
        target = getattr(target, part)
    found = [
        parameter.name
        for parameter in inspect.signature(target).parameters.values()
        if parameter.name != "self" and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    assert found[: len(PARAMETERS[name])] == PARAMETERS[name]


# ----------------------------------------------------------------------------- private names

PRIVATE_MODULES = {
    "_config": ["Config", "PoolingAllocationConfig"],
    "_engine": ["Engine"],
    "_error": ["WasmtimeError", "ExitTrap"],
    "_exportable": ["AsExtern"],
    "_func": ["Func", "Caller"],
    "_globals": ["Global"],
    "_instance": ["Instance", "InstanceExports"],
    "_instance_pre": ["InstancePre"],
    "_linker": ["Linker"],
    "_managed": ["Managed"],
    "_memory": ["Memory"],
    "_module": ["Module"],
    "_sharedmemory": ["SharedMemory"],
    "_store": ["Store", "StoreContext", "Storelike"],
    "_table": ["Table"],
    "_tag": ["Tag"],
    "_trap": ["Trap", "TrapCode", "Frame"],
    "_types": [
        "ValType",
        "FuncType",
        "GlobalType",
        "TableType",
        "MemoryType",
        "TagType",
        "Limits",
        "ImportType",
        "ExportType",
    ],
    "_value": ["Val"],
    "_wasi": ["WasiConfig", "DirPerms", "FilePerms"],
    "_wat2wasm": ["wat2wasm"],
}


@pytest.mark.parametrize("module", PRIVATE_MODULES)
def test_classes_can_be_imported_from_where_they_were(module: str) -> None:
    found = importlib.import_module(f"wasmtime.{module}")
    for name in PRIVATE_MODULES[module]:
        assert hasattr(found, name), name
        if name != "InstanceExports":
            assert getattr(wasmtime, name) is getattr(found, name)


def test_everything_named_is_there() -> None:
    for name in wasmtime.__all__:
        assert hasattr(wasmtime, name)


# ------------------------------------------------------------------------ words in messages


def test_the_words_that_programs_look_for(engine: Engine) -> None:
    store = Store(engine)
    module = Module(engine, '(func (export "f") unreachable)')
    with pytest.raises(Trap, match="unreachable"):
        Instance(store, module, []).exports(store)["f"](store)  # type: ignore[operator]
    config = Config()
    config.consume_fuel = True
    fueled = Store(Engine(config))
    module = Module(fueled.engine, '(func (export "f"))')
    f: Any = Instance(fueled, module, []).exports(fueled)["f"]
    with pytest.raises(Trap, match="all fuel consumed"):
        f(fueled)
    with pytest.raises(WasmtimeError, match="too many parameters provided: given 1, expected 0"):
        f(fueled, 1)
    assert "exit status 3" in str(ExitTrap(3))
    with pytest.raises(WasmtimeError, match="cannot construct directly"):
        ValType()
    with pytest.raises(WasmtimeError, match="cannot grow by negative amount"):
        Memory(store, MemoryType(Limits(1))).grow(store, -1)
    with pytest.raises(TypeError, match="don't know how to convert"):
        Global(store, GlobalType(ValType.I32, True), "x")


def test_wrong_types_are_type_errors_and_attribute_errors(engine: Engine, store: Store) -> None:
    """
    The published package fails with one or the other, depending on where it notices.
    """
    wrong: Any = 1
    for use in (
        lambda: Engine(wrong),
        lambda: Store(wrong),
        lambda: Module(wrong, "(module)"),
        lambda: Linker(wrong),
        lambda: Func(wrong, FuncType([], []), lambda: None),
        lambda: Func(store, wrong, lambda: None),
        lambda: Memory(wrong, MemoryType(Limits(1))),
        lambda: Memory(store, wrong),
        lambda: Table(store, wrong, None),
        lambda: Global(store, wrong, 1),
        lambda: Instance(wrong, Module(engine, "(module)"), []),
        lambda: Instance(store, wrong, []),
        lambda: Linker(engine).define(store, wrong, "", None),
        lambda: Linker(engine).instantiate_pre(wrong),
        lambda: store.set_wasi(wrong),
    ):
        with pytest.raises(TypeError):
            use()
        with pytest.raises(AttributeError):
            use()


# --------------------------------------------------------- the interface as it was handed in


def test_the_basic_program() -> None:
    """
    The first example of the interface's description, word by word.
    """
    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    wasm_bytes = wasmtime.wat2wasm(
        """
        (module
        (func (export "add") (param i32 i32) (result i32)
        local.get 0
        local.get 1
        i32.add)
        )
        """
    )
    module = wasmtime.Module(engine, wasm_bytes)
    instance = wasmtime.Instance(store, module, [])
    add_func: Any = instance.exports(store)["add"]
    assert add_func(store, 5, 3) == 8
    wasi_config = wasmtime.WasiConfig()
    wasi_config.inherit_argv()
    wasi_config.inherit_env()
    wasi_config.inherit_stdin()
    wasi_config.inherit_stdout()
    wasi_config.inherit_stderr()
    linker = wasmtime.Linker(engine)
    linker.define_wasi(store, wasi_config)


def test_value_types_are_attributes_and_methods() -> None:
    for name in ("i32", "i64", "f32", "f64", "v128", "funcref", "externref"):
        assert getattr(ValType, name)() == getattr(ValType, name.upper())
        assert str(getattr(ValType, name)()) == name


def test_settings_of_wasi_are_attributes_and_methods(tmp_path: Any) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"x")
    one, other = WasiConfig(), WasiConfig()
    one.argv = ["a", "b"]
    other.argv(["a", "b"])
    one.env = [("K", "V")]
    other.env([("K", "V")])
    for name in ("stdin_file", "stdout_file", "stderr_file"):
        setattr(one, name, str(file))
        getattr(other, name)(str(file))
    one.preopen_dir(str(tmp_path), "/d", DirPerms.READ_ONLY)
    other.preopen_dir(str(tmp_path), "/d", DirPerms.READ_ONLY, FilePerms.READ_ONLY)


def test_permissions() -> None:
    for perms in (DirPerms, FilePerms):
        assert {"READ_ONLY", "WRITE_ONLY", "READ_WRITE"} <= set(dir(perms))


def test_functions_are_called_in_both_forms(store: Store) -> None:
    func = Func(store, FuncType([ValType.I32], [ValType.I32]), lambda n: n + 1)
    assert func(store, 1) == func.call(store, 1) == 2
    assert (func.param_arity(), func.result_arity()) == (1, 1)


def test_the_pointer_to_a_memory_works_with_ctypes(store: Store) -> None:
    memory = Memory(store, MemoryType(Limits(1)))
    pointer = memory.data_ptr(store)
    ctypes.memset(pointer, 65, 3)
    assert memory.read(store, 0, 4) == b"AAA\0"
    assert ctypes.addressof(pointer.contents) == int(pointer)
    array = ctypes.cast(pointer, ctypes.POINTER(ctypes.c_ubyte * 4)).contents
    array[3] = 66
    assert memory.read(store, 0, 4) == b"AAAB"
    assert bytes(pointer[:4]) == b"AAAB"
    pointer[0] = 67
    assert ctypes.string_at(pointer, 2) == b"CA"
    ctypes.memmove(int(pointer) + 8, b"moved", 5)
    assert memory.read(store, 8, 13) == b"moved"


def test_frames_and_traces() -> None:
    for name in ("func_name", "module_name", "func_index", "module_offset", "func_offset"):
        assert hasattr(Frame, name)
    assert Trap("x").trace == []


def test_both_ways_to_give_fuel() -> None:
    config = Config()
    config.consume_fuel = True
    store = Store(Engine(config))
    store.add_fuel(10)
    assert store.get_fuel() == 10
    assert store.fuel_consumed() == 0
    store.set_fuel(5)
    assert store.get_fuel() == 5


def test_serialized_modules_are_bytearrays(engine: Engine) -> None:
    assert type(Module(engine, "(module)").serialize()) is bytearray
    assert type(wat2wasm("(module)")) is bytearray
    assert type(Memory(s := Store(engine), MemoryType(Limits(1))).read(s)) is bytearray


def test_globals_and_tables_take_vals_and_values(store: Store) -> None:
    assert Global(store, GlobalType(ValType.i32(), True), Val.i32(3)).value(store) == 3
    table = Table(store, TableType(ValType.externref(), Limits(1)), Val.externref("x"))
    assert table.get(store, 0) == "x"


def test_types_can_be_closed() -> None:
    with FuncType([], []) as ty:
        assert ty.params == []
    ty.close()


def test_an_engine_takes_its_configuration() -> None:
    config = Config()
    Engine(config)
    with pytest.raises(ValueError, match=r"used|closed"):
        Engine(config)
