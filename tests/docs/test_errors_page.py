"""
The page about errors quotes messages that programs meet.
"""

from __future__ import annotations

import copy
import pickle
import re
import threading
from collections.abc import Generator
from typing import Any, Callable

import pytest
from support import CHECKOUT

from wasmtime import (
    Caller,
    Config,
    Engine,
    Func,
    FuncType,
    Instance,
    Limits,
    Linker,
    Memory,
    MemoryType,
    Module,
    Store,
    ValType,
    wat2wasm,
)
from wasmtime import component as components
from wasmtime.sandbox import Program

PAGE = (CHECKOUT / "docs" / "errors.md").read_text(encoding="utf-8")
WASI = '(import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))'
ASKING = """
(component
  (import "ask" (func $ask (param "n" u32) (result u32)))
  (core func $ask (canon lower (func $ask)))
  (core module $m
    (import "" "ask" (func $ask (param i32) (result i32)))
    (func (export "run") (param i32) (result i32) (call $ask (local.get 0)))
    (func (export "fail") unreachable))
  (core instance $i (instantiate $m (with "" (instance (export "ask" (func $ask))))))
  (func (export "run") (param "n" u32) (result u32) (canon lift (core func $i "run")))
  (func (export "fail") (canon lift (core func $i "fail"))))
"""
provocations: dict[str, Callable[[], object]] = {}


def provokes(*messages: str) -> Callable[[Callable[[], object]], Callable[[], object]]:
    """
    Note which messages a function leads to.
    """

    def note(function: Callable[[], object]) -> Callable[[], object]:
        provocations.update(dict.fromkeys(messages, function))
        return function

    return note


def function(text: str, config: Config | None = None) -> tuple[Store, Any]:
    """
    A new store, and the only export of a module in it.
    """
    store = Store(Engine(config or Config()))
    exports = Instance(store, Module(store.engine, text), []).exports(store)
    return store, exports[next(iter(exports))]


provokes("magic header not detected")(lambda: Module(Engine(), b"\0<html>"))
provokes("unexpected end-of-file")(lambda: Module(Engine(), b"\0asm\1\0\0\0\1\5"))
provokes("was given a WebAssembly component")(lambda: Module(Engine(), wat2wasm("(component)")))
provokes("use deserialize()")(lambda: Module(Engine(), Module(Engine(), "(module)").serialize()))
provokes("it does not export _start")(lambda: Program('(func (export "f"))'))
provokes("fuel is not configured")(lambda: Store().set_fuel(1))
provokes("cannot be pickled")(lambda: pickle.dumps(Store()))
provokes("neither copied nor pickled")(lambda: copy.copy(function('(func (export "f"))')[1]))
provokes("unknown import")(
    lambda: Linker(engine := Engine()).instantiate(
        Store(engine), Module(engine, '(import "env" "f" (func))')
    )
)
provokes("belongs to another engine")(lambda: Instance(Store(), Module(Engine(), "(module)"), []))
provokes("of the component's imports")(
    lambda: components.Linker(engine := Engine()).instantiate(
        Store(engine), components.Component(engine, ASKING)
    )
)


@provokes("a wasm module with a component parser")
def _() -> object:
    return components.Component(Engine(), wat2wasm("(module)"))


@provokes("support is not enabled")
def _() -> object:
    config = Config(wasm_simd=False, wasm_relaxed_simd=False)
    return Module(Engine(config), "(func (param v128))")


@provokes("without the gc feature")
def _() -> object:
    return Module(Engine(Config(wasm_gc=False)), "(type (struct))")


@provokes("call linker.define_wasi()")
def _() -> object:
    engine = Engine()
    return Linker(engine).instantiate(Store(engine), Module(engine, WASI))


@provokes("WASI is not configured")
def _() -> object:
    engine = Engine()
    linker = Linker(engine)
    linker.define_wasi()
    return linker.instantiate(Store(engine), Module(engine, WASI))


@provokes("incompatible import type")
def _() -> object:
    engine = Engine()
    linker = Linker(engine)
    linker.define_func("env", "f", FuncType([ValType.i64()], []), print)
    module = Module(engine, '(import "env" "f" (func (param i32)))')
    return linker.instantiate(Store(engine), module)


@provokes("exceeds memory limits")
def _() -> object:
    store = Store()
    store.set_limits(memory_size=1 << 16)
    return Memory(store, MemoryType(Limits(2)))


@provokes("memory count too high")
def _() -> object:
    store = Store()
    store.set_limits(total_memory=1 << 20)
    return Instance(store, Module(store.engine, "(memory 1) (memory 1)"), [])


@provokes("belongs to another store")
def _() -> object:
    store, call = function('(func (export "f"))')
    return call(Store(store.engine))


@provokes("in use by another thread")
def _() -> object:
    inside, leave = threading.Event(), threading.Event()
    store = Store()

    def wait() -> None:
        inside.set()
        leave.wait(60)

    func = Func(store, wait)
    thread = threading.Thread(target=func, args=(store,))
    thread.start()
    try:
        assert inside.wait(60)
        return func(store)
    finally:
        leave.set()
        thread.join()


@provokes("already closed")
def _() -> object:
    store, call = function('(func (export "f"))')
    store.close()
    return call(store)


@provokes("does not fit i32")
def _() -> object:
    store, call = function('(func (export "f") (param i32))')
    return call(store, 1 << 32)


@provokes("no longer valid")
def _() -> object:
    store = Store()
    kept: list[Caller] = []
    func = Func(store, FuncType([], []), kept.append, access_caller=True)
    func(store)
    return func(kept[0])


@provokes("cannot enter component instance")
def _() -> object:
    engine = Engine()
    component = components.Component(engine, ASKING)
    linker = components.Linker(engine)
    linker.define_imports(component, {"ask": abs})
    store = Store(engine)
    exports = linker.instantiate(store, component).exports(store)
    with pytest.raises(components.ComponentTrap, match="unreachable"):
        exports.fail(store)
    return exports.run(store, 1)


@provokes("call the guest with call_async()")
def _() -> object:
    class Never:
        def __await__(self) -> Generator[None, None, None]:
            yield

    async def ask(n: int) -> int:
        await Never()
        return n

    engine = Engine()
    component = components.Component(engine, ASKING)
    linker = components.Linker(engine)
    linker.define_imports(component, {"ask": ask})
    store = Store(engine)
    return linker.instantiate(store, component).exports(store).run(store, 1)


@provokes("bytes of native stack left")
def _() -> object:
    raised: list[BaseException] = []

    def run() -> None:
        try:
            store, call = function('(func (export "f"))', Config(max_wasm_stack=4 << 20))
            call(store)
        except BaseException as error:
            raised.append(error)

    former = threading.stack_size(512 << 10)
    try:
        thread = threading.Thread(target=run)
        thread.start()
    finally:
        threading.stack_size(former)
    thread.join()
    raise raised[0]


@provokes("all fuel consumed")
def _() -> object:
    store, call = function('(func (export "f"))', Config(consume_fuel=True))
    return call(store)


@provokes("set_timeout() is up", "wasm trap: interrupt")
def _() -> object:
    store, call = function('(func (export "f") (loop (br 0)))')
    store.set_timeout(0.01)
    return call(store)


@provokes("call stack exhausted")
def _() -> object:
    store, call = function('(func $f (export "f") (call $f))')
    return call(store)


@provokes("out of bounds memory access")
def _() -> object:
    store, call = function('(memory 1) (func (export "f") (drop (i32.load (i32.const -4))))')
    return call(store)


@provokes("unreachable")
def _() -> object:
    store, call = function('(func (export "f") unreachable)')
    return call(store)


@provokes("not all inside the memory")
def _() -> object:
    store = Store()
    return Memory(store, MemoryType(Limits(1))).read_str(store, -1, 2)


#: What it takes another process, system or Python to see, or a long time.
ELSEWHERE = {
    "The guest ended",
    "later",
    "too much data is being copied",
    "mmap failed to reserve",
    "unable to make memory executable",
}


def quoted() -> set[str]:
    """
    The messages that the page quotes, but for those of guests, of the sandbox and at import.
    """
    page = PAGE.partition("## In the sandbox")[0]
    first = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    return {message for cell in first for message in re.findall("`([^`]+)`", cell)}


def test_every_message_that_is_quoted_is_tried() -> None:
    assert quoted() - ELSEWHERE == set(provocations)


@pytest.mark.parametrize("message", provocations)
def test_the_message_is_what_a_program_meets(message: str) -> None:
    with pytest.raises(Exception, match=re.escape(message)):
        provocations[message]()
