"""Lists through components as a whole, beside the direct path, which passes each element by itself.

Each pair of rows is the same work on two engines of one process: with the codec, and without
(``Config.component_bulk = False``), which is the baseline.
"""

from __future__ import annotations

from typing import Any

from . import component
from .component import echo_text
from .rows import Work, row

BYTES = """(type $t' (list u8)) (import "t" (type $t (eq $t')))"""
FLOATS = """(type $t' (list f64)) (import "t" (type $t (eq $t')))"""
#: The guest's memory for 64 MiB.
LARGE = 2000


def engine(bulk: bool) -> Any:
    """An engine whose components have codecs, or not."""
    from wasmtime import Config, Engine

    return Engine(Config(component_bulk=bulk))


def echo(declaration: str, value: Any, bulk: bool = True, arrays: bool = False) -> Work:
    """The work of passing a value through a component and back."""
    from wasmtime import Store
    from wasmtime.component import Component, Linker

    text = echo_text(declaration)
    if not isinstance(value, list) and len(value) > 1 << 21:
        text = text.replace('(memory (export "mem") 64 ', f'(memory (export "mem") {LARGE} ')
    compiled = Component(engine(bulk), text)
    store = Store(compiled.engine)
    instance = Linker(compiled.engine).instantiate(store, compiled)
    f: Any = instance.get_func(store, "echo")
    return Work("f(store, value)", f=f.with_arrays() if arrays else f, store=store, value=value)


@row("bulk.bytes_16_direct", "`list<u8>` of 16 bytes, on the direct path", ours_only=True)
def bytes_16_direct() -> Work:
    return echo(BYTES, bytes(16), bulk=False)


@row(
    "bulk.bytes_16",
    "`list<u8>` of 16 bytes, there and back",
    ours_only=True,
    baseline="bulk.bytes_16_direct",
    limit=1.2,
)
def bytes_16() -> Work:
    return echo(BYTES, bytes(16))


@row("bulk.bytes_1m_direct", "`list<u8>` of 1 MiB, on the direct path", ours_only=True)
def bytes_1m_direct() -> Work:
    return echo(BYTES, bytes(1 << 20), bulk=False)


@row(
    "bulk.bytes_1m",
    "`list<u8>` of 1 MiB, there and back",
    target=1500,
    baseline="bulk.bytes_1m_direct",
    limit=0.01,
)
def bytes_1m() -> Work:
    return component.echo("(list u8)", bytes(1 << 20))


@row("bulk.bytes_64m", "`list<u8>` of 64 MiB, there and back", ours_only=True)
def bytes_64m() -> Work:
    return echo(BYTES, bytes(64 << 20))


@row("bulk.floats_direct", "10 000 f64 from a list, on the direct path", ours_only=True)
def floats_direct() -> Work:
    return echo(FLOATS, [float(n) for n in range(10_000)], bulk=False)


@row(
    "bulk.floats",
    "10 000 f64 from and to a list",
    ours_only=True,
    baseline="bulk.floats_direct",
)
def floats() -> Work:
    return echo(FLOATS, [float(n) for n in range(10_000)])


@row(
    "bulk.floats_array",
    "10 000 f64 from and to an array",
    ours_only=True,
    baseline="bulk.floats_direct",
)
def floats_array() -> Work:
    from array import array

    return echo(FLOATS, array("d", range(10_000)), arrays=True)


def compiling(bulk: bool) -> Work:
    """The work of compiling a small component."""
    from wasmtime import wat2wasm
    from wasmtime.component import Component

    wasm = bytes(wat2wasm(echo_text(BYTES)))
    return Work("make(engine, wasm)", make=Component, engine=engine(bulk), wasm=wasm)


@row("bulk.compile_direct", "a small component compiled without a codec", ours_only=True)
def compile_direct() -> Work:
    return compiling(False)


@row(
    "bulk.compile",
    "a small component compiled with a codec",
    ours_only=True,
    baseline="bulk.compile_direct",
)
def compile_bulk() -> Work:
    return compiling(True)


def instantiating(bulk: bool) -> Work:
    """The work of making a store and an instance in it."""
    from wasmtime import Store
    from wasmtime.component import Component, Linker

    compiled = Component(engine(bulk), echo_text(BYTES))
    linker = Linker(compiled.engine)
    return Work(
        "make(Store(engine), component)",
        make=linker.instantiate,
        Store=Store,
        engine=compiled.engine,
        component=compiled,
    )


@row("bulk.instantiate_direct", "store and instance without a codec", ours_only=True)
def instantiate_direct() -> Work:
    return instantiating(False)


@row(
    "bulk.instantiate",
    "store and instance with a codec",
    ours_only=True,
    baseline="bulk.instantiate_direct",
)
def instantiate_bulk() -> Work:
    return instantiating(True)
