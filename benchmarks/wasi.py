"""Programs of WASI preview 1: what they print and read."""

from __future__ import annotations

import os
from typing import Any

from .rows import Work, row

WRITER = r"""
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\08\00\00\00\06\00\00\00hello\n")
  (func $once (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 40))))
  (func (export "_start") (call $once))
  (func (export "many") (param i32)
    (loop (call $once)
      (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))
"""

READER = r"""
(module
  (import "wasi_snapshot_preview1" "fd_read"
    (func $read (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 4)
  (data (i32.const 0) "\00\00\01\00\00\00\01\00")
  (func (export "_start")
    (loop (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
      (br_if 0 (i32.load (i32.const 8))))))
"""

#: Bytes of standard input.
INPUT = 16 << 20


def _captured(config: Any, directory: str) -> Any:
    """Let a configuration keep what the guest writes; the way to read it."""
    if hasattr(config, "capture_stdout"):
        return config.capture_stdout().getvalue
    path = os.path.join(directory, "output")
    config.stdout_file = path

    def read() -> bytes:
        with open(path, "rb") as file:
            return file.read()

    return read


@row(
    "wasi.run",
    "a whole run with one captured write",
    target=2.4,
    note="store, WASI, instantiation, run, close; the published package has a file to capture with",
)
def run() -> Work:
    import tempfile

    from wasmtime import Engine, Linker, Module, Store, WasiConfig

    engine = Engine()
    linker = Linker(engine)
    linker.define_wasi()
    module = Module(engine, WRITER)
    directory = tempfile.mkdtemp()

    def program() -> bytes:
        store = Store(engine)
        config = WasiConfig()
        output = _captured(config, directory)
        store.set_wasi(config)
        start: Any = linker.instantiate(store, module).exports(store)["_start"]
        start(store)
        store.close()
        written: bytes = output()
        return written

    assert program() == b"hello\n"
    return Work("program()", program=program)


@row("wasi.write", "a captured write of 6 bytes", ours_only=True, inner=1000, note="within one run")
def write() -> Work:
    from wasmtime import Engine, Linker, Module, Store, WasiConfig

    engine = Engine()
    linker = Linker(engine)
    linker.define_wasi()
    store = Store(engine)
    config = WasiConfig()
    config.capture_stdout(limit=1 << 20, on_limit="truncate")
    store.set_wasi(config)
    many = linker.instantiate(store, Module(engine, WRITER)).exports(store)["many"]
    return Work("many(store, 1000)", many=many, store=store)


@row("wasi.read", "16 MiB of standard input from bytes", note="reads of 64 KiB", ours_only=True)
def read() -> Work:
    from wasmtime import Engine, Linker, Module, Store, WasiConfig

    engine = Engine()
    linker = Linker(engine)
    linker.define_wasi()
    module = Module(engine, READER)
    data = bytes(INPUT)

    def program() -> None:
        store = Store(engine)
        config = WasiConfig()
        config.stdin_bytes = data
        store.set_wasi(config)
        start: Any = linker.instantiate(store, module).exports(store)["_start"]
        start(store)
        store.close()

    return Work("program()", program=program)
