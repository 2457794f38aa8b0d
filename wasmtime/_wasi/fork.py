"""WASI in the child of a fork.

The library serves guests with threads of its own, which it starts with the first one. The child of
a process that had a guest has none of those threads, and the library waits there for ever: for a
file, and for all that components do. The package's own streams, sleeps, clocks and random numbers
need no thread and work there. So in such a child

- the threads for files are started anew, once (`_start_file_threads`), or files are refused,
- what cannot be helped is refused: components with WASI, and engines with `Config.library_wasi`.

One thing is left that waits: a guest that is in the middle of a file operation, on another thread,
while the process forks. Elsewhere nothing of this costs more than the comparison of a number.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Optional

from .._error import WasmtimeError

if TYPE_CHECKING:
    from weakref import WeakSet

    from .._engine import Engine
    from .._module import Module
    from .._store import Store

__all__ = [
    "check_inherited",
    "check_library_wasi",
    "note_library",
    "note_store",
    "prepare_files",
    "threads_are_lost",
]

#: The process in which the library started its threads; 0: there are none yet.
_threads_of = 0
#: The child in which the threads for files were started anew, or could not be.
_files_work_in = 0
_files_fail_in = 0

#: What may be used again in a child: stores that were given WASI.
_stores: Optional[WeakSet[Store]] = None

#: Seconds that starting the threads for files may take, and how many attempts: as many as the
#: library has threads at most.
_PATIENCE = 1.5
_ATTEMPTS = 512


def threads_are_lost() -> bool:
    """Whether the library's threads for WASI were started before this process was forked."""
    return _threads_of not in (0, os.getpid())


def note_library() -> None:
    """The library is about to serve a guest, which may start its threads."""
    global _threads_of
    if _threads_of == 0:
        _threads_of = os.getpid()


def note_store(store: Store) -> None:
    """A store's guest needs threads of the library: a forked child must ask before it uses it."""
    global _stores
    if _stores is None:
        from weakref import WeakSet

        _stores = WeakSet()
    _stores.add(store)


def _after_fork() -> None:
    if not threads_are_lost():
        return
    for store in list(_stores or ()):
        store._mark_inherited()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def check_inherited(store: Store) -> None:
    """Called before a store from before the fork, which has WASI, is used for the first time.

    Raises:
        WasmtimeError: Its guest would wait for ever.
    """
    if store._wasi_needs_threads:
        raise WasmtimeError(
            "this store was made before this process was forked, and its guest needs threads of "
            "the library that do not exist here: start processes with the 'spawn' or 'forkserver' "
            "method, and make the store in the child"
        )
    if store._wasi_needs_files:
        prepare_files()


def check_library_wasi(what: str) -> None:
    """Called before the library serves all of a guest.

    Args:
        what: What is served, for the error.

    Raises:
        WasmtimeError: The guest would wait for ever.
    """
    if threads_are_lost():
        raise WasmtimeError(
            f"this process was forked from one that has run WASI guests, and {what} needs "
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
    store._give_wasi(config, library=False)
    linker = Linker(engine)
    linker.define_wasi()
    probe = linker.instantiate(store, module).exports(store)["probe"]
    assert isinstance(probe, Func)
    probe(store)
