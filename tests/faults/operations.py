"""
Operations of the core API, each of which is run again and again while one allocation after the
other fails. `program.py` runs them, in a process of its own.

An operation is a function of one argument, a `World` that was made before anything fails; what it
returns is thrown away. It may end with success, with MemoryError, or with one of the exceptions
that its decorator names.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any, Callable

from prepared import Captured, asking_component, asking_module, lists_component

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
    Val,
    ValType,
    WasiConfig,
    WasmtimeError,
    wat2wasm,
)
from wasmtime._snapshots.restore import restore

I32, I64, F32, F64, V128 = ValType.I32, ValType.I64, ValType.F32, ValType.F64, ValType.V128
EXTERNREF, FUNCREF = ValType.EXTERNREF, ValType.FUNCREF
MANY = 20  # more than fit the slots and argument arrays on the stack


@dataclass(frozen=True)
class Operation:
    """
    One operation.

    Attributes:
        run: What is tried.
        expected: Exceptions that it may end with besides MemoryError.
        exact: Nothing at all may be left behind. False where the Python half takes part: cffi has
            no memory for the object that stands for a pointer when native code has made what it
            points to, and CPython 3.11 itself loses references when it fails to make a cell.
    """

    run: Callable[[Any], Any]
    expected: tuple[type[BaseException], ...]
    exact: bool


OPERATIONS: dict[str, Operation] = {}


def operation(
    *expected: type[BaseException], exact: bool = True
) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
    """
    Register a function under its name.
    """

    def register(run: Callable[[Any], Any]) -> Callable[[Any], Any]:
        OPERATIONS[run.__name__] = Operation(run, expected, exact)
        return run

    return register


class Thing:
    """
    An object that externrefs refer to; it can be referenced weakly.
    """


class HostError(Exception):
    """
    What a host function raises.
    """


def identity(*values: Any) -> Any:
    """
    A host function that returns what it is given.
    """
    return values[0] if len(values) == 1 else values


def nothing(*_values: Any) -> None:
    """
    A host function without results.
    """


def failing(*_values: Any) -> None:
    """
    A host function that raises.
    """
    raise HostError("from the host")


def _names(types: list[str]) -> str:
    return " ".join(types)


SHAPES: dict[str, list[str]] = {
    "none": [],
    "i32": ["i32"],
    "i64": ["i64"],
    "f32": ["f32"],
    "f64": ["f64"],
    "v128": ["v128"],
    "numbers": ["i32", "i64", "f32", "f64", "v128"],
    "many": ["i64"] * MANY,
    "externref": ["externref"],
    "funcref": ["funcref"],
    "anyref": ["anyref"],
    "mixed": ["i32", "externref", "f64", "funcref", "externref", "v128"],
    "many_references": ["externref"] * MANY,
}
TYPES = {
    "i32": I32,
    "i64": I64,
    "f32": F32,
    "f64": F64,
    "v128": V128,
    "externref": EXTERNREF,
    "funcref": FUNCREF,
    "anyref": ValType.ANYREF,
}


def _shape_functions() -> str:
    text = []
    for name, types in SHAPES.items():
        signature = f"(param {_names(types)}) (result {_names(types)})"
        gets = "".join(f"(local.get {i})" for i in range(len(types)))
        text.append(f'(import "" "{name}" (func $host_{name} {signature}))')
        text.append(f'(func (export "wasm_{name}") {signature} {gets})')
        text.append(f'(func (export "host_{name}") {signature} {gets} (call $host_{name}))')
    imports = [line for line in text if line.startswith("(import")]
    return "".join(imports + [line for line in text if not line.startswith("(import")])


TEXT = f"""
(module
  (import "" "failing" (func $failing))
  (import "" "caller" (func $caller))
  {_shape_functions()}
  (memory (export "memory") 1 4)
  (table (export "table") 4 100 externref)
  (table (export "functions") 4 100 funcref)
  (global (export "number") (mut i64) (i64.const 7))
  (global (export "reference") (mut externref) (ref.null extern))
  (tag (export "tag") (param i32))
  (func (export "trap") unreachable)
  (func (export "fail") (call $failing))
  (func (export "call_caller") (call $caller))
  (func (export "i31") (result anyref) (ref.i31 (i32.const 5)))
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
)
"""
SMALL = '(module (import "m" "f" (func (param i32) (result i32))) (func (export "g")))'
STARTING = '(module (import "m" "f" (func)) (start 0) (func (export "g")))'
PRINTING = """
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\\10\\00\\00\\00\\06\\00\\00\\00")
  (data (i32.const 16) "hello\\n")
  (func (export "print")
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 100)))))
"""


class World:
    """
    Everything that operations use, made before allocations fail.
    """

    def __init__(self) -> None:
        config = Config()
        config.consume_fuel = True
        config.wasm_exceptions = True
        config.shared_memory = True
        self.engine = Engine(config)
        self.binary = bytes(wat2wasm(SMALL))
        self.small = Module(self.engine, self.binary)
        self.starting = Module(self.engine, STARTING)
        self.printing = Module(self.engine, PRINTING)
        self.artifact = bytes(self.small.serialize())
        self.module = Module(self.engine, TEXT)
        # Types are made here and not in operations: CPython 3.11 crashes when it has no memory for
        # the iterator of dict.items(), which making a type uses.
        self.types: dict[str, Any] = {
            "memory": MemoryType(Limits(1, 1)),
            "shared": MemoryType(Limits(1, 4), shared=True),
            "table": TableType(EXTERNREF, Limits(2, 5)),
            "reference": GlobalType(EXTERNREF, False),
            "vector": GlobalType(V128, True),
            "tag": TagType(FuncType([I32, EXTERNREF], [])),
        }
        self.shared = SharedMemory(self.engine, self.types["shared"])
        self.foreign = Store(self.engine)
        self.foreign_global = Global(self.foreign, GlobalType(I32, False), 1)
        self.linker = Linker(self.engine)
        self.unary = FuncType([I32], [I32])
        self.linker.define_func("m", "f", self.unary, identity)
        self.starting_linker = Linker(self.engine)
        self.starting_linker.define_func("m", "f", FuncType([], []), failing)
        self.empty_linker = Linker(self.engine)
        self.pre = self.linker.instantiate_pre(self.small)
        self.echo, self.echo_store = lists_component()
        self.plain_engine = Engine()
        self.asking, self.asking_linker = asking_component(self.plain_engine)
        self.waiting, self.waiting_linker = asking_module(self.plain_engine)
        self.captured = Captured()
        self.wasi_linker = Linker(self.engine)
        self.wasi_linker.define_wasi()
        self.signatures = {
            name: FuncType([TYPES[t] for t in types], [TYPES[t] for t in types])
            for name, types in SHAPES.items()
        }
        self.renew()

    def renew(self) -> None:
        """
        A new store, with an instance of everything in it.
        """
        self.store = Store(self.engine)
        self.store.set_fuel(10**9)
        hosts: list[Any] = [
            Func(self.store, FuncType([], []), failing),
            Func(self.store, FuncType([], []), use_caller, access_caller=True),
        ]
        for name, ty in self.signatures.items():
            hosts.append(Func(self.store, ty, identity if SHAPES[name] else nothing))
        self.instance = Instance(self.store, self.module, hosts)
        exports = self.instance.exports(self.store)
        self.exports = {name: exports[name] for name in exports}
        self.thing = Thing()
        self.any = self.exports["i31"](self.store)
        self.values: dict[str, tuple[Any, ...]] = {}
        for name, types in SHAPES.items():
            self.values[name] = tuple(self._value(ty, i) for i, ty in enumerate(types))
        self.printed: list[bytes] = []
        wasi = WasiConfig()
        wasi.stdout_custom = self.printed.append
        self.store.set_wasi(wasi)
        printing = self.wasi_linker.instantiate(self.store, self.printing)
        self.exports["print"] = printing.exports(self.store)["print"]
        self.bound = self.exports["add"].bind(self.store)

    def _value(self, ty: str, index: int) -> Any:
        return {
            "i32": 100_000 + index,
            "i64": 2**40 + index,
            "f32": 0.5,
            "f64": 0.1,
            "v128": bytes(range(16)),
            "externref": self.thing,
            "funcref": self.exports["add"],
            "anyref": self.any,
        }[ty]

    def check(self) -> None:
        """
        The store still works.
        """
        store, exports = self.store, self.exports
        assert exports["add"](store, 2**20, 1) == 2**20 + 1
        assert exports["host_mixed"](store, *self.values["mixed"])[1] is self.thing
        assert exports["host_numbers"](store, *self.values["numbers"])[1] == 2**40 + 1
        assert exports["memory"].read(store, 0, 2) == b"\0\0"
        exports["table"].set(store, 0, None)
        exports["reference"].set_value(store, None)
        assert exports["reference"].value(store) is None
        self.printed.clear()
        self.foreign.set_limits()

    def let_go(self) -> None:
        """
        Close the store, which must not be in use by anything any more.
        """
        self.store.gc()
        self.store.close()


def use_caller(caller: Any) -> None:
    """
    A host function that looks at who called it.
    """
    memory = caller["memory"]
    memory.write(caller, b"\0\0", 4)
    memory.read(caller, 4, 6)
    caller.get("nothing there")
    caller["wasm_i32"](caller, 100_000)


def _add_shapes() -> None:
    for name in SHAPES:
        for side in ("wasm", "host"):

            def run(world: Any, key: str = f"{side}_{name}", name: str = name) -> Any:
                return world.exports[key](world.store, *world.values[name])

            run.__name__ = f"call_{side}_{name}"
            operation()(run)
        if name not in ("none", "many"):

            def refused(world: Any, key: str = f"wasm_{name}", name: str = name) -> Any:
                wrong = [*world.values[name][:-1], "wrong"]
                return world.exports[key](world.store, *wrong)

            refused.__name__ = f"call_refused_{name}"
            operation(TypeError)(refused)


_add_shapes()


# --- owners -----------------------------------------------------------------------------------


@operation(exact=False)
def engine(world: Any) -> Any:
    return Engine()


@operation()
def store(world: Any) -> Any:
    return Store(world.engine, data=world)


@operation(exact=False)
def store_settings(world: Any) -> Any:
    store = Store(world.engine)
    store.set_limits(memory_size=10**9, instances=2000)
    store.set_fuel(10**9)
    store.set_epoch_deadline(10**9)
    store.set_epoch_deadline_callback(nothing)
    store.gc()
    return store.get_fuel(), store.data()


@operation(exact=False)
def module_of_text(world: Any) -> Any:
    return Module(world.engine, SMALL)


@operation(exact=False)
def module_of_bytes(world: Any) -> Any:
    return Module(world.engine, world.binary)


@operation(WasmtimeError, exact=False)
def module_refused(world: Any) -> Any:
    return Module(world.engine, world.binary[:-1])


@operation(exact=False)
def module_serialized(world: Any) -> Any:
    return world.small.serialize()


@operation(exact=False)
def module_deserialized(world: Any) -> Any:
    return Module.deserialize(world.engine, world.artifact)


@operation(exact=False)
def linker(world: Any) -> Any:
    linker = Linker(world.engine)
    linker.allow_shadowing = True
    linker.define_func("m", "f", world.unary, identity)
    linker.define_func("m", "f", world.unary, identity)
    return linker


@operation(exact=False)
def linker_wasi(world: Any) -> Any:
    linker = Linker(world.engine)
    linker.define_wasi()
    return linker


@operation(exact=False)
def linker_items(world: Any) -> Any:
    linker = Linker(world.engine)
    linker.define(world.store, "a", "memory", world.exports["memory"])
    linker.define(world.store, "a", "shared", world.shared)
    linker.define_instance(world.store, "b", world.instance)
    return linker.get(world.store, "a", "memory"), linker.get(world.store, "a", "shared")


@operation(WasmtimeError, exact=False)
def linker_name_taken(world: Any) -> Any:
    world.linker.define_func("m", "f", world.unary, identity)


@operation()
def linker_instantiate(world: Any) -> Any:
    return world.linker.instantiate(world.store, world.small)


@operation(WasmtimeError, exact=False)
def linker_missing(world: Any) -> Any:
    return world.empty_linker.instantiate(world.store, world.small)


@operation(HostError, exact=False)
def linker_start_fails(world: Any) -> Any:
    return world.starting_linker.instantiate(world.store, world.starting)


@operation(exact=False)
def linker_pre(world: Any) -> Any:
    return world.linker.instantiate_pre(world.small)


@operation()
def pre_instantiate(world: Any) -> Any:
    return world.pre.instantiate(world.store)


@operation(exact=False)
def shared_memory(world: Any) -> Any:
    shared = SharedMemory(world.engine, world.types["shared"])
    shared.grow(1)
    return shared.size(), shared.data_len(), shared.view()


# --- items ------------------------------------------------------------------------------------


@operation(exact=False)
def func(world: Any) -> Any:
    return Func(world.store, world.unary, Thing)


@operation(exact=False)
def func_with_references(world: Any) -> Any:
    return Func(world.store, world.signatures["mixed"], Thing)


@operation()
def func_bind(world: Any) -> Any:
    return world.exports["add"].bind(world.store)(100_000, 200_000)


@operation()
def bound_call(world: Any) -> Any:
    return world.bound(100_000, 200_000)


@operation(WasmtimeError)
def call_too_few(world: Any) -> Any:
    return world.bound(1)


@operation(exact=False)
def memory(world: Any) -> Any:
    return Memory(world.store, world.types["memory"]).size(world.store)


@operation(exact=False)
def table(world: Any) -> Any:
    return Table(world.store, world.types["table"], Thing()).size(world.store)


@operation(exact=False)
def global_(world: Any) -> Any:
    return Global(world.store, world.types["reference"], Thing()).value(world.store)


@operation(exact=False)
def global_number(world: Any) -> Any:
    return Global(world.store, world.types["vector"], 2**100).value(world.store)


@operation(exact=False)
def tag(world: Any) -> Any:
    return Tag(world.store, world.types["tag"]).eq(world.store, world.exports["tag"])


@operation(exact=False)
def instance(world: Any) -> Any:
    return Instance(world.store, world.small, [Func(world.store, world.unary, identity)])


@operation(WasmtimeError)
def instance_wrong_import(world: Any) -> Any:
    return Instance(world.store, world.small, [world.exports["memory"]])


@operation(TypeError)
def instance_no_extern(world: Any) -> Any:
    return Instance(world.store, world.small, [5])


@operation()
def exports(world: Any) -> Any:
    exports = world.linker.instantiate(world.store, world.small).exports(world.store)
    return list(exports), exports.by_index, exports["g"], dict(exports)


@operation()
def one_export(world: Any) -> Any:
    return world.pre.instantiate(world.store).get_export(world.store, "g")


@operation(KeyError)
def one_of_the_exports(world: Any) -> Any:
    exports = world.linker.instantiate(world.store, world.small).exports(world.store)
    return exports["g"], "absent" in exports, exports["absent"]


@operation(exact=False)
def types_of_a_module(world: Any) -> Any:
    return world.small.exports, world.small.imports


@operation()
def identity_of_items(world: Any) -> Any:
    items = [world.exports[name] for name in ("add", "memory", "table", "reference", "tag")]
    return set(items), items[0]._func, [item == items[0] for item in items]


@operation(IndexError, ctypes.ArgumentError, exact=False)
def raw_pointer(world: Any) -> Any:
    pointer = world.exports["memory"].data_ptr(world.store)
    array = world.exports["memory"].get_buffer_ptr(world.store, 8)
    return pointer[0], pointer[:3], array[0], pointer[2**40]


@operation(WasmtimeError)
def foreign_item(world: Any) -> Any:
    return world.foreign_global.value(world.store)


# --- values -----------------------------------------------------------------------------------


@operation()
def v128_from_int(world: Any) -> Any:
    return world.exports["wasm_v128"](world.store, -(2**100))


@operation(OverflowError)
def v128_too_large(world: Any) -> Any:
    return world.exports["wasm_v128"](world.store, 2**200)


@operation()
def i64_unsigned(world: Any) -> Any:
    return world.exports["wasm_i64"](world.store, 2**64 - 1)


@operation(OverflowError)
def i32_too_large(world: Any) -> Any:
    return world.exports["wasm_i32"](world.store, 2**40)


@operation()
def vals(world: Any) -> Any:
    return world.exports["wasm_mixed"](
        world.store,
        Val.i32(100_000),
        Val.externref(Thing()),
        Val.f64(0.5),
        Val.funcref(None),
        Thing(),
        Val.v128(2**100),
    )


@operation()
def new_things(world: Any) -> Any:
    return world.exports["host_many_references"](world.store, *[Thing() for _ in range(MANY)])


@operation()
def any_reference(world: Any) -> Any:
    return world.exports["wasm_anyref"](world.store, world.exports["i31"](world.store))


@operation()
def globals_(world: Any) -> Any:
    world.exports["reference"].set_value(world.store, Thing())
    world.exports["number"].set_value(world.store, 2**40)
    return world.exports["reference"].value(world.store), world.exports["number"].value(world.store)


@operation()
def tables(world: Any) -> Any:
    table = world.exports["table"]
    table.set(world.store, 1, Thing())
    table.grow(world.store, 1, Thing()) if table.size(world.store) < 90 else None
    functions = world.exports["functions"]
    functions.set(world.store, 1, world.exports["add"])
    return table.get(world.store, 1), functions.get(world.store, 1)


@operation(IndexError, WasmtimeError)
def table_out_of_range(world: Any) -> Any:
    world.exports["table"].set(world.store, 1000, world.thing)


@operation()
def memories(world: Any) -> Any:
    memory = world.exports["memory"]
    memory.write(world.store, b"\0" * 5000, 16)
    memory.write(world.store, [0, 0], 16)
    memory.grow(world.store, 0)
    return memory.read(world.store, 0, 5000), memory.size(world.store), memory.data_len(world.store)


@operation(BufferError)
def memory_view(world: Any) -> Any:
    view = world.exports["memory"].view(world.store, 0, 100)
    return view[0], view.tobytes()


@operation(IndexError)
def memory_out_of_range(world: Any) -> Any:
    world.exports["memory"].write(world.store, b"x" * 100, 2**16 - 1)


@operation(WasmtimeError)
def memory_too_large(world: Any) -> Any:
    world.exports["memory"].grow(world.store, 1000)


# --- failures and output ----------------------------------------------------------------------


@operation(Trap)
def trap(world: Any) -> Any:
    world.exports["trap"](world.store)


@operation(exact=False)
def trap_details(world: Any) -> Any:
    try:
        world.exports["trap"](world.store)
    except Trap as trap:
        return str(trap), trap.frames, trap.trap_code


@operation(HostError, exact=False)
def host_error(world: Any) -> Any:
    world.exports["fail"](world.store)


@operation(exact=False)
def caller(world: Any) -> Any:
    world.exports["call_caller"](world.store)


@operation(exact=False)
def output(world: Any) -> Any:
    world.exports["print"](world.store)


@operation(exact=False)
def wasi(world: Any) -> Any:
    store = Store(world.engine)
    config = WasiConfig()
    config.argv = ["program", "argument"]
    config.env = [("name", "value")]
    config.stdout_custom = nothing
    store.set_wasi(config)
    return store


@operation()
def component_lists(world: Any) -> Any:
    value = [("text", [1.0, 2.0], b"x" * 30_000), ("", [], b"")]
    assert world.echo(world.echo_store, value) == value


@operation(WasmtimeError, exact=False)
def awaited(world: Any) -> Any:
    store = Store(world.plain_engine)
    store.set_timeout(60)
    making = world.waiting_linker.instantiate_async(store, world.waiting)
    try:
        making.send(None)
    except StopIteration as made:
        call = made.value.exports(store)["run"].call_async(store, 1)
        call.send(None)  # the host function waits, and a timer runs
        next(call, None)


@operation(WasmtimeError, exact=False)
def dropped(world: Any) -> Any:
    store = Store(world.plain_engine)
    making = world.waiting_linker.instantiate_async(store, world.waiting)
    try:
        making.send(None)
    except StopIteration as made:
        call = made.value.exports(store)["run"].call_async(store, 1)
        call.send(None)
        store.interrupt()
        call.close()


@operation(WasmtimeError, exact=False)
def component_awaited(world: Any) -> Any:
    store = Store(world.plain_engine)
    making = world.asking_linker.instantiate_async(store, world.asking)
    try:
        making.send(None)
    except StopIteration as made:
        call = made.value.exports(store).run.call_async(store, "text")
        call.send(None)  # the host function waits
        next(call, None)


@operation(WasmtimeError, exact=False)
def component_dropped(world: Any) -> Any:
    store = Store(world.plain_engine)
    making = world.asking_linker.instantiate_async(store, world.asking)
    try:
        making.send(None)
    except StopIteration as made:
        call = made.value.exports(store).run.call_async(store, "text")
        call.send(None)
        call.close()


@operation(WasmtimeError, exact=False)
def captured(world: Any) -> Any:
    return world.captured.capture()


@operation(WasmtimeError, exact=False)
def restored(world: Any) -> Any:
    store, instance = world.captured.instantiate()
    restore(world.captured.prepared, world.captured.state, store, instance)
    return store


@operation(OverflowError)
def component_list_refused(world: Any) -> Any:
    return world.echo(world.echo_store, [("text", [1.0], [256])])
