"""Untrusted code: a whole run, with its result, beside the recipe that programs had before.

The recipe is what clients of the published package write: a store, a file for the output, a fuel or
epoch limit, an instance, and reading the file afterwards. It bounds less than a run of the sandbox
does. Rows of subprocesses show what the same costs natively.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from .rows import Loop, Work, row

#: Writes eight bytes.
TRIVIAL = """
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\\10\\00\\00\\00\\08\\00\\00\\00--------hello, \\0a")
  (func (export "_start")
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))
"""
OUTPUT = b"hello, \n"


class Recipe:
    """What programs of the published package do to run a command."""

    def __init__(self) -> None:
        """Compile, once."""
        import tempfile

        from wasmtime import Config, Engine, Linker, Module

        config = Config()
        config.epoch_interruption = True
        self.engine = Engine(config)
        self.module = Module(self.engine, TRIVIAL)
        self.linker = Linker(self.engine)
        self.linker.define_wasi()
        self.directory = tempfile.TemporaryDirectory()
        self.path = str(Path(self.directory.name) / "out")

    def run(self) -> bytes:
        """Run it, and read what it wrote."""
        from wasmtime import ExitTrap, Store, WasiConfig

        wasi = WasiConfig()
        wasi.argv = ["guest"]
        wasi.stdout_file = self.path
        store = Store(self.engine)
        store.set_epoch_deadline(100)
        store.set_limits(memory_size=128 << 20)
        store.set_wasi(wasi)
        start: Any = self.linker.instantiate(store, self.module).exports(store)["_start"]
        try:
            start(store)
        except ExitTrap:
            pass
        with open(self.path, "rb") as file:
            return file.read()


@row(
    "sandbox.run",
    "a command with one captured write: `Program.run()`, beside the usual recipe",
    target=2,
    note="the recipe writes to a file, and bounds memory and time alone",
)
def run() -> Work:
    try:
        from wasmtime.sandbox import Program
    except ImportError:
        recipe = Recipe()
        assert recipe.run() == OUTPUT
        return Work("run()", run=recipe.run)
    program = Program(TRIVIAL)
    assert program.run().stdout == OUTPUT
    return Work("run()", run=program.run)


@row("sandbox.worker", "the same in a worker process", ours_only=True)
def worker() -> Work:
    from wasmtime.sandbox import Program

    program = Program(TRIVIAL, isolation="process")
    assert program.run().stdout == OUTPUT
    return Work("run()", run=program.run)


@row("sandbox.awaited", "the same in an event loop: `await Program.run_async()`", ours_only=True)
def awaited() -> Loop:
    from wasmtime.sandbox import Program

    program = Program(TRIVIAL)

    async def main(count: int) -> float:
        assert (await program.run_async()).stdout == OUTPUT
        started = time.perf_counter()
        for _ in range(count):
            await program.run_async()
        return time.perf_counter() - started

    return lambda count: asyncio.run(main(count))


@row("sandbox.subprocess", "the same as a native process: `subprocess.run`", ours_only=True)
def native() -> Work:
    def run() -> None:
        done = subprocess.run(["/bin/echo", "hello,"], capture_output=True)
        assert done.returncode == 0

    return Work("run()", run=run)


@row(
    "sandbox.python",
    "`python3 -I -S -c 'print(42)'` as a process, for comparison with interpreters",
    ours_only=True,
)
def python() -> Work:
    command = [sys.executable, "-I", "-S", "-c", "print(42)"]
    return Work("run(command, capture_output=True)", run=subprocess.run, command=command)


@row("sandbox.call", "`Plugin.call('add', 5, 3)`, a fresh instance", ours_only=True)
def call() -> Work:
    from wasmtime.sandbox import Plugin

    plugin = Plugin(
        '(module (func (export "add") (param i32 i32) (result i32)'
        " (i32.add (local.get 0) (local.get 1))))"
    )
    return Work('call("add", 5, 3)', call=plugin.call)


@row("sandbox.session", "the same in a session, whose instance is kept", ours_only=True)
def session() -> Work:
    from wasmtime.sandbox import Plugin

    plugin = Plugin(
        '(module (func (export "add") (param i32 i32) (result i32)'
        " (i32.add (local.get 0) (local.get 1))))"
    )
    return Work('call("add", 5, 3)', call=plugin.open().call)
