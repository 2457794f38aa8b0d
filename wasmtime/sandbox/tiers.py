"""The two tiers: a guest in this process, or in a worker process. Both do the same.

Programs, plug-ins, sessions and interpreters make a `Guest` of their code, settings and task, and
need not know which of the two it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional

from .abi.shapes import CoreABI
from .abi.values import Kind
from .errors import SandboxError
from .reasons import Reason
from .result import Result
from .settings import Settings
from .source import Code
from .waiting import in_thread, watch
from .world import Task

if TYPE_CHECKING:
    from .._snapshots.state import State

__all__ = [
    "Call",
    "Guest",
    "Supply",
    "exports_of",
    "new_guest",
    "prepare",
    "run_guest",
    "run_guest_async",
]


class Call(NamedTuple):
    """A call of a function that a guest exports.

    Attributes:
        name: Name of the export; ``interface#function`` in a component.
        args: The arguments.
        abi: How they pass to a core module.
        returns: The kind of the result of a core module, where an annotation says it.
        first: Calls that are made before, whatever they return; in the thread tier.
    """

    name: str
    args: Sequence[Any]
    abi: CoreABI
    returns: Optional[Kind] = None
    first: Sequence[Any] = ()

    @classmethod
    def of(cls, name: str, args: Sequence[Any], abi: CoreABI, returns: Optional[Kind]) -> Call:
        """A call that a program asks for.

        Raises:
            TypeError: The name is no str.
        """
        if not isinstance(name, str):
            raise TypeError(f"name must be the name of a function, a str, not {name!r}")
        return cls(name, args, abi, returns)


class Guest(ABC):
    """A guest that has not been started, runs, or has ended.

    Attributes:
        cause: What a `SandboxError` about its end has as cause.
    """

    cause: Optional[BaseException] = None
    #: Called, on the thread of the guest, when a program has stopped at a read, and goes on then;
    #: None: it has ended.
    at_stop: Optional[Callable[[], None]] = None
    #: Called before that, and in the end, with what the guest has told the host. With it, a program
    #: stops at its next read whenever it has told something.
    hear: Optional[Callable[[bytes], None]] = None

    @abstractmethod
    def run(self, call: Optional[Call]) -> Result:
        """Start it, and run it as a program, or call one function; to its end."""

    def can_be_awaited(self) -> bool:
        """Whether nothing of the run can block an event loop: `run_async` needs no thread then."""
        return False

    async def run_async(self, call: Optional[Call]) -> Result:
        """As `run`, in an event loop; cancelling stops the guest."""
        raise NotImplementedError

    @abstractmethod
    def open(self) -> Result:
        """Start it, to be called many times."""

    @abstractmethod
    def call(self, call: Call) -> Result:
        """Call a function of an open guest."""

    async def call_async(self, call: Call) -> Result:
        """The same, for a coroutine."""
        return await in_thread(lambda: self.call(call), self.cancel)

    @abstractmethod
    def stop(self, reason: Reason) -> None:
        """End what it runs, from any thread; it may be asked for again until it has ended."""

    def cancel(self) -> None:
        """End what it runs because nobody wants it any more, as `stop`."""
        self.stop(Reason.CANCELLED)

    @abstractmethod
    def close(self) -> None:
        """Give it up."""

    def snapshot(self) -> State:
        """The state of an open guest.

        Raises:
            NotCapturable: It cannot be told.
        """
        from .._snapshots.errors import NotCapturable

        raise NotCapturable("it runs in another process: use isolation='thread'")

    def stop_at_read(self) -> None:
        """Let a program stop at its next read of its input.

        It is called on the thread of the guest, in a function of the host.

        Raises:
            NotCapturable: It cannot be stopped there.
        """
        from .._snapshots.errors import NotCapturable

        raise NotCapturable("it runs in another process: use isolation='thread'")

    def suspend(self) -> Result:
        """Run it as a program, until it reads its input for the first time or ends.

        Raises:
            NotCapturable: It cannot be stopped there.
        """
        from .._snapshots.errors import NotCapturable

        raise NotCapturable("it runs in another process: use isolation='thread'")


class Supply(ABC):
    """Where a pool takes its guests from: what it has ready, or else new ones."""

    @abstractmethod
    def guest(self, code: Code, settings: Settings, task: Task, state: Optional[State]) -> Guest:
        """A guest, as `new_guest` gives it."""

    @abstractmethod
    def watch(self, stop: Callable[[], None]) -> None:
        """Be told how the guest is ended that this thread runs now."""


def new_guest(code: Code, settings: Settings, task: Task, state: Optional[State] = None) -> Guest:
    """A guest of the tier that the settings name.

    Args:
        code: What it runs.
        settings: What it may see and use.
        task: The run.
        state: What it begins with, of a snapshot of the same code; in the thread tier.

    Raises:
        SandboxError: The code cannot be compiled or linked.
    """
    guest = _made(code, settings, task, state)
    watch(guest)
    return guest


def _made(code: Code, settings: Settings, task: Task, state: Optional[State]) -> Guest:
    if settings.supply is not None:
        return settings.supply.guest(code, settings, task, state)
    if settings.isolation == "process":
        from .worker.guest import WorkerGuest

        return WorkerGuest(code, settings, task)
    from .here import ThreadGuest

    return ThreadGuest(code, settings, task, state)


def run_guest(
    code: Code,
    settings: Settings,
    task: Task,
    call: Optional[Call],
    state: Optional[State] = None,
    meet: Optional[Callable[[Guest], None]] = None,
) -> tuple[Result, Optional[BaseException]]:
    """Run a guest to its end; its result, and the cause of an error about it.

    Args:
        code: What it runs.
        settings: What it may see and use.
        task: The run.
        call: What is called; None for a program.
        state: What it begins with.
        meet: Is given the guest before it runs.
    """
    try:
        guest = new_guest(code, settings, task, state)
    except SandboxError as refused:
        return refused.result, refused
    if meet is not None:
        meet(guest)
    return _run(guest, call)


def _run(guest: Guest, call: Optional[Call]) -> tuple[Result, Optional[BaseException]]:
    try:
        return guest.run(call), guest.cause
    finally:
        guest.close()


async def run_guest_async(
    code: Code,
    settings: Settings,
    task: Task,
    call: Optional[Call],
    state: Optional[State] = None,
) -> tuple[Result, Optional[BaseException]]:
    """The same, for a coroutine; cancelling that stops the guest."""
    if settings.isolation == "process":  # where a worker may have to be started first
        return await in_thread(lambda: run_guest(code, settings, task, call, state))
    try:
        guest = new_guest(code, settings, task, state)
    except SandboxError as refused:
        return refused.result, refused
    if not guest.can_be_awaited():
        return await in_thread(lambda: _run(guest, call), guest.cancel)
    try:
        result = await guest.run_async(call)
    except GeneratorExit:
        guest.cancel()  # and a thread that runs it lets go of it then
        raise
    except BaseException:
        guest.close()
        raise
    guest.close()
    return result, guest.cause


def prepare(code: Code, settings: Settings, is_program: bool, data: Optional[bytes]) -> None:
    """Compile and link some code in its tier, for the constructor that asks for it.

    Raises:
        SandboxError: It is not accepted, or is no program where it should be.
    """
    if settings.isolation == "process":
        from .worker.guest import prepare_in_worker

        prepare_in_worker(code, settings, is_program)
    else:
        from .here import prepare_here

        prepare_here(code, settings, is_program, data)


def exports_of(code: Code, settings: Settings) -> Mapping[str, Any]:
    """What is known of the functions that some code exports, by name."""
    if settings.isolation == "process":
        from .worker.guest import exports_in_worker

        return exports_in_worker(code, settings)
    from .here import exports_here

    return exports_here(code, settings)
