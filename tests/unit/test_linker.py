"""
Linkers: names for imports, and what happens when one is missing, taken or wrong.
"""

from __future__ import annotations

import gc
import time
import weakref
from typing import Any, Optional

import pytest

from wasmtime import (
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
    Trap,
    ValType,
    WasiConfig,
    WasmtimeError,
)

NOTHING = FuncType([], [])


@pytest.fixture
def linker(engine: Engine) -> Linker:
    """
    A linker without definitions.
    """
    return Linker(engine)


def test_items_are_found_by_both_names(store: Store, linker: Linker) -> None:
    linker.define(store, "env", "memory", Memory(store, MemoryType(Limits(1))))
    linker.define(store, "env", "one", Global(store, GlobalType(ValType.I32, False), 1))
    linker.define_func("env", "double", FuncType([ValType.I32], [ValType.I32]), lambda n: 2 * n)
    module = Module(
        store.engine,
        """
        (import "env" "one" (global $one i32))
        (import "env" "double" (func $double (param i32) (result i32)))
        (import "env" "memory" (memory 1))
        (func (export "two") (result i32) (call $double (global.get $one)))
        """,
    )
    assert linker.instantiate(store, module).exports(store)["two"](store) == 2
    assert isinstance(linker.get(store, "env", "memory"), Memory)
    with pytest.raises(WasmtimeError, match="item not defined in linker"):
        linker.get(store, "env", "absent")


def test_a_name_can_be_taken_once(store: Store, linker: Linker) -> None:
    func = Func(store, NOTHING, lambda: None)
    linker.define(store, "a", "b", func)
    with pytest.raises(WasmtimeError, match="import of `a::b` defined twice"):
        linker.define(store, "a", "b", func)
    with pytest.raises(WasmtimeError, match="defined twice"):
        linker.define_func("a", "b", NOTHING, lambda: None)


@pytest.mark.parametrize("how", ["assign", "call"])
def test_shadowing_can_be_allowed(store: Store, linker: Linker, how: str) -> None:
    assert not linker.allow_shadowing
    if how == "assign":
        linker.allow_shadowing = True
    else:
        linker.allow_shadowing(True)
    assert linker.allow_shadowing
    one = FuncType([], [ValType.I32])
    linker.define_func("a", "b", one, lambda: 1)
    linker.define_func("a", "b", one, lambda: 2)
    module = Module(store.engine, '(import "a" "b" (func (result i32))) (export "f" (func 0))')
    assert linker.instantiate(store, module).exports(store)["f"](store) == 2
    linker.allow_shadowing = False
    with pytest.raises(WasmtimeError, match="defined twice"):
        linker.define_func("a", "b", one, lambda: 3)
    with pytest.raises(TypeError):
        linker.allow_shadowing = 1  # type: ignore[assignment]


def test_a_shadowed_function_still_serves_who_has_it(store: Store, linker: Linker) -> None:
    linker.allow_shadowing = True
    module = Module(store.engine, '(import "a" "b" (func (result i32))) (export "f" (func 0))')
    found = []
    for n in range(20):
        linker.define_func("a", "b", FuncType([], [ValType.I32]), lambda n=n: n)
        found.append(linker.instantiate(store, module).exports(store)["f"])
    gc.collect()
    assert [f(store) for f in found] == list(range(20))


def test_every_missing_import_is_listed_with_its_type(store: Store, linker: Linker) -> None:
    linker.define_func("env", "there", NOTHING, lambda: None)
    module = Module(
        store.engine,
        """
        (import "env" "there" (func))
        (import "env" "f" (func (param i32 i64) (result f32)))
        (import "env" "m" (memory 2 3))
        (import "other" "g" (global (mut f64)))
        (import "other" "t" (table 4 externref))
        """,
    )
    with pytest.raises(WasmtimeError, match="unknown import") as caught:
        linker.instantiate(store, module)
    message = str(caught.value)
    assert "4 of the module's 5 imports" in message
    for line in (
        "'env' 'f': (func (param i32 i64) (result f32))",
        "'env' 'm': (memory 2 3)",
        "'other' 'g': (global (mut f64))",
        "'other' 't': (table 4 externref)",
    ):
        assert line in message
    assert "there" not in message


def test_missing_wasi_says_how_to_define_it(store: Store, linker: Linker) -> None:
    module = Module(
        store.engine, '(import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))'
    )
    with pytest.raises(WasmtimeError, match="define_wasi"):
        linker.instantiate(store, module)


def test_wasi_without_a_configuration_says_how_to_give_one(engine: Engine) -> None:
    linker = Linker(engine)
    linker.define_wasi()
    module = Module(
        engine,
        """(import "wasi_snapshot_preview1" "sched_yield" (func $f (result i32)))
        (memory (export "memory") 1) (func (export "run") (drop (call $f)))""",
    )
    store = Store(engine)
    with pytest.raises((WasmtimeError, Trap), match="set_wasi"):
        linker.instantiate(store, module).exports(store)["run"](store)


@pytest.mark.parametrize("form", ["both", "keyword", "seed keyword", "apart"])
def test_wasi_can_be_defined_in_each_form(engine: Engine, form: str) -> None:
    linker, store = Linker(engine), Store(engine)
    if form == "both":
        linker.define_wasi(store, WasiConfig())
    elif form == "keyword":
        linker.define_wasi(store=store, config=WasiConfig())
    elif form == "seed keyword":
        linker.define_wasi(store=store, wasi_config=WasiConfig())
    else:
        linker.define_wasi()
        store.set_wasi(WasiConfig())
    module = Module(
        engine,
        """(import "wasi_snapshot_preview1" "sched_yield" (func $f (result i32)))
        (memory (export "memory") 1) (func (export "run") (result i32) (call $f))""",
    )
    assert linker.instantiate(store, module).exports(store)["run"](store) == 0


def test_half_a_wasi_is_refused(store: Store, linker: Linker) -> None:
    with pytest.raises(TypeError):
        linker.define_wasi(store)
    with pytest.raises(TypeError):
        linker.define_wasi(store, 1)
    with pytest.raises(TypeError):
        linker.define_wasi(nonsense=1)


def test_imports_of_a_wrong_type_say_expected_and_given(store: Store, linker: Linker) -> None:
    linker.define_func("a", "b", FuncType([ValType.I64], []), lambda n: None)
    module = Module(store.engine, '(import "a" "b" (func (param i32)))')
    with pytest.raises(WasmtimeError) as caught:
        linker.instantiate(store, module)
    message = str(caught.value)
    assert "incompatible import type for `a::b`" in message
    assert "(func (param i32))" in message
    assert "(func (param i64))" in message


def test_the_exports_of_an_instance(store: Store, linker: Linker) -> None:
    text = '(func (export "f") (result i32) (i32.const 7))'
    linker.define_instance(store, "lib", Instance(store, Module(store.engine, text), []))
    module = Module(store.engine, '(import "lib" "f" (func (result i32))) (export "g" (func 0))')
    assert linker.instantiate(store, module).exports(store)["g"](store) == 7
    with pytest.raises(TypeError):
        linker.define_instance(store, "x", module)  # type: ignore[arg-type]


def test_a_module_as_a_program_and_as_a_library(store: Store, linker: Linker) -> None:
    ran = []
    linker.define_func("", "note", FuncType([ValType.I32], []), ran.append)
    library = Module(
        store.engine,
        """(import "" "note" (func $note (param i32)))
        (func (export "_initialize") (call $note (i32.const 1)))
        (func (export "f") (call $note (i32.const 2)))""",
    )
    linker.define_module(store, "library", library)
    assert ran == [1]
    linker.get(store, "library", "f")(store)  # type: ignore[operator]
    assert ran == [1, 2]
    program = Module(
        store.engine,
        """(import "" "note" (func $note (param i32)))
        (func (export "_start") (call $note (i32.const 3)))""",
    )
    linker.define_module(store, "program", program)
    linker.get_default(store, "program")(store)
    assert ran == [1, 2, 3]


def test_the_default_of_nothing_does_nothing(store: Store, linker: Linker) -> None:
    default = linker.get_default(store, "absent")
    assert isinstance(default, Func)
    assert default(store) is None


def test_imports_resolved_beforehand(engine: Engine, linker: Linker) -> None:
    linker.define_func("a", "b", FuncType([], [ValType.I32]), lambda: 7)
    module = Module(engine, '(import "a" "b" (func (result i32))) (export "f" (func 0))')
    pre = linker.instantiate_pre(module)
    assert pre.module is module
    linker.close()
    for _ in range(3):
        store = Store(engine)
        assert pre.instantiate(store).exports(store)["f"](store) == 7
    pre.close()
    with pytest.raises(ValueError, match="closed"):
        pre.instantiate(Store(engine))


def test_resolving_beforehand_lists_what_is_missing(engine: Engine, linker: Linker) -> None:
    with pytest.raises(WasmtimeError, match="unknown import"):
        linker.instantiate_pre(Module(engine, '(import "a" "b" (func))'))


def test_definitions_tied_to_a_store_stay_with_it(engine: Engine, linker: Linker) -> None:
    home = Store(engine)
    linker.define(home, "a", "b", Func(home, NOTHING, lambda: None))
    module = Module(engine, '(import "a" "b" (func))')
    linker.instantiate(home, module)
    with pytest.raises(WasmtimeError):
        linker.instantiate(Store(engine), module)
    with pytest.raises(WasmtimeError):
        linker.instantiate_pre(module).instantiate(Store(engine))


def test_unknown_imports_as_traps(store: Store, linker: Linker) -> None:
    module = Module(store.engine, '(import "a" "b" (func $f)) (func (export "run") (call $f))')
    linker.define_unknown_imports_as_traps(module)
    run = linker.instantiate(store, module).exports(store)["run"]
    with pytest.raises((Trap, WasmtimeError), match="unknown import"):
        run(store)  # type: ignore[operator]


def test_unknown_imports_as_default_values(store: Store, linker: Linker) -> None:
    module = Module(
        store.engine,
        '(import "a" "b" (func $f (result i32))) (func (export "run") (result i32) (call $f))',
    )
    linker.define_unknown_imports_as_default_values(store, module)
    assert linker.instantiate(store, module).exports(store)["run"](store) == 0  # type: ignore


@pytest.mark.parametrize("name", ["", "a b", "\0", "\U0001f600"], ids=ascii)
def test_any_text_is_a_name(store: Store, linker: Linker, name: str) -> None:
    linker.define_func(name, name, NOTHING, lambda: None)
    linker.define(store, name + "x", name, Func(store, NOTHING, lambda: None))
    assert isinstance(linker.get(store, name, name), Func)


def test_names_must_be_text(store: Store, linker: Linker) -> None:
    func = Func(store, NOTHING, lambda: None)
    instance = Instance(store, Module(store.engine, "(module)"), [])
    calls: list[Any] = [
        lambda name: linker.define(store, name, "b", func),
        lambda name: linker.define(store, "a", name, func),
        lambda name: linker.define_func(name, "b", NOTHING, lambda: None),
        lambda name: linker.define_func("a", name, NOTHING, lambda: None),
        lambda name: linker.define_instance(store, name, instance),
        lambda name: linker.define_module(store, name, Module(store.engine, "(module)")),
        lambda name: linker.get(store, name, "b"),
        lambda name: linker.get(store, "a", name),
        lambda name: linker.get_default(store, name),
    ]
    for call in calls:
        for wrong in (1, None, b"a"):
            with pytest.raises(TypeError, match="must be a str"):
                call(wrong)
        with pytest.raises(ValueError, match="surrogate"):
            call("\ud800")


def test_a_definition_that_fails_keeps_nothing(linker: Linker) -> None:
    class Callback:
        def __call__(self) -> None: ...

    linker.define_func("a", "b", NOTHING, lambda: None)
    callback = Callback()
    gone = weakref.ref(callback)
    with pytest.raises(WasmtimeError):
        linker.define_func("a", "b", NOTHING, callback)
    del callback
    gc.collect()
    assert gone() is None


def test_a_host_function_can_change_other_linkers_only(engine: Engine, linker: Linker) -> None:
    seen: list[str] = []

    def host() -> None:
        Linker(engine).define_func("x", "y", NOTHING, lambda: None)
        try:
            linker.define_func("x", "y", NOTHING, lambda: None)
        except WasmtimeError as error:
            seen.append(str(error))

    linker.define_func("a", "b", NOTHING, host)
    store = Store(engine)
    linker.instantiate(store, Module(engine, '(import "a" "b" (func $f)) (start $f)'))
    assert len(seen) == 1
    assert "linker is in use" in seen[0]
    linker.define_func("x", "y", NOTHING, lambda: None)


def test_one_linker_can_serve_stores_one_after_the_other(engine: Engine, linker: Linker) -> None:
    linker.allow_shadowing = True
    module = Module(
        engine,
        """(import "env" "memory" (memory 1)) (import "env" "table" (table 1 funcref))
        (func (export "f") (result i32) (i32.load (i32.const 0)))""",
    )
    for n in range(5):
        store = Store(engine)
        memory = Memory(store, MemoryType(Limits(1)))
        memory.write(store, bytes([n]))
        linker.define(store, "env", "memory", memory)
        with pytest.raises(WasmtimeError, match=r"belongs to another store|unknown import"):
            linker.instantiate(store, module)  # the table is still that of the store before
        table = Table(store, TableType(ValType.FUNCREF, Limits(1)), None)
        linker.define(store, "env", "table", table)
        assert linker.instantiate(store, module).exports(store)["f"](store) == n


def test_shadowing_many_functions_takes_no_long_time(linker: Linker) -> None:
    linker.allow_shadowing = True
    begin = time.perf_counter()
    for _ in range(2):
        for n in range(20_000):
            linker.define_func("m", f"f{n}", NOTHING, int)
    assert time.perf_counter() - begin < 15  # half a minute where each makes a new list
    assert len(linker._definitions) < 3 * 20_000


def test_a_function_that_is_shadowed_again_and_again_is_let_go(linker: Linker) -> None:
    class Function:
        def __call__(self) -> None:
            pass

    linker.allow_shadowing = True
    references = []
    for _ in range(10):
        function = Function()
        references.append(weakref.ref(function))
        linker.define_func("m", "f", NOTHING, function)
    del function
    gc.collect()
    assert sum(reference() is not None for reference in references) == 1


@pytest.mark.parametrize(
    ("module", "defined", "hint"),
    [
        ("wasi_snapshot_preview1", False, "call linker.define_wasi()"),
        ("wasi_snapshot_preview1", True, "and not these of wasi_snapshot_preview1"),
        ("wasi_unstable", False, "and not these of wasi_unstable"),
        ("wasi_unstable", True, "compile the program for preview 1"),
        ("wasi_nn", True, "define them with linker.define_func()"),
        ("env", False, None),
        ("env", True, None),
    ],
)
def test_the_hint_for_missing_imports_of_wasi_is_what_helps(
    engine: Engine, linker: Linker, module: str, defined: bool, hint: Optional[str]
) -> None:
    store = Store(engine)
    if defined:
        linker.define_wasi()
        store.set_wasi(WasiConfig())
    with pytest.raises(WasmtimeError, match="unknown import: 1 of") as caught:
        linker.instantiate(store, Module(engine, f'(import "{module}" "f" (func))'))
    assert ("define_wasi" in str(caught.value)) == (hint is not None)
    assert hint is None or hint in str(caught.value)
    if defined:
        assert "call linker.define_wasi()" not in str(caught.value)
