"""What the system holds a worker process to, whatever runs in it."""

from __future__ import annotations

import sys
from typing import Any, Optional

__all__ = ["apply_limits"]

#: What Python, the library and compiling need beside the guest's memory.
_OVERHEAD = 3 << 30
#: Descriptors of the worker itself.
_OWN_FILES = 48


def apply_limits(limits: dict[str, Optional[int]]) -> None:
    """Lower the limits of this process for good.

    Args:
        limits: ``memory``, ``file_size`` and ``open_files`` of `ResourceLimits`.
    """
    if sys.platform == "win32":
        return
    import resource

    _lower(resource, "RLIMIT_CORE", 0)
    _lower(resource, "RLIMIT_FSIZE", limits["file_size"])
    files, memory = limits["open_files"], limits["memory"]
    _lower(resource, "RLIMIT_NOFILE", None if files is None else files + _OWN_FILES)
    if sys.platform == "linux":  # elsewhere it does not count what is mapped
        _lower(resource, "RLIMIT_DATA", None if memory is None else memory + _OVERHEAD)


def _lower(resource: Any, name: str, value: Optional[int]) -> None:
    which = getattr(resource, name, None)
    if which is None or value is None:
        return
    hard = resource.getrlimit(which)[1]
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(which, (value, value))
