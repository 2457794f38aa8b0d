"""How a guest ended: plain data."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Optional, Union

from .._printable import clip, html_table, one_line
from .errors import SandboxError
from .reasons import Reason

if TYPE_CHECKING:
    from wasmtime import Frame, TrapCode

__all__ = ["ExceptionInfo", "Result", "TrapInfo"]


@dataclass(frozen=True)
class TrapInfo:
    """Why WebAssembly stopped, and where.

    Attributes:
        code: The kind of trap; None if it has none.
        message: The library's words. Names in it are the guest's: `repr` escapes them.
        frames: The functions that were running, the innermost first.
    """

    code: Optional[TrapCode]
    message: str
    frames: tuple[Frame, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON has it."""
        return {
            "code": self.code and self.code.name.lower().replace("_", "-"),
            "message": self.message,
            "frames": [
                {
                    "func_index": frame.func_index,
                    "func_name": frame.func_name,
                    "module_name": frame.module_name,
                    "module_offset": frame.module_offset,
                    "func_offset": frame.func_offset,
                }
                for frame in self.frames
            ],
        }


@dataclass(frozen=True)
class ExceptionInfo:
    """What a host function raised, or what refused to start the guest.

    Attributes:
        type: Name of the exception's class.
        text: What it says.
    """

    type: str
    text: str

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON has it."""
        return {"type": self.type, "text": self.text}


@dataclass(frozen=True)
class Result:
    """How a guest ended, and what came of it.

    It is plain data: it pickles, and equals another one that tells the same, the `duration` apart.
    Its `repr`, and what a notebook shows, escape what the guest wrote.

    Attributes:
        reason: Why it ended.
        exit_code: Its exit status; None unless it exited.
        stdout: What it wrote to standard output, as far as `ResourceLimits.output` keeps it.
        stderr: What it wrote to standard error.
        value: What the called function returned; None for programs.
        duration: Seconds from the start to the end.
        fuel_used: Units of fuel, in a session since it was opened; None unless
            `ResourceLimits.fuel` was set.
        memory_size: Bytes of the linear memories that the guest exports, at the end, which is when
            they were largest; None if there are none, or it is a component, which shows none.
        truncated: Whether output or collected files were cut off.
        files: Contents of the collected files, by their path as the guest names it.
        trap: Why WebAssembly stopped, and where; None if it did not trap.
        exception: What a host function raised, or what refused to start the guest; or None.
    """

    reason: Reason
    exit_code: Optional[int] = None
    stdout: bytes = b""
    stderr: bytes = b""
    value: Any = None
    duration: float = field(default=0.0, compare=False)
    fuel_used: Optional[int] = None
    memory_size: Optional[int] = None
    truncated: bool = False
    files: dict[str, bytes] = field(default_factory=dict)
    trap: Optional[TrapInfo] = None
    exception: Optional[ExceptionInfo] = None

    def __hash__(self) -> int:
        return hash((self.reason, self.exit_code, self.stdout, self.stderr))

    @property
    def ok(self) -> bool:
        """Whether the guest came to its end, with status 0 if it has one."""
        return self.reason is Reason.EXITED and not self.exit_code

    @property
    def text(self) -> str:
        """Standard output as text; bytes that are no UTF-8 become replacement characters."""
        return self.stdout.decode("utf-8", "replace")

    @property
    def message(self) -> str:
        """Why the guest ended, in one line, with what it wrote escaped."""
        if self.reason is Reason.EXITED:
            told = "the guest exited" + (f" with status {self.exit_code}" if self.exit_code else "")
            last = self.stderr[-2000:].decode("utf-8", "replace").strip().rpartition("\n")[2]
            return f"{told}: {one_line(last)}" if last and not self.ok else told
        told = f"{self.reason}: {_ENDS[self.reason]}"
        if self.exception is not None:
            return f"{told}: {one_line(self.exception.type)}: {one_line(self.exception.text, 2000)}"
        if self.reason is Reason.TRAPPED and self.trap is not None:
            return f"{told}: {one_line(self.trap.message.rpartition('wasm trap: ')[2].strip())}"
        return told

    def check(self) -> Result:
        """Return this result, if it is `ok`.

        Raises:
            SandboxError: It is not.
        """
        if not self.ok:
            raise SandboxError(self)
        return self

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON has it: dicts, lists, text, numbers, bools and None.

        Bytes are text if they are UTF-8, else ``{"base64": ...}``. What `value` has that JSON has
        not is told by `wasmtime.sandbox.plain`.
        """
        from .plain import to_plain

        return {
            "reason": self.reason.value,
            "exit_code": self.exit_code,
            "stdout": _json_bytes(self.stdout),
            "stderr": _json_bytes(self.stderr),
            "value": to_plain(self.value),
            "duration": self.duration,
            "fuel_used": self.fuel_used,
            "memory_size": self.memory_size,
            "truncated": self.truncated,
            "files": {name: _json_bytes(data) for name, data in self.files.items()},
            "trap": self.trap and self.trap.to_dict(),
            "exception": self.exception and self.exception.to_dict(),
            "ok": self.ok,
        }

    def __repr__(self) -> str:
        shown = [
            f"{name}={clip(repr(value), 500)}" for name, value in self._parts() if value is not None
        ]
        return f"Result({self.reason}, {', '.join(shown)})" if shown else f"Result({self.reason})"

    def _parts(self) -> list[tuple[str, Any]]:
        """What there is to say beside the reason; what is as usual is None."""
        return [
            ("exit_code", self.exit_code),
            ("value", self.value),
            ("stdout", self.stdout or None),
            ("stderr", self.stderr or None),
            ("truncated", self.truncated or None),
            ("files", {name: len(data) for name, data in self.files.items()} or None),
            ("trap", self.trap),
            ("exception", self.exception),
            ("fuel_used", self.fuel_used),
            ("memory_size", self.memory_size),
            ("duration", round(self.duration, 6)),
        ]

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return html_table(
            self.message,
            [
                ("stdout", self.stdout),
                ("stderr", self.stderr),
                ("value", None if self.value is None else repr(self.value)),
                ("files", ", ".join(f"{name} ({len(data)})" for name, data in self.files.items())),
                ("truncated", "yes" if self.truncated else None),
                ("trap", "\n".join(map(str, self.trap.frames)) if self.trap else None),
                ("duration", f"{self.duration * 1000:.3f} ms"),
                ("memory", f"{self.memory_size:,} bytes" if self.memory_size else None),
                ("fuel", f"{self.fuel_used:,}" if self.fuel_used else None),
            ],
        )


#: How each reason reads in a message.
_ENDS = {
    Reason.TRAPPED: "the guest did what WebAssembly forbids",
    Reason.TIMEOUT: "the guest took longer than it may",
    Reason.OUT_OF_FUEL: "the guest used up its fuel",
    Reason.OUT_OF_MEMORY: "the guest failed with no memory left",
    Reason.OUTPUT_LIMIT: "the guest wrote more than it may",
    Reason.DISK_LIMIT: "the guest filled a directory beyond its quota",
    Reason.CANCELLED: "the guest was stopped",
    Reason.HOST_ERROR: "a function of the host raised",
    Reason.WORKER_LOST: "the process of the guest was lost",
    Reason.NOT_STARTED: "the guest was not started",
}


def _json_bytes(data: bytes) -> Union[str, dict[str, str]]:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": b64encode(data).decode("ascii")}
