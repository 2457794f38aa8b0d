"""
What several test files share: running Python in a process of its own, where it may die.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
from dataclasses import dataclass
from typing import Optional

PREAMBLE = """
import faulthandler, gc, os, signal, sys, threading, time, weakref
from wasmtime import *
"""


@dataclass
class Ended:
    """
    How a process ended.

    Attributes:
        status: Its exit status; None if a signal ended it.
        signal: Name of the signal that ended it, or None.
        output: What it wrote to standard output.
        errors: What it wrote to standard error.
    """

    status: Optional[int]
    signal: Optional[str]
    output: str
    errors: str

    def check(self, status: int = 0) -> Ended:
        """
        Fail unless the process ended by itself, with this status, and the library did not panic.
        """
        told = f"status {self.status}, signal {self.signal}\n{self.output}\n{self.errors}"
        assert self.signal is None, told
        assert self.status == status, told
        assert "panicked at" not in self.errors, told
        return self


def run_in_subprocess(
    code: str,
    *options: str,
    preamble: str = PREAMBLE,
    timeout: float = 60,
    env: Optional[dict[str, str]] = None,
) -> Ended:
    """
    Run Python code in a fresh interpreter, outside of this directory.

    Args:
        code: The program; `PREAMBLE` comes first.
        options: Options of the interpreter, such as ``-X dev``.
        preamble: Replaces `PREAMBLE`.
        timeout: Seconds; a program that takes longer fails the test.
        env: Environment variables to add.
    """
    program = textwrap.dedent(preamble) + textwrap.dedent(code)
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "program.py")
        with open(path, "w", encoding="utf-8") as file:
            file.write(program)
        done = subprocess.run(
            [sys.executable, *options, path],
            cwd=directory,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
    if done.returncode < 0:
        return Ended(None, signal.Signals(-done.returncode).name, done.stdout, done.stderr)
    return Ended(done.returncode, None, done.stdout, done.stderr)
