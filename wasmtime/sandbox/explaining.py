"""How each limit is enforced: the tier, the platform, and what is missing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .settings import Settings

__all__ = ["explain"]

_UNBOUNDED = "not bounded: the limit is None"


def explain(settings: Settings) -> dict[str, str]:
    """How the limits of some settings are enforced here, in sentences by limit."""
    limits = settings.limits
    in_process = settings.isolation == "process"
    told = {
        "isolation": "a worker process of its own" if in_process else "a thread of this process",
        "timeout": _time(limits.timeout, in_process),
        "compile_timeout": _compiling(limits.compile_timeout, in_process),
        "memory": "refused growth, of all linear memories together",
        "table_elements": "refused growth, of each of 64 tables",
        "instances": "refused instantiation",
        "stack": "a trap",
        "fuel": "counted by the code itself",
        "output": f"counted as it is written: {limits.on_output_limit}",
        "module": "refused before it is compiled",
        "value": "refused before it is read",
        "file_size": _process_limit("RLIMIT_FSIZE", in_process),
        "open_files": _process_limit("RLIMIT_NOFILE", in_process),
    }
    for name in told:
        if name != "isolation" and getattr(limits, name) is None:
            told[name] = _UNBOUNDED
    told["directories"] = "a thread looks at each quota some twenty times a second"
    told["network"] = (
        "no sockets; HTTP to every server" if settings.network else "none: no sockets, no HTTP"
    )
    return told


def _time(seconds: object, in_process: bool) -> str:
    if in_process:
        return "a deadline in the worker, and the worker is killed soon after it"
    return (
        "a deadline: computing, sleeping and reading end; a host function ends when it returns; "
        "files that block, such as FIFOs in a directory, and in components some waits, do not"
    )


def _compiling(seconds: object, in_process: bool) -> str:
    if in_process:
        return "the worker that compiles is killed"
    return "the caller is let go; the compilation runs on, three at most at a time"


def _process_limit(name: str, in_process: bool) -> str:
    if not in_process:
        return "not enforced in a thread: use isolation='process'"
    if sys.platform == "win32":
        return "not enforced on Windows"
    return f"{name} of the worker process"
