"""Compiled code that is loaded: artifacts of 27 MB."""

from __future__ import annotations

import atexit
import tempfile
from pathlib import Path
from typing import Any

from .rows import Work, row

FUNCTIONS = 890
STATEMENTS = 880


def wasm() -> bytes:
    """A module of 19 MB, whose code takes 27."""
    from wasmtime import wat2wasm

    def function(number: int) -> str:
        body = "".join(
            f"(local.set 0 (i32.add (i32.mul (local.get 0) (i32.const {number * at + 3}))"
            f" (i32.load offset={at * 4} (local.get 1))))"
            f"(i32.store offset={at * 4 + number % 50} (local.get 1) (local.get 0))"
            for at in range(STATEMENTS)
        )
        return f"(func $f{number} (param i32 i32) (result i32) {body} (local.get 0))"

    functions = "".join(map(function, range(FUNCTIONS)))
    return bytes(wat2wasm(f'(module (memory 1) {functions} (export "f" (func $f0)))'))


def scratch() -> Path:
    """A directory that goes when the measurement is over."""
    directory: Any = tempfile.TemporaryDirectory()
    atexit.register(directory.cleanup)
    return Path(directory.name)


@row(
    "artifacts.file",
    "`Module.deserialize_file` of 27 MB",
    note="ours compares a checksum; the published package has none",
)
def file() -> Work:
    from wasmtime import Engine, Module

    engine = Engine()
    path = scratch() / "module.cwasm"
    path.write_bytes(Module(engine, wasm()).serialize())
    return Work(
        "Module.deserialize_file(engine, path)", Module=Module, engine=engine, path=str(path)
    )


@row(
    "artifacts.cache",
    "`Module(engine, wasm, cache=...)`, compiled before, 27 MB",
    ours_only=True,
    note="most of it is the SHA-256 of the 19 MB of WebAssembly, which names the entry",
)
def cached() -> Work:
    from wasmtime import Engine, Module

    engine, binary, cache = Engine(), wasm(), str(scratch() / "cache")
    Module(engine, binary, cache=cache)
    return Work(
        "Module(engine, wasm, cache=cache)",
        Module=Module,
        engine=engine,
        wasm=binary,
        cache=cache,
    )
