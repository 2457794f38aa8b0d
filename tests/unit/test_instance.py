"""
Instances: imports by position, exports, and why instantiation fails.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Mapping
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
    SharedMemory,
    Store,
    Table,
    TableType,
    Tag,
    TagType,
    Trap,
    ValType,
    WasmtimeError,
)

FOUR = """
    (func (export "f"))
    (global (export "g") i32 (i32.const 1))
    (table (export "t") 1 funcref)
    (memory (export "m") 1)
"""


def test_exports_are_a_mapping_in_the_modules_order(store: Store, exports_of: Any) -> None:
    exports = exports_of(FOUR)
    assert isinstance(exports, Mapping)
    assert list(exports) == ["f", "g", "t", "m"]
    assert len(exports) == 4
    kinds = [Func, Global, Table, Memory]
    assert [type(item) for item in exports.values()] == kinds
    assert [type(item) for item in exports.by_index] == kinds
    assert exports.by_index[0] is exports["f"]
    assert "f" in exports
    assert "absent" not in exports
    assert exports.get("absent") is None
    with pytest.raises(KeyError, match="absent"):
        exports["absent"]
    with pytest.raises(IndexError):
        exports.by_index[4]
    assert dict(exports.items()) == exports


def test_exports_are_the_same_objects_every_time(store: Store) -> None:
    instance = Instance(store, Module(store.engine, FOUR), [])
    assert instance.exports(store) is instance.exports(store)


def test_one_export_by_name(store: Store) -> None:
    instance = Instance(store, Module(store.engine, FOUR), [])
    assert isinstance(instance.get_export(store, "m"), Memory)
    assert instance.get_export(store, "absent") is None
    with pytest.raises(TypeError):
        instance.get_export(store, 1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="surrogate"):
        instance.get_export(store, "\ud800")


def test_names_may_be_any_text(store: Store, exports_of: Any) -> None:
    exports = exports_of('(func (export "")) (func (export "\\u{1f600}\\00"))')
    assert list(exports) == ["", "\U0001f600\0"]
    assert exports["\U0001f600\0"](store) is None


def test_every_kind_can_be_imported(store: Store) -> None:
    module = Module(
        store.engine,
        """
        (import "" "f" (func $f (result i32)))
        (import "" "g" (global $g (mut i32)))
        (import "" "t" (table 1 funcref))
        (import "" "m" (memory 1))
        (import "" "e" (tag (param i32)))
        (func (export "sum") (result i32)
            (i32.add (call $f) (i32.add (global.get $g) (i32.load (i32.const 0)))))
        """,
    )
    memory = Memory(store, MemoryType(Limits(1)))
    memory.write(store, b"\x64")
    imports = [
        Func(store, FuncType([], [ValType.I32]), lambda: 1),
        Global(store, GlobalType(ValType.I32, True), 10),
        Table(store, TableType(ValType.FUNCREF, Limits(1)), None),
        memory,
        Tag(store, TagType(FuncType([ValType.I32], []))),
    ]
    assert Instance(store, module, imports).exports(store)["sum"](store) == 111
    assert Instance(store, module, tuple(imports)).exports(store)["sum"](store) == 111


def test_exports_of_one_instance_are_imports_of_another(store: Store, exports_of: Any) -> None:
    first = exports_of('(func (export "f") (result i32) (i32.const 7))')
    second = exports_of('(import "" "" (func (result i32))) (export "g" (func 0))', first["f"])
    assert second["g"](store) == 7


def test_the_number_of_imports_must_fit(store: Store) -> None:
    module = Module(store.engine, '(import "a" "b" (func))')
    with pytest.raises(WasmtimeError, match="expected 1 imports, found 0"):
        Instance(store, module, [])
    func = Func(store, FuncType([], []), lambda: None)
    with pytest.raises(WasmtimeError, match="expected 1 imports, found 2"):
        Instance(store, module, [func, func])


def test_the_types_of_imports_must_fit(store: Store) -> None:
    module = Module(store.engine, '(import "a" "b" (func (param i32)))')
    with pytest.raises(WasmtimeError, match=r"(?s)incompatible import type.*expected.*found"):
        Instance(store, module, [Func(store, FuncType([], []), lambda: None)])
    with pytest.raises(WasmtimeError, match="incompatible import type"):
        Instance(store, module, [Memory(store, MemoryType(Limits(1)))])


def test_imports_of_no_kind(store: Store) -> None:
    module = Module(store.engine, '(import "a" "b" (func))')
    for wrong in (
        1,
        None,
        lambda: None,
        module,
        Instance(store, Module(store.engine, "(module)"), []),
    ):
        with pytest.raises(TypeError, match="import 1: expected a Func"):
            Instance(store, module, [wrong])  # type: ignore[list-item]
    with pytest.raises(TypeError):
        Instance(store, module, 1)  # type: ignore[arg-type]


def test_start_functions_run(store: Store) -> None:
    ran = []
    func = Func(store, FuncType([], []), lambda: ran.append(1))
    Instance(store, Module(store.engine, '(import "" "" (func)) (start 0)'), [func])
    assert ran == [1]


def test_start_functions_that_trap(store: Store) -> None:
    with pytest.raises(Trap, match="unreachable"):
        Instance(store, Module(store.engine, "(func unreachable) (start 0)"), [])


def test_data_that_does_not_fit_traps(store: Store) -> None:
    with pytest.raises(Trap, match="out of bounds memory access"):
        Instance(store, Module(store.engine, '(memory 1) (data (i32.const 65536) "x")'), [])


def test_arguments_of_the_constructor(engine: Engine, store: Store) -> None:
    module = Module(engine, "(module)")
    Instance(store=store, module=module, imports=[])
    with pytest.raises(TypeError, match="module must be a Module"):
        Instance(store, 1, [])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="store must be"):
        Instance(engine, module, [])  # type: ignore[arg-type]
    with pytest.raises(WasmtimeError, match="another engine"):
        Instance(Store(), module, [])


def test_pieces_outlive_their_instance(store: Store) -> None:
    func = Instance(
        store, Module(store.engine, '(func (export "f") (result i32) (i32.const 3))'), []
    ).exports(store)["f"]
    assert func(store) == 3  # type: ignore[operator]


# --- many exports --------------------------------------------------------------------------------


def many_exports(engine: Engine, count: int) -> Module:
    exports = "".join(f'(export "f{n}" (func {n % 2}))' for n in range(count))
    return Module(engine, f"(module (func) (func (param i32) (result i32) local.get 0) {exports})")


def test_time_grows_with_the_number_of_exports_and_not_with_its_square(engine: Engine) -> None:
    # The library's enumeration begins anew for each index: 30 seconds for so many.
    count = 40_000
    module = many_exports(engine, count)
    store = Store(engine)
    exports = Instance(store, module, []).exports(store)
    begin = time.perf_counter()
    assert exports[f"f{count - 1}"](store, 7) == 7  # type: ignore[operator]
    assert len(exports.by_index) == len(exports) == count
    assert list(exports.items())[7] == ("f7", exports["f7"])
    assert len(module.exports) == count
    assert time.perf_counter() - begin < 10


def test_one_of_many_exports_costs_one_look(engine: Engine, store: Store) -> None:
    exports: Any = Instance(store, many_exports(engine, 1000), []).exports(store)
    gc.collect()
    before = sum(type(thing) is Func for thing in gc.get_objects())
    assert exports["f7"] is exports["f7"]
    assert "f8" in exports
    assert exports.get("g") is None
    assert sum(type(thing) is Func for thing in gc.get_objects()) == before + 2


def test_the_order_is_the_modules_whatever_was_asked_for_first(store: Store) -> None:
    exports = Instance(store, many_exports(store.engine, 10), []).exports(store)
    last = exports["f9"]
    names = [f"f{n}" for n in range(10)]
    assert list(exports) == list(exports.keys()) == names
    assert exports.by_index[9] is last
    assert list(exports.values()) == list(exports.by_index)
    assert exports.by_index is exports.by_index
    assert repr(exports).index("f0") < repr(exports).index("f9")


@pytest.mark.parametrize("key", [0, None, b"f", "\ud800", ("f",)])
def test_keys_that_are_no_names(exports_of: Any, key: Any) -> None:
    for exports in (exports_of(FOUR), listed := exports_of(FOUR)):
        assert exports is not listed or exports.by_index
        assert key not in exports
        with pytest.raises(KeyError):
            exports[key]
    with pytest.raises(TypeError, match="unhashable"):
        listed[[]]


@pytest.mark.parametrize("gone", ["closed", "collected"])
def test_names_are_known_without_the_store_and_exports_are_not(engine: Engine, gone: str) -> None:
    store = Store(engine)
    exports = Instance(store, Module(engine, f"(module {FOUR})"), []).exports(store)
    found = exports["f"]
    if gone == "closed":
        store.close()
    else:
        del store
        gc.collect()
    assert list(exports) == ["f", "g", "t", "m"]
    assert len(exports) == 4
    assert exports["f"] is found
    reason = "store: already closed" if gone == "closed" else "the store of these exports is gone"
    for use in (lambda: exports["m"], lambda: "m" in exports, lambda: exports.by_index):
        with pytest.raises(ValueError, match=reason):
            use()


def test_names_outlive_the_closing_of_the_module(engine: Engine, store: Store) -> None:
    module = Module(engine, f"(module {FOUR})")
    pre = Linker(engine).instantiate_pre(module)
    instances = [Instance(store, module, []), Linker(engine).instantiate(store, module)]
    module.close()
    instances.append(pre.instantiate(store))
    for instance in instances:
        assert list(instance.exports(store)) == ["f", "g", "t", "m"]


def test_exports_are_looked_up_inside_a_call(store: Store) -> None:
    seen: list[Any] = []
    look = Func(store, FuncType([], []), lambda: seen.append(exports["m"].size(store)))
    module = Module(
        store.engine,
        """(module (import "" "" (func $look))
            (func (export "f") (call $look)) (memory (export "m") 3))""",
    )
    exports: Any = Instance(store, module, [look]).exports(store)
    exports["f"](store)
    assert seen == [3]


def test_a_shared_memory_among_exports_is_one_object(engine: Engine) -> None:
    config = Config()
    config.shared_memory = config.wasm_threads = True
    store = Store(Engine(config))
    module = Module(store.engine, '(module (memory (export "m") 1 1 shared))')
    exports = Instance(store, module, []).exports(store)
    assert isinstance(exports["m"], SharedMemory)
    assert exports["m"] is exports["m"] is exports.by_index[0]
