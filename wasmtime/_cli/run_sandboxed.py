"""``run --isolate`` and ``run --json``: a guest in the sandbox, which tells how it ended.

With ``--isolate`` it is in a process of its own, to which this one only talks; its output is passed
on as it comes. With ``--json`` its output is collected, and printed with everything else that is
known of the run, as one object.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any, Optional

from .._wasi import DirPerms
from ..sandbox import Directory, Plugin, Program, ResourceLimits, Result, SandboxError
from ..sandbox.reasons import Reason
from ..sandbox.source import Source
from .programs import STANDARD, announced, read
from .status import STATUS_ERROR, STATUS_INTERRUPTED, STATUS_TRAP, STATUS_USAGE, Failure
from .stores import environment_of
from .terminal import complain, show
from .values import plain_argument, plain_text
from .watch import Watch

__all__ = ["run_sandboxed"]

#: Options that say how code is compiled or linked in this process.
_ELSEWHERE = {
    "preloads": "--preload",
    "argv0": "--argv0",
    "network": "--network",
    "unknown_imports_trap": "--unknown-imports-trap",
    "allow_precompiled": "--allow-precompiled",
    "settings": "-O, -C, -D, -W or -S",
}

#: What a run that went wrong leaves, where it is not the guest's own status or that of a trap.
_STATUSES = {
    Reason.NOT_STARTED: STATUS_ERROR,
    Reason.HOST_ERROR: STATUS_ERROR,
    Reason.CANCELLED: STATUS_INTERRUPTED,
}


def run_sandboxed(options: argparse.Namespace, watch: Watch) -> int:
    """Run a program, or call a function of it; returns the exit status.

    Raises:
        Failure: The options do not go together, or the program cannot be read.
    """
    _check_options(options)
    try:
        result = _invoke(options) if options.invoke is not None else _run(options)
    except SandboxError as error:
        result = error.result
    except ValueError as error:
        raise Failure(str(error), STATUS_USAGE) from None
    if watch.interrupted:
        return STATUS_INTERRUPTED
    _tell(result, options)
    return _status_of(result)


def _check_options(options: argparse.Namespace) -> None:
    chosen = "--isolate" if options.isolate else "--json"
    for name, option in _ELSEWHERE.items():
        if getattr(options, name):
            raise Failure(f"{option} does not go together with {chosen}", STATUS_USAGE)


def _status_of(result: Result) -> int:
    if result.reason is Reason.EXITED:
        return result.exit_code or 0
    return _STATUSES.get(result.reason, STATUS_TRAP)


# --- the guest -----------------------------------------------------------------------------------


def _run(options: argparse.Namespace) -> Result:
    source, stdin = _source_of(options)
    with announced(options.program):
        program = Program(source, **_settings_of(options))
    if options.json:
        return program.run(*options.arguments, stdin=stdin)
    with program.start(*options.arguments, stdin=stdin) as running:
        for stream, data in running:
            _pass_on(1 if stream == "stdout" else 2, data)
        return running.wait()


def _invoke(options: argparse.Namespace) -> Result:
    source, _ = _source_of(options)
    with announced(options.program):
        plugin = Plugin(source, **_settings_of(options))
    result = plugin.try_call(options.invoke, *map(plain_argument, options.arguments))
    if not options.json:
        _pass_on(1, result.stdout)
        _pass_on(2, result.stderr)
    return result


def _source_of(options: argparse.Namespace) -> tuple[Source, Any]:
    """The program, and what it reads: nothing, if it was itself read from standard input."""
    if options.program == STANDARD:
        return read(STANDARD), b""
    # Unbuffered: a guest that reads a line need not wait until there is a buffer full of them.
    return Path(options.program), open(0, "rb", buffering=0, closefd=False)


def _settings_of(options: argparse.Namespace) -> dict[str, Any]:
    """The arguments of `Program` and `Plugin` that the options stand for."""
    return {
        "limits": _limits_of(options),
        "env": environment_of(options),
        "dirs": {each.guest: _directory_of(each) for each in options.directories},
        "seed": options.seed,
        "clock": options.clock,
        "network": options.http,
        "cache": not options.no_cache and options.cache is not False,
        "isolation": "process" if options.isolate else "thread",
    }


def _directory_of(directory: Any) -> Directory:
    writable = directory.perms is DirPerms.READ_WRITE
    return Directory(directory.host, "read-write" if writable else "read")


def _limits_of(options: argparse.Namespace) -> ResourceLimits:
    """The sandbox's limits, where the options name no others; time is limited by Ctrl-C, too."""
    changes: dict[str, Any] = {"timeout": options.timeout, "fuel": options.fuel}
    if options.timeout is not None:
        changes["compile_timeout"] = options.timeout
    if options.max_memory_size is not None:
        changes["memory"] = options.max_memory_size
    if options.output_limit is not None:
        changes.update(output=options.output_limit, on_output_limit="stop")
    elif not options.json and options.invoke is None:
        changes["output"] = None  # it is passed on, and not kept
    return ResourceLimits().replace(**changes)


# --- what it leaves ------------------------------------------------------------------------------


def _pass_on(descriptor: int, data: bytes) -> None:
    """Write what the guest wrote, as it is."""
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def _tell(result: Result, options: argparse.Namespace) -> None:
    """Print the result, or what was wrong."""
    if options.json:
        import json

        show([json.dumps(result.to_dict(), indent=2)])
        return
    if result.reason is not Reason.EXITED:
        complain(f"{options.program}: {result.message}")
    elif options.invoke is not None:
        sys.stdout.flush()
        text: Optional[str] = plain_text(result.value)
        if text is not None:
            show([text])
