"""What one run of a guest sees: its arguments, variables, streams and directories."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Callable, Optional, Protocol

from .. import GuestExit, OutputLimitTrap, WasiConfig
from .._coroutines import is_coroutine_function
from .._wasi.input import AsyncInput, is_file_object
from .directory import Preopen
from .limits import ResourceLimits
from .settings import Clock, Seed

__all__ = [
    "WHOLE_INPUT",
    "Collected",
    "Streams",
    "Talk",
    "Task",
    "is_asked",
    "make_wasi",
    "parse_input",
]

#: Standard input that is there as a whole: it blocks nobody, and can be given a second time.
WHOLE_INPUT = (type(None), str, bytes, bytearray, memoryview)


class Talk(Protocol):
    """What passes between a guest and the host over standard output.

    Attributes:
        mark: What begins a line that is for the host.
        answers: Whether the guest waits for answers, which have to be given at once.
    """

    mark: str
    answers: bool

    def filter(self, stream: str, data: bytes) -> bytes:
        """Take what is for the host out of what is written; the rest is output."""
        raise NotImplementedError


@dataclass(frozen=True)
class Task:
    """One run: all that it depends on, beside the code.

    Attributes:
        args: The arguments, without ``argv[0]``.
        stdin: What it reads: bytes, a file, or a callable.
        env: Its environment.
        preopens: Its directories.
        limits: What it may use.
        seed: Makes its random numbers the same each time.
        clock: What time it is.
        network: Whether a component may make HTTP requests and look names up.
        output: Called with the name of a stream and what the guest wrote to it, as it does; None to
            collect it alone.
        talk: What passes between the guest and the host over standard output, and is no output.
    """

    args: Sequence[str] = ()
    stdin: Any = None
    env: Mapping[str, str] = field(default_factory=dict)
    preopens: Sequence[Preopen] = ()
    limits: ResourceLimits = field(default_factory=ResourceLimits)
    seed: Seed = None
    clock: Clock = None
    network: bool = False
    output: Optional[Callable[[Any, bytes], None]] = None
    talk: Optional[Talk] = None


def parse_input(stdin: Any) -> Any:
    """Check a `stdin` argument; what is asynchronous becomes an `AsyncInput`.

    Raises:
        TypeError: It is nothing to be read, or a file that is opened for text.
    """
    if isinstance(stdin, WHOLE_INPUT):
        return stdin
    if isinstance(stdin, io.TextIOBase):
        raise TypeError(
            "stdin is a file that is opened for text: open it with mode 'rb', or give its buffer, "
            "as in sys.stdin.buffer"
        )
    if AsyncInput.is_needed(stdin):
        return AsyncInput(stdin)
    if not callable(stdin) and not is_file_object(stdin):
        raise TypeError(
            "stdin must be text, bytes, a file that is opened for bytes, a callable or an "
            f"asynchronous iterator, not {type(stdin).__name__}"
        )
    return stdin


def make_wasi(
    name: str, task: Task, note: Callable[[BaseException], None]
) -> tuple[WasiConfig, Streams]:
    """The WASI world of a run.

    Args:
        name: ``argv[0]``.
        task: The run.
        note: Told what the host's side of a stream raises.

    Raises:
        WasmtimeError: A directory cannot be opened.
        TypeError, ValueError: Standard input is nothing that can be read, or an argument has a NUL.
    """
    wasi = WasiConfig()
    wasi.argv = [name, *task.args]
    if task.env:
        wasi.env = task.env
    _set_stdin(wasi, task.stdin, note)
    for preopen in task.preopens:
        wasi.preopen_dir(preopen.host, preopen.guest, fs_mutable=preopen.writable)
    if task.seed is not None:
        wasi.random_seed = task.seed
    if task.clock is not None:
        wasi.clock = task.clock
    if task.network:
        wasi.allow_ip_name_lookup()
        wasi.allow_http()
    return wasi, Streams(wasi, task, note)


def _set_stdin(wasi: WasiConfig, stdin: Any, note: Callable[[BaseException], None]) -> None:
    if stdin is None:
        return
    if isinstance(stdin, str):
        wasi.stdin_bytes = stdin.encode()
    elif isinstance(stdin, (bytes, bytearray, memoryview)):
        wasi.stdin_bytes = stdin
    else:
        wasi.stdin_custom = noting(stdin, note) if callable(stdin) else stdin


def noting(function: Callable[..., Any], note: Callable[[BaseException], None]) -> Any:
    """A function that tells what it raises, before it does."""

    def call(*args: Any) -> Any:
        with _noting(note):
            return function(*args)

    async def call_async(*args: Any) -> Any:
        with _noting(note):
            return await function(*args)

    return call_async if is_coroutine_function(function) else call


@contextmanager
def _noting(note: Callable[[BaseException], None]) -> Iterator[None]:
    try:
        yield
    except GuestExit:
        raise
    except Exception as error:
        note(error)
        raise


def is_asked(task: Task) -> bool:
    """Whether Python is asked at each write of a guest, and not only in the end."""
    return task.output is not None or (task.talk is not None and task.talk.answers)


class Streams:
    """The two streams of output of a run, collected within their limit."""

    __slots__ = ("_collected", "_stderr", "_stdout")

    def __init__(self, wasi: WasiConfig, task: Task, note: Callable[[BaseException], None]) -> None:
        self._collected: Optional[Collected] = None
        if not is_asked(task):
            limits = task.limits
            how: Any = {}
            if limits.output is not None:
                how = {"limit": limits.output, "on_limit": limits.on_output_limit}
            self._stdout = wasi.capture_stdout(**how)
            self._stderr = wasi.capture_stderr(**how)
            if task.talk is not None:
                self._stdout._sink.set_mark(task.talk.mark.encode())
            return
        collected = self._collected = Collected(task, note)
        wasi.stdout_custom = lambda data: collected("stdout", data)
        wasi.stderr_custom = lambda data: collected("stderr", data)

    def take_stdout(self) -> bytes:
        """What was written to standard output since it was last taken."""
        collected = self._collected
        return self._stdout.read() if collected is None else collected.take("stdout")

    def take_stderr(self) -> bytes:
        """What was written to standard error since it was last taken."""
        collected = self._collected
        return self._stderr.read() if collected is None else collected.take("stderr")

    def take_messages(self) -> bytes:
        """What the guest has told the host meanwhile, unless that is heard at once."""
        messages: bytes = b"" if self._collected else self._stdout._sink.take_messages()
        return messages

    def take_rest(self) -> bytes:
        """Output that was held back, since it might have been the beginning of a message."""
        rest: bytes = b"" if self._collected else self._stdout._sink.take_rest()
        return rest

    def truncated(self) -> bool:
        """Whether one of them was cut off."""
        if self._collected is not None:
            return self._collected.truncated
        return self._stdout.truncated or self._stderr.truncated


class Collected:
    """Output that is shown while it is written, and collected within its limit.

    Args:
        task: The run.
        note: Told what the host's side raises.

    Attributes:
        truncated: Whether more was written than is kept.
    """

    def __init__(self, task: Task, note: Callable[[BaseException], None]) -> None:
        self._limits = task.limits
        self._filter = None if task.talk is None else noting(task.talk.filter, note)
        self._show = None if task.output is None else noting(task.output, note)
        self._data = {"stdout": bytearray(), "stderr": bytearray()}
        self.truncated = False

    def __call__(self, stream: str, data: bytes) -> None:
        """Take what the guest writes to a stream."""
        if self._filter is not None:
            data = self._filter(stream, data)
        collected, limit = self._data[stream], self._limits.output
        left = len(data) if limit is None else limit - len(collected)
        kept = data[:left]
        if kept and self._show is not None:
            self._show(stream, kept)
        if limit is not None or self._show is None:  # what is shown without end is not kept
            collected += kept
        if len(data) > left:
            self.truncated = True
            if self._limits.on_output_limit == "stop":
                raise OutputLimitTrap(f"more than {limit} bytes were written to {stream}")

    def take(self, stream: str) -> bytes:
        """What was written to a stream since it was last taken."""
        data, self._data[stream] = bytes(self._data[stream]), bytearray()
        return data
