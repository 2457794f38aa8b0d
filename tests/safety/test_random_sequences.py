"""
Random sequences over the public API, mostly wrong ones: the process survives, and what is raised
is what the documentation names.

Hypothesis makes the sequences and shrinks what fails; they run in a child process
(`sequence_worker.py`) that is started again when one kills it. ``WASMTIME_SAFETY_EXAMPLES=20000``
makes that many sequences, different ones at each run; without it, the same few each time.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Optional

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from sequence_worker import ACTIONS

EXAMPLES = int(os.environ.get("WASMTIME_SAFETY_EXAMPLES", "0"))
PROGRAM = Path(__file__).with_name("sequence_worker.py")
#: Seconds for one sequence; most take 20 ms.
PATIENCE = 60.0


class Worker:
    """
    The child process.
    """

    def __init__(self) -> None:
        self.process: Optional[subprocess.Popen[str]] = None
        self.answers: queue.Queue[str] = queue.Queue()
        atexit.register(self.stop)

    def start(self) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", str(PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.process = process
        answers: queue.Queue[str] = queue.Queue()
        self.answers = answers
        self.errors: list[str] = []
        errors = self.errors

        def read() -> None:
            assert process.stdout is not None
            for line in process.stdout:
                answers.put(line)
            answers.put("")

        def read_errors() -> None:
            assert process.stderr is not None
            for line in process.stderr:
                errors.append(line)
                del errors[:-60]

        self.answerer = threading.Thread(target=read, daemon=True)
        self.answerer.start()
        self.reader = threading.Thread(target=read_errors, daemon=True)
        self.reader.start()
        return process

    def stop(self) -> None:
        if self.process is not None:
            process = self.process
            process.kill()
            process.wait()
            self.answerer.join(5)
            self.reader.join(5)
            for stream in (process.stdin, process.stdout, process.stderr):
                assert stream is not None
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
            self.process = None

    def run(self, program: list[Any]) -> list[str]:
        """
        What was wrong with a program.
        """
        process = self.process or self.start()
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(program) + "\n")
            process.stdin.flush()
            answer = self.answers.get(timeout=PATIENCE)
        except queue.Empty:
            self.stop()
            return [f"no answer within {PATIENCE} s"]
        except BrokenPipeError:
            answer = ""
        if not answer:
            status = process.wait()
            self.reader.join(5)
            told = "".join(self.errors)
            self.process = None
            return [f"the process died with status {status}:\n{told}"]
        wrong: list[str] = json.loads(answer)
        return wrong


WORKER = Worker()
numbers = st.lists(st.integers(0, 4000), min_size=5, max_size=5)
steps = st.tuples(st.sampled_from(sorted(ACTIONS)), numbers).map(lambda s: [s[0], *s[1]])
short = st.lists(steps, min_size=1, max_size=5)


class Sequences(RuleBasedStateMachine):
    """
    A program that grows by a step at a time, and runs when it is complete.
    """

    def __init__(self) -> None:
        super().__init__()
        self.program: list[Any] = []

    @rule(step=steps)
    def act(self, step: Any) -> None:
        self.program.append(step)

    @rule(inner=short, n=st.integers(0, 200))
    def act_inside_a_host_function(self, inner: Any, n: int) -> None:
        self.program.append(["inside", inner, n])

    @rule(left=short, right=short)
    def act_on_two_threads(self, left: Any, right: Any) -> None:
        self.program.append(["beside", left, right])

    @rule(n=st.integers(0, 200))
    def close(self, n: int) -> None:
        self.program.append(["close_any", n])

    def teardown(self) -> None:
        if self.program:
            wrong = WORKER.run(self.program)
            assert not wrong, json.dumps(self.program) + "\n" + "\n".join(wrong)


Sequences.TestCase.settings = settings(
    max_examples=EXAMPLES or 300,
    stateful_step_count=25,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.slow
class TestSequences(Sequences.TestCase):  # type: ignore[name-defined,misc]
    """
    The machine above, as a test.
    """


def test_the_worker_tells_what_it_died_of() -> None:
    worker = Worker()
    try:
        assert worker.run([["call", 1, 2, 3]]) == []
        assert worker.process is not None
        worker.process.kill()
        (wrong,) = worker.run([["call", 1, 2, 3]])
        assert "died with status -9" in wrong
        assert worker.run([["call", 1, 2, 3]]) == []
    finally:
        worker.stop()
