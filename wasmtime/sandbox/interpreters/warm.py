"""Interpreters that are set up once: each snippet gets a copy of what they were then.

There are two ways. The state of a library, or of a program that was built so that it can be stopped
where it reads its input, is captured, and each copy begins with it. Any other program is started
ahead: it has run what sets it up, and waits for its snippet, while others run.
"""

from __future__ import annotations

import hashlib
import os
import threading
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Callable, Optional

from ..._native import core
from ..._snapshots.errors import NotCapturable
from ..._snapshots.state import State
from ..directory import Directories
from ..errors import SandboxError
from ..preparing import prepared_code, why_not
from ..program import task_of
from ..reasons import Reason
from ..result import Result
from ..settings import Settings
from ..source import Code, refusal
from ..tiers import Call, Guest, Supply, new_guest
from ..world import Task
from .adapters import Argv, Exports
from .conversation import Conversation
from .drivers import reseeding, session, settling
from .session import Begun, InterpreterSession, open_copy, open_session

__all__ = ["OneSnippet", "Plan", "Warm"]

#: What generators of random numbers begin with: four numbers of 32 bits.
Seeds = list[int]


@dataclass(frozen=True)
class Plan:
    """The run of a snippet: what begins with which state, the task, and what is called or said."""

    code: Code
    state: Optional[State]
    task: Task
    call: Optional[Call]
    talk: Optional[Conversation]

    @property
    def meet(self) -> Optional[Callable[[Guest], None]]:
        """What is given the guest before it runs."""
        return self.talk.meet if isinstance(self.talk, OneSnippet) else None


class OneSnippet(Conversation):
    """A conversation with a copy that runs one snippet, and ends behind it.

    Attributes:
        outcome: Status and value of the snippet; None until it has ended.
    """

    def __init__(self, functions: Mapping[str, Callable[..., Any]], mark: str) -> None:
        super().__init__(functions, mark)
        self.outcome: Optional[tuple[Any, Any]] = None
        self._left = 0
        self._guest: Optional[Guest] = None

    def meet(self, guest: Guest) -> None:
        """Be given the copy, before it runs.

        It stops where it reads on after a snippet, without the time that an interpreter takes to
        leave.
        """
        self._guest = guest
        if not self.answers:
            guest.hear, guest.at_stop = self.hear, self._go_on

    def _go_on(self) -> None:
        """It has stopped between two snippets."""

    def run(self, code: str, seed: Optional[Seeds] = None) -> None:
        """Let the copy run a snippet, behind those that it was given before.

        Args:
            code: The snippet.
            seed: What the generators of its language begin with.
        """
        self._left += 1
        self.answer("code", code, *([] if seed is None else [seed]))

    def next(self, status: Any, value: Any) -> None:
        """The copy has run a snippet, perhaps the last one."""
        self._left -= 1
        if self._left == 0:
            self.outcome = (status, value)
            assert self._guest is not None
            self._guest.at_stop = None
            if self.answers:
                self._guest.stop_at_read()

    def complete(self, result: Result) -> Result:
        """A result with what the snippet came to."""
        if self.outcome is None or result.reason is not Reason.EXITED:
            return result
        status, value = self.outcome
        code = status if isinstance(status, int) else 1
        if code == result.exit_code and value is None:
            return result
        return replace(result, exit_code=code, value=value)


class Warm:
    """An interpreter that is set up once.

    Args:
        code: The interpreter.
        settings: What a copy may see and use.
        adapter: How it takes code.
        setup: What sets it up.
        functions: Functions of the host that snippets may call.
        reseed: What each copy runs first, ``"auto"`` for what its language needs.
    """

    def __init__(
        self,
        code: Code,
        settings: Settings,
        adapter: Any,
        setup: str,
        functions: Mapping[str, Callable[..., Any]],
        reseed: str,
    ) -> None:
        self._code, self._settings, self._adapter = code, settings, adapter
        self._setup, self._functions, self._reseed = setup, functions, reseed
        self._lock = threading.Lock()
        self._state: Optional[State] = None
        self._ahead: list[InterpreterSession] = []
        self._most_ahead = 1
        self._mark = Conversation({}).mark
        self.way, self.why = self._choose()
        _all.add(self)

    def __getstate__(self) -> dict[str, Any]:
        # Another process sets its own interpreter up.
        return {**self.__dict__, "_lock": None, "_state": None, "_ahead": []}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()
        _all.add(self)

    def _choose(self) -> tuple[str, str]:
        """Tell which way is taken: ``"captured"``, ``"ahead"`` or ``"each"``; and why."""
        adapter, settings = self._adapter, self._settings
        if settings.isolation == "process":
            return "each", "a worker process makes each copy"
        if settings.env:
            return "each", "environment variables would be kept in a snapshot"
        unfit = why_not(self._code)
        if isinstance(adapter, Exports):
            return ("each", unfit) if unfit else ("captured", "the interpreter is a library")
        if not isinstance(adapter, Argv) or adapter.language is None:
            return "each", "there is no driver for its language"
        if unfit is None and _can_suspend(self._code):
            return "captured", "the program was built to be stopped where it reads its input"
        if not self._setup:
            return "each", "there is no setup"
        if settings.limits.fuel is not None:
            return "each", "what runs ahead would use up fuel"
        if settings.seed is not None or settings.clock is not None:
            return "each", "seed= and clock= are of one start"
        return "ahead", unfit or "the program was not built with asyncify"

    # -- captured

    def open(self) -> InterpreterSession:
        """A session of a library that begins with its state.

        Raises:
            SandboxError: The interpreter could not be set up.
        """
        begun = Begun(self.captured())
        code = prepared_code(self._code)
        session = open_copy(code, self._settings, self._adapter, {}, begun)
        first = self._reseeding(self._settings)
        if first:
            session.eval(first)
        return session

    def plan(self, code: str, settings: Settings, directories: Directories) -> Plan:
        """The run of a snippet in a copy.

        Raises:
            SandboxError: The interpreter could not be set up.
        """
        state = self.captured()
        ready = prepared_code(self._code)
        if isinstance(self._adapter, Exports):
            task = task_of(settings, (), None, directories)
            first = self._reseeding(settings)
            call = self._evaluation(code)
            if first:
                call = call._replace(first=[self._evaluation(first)])
            return Plan(ready, state, task, call, None)
        talk = OneSnippet(self._functions, self._mark)
        if self._reseed in ("auto", ""):
            talk.run(code, self._seeds(settings) if self._reseed else None)
        else:
            talk.run(self._reseed)
            talk.run(code)
        # All that is ever said without functions of the host, which needs nobody to say it then.
        stdin = talk.read if self._functions else talk.said()
        task = task_of(settings, (), stdin, directories, talk=talk)
        return Plan(ready, state, task, None, talk)

    def _evaluation(self, code: str) -> Call:
        """The call that runs a snippet in a library."""
        return Call(self._adapter.evaluate, [code], self._adapter.abi)

    def _reseeding(self, settings: Settings) -> str:
        """A snippet for a copy of a library to run first; "" if there is none."""
        if self._reseed != "auto":
            return self._reseed
        language = self._adapter.language
        return "" if language is None else reseeding(language, self._seeds(settings))

    @staticmethod
    def _seeds(settings: Settings) -> Seeds:
        seed = core.random_bytes(16)
        if settings.seed is not None:
            seed = hashlib.sha256(repr(settings.seed).encode()).digest()[:16]
        return [int.from_bytes(seed[at : at + 4], "little") for at in range(0, 16, 4)]

    def captured(self) -> State:
        """The state that copies begin with, taken once.

        Raises:
            SandboxError: The interpreter could not be set up.
        """
        with self._lock:
            if self._state is None:
                self._state = self._capture()
            return self._state

    def _capture(self) -> State:
        """Set the interpreter up, and take its state."""
        ready = prepared_code(self._code)
        talk = Conversation({}, self._mark)
        words: tuple[str, ...] = ()
        if isinstance(self._adapter, Argv):
            assert self._adapter.language is not None
            language = self._adapter.language
            setup = self._setup + settling(language)
            driver = session(language, talk.mark, self._functions, setup)
            words = (*(self._adapter.driver_options or self._adapter.options), driver)
        with Directories(self._settings.dirs) as directories:
            task = task_of(self._settings, words, talk.read, directories, talk=talk)
            guest = new_guest(ready, self._settings, task)
            try:
                if isinstance(self._adapter, Argv):
                    result = guest.suspend()
                else:
                    result = guest.open()
                    if result.ok and self._setup:
                        result = guest.call(self._evaluation(self._setup))
                        result = self._adapter.told(result)
                if not result.ok or (result.exit_code and not isinstance(self._adapter, Argv)):
                    raise SandboxError(result) from guest.cause
                state = guest.snapshot()
                if isinstance(self._adapter, Argv) and state.resume_at is None:
                    raise NotCapturable("it has ended without reading its input")
                return state
            except NotCapturable as error:
                raise refusal("ValueError", f"{self._code.name}: {error}") from error
            finally:
                guest.close()

    # -- started ahead

    def keep(self, count: int) -> None:
        """Have so many copies wait from now on.

        Raises:
            SandboxError: The interpreter could not be set up.
        """
        self._most_ahead = count
        while len(self._ahead) < count:
            self._ahead.append(self._start())

    @property
    def waiting(self) -> int:
        """How many copies wait."""
        return len(self._ahead)

    def close(self) -> None:
        """Give up the copies that wait; others are started if it is used again."""
        with self._lock:
            waiting, self._ahead, self._most_ahead = self._ahead, [], 0
        for copy in waiting:
            copy.close()

    def run_ahead(
        self, code: str, supply: Optional[Supply] = None
    ) -> tuple[Result, Optional[BaseException]]:
        """Run a snippet in a copy that was started ahead, and start the next one.

        Args:
            code: The snippet.
            supply: The pool's that it runs for, which is told how to end it.

        Returns:
            How it ended, and the cause of an error about it.

        Raises:
            SandboxError: The interpreter could not be set up.
        """
        waiting = self._take()
        if supply is not None:
            supply.watch(waiting.cancel)
        return self._run_in(waiting, code)

    async def run_ahead_async(self, code: str) -> tuple[Result, Optional[BaseException]]:
        """As `run_ahead`, for a coroutine: cancelling stops the guest."""
        from ..waiting import in_thread

        waiting = await in_thread(self._take, lambda: None)
        return await in_thread(lambda: self._run_in(waiting, code), waiting.cancel)

    def _take(self) -> InterpreterSession:
        """A copy that waits for its snippet, started now if there is none."""
        with self._lock:
            waiting = self._ahead.pop() if self._ahead else None
        taken = self._start() if waiting is None else waiting
        threading.Thread(target=self._start_next, name="starting ahead", daemon=True).start()
        return taken

    def _run_in(
        self, waiting: InterpreterSession, code: str
    ) -> tuple[Result, Optional[BaseException]]:
        try:
            if self._reseed not in ("auto", ""):
                waiting.eval(self._reseed)
            return waiting.eval(code, check=True), None
        except SandboxError as error:
            return error.result, error.__cause__
        finally:
            waiting.close()

    def _start(self) -> InterpreterSession:
        return open_session(self._code, self._settings, self._adapter, self._setup, self._functions)

    def _start_next(self) -> None:
        try:
            made = self._start()
        except SandboxError:
            return  # whoever comes next is told
        with self._lock:
            surplus = len(self._ahead) >= self._most_ahead
            if not surplus:
                self._ahead.append(made)
        if surplus:
            made.close()


_all: weakref.WeakSet[Warm] = weakref.WeakSet()
#: What a forked child has of its parent's copies: their threads are gone, and nobody may ask them.
_orphans: list[list[InterpreterSession]] = []


def _after_fork() -> None:
    for warm in list(_all):
        warm._lock = threading.Lock()
        _orphans.append(warm._ahead)
        warm._ahead = []


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _can_suspend(code: Code) -> bool:
    prepared = prepared_code(code).prepared
    return prepared is not None and prepared.suspension is not None
