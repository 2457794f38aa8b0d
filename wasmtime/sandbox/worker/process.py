"""One worker process, seen from its parent: started, asked, killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Sequence
from time import monotonic
from typing import Any, Optional

from ..source import refusal
from .channel import HAS_POLL, Channel, ChannelClosed, Expired, Malformed, Message

__all__ = ["Worker", "forget_workers"]

#: Seconds that a new worker may take to import the package, on a machine under load.
_START = 60.0

_PROGRAM = """\
import json, sys
for path in json.loads(sys.argv[2]):
    if path not in sys.path: sys.path.append(path)
from wasmtime.sandbox.worker.child import main
main(int(sys.argv[1]))
"""

#: All workers of this process; a forked child gives their descriptors up.
_workers: weakref.WeakSet[Any] = weakref.WeakSet()


class Worker:
    """A worker process.

    It is used by one thread at a time; `interrupt` and `kill` may be called from any.

    Raises:
        SandboxError: It cannot be started, or does not come up.
    """

    def __init__(self) -> None:
        interpreter = sys.executable
        if not interpreter or getattr(sys, "frozen", False):
            raise refusal(
                "RuntimeError",
                "isolation='process' starts workers with sys.executable, which is no Python "
                f"interpreter here ({interpreter!r}): use isolation='thread'",
            )
        self._lock = threading.Lock()
        self._is_dead = False
        self._lifeline: Optional[int] = None
        self._process, self._channel = self._start(interpreter)
        _workers.add(self)
        try:
            message, _ = self.receive(1 << 16, monotonic() + _START)
        except (ChannelClosed, Expired, Malformed) as error:
            self.kill()
            raise refusal(
                "RuntimeError", f"a worker process did not start: {self.death}"
            ) from error
        if message != {"op": "hello"}:
            self.kill()
            raise refusal("RuntimeError", "a worker process did not start as it should")

    def _start(self, interpreter: str) -> tuple[subprocess.Popen[bytes], Channel]:
        command = [interpreter, "-I", "-B", "-c", _PROGRAM]
        paths = json.dumps([path for path in sys.path if os.path.isabs(path)])
        options: Any = {
            "env": _environment(),
            "stderr": subprocess.DEVNULL,
            "cwd": os.path.abspath(os.sep),
        }
        process: Any
        if sys.platform == "win32":
            process = subprocess.Popen(
                [*command, "-1", paths],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                creationflags=subprocess.CREATE_NEW_PROCESS_GROUP,
                **options,
            )
            ends = os.dup(process.stdout.fileno()), os.dup(process.stdin.fileno())
            process.stdin.close()
            process.stdout.close()
            return process, Channel(*ends)
        ours, theirs = socket.socketpair()
        lifeline, self._lifeline = os.pipe()
        try:
            process = subprocess.Popen(
                [*command, str(lifeline), paths],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                pass_fds=[lifeline],
                start_new_session=True,
                **options,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
            os.close(lifeline)
        descriptor = ours.detach()
        return process, Channel(descriptor, descriptor)

    def send(
        self, message: dict[str, Any], blobs: Sequence[Any] = (), deadline: Optional[float] = None
    ) -> None:
        """As `Channel.send`."""
        self._channel.send(message, blobs, deadline)

    def receive(self, most: int, deadline: Optional[float]) -> Message:
        """As `Channel.receive`; a worker that is late is dead afterwards where nothing polls."""
        if HAS_POLL or deadline is None:
            return self._channel.receive(most, deadline)
        timer = threading.Timer(max(0.0, deadline - monotonic()), self.kill)
        timer.start()
        try:
            return self._channel.receive(most)
        except ChannelClosed:
            if monotonic() >= deadline:
                raise Expired from None
            raise
        finally:
            timer.cancel()

    def interrupt(self) -> None:
        """Ask the worker to end its guest."""
        if sys.platform == "win32":
            self.kill()
            return
        with self._lock:
            if not self._is_dead:
                self._process.send_signal(signal.SIGUSR1)

    def kill(self) -> None:
        """Kill the worker, and all that it has started."""
        with self._lock:
            if self._is_dead:
                return
            self._is_dead = True
            if sys.platform != "win32" and self._process.poll() is None:
                try:
                    os.killpg(self._process.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self._process.kill()
        self._process.wait()
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None

    def close(self) -> None:
        """Kill the worker and close the connection."""
        self.kill()
        self._channel.close()

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return not self._is_dead and self._process.poll() is None

    @property
    def death(self) -> str:
        """How the process ended, in words."""
        status = self._process.poll()
        if status is None:
            return "it does not answer"
        if status < 0:
            try:
                return f"it was ended by {signal.Signals(-status).name}"
            except ValueError:
                return f"it was ended by signal {-status}"
        return f"it exited with status {status}"

    def leave_to_parent(self) -> None:
        """Give up the descriptors in a forked child: the worker is its parent's."""
        self._is_dead = True
        self._channel.close()
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None


def _environment() -> dict[str, str]:
    """The environment of a worker: empty, where the system lets processes start so."""
    if os.name != "nt":
        return {}
    return {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}


def forget_workers() -> None:
    """Give up all workers in a forked child."""
    for worker in list(_workers):
        worker.leave_to_parent()
    _workers.clear()
