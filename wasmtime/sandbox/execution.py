"""One guest in a store of its own, in this process, and how it ends.

An `Execution` owns the store. What it starts ends within the task's limits, or when another thread
asks for it; `ending` then tells why, from the types of exceptions and from what was noted here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Any, Callable, Optional

from .. import (
    ExitTrap,
    GuestExit,
    InterruptTrap,
    OutputLimitTrap,
    Store,
    TimeoutTrap,
    Trap,
    WasmtimeError,
)
from .._printable import clip
from .._wasi.input import AsyncInput, Awaited, Reader, descriptor_of
from .linking import Linked, LinkedModule
from .reasons import Reason
from .result import ExceptionInfo, Result, TrapInfo
from .steps import Steps, take
from .waiting import LoopWaiter, until
from .world import WHOLE_INPUT, Streams, Task, make_wasi

if TYPE_CHECKING:
    from .._snapshots.state import State

__all__ = ["Execution"]

#: A page of linear memory; a guest that fails so close to its limit is taken to have reached it.
PAGE = 65536
#: What is kept of messages and names, which are the guest's.
_LONGEST_TEXT, _LONGEST_NAME, _MOST_FRAMES = 10_000, 500, 100
#: How many tables and memories a store may have.
_MOST_TABLES, _MOST_MEMORIES = 64, 32
#: Where the library's text of a trap has the offset of a frame in its module.
_OFFSET = re.compile(r"^(\s*\d+:\s+)0x([0-9a-f]+)(?= - )", re.MULTILINE)
#: What a copy has that waits for its next run.
_NO_TASK = Task()
#: An entry whose time is over before it begins still has to be given some.
_LEAST_TIME = 1e-6


class Execution:
    """One guest: a store, what it may use, and what became of it.

    Args:
        linked: The code.
        name: ``argv[0]``.
        task: The run.
        unpooled: Gives the same code with instances that are not taken from the pool, which may be
            exhausted; or the same again.

    Attributes:
        linked: The code.
        store: The store, until this is closed.
        instance: The instance, once it is there.
        waiter: Waits for what the event loop does, where a thread of its own runs the guest.
        is_awaited: Whether the event loop runs the guest itself: host functions are awaited then.
        host_error: What a function of the host raised last.
        has_asked: Whether the guest has called one since it was last entered.
        cause: What a `SandboxError` about the end has as its cause: the exception that ended the
            guest, unless that is a trap or an exit, which the result has all of.
    """

    def __init__(
        self,
        linked: Linked,
        name: str,
        task: Task,
        unpooled: Callable[[], Linked],
    ) -> None:
        self._began = perf_counter()
        self.limits = task.limits
        self.host_error: Optional[BaseException] = None
        self.cause: Optional[BaseException] = None
        self.has_asked = False
        self.linked = linked
        self.waiter = LoopWaiter()
        self.is_awaited = False
        self._stopped: Optional[Reason] = None
        self.instance: Any = None
        self._streams: Optional[Streams] = None
        self._name, self._task = name, task
        self._memories = linked.memories
        self._unpooled = unpooled
        self._refusal: Optional[WasmtimeError] = None
        self._state: Optional[State] = None
        self._is_renewable = False
        self.store: Store = Store(linked.engine, self)

    def _furnish(self) -> None:
        """Give the store its limits and its world."""
        task, store = self._task, self.store
        limits = task.limits
        self._set_limits()
        store._roams = self.is_awaited
        if limits.fuel is not None:
            store.set_fuel(limits.fuel)
        if self.linked.uses_wasi:
            stdin = self._input(task.stdin)
            if stdin is not task.stdin:
                task = replace(task, stdin=stdin)
            wasi, self._streams = make_wasi(self._name, task, self._note)
            store.set_wasi(wasi)
            if task.network and getattr(self.linked, "uses_http", False):
                store.set_wasi_http()

    def _input(self, stdin: Any) -> Any:
        """Standard input as WASI takes it: what is asynchronous is awaited, or waited for."""
        if isinstance(stdin, WHOLE_INPUT) or descriptor_of(stdin) >= 0:
            return stdin
        given = Reader(stdin.read if isinstance(stdin, AsyncInput) else stdin)

        async def read_async(size: int) -> Any:
            return await given(size)  # type: ignore[misc]

        def read(size: int) -> Any:
            piece = given(size)
            return self.wait_for(piece) if isinstance(piece, Awaited) else piece

        return read_async if self.is_awaited else read

    def _set_limits(self) -> None:
        limits, elements = self._task.limits, self._task.limits.table_elements
        self.store.set_limits(
            total_memory=-1 if limits.memory is None else limits.memory,
            memories=-1 if limits.memory is None else self._memories,
            table_elements=-1 if elements is None else max(elements, self.linked.own_elements),
            tables=_MOST_TABLES + (self.linked.own_elements > 0),
            instances=-1 if limits.instances is None else limits.instances,
        )

    @contextmanager
    def without_limits(self) -> Iterator[None]:
        """Let the host make an instance of its own in the store."""
        self.store.set_limits()
        try:
            yield
        finally:
            self._set_limits()

    def _note(self, error: BaseException) -> None:
        self.host_error = error

    # -- running

    def enter(self) -> None:
        """Give what comes next the time that is left; refuse it to what was stopped.

        Raises:
            InterruptTrap: It was stopped before it could be interrupted.
        """
        self.has_asked = False
        if self._stopped is not None:
            raise InterruptTrap("the guest was stopped before it began")
        if self.limits.timeout is not None:
            left = self.limits.timeout - (perf_counter() - self._began)
            self.store.set_timeout(max(left, _LEAST_TIME))

    def renew(self) -> None:
        """Start the clock anew, for another call in the same store."""
        self._began = perf_counter()
        self.host_error = self.cause = None

    def start(self, state: Optional[State] = None) -> Any:
        """Instantiate the code: see `starting`."""
        return take(self.starting(state))

    def starting(self, state: Optional[State] = None) -> Steps[Any]:
        """Instantiate the code.

        Args:
            state: What the instance begins with, of a snapshot of the same code.

        Returns:
            The instance; the one that `equip` was called for, if it was.
        """
        if self._is_ahead:
            self._is_ahead = False
            self._furnish()
            return self.instance
        self._state = state
        for last in self._attempts():
            try:
                made = yield from self.linked.instantiating(self.store, self._state)
                self.instance, self._is_renewable = made
                break
            except WasmtimeError as error:
                self._refused(error, last)
        self.linked.memories = self._memories
        return self.instance

    _is_ahead = False

    def equip(self, task: Task) -> None:
        """Give an instance that is there its run: its world, and its time from now on.

        Args:
            task: The run; its limits are those that the instance was made with.
        """
        self._task, self._is_ahead = task, True
        self.renew()

    def begin_again(self) -> bool:
        """Let the instance be as if it had not run, for another run; nothing of the last is kept.

        Returns:
            Whether that could be had. If not, or in the end, this is to be closed.
        """
        if not self._is_renewable or self._task.preopens:
            return False
        from .._snapshots.restore import renew

        assert isinstance(self.linked, LinkedModule)
        assert self.linked.prepared is not None
        assert self._state is not None
        if not renew(self.linked.prepared, self._state, self.store, self.instance):
            return False
        self.store._set_wasi(None)
        self._task, self._streams, self._stopped = _NO_TASK, None, None
        self.waiter = LoopWaiter()
        self.renew()
        return True

    def _attempts(self) -> Iterator[bool]:
        """Furnish a store for each attempt to instantiate the code; yield whether it is the last.

        The pool may be exhausted, or not fit the code: the second attempt goes without.

        The library bounds each memory and their number, and how many there are, it tells of exports
        alone. So one may have all of the limit; code that is refused gets a new store, where two
        may have half of it each, and so on. What it needs is remembered with the code.
        """
        self._furnish()
        self.enter()
        yield False
        self._begin_anew(self._unpooled(), self.linked.memories)
        while True:
            more = 2 * self._memories
            yield self.limits.memory is None or more > _MOST_MEMORIES
            self._begin_anew(self.linked, more)

    def _begin_anew(self, linked: Linked, memories: int) -> None:
        """Take a new store for another attempt."""
        self.linked, self._memories = linked, memories
        self.store.close()
        self.store = Store(linked.engine, self)
        self._furnish()
        self.enter()

    def _refused(self, error: WasmtimeError, last: bool) -> None:
        """Raise what refused the code, unless more memories may help: the first is what counts."""
        if self._refusal is None:
            self._refusal = error
        if last or isinstance(error, GuestExit) or error is self.host_error:
            raise error if isinstance(error, GuestExit) else self._refusal

    def wait_for(self, awaitable: Any) -> Any:
        """What an awaitable of the host gives: see `LoopWaiter.wait_for`."""
        limit = self.limits.timeout
        left = None if limit is None else limit - (perf_counter() - self._began)
        return self.waiter.wait_for(awaitable, None if left is None else monotonic() + left)

    def stop(self, reason: Reason) -> None:
        """End the guest, from any thread; it may be asked for again until the guest has ended."""
        if self._stopped is None:
            self._stopped = reason
        self.waiter.stop()
        self.store.interrupt()  # which does nothing if it has ended

    def take_messages(self) -> bytes:
        """What the guest has told the host since the last time."""
        return b"" if self._streams is None else self._streams.take_messages()

    # -- ending

    def finish(self, error: Optional[BaseException], value: Any, is_program: bool) -> Result:
        """What became of the guest.

        Args:
            error: What ended it; None if it came to its end.
            value: What it returned.
            is_program: Whether that is its exit status, and not a value.

        Raises:
            BaseException: `error`, if it is none that a guest ends with, such as KeyboardInterrupt.
        """
        reason, exit_code, trap, exception = self._ending(error)
        self.cause = None if exception is None else error
        if error is None and is_program:
            exit_code, value = self.linked.exit_code(value), None
        memory_size = self._memory_size()
        if self._is_out_of_memory(reason, exit_code, memory_size):
            reason, exit_code = Reason.OUT_OF_MEMORY, None
        streams, limits = self._streams, self.limits
        return Result(
            reason,
            exit_code,
            b"" if streams is None else streams.take_stdout() + streams.take_rest(),
            b"" if streams is None else streams.take_stderr(),
            value,
            perf_counter() - self._began,
            None if limits.fuel is None else limits.fuel - self.store.get_fuel(),
            memory_size,
            streams is not None and streams.truncated(),
            {},
            trap,
            exception,
        )

    def _ending(
        self, error: Optional[BaseException]
    ) -> tuple[Reason, Optional[int], Optional[TrapInfo], Optional[ExceptionInfo]]:
        if error is None:
            return Reason.EXITED, None, None, None
        if error is self.host_error:
            return Reason.HOST_ERROR, None, None, describe(error)
        if isinstance(error, ExitTrap):
            return Reason.EXITED, error.code, None, None
        if isinstance(error, Trap):
            trap = trap_info(error, self.linked.displacement)
            return self._reason_of_trap(error), None, trap, None
        if isinstance(error, WasmtimeError):
            reason = Reason.NOT_STARTED if self.instance is None else Reason.TRAPPED
            return reason, None, None, describe(error)
        if isinstance(error, Exception):
            # An argument that does not fit; or what a function of the host returned does not, or it
            # was raised by a class of the host's, which has no guard.
            hosts = self.linked.has_unguarded or self.has_asked
            reason = Reason.HOST_ERROR if hosts else Reason.NOT_STARTED
            return reason, None, None, describe(error)
        raise error

    def _reason_of_trap(self, trap: Trap) -> Reason:
        from .. import TrapCode

        if isinstance(trap, TimeoutTrap):
            return Reason.TIMEOUT
        if isinstance(trap, InterruptTrap):
            return self._stopped or Reason.CANCELLED
        if isinstance(trap, OutputLimitTrap):
            return Reason.OUTPUT_LIMIT
        return Reason.OUT_OF_FUEL if trap.trap_code is TrapCode.OUT_OF_FUEL else Reason.TRAPPED

    def _memory_size(self) -> Optional[int]:
        if self.instance is None:
            return None
        return self.linked.memory_size(self.store, self.instance)

    def _is_out_of_memory(
        self, reason: Reason, exit_code: Optional[int], memory_size: Optional[int]
    ) -> bool:
        """Whether the guest failed with no memory left; the C API tells of no refused growth."""
        failed = reason is Reason.TRAPPED or (reason is Reason.EXITED and bool(exit_code))
        limit = self.limits.memory
        if not failed or limit is None or memory_size is None:
            return False
        return memory_size > limit - PAGE

    async def cancelled(self) -> None:
        """The coroutine that awaits the guest was cancelled: stop it, and wait for that.

        Where it computes, another thread polls it, until it hears of it.
        """
        self.stop(Reason.CANCELLED)
        await until(self._is_closed)

    def _is_closed(self) -> bool:
        try:
            self.close()
        except WasmtimeError:  # in use
            return False
        return True

    def close(self) -> None:
        """Give up the store and everything in it."""
        self.instance = None
        self.store.close()


def describe(error: BaseException) -> ExceptionInfo:
    """An exception as data."""
    text = error.args[0] if isinstance(error, KeyError) and error.args else error
    return ExceptionInfo(type(error).__name__, clip(str(text), _LONGEST_TEXT))


def trap_info(trap: Trap, displacement: int) -> TrapInfo:
    """A trap as data; names, which are the guest's, are cut off where they are long.

    Args:
        trap: The trap.
        displacement: How many bytes behind its place in the guest's own module its code is.
    """
    frames = tuple(_short_frame(frame, displacement) for frame in trap.frames[:_MOST_FRAMES])
    message = clip(trap.message, _LONGEST_TEXT)
    if displacement:
        message = _OFFSET.sub(lambda at: _moved(at, displacement), message)
    return TrapInfo(trap.trap_code, message, frames)


def _moved(at: re.Match[str], displacement: int) -> str:
    """The offset of a frame in the guest's own module, as text, in as many characters."""
    text = hex(int(at[2], 16) - displacement)
    return at[1] + " " * (len(at[2]) + 2 - len(text)) + text


def _short_frame(frame: Any, displacement: int) -> Any:
    from .. import Frame

    function, module = (
        None if name is None else clip(name, _LONGEST_NAME)
        for name in (frame.func_name, frame.module_name)
    )
    offset = frame.module_offset - displacement
    return Frame(frame.func_index, function, module, offset, frame.func_offset)
