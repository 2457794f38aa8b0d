"""
WASI preview 1 in asynchronous calls: what waits lets the loop go on.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from wasmtime import (
    DirPerms,
    Engine,
    FilePerms,
    InterruptTrap,
    Linker,
    Module,
    Store,
    TimeoutTrap,
    WasiConfig,
)

from .guests import Guest

TEXT = """
(module
  (import "wasi_snapshot_preview1" "poll_oneoff"
    (func $poll (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 200) "hello")
  (data (i32.const 300) "name")
  (func (export "sleep") (param i64) (result i32)
    (i32.store (i32.const 16) (i32.const 1))
    (i64.store (i32.const 24) (local.get 0))
    (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))
  (func $put (export "write") (param i32) (result i32)
    (i32.store (i32.const 100) (i32.const 200))
    (i32.store (i32.const 104) (i32.const 5))
    (call $write (local.get 0) (i32.const 100) (i32.const 1) (i32.const 108)))
  (func (export "read") (result i32)
    (i32.store (i32.const 100) (i32.const 400))
    (i32.store (i32.const 104) (i32.const 100))
    (drop (call $read (i32.const 0) (i32.const 100) (i32.const 1) (i32.const 108)))
    (i32.load (i32.const 108)))
  (func (export "file") (result i32)
    (drop (call $open (i32.const 3) (i32.const 0) (i32.const 300) (i32.const 4) (i32.const 9)
      (i64.const 64) (i64.const 64) (i32.const 0) (i32.const 112)))
    (call $put (i32.load (i32.const 112)))))
"""


@pytest.fixture(scope="module")
def linker() -> Linker:
    linker = Linker(Engine())
    linker.define_wasi()
    return linker


@pytest.fixture(scope="module")
def module(linker: Linker) -> Module:
    return Module(linker.engine, TEXT)


async def make(linker: Linker, module: Module, wasi: Any = None) -> Guest:
    store = Store(linker.engine)
    store.set_wasi(wasi or WasiConfig())
    instance = await linker.instantiate_async(store, module)
    return Guest(store, instance.exports(store))


def test_sleeps_run_side_by_side(linker: Linker, module: Module) -> None:
    async def main() -> None:
        made = [await make(linker, module) for _ in range(100)]
        begun = time.monotonic()
        calls = [guest.start("sleep", 100_000_000) for guest in made]
        assert await asyncio.gather(*calls) == [0] * 100
        assert 0.1 <= time.monotonic() - begun < 9  # one after the other: 10 s

    asyncio.run(main())


def test_sleeps_end_with_the_time_of_the_store_and_by_interrupts(
    linker: Linker, module: Module
) -> None:
    async def main() -> None:
        guest = await make(linker, module)
        guest.store.set_timeout(0.02)
        with pytest.raises(TimeoutTrap):
            await guest.start("sleep", 10**10)
        guest.store.set_timeout(None)
        asyncio.get_running_loop().call_later(0.02, guest.store.interrupt)
        with pytest.raises(InterruptTrap):
            await guest.start("sleep", 10**10)
        task = asyncio.create_task(guest.start("sleep", 10**10))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert guest.now("sleep", 1_000_000) == 0

    asyncio.run(main())


def test_trio_sleeps_as_well(linker: Linker, module: Module) -> None:
    trio = pytest.importorskip("trio")

    async def main() -> None:
        assert await (await make(linker, module)).start("sleep", 10_000_000) == 0

    trio.run(main)


def test_output_is_captured(linker: Linker, module: Module) -> None:
    async def main() -> None:
        wasi = WasiConfig()
        output = wasi.capture_stdout()
        guest = await make(linker, module, wasi)
        assert await guest.start("write", 1) == 0
        assert output.getvalue() == b"hello"

    asyncio.run(main())


def test_python_is_asked_on_the_stack_of_the_loop(linker: Linker, module: Module) -> None:
    async def main() -> None:
        wasi = WasiConfig()
        seen = []
        wasi.stdout_custom = seen.append
        wasi.stdin_custom = lambda size: b"text"
        guest = await make(linker, module, wasi)
        assert await guest.start("write", 1) == 0
        assert seen == [b"hello"]
        assert await guest.start("read") == 4

    asyncio.run(main())


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of Windows cannot be polled")
def test_a_guest_that_reads_a_pipe_lets_the_loop_go_on(linker: Linker, module: Module) -> None:
    async def main() -> None:
        reading, writing = os.pipe()
        wasi = WasiConfig()
        wasi.stdin_file = f"/dev/fd/{reading}"
        guest = await make(linker, module, wasi)
        task = asyncio.create_task(guest.start("read"))
        await asyncio.sleep(0.01)
        assert not task.done()
        os.write(writing, b"abc")
        assert await task == 3
        os.close(writing)
        assert await guest.start("read") == 0
        os.close(reading)

    asyncio.run(main())


def test_files_are_the_librarys(linker: Linker, module: Module, tmp_path: Path) -> None:
    async def main() -> None:
        wasi = WasiConfig()
        wasi.preopen_dir(str(tmp_path), "/", DirPerms.READ_WRITE, FilePerms.READ_WRITE)
        guest = await make(linker, module, wasi)
        guest.store.set_limits(instances=1)
        assert await guest.start("file") == 0
        assert (tmp_path / "name").read_bytes() == b"hello"

    asyncio.run(main())
