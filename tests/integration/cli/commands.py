"""
The command line for the tests, seen as a user sees it: a process with streams and an exit status.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Optional

TRAPPED = 3 if sys.platform == "win32" else 134


COMMAND = [sys.executable, "-m", "wasmtime"]


Run = Callable[..., "subprocess.CompletedProcess[bytes]"]


CALCULATOR = """
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "add") (param i32 i32) (result i32)
    (i32.add (local.get 0) (local.get 1)))
  (func (export "mul64") (param i64 i64) (result i64)
    (i64.mul (local.get 0) (local.get 1)))
  (func (export "single") (param f32) (result f32) (local.get 0))
  (func (export "double") (param f64) (result f64) (local.get 0))
  (func (export "pair") (result i32 f64) (i32.const 1) (f64.const 2.5))
  (func (export "nothing"))
  (func (export "null") (result externref) (ref.null extern))
  (func (export "takes-ref") (param externref))
  (func (export "leave") (param i32) (call $exit (local.get 0)))
  (func (export "divide") (param i32 i32) (result i32)
    (i32.div_s (local.get 0) (local.get 1))))
"""


COMPONENT = r"""
(component
  (core module $m
    (memory (export "memory") 1)
    (data (i32.const 8) "\10\00\00\00\05\00\00\00")
    (data (i32.const 16) "a\1b[1m")
    (func (export "greet") (result i32) (i32.const 8))
    (func (export "sum") (param i32 i32) (result i32) (local.get 1))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
  (core instance $i (instantiate $m))
  (alias core export $i "memory" (core memory $memory))
  (alias core export $i "realloc" (core func $realloc))
  (func (export "greet") (result string)
    (canon lift (core func $i "greet") (memory $memory)))
  (func (export "sum") (param "xs" (list u32)) (result u32)
    (canon lift (core func $i "sum") (memory $memory) (realloc $realloc))))
"""


@contextmanager
def started(*arguments: Any, **options: Any) -> Iterator[Any]:
    """
    The process of a command that runs meanwhile, with pipes for its streams.

    It is killed in the end: a test that fails must not wait for a guest that has no end.
    """
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    command = [*COMMAND, *map(os.fspath, arguments)]
    with subprocess.Popen(command, **{**pipes, **options}) as process:
        try:
            yield process
        finally:
            process.kill()


def on_a_terminal(*arguments: Any, cwd: Optional[Path] = None) -> tuple[int, bytes]:
    """
    The exit status of a command, and what it wrote to the terminal that it was run on.
    """
    import pty

    controller, terminal = pty.openpty()
    try:
        process = subprocess.Popen(
            [*COMMAND, *map(os.fspath, arguments)],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            cwd=cwd,
        )
        status = process.wait(60)
        return status, os.read(controller, 1 << 16)
    finally:
        os.close(controller)
        os.close(terminal)
