"""
Streams of Python's that an event loop waits for: asynchronous input and output of preview 1.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any, Optional

import anyio
import pytest
import wasi_programs

from wasmtime import (
    Config,
    Engine,
    Linker,
    Module,
    OutputLimitTrap,
    Store,
    TimeoutTrap,
    WasiConfig,
    WasmtimeError,
)

LOOPS = pytest.mark.parametrize("backend", ["asyncio", "trio"])


@pytest.fixture(scope="module")
def module() -> Module:
    """
    Writes to its output what it reads from its input.
    """
    return Module(Engine(), wasi_programs.CAT)


async def run(module: Module, wasi: WasiConfig, timeout: Optional[float] = None) -> None:
    """
    Run the program in the event loop.
    """
    linker = Linker(module.engine)
    linker.define_wasi()
    with Store(module.engine) as store:
        store.set_wasi(wasi)
        if timeout is not None:
            store.set_timeout(timeout)
        instance = await linker.instantiate_async(store, module)
        await instance.exports(store).get_func("_start").call_async(store)


def copied(module: Module, source: Any, backend: str = "asyncio") -> bytes:
    """
    What a guest reads from a source, in an event loop.
    """
    wasi = WasiConfig()
    wasi.stdin_custom = source
    output = wasi.capture_stdout()
    anyio.run(run, module, wasi, backend=backend)
    return bytes(output)


async def pieces(*given: Any) -> AsyncIterator[Any]:
    for piece in given:
        await anyio.sleep(0)
        yield piece


class Stream:
    """
    An object with an asynchronous ``read``.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def read(self, size: int) -> bytes:
        await anyio.sleep(0)
        taken, self._data = self._data[:size], self._data[size:]
        return taken


@LOOPS
def test_input_is_awaited(module: Module, backend: str) -> None:
    long = os.urandom(100_000)
    stream = Stream(long)
    assert copied(module, pieces(b"one ", bytearray(b"two")), backend) == b"one two"
    assert copied(module, stream, backend) == long
    assert copied(module, Stream(b"read").read, backend) == b"read"
    assert copied(module, Stream(b"plain callable").read, backend) == b"plain callable"


def test_a_stream_reader_is_read(module: Module) -> None:
    async def main() -> bytes:
        reader = asyncio.StreamReader()
        wasi = WasiConfig()
        wasi.stdin_file = reader  # as any file object of Python's
        output = wasi.capture_stdout()
        task = asyncio.ensure_future(run(module, wasi))
        for piece in (b"one ", b"two"):
            await asyncio.sleep(0.001)
            reader.feed_data(piece)
        reader.feed_eof()
        await task
        return bytes(output)

    assert asyncio.run(main()) == b"one two"


def test_an_empty_piece_is_no_end(module: Module) -> None:
    assert copied(module, pieces(b"", b"one", b"", b"two")) == b"onetwo"


def test_what_is_left_of_a_piece_is_read_later(module: Module) -> None:
    long = os.urandom(100_000)
    assert copied(module, pieces(long, b"end")) == long + b"end"


@LOOPS
def test_output_is_awaited_piece_by_piece(module: Module, backend: str) -> None:
    heard = []

    async def hear(data: bytes) -> int:
        await anyio.sleep(0)
        heard.append(data[:3])
        return len(data[:3])

    wasi = WasiConfig()
    wasi.stdin_bytes = b"abcdefgh"
    wasi.stdout_custom = hear
    anyio.run(run, module, wasi, backend=backend)
    assert heard == [b"abc", b"def", b"gh"]


@pytest.mark.parametrize("on_limit", ["truncate", "stop"])
def test_limits_hold_for_output_that_is_awaited(module: Module, on_limit: Any) -> None:
    heard = []

    async def hear(data: bytes) -> None:
        await asyncio.sleep(0)
        heard.append(data)

    wasi = WasiConfig()
    wasi.stdin_bytes = b"abcdefgh"
    wasi.stdout_custom(hear, limit=5, on_limit=on_limit)
    if on_limit == "stop":
        with pytest.raises(OutputLimitTrap):
            asyncio.run(run(module, wasi))
    else:
        asyncio.run(run(module, wasi))
    assert heard == [b"abcde"]


@LOOPS
def test_time_ends_what_waits_for_input(module: Module, backend: str) -> None:
    ended = []

    async def never(size: int) -> bytes:
        try:
            await anyio.sleep(300)
        finally:
            ended.append(size)
        return b""

    wasi = WasiConfig()
    wasi.stdin_custom = never
    with pytest.raises(TimeoutTrap):
        anyio.run(run, module, wasi, 0.05, backend=backend)
    assert len(ended) == 1


@LOOPS
def test_cancelling_ends_what_waits_for_input(module: Module, backend: str) -> None:
    async def never() -> AsyncIterator[bytes]:
        await anyio.sleep(300)
        yield b""

    async def main() -> None:
        wasi = WasiConfig()
        wasi.stdin_custom = never()
        with anyio.move_on_after(0.05) as scope:
            await run(module, wasi)
        assert scope.cancelled_caught

    anyio.run(main, backend=backend)


def test_what_is_raised_comes_out_unchanged(module: Module) -> None:
    raised = RuntimeError("from the source")

    async def source(size: int) -> bytes:
        raise raised

    with pytest.raises(RuntimeError) as caught:
        copied(module, source)
    assert caught.value is raised


@pytest.mark.parametrize("given", ["text", 3, None])
def test_what_are_no_bytes_is_refused(module: Module, given: Any) -> None:
    with pytest.raises(TypeError, match="standard input must be bytes"):
        copied(module, pieces(given))


@pytest.mark.parametrize("source", [pieces(b"one"), Stream(b"one")], ids=["iterator", "object"])
def test_a_synchronous_call_refuses_it(module: Module, source: Any) -> None:
    wasi = WasiConfig()
    wasi.stdin_custom = source
    start(module, wasi, "standard input is asynchronous")


def test_a_synchronous_call_refuses_asynchronous_output(module: Module) -> None:
    async def hear(data: bytes) -> None:
        pass

    wasi = WasiConfig()
    wasi.stdin_bytes = b"one"
    wasi.stdout_custom = hear
    start(module, wasi, "stdout_custom is asynchronous")
    library = Module(Engine(Config(library_wasi=True)), wasi_programs.CAT)
    start(library, wasi, "stdout_custom is asynchronous")


def start(module: Module, wasi: WasiConfig, refused: str) -> None:
    """
    Run the program in a synchronous call, which is refused with a TypeError.
    """
    linker = Linker(module.engine)
    linker.define_wasi()
    store = Store(module.engine)
    store.set_wasi(wasi)
    exports = linker.instantiate(store, module).exports(store)
    with pytest.raises(TypeError, match=refused):
        exports.get_func("_start")(store)


def test_the_library_refuses_it(module: Module) -> None:
    wasi = WasiConfig()
    wasi.stdin_custom = pieces(b"one")
    with pytest.raises(WasmtimeError, match="stdin_custom serves modules of WASI preview 1 alone"):
        Store(Engine(Config(library_wasi=True))).set_wasi(wasi)
