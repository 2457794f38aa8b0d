"""
Standard input of components: what they read, and that a guest waits for it no longer than its
store's time.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, Optional

import pytest
from support import posix

from wasmtime import Engine, Store, WasiConfig
from wasmtime.component import (
    Component,
    ComponentInterruptTrap,
    ComponentTimeoutTrap,
    Linker,
)

#: `read` and `poll` read up to so many bytes, and return how many they got; 0 is the end. `poll`
#: waits for them by ``poll`` before. `count` reads until the end.
READER = """(component
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $t (sub resource)))
    (export "poll" (func (param "in" (list (borrow $t))) (result (list u32))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:io/error@0.2.0" (instance $errors (export "error" (type (sub resource)))))
  (alias export $errors "error" (type $error))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (alias outer 1 $pollable (type $p')) (export "pollable" (type $p (eq $p')))
    (alias outer 1 $error (type $e')) (export "error" (type $e (eq $e')))
    (type $stream-error' (variant (case "last-operation-failed" (own $e)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $stream-error')))
    (export "input-stream" (type $input (sub resource)))
    (export "[method]input-stream.subscribe" (func
      (param "self" (borrow $input)) (result (own $p))))
    (export "[method]input-stream.read" (func (param "self" (borrow $input)) (param "len" u64)
      (result (result (list u8) (error $stream-error)))))
    (export "[method]input-stream.blocking-read" (func
      (param "self" (borrow $input)) (param "len" u64)
      (result (result (list u8) (error $stream-error)))))))
  (alias export $streams "input-stream" (type $input))
  (import "wasi:cli/stdin@0.2.0" (instance $stdin
    (alias outer 1 $input (type $i')) (export "input-stream" (type $i (eq $i')))
    (export "get-stdin" (func (result (own $i))))))
  (core module $libc
    (memory (export "memory") 2)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (alias core export $libc "realloc" (core func $realloc))
  (core func $stdin (canon lower (func $stdin "get-stdin")))
  (core func $subscribe (canon lower (func $streams "[method]input-stream.subscribe")))
  (core func $drop (canon resource.drop $pollable))
  (core func $read (canon lower (func $streams "[method]input-stream.read")
    (memory $memory) (realloc $realloc)))
  (core func $blocking (canon lower (func $streams "[method]input-stream.blocking-read")
    (memory $memory) (realloc $realloc)))
  (core func $poll (canon lower (func $poll "poll") (memory $memory) (realloc $realloc)))
  (core module $m
    (import "" "memory" (memory 1))
    (import "" "stdin" (func $stdin (result i32)))
    (import "" "subscribe" (func $subscribe (param i32) (result i32)))
    (import "" "drop" (func $drop (param i32)))
    (import "" "read" (func $read (param i32 i64 i32)))
    (import "" "blocking" (func $blocking (param i32 i64 i32)))
    (import "" "poll" (func $poll (param i32 i32 i32)))
    (global $input (mut i32) (i32.const -1))
    (func $open
      (if (i32.eq (global.get $input) (i32.const -1))
        (then (global.set $input (call $stdin)))))
    (func $got (result i32)
      (if (result i32) (i32.load8_u (i32.const 64))
        (then (i32.const 0)) (else (i32.load (i32.const 72)))))
    (func $wait
      (i32.store (i32.const 0) (call $subscribe (global.get $input)))
      (call $poll (i32.const 0) (i32.const 1) (i32.const 32))
      (call $drop (i32.load (i32.const 0))))
    (func $next (param i64) (result i32)
      (call $open) (call $blocking (global.get $input) (local.get 0) (i32.const 64)) (call $got))
    (func (export "read") (param i64) (result i32) (call $next (local.get 0)))
    (func (export "poll") (param i64) (result i32)
      (call $open) (call $wait)
      (call $read (global.get $input) (local.get 0) (i32.const 64)) (call $got))
    (func (export "count") (result i32) (local $all i32) (local $some i32)
      (loop $more
        (local.set $some (call $next (i64.const 60000)))
        (local.set $all (i32.add (local.get $all) (local.get $some)))
        (br_if $more (local.get $some)))
      (local.get $all)))
  (core instance $m (instantiate $m (with "" (instance
    (export "memory" (memory $memory)) (export "stdin" (func $stdin))
    (export "subscribe" (func $subscribe)) (export "drop" (func $drop))
    (export "read" (func $read)) (export "blocking" (func $blocking))
    (export "poll" (func $poll))))))
  (func (export "read") (param "size" u64) (result u32) (canon lift (core func $m "read")))
  (func (export "poll") (param "size" u64) (result u32) (canon lift (core func $m "poll")))
  (func (export "count") (result u32) (canon lift (core func $m "count"))))"""

SHORT = 0.05
WAYS = ["read", "poll"]


@pytest.fixture(scope="module")
def component() -> Component:
    return Component(Engine(), READER)


@pytest.fixture
def linker(component: Component) -> Linker:
    linker = Linker(component.engine)
    linker.add_wasip2()
    return linker


def reading(path: Path) -> WasiConfig:
    config = WasiConfig()
    config.stdin_file = str(path)
    return config


Open = Callable[..., tuple[Store, Any]]


@pytest.fixture
def open_guest(component: Component, linker: Linker) -> Iterator[Open]:
    stores: list[Store] = []

    def guest(config: WasiConfig, timeout: Optional[float] = None) -> tuple[Store, Any]:
        store = Store(component.engine)
        stores.append(store)
        store.set_timeout(timeout)
        store.set_wasi(config)
        return store, linker.instantiate(store, component).exports(store)

    yield guest
    for store in stores:
        store.close()


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """
    A named pipe, and its other end, at which nobody writes.
    """
    path = tmp_path / "pipe"
    os.mkfifo(path)
    descriptor = os.open(path, os.O_RDWR)
    yield path, descriptor
    os.close(descriptor)


@posix
@pytest.mark.parametrize("way", WAYS)
def test_a_guest_that_reads_a_pipe_ends_with_its_time(
    open_guest: Open, pipe: tuple[Path, int], way: str
) -> None:
    store, exports = open_guest(reading(pipe[0]))
    store.set_timeout(SHORT)
    started = time.monotonic()
    with pytest.raises(ComponentTimeoutTrap):
        getattr(exports, way)(store, 10)
    assert SHORT <= time.monotonic() - started < 30


@posix
@pytest.mark.parametrize("way", WAYS)
def test_a_guest_that_reads_a_pipe_can_be_interrupted(
    open_guest: Open, pipe: tuple[Path, int], way: str
) -> None:
    store, exports = open_guest(reading(pipe[0]))
    timer = threading.Timer(SHORT, store.interrupt)
    timer.start()
    with pytest.raises(ComponentInterruptTrap):
        getattr(exports, way)(store, 10)
    timer.join()


@posix
@pytest.mark.parametrize("timeout", [None, 60.0], ids=["without a timeout", "with time to spare"])
@pytest.mark.parametrize("way", WAYS)
def test_a_guest_gets_what_is_written_as_it_comes(
    open_guest: Open, pipe: tuple[Path, int], way: str, timeout: Optional[float]
) -> None:
    store, exports = open_guest(reading(pipe[0]), timeout)
    read = getattr(exports, way)
    for size in (1, 5, 3):
        os.write(pipe[1], b"x" * size)
        assert read(store, 100) == size


@posix
def test_a_guest_reads_all_of_a_pipe_to_its_end(open_guest: Open, tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    content = bytes(3_000_001)
    writer = threading.Thread(target=path.write_bytes, args=[content])
    writer.start()
    store, exports = open_guest(reading(path))
    assert exports.count(store) == len(content)
    writer.join()


def test_a_file_is_read_by_the_library(open_guest: Open, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    before = threading.active_count()
    store, exports = open_guest(reading(path), 60)
    assert exports.count(store) == 7
    assert threading.active_count() == before


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def feeders() -> int:
    return sum(thread.name == "wasmtime-stdin" for thread in threading.enumerate())


@posix
@pytest.mark.parametrize("closed", [True, False], ids=["closed", "collected"])
def test_the_thread_and_its_descriptors_go_with_the_store(
    component: Component, linker: Linker, pipe: tuple[Path, int], closed: bool
) -> None:
    until(lambda: feeders() == 0)
    before = sorted(os.listdir("/dev/fd"))
    for _ in range(3):
        store = Store(component.engine)
        store.set_wasi(reading(pipe[0]))
        exports: Any = linker.instantiate(store, component).exports(store)
        os.write(pipe[1], b"x")
        assert exports.read(store, 1) == 1
        assert feeders() > 0
        if closed:
            store.close()
        del store, exports
    until(lambda: feeders() == 0)
    until(lambda: sorted(os.listdir("/dev/fd")) == before)


@posix
def test_a_guest_in_an_event_loop_ends_with_its_time(
    component: Component, linker: Linker, pipe: tuple[Path, int]
) -> None:
    async def main() -> None:
        store = Store(component.engine)
        store.set_wasi(reading(pipe[0]))
        exports: Any = (await linker.instantiate_async(store, component)).exports(store)
        store.set_timeout(SHORT)
        with pytest.raises(ComponentTimeoutTrap):
            await exports.read.call_async(store, 1)

    asyncio.run(main())


INHERITING = """
import sys
from wasmtime import Engine, Store, WasiConfig
from wasmtime.component import Component, ComponentTimeoutTrap, Linker

component = Component(Engine(), sys.argv[1])
linker = Linker(component.engine)
linker.add_wasip2()
store = Store(component.engine)
if sys.argv[2] == "timeout":
    store.set_timeout(100)
config = WasiConfig()
config.inherit_stdin()
store.set_wasi(config)
exports = linker.instantiate(store, component).exports(store)
print(exports.read(store, 100), flush=True)
if sys.argv[2] == "timeout":
    store.set_timeout(0.05)
    try:
        exports.read(store, 100)
    except ComponentTimeoutTrap:
        print("timeout", flush=True)
"""


@posix
@pytest.mark.parametrize("timeout", ["timeout", "none"])
def test_a_guest_reads_what_the_process_inherits(timeout: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", INHERITING, READER, timeout],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"hello")
    process.stdin.flush()
    assert process.stdout.readline() == b"5\n"
    if timeout == "timeout":
        assert process.stdout.readline() == b"timeout\n"
    assert process.wait(60) == 0
    process.stdin.close()
    process.stdout.close()
