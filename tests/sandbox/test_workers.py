"""
Worker processes: started from anywhere, reused, killed, and hostile.
"""

from __future__ import annotations

import os
import signal
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
import wasi_programs
from support import posix, run_in_subprocess

from wasmtime.sandbox import Plugin, Program, Reason, ResourceLimits, SandboxError
from wasmtime.sandbox.worker import guest, pool, process

from . import guests

pytestmark = pytest.mark.workers

PREAMBLE = "from wasmtime.sandbox import *\nimport os, sys\n"
TRIVIAL = '(module (func (export "_start")))'


@pytest.fixture(autouse=True)
def _no_workers_left() -> Any:
    pool.close_all()
    yield
    pool.close_all()


@pytest.fixture
def _little_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Let a worker that is to be killed be killed soon.
    """
    monkeypatch.setattr(guest, "_GRACE", 0.05)


def waiting_pids() -> list[int]:
    """
    The processes of the workers that wait.
    """
    return [loaded.worker._process.pid for loaded in pool._idle]


def test_a_worker_is_used_again() -> None:
    program = Program(guests.QUIET, isolation="process")
    (pid,) = waiting_pids()
    for _ in range(3):
        assert program.run().ok
    assert waiting_pids() == [pid]


def test_a_worker_serves_one_code_alone_and_few_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    for text in (guests.QUIET, guests.HELLO):
        Program(text, isolation="process").run()
    assert len(set(waiting_pids())) == 2
    monkeypatch.setattr(pool, "_MOST_IDLE", 1)
    Program(guests.HELLO, isolation="process")
    assert len(waiting_pids()) == 1
    assert sum(worker.is_alive for worker in process._workers) == 1


@posix
def test_a_worker_has_nothing_of_its_parent() -> None:
    os.environ["SECRET"] = "s3cr3t"
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    try:
        Program(TRIVIAL, isolation="process")
    finally:
        del os.environ["SECRET"]
        os.close(reader)
        os.close(writer)
    if sys.platform != "linux":
        return
    (pid,) = waiting_pids()
    assert Path(f"/proc/{pid}/environ").read_bytes() == b""
    links = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    files = {link for link in links if link.startswith("/")}
    assert files <= {"/dev/null"}, files
    assert os.getpgid(pid) == os.getsid(pid) == pid
    told = Path(f"/proc/{pid}/limits").read_text()
    assert "Max core file size        0                    0" in told


@posix
def test_a_worker_that_is_killed_is_lost_and_replaced() -> None:
    program = Program(guests.SPIN, isolation="process", limits=ResourceLimits(timeout=20))
    with program.start() as running:
        deadline = time.monotonic() + 10
        while pool._idle and time.monotonic() < deadline:
            time.sleep(0.01)
        for worker in list(process._workers):
            if worker.is_alive:
                os.kill(worker._process.pid, signal.SIGKILL)
        result = running.wait(10)
    assert result.reason is Reason.WORKER_LOST
    assert "SIGKILL" in result.message
    assert program.run(limits=ResourceLimits(timeout=0.1)).reason is Reason.TIMEOUT


@posix
@pytest.mark.usefixtures("_little_grace")
def test_a_worker_that_hears_nothing_is_killed_at_the_deadline() -> None:
    program = Program(guests.SPIN, isolation="process", limits=ResourceLimits(timeout=0.2))
    (pid,) = waiting_pids()
    os.kill(pid, signal.SIGSTOP)
    result = program.run()
    assert result.reason is Reason.TIMEOUT
    assert result.duration < 5
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@posix
@pytest.mark.slow
def test_workers_die_with_their_parent() -> None:
    ended = run_in_subprocess(
        """
        program = Program('(module (func (export "_start") (loop (br 0))))', isolation="process",
                          limits=ResourceLimits(timeout=None))
        from wasmtime.sandbox.worker import process
        running = program.start()
        import time; time.sleep(0.1)
        print(*[worker._process.pid for worker in process._workers], flush=True)
        os.kill(os.getpid(), 9)
        """,
        preamble=PREAMBLE,
    )
    assert ended.signal == "SIGKILL"
    pids = [int(word) for word in ended.output.split()]
    assert pids
    deadline = time.monotonic() + 10
    while any(map(_runs, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(_runs, pids))


def _runs(pid: int) -> bool:
    """
    Whether a process is there, and no zombie that nobody has waited for.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    if sys.platform != "linux":
        return True
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


PROGRAM = f"""
print(Program('''{TRIVIAL}''', isolation="process").run().ok)
"""


@pytest.mark.slow
def test_workers_come_up_from_an_unguarded_script() -> None:
    assert run_in_subprocess(PROGRAM, preamble=PREAMBLE).check().output == "True\n"


@pytest.mark.slow
def test_workers_come_up_from_the_command_line_and_from_standard_input() -> None:
    import subprocess

    text = PREAMBLE + PROGRAM
    for command, given in ((["-c", text], ""), (["-"], text), (["-i", "-"], text)):
        done = subprocess.run(
            [sys.executable, *command], input=given, capture_output=True, text=True, timeout=60
        )
        assert "True" in done.stdout, done.stderr


@posix
@pytest.mark.slow
def test_a_forked_child_has_workers_of_its_own() -> None:
    ended = run_in_subprocess(
        f"""
        program = Program('''{TRIVIAL}''', isolation="process")
        assert program.run().ok
        pid = os.fork()
        if pid == 0:
            ok = program.run().ok
            os._exit(0 if ok else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert program.run().ok
        """
        if hasattr(os, "waitstatus_to_exitcode")
        else "pass",
        preamble=PREAMBLE,
    )
    ended.check()


def test_an_interpreter_that_is_frozen_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    with pytest.raises(SandboxError, match="isolation='thread'"):
        Program(guests.QUIET, isolation="process")


def test_a_module_is_compiled_by_the_worker_itself() -> None:
    from wasmtime import Engine, Module

    with pytest.raises(SandboxError, match="give the path or the bytes"):
        Program(Module(Engine(), TRIVIAL), isolation="process")


# -- workers that lie

LIAR = """
import json, os, struct, sys, time
fd = 0
def send(message, blobs=(), text=None):
    text = json.dumps(message).encode() if text is None else text
    os.write(fd, struct.pack(">IB", len(text), len(blobs))
             + b"".join(struct.pack(">Q", len(b)) for b in blobs) + text + b"".join(blobs))
def receive():
    size, count = struct.unpack(">IB", os.read(fd, 5))
    left = size + sum(struct.unpack(">Q", os.read(fd, 8))[0] for _ in range(count))
    while left:
        left -= len(os.read(fd, min(left, 65536)))
send({"op": "hello"})
receive()
send({"op": "loaded", "exports": {}})
receive()
RESULT = {"op": "result", "reason": "exited", "exit_code": 0, "value": None, "fuel_used": None,
          "memory_size": None, "truncated": False, "trap": None, "exception": None}
"""


#: What a worker says instead of a result.
LIES = {
    "a reason that there is not": 'send({**RESULT, "reason": "fine"}, [b"", b""])',
    "no result": "send({}, [])",
    "no object": 'send(None, [], b"[1]")',
    "no JSON": 'send(None, [], b"{")',
    "deep JSON": 'send(None, [], b"[" * 100000)',
    "a deep value": 'send(None, [b"", b""], json.dumps(RESULT).replace("\\"value\\": null", '
    '"\\"value\\": " + "[" * 5000 + "]" * 5000).encode())',
    "a pickle": "send(None, [], b\"cos\\nsystem\\n(S'true'\\ntR.\")",
    "output beyond the limit": 'send(RESULT, [b"x" * 2000000, b""])',
    "more than there may be": "os.write(fd, struct.pack('>IB', 2**32 - 1, 0))",
    "a blob without end": "os.write(fd, struct.pack('>IBQ', 2, 1, 2**63))",
    "many blobs": "os.write(fd, struct.pack('>IB', 2, 255))",
    "numbers that are none": 'send({**RESULT, "exit_code": "0"}, [b"", b""])',
    "a huge number": 'send({**RESULT, "memory_size": 2**70}, [b"", b""])',
    "a trap that is none": 'send({**RESULT, "trap": {"frames": [[1]], "message": ""}}, [b"", b""])',
    "a long text": 'send({**RESULT, "exception": {"type": "x" * 10**6, "text": ""}}, [b"", b""])',
    "a call of a function that there is not": 'send({"op": "host", "name": "system", "args": []})',
    "output that nobody asked for": 'send({"op": "output", "stream": "stdout"}, [b"x"])',
    "a read of an odd size": 'send({"op": "read", "size": -1})',
    "half a message": "os.write(fd, b'ab')",
    "nothing, and it exits": "sys.exit(3)",
    "nothing, and it dies": "os.abort()",
}


QUICK = ("a pickle", "a deep value", "half a message", "nothing, and it dies")


@posix
@pytest.mark.parametrize(
    "lie",
    [pytest.param(lie, marks=[] if lie in QUICK else [pytest.mark.slow]) for lie in LIES],
)
def test_a_worker_that_lies_is_lost(lie: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_PROGRAM", textwrap.dedent(LIAR) + LIES[lie] + "\n")
    result = Program(guests.QUIET, isolation="process").run()
    assert result.reason is Reason.WORKER_LOST, result
    assert result.exception is not None
    assert not any(worker.is_alive for worker in process._workers)


@posix
@pytest.mark.usefixtures("_little_grace")
@pytest.mark.parametrize(
    ("silence", "reason"),
    [
        pytest.param("time.sleep(60)", Reason.TIMEOUT, marks=pytest.mark.slow),
        ('while True: send({"op": "host", "name": "f", "args": []}); receive()', Reason.TIMEOUT),
    ],
)
def test_a_worker_that_says_nothing_is_killed(
    silence: str, reason: Reason, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_PROGRAM", textwrap.dedent(LIAR) + silence + "\n")
    limits = ResourceLimits(timeout=0.2)
    plugin = Plugin(
        '(module (import "env" "f" (func)))',
        functions={"f": lambda: None},
        limits=limits,
        isolation="process",
    )
    result = plugin.try_call("run")
    assert result.reason is reason
    assert result.duration < 5


@posix
@pytest.mark.usefixtures("_little_grace")
def test_a_worker_that_reads_nothing_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    told = LIAR.rpartition("receive()\nRESULT")[0] + "time.sleep(60)\n"
    monkeypatch.setattr(process, "_PROGRAM", textwrap.dedent(told))
    program = Program(wasi_programs.CAT, isolation="process", limits=ResourceLimits(timeout=0.2))
    result = program.run(stdin=b"x" * (8 << 20))
    assert result.reason is Reason.TIMEOUT
    assert result.duration < 5


@posix
def test_a_worker_that_does_not_come_up_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_PROGRAM", "raise SystemExit(7)")
    with pytest.raises(SandboxError, match="did not start: it exited with status 7"):
        Program(guests.QUIET, isolation="process")
