"""
What type checkers know of the items that are looked up by kind, and of memories.

The checkers hold each `assert_type` against what they inferred, and the tests run the program, so
that what is promised is also what happens.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional, Protocol, Union

import numpy
from numpy.typing import NDArray

import wasmtime.component as component
import wasmtime.sandbox as sandbox
from wasmtime import (
    AsExtern,
    Caller,
    Config,
    Engine,
    Func,
    FuncType,
    Global,
    Instance,
    Limits,
    Linker,
    Memory,
    MemoryType,
    Module,
    SharedMemory,
    Store,
    Table,
    Tag,
    i32,
)

if TYPE_CHECKING:
    from typing_extensions import assert_type
else:

    def assert_type(value: Any, expected: Any) -> Any:
        return value


TEXT = """
(module
  (import "host" "log" (func $log (param i32 i32)))
  (memory (export "memory") 1)
  (table (export "table") 1 funcref)
  (global (export "global") i32 (i32.const 42))
  (tag (export "tag"))
  (data (i32.const 8) "hello")
  (func (export "run") (call $log (i32.const 8) (i32.const 5))))
"""

COMPONENT = """
(component
  (core module $m (func (export "six") (result i32) (i32.const 6)))
  (core instance $i (instantiate $m))
  (func $six (result u32) (canon lift (core func $i "six")))
  (instance $numbers (export "six" (func $six)))
  (export "numbers" (instance $numbers)))
"""


def exports_by_kind(store: Store, instance: Instance) -> None:
    exports = instance.exports(store)
    assert_type(exports["run"], AsExtern)
    assert_type(exports.get_func("run"), Func)
    assert_type(exports.get_memory("memory"), Memory)
    assert_type(exports.get_table("table"), Table)
    assert_type(exports.get_global("global"), Global)
    assert_type(exports.get_tag("tag"), Tag)
    assert_type(exports.get("nothing"), Optional[AsExtern])
    exports.get_func("run")(store)


def definitions_by_kind(store: Store, linker: Linker) -> None:
    assert_type(linker.get(store, "host", "log"), AsExtern)
    assert_type(linker.get_func(store, "host", "log").type(store), FuncType)
    assert_type(linker.get_memory(store, "guest", "memory"), Memory)
    assert_type(linker.get_table(store, "guest", "table"), Table)
    assert_type(linker.get_global(store, "guest", "global"), Global)
    assert_type(linker.get_tag(store, "guest", "tag"), Tag)


def log(caller: Caller, pointer: i32, length: i32) -> None:
    assert_type(caller["memory"], AsExtern)
    memory = assert_type(caller.get_memory("memory"), Memory)
    text = assert_type(memory.read_str(caller, pointer, length), str)
    assert text == "hello"
    assert_type(caller.get_func("run"), Func)
    assert_type(caller.get_global("global"), Global)


def memories(store: Store, memory: Memory) -> None:
    assert_type(memory.read_exact(store, 0, 8), bytearray)
    assert_type(memory.write_str(store, "text\0", 64), int)
    assert_type(memory.read_cstr(store, 64, limit=16), str)
    with memory.view(store, 0, 16, numpy.dtype("<u4")) as view:
        assert_type(view.tolist(), list[int])
    for dtype in ("f32", numpy.float32, numpy.dtype("<f4")):
        array = memory.array(store, 0, 16, dtype)
        assert_type(array, NDArray[Any])
        del array


def shared_memories(engine: Engine) -> None:
    memory = SharedMemory(engine, MemoryType(Limits(1, 2), shared=True))
    assert_type(memory.read_exact(0, 8), bytearray)
    assert_type(memory.write_str("text\0", 64), int)
    assert_type(memory.read_cstr(64), str)
    assert_type(memory.read_str(64, 4), str)
    assert_type(memory.array(0, 16, numpy.uint8, readonly=True), NDArray[Any])
    store = Store(engine)
    linker = Linker(engine)
    linker.define(store, "", "memory", memory)
    assert_type(linker.get_shared_memory(store, "", "memory"), SharedMemory)


def components(engine: Engine) -> None:
    store = Store(engine)
    compiled = component.Component(engine, COMPONENT, cache=False)
    instance = component.Linker(engine).instantiate(store, compiled)
    numbers = assert_type(instance.exports(store).get_instance("numbers"), component.Exports)
    six = assert_type(numbers.get_func("six"), component.Func)
    assert six(store) == 6


def items(item: Union[Func, Memory]) -> AsExtern:
    return item


ADD = '(module (func (export "add") (param i32 i32) (result i32) (local.get 0)))'


class Adder(Protocol):
    def add(self, a: int, b: int) -> int: ...


def sandboxed() -> None:
    limits = sandbox.ResourceLimits(timeout=2, memory="64 MiB", output=None)
    assert_type(limits.memory, Optional[int])
    program = sandbox.Program('(module (func (export "_start")))', limits=limits)
    result = assert_type(program.run("--count", stdin=b"", env={}), sandbox.Result)
    assert_type(result.stdout, bytes)
    assert_type(result.reason, sandbox.Reason)
    with program.start() as running:
        for stream, data in running:
            assert_type(data, bytes)
            print(stream)
    adder = assert_type(sandbox.Plugin(ADD).bind(Adder), Adder)
    assert adder is not None
    assert_type(sandbox.Directory.temporary({"a": "b"}).host, Path)


def main() -> None:
    sandboxed()
    engine = Engine()
    store = Store(engine)
    linker = Linker(engine)
    linker.func("host")(log)
    instance = linker.instantiate(store, Module(engine, TEXT, cache=None))
    linker.define_instance(store, "guest", instance)
    exports_by_kind(store, instance)
    definitions_by_kind(store, linker)
    memories(store, instance.exports(store).get_memory("memory"))
    components(engine)
    config = Config()
    config.shared_memory = True
    shared_memories(Engine(config))


if __name__ == "__main__":
    main()
