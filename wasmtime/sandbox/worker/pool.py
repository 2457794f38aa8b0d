"""Workers that wait for their next guest.

A worker serves one code with one set of limits of the system, and never another: what it may have
become by running a guest, it is for guests of that code alone.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections import OrderedDict
from time import monotonic
from typing import Any

from ..limits import ResourceLimits
from ..settings import Settings
from ..source import Code, refusal
from .channel import ChannelClosed, Expired, Malformed
from .process import Worker, forget_workers

__all__ = ["Loaded", "borrow", "close_all", "give_back", "key_of", "start"]

#: How many workers wait, in all and for one code.
_MOST_IDLE, _MOST_ALIKE = 8, 4


class Loaded:
    """A worker that has compiled a code.

    Attributes:
        worker: The worker.
        key: What it may be used for.
        limits: Those that it was told when it compiled.
        exports: The functions that the code exports, as the worker says.
    """

    def __init__(self, worker: Worker, key: Any, limits: ResourceLimits, exports: Any) -> None:
        self.worker, self.key, self.limits, self.exports = worker, key, limits, exports


_lock = threading.Lock()
_idle: OrderedDict[Loaded, None] = OrderedDict()


def borrow(code: Code, settings: Settings, is_program: bool) -> Loaded:
    """A worker that has compiled a code: one that waits, or a new one.

    Raises:
        SandboxError: The code is not accepted, or the worker cannot be started.
    """
    key = key_of(code, settings)
    with _lock:
        for loaded in reversed(_idle):
            if loaded.key == key and loaded.worker.is_alive:
                del _idle[loaded]
                return loaded
    return start(code, settings, is_program)


def start(code: Code, settings: Settings, is_program: bool) -> Loaded:
    """A new worker that has compiled a code.

    Raises:
        SandboxError: The code is not accepted, or the worker cannot be started.
    """
    key = key_of(code, settings)
    worker = Worker()
    try:
        return Loaded(worker, key, settings.limits, _load(worker, code, settings, is_program))
    except BaseException:
        worker.close()
        raise


def give_back(loaded: Loaded) -> None:
    """Let a worker wait, or close it if it is dead; those that have waited longest go."""
    if not loaded.worker.is_alive:
        loaded.worker.close()
        return
    superfluous = []
    with _lock:
        _idle[loaded] = None
        alike = [each for each in _idle if each.key == loaded.key]
        if len(alike) > _MOST_ALIKE:
            superfluous.append(alike[0])
        elif len(_idle) > _MOST_IDLE:
            superfluous.append(next(iter(_idle)))
        for each in superfluous:
            del _idle[each]
    for each in superfluous:
        each.worker.close()


def close_all() -> None:
    """End the workers that wait."""
    with _lock:
        waiting = list(_idle)
        _idle.clear()
    for loaded in waiting:
        loaded.worker.close()


def key_of(code: Code, settings: Settings) -> Any:
    """What a worker may be used for: this code, held to these limits, and no other."""
    limits = settings.limits
    return (
        code.sha256,
        code.portable,
        repr(described(settings)),
        limits.fuel is None,
        limits.stack,
        limits.memory,
        limits.file_size,
        limits.open_files,
        settings.cache,
    )


def described(settings: Settings) -> dict[str, Any]:
    """The functions of the host, as a worker is told of them.

    Raises:
        SandboxError: One is of a kind that cannot be called from another process.
    """
    from collections.abc import Mapping

    from ..abi.host import kinds_of

    def describe(name: str, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: describe(f"{name}#{key}", each) for key, each in value.items()}
        if isinstance(value, type) or not callable(value):
            raise refusal(
                "TypeError",
                f"the function {name!r} is {type(value).__name__}: with isolation='process', "
                "functions and mappings of functions can be called, objects and classes cannot",
            )
        kinds, result, wants_caller = kinds_of(value)
        if wants_caller or getattr(value, "_wit_needs_store", False):
            raise refusal(
                "TypeError",
                f"the function {name!r} wants the guest's store, which is in another process with "
                "isolation='process'",
            )
        return [list(kinds), result]

    return {name: describe(name, value) for name, value in settings.functions.items()}


def _load(worker: Worker, code: Code, settings: Settings, is_program: bool) -> Any:
    """Let a worker compile a code, and be killed if that takes too long."""
    if code.compiled is not None:
        raise refusal(
            "TypeError",
            "with isolation='process', the worker compiles: give the path or the bytes of the "
            "WebAssembly, not a Module or Component",
        )
    limits = settings.limits
    message = {
        "op": "load",
        "name": code.name,
        "kind": code.kind,
        "sha256": code.sha256,
        "portable": code.portable,
        "limits": vars(limits),
        "cache": settings.cache if isinstance(settings.cache, bool) else str(settings.cache),
        "functions": described(settings),
        "is_program": is_program,
    }
    seconds = limits.compile_timeout
    deadline = None if seconds is None else monotonic() + seconds
    try:
        worker.send(message, [code.read()], deadline)
        answer, _ = worker.receive(16 << 20, deadline)
    except Expired:
        raise refusal(
            "TimeoutError", f"compiling {code.name} takes longer than {seconds} s"
        ) from None
    except (ChannelClosed, Malformed) as error:
        worker.kill()
        raise refusal(
            "RuntimeError", f"the worker that compiled {code.name} was lost: {worker.death}"
        ) from error
    return _exports(answer, code)


def _exports(answer: dict[str, Any], code: Code) -> Any:
    from ..abi.protocols import Exported

    if answer.get("op") == "loaded" and isinstance(answer.get("exports"), dict):
        try:
            return {
                name: Exported(int(params), bool(is_core))
                for name, (params, is_core) in answer["exports"].items()
            }
        except (TypeError, ValueError):
            pass
    told = answer.get("exception")
    if isinstance(told, dict):
        raise refusal(str(told.get("type"))[:200], str(told.get("text"))[:20_000])
    raise refusal("RuntimeError", f"the worker that compiled {code.name} said what none says")


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()
    _idle.clear()
    forget_workers()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
atexit.register(close_all)
