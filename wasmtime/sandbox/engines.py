"""What a process has compiled: engines and code, by hash and configuration.

All programs, plug-ins and interpreters share it, so that none of them holds anything native: they
can be copied and pickled, and two of the same code compile it once. The least recently used go
first; what they were compiled to lies in the cache on disk, and is loaded again when it is needed.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import OrderedDict
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional, TypeVar, Union

from .. import Config, Engine, Module, PoolingAllocationConfig, Store, WasmtimeError
from .._artifacts.compiled import class_for
from .._native.host import host_machine
from .compiling import compile_within
from .errors import SandboxError
from .source import Code, refusal

if TYPE_CHECKING:
    from ..component import Component
    from .limits import ResourceLimits

__all__ = [
    "Artifact",
    "Compiled",
    "EngineKey",
    "Recent",
    "adopt",
    "artifact_of",
    "compiled_code",
    "engine_key",
    "engine_of",
    "fits_pool",
    "forget",
    "is_cached",
    "preferred",
]

_T = TypeVar("_T")

#: What code is compiled to.
Compiled = Union[Module, "Component"]

#: Engines and compiled programs that are kept; nobody has that many that matter.
_MOST_ENGINES, _MOST_PROGRAMS = 16, 128

#: WebAssembly of fewer bytes is compiled faster than it is worth a file.
_WORTH_A_FILE = 32 << 10

#: How many instances there may be at a time in the pool of small modules; how large the code of
#: one may be, its memory, and each of its tables.
POOL_SIZE = 64
_POOLED_CODE, _POOLED_MEMORY, _POOLED_ELEMENTS = 256 << 10, 256 << 20, 100_000
#: How many tables a guest may have in it, with the one that is added for snapshots.
_POOLED_TABLES = 5

#: Stack that an asynchronous call needs beside what WebAssembly may use of it.
_HOST_STACK = 1 << 20


class EngineKey(NamedTuple):
    """What of the limits is compiled into the code."""

    fuel: bool
    stack: Optional[int]
    pooled: bool
    portable: bool


def engine_key(code: Code, limits: ResourceLimits, pooled: bool = False) -> EngineKey:
    """The configuration that some code and limits need."""
    return EngineKey(limits.fuel is not None, limits.stack, pooled, code.portable)


def fits_pool(code: Code, limits: ResourceLimits) -> bool:
    """Whether instances of some code are taken from a pool.

    That is what small modules gain by: making a memory and giving it back takes longer than they
    run. The pool has room for `POOL_SIZE` at a time; what does not fit goes without it.
    """
    memory, elements = limits.memory, limits.table_elements
    return (
        code.compiled is None
        and code.kind == "module"
        and code.size <= _POOLED_CODE
        and memory is not None
        and memory <= _POOLED_MEMORY
        and elements is not None
        and elements <= _POOLED_ELEMENTS
    )


class Recent(OrderedDict[Any, _T]):
    """A dict that keeps what was used most recently."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def find(self, key: Any) -> Optional[_T]:
        """The value of a key, which has been used now; None if there is none."""
        found = self.get(key)
        if found is not None:
            self.move_to_end(key)
        return found

    def keep(self, key: Any, value: _T) -> _T:
        """Keep a value, and return it."""
        self[key] = value
        self.move_to_end(key)
        while len(self) > self._most:
            self.popitem(last=False)
        return value


_lock = threading.RLock()
_engines: Recent[Engine] = Recent(_MOST_ENGINES)
_programs: Recent[Compiled] = Recent(_MOST_PROGRAMS)
_jobs: dict[Any, Future[Compiled]] = {}


def engine_of(key: EngineKey) -> Engine:
    """The engine of a configuration."""
    with _lock:
        return _engines.find(key) or _engines.keep(key, Engine(_configuration(key)))


def _configuration(key: EngineKey) -> Config:
    config = Config()
    config.consume_fuel = key.fuel
    if key.stack is not None:
        config.max_wasm_stack = key.stack
        config.async_stack_size = key.stack + _HOST_STACK
    if key.portable:
        config.target = _baseline()
    if key.pooled:
        config.allocation_strategy = PoolingAllocationConfig(
            total_core_instances=POOL_SIZE,
            total_memories=POOL_SIZE,
            total_tables=_POOLED_TABLES * POOL_SIZE,
            max_tables_per_module=_POOLED_TABLES,
            max_memory_size=_POOLED_MEMORY,
            table_elements=_POOLED_ELEMENTS,
        )
    return config


def _baseline() -> str:
    """The triple of this machine: compiled for it by name, code needs no newer instructions."""
    vendor = {"win32": "pc-windows-msvc", "darwin": "apple-darwin"}.get(sys.platform)
    return f"{host_machine()}-{vendor or 'unknown-linux-gnu'}"


def compiled_code(
    code: Code,
    limits: ResourceLimits,
    cache: Any,
    data: Optional[bytes] = None,
    pooled: bool = False,
) -> Compiled:
    """The compiled form of some code.

    Args:
        code: Which.
        limits: What it is compiled for, and how long that may take.
        pooled: Whether its instances are taken from the pool.
        cache: As `Module` takes it.
        data: The bytes of the code, if they are at hand.

    Raises:
        SandboxError: It is not valid, takes too long to compile, or its file has changed.
    """
    if code.compiled is not None:
        return _given(code, limits)
    key = (code.sha256, engine_key(code, limits, pooled))
    start: Optional[Callable[[], Compiled]] = None
    with _lock:
        found = _programs.find(key)
        if found is not None:
            return found
        job = _jobs.get(key)
        if job is None:
            job = _jobs[key] = Future()
            start = _compiler(code, key, cache, data)
    try:
        made: Compiled = compile_within(limits.compile_timeout, code.name, job, start)
    except WasmtimeError as error:
        refused = refusal("WasmtimeError", f"{code.name} is not valid: {error}")
        raise refused from error
    finally:
        if start is not None:
            job.add_done_callback(lambda _: _finish(key))
    return made


def preferred(
    code: Code, limits: ResourceLimits, cache: Any, data: Optional[bytes] = None
) -> Compiled:
    """As `compiled_code`, for instances from the pool where it has room for such.

    Raises:
        SandboxError: It is not accepted.
    """
    if fits_pool(code, limits):
        try:
            return compiled_code(code, limits, cache, data, True)
        except SandboxError as error:
            if not isinstance(error.__cause__, WasmtimeError):
                raise  # not the pool's fault
    return compiled_code(code, limits, cache, data)


def _finish(key: Any) -> None:
    with _lock:
        _jobs.pop(key, None)


def _compiler(code: Code, key: Any, cache: Any, data: Optional[bytes]) -> Callable[[], Compiled]:
    """What compiles some code and keeps it, to be called on a thread."""

    def compile() -> Compiled:
        read = code.read if data is None else lambda: data
        option = cache if code.size >= _WORTH_A_FILE else False
        digest = bytes.fromhex(code.sha256)
        made: Compiled = class_for(code.kind)._of_digest(engine_of(key[1]), read, option, digest)
        with _lock:
            return _programs.keep(key, made)

    return compile


def _given(code: Code, limits: ResourceLimits) -> Compiled:
    """The Module or Component that the user gave, whose engine must be able to hold the limits."""
    compiled: Compiled = code.compiled
    with Store(compiled.engine) as store:
        try:
            if limits.timeout is not None:
                store.set_timeout(limits.timeout)
            if limits.fuel is not None:
                store.set_fuel(limits.fuel)
        except WasmtimeError as error:
            refused = refusal("WasmtimeError", f"the engine of what was given: {error}")
            raise refused from error
    return compiled


class Artifact(NamedTuple):
    """The compiled form of some code, for another process.

    Attributes:
        data: What `Module.serialize` gives.
        pooled: Whether its instances are taken from the pool.
    """

    data: bytes
    pooled: bool


def artifact_of(code: Code, limits: ResourceLimits, cache: Any) -> Artifact:
    """The compiled form of some code, as it is instantiated.

    Raises:
        SandboxError: It cannot be compiled.
    """
    made = preferred(code, limits, cache)
    pooled = fits_pool(code, limits) and made.engine is engine_of(engine_key(code, limits, True))
    return Artifact(bytes(made.serialize()), pooled)


def adopt(code: Code, limits: ResourceLimits, artifact: Artifact) -> Optional[str]:
    """Keep the compiled form of some code, which comes from a process that is trusted.

    Returns:
        Why it is of no use here: another version, configuration or processor; None if it is kept.
    """
    key = (code.sha256, engine_key(code, limits, artifact.pooled))
    try:
        made = class_for(code.kind).deserialize(engine_of(key[1]), artifact.data)
    except WasmtimeError as error:
        return str(error)
    with _lock:
        _programs.keep(key, made)
    return None


def is_cached(code: Code, limits: ResourceLimits, cache: Any) -> bool:
    """Whether the compiled form of some code is at hand: in this process, or in the cache.

    Args:
        code: The code.
        limits: What it is compiled for.
        cache: As `Module` takes it.
    """
    from .._artifacts.cache import open_cache

    key = engine_key(code, limits, fits_pool(code, limits))
    with _lock:
        if (code.sha256, key) in _programs:
            return True
    return cache is not False and open_cache(cache).has(
        engine_of(key), code.kind, bytes.fromhex(code.sha256)
    )


def forget() -> None:
    """Let go of all engines and code, as a new process would start; for tests and measurements."""
    with _lock:
        _engines.clear()
        _programs.clear()


def _after_fork() -> None:
    global _lock
    _lock = threading.RLock()
    _jobs.clear()  # their threads are the parent's


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
