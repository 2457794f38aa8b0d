"""
What several test files share: running Python in a process of its own, where it may die.
"""

from __future__ import annotations

import gc
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Optional

import pytest

import wasmtime

#: The checkout that the tests belong to.
CHECKOUT = Path(__file__).resolve().parents[1]

#: The package as it is installed, which may lie elsewhere.
PACKAGE = Path(wasmtime.__file__).parent

#: Environment of a program that imports modules of the tests, such as `wasi_programs`.
HELPERS = {
    "PYTHONPATH": os.pathsep.join(
        filter(None, [str(CHECKOUT / "tests"), os.environ.get("PYTHONPATH", "")])
    )
}

PREAMBLE = """
import faulthandler, gc, os, signal, sys, threading, time, weakref
from wasmtime import *
"""

#: For programs that do things in several threads at once.
RACE = '''
def race(*functions, seconds=1.0, refusal="in use by another thread"):
    """Run functions again and again at once; only the refusal of what is in use is expected."""
    stop = time.monotonic() + seconds * float(os.environ.get("WASMTIME_SAFETY_RACES", "1"))
    counts, wrong = [0] * len(functions), []
    def run(n, function):
        while not wrong:
            try:
                function()
                counts[n] += 1
            except WasmtimeError as error:
                if refusal not in str(error):
                    wrong.append(error)
            except ValueError as error:
                if "closed" not in str(error):
                    wrong.append(error)
            except BaseException as error:
                wrong.append(error)
            if time.monotonic() > stop:
                break
    threads = [threading.Thread(target=run, args=(n, f)) for n, f in enumerate(functions)]
    sys.setswitchinterval(1e-5)
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    assert not wrong, wrong
    return counts

def at_once(*functions):
    """Run functions at one moment, each in a thread; what they returned or raised, in order."""
    outcomes = [None] * len(functions)
    barrier = threading.Barrier(len(functions))
    def run(n, function):
        barrier.wait()
        try:
            outcomes[n] = function()
        except Exception as error:
            outcomes[n] = error
    threads = [threading.Thread(target=run, args=(n, f)) for n, f in enumerate(functions)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    return outcomes
'''

#: For programs that interrupt guests which run for ever.
SPIN = """
def spinner(engine=None, text='(func (export "spin") (loop (br 0)))', *imports):
    engine = engine or Engine()
    store = Store(engine)
    f = Instance(store, Module(engine, text), list(imports)).exports(store)["spin"]
    return lambda *a: f(store, *a)

def interrupt_after(seconds, number=signal.SIGINT):
    sent, started = [], threading.Event()
    def send():
        started.wait()  # the signal is for what comes after, not for the start of this thread
        time.sleep(seconds)
        sent.append(time.monotonic())
        os.kill(os.getpid(), number)
    threading.Thread(target=send, daemon=True).start()
    started.set()
    return sent
"""

#: For programs that do things in forked children.
IN_CHILD = """
def in_child(function, seconds=20):
    '''Run a function in a forked child, which is killed when it takes too long; its status.'''
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            signal.alarm(seconds)
            function()
            status = 0
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            sys.stdout.flush(); sys.stderr.flush()
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs what only POSIX has")


def skip_without_threads_of(kib: int) -> None:
    """
    Skip a test where this interpreter has no threads with so small a stack.
    """
    before = threading.stack_size()
    try:
        threading.stack_size(kib * 1024)
    except ValueError as error:  # the least that CPython takes depends on its version
        pytest.skip(f"this interpreter has no such threads: {error}")
    finally:
        threading.stack_size(before)


def needs(package: str) -> Any:
    """
    Skip a test where a package is not installed, without importing it into this process.
    """
    return pytest.mark.skipif(
        importlib.util.find_spec(package) is None,
        reason=f"{package} is installed for development alone",
    )


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
    input: Optional[str] = None,
    env: Optional[dict[str, str]] = None,
) -> Ended:
    """
    Run Python code in a fresh interpreter, outside of this directory.

    Args:
        code: The program; `PREAMBLE` comes first.
        options: Options of the interpreter, such as ``-X dev``.
        preamble: Replaces `PREAMBLE`.
        timeout: Seconds; a program that takes longer fails the test.
        input: What the program reads from its standard input; nothing by default.
        env: Environment variables to add.
    """
    program = textwrap.dedent(preamble) + textwrap.dedent(code)
    given: dict[str, Any] = {"stdin": subprocess.DEVNULL} if input is None else {"input": input}
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "program.py")
        with open(path, "w", encoding="utf-8") as file:
            file.write(program)
        done = subprocess.run(
            [sys.executable, *options, path],
            cwd=directory,
            env={**os.environ, **(env or {})},
            **given,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
    if done.returncode < 0:
        return Ended(None, signal.Signals(-done.returncode).name, done.stdout, done.stderr)
    return Ended(done.returncode, None, done.stdout, done.stderr)


@contextmanager
def repeatedly(action: Callable[[], object], seconds: float = 0.02) -> Iterator[None]:
    """
    Do something from another thread again and again, such as interrupting a store: one that runs
    nothing yet hears nothing.
    """
    over = threading.Event()

    def run() -> None:
        while not over.wait(seconds):
            action()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def until(condition: Callable[[], object]) -> None:
    """
    Wait for something, on a machine under load.
    """
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def objects_left_by(work: Callable[[], None], store: wasmtime.Store) -> int:
    """
    How many objects there are more after some work was done a second time.
    """

    def collect() -> int:
        gc.collect()
        store.gc()
        return len(gc.get_objects())

    work()
    before = collect()
    work()
    return collect() - before


def compile_c(source: str, output: Path, *options: str) -> Path:
    """
    Compile a C program or library for a test; the test is skipped where there is no compiler.

    Args:
        source: The program.
        output: The file to make.
        options: What else the compiler is told.
    """
    compiler = shutil.which(os.environ.get("CC", "cc").split()[0])
    if compiler is None:
        pytest.skip("there is no C compiler")
    file = output.with_suffix(".c")
    file.write_text(textwrap.dedent(source), encoding="utf-8")
    command = [compiler, "-o", str(output), str(file), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return output


def started_threads() -> set[threading.Thread]:
    """
    The threads of `threading`. What it makes up for others, which stays for ever, is none.
    """
    return {each for each in threading.enumerate() if not isinstance(each, threading._DummyThread)}
