"""WASI in the child of a fork.

The library serves guests with threads of its own, which it starts with the first one. The child of
a process that had a guest has none of those threads, and the library waits there for ever: for a
write to a callback, for a sleep, for a file. So in such a child

- captured output goes through a pipe, which the library writes to by itself,
- a file for standard input is read before the guest runs,
- the guest's sleeps are done here,
- the threads for files are started anew, once (`_start_file_threads`),
- what cannot be helped is refused: stores from before the fork whose streams need the library's
  threads, and preview 2.

Two things are left that wait: the sleep of a guest that was instantiated, or prepared as an
`InstancePre`, before the fork, and a fork in the middle of a guest, by a host function.

Elsewhere nothing of this costs more than the comparison of a number.
"""

from __future__ import annotations

import os
import struct
import time
from typing import TYPE_CHECKING, Any, Optional

from .._error import WasmtimeError
from .._wasi_names import PREVIEW1

if TYPE_CHECKING:
    from weakref import WeakSet

    from .._engine import Engine
    from .._func import Caller
    from .._linker import Linker
    from .._module import Module
    from .._store import Store

__all__ = [
    "OutputPipes",
    "check_inherited",
    "check_preview2",
    "define_sleep",
    "note_linker",
    "note_store",
    "prepare_files",
    "threads_are_lost",
]

#: The process in which the library started its threads; 0: there are none yet.
_threads_of = 0
#: The child in which the threads for files were started anew, or could not be.
_files_work_in = 0
_files_fail_in = 0

#: What may be used again in a child: stores that were given WASI, and linkers that define it.
_stores: Optional[WeakSet[Store]] = None
_linkers: Optional[WeakSet[Linker]] = None

#: Seconds that starting the threads for files may take, and how many attempts: as many as the
#: library has threads at most.
_PATIENCE = 3.0
_ATTEMPTS = 512


def threads_are_lost() -> bool:
    """Whether the library's threads for WASI were started before this process was forked."""
    return _threads_of not in (0, os.getpid())


def note_store(store: Store) -> None:
    """A store is given WASI, which may start the library's threads."""
    global _threads_of, _stores
    if not threads_are_lost():
        _threads_of = os.getpid()
    if _stores is None:
        from weakref import WeakSet

        _stores = WeakSet()
    _stores.add(store)


def note_linker(linker: Linker) -> None:
    """A linker defines WASI: this process, or a child of it, may have to do the sleeps itself."""
    global _linkers
    if threads_are_lost():
        define_sleep(linker)
    if _linkers is None:
        from weakref import WeakSet

        _linkers = WeakSet()
    _linkers.add(linker)


def _after_fork() -> None:
    if not threads_are_lost():
        return
    for store in list(_stores or ()):
        store._mark_inherited()
    for linker in list(_linkers or ()):
        try:
            define_sleep(linker)
        except (WasmtimeError, ValueError):
            pass  # it is closed, or was being changed at that moment and is of no use here


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def check_inherited(store: Store) -> None:
    """Called before a store from before the fork, which has WASI, is used for the first time.

    Raises:
        WasmtimeError: Its guest would wait for ever.
    """
    if store._wasi_needs_threads:
        raise WasmtimeError(
            "this store was made before this process was forked, and its guest's streams need "
            "threads of the library that do not exist here: make the store, with its WasiConfig, "
            "in the child"
        )
    if store._wasi_needs_files:
        prepare_files()


def check_preview2() -> None:
    """Called before a component with WASI preview 2 is instantiated.

    Raises:
        WasmtimeError: Its guest would wait for ever.
    """
    if threads_are_lost():
        raise WasmtimeError(
            "this process was forked from one that has run WASI guests, and WASI preview 2 needs "
            "threads of the library that do not exist here: run no guest before the fork, or start "
            "processes with the 'spawn' or 'forkserver' method"
        )


# --- files ---------------------------------------------------------------------------------------


def prepare_files() -> None:
    """Make sure that a guest can use files, in a child that lacks the library's threads.

    Raises:
        WasmtimeError: The threads cannot be started anew.
    """
    global _files_work_in, _files_fail_in
    process = os.getpid()
    if not threads_are_lost() or _files_work_in == process:
        return
    if _files_fail_in != process and _start_file_threads():
        _files_work_in = process
        return
    _files_fail_in = process
    raise WasmtimeError(
        "this process was forked from one that ran WASI guests, at a moment when the library's "
        "threads for files cannot be started anew: fork while no guest runs, or start processes "
        "with the 'spawn' or 'forkserver' method"
    )


def _start_file_threads() -> bool:
    """Start file operations until the library starts a thread for them; returns whether it did.

    The library believes that the idle threads of the parent are here, and hands each of them one
    file operation, which then waits. When it has none left, it starts a new thread, which does
    all of them. So operations are started, each on a thread, until one is done.
    """
    import threading

    from .._config import Config
    from .._engine import Engine
    from .._module import Module

    config = Config()
    config.parallel_compilation = False
    engine = Engine(config)
    module = Module(engine, _PROBE)
    done = threading.Event()

    def probe() -> None:
        _use_a_directory(engine, module)
        done.set()

    deadline = time.monotonic() + _PATIENCE
    for _ in range(_ATTEMPTS):
        threading.Thread(target=probe, name="wasmtime-fork", daemon=True).start()
        if done.wait(0.005):
            return True
        if time.monotonic() > deadline:
            break
    return done.wait(max(0.0, deadline - time.monotonic()))


_PROBE = """
(module
  (import "wasi_snapshot_preview1" "fd_filestat_get" (func $stat (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "probe") (drop (call $stat (i32.const 3) (i32.const 0)))))
"""


def _use_a_directory(engine: Engine, module: Module) -> None:
    from .._func import Func
    from .._linker import Linker
    from .._store import Store
    from . import DirPerms, WasiConfig

    config = WasiConfig()
    config.preopen_dir(os.sep, os.sep, DirPerms.READ_ONLY)
    store = Store(engine)
    store._give_wasi(config)
    linker = Linker(engine)
    linker.define_wasi()
    probe = linker.instantiate(store, module).exports(store)["probe"]
    assert isinstance(probe, Func)
    probe(store)


# --- sleeps --------------------------------------------------------------------------------------

_SUBSCRIPTION = struct.Struct("<QB7xI4xQ8xH6x")
_EVENT = struct.Struct("<QHB21x")
_REALTIME, _MONOTONIC = 0, 1
_CLOCK_EVENT, _ABSOLUTE = 0, 1
_FAULT, _INVALID, _NOT_SUPPORTED = 21, 28, 58


def define_sleep(linker: Linker) -> None:
    """Let a linker's ``poll_oneoff`` be ours, which knows clocks only."""
    from .._types import FuncType, ValType

    ty = FuncType([ValType.i32()] * 4, [ValType.i32()])
    shadowing = linker._shadowing
    linker._set_shadowing(True)
    try:
        linker.define_func(PREVIEW1, "poll_oneoff", ty, _poll_oneoff, access_caller=True)
    finally:
        linker._set_shadowing(shadowing)


def _poll_oneoff(caller: Caller, subscriptions: int, events: int, count: int, written: int) -> int:
    """WASI's ``poll_oneoff`` for subscriptions to clocks; others are not supported."""
    from .._memory import Memory

    memory = caller.get("memory")
    if not isinstance(memory, Memory):
        raise WasmtimeError("missing required memory export")
    subscriptions, events, count, written = (
        number & 0xFFFFFFFF for number in (subscriptions, events, count, written)
    )
    if count == 0:
        return _INVALID
    size = count * _SUBSCRIPTION.size
    data = memory.read(caller, subscriptions, subscriptions + size)
    if len(data) != size:
        return _FAULT
    waits = []
    for userdata, tag, clock, timeout, flags in _SUBSCRIPTION.iter_unpack(data):
        if flags & _ABSOLUTE and clock == _REALTIME:
            timeout -= time.time_ns()
        elif flags & _ABSOLUTE or clock not in (_REALTIME, _MONOTONIC):
            tag = None
        if tag != _CLOCK_EVENT:
            return _NOT_SUPPORTED
        waits.append((max(timeout, 0), userdata))
    shortest = min(waits)[0]
    caller._store._sleep(min(shortest / 1e9, 1e9))
    due = [_EVENT.pack(userdata, 0, _CLOCK_EVENT) for wait, userdata in waits if wait <= shortest]
    try:
        memory.write(caller, b"".join(due), events)
        memory.write(caller, struct.pack("<I", len(due)), written)
    except IndexError:
        return _FAULT
    return 0


# --- streams -------------------------------------------------------------------------------------


class OutputPipes:
    """The pipes of one configuration, while the library opens them."""

    def __init__(self) -> None:
        self._writing: dict[Any, int] = {}

    def __enter__(self) -> OutputPipes:
        return self

    def __exit__(self, *exc: object) -> None:
        for descriptor in self._writing.values():
            os.close(descriptor)

    def path(self, sink: Any) -> bytes:
        """The path of a file; what is written to it is collected by a sink of the C core.

        Two streams with one sink get one pipe, so that the order of the writes is kept.
        """
        if sink not in self._writing:
            reading, self._writing[sink] = os.pipe()
            try:
                os.set_blocking(reading, False)
                sink.collect(reading)  # and close it at the end
            except BaseException:
                os.close(reading)
                raise
        return b"/dev/fd/%d" % self._writing[sink]
