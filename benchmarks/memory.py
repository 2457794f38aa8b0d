"""Copies out of linear memory and into it."""

from __future__ import annotations

from .rows import Work, instantiate, row

MODULE = '(module (memory (export "memory") 64))'
MIB = 1 << 20


@row("memory.read_16", "`memory.read` of 16 bytes", target=15)
def read_16() -> Work:
    store, exports = instantiate(MODULE)
    return Work("memory.read(store, 64, 80)", memory=exports["memory"], store=store)


@row("memory.write_16", "`memory.write` of 16 bytes", target=20)
def write_16() -> Work:
    store, exports = instantiate(MODULE)
    return Work(
        "memory.write(store, data, 64)", memory=exports["memory"], store=store, data=b"x" * 16
    )


@row("memory.read_1m", "`memory.read` of 1 MiB", target=1.0)
def read_1m() -> Work:
    store, exports = instantiate(MODULE)
    exports["memory"].write(store, b"x" * MIB, 0)
    return Work("memory.read(store, 0, size)", memory=exports["memory"], store=store, size=MIB)


@row("memory.write_1m", "`memory.write` of 1 MiB", target=2.0)
def write_1m() -> Work:
    store, exports = instantiate(MODULE)
    return Work(
        "memory.write(store, data, 0)", memory=exports["memory"], store=store, data=b"x" * MIB
    )


@row(
    "memory.copy_1m",
    "`bytearray(data)` of 1 MiB, a plain copy",
    ours_only=True,
    note="no WebAssembly: what memcpy and the allocation of the copy cost here",
)
def copy_1m() -> Work:
    return Work("make(data)", make=bytearray, data=b"x" * MIB)
