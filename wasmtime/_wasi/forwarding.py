"""What an engine prepares, so that guests can use the library's files beside our streams.

A small module stands between the two (csrc/core/wasi/forward.c). It is compiled when a module that
imports WASI is first instantiated, once for each kind of memory: never in the middle of a guest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._native import address_of, check, core, lib
from .._types import MemoryType
from .._wasi_names import PREVIEW1

if TYPE_CHECKING:
    from .._engine import Engine
    from .._module import Module

__all__ = ["forwarding", "prepare"]

#: The functions that are forwarded, and how many parameters each has.
_FUNCTIONS = {"fd_write": 4, "fd_read": 4, "poll_oneoff": 4, "fd_close": 1, "fd_renumber": 2}

_MEMORY64, _SHARED, _BYTE_PAGES = 1, 2, 4


def forwarding(engine: Engine) -> Any:
    """What an engine has prepared, a `core.Forwarding`, made when it is first asked for."""
    made: Any = getattr(engine, "_forwarding", None)
    if made is None:
        handle = engine._use()
        linker = lib.wasmtime_linker_new(handle.pointer)
        owner = core.Handle("wasmtime_linker_t", address_of(linker), linker)
        check(lib.wasmtime_linker_define_wasi(linker))
        # Of two threads, the one that is later uses what the other made.
        made = engine.__dict__.setdefault("_forwarding", core.Forwarding(owner))
    return made


def prepare(module: Module) -> None:
    """Compile what forwards for the memory of a module, unless that is done.

    Args:
        module: A module that may import WASI.
    """
    kind = _memory_kind(module) if module._imports_wasi else -1
    if kind < 0:
        return
    engine = module._engine
    prepared: set[int] = engine.__dict__.setdefault("_forwarding_kinds", set())
    if kind not in prepared:
        from .._module import Module

        forwarding(engine).prepare(kind, Module(engine, _text(kind))._use())
        prepared.add(kind)


def _memory_kind(module: Module) -> int:
    """The kind of the memory that a module exports for WASI; -1: it exports none."""
    for export in module.exports:
        if export.name == "memory":
            ty = export.type
            if not isinstance(ty, MemoryType):
                return -1
            return (
                (_MEMORY64 if ty.is_64 else 0)
                | (_SHARED if ty.is_shared else 0)
                | (_BYTE_PAGES if ty.page_size == 1 else 0)
            )
    return -1


def _memory_text(kind: int) -> str:
    """The type of a memory that takes every memory of a kind, as text."""
    index = "i64 " if kind & _MEMORY64 else ""
    most = ""
    if kind & _SHARED:
        bits = (64 if kind & _MEMORY64 else 32) - (0 if kind & _BYTE_PAGES else 16)
        most = f" {2**bits - (1 if kind & _BYTE_PAGES else 0)} shared"
    return f"{index}0{most}{' (pagesize 1)' if kind & _BYTE_PAGES else ''}"


def _text(kind: int) -> str:
    """The module that forwards for a kind of memory."""
    imports, functions = [], []
    for name, count in _FUNCTIONS.items():
        ty = "(param" + " i32" * count + ") (result i32)"
        passed = " ".join(f"(local.get {index})" for index in range(count))
        imports.append(f'(import "{PREVIEW1}" "{name}" (func ${name} {ty}))')
        functions.append(f'(func (export "{name}") {ty} (call ${name} {passed}))')
    memory = f'(import "guest" "memory" (memory {_memory_text(kind)}))'
    return "\n".join(["(module", *imports, memory, '(export "memory" (memory 0))', *functions, ")"])
