"""The process tier: guests in worker processes."""

from __future__ import annotations

import inspect
import os
import select
from collections.abc import Mapping
from dataclasses import replace
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Any, Optional

from ... import GuestExit, OutputLimitTrap
from ..._wasi.input import as_bytes
from ..errors import GuestError
from ..execution import describe
from ..plain import from_plain, to_plain
from ..quota import watching
from ..reasons import Reason
from ..result import ExceptionInfo, Result
from ..settings import Settings
from ..source import Code, refusal
from ..tiers import Call, Guest
from ..waiting import LoopWaiter
from ..world import Collected, Task
from .channel import ChannelClosed, Expired, Malformed
from .messages import call_parts, longest_result, result_of, task_parts
from .pool import Loaded, borrow, give_back

if TYPE_CHECKING:
    from .reserve import Reserve

__all__ = ["WorkerGuest", "exports_in_worker", "prepare_in_worker"]

#: Seconds that a worker has to end its guest by itself, before it is killed.
_GRACE = 0.5
#: Seconds between two looks at whether a guest that reads has been stopped.
_PATIENCE = 0.05


class WorkerGuest(Guest):
    """A guest in a worker process.

    Args:
        code: What it runs.
        settings: What it may see and use.
        task: The run.
        reserve: Where the worker is taken from; None for those that wait for everybody.
    """

    def __init__(
        self, code: Code, settings: Settings, task: Task, reserve: Optional[Reserve] = None
    ) -> None:
        if task.clock is not None and callable(task.clock):
            raise refusal(
                "TypeError", "with isolation='process', clock must be seconds, not a callable"
            )
        self._task, self._settings = task, settings
        self._functions = settings.functions.flat() if settings.functions else {}
        self._waiter = LoopWaiter()
        self._stopped: Optional[Reason] = None
        self._stopped_at = 0.0
        self._is_open = False
        # What is shown while it is written, or filtered, is collected here and not in the worker.
        self._shows: Optional[Collected] = None
        if task.output is not None or task.talk is not None:
            self._shows = Collected(task, self._note)
        self._began = perf_counter()
        self._give_back = give_back if reserve is None else reserve.give_back
        take = borrow if reserve is None else reserve.borrow
        self._loaded: Optional[Loaded] = take(code, settings, False)

    # -- what programs and plug-ins ask for

    def run(self, call: Optional[Call]) -> Result:
        return self._ask("run", call)

    def open(self) -> Result:
        result = self._ask("open", None)
        self._is_open = result.ok
        return result

    def call(self, call: Call) -> Result:
        return self._ask("call", call)

    def stop(self, reason: Reason) -> None:
        loaded = self._loaded
        if loaded is None:
            return
        self._waiter.stop()
        if self._stopped is None:
            self._stopped, self._stopped_at = reason, monotonic()
        if monotonic() - self._stopped_at > _GRACE:
            loaded.worker.kill()
        else:
            loaded.worker.interrupt()

    def close(self) -> None:
        loaded, self._loaded = self._loaded, None
        if loaded is None:
            return
        if self._stopped is not None or (self._is_open and not self._close_guest(loaded)):
            loaded.worker.kill()
        self._give_back(loaded)

    def _close_guest(self, loaded: Loaded) -> bool:
        try:
            loaded.worker.send({"op": "close"}, (), monotonic() + _GRACE)
            return loaded.worker.receive(1 << 16, monotonic() + _GRACE)[0] == {"op": "closed"}
        except (ChannelClosed, Expired, Malformed):
            return False

    # -- one exchange with the worker

    def _ask(self, operation: str, call: Optional[Call]) -> Result:
        self._began = perf_counter()
        self.cause = None
        if self._loaded is None:
            return self._lost("it is gone")
        try:
            message, blobs = self._message(operation, call)
        except (TypeError, ValueError) as error:
            self.cause = error
            return Result(Reason.NOT_STARTED, exception=describe(error))
        limit = self._task.limits.timeout
        due = None if limit is None else monotonic() + limit
        with watching(self, self._task.preopens):
            result = self._exchange(self._loaded, message, blobs, due)
        if not self._loaded.worker.is_alive:
            self._is_open = False
        return result

    def _message(self, operation: str, call: Optional[Call]) -> tuple[dict[str, Any], list[bytes]]:
        message: dict[str, Any] = {"op": operation, "call": call_parts(call)}
        if operation == "call":
            return message, []
        stdin, blobs = self._task.stdin, []
        if isinstance(stdin, str):
            blobs, kind = [stdin.encode()], "blob"
        elif isinstance(stdin, (bytes, bytearray, memoryview)):
            blobs, kind = [bytes(stdin)], "blob"
        else:
            kind = "nothing" if stdin is None else "parent"
        known = self._loaded.limits if self._loaded is not None else self._task.limits
        message["task"], message["stdin"] = task_parts(self._task, known), kind
        message["streams"] = self._shows is not None
        return message, blobs

    def _exchange(
        self, loaded: Loaded, message: dict[str, Any], blobs: list[bytes], due: Optional[float]
    ) -> Result:
        """Ask a worker for a result, and answer what it asks meanwhile."""
        worker, limits = loaded.worker, self._task.limits
        deadline = None if due is None else due + _GRACE
        try:
            worker.send(message, blobs, deadline)
            while True:
                answer, carried = worker.receive(longest_result(limits), deadline)
                if answer.get("op") == "result":
                    result = result_of((answer, carried), limits, perf_counter() - self._began)
                    return self._known(result)
                self._attend(loaded, answer, carried, due, deadline)
        except Expired:
            worker.kill()
            return self._ended(self._stopped or Reason.TIMEOUT)
        except ChannelClosed:
            worker.kill()
            return self._ended(self._stopped) if self._stopped else self._lost(worker.death)
        except Malformed as error:
            worker.kill()
            return self._lost(f"it sent what no worker sends: {error}")

    def _known(self, result: Result) -> Result:
        """A result with what the parent knows better than the worker."""
        if self._shows is not None:
            result = replace(
                result,
                stdout=self._shows.take("stdout"),
                stderr=self._shows.take("stderr"),
                truncated=self._shows.truncated,
            )
        if result.reason is Reason.CANCELLED and self._stopped is not None:
            return replace(result, reason=self._stopped)
        if result.reason is Reason.HOST_ERROR and self._raised is not None:
            self.cause = self._raised
            return replace(result, exception=describe(self._raised))
        return result

    def _ended(self, reason: Reason) -> Result:
        return self._known(Result(reason, duration=perf_counter() - self._began))

    def _lost(self, how: str) -> Result:
        return Result(
            Reason.WORKER_LOST,
            duration=perf_counter() - self._began,
            exception=ExceptionInfo("WorkerLost", f"the worker process was lost: {how}"),
        )

    # -- what the guest asks for

    _raised: Optional[BaseException] = None

    def _attend(
        self,
        loaded: Loaded,
        asked: dict[str, Any],
        blobs: list[bytes],
        due: Optional[float],
        deadline: Optional[float],
    ) -> None:
        """Do what a worker asks.

        Raises:
            Malformed: It asks for what no worker asks for.
        """
        operation = asked.get("op")
        if operation == "output":
            self._show(asked.get("stream"), blobs)
        elif operation == "host":
            loaded.worker.send(self._call_host(asked, due), (), deadline)
        elif operation == "read":
            loaded.worker.send(*self._answer_read(asked, due), deadline)
        else:
            raise Malformed("an unknown operation")

    def _show(self, stream: object, blobs: list[bytes]) -> None:
        show = self._shows
        if show is None or stream not in ("stdout", "stderr") or len(blobs) != 1:
            raise Malformed("output that nobody asked for")
        try:
            show(str(stream), blobs[0])
        except OutputLimitTrap:
            self.stop(Reason.OUTPUT_LIMIT)
        except Exception as error:
            self._note(error)

    def _note(self, error: BaseException) -> None:
        """Remember what a function of the host raised; the guest is told when it next asks."""
        self._raised = error

    def _call_host(self, asked: dict[str, Any], due: Optional[float]) -> dict[str, Any]:
        function = self._functions.get(asked.get("name"))  # type: ignore[arg-type]
        args = asked.get("args")
        if function is None or not isinstance(args, list):
            raise Malformed("a function that there is not")
        try:
            values = [from_plain(value) for value in args]
        except (ValueError, RecursionError):
            raise Malformed("arguments that are no values") from None
        try:
            value = function(*values)
            if inspect.isawaitable(value):
                value = self._waiter.wait_for(value, due)
            return {"op": "return", "value": to_plain(value)}
        except GuestExit:
            return {"op": "expired"}
        except GuestError as error:
            self._raised = error
            return {"op": "guest-error", "text": str(error)}
        except Exception as error:
            self._raised = error
            return {"op": "failed"}

    def _answer_read(
        self, asked: dict[str, Any], due: Optional[float]
    ) -> tuple[dict[str, Any], list[bytes]]:
        if self._raised is not None:
            return {"op": "failed"}, []
        try:
            data = self._read(asked.get("size"), due)
        except GuestExit:
            return {"op": "expired"}, []
        except Malformed:
            raise
        except Exception as error:
            self._note(error)
            return {"op": "failed"}, []
        return ({"op": "expired"}, []) if data is None else ({"op": "data"}, [data])

    def _read(self, size: object, due: Optional[float]) -> Optional[bytes]:
        """Read the guest's standard input; None when its time is up, or it was stopped."""
        if isinstance(size, bool) or not isinstance(size, int) or size <= 0:
            raise Malformed("a size that is none")
        size = min(size, 1 << 20)
        stdin = self._task.stdin
        descriptor = _descriptor(stdin)
        if descriptor is None:
            given = (stdin if callable(stdin) else stdin.read)(size)
            awaited = hasattr(given, "__await__")
            return as_bytes(self._waiter.wait_for(given, due) if awaited else given)
        while not _is_readable(descriptor):
            if self._stopped or (due is not None and monotonic() >= due):
                return None
        return os.read(descriptor, size)


def _descriptor(file: Any) -> Optional[int]:
    """The descriptor of an unbuffered file; None for everything else."""
    import io

    return file.fileno() if isinstance(file, io.FileIO) else None


def _is_readable(descriptor: int) -> bool:
    if not hasattr(select, "poll"):
        return True
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(_PATIENCE * 1000))


def prepare_in_worker(code: Code, settings: Settings, is_program: bool) -> None:
    """Let a worker compile some code, and keep it for the first run.

    Raises:
        SandboxError: It is not accepted.
    """
    give_back(borrow(code, settings, is_program))


def exports_in_worker(code: Code, settings: Settings) -> Mapping[str, Any]:
    """What a worker knows of the functions that some code exports."""
    loaded = borrow(code, settings, False)
    give_back(loaded)
    exports: Mapping[str, Any] = loaded.exports
    return exports
