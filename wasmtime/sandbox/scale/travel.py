"""What goes with a batch: what the guest is, in each; and what it is made of, once to each worker.

A parcel has the settings of a target and the hash of its code. Code that is small goes with it. Of
other code, a worker looks for the file that it came from, and for its compiled form in the cache: a
path that is shared serves all. What lacks either asks for the freight, which has the WebAssembly
and its compiled form. That is of no use where the version of the library, the configuration or the
processor differ; then the worker compiles the WebAssembly, once, and says why.

Nothing is scattered ahead and nothing is kept in ``__main__``: a worker that comes later, or in the
place of another, asks by itself. Who can send a parcel can run code in the worker, as with all that
is pickled.
"""

from __future__ import annotations

import copy
import hashlib
import os
import pickle
import socket
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional

from ..._printable import clip
from ..engines import Artifact, adopt, artifact_of, is_cached
from ..errors import SandboxError
from ..source import Code

if TYPE_CHECKING:
    from ..pools.targets import Target

__all__ = ["Parcel", "pack", "this_worker", "unpack"]

#: What is smaller goes with each batch.
_LIGHT = 64 << 10


class Parcel(NamedTuple):
    """What the guests of a batch are.

    Attributes:
        key: The hash of it and of its code.
        spec: The target without its code, pickled.
        light: The freight, if it is small.
        name: The function of a plug-in.
        retries: How often a guest is run again whose worker process was lost.
    """

    key: str
    spec: bytes
    light: Optional[bytes]
    name: Optional[str]
    retries: int


class _Freight(NamedTuple):
    """What a guest is made of.

    Attributes:
        data: The WebAssembly; None if it was given compiled.
        compiled: What was given compiled.
        artifact: The compiled form of what is run; None if there is none at hand.
    """

    data: Optional[bytes]
    compiled: Any
    artifact: Optional[Artifact]


def pack(target: Target, name: Optional[str], retries: int) -> tuple[Parcel, Callable[[], bytes]]:
    """A parcel, and what makes its freight.

    Raises:
        TypeError: The target cannot be pickled: functions of the host have to be importable, or
            cloudpickle installed.
    """
    code = target._code
    stripped: Any = copy.copy(target)
    stripped._settings = replace(target._settings, supply=None)
    stripped._code = replace(code, data=None, compiled=None)
    if hasattr(stripped, "_choose_way"):
        stripped._warm = stripped._ready = None
    spec = _dumps(stripped)
    key = hashlib.sha256(spec + code.sha256.encode()).hexdigest()
    light = None
    if code.compiled is None and code.size <= _LIGHT:
        light = _load(_Freight(code.read(), None, None))
    return Parcel(key, spec, light, name, retries), partial(_freight, target)


def _load(freight: _Freight) -> bytes:
    return pickle.dumps(freight, pickle.HIGHEST_PROTOCOL)


def _freight(target: Target) -> bytes:
    code, settings = target._code, target._settings
    if code.compiled is not None:
        return _load(_Freight(None, code.compiled, None))
    ready = getattr(target, "_ready", code)
    artifact = None
    if settings.isolation == "thread":
        artifact = artifact_of(ready, settings.limits, settings.cache)
    return _load(_Freight(code.read(), None, artifact))


def _dumps(target: Target) -> bytes:
    """Pickle a target; by cloudpickle if its functions are of ``__main__``, or have no name."""
    needs_more = any(
        getattr(each, "__module__", None) == "__main__" or "<" in getattr(each, "__qualname__", "")
        for each in target._settings.functions.values()
    )
    try:
        if needs_more:
            import cloudpickle

            dumped: bytes = cloudpickle.dumps(target)
            return dumped
    except ImportError:
        pass
    try:
        return pickle.dumps(target, pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        raise TypeError(
            f"{target!r} cannot be sent to another process: {error}. Define its functions in a "
            "module that the workers can import, or install cloudpickle"
        ) from error


def unpack(parcel: Parcel, freight: Optional[bytes]) -> Optional[tuple[Any, tuple[str, ...]]]:
    """The target of a parcel, and what the caller should be warned of.

    Returns:
        None if the freight is needed.

    Raises:
        SandboxError: It cannot be made here.
    """
    target: Any = pickle.loads(parcel.spec)
    code, settings = target._code, target._settings
    carried = freight or parcel.light
    if carried is not None:
        found: _Freight = pickle.loads(carried)
        target._code = replace(code, data=found.data, compiled=found.compiled)
    elif not _is_within_reach(code, target):
        return None
    else:
        found = _Freight(None, None, None)
    if hasattr(target, "_choose_way"):
        target._choose_way()
    warned: tuple[str, ...] = ()
    if found.artifact is not None:
        ready = getattr(target, "_ready", target._code)
        why = adopt(ready, settings.limits, found.artifact)
        if why is not None:
            warned = (
                f"{code.name} is compiled anew on {this_worker()}, because what was compiled "
                f"elsewhere does not fit: {clip(why, 1000)}",
            )
    return target, warned


def this_worker() -> str:
    """Which machine and process this is."""
    return f"{socket.gethostname()}, process {os.getpid()}"


def _is_within_reach(code: Code, target: Target) -> bool:
    """Whether this worker finds the code, and its compiled form in the cache."""
    if code.path is None:
        return False
    try:
        code.read()  # whether it is the same file here
    except SandboxError:
        return False
    if getattr(target, "_reseed", None) is not None:
        from ..preparing import why_not

        if why_not(code) is None:
            return True  # it is another form of it that is compiled
    return is_cached(
        getattr(target, "_ready", None) or code, target._settings.limits, target._settings.cache
    )
