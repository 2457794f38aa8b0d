"""What runs in a worker process.

It reads messages from the parent, one at a time, and runs guests in the thread tier. What the guest
asks of the host (functions, standard input) goes to the parent, and waits for the answer.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Optional

from ... import TimeoutTrap
from ..errors import GuestError, SandboxError
from ..execution import describe
from ..functions import HostFunctions
from ..limits import ResourceLimits
from ..plain import from_plain, to_plain
from ..reasons import Reason
from ..result import Result
from ..settings import Settings
from ..source import Code
from ..tiers import Guest
from .channel import Channel, ChannelClosed, Message
from .messages import call_of, result_parts, task_of
from .rlimits import apply_limits

if TYPE_CHECKING:
    from ..pools.ahead import Stock

__all__ = ["main"]

_MOST = 1 << 62  # the parent is trusted
#: Whether the kernel tells of the end of a pipe by a signal that ends the process.
_HAS_SIGIO = sys.platform == "linux"


class HostFailure(Exception):
    """A function of the host raised in the parent, which knows what."""


class Child:
    """A worker process: some code, and the guest that it runs."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._code: Optional[Code] = None
        self._settings = Settings()
        self._guest: Optional[Guest] = None
        self._over: Optional[Guest] = None
        self._stock: Optional[Stock] = None

    def serve(self) -> None:
        """Do what the parent says, until it is gone."""
        while True:
            message, blobs = self._channel.receive(_MOST)
            operation = getattr(self, f"_do_{message['op']}")
            answer, carried = operation(message, blobs)
            self._channel.send(answer, carried)
            self._tidy_up()

    def _tidy_up(self) -> None:
        """Do what nobody waits for: free the last guest, and make instances that are missing."""
        guest, self._over = self._over, None
        if guest is not None:
            guest.close()
        if self._stock is not None:
            self._stock.add()

    def interrupt(self, *_: object) -> None:
        """End the guest: the parent has sent the signal for it."""
        guest = self._guest
        if guest is not None:
            guest.stop(Reason.CANCELLED)

    # -- what the parent asks for

    def _do_load(self, message: dict[str, Any], blobs: list[bytes]) -> Message:
        """Compile some code; everything guest-made comes after the limits."""
        from ..abi.protocols import exported_functions
        from ..here import prepare_here
        from ..linking import link

        apply_limits(message["limits"])
        limits = ResourceLimits(**message["limits"]).replace(compile_timeout=None)
        self._code = Code(
            message["name"],
            message["kind"],
            message["sha256"],
            len(blobs[0]),
            data=blobs[0],
            portable=message["portable"],
        )
        functions = HostFunctions(_remote(self, message["functions"]))
        self._settings = Settings(limits, functions=functions, cache=message["cache"])
        try:
            prepare_here(self._code, self._settings, message["is_program"], blobs[0])
        except SandboxError as refused:
            return self._told(refused.result)
        linked = link(self._code, limits, functions, message["cache"])
        return {"op": "loaded", "exports": exported_functions(linked.compiled)}, []

    def _do_make_ahead(self, message: dict[str, Any], blobs: list[bytes]) -> Message:
        """Have so many instances wait from now on, or tell why there are none."""
        from ..pools.ahead import Stock, why_not_ahead

        assert self._code is not None
        why = why_not_ahead(self._code, None)
        if why is None:
            stock = Stock(self._code, self._settings, None, message["count"])
            try:
                stock.fill()
                self._stock = stock
            except SandboxError as refused:
                why = str(refused)
        return {"op": "made", "why": why}, []

    def _do_run(self, message: dict[str, Any], blobs: list[bytes]) -> Message:
        """Run a guest to its end."""
        try:
            self._guest = self._new_guest(message, blobs)
            result = self._guest.run(call_of(message["call"]))
        except SandboxError as refused:
            result = refused.result
        finally:
            self._over, self._guest = self._guest, None
        return self._told(result)

    def _do_open(self, message: dict[str, Any], blobs: list[bytes]) -> Message:
        """Start a guest that is kept."""
        try:
            self._guest = self._new_guest(message, blobs)
            return self._told(self._guest.open())
        except SandboxError as refused:
            return self._told(refused.result)

    def _do_call(self, message: dict[str, Any], blobs: list[bytes]) -> Message:
        """Call a function of the guest that is kept."""
        guest, call = self._guest, call_of(message["call"])
        assert guest is not None
        assert call is not None
        return self._told(guest.call(call))

    def _do_close(self, message: dict[str, Any], blobs: list[bytes]) -> Message:
        """Give up the guest that was kept."""
        self._end()
        return {"op": "closed"}, []

    def _new_guest(self, message: dict[str, Any], blobs: list[bytes]) -> Guest:
        from ..here import ThreadGuest

        assert self._code is not None
        stdin: Any = None
        if message["stdin"] == "blob":
            stdin = blobs[0]
        elif message["stdin"] == "parent":
            stdin = self._read
        task = task_of(
            message["task"],
            self._settings.limits,
            stdin,
            _Shown(self) if message["streams"] else None,
        )
        settings = Settings(
            task.limits, functions=self._settings.functions, cache=self._settings.cache
        )
        stock = self._stock
        taken = None if stock is None else stock.take(self._code, settings, task, None)
        return taken or ThreadGuest(self._code, settings, task)

    def _end(self) -> None:
        guest, self._guest = self._guest, None
        if guest is not None:
            guest.close()

    def _told(self, result: Result) -> Message:
        try:
            return result_parts(result)
        except (TypeError, ValueError) as error:  # a value that has no form, such as a resource
            return result_parts(Result(Reason.NOT_STARTED, exception=describe(error)))

    # -- what the guest asks for

    def _ask(self, message: dict[str, Any]) -> Message:
        self._channel.send(message)
        answer, blobs = self._channel.receive(_MOST)
        if answer["op"] == "expired":
            raise TimeoutTrap("the time of the guest was up while the host was asked")
        if answer["op"] == "guest-error":
            raise GuestError(answer["text"])
        if answer["op"] == "failed":
            raise HostFailure("a function of the host raised")
        return answer, blobs

    def call_host(self, name: str, args: tuple[Any, ...]) -> Any:
        """Call a function of the host."""
        asked = {"op": "host", "name": name, "args": [to_plain(value) for value in args]}
        return from_plain(self._ask(asked)[0]["value"])

    def _read(self, size: int) -> bytes:
        """Read the guest's standard input, which the parent has."""
        return self._ask({"op": "read", "size": size})[1][0]

    def show(self, stream: str, data: bytes) -> bytes:
        """Give what the guest writes to the parent, which collects it."""
        self._channel.send({"op": "output", "stream": stream}, [data])
        return b""


class _Shown:
    """Output that is collected in the parent, which hears what is for it."""

    mark = ""
    answers = True

    def __init__(self, child: Child) -> None:
        self.filter = child.show


def _remote(child: Child, names: Mapping[str, Any]) -> dict[str, Any]:
    """Functions that are called in the parent, as the parent describes them."""

    def make(path: str, described: Any) -> Any:
        if isinstance(described, dict):
            return {key: make(f"{path}#{key}", each) for key, each in described.items()}
        return _RemoteFunction(child, path, described)

    return {name: make(name, described) for name, described in names.items()}


class _RemoteFunction:
    """A function of the host: `kinds` is what its annotations say in the parent."""

    def __init__(self, child: Child, name: str, described: list[Any]) -> None:
        self._child, self._name = child, name
        params, result = described
        self.kinds = (params, result, False)
        self.__name__ = self.__qualname__ = name

    def __call__(self, *args: Any) -> Any:
        return self._child.call_host(self._name, args)


def _die_with_parent(lifeline: int) -> None:
    """End this process when the parent is gone, and with it the other end of a pipe."""
    if _HAS_SIGIO:
        import fcntl

        fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
        flags = fcntl.fcntl(lifeline, fcntl.F_GETFL)
        # The kernel sends SIGIO, which ends the process, whatever it is doing.
        fcntl.fcntl(lifeline, fcntl.F_SETFL, flags | os.O_ASYNC | os.O_NONBLOCK)
        try:
            gone = os.read(lifeline, 1) == b""
        except BlockingIOError:
            gone = False
        if gone:
            os._exit(1)
        return
    threading.Thread(target=_wait_for_end, args=(lifeline,), daemon=True).start()


def _wait_for_end(lifeline: int) -> None:
    try:
        os.read(lifeline, 1)
    finally:
        os._exit(1)


def _separate_streams() -> tuple[int, int]:
    """Take the descriptors of the parent off the standard streams."""
    reader, writer = os.dup(0), os.dup(1 if sys.platform == "win32" else 0)
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    os.close(null)
    return reader, writer


def main(lifeline: int) -> None:
    """Serve the parent at the other end of the standard input."""
    reader, writer = _separate_streams()
    child = Child(Channel(reader, writer, is_patient=True))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform != "win32":
        signal.signal(signal.SIGUSR1, child.interrupt)
        _die_with_parent(lifeline)
    child._channel.send({"op": "hello"})
    try:
        child.serve()
    except ChannelClosed:
        os._exit(0)
