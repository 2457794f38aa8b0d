"""Sessions of interpreters: state that is kept between snippets."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional

from ..closing import Closing
from ..directory import Directories
from ..errors import SandboxError, raise_unless_ok
from ..limits import ResourceLimits
from ..program import task_of
from ..reasons import Reason
from ..result import ExceptionInfo, Result
from ..session import PluginSession
from ..settings import Settings
from ..source import Code, refusal
from ..tiers import Guest, new_guest
from ..waiting import in_thread
from .adapters import Argv, Exports
from .conversation import Conversation
from .drivers import session

if TYPE_CHECKING:
    from ..._snapshots.state import State
    from ..snapshot import Snapshot

__all__ = ["Begun", "InterpreterSession", "open_copy", "open_session"]

#: Seconds between two requests to a guest to end.
_PATIENCE = 0.05
#: Seconds that taking the state of a guest may last, once it has stopped.
_LONGEST_CAPTURE = 60


class InterpreterSession(Closing, ABC):
    r"""An interpreter that keeps its state between snippets: `Interpreter.open` makes them.

    A snippet that fails in its own language (an exception) ends with status 1, and the session goes
    on. One that is stopped, traps or exits ends the session. It is a context manager, and may be
    used from several threads, which take turns.

    Example:
        >>> with python.open() as session:                        # doctest: +SKIP
        ...     session.eval("x = 1")
        ...     session.eval("print(x + 1)").text
        '2\\n'
    """

    @abstractmethod
    def eval(self, code: str, *, check: bool = False) -> Result:
        """Run a snippet.

        Args:
            code: The snippet. The value of an expression is `Result.value`, if JSON has a form for
                it.
            check: Raise unless it ends with status 0.

        Raises:
            SandboxError: It did not end well, and `check` is true.
        """

    @property
    @abstractmethod
    def ended(self) -> Optional[Reason]:
        """Why the session has ended, `Reason.EXITED` if it was closed; None while it lives."""

    @abstractmethod
    def cancel(self) -> None:
        """End what runs, and the session with it, from any thread."""

    @abstractmethod
    def close(self) -> None:
        """Give up the interpreter."""

    def snapshot(self) -> Snapshot[InterpreterSession]:
        """The state of the interpreter as it is now, which any number of others can begin with.

        The session goes on. See `Snapshot` for what it holds and what it cannot.

        Raises:
            SandboxError: The state cannot be told. That of a program can be, if it was built so
                that it can be stopped where it reads its input; see the documentation. Or the
                session has ended.
        """
        raise refusal(
            "ValueError",
            "no snapshot: the interpreter is a program that cannot be stopped within its "
            "functions: build it with asyncify, and leave warm=True, or use Interpreter(setup=...)",
        )

    async def eval_async(self, code: str, *, check: bool = False) -> Result:
        """As `eval`, for a coroutine: cancelling ends the snippet, and the session with it."""
        return await in_thread(lambda: self.eval(code, check=check), self.cancel)

    async def snapshot_async(self) -> Snapshot[InterpreterSession]:
        """As `snapshot`, for a coroutine."""
        return await in_thread(self.snapshot)

    async def cancel_async(self) -> None:
        """As `cancel`, for a coroutine."""
        await in_thread(self.cancel)


def open_session(
    code: Code,
    settings: Settings,
    adapter: Any,
    setup: str,
    functions: Mapping[str, Callable[..., Any]],
) -> InterpreterSession:
    """A session of an interpreter.

    Raises:
        SandboxError: It offers no way to keep state, or cannot be started.
    """
    if isinstance(adapter, Exports):
        return _LibrarySession(code, settings, adapter, setup)
    if isinstance(adapter, Argv) and adapter.language is not None:
        return _DriverSession(code, settings, adapter, setup, functions)
    raise refusal(
        "ValueError",
        f"{code.name} offers no way to keep state between snippets: there are drivers for Python "
        "and JavaScript, and its adapter names neither",
    )


class Begun(NamedTuple):
    """What a session begins with.

    Attributes:
        state: The state of a snapshot.
        mark: How a program's driver begins lines for the host; "" for libraries.
    """

    state: State
    mark: str = ""


def open_copy(
    code: Code,
    settings: Settings,
    adapter: Any,
    functions: Mapping[str, Callable[..., Any]],
    begun: Begun,
) -> InterpreterSession:
    """A session that begins with the state of a snapshot.

    Raises:
        SandboxError: It cannot be instantiated.
    """
    if isinstance(adapter, Exports):
        return _LibrarySession(code, settings, adapter, "", begun.state)
    return _DriverSession(code, settings, adapter, "", functions, begun)


class _LibrarySession(InterpreterSession):
    """A session of an interpreter with a function for snippets."""

    def __init__(
        self,
        code: Code,
        settings: Settings,
        adapter: Exports,
        setup: str,
        state: Optional[State] = None,
    ) -> None:
        self._code, self._settings, self._adapter = code, settings, adapter
        self._evaluate = adapter.evaluate
        self._session = PluginSession(code, settings, adapter.abi, state)
        if setup:
            try:
                self.eval(setup, check=True)
            except BaseException:
                self.close()
                raise

    def eval(self, code: str, *, check: bool = False) -> Result:
        result = self._adapter.told(self._session.try_call(self._evaluate, code))
        return raise_unless_ok(result, None) if check else result

    def snapshot(self) -> Snapshot[InterpreterSession]:
        from ..snapshot import Origin, Snapshot

        origin = Origin(self._code, self._settings, self._adapter.abi, self._adapter)
        return Snapshot(origin, self._session._state())

    @property
    def ended(self) -> Optional[Reason]:
        return self._session.ended

    def cancel(self) -> None:
        self._session.cancel()

    def close(self) -> None:
        self._session.close()


class _Talk(Conversation):
    """A conversation with a guest that runs on a thread of its own.

    Attributes:
        changed: Guards what follows, and tells of its changes.
        outcome: Status and value of the last snippet; None while one runs.
        is_closed: Whether the guest finds the end of its input when it next reads.
        end: How the guest ended; None while it lives.
        cause: The cause of an error about that.
        at_last: Called once, on the guest's thread, when it has read all that there is.
    """

    def __init__(
        self, functions: Mapping[str, Callable[..., Any]], mark: Optional[str] = None
    ) -> None:
        super().__init__(functions, mark)
        self.at_last: Optional[Callable[[], None]] = None
        self.changed = threading.Condition()
        self.outcome: Optional[tuple[Any, Any]] = None
        self.is_closed = False
        self.end: Optional[Result] = None
        self.cause: Optional[BaseException] = None

    def next(self, status: Any, value: Any) -> None:
        with self.changed:
            self.outcome = (status, value)
            self.changed.notify_all()

    def read(self, size: int) -> bytes:
        """As ever; and tell when nothing is left."""
        data = super().read(size)
        if self.at_last is not None and not self._answers:
            told, self.at_last = self.at_last, None
            told()
        return data

    def wait(self) -> None:
        with self.changed:
            while not self._answers and not self.is_closed:
                self.changed.wait()


class _Output:
    """What a snippet has written, within the limit for each stream."""

    def __init__(self, limits: ResourceLimits) -> None:
        self._most = limits.output
        self._lock = threading.Lock()
        self._streams = {"stdout": bytearray(), "stderr": bytearray()}
        self._truncated = False

    def add(self, stream: str, data: bytes) -> None:
        with self._lock:
            kept = self._streams[stream]
            left = len(data) if self._most is None else self._most - len(kept)
            kept += data[:left]
            self._truncated = self._truncated or len(data) > left

    def take(self) -> tuple[bytes, bytes, bool]:
        with self._lock:
            taken = [bytes(data) for data in self._streams.values()]
            truncated, self._truncated = self._truncated, False
            for data in self._streams.values():
                data.clear()
            return taken[0], taken[1], truncated


def _run(guest: Guest, directories: Directories, talk: _Talk) -> None:
    """Run the guest of a session to its end, on its thread."""
    result, cause = None, None
    try:
        result = guest.run(None)
        cause = guest.cause
    except BaseException as error:
        cause = error
        told = ExceptionInfo(type(error).__name__, str(error))
        result = Result(Reason.HOST_ERROR, exception=told)
    finally:
        guest.close()
        directories.close()
        with talk.changed:
            talk.end, talk.cause = result, cause
            talk.changed.notify_all()


class _DriverSession(InterpreterSession):
    """A session of an interpreter that is a program, which runs a driver."""

    def __init__(
        self,
        code: Code,
        settings: Settings,
        adapter: Argv,
        setup: str,
        functions: Mapping[str, Callable[..., Any]],
        begun: Optional[Begun] = None,
    ) -> None:
        assert adapter.language is not None
        self._code, self._adapter, self._settings = code, adapter, settings
        self._functions = functions
        self._limits = settings.limits
        self._talk = _Talk(functions, begun.mark if begun else None)
        self._output = _Output(settings.limits)
        self._turn = threading.Lock()
        self._ended: Optional[Reason] = None
        directories = Directories(settings.dirs)
        driver = session(adapter.language, self._talk.mark, functions, setup)
        words = (*(adapter.driver_options or adapter.options), driver)
        # Each snippet has its time and its output; the whole session has no end.
        endless = settings.limits.replace(timeout=None, output=None)
        settings = replace(settings, limits=endless)
        talk, output = self._talk, self._output
        task = task_of(settings, words, talk.read, directories, output.add, talk)
        try:
            self._guest: Guest = new_guest(code, settings, task, begun.state if begun else None)
        except BaseException:
            directories.close()
            raise
        # The thread does not know the session, which can be forgotten, and ends then.
        self._thread = threading.Thread(
            target=_run, args=(self._guest, directories, self._talk), name=code.name, daemon=True
        )
        self._thread.start()
        if begun is not None:
            return  # it waits already
        result = self._wait()
        if not result.ok:
            cause = self._talk.cause
            self.close()
            raise SandboxError(result) from cause

    def eval(self, code: str, *, check: bool = False) -> Result:
        if not isinstance(code, str):
            raise TypeError(f"code must be a str, not {type(code).__name__}")
        self._check_asked()
        with self._turn:
            if self._ended is not None:
                result = self._over()
            else:
                with self._talk.changed:
                    self._talk.outcome = None
                    self._talk.answer("code", code)
                    self._talk.changed.notify_all()
                result = self._wait()
            cause = self._talk.cause
        return raise_unless_ok(result, cause) if check else result

    def snapshot(self) -> Snapshot[InterpreterSession]:
        from ..snapshot import Origin, Snapshot

        prepared = self._code.prepared
        if prepared is None or prepared.suspension is None:
            return super().snapshot()
        origin = Origin(
            self._code, self._settings, None, self._adapter, self._functions, self._talk.mark
        )
        return Snapshot(origin, self._state())

    def _state(self) -> State:
        """The state of the guest, which stops where it reads on, behind a snippet of nothing."""
        from ..snapshot import take_state

        taken: Future[State] = Future()

        def take() -> None:
            try:
                taken.set_result(take_state(self._guest, self._code, self._settings))
            except SandboxError as error:
                taken.set_exception(error)

        self._check_asked()
        with self._turn:
            if self._ended is not None:
                raise SandboxError(self._over())
            with self._talk.changed:
                self._talk.outcome = None
                self._talk.at_last = self._guest.stop_at_read
                self._guest.at_stop = take
                self._talk.answer("code", "")
                self._talk.changed.notify_all()
            result = self._wait()
            if not result.ok:
                raise SandboxError(result) from self._talk.cause
            return taken.result(_LONGEST_CAPTURE)

    def _check_asked(self) -> None:
        """Refuse what would wait for itself.

        Raises:
            SandboxError: This is a function of the host that the guest calls.
        """
        if self._is_asked():
            raise refusal(
                "RuntimeError", "a function of the host cannot use the session that calls it"
            )

    def _over(self) -> Result:
        told = ExceptionInfo("RuntimeError", f"the session has ended: {self._ended}")
        return Result(Reason.NOT_STARTED, exception=told)

    def _wait(self) -> Result:
        """Wait until a snippet has ended, and stop it when its time is up."""
        began, talk = perf_counter(), self._talk
        with talk.changed:
            in_time = talk.changed.wait_for(self._is_done, self._limits.timeout)
        if not in_time:
            self._stop(Reason.TIMEOUT)
        stdout, stderr, truncated = self._output.take()
        duration = perf_counter() - began
        if self._talk.end is None and talk.outcome is not None:
            status, value = talk.outcome
            code = status if isinstance(status, int) else 1
            return Result(Reason.EXITED, code, stdout, stderr, value, duration, truncated=truncated)
        end = self._talk.end
        assert end is not None
        self._ended = end.reason
        return replace(end, stdout=stdout, stderr=stderr, duration=duration, truncated=truncated)

    def _is_done(self) -> bool:
        return self._talk.end is not None or self._talk.outcome is not None

    def _stop(self, reason: Reason) -> None:
        """End the guest, and wait for its end."""
        talk = self._talk
        with talk.changed:
            talk.is_closed = True
            talk.changed.notify_all()
            while self._talk.end is None:
                self._guest.stop(reason)
                if self._is_asked():
                    return  # it ends when the function of the host has returned
                talk.changed.wait(_PATIENCE)

    def _is_asked(self) -> bool:
        """Whether this is a function of the host that the guest calls."""
        return threading.current_thread() is self._thread

    @property
    def ended(self) -> Optional[Reason]:
        return self._ended

    def cancel(self) -> None:
        self._stop(Reason.CANCELLED)
        if self._ended is None:
            self._ended = Reason.CANCELLED

    def close(self) -> None:
        if self._ended is None:
            self._ended = Reason.EXITED
        self._stop(Reason.CANCELLED)
        if not self._is_asked():
            self._thread.join()

    def __del__(self) -> None:
        talk: Optional[_Talk] = getattr(self, "_talk", None)
        guest: Optional[Guest] = getattr(self, "_guest", None)
        if talk is not None and guest is not None and talk.end is None:
            talk.is_closed = True
            guest.stop(Reason.CANCELLED)
            with talk.changed:
                talk.changed.notify_all()
