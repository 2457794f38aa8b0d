"""
Programs that must not type-check. Nobody runs them.

Each mistake bears the error that is expected of mypy, and an ignored error that does not occur is
an error itself, for both checkers.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from pathlib import Path

import numpy

import wasmtime.sandbox as sandbox
from wasmtime import (
    Caller,
    Engine,
    Func,
    InstancePre,
    Linker,
    Memory,
    Module,
    SharedMemory,
    Store,
)
from wasmtime._instance import InstanceExports


def what_the_brackets_return_is_no_function(store: Store, exports: InstanceExports) -> None:
    exports["run"](store)  # type: ignore[operator]
    exports["memory"].read(store)  # type: ignore[union-attr, arg-type]


def one_kind_is_not_another(store: Store, exports: InstanceExports, caller: Caller) -> None:
    func: Func = exports.get_memory("run")  # type: ignore[assignment]
    memory: Memory = caller.get_shared_memory("memory")  # type: ignore[assignment]
    exports.get_global("counter")(store)  # type: ignore[operator]
    func(store)
    memory.size(store)


def what_may_be_missing_is_checked_before(store: Store, exports: InstanceExports) -> None:
    exports.get("memory").read(store)  # type: ignore[union-attr, arg-type]


def names_are_text(store: Store, exports: InstanceExports, linker: Linker) -> None:
    exports.get_func(0)  # type: ignore[arg-type]
    linker.get_func(store, "env")  # type: ignore[call-arg]
    linker.get_func("env", "run", store)  # type: ignore[arg-type]


def memories_take_a_store_and_shared_ones_do_not(
    store: Store, memory: Memory, shared: SharedMemory
) -> None:
    memory.read_exact(0, 8)  # type: ignore[call-arg]
    memory.read_str(store, 0, "8")  # type: ignore[arg-type]
    memory.write_str(store, b"bytes", 0)  # type: ignore[arg-type]
    shared.read_exact(store, 0, 8)  # type: ignore[call-arg, arg-type]


def elements_are_given_by_a_name_or_a_type(store: Store, memory: Memory) -> None:
    memory.view(store, dtype=4)  # type: ignore[arg-type]
    memory.array(store, 0, 16, float)  # type: ignore[arg-type]
    memory.array(store, "f64", 0, 16)  # type: ignore[arg-type]
    memory.array(store, 0, 16, numpy.float32)


def a_cache_is_a_switch_or_a_path(engine: Engine, wasm: bytes, pre: InstancePre) -> None:
    Module(engine, wasm, cache=3)  # type: ignore[arg-type]
    Module(engine, wasm, True, True)  # type: ignore[call-arg]
    pre.instantiate()  # type: ignore[call-arg]


def a_guest_is_given_what_it_may_have(program: sandbox.Program) -> None:
    program.run(5)  # type: ignore[arg-type]
    program.run(std="")  # type: ignore[call-arg]
    sandbox.ResourceLimits(memory=1.5)  # type: ignore[arg-type]
    sandbox.ResourceLimits(on_output_limit="explode")  # type: ignore[arg-type]
    sandbox.Program("tool.wasm", isolation="moon")  # type: ignore[arg-type]
    sandbox.Directory(Path("."), "write")  # type: ignore[arg-type]


def names_that_do_not_exist_are_mistakes() -> None:
    from wasmtime import Modul  # type: ignore[attr-defined]
    from wasmtime.sandbox import Sandbox  # type: ignore[attr-defined]

    print(Modul, Sandbox)
