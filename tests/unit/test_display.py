"""
How objects show themselves, at the prompt and in notebooks: in every state, with hostile names.
"""

from __future__ import annotations

import sys
import sysconfig
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
from support import needs

import wasmtime
from wasmtime import (
    Config,
    Engine,
    Func,
    FuncType,
    Global,
    GlobalType,
    Instance,
    Limits,
    Memory,
    MemoryType,
    Module,
    SharedMemory,
    Store,
    Table,
    Trap,
    Val,
    ValType,
)
from wasmtime.component import Component, Linker

TEXT = """(module $calc
    (import "host" "log" (func (param i32)))
    (memory (export "memory") 2)
    (table (export "table") 3 funcref)
    (global (export "answer") i32 (i32.const 42))
    (global (export "seen") (mut externref) (ref.null extern))
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func (export "pair") (result i64 f32) (i64.const 1) (f32.const 2))
    (func (export "fail") unreachable))"""


TABLES = """(module
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (table (export "table") 3 funcref)
    (tag (export "tag") (param i32)))"""


@pytest.fixture
def exports(store: Store) -> Any:
    log = Func(store, FuncType([ValType.I32], []), lambda n: None)
    return Instance(store, Module(store.engine, TEXT), [log]).exports(store)


def test_a_module_tells_its_name_its_imports_and_its_exports(engine: Engine) -> None:
    module = Module(engine, TEXT)
    assert repr(module) == (
        "<wasmtime.Module 'calc': imports host.log; "
        "exports memory, table, answer, seen, add, pair, fail>"
    )
    assert repr(Module(engine, "(module)")) == "<wasmtime.Module: imports nothing; exports nothing>"
    many = Module(engine, "".join(f'(func (export "f{n}"))' for n in range(100)))
    assert repr(many).endswith("f6, f7 and 92 more>")
    module.close()
    assert repr(module) == "<wasmtime.Module 'calc': closed>"


def test_items_tell_their_types_and_sizes(exports: Any) -> None:
    assert repr(exports["add"]).startswith("<wasmtime.Func: (i32, i32) -> i32 at 0x")
    assert repr(exports["pair"]).startswith("<wasmtime.Func: () -> (i64, f32) at 0x")
    assert repr(exports["memory"]) == "<wasmtime.Memory: 2 pages, 131072 bytes>"
    assert repr(exports["table"]) == "<wasmtime.Table: 3 x funcref>"
    assert repr(exports["answer"]) == "<wasmtime.Global: i32 = 42>"
    assert repr(exports["seen"]) == "<wasmtime.Global: mut externref>"
    shared = Engine(Config(wasm_threads=True, shared_memory=True))
    memory = SharedMemory(shared, MemoryType(Limits(1, 2), shared=True))
    assert repr(memory) == "<wasmtime.SharedMemory: 1 page, 65536 bytes>"


def test_an_engine_and_a_store_tell_what_was_set() -> None:
    assert repr(Engine()) == "<wasmtime.Engine>"
    store = Store(Engine(Config(consume_fuel=True)))
    assert repr(store.engine) == "<wasmtime.Engine: consume_fuel=True>"
    store.set_fuel(500)
    store.set_timeout(1.5)
    store.set_limits(memory_size=65536, instances=3)
    assert repr(store) == (
        "<wasmtime.Store: fuel 500, timeout 1.5 s, memory_size 65536, instances 3>"
    )
    assert repr(Store()) == "<wasmtime.Store>"
    store.close()
    assert repr(store) == "<wasmtime.Store: closed>"


def test_a_component_tells_its_imports_and_its_exports(engine: Engine) -> None:
    component = Component(engine, '(component (import "a:b/c" (instance)) (import "f" (func)))')
    assert repr(component) == ("<wasmtime.component.Component: imports a:b/c, f; exports nothing>")


def test_items_of_a_store_that_is_closed_or_gone(exports: Any, store: Store) -> None:
    items = [exports[name] for name in exports]
    store.close()
    assert all("closed" in repr(item) for item in items)
    gone = Memory(Store(), MemoryType(Limits(1)))
    assert repr(gone) == "<wasmtime.Memory: its store is gone>"


@pytest.mark.parametrize("cls", [Func, Memory, Table, Global, Store, Module, Engine, Component])
def test_objects_that_were_never_made(cls: Any) -> None:
    assert "wasmtime" in repr(cls.__new__(cls))


def test_a_store_that_another_thread_uses_says_so(store: Store) -> None:
    inside, leave = threading.Event(), threading.Event()
    memory = Memory(store, MemoryType(Limits(1)))

    def wait() -> None:
        inside.set()
        leave.wait(30)

    func = Func(store, FuncType([], []), wait)
    thread = threading.Thread(target=func, args=(store,))
    thread.start()
    assert inside.wait(30)
    shown = repr(memory)
    leave.set()
    thread.join()
    assert shown == "<wasmtime.Memory: in use>"


@pytest.mark.skipif(
    bool(sysconfig.get_config_var("Py_GIL_DISABLED")), reason="there is no lock to keep"
)
def test_showing_is_not_in_the_way_of_the_thread_whose_store_it_is(store: Store) -> None:
    exports = Instance(store, Module(store.engine, TABLES), []).exports(store)
    add, table, tag = exports["add"], exports["table"], exports["tag"]
    shown, done = [""], threading.Event()

    def show() -> None:
        while not done.is_set():
            shown.append(repr((store, add, table, tag)))

    thread = threading.Thread(target=show)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread.start()
    try:
        while (
            thread.is_alive() and len(shown) < 200
        ):  # each call would raise, were the store found in use
            time.sleep(0)
            assert add(store, 1, 2) == 3
            assert table.size(store) == 3
    finally:
        sys.setswitchinterval(interval)
        done.set()
        thread.join()


def test_tags_instances_and_bound_functions_tell_what_they_are(engine: Engine) -> None:
    store = Store(engine)
    instance = Instance(store, Module(engine, TABLES), [])
    exports = instance.exports(store)
    assert repr(instance) == "<wasmtime.Instance: exports add, table, tag>"
    assert repr(exports["tag"]) == "<wasmtime.Tag: (i32) -> ()>"
    bound = exports["add"].bind(store)
    assert repr(bound).startswith("<wasmtime.BoundFunc of <wasmtime.Func: (i32, i32) -> i32")
    component = Linker(engine).instantiate(store, Component(engine, "(component)"))
    assert repr(component) == "<wasmtime.component.Instance: exports nothing>"
    store.close()
    assert repr(instance) == "<wasmtime.Instance: closed>"
    assert repr(component) == "<wasmtime.component.Instance: closed>"


def test_a_store_tells_how_far_its_deadline_is() -> None:
    store = Store()
    store.set_epoch_deadline(2)
    assert repr(store) == "<wasmtime.Store: deadline in 2 epochs>"
    store.engine.increment_epoch()
    assert repr(store) == "<wasmtime.Store: deadline in 1 epoch>"
    store.engine.increment_epoch()
    store.engine.increment_epoch()
    assert repr(store) == "<wasmtime.Store: deadline in 0 epochs>"


def test_a_table_for_a_notebook_has_an_end(engine: Engine) -> None:
    exports = "".join(f'(export "f{n}" (func 0))' for n in range(1000))
    html = Module(engine, f"(module (func) {exports})")._repr_html_()
    assert html.count("<tr>") == 101
    assert "and 900 more" in html


def test_names_of_guests_are_escaped(engine: Engine) -> None:
    name = "\\1b[31m<script>alert(1)</script>\\0a"
    module = Module(engine, f'(module ${{name}} (func (export "{name}")))'.replace("{name}", "n"))
    for text in (repr(module), module._repr_html_()):
        assert "\x1b" not in text
        assert "\n" not in repr(module)
    assert "<script>" not in module._repr_html_()
    assert "&lt;script&gt;" in module._repr_html_()


def test_notebooks_show_tables(exports: Any, store: Store, engine: Engine) -> None:
    html = Module(engine, TEXT)._repr_html_()
    assert "import host.log" in html
    assert "export add" in html
    component = Component(engine, '(component (import "f" (func)))')
    assert "import f: func()" in component._repr_html_()
    with pytest.raises(Trap) as caught:
        exports["fail"](store)
    html = caught.value._repr_html_()
    assert "UNREACHABLE" in html
    assert "calc!" in html
    assert "made by the host" in Trap("of mine")._repr_html_()


def test_exports_are_completed_by_key(exports: Any) -> None:
    assert exports._ipython_key_completions_() == list(exports)


def test_a_cell_of_text_becomes_a_module_or_component() -> None:
    magics: dict[str, Any] = {}

    def register(function: Any, kind: str, name: str) -> None:
        magics[name] = function

    session = SimpleNamespace(user_ns={}, register_magic_function=register)
    wasmtime.load_ipython_extension(session)
    made = magics["wat"]("calc", TEXT)
    assert session.user_ns["calc"] is made
    assert isinstance(magics["wat"]("", "(component)"), Component)
    with pytest.raises(ValueError, match="one name"):
        magics["wat"]("a b", "(module)")


@needs("IPython")
def test_the_magic_in_ipython() -> None:
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell()
    shell.run_line_magic("load_ext", "wasmtime")
    shell.run_cell_magic("wat", "calc", TEXT)
    assert isinstance(shell.user_ns["calc"], Module)


def test_a_value_that_is_wrapped_is_shown_as_before(store: Store) -> None:
    item = Global(store, GlobalType(ValType.I64, True), Val.i64(7))
    assert repr(item) == "<wasmtime.Global: mut i64 = 7>"
