"""The thread tier: guests in this process (`isolation="thread"`); `worker` is the other tier.

A `ThreadGuest` runs on the thread that asks for it: the caller's, one that a coroutine waits for,
or that of a `Running` program. What cannot block runs in the caller's event loop instead, and
computes on threads that such guests share. It owns an `Execution`, and that its store; both die
with `close`. Worker processes run their guests so, too.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Optional

from .._native import core
from .._wasi.input import AsyncInput
from .abi.calls import calling_function
from .execution import Execution
from .linking import Linked, link
from .quota import watching
from .reasons import Reason
from .result import Result
from .settings import Settings
from .source import Code, refusal
from .spares import leave_spare, take_spare
from .steps import Steps, calling, take, take_async
from .tiers import Call, Guest
from .world import WHOLE_INPUT, Task, is_asked

if TYPE_CHECKING:
    from .._snapshots.state import State

__all__ = ["ThreadGuest", "exports_here", "prepare_here"]


class ThreadGuest(Guest):
    """A guest in this process."""

    def __init__(
        self,
        code: Code,
        settings: Settings,
        task: Task,
        state: Optional[State] = None,
        pooled: bool = True,
    ) -> None:
        self._code, self._state = code, state
        where = (code, settings.limits, settings.functions, settings.cache)
        linked = link(*where, pooled=pooled)
        spare = None if state is None else take_spare(state, linked, task)
        self._execution = spare or Execution(
            linked, code.name, task, lambda: link(*where, pooled=False)
        )
        self._task, self._functions, self._preopens = task, settings.functions, task.preopens
        self._ends = threading.RLock()
        self._is_closed = self._has_ended_well = False

    def make_ahead(self) -> Result:
        """Instantiate it now, to be run later: `equip` gives it what it runs with."""
        caught = None
        try:
            self._execution.start(self._state)
        except Exception as error:
            caught = error
        return self._finish(caught, None, False)

    def equip(self, task: Task) -> None:
        """Give what was made ahead its task."""
        self._execution.equip(task)
        self._preopens = task.preopens

    def run(self, call: Optional[Call]) -> Result:
        value, caught = None, None
        self._has_ended_well = False
        with watching(self._execution, self._preopens):
            try:
                value = take(self._running(call))
            except Exception as error:
                caught = error
        self._teach()
        return self._finish(caught, value, call is None)

    def can_be_awaited(self) -> bool:
        # Functions of the host that are no `async def` might block, and so might input and output
        # that Python reads and takes; components wait for WASI in ways that no event loop hears of.
        task, execution = self._task, self._execution
        return (
            self._code.kind == "module"
            and execution.instance is None
            and self._state is None
            and isinstance(task.stdin, (*WHOLE_INPUT, AsyncInput))
            and not is_asked(task)
            and not callable(task.clock)
            and self._functions.are_awaited()
        )

    async def run_async(self, call: Optional[Call]) -> Result:
        execution = self._execution
        execution.is_awaited = True
        value, caught = None, None
        with watching(execution, self._preopens):
            try:
                value = await take_async(self._running(call))
            except Exception as error:
                caught = error
            except GeneratorExit:  # nobody runs this coroutine any more, so it cannot wait
                raise
            except BaseException:
                await execution.cancelled()
                raise
        return self._finish(caught, value, call is None)

    def _running(self, call: Optional[Call]) -> Steps[Any]:
        execution, state = self._execution, self._state
        instance = yield from execution.starting(state)
        execution.enter()
        if call is None:
            value = yield from self._running_program(instance)
            return value
        if execution.linked.is_reactor and state is None:
            yield calling(instance.exports(execution.store)["_initialize"], execution.store)
            execution.enter()
        for each in call.first:
            yield from calling_function(execution, instance, each)
        value = yield from calling_function(execution, instance, call)
        return value

    def _running_program(self, instance: Any) -> Steps[Any]:
        """Run a program to its end, from where it is, however often it stops at a read."""
        store, state = self._execution.store, self._state
        if state is not None and state.resume_at is not None:
            entry = self._added("resume")
        else:
            entry = self._execution.linked.entry(store, instance)
        if self.hear is not None:
            core.stop_at_message(store, self._added("armed"))
        value = yield calling(entry, store)
        self._hear()
        while self.at_stop is not None and self._has_stopped(instance):
            self.at_stop()
            value = yield calling(self._added("resume"), store)
            self._hear()
        return value

    def _hear(self) -> None:
        """Let the host hear what the guest has told it."""
        if self.hear is not None:
            self.hear(self._execution.take_messages())

    def _has_stopped(self, instance: Any) -> bool:
        """Whether a program has left its functions at a read; they can be gone on with then."""
        prepared, store = self._code.prepared, self._execution.store
        if prepared is None or prepared.suspension is None:
            return False
        exports = instance.exports(store)
        if exports["asyncify_get_state"](store) == 0:
            return False
        exports["asyncify_stop_unwind"](store)
        return True

    def stop_at_read(self) -> None:
        self._added("armed").set_value(self._execution.store, 1)

    def open(self) -> Result:
        caught = None
        try:
            execution = self._execution
            instance = execution.start(self._state)
            if execution.linked.is_reactor and self._state is None:
                execution.enter()
                instance.exports(execution.store)["_initialize"](execution.store)
        except Exception as error:
            caught = error
        return self._finish(caught, None, False)

    def call(self, call: Call) -> Result:
        value, caught = None, None
        self._has_ended_well = False
        execution = self._execution
        execution.renew()
        with watching(execution, self._preopens):
            try:
                execution.enter()
                value = take(calling_function(execution, execution.instance, call))
            except Exception as error:
                caught = error
        self._teach()
        return self._finish(caught, value, False)

    def snapshot(self) -> State:
        from .._snapshots.capture import capture
        from .._snapshots.descriptors import check_descriptors
        from .._snapshots.errors import NotCapturable
        from .linking import LinkedModule

        execution, prepared = self._execution, self._code.prepared
        linked = execution.linked
        if prepared is None or not isinstance(linked, LinkedModule):
            raise NotCapturable("it was not compiled for snapshots")
        if linked.uses_wasi:
            with execution.without_limits():
                check_descriptors(linked.linker, execution.store, len(self._preopens))
        return capture(prepared, linked.compiled, execution.store, execution.instance)

    def suspend(self) -> Result:
        value, caught = None, None
        execution = self._execution
        try:
            instance = execution.start()
            execution.enter()
            self.stop_at_read()
            value = execution.linked.entry(execution.store, instance)(execution.store)
            self._has_stopped(instance)
        except Exception as error:
            caught = error
        return self._finish(caught, value, True)

    def _added(self, what: str) -> Any:
        """What was added to the code for snapshots."""
        assert self._code.prepared is not None
        execution = self._execution
        return execution.instance.exports(execution.store)[self._code.prepared.named(what)]

    def _teach(self) -> None:
        """Let copies that come after this one profit by what it has written to."""
        state, prepared, execution = self._state, self._code.prepared, self._execution
        if state is None or prepared is None or not state.learns or execution.instance is None:
            return
        from .._snapshots.restore import learn

        learn(prepared, state, execution.store, execution.instance)

    def _finish(self, caught: Optional[BaseException], value: Any, is_program: bool) -> Result:
        self._hear()
        result = self._execution.finish(caught, value, is_program)
        self.cause = self._execution.cause
        self._has_ended_well = result.reason is Reason.EXITED
        return result

    def stop(self, reason: Reason) -> None:
        with self._ends:  # it may be somebody else's after the end
            if not self._is_closed:
                self._execution.stop(reason)

    def close(self) -> None:
        with self._ends:
            if self._is_closed:
                return
            if not (self._has_ended_well and leave_spare(self._state, self._execution)):
                self._execution.close()
            self._is_closed = True  # not while somebody uses it, which raises


def prepare_here(code: Code, settings: Settings, is_program: bool, data: Optional[bytes]) -> None:
    """Compile and link some code.

    Raises:
        SandboxError: It is not accepted, or is no program where it should be.
    """
    linked = _link(code, settings, data)
    if is_program and not linked.is_program:
        wanted = "_start" if code.kind == "module" else "wasi:cli/run"
        raise refusal(
            "ValueError",
            f"{code.name} is no program: it does not export {wanted}; Plugin is for libraries",
        )


def exports_here(code: Code, settings: Settings) -> Mapping[str, Any]:
    """The types of the functions that some code exports, by name."""
    from .abi.protocols import exported_functions

    linked = _link(code, settings)
    found = exported_functions(linked.compiled)
    return {name: each for name, each in found.items() if not linked.hides(name)}


def _link(code: Code, settings: Settings, data: Optional[bytes] = None) -> Linked:
    return link(code, settings.limits, settings.functions, settings.cache, data)
