"""
A module that exports WASI's functions as they are, for tests that call them one by one.
"""

from __future__ import annotations

import struct
from typing import Any, Optional

from wasmtime import Engine, Func, Linker, Memory, Module, Store, WasiConfig

PREVIEW1 = "wasi_snapshot_preview1"

#: The functions, and their parameters: i is i32, I is i64.
SIGNATURES = {
    "fd_write": "iiii",
    "fd_read": "iiii",
    "poll_oneoff": "iiii",
    "fd_close": "i",
    "fd_renumber": "ii",
    "fd_fdstat_get": "ii",
    "clock_time_get": "iIi",
    "clock_res_get": "ii",
    "random_get": "ii",
    "sched_yield": "",
    "path_open": "iiiiiIIii",
}

CLOCK, READ, WRITE = range(3)
REALTIME, MONOTONIC = range(2)
BADF, INVAL, NOMEM, NOSPC, PIPE = 8, 28, 48, 51, 64

#: Where the calls below put what they need; the rest of the memory is the test's.
IOV, RESULT, SUBSCRIPTIONS, EVENTS, PATH, DATA = 16, 8, 1024, 4096, 512, 8192


def text(memory: str = '(memory (export "memory") 4)', rest: str = "") -> str:
    """
    The module's text, with another memory or further functions.
    """
    lines = ["(module"]
    for name, parameters in SIGNATURES.items():
        ty = "".join(f"(param {'i64' if p == 'I' else 'i32'})" for p in parameters)
        lines.append(f'(import "{PREVIEW1}" "{name}" (func ${name} {ty} (result i32)))')
    lines.append(memory)
    for name, parameters in SIGNATURES.items():
        ty = "".join(f"(param {'i64' if p == 'I' else 'i32'})" for p in parameters)
        passed = " ".join(f"(local.get {n})" for n in range(len(parameters)))
        lines.append(f'(func (export "{name}") {ty} (result i32) (call ${name} {passed}))')
    return "\n".join([*lines, rest, ")"])


_modules: dict[tuple[int, str], tuple[Engine, Linker, Module]] = {}


def module_of(engine: Engine, source: str) -> tuple[Linker, Module]:
    """
    The module for an engine, compiled once, and a linker that defines WASI.
    """
    key = id(engine), source
    if key not in _modules:
        linker = Linker(engine)
        linker.define_wasi()
        _modules[key] = engine, linker, Module(engine, source)
    return _modules[key][1:]


class Guest:
    """
    An instance of that module, in a store of its own.
    """

    def __init__(
        self,
        engine: Engine,
        wasi: Optional[WasiConfig] = None,
        *,
        source: str = text(),
        store: Optional[Store] = None,
    ) -> None:
        linker, module = module_of(engine, source)
        self.store = store or Store(engine)
        self.store.set_wasi(wasi or WasiConfig())
        self.exports = linker.instantiate(self.store, module).exports(self.store)

    @property
    def memory(self) -> Any:
        memory = self.exports["memory"]
        assert isinstance(memory, Memory)
        return memory

    def call(self, name: str, *arguments: int) -> int:
        function = self.exports[name]
        assert isinstance(function, Func)
        result = function(self.store, *arguments)
        assert isinstance(result, int)
        return result

    def poke(self, at: int, data: bytes) -> None:
        self.memory.write(self.store, data, at)

    def peek(self, at: int, size: int) -> bytes:
        return bytes(self.memory.read(self.store, at, at + size))

    def u32(self, at: int) -> int:
        value: int = struct.unpack("<I", self.peek(at, 4))[0]
        return value

    def write(self, descriptor: int, data: bytes) -> tuple[int, int]:
        """
        The error number, and how many bytes were written.
        """
        self.poke(DATA, data)
        self.poke(IOV, struct.pack("<II", DATA, len(data)))
        self.poke(RESULT, b"\0\0\0\0")
        return self.call("fd_write", descriptor, IOV, 1, RESULT), self.u32(RESULT)

    def read(self, descriptor: int, size: int) -> tuple[int, bytes]:
        """
        The error number, and the bytes that were read.
        """
        self.poke(IOV, struct.pack("<II", DATA, size))
        self.poke(RESULT, b"\0\0\0\0")
        error = self.call("fd_read", descriptor, IOV, 1, RESULT)
        return error, self.peek(DATA, self.u32(RESULT))

    def poll(self, *subscriptions: bytes) -> tuple[int, list[tuple[int, int, int]]]:
        """
        The error number, and of each event its user data, error and type.
        """
        self.poke(SUBSCRIPTIONS, b"".join(subscriptions))
        self.poke(RESULT, b"\0\0\0\0")
        error = self.call("poll_oneoff", SUBSCRIPTIONS, EVENTS, len(subscriptions), RESULT)
        data = self.peek(EVENTS, 32 * self.u32(RESULT))
        return error, [(e[0], e[1], e[2]) for e in struct.iter_unpack("<QHB21x", data)]

    def sleep(self, seconds: float) -> int:
        """
        The error number of a sleep.
        """
        return self.poll(clock(1, seconds))[0]

    def time(self, which: int = REALTIME) -> int:
        """
        Nanoseconds that a clock shows.
        """
        assert self.call("clock_time_get", which, 1, DATA) == 0
        value: int = struct.unpack("<Q", self.peek(DATA, 8))[0]
        return value

    def random(self, size: int) -> bytes:
        """
        Random bytes.
        """
        assert self.call("random_get", DATA, size) == 0
        return self.peek(DATA, size)

    def open(self, name: str, *, create: bool = True) -> int:
        """
        The descriptor of a file in the first preopened directory, for reading and writing.
        """
        self.poke(PATH, name.encode())
        rights = 1 << 1 | 1 << 6
        error = self.call(
            "path_open", 3, 0, PATH, len(name), int(create), rights, rights, 0, RESULT
        )
        assert error == 0, error
        return self.u32(RESULT)


def clock(
    userdata: int, seconds: float, which: int = MONOTONIC, *, until: Optional[int] = None
) -> bytes:
    """
    A subscription to a clock: for some seconds, or until it shows some nanoseconds.
    """
    span = round(seconds * 1e9) if until is None else until
    return struct.pack("<QB7xI4xQQH6x", userdata, CLOCK, which, span, 0, int(until is not None))


def descriptor(userdata: int, tag: int, number: int) -> bytes:
    """
    A subscription to a descriptor.
    """
    return struct.pack("<QB7xI28x", userdata, tag, number)
