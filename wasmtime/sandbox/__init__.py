r"""Untrusted code in ten lines.

Run code that you do not trust: give it inputs, files and functions, so much memory and time, and be
told what it printed, what it returned, and why it ended.

    >>> from wasmtime.sandbox import ResourceLimits, run
    >>> program = '''
    ...     (module
    ...       (import "wasi_snapshot_preview1" "fd_write"
    ...         (func $write (param i32 i32 i32 i32) (result i32)))
    ...       (memory (export "memory") 1)
    ...       (data (i32.const 8) "hello")
    ...       (data (i32.const 0) "\\08\\00\\00\\00\\05\\00\\00\\00")
    ...       (func (export "_start")
    ...         (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))))'''
    >>> result = run(program, limits=ResourceLimits(timeout=2.0, memory="16 MiB"))
    >>> result.text, str(result.reason), result.ok
    ('hello', 'exited', True)

A `Program` is started with arguments, prints and exits; a `Plugin` has functions, which are called
with values of Python; an `Interpreter` runs snippets of its language. Each sees nothing of the host
that was not named, and is bounded in everything by `ResourceLimits`, whose defaults are finite. How
it ended is a `Result`: plain data with a `Reason`.
"""

import typing as _typing

from .._lazy import lazy_names as _lazy_names

if _typing.TYPE_CHECKING:
    from .abi.shapes import CoreABI
    from .directory import Directory
    from .errors import GuestError, SandboxError
    from .interpreter import Interpreter
    from .interpreters.adapters import Argv, Exports, Stdin
    from .interpreters.session import InterpreterSession
    from .limits import ResourceLimits
    from .plugin import Plugin
    from .pools.pool import Pool
    from .program import Program, run, run_async
    from .reasons import Reason
    from .result import ExceptionInfo, Result, TrapInfo
    from .running import Running
    from .session import PluginSession
    from .snapshot import Snapshot
else:
    __getattr__, __dir__ = _lazy_names(
        globals(),
        {
            "Argv": "interpreters.adapters",
            "CoreABI": "abi.shapes",
            "Directory": "directory",
            "ExceptionInfo": "result",
            "Exports": "interpreters.adapters",
            "GuestError": "errors",
            "Interpreter": "interpreter",
            "InterpreterSession": "interpreters.session",
            "Plugin": "plugin",
            "PluginSession": "session",
            "Pool": "pools.pool",
            "Program": "program",
            "Reason": "reasons",
            "ResourceLimits": "limits",
            "Result": "result",
            "Running": "running",
            "SandboxError": "errors",
            "Snapshot": "snapshot",
            "Stdin": "interpreters.adapters",
            "TrapInfo": "result",
            "run": "program",
            "run_async": "program",
        },
    )

__all__ = [
    "Argv",
    "CoreABI",
    "Directory",
    "ExceptionInfo",
    "Exports",
    "GuestError",
    "Interpreter",
    "InterpreterSession",
    "Plugin",
    "PluginSession",
    "Pool",
    "Program",
    "Reason",
    "ResourceLimits",
    "Result",
    "Running",
    "SandboxError",
    "Snapshot",
    "Stdin",
    "TrapInfo",
    "run",
    "run_async",
]
