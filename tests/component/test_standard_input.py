"""
Standard input of components: what they read, and that a guest waits for it no longer than its
store's time.
"""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, Optional

import pytest
from support import IN_CHILD, posix, repeatedly, run_in_subprocess, until

from wasmtime import Engine, Store, WasiConfig, WasmtimeError
from wasmtime.component import (
    Component,
    ComponentInterruptTrap,
    ComponentTimeoutTrap,
    Linker,
)

from .asynchronous import closed

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


def a_named_pipe(config: WasiConfig, path: Path, _: int) -> None:
    config.stdin_file = path


def a_descriptor(config: WasiConfig, _: Path, descriptor: int) -> None:
    config.stdin_custom = io.FileIO(os.dup(descriptor))


def inherited(config: WasiConfig, _: Path, descriptor: int) -> None:
    os.dup2(descriptor, 0)
    config.inherit_stdin()


@pytest.fixture(params=[a_named_pipe, a_descriptor, inherited])
def waiting(
    request: pytest.FixtureRequest, open_guest: Open, pipe: tuple[Path, int]
) -> Iterator[tuple[Store, Any]]:
    """
    A guest that reads a pipe in some way.
    """
    kept, config = os.dup(0), WasiConfig()
    try:
        request.param(config, *pipe)
        yield open_guest(config)
    finally:
        os.dup2(kept, 0)
        os.close(kept)


Waiting = tuple[Store, Any]


@posix
@pytest.mark.parametrize("way", WAYS)
def test_a_guest_that_reads_a_pipe_ends_with_its_time(waiting: Waiting, way: str) -> None:
    store, exports = waiting
    store.set_timeout(SHORT)
    started = time.monotonic()
    with pytest.raises(ComponentTimeoutTrap):
        getattr(exports, way)(store, 10)
    assert SHORT <= time.monotonic() - started < 30


@posix
@pytest.mark.parametrize("way", WAYS)
def test_a_guest_that_reads_a_pipe_can_be_interrupted(waiting: Waiting, way: str) -> None:
    store, exports = waiting
    with repeatedly(store.interrupt), pytest.raises(ComponentInterruptTrap):
        getattr(exports, way)(store, 10)


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


@posix
@pytest.mark.parametrize("closed", [True, False], ids=["closed", "collected"])
def test_the_descriptors_go_with_the_store(
    component: Component, linker: Linker, pipe: tuple[Path, int], closed: bool
) -> None:
    before = len(os.listdir("/dev/fd"))
    for _ in range(3):
        store = Store(component.engine)
        store.set_wasi(reading(pipe[0]))
        exports: Any = linker.instantiate(store, component).exports(store)
        os.write(pipe[1], b"x")
        assert exports.read(store, 1) == 1
        if closed:
            store.close()
        del store, exports
    until(lambda: len(os.listdir("/dev/fd")) == before)


async def ended(store: Store, exports: Any, end: str) -> None:
    """
    Have a guest wait for input, and be ended.
    """
    if end == "timeout":
        store.set_timeout(SHORT)
        with pytest.raises(ComponentTimeoutTrap):
            await exports.read.call_async(store, 1)
    elif end == "interrupt":
        with repeatedly(store.interrupt), pytest.raises(ComponentInterruptTrap):
            await exports.read.call_async(store, 1)
    else:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(exports.read.call_async(store, 1), SHORT)


@posix
@pytest.mark.parametrize("end", ["timeout", "interrupt", "cancel"])
def test_a_guest_in_an_event_loop_is_ended(
    component: Component, linker: Linker, pipe: tuple[Path, int], end: str
) -> None:
    """
    And the thread that waited for it goes on: the store can be closed.
    """

    async def main() -> None:
        store = Store(component.engine)
        store.set_wasi(reading(pipe[0]))
        exports: Any = (await linker.instantiate_async(store, component)).exports(store)
        await ended(store, exports, end)
        await closed(store)

    asyncio.run(main())


def test_a_callable_is_refused(open_guest: Open) -> None:
    config = WasiConfig()
    config.stdin_custom = lambda size: b""
    with pytest.raises(WasmtimeError, match="stdin_custom serves modules of WASI preview 1 alone"):
        open_guest(config)


GUEST = f"""
from wasmtime.component import Component, Linker
component = Component(Engine(), '''{READER}''')
linker = Linker(component.engine)
linker.add_wasip2()
def open_guest(config):
    store = Store(component.engine)
    store.set_wasi(config)
    return store, linker.instantiate(store, component).exports(store)
reading, writing = os.pipe()
config = WasiConfig()
"""


@posix
def test_what_a_guest_does_not_ask_for_is_the_program_s() -> None:
    run_in_subprocess(
        GUEST
        + """
os.dup2(reading, 0)
config.inherit_stdin()
store, exports = open_guest(config)
os.write(writing, b"ours")
time.sleep(0.1)
assert os.read(0, 100) == b"ours"
os.write(writing, b"guest")
assert exports.read(store, 100) == 5
os.write(writing, b"ours")  # while no guest is inside
time.sleep(0.1)
assert os.read(0, 100) == b"ours"
"""
    ).check()


@posix
def test_a_guest_is_ended_although_a_child_was_forked() -> None:
    """
    Which has the pipe, too, and would keep it open.
    """
    run_in_subprocess(
        GUEST
        + IN_CHILD
        + """
config.stdin_custom = open(reading, "rb", buffering=0)
store, exports = open_guest(config)
pid = os.fork()
if pid == 0:
    time.sleep(60)
    os._exit(0)
store.set_timeout(0.05)
started = time.monotonic()
try: exports.read(store, 1)
except TimeoutError: pass
else: raise AssertionError
assert time.monotonic() - started < 30
os.kill(pid, signal.SIGKILL)
os.waitpid(pid, 0)
def child():
    global store, exports
    store.close()
    del store, exports
    gc.collect()
assert in_child(child) == 0
store.close()
"""
    ).check()


INHERITING = """
import sys
from wasmtime import Engine, Store, WasiConfig
from wasmtime.component import Component, ComponentTimeoutTrap, Linker

component = Component(Engine(), sys.argv[1])
linker = Linker(component.engine)
linker.add_wasip2()
store = Store(component.engine)
config = WasiConfig()
config.inherit_stdin()
store.set_wasi(config)
exports = linker.instantiate(store, component).exports(store)
print(exports.read(store, 100), flush=True)
store.set_timeout(0.05)
try:
    exports.read(store, 100)
except ComponentTimeoutTrap:
    print("timeout", flush=True)
"""


@posix
def test_a_guest_reads_what_the_process_inherits() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", INHERITING, READER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"hello")
    process.stdin.flush()
    assert process.stdout.readline() == b"5\n"
    assert process.stdout.readline() == b"timeout\n"
    assert process.wait(60) == 0
    process.stdin.close()
    process.stdout.close()
