"""Sessions: one instance of a plug-in that is kept between calls."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar

from .abi.shapes import CoreABI
from .abi.values import Kind
from .closing import Closing
from .directory import Directories
from .errors import SandboxError, raise_unless_ok
from .program import task_of, with_files
from .reasons import Reason
from .result import ExceptionInfo, Result
from .settings import Settings
from .source import Code
from .tiers import Call, Guest, exports_of, new_guest
from .waiting import in_thread, watch

if TYPE_CHECKING:
    from .._snapshots.state import State
    from .snapshot import Snapshot

__all__ = ["PluginSession"]

_T = TypeVar("_T")

#: How a call may end without ending the session: arguments that do not fit have touched nothing.
_HARMLESS = (Reason.EXITED, Reason.NOT_STARTED)


_IN_USE = (
    "the session is in use: a function of the host cannot use the session that calls it, and a "
    "coroutine awaits one call before the next"
)
#: Seconds between two requests to a guest to end.
_PATIENCE = 0.05


class Turn:
    """Lets one thread at a time use a session, in which functions of the host run on its thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holder: Optional[int] = None

    def take(self, waits: bool = True, timeout: float = -1) -> bool:
        """Wait for the turn; tell whether it has come, which it does not if it is this thread's.

        Args:
            waits: Whether to wait if it is another's.
            timeout: How many seconds at most; less than 0 for any time.
        """
        if self.is_mine or not self._lock.acquire(waits, timeout if waits else -1):
            return False
        self._holder = threading.get_ident()
        return True

    def leave(self) -> None:
        """Let others have it."""
        self._holder = None
        self._lock.release()

    @property
    def is_mine(self) -> bool:
        """Whether this thread has it."""
        return self._holder == threading.get_ident()


class PluginSession(Closing):
    """One instance of a plug-in, whose state is kept from call to call.

    `Plugin.open` makes them. A call that traps, runs out of something or is stopped ends the
    session: what state the guest was left in, nobody knows. A session may be used from several
    threads, which take turns. It is a context manager.

    Example:
        >>> from wasmtime.sandbox import Plugin
        >>> counter = Plugin('''
        ...     (module (global $n (mut i32) (i32.const 0))
        ...       (func (export "next") (result i32)
        ...         (global.set $n (i32.add (global.get $n) (i32.const 1)))
        ...         (global.get $n)))''')
        >>> with counter.open() as session:
        ...     session.call("next"), session.call("next")
        (1, 2)
    """

    def __init__(
        self, code: Code, settings: Settings, abi: CoreABI, state: Optional[State] = None
    ) -> None:
        self._code, self._settings, self._abi = code, settings, abi
        self._turn = Turn()
        self._is_closing = False
        self._ended: Optional[Reason] = None
        self._directories = Directories(settings.dirs)
        self._guest: Optional[Guest] = None
        try:
            task = task_of(settings, (), None, self._directories)
            guest = new_guest(code, settings, task, state)
            self._guest = guest
            raise_unless_ok(guest.open(), guest.cause)
        except BaseException:
            self.close()
            raise

    def call(self, name: str, *args: Any) -> Any:
        """Call a function, and return what it returns.

        Args:
            name: Name of the export; ``interface#function`` for one of an interface.
            args: Its arguments.

        Raises:
            SandboxError: The call did not end well, there is no such function, the arguments do not
                fit it, or the session has ended.
        """
        return self._call(name, args, None)

    def try_call(self, name: str, *args: Any) -> Result:
        """As `call`, without raising: `Result.value` is what the function returned."""
        return self._try_call(name, args, None)[0]

    async def call_async(self, name: str, *args: Any) -> Any:
        """As `call`, for a coroutine: the event loop goes on, and cancelling stops the guest.

        Two calls at a time are refused, rather than the event loop blocked.
        """
        return await self._call_async(name, args, None)

    async def try_call_async(self, name: str, *args: Any) -> Result:
        """As `try_call`, for a coroutine."""
        return (await self._try_call_async(name, args, None))[0]

    def bind(self, protocol: Callable[..., _T]) -> _T:
        """As `Plugin.bind`: the methods call this instance."""
        from .abi.protocols import bind

        exports = exports_of(self._code, self._settings)
        return bind(protocol, exports, self._call, self._call_async)

    def snapshot(self) -> Snapshot[PluginSession]:
        """The state of the instance as it is now, which any number of others can begin with.

        The session goes on. See `Snapshot` for what it holds and what it cannot.

        Raises:
            SandboxError: The state cannot be told; the message says which part of it. Or the
                session has ended.
        """
        from .snapshot import Origin, Snapshot

        return Snapshot(Origin(self._code, self._settings, self._abi), self._state())

    async def snapshot_async(self) -> Snapshot[PluginSession]:
        """As `snapshot`, for a coroutine."""
        return await in_thread(self.snapshot)

    def _state(self) -> State:
        """The state of the instance."""
        from .snapshot import take_state

        if not self._turn.take():
            raise SandboxError(_refused(_IN_USE))
        try:
            if self._guest is None:
                raise SandboxError(self._over())
            return take_state(self._guest, self._code, self._settings)
        finally:
            self._leave()

    @property
    def ended(self) -> Optional[Reason]:
        """Why the session has ended, `Reason.EXITED` if it was closed; None while it lives."""
        return self._ended

    def cancel(self) -> None:
        """End what runs, and the session with it, from any thread."""
        guest = self._guest
        if guest is not None:
            guest.stop(Reason.CANCELLED)

    def close(self) -> None:
        """Give up the instance, and end what it runs; what is called afterwards raises.

        One of its own host functions has to return first, and closes it by then.
        """
        self._is_closing = True
        while not self._turn.take(timeout=_PATIENCE):
            self.cancel()
            if self._turn.is_mine:
                return
        self._leave()

    def __del__(self) -> None:
        if getattr(self, "_guest", None) is not None:
            self.close()

    def __repr__(self) -> str:
        state = f"ended: {self._ended}" if self._ended else "open"
        return f"<wasmtime.sandbox.{type(self).__name__} {self._code.name!r}, {state}>"

    def _end(self, reason: Reason) -> None:
        if self._ended is None:
            self._ended = reason
        guest, self._guest = self._guest, None
        if guest is not None:
            guest.close()
        self._directories.close()

    def _call(self, name: str, args: Sequence[Any], returns: Optional[Kind]) -> Any:
        result, cause = self._try_call(name, args, returns)
        return raise_unless_ok(result, cause).value

    async def _call_async(self, name: str, args: Sequence[Any], returns: Optional[Kind]) -> Any:
        result, cause = await self._try_call_async(name, args, returns)
        return raise_unless_ok(result, cause).value

    def _try_call(
        self, name: str, args: Sequence[Any], returns: Optional[Kind]
    ) -> tuple[Result, Optional[BaseException]]:
        return self._call_in_turn(Call.of(name, args, self._abi, returns), waits=True)

    async def _try_call_async(
        self, name: str, args: Sequence[Any], returns: Optional[Kind]
    ) -> tuple[Result, Optional[BaseException]]:
        call = Call.of(name, args, self._abi, returns)
        return await in_thread(lambda: self._call_in_turn(call, waits=False))

    def _call_in_turn(self, call: Call, waits: bool) -> tuple[Result, Optional[BaseException]]:
        if not self._turn.take(waits):
            return _refused(_IN_USE), None
        try:
            guest = self._guest
            if guest is None:
                return self._over(), None
            watch(guest)
            try:
                return self._after(guest.call(call), guest)
            except BaseException:
                self._end(Reason.CANCELLED)
                raise
        finally:
            self._leave()

    def _leave(self) -> None:
        """Let others have their turn, after what a function of the host has put off."""
        if self._is_closing:
            self._end(Reason.EXITED)
        self._turn.leave()

    def _after(self, result: Result, guest: Guest) -> tuple[Result, Optional[BaseException]]:
        cause = guest.cause
        result = with_files(result, self._directories)
        if result.reason not in _HARMLESS or result.exit_code is not None:
            self._end(result.reason)
        return result, cause

    def _over(self) -> Result:
        return _refused(f"the session has ended: {self._ended}")


def _refused(text: str) -> Result:
    return Result(Reason.NOT_STARTED, exception=ExceptionInfo("RuntimeError", text))
