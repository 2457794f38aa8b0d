"""New stores and instances."""

from __future__ import annotations

from .rows import Work, row

MODULE = """
(module
  (import "env" "f" (func $f (param i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "run") (param i32) (result i32) (call $f (local.get 0))))
"""


@row(
    "instantiation.linker",
    "new Store and instantiation through a Linker",
    target=1.4,
    note="one imported host function, one memory; the store and the instance are freed, too",
)
def linker() -> Work:
    from wasmtime import Engine, FuncType, Linker, Module, Store, ValType

    engine = Engine()
    names = Linker(engine)
    i32 = ValType.i32()
    names.define_func("env", "f", FuncType([i32], [i32]), lambda number: number)
    module = Module(engine, MODULE)
    return Work(
        "linker.instantiate(Store(engine), module)",
        linker=names,
        module=module,
        engine=engine,
        Store=Store,
    )


@row(
    "instantiation.pooled",
    "new Store and instantiation from a pool",
    ours_only=True,
    note="one memory; linked before (`Linker.instantiate_pre`)",
)
def pooled() -> Work:
    from wasmtime import Config, Engine, Linker, Module, PoolingAllocationConfig, Store

    engine = Engine(Config(allocation_strategy=PoolingAllocationConfig(total_memories=100)))
    linked = Linker(engine).instantiate_pre(Module(engine, '(memory (export "memory") 1)'))
    return Work(
        "instantiate(Store(engine))", instantiate=linked.instantiate, engine=engine, Store=Store
    )


@row("instantiation.store", "new Store alone")
def store() -> Work:
    from wasmtime import Engine, Store

    return Work("Store(engine)", Store=Store, engine=Engine())
