"""Traps: why WebAssembly stopped, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional, TypeVar

from ._error import GuestExit, WasmtimeError
from ._lazy import lazy_names
from ._native import ffi, lib, take_bytes

if TYPE_CHECKING:
    from ._trapcode import TrapCode
else:
    __getattr__, __dir__ = lazy_names(globals(), {"TrapCode": "_trapcode"})

__all__ = [
    "HIDDEN_MODULE",
    "Frame",
    "InterruptTrap",
    "OutputLimitTrap",
    "TimeoutTrap",
    "Trap",
    "TrapCode",
    "WasiTrap",
]
#: The name of the module that the package adds to components (``wasmtime.component._bulk``). Its
#: frames are left out: they are none of the program's.
HIDDEN_MODULE = "wasmtime-bulk-codec"

_Self = TypeVar("_Self")


class Frame:
    """One WebAssembly frame of a backtrace.

    It never changes, compares by value and can be pickled.
    """

    # What help() tells of each.
    __slots__ = {
        "func_index": "Index of the function in its module.",
        "func_name": "The function's name, from the module's name section, or None.",
        "func_offset": "Offset of the instruction in the function's body, in bytes.",
        "module_name": "The module's name, from its name section, or None.",
        "module_offset": "Offset of the instruction in the module's binary, in bytes.",
    }

    func_index: int
    func_name: Optional[str]
    module_name: Optional[str]
    module_offset: int
    func_offset: int

    def __init__(
        self,
        func_index: int,
        func_name: Optional[str],
        module_name: Optional[str],
        module_offset: int,
        func_offset: int,
    ) -> None:
        object.__setattr__(self, "func_index", func_index)
        object.__setattr__(self, "func_name", func_name)
        object.__setattr__(self, "module_name", module_name)
        object.__setattr__(self, "module_offset", module_offset)
        object.__setattr__(self, "func_offset", func_offset)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a Frame cannot be changed")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("a Frame cannot be changed")

    def _values(self) -> tuple[Any, ...]:
        return (
            self.func_index,
            self.func_name,
            self.module_name,
            self.module_offset,
            self.func_offset,
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Frame) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash(self._values())

    def __reduce__(self) -> tuple[Any, ...]:
        return Frame, self._values()

    def __repr__(self) -> str:
        return (
            f"Frame(func_index={self.func_index!r}, func_name={self.func_name!r}, "
            f"module_name={self.module_name!r}, module_offset={self.module_offset!r}, "
            f"func_offset={self.func_offset!r})"
        )

    def __str__(self) -> str:
        module = self.module_name or "<unknown>"
        function = self.func_name or f"<wasm function {self.func_index}>"
        return f"{self.module_offset:#x} - {module}!{function}"


class Trap(GuestExit):
    """WebAssembly stopped.

    It did something that the specification forbids, or fuel ran out, or the epoch deadline came. A
    host function may raise one to trap the calling instance; like every exception of a host
    function it arrives at the outer call as the same object.

    Args:
        message: What went wrong.
    """

    _interrupted: bool = False
    _code: Optional[TrapCode] = None

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from ._display import trap_html

        return trap_html(self)

    @property
    def trap_code(self) -> Optional[TrapCode]:
        """Why the trap happened; None for a trap that was made in Python."""
        if self._code is None and (self._interrupted or self._handle is not None):
            from ._trapcode import TrapCode

            if self._interrupted:
                self._code = TrapCode.INTERRUPT
            else:
                code = ffi.new("wasmtime_trap_code_t *")
                if lib.wasmtime_trap_code(_pointer(self._handle), code):
                    self._code = TrapCode(code[0])
        return self._code

    #: The same as `trap_code`.
    code = trap_code

    def _state(self) -> dict[str, Any]:
        self.trap_code  # noqa: B018 - reads it into `_code`, which is part of the state
        return super()._state()

    def close(self) -> None:
        """Let go of the native trap. The message, the frames and the code stay readable."""
        self.__dict__.update(self._state())
        self._handle = None

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class TimeoutTrap(Trap, TimeoutError):
    """The time that `Store.set_timeout` gives was up before the call had ended.

    It is a `Trap`, whose `trap_code` is `TrapCode.INTERRUPT`, and Python's own TimeoutError.
    """

    _interrupted = True


class InterruptTrap(Trap):
    """`Store.interrupt` ended the call. Its `trap_code` is `TrapCode.INTERRUPT`."""

    _interrupted = True


class OutputLimitTrap(Trap):
    """The guest wrote more than a stream's ``limit=``, whose ``on_limit`` is ``"stop"``.

    What it wrote up to the limit has been kept.
    """


class WasiTrap(Trap, WasmtimeError):
    """The guest called WASI with a pointer out of its memory, or not as WASI demands.

    It is a `WasmtimeError` too, which the library's own implementation raises in its place.
    """


def _pointer(handle: Any) -> Any:
    """The native pointer of a Handle, for cffi."""
    if handle.pointer is None:
        handle.pointer = ffi.cast(f"{handle.kind} *", handle.address)
    return handle.pointer


def read_message(handle: Any) -> str:
    """The message of a native error or trap; empty if there is none."""
    if handle is None:
        return ""
    vec = ffi.new("wasm_byte_vec_t *")
    if handle.kind == "wasm_trap_t":
        lib.wasm_trap_message(_pointer(handle), vec)
    else:
        lib.wasmtime_error_message(_pointer(handle), vec)
    message = take_bytes(vec).rstrip(b"\0").decode("utf-8", "replace")
    return _without_hidden(message) if f" - {HIDDEN_MODULE}!" in message else message


def _without_hidden(message: str) -> str:
    """A message without the lines of hidden frames, the other frames counted anew."""
    lines, count = [], 0
    for line in message.split("\n"):
        number, colon, frame = line.partition(":")
        if number.strip().isdigit() and frame.lstrip().startswith("0x"):
            if f" - {HIDDEN_MODULE}!" in frame:
                continue
            line = f"{count:>{len(number)}}{colon}{frame}"
            count += 1
        lines.append(line)
    return "\n".join(lines)


def read_frames(handle: Any) -> list[Frame]:
    """The frames of a native error or trap."""
    if handle is None:
        return []
    vec = ffi.new("wasm_frame_vec_t *")
    if handle.kind == "wasm_trap_t":
        lib.wasm_trap_trace(_pointer(handle), vec)
    else:
        lib.wasmtime_error_wasm_trace(_pointer(handle), vec)
    try:
        frames = [_read_frame(vec.data[index]) for index in range(vec.size)]
        return [frame for frame in frames if frame.module_name != HIDDEN_MODULE]
    finally:
        lib.wasm_frame_vec_delete(vec)


def _read_frame(frame: Any) -> Frame:
    return Frame(
        func_index=lib.wasm_frame_func_index(frame),
        func_name=_read_name(lib.wasmtime_frame_func_name(frame)),
        module_name=_read_name(lib.wasmtime_frame_module_name(frame)),
        module_offset=lib.wasm_frame_module_offset(frame),
        func_offset=lib.wasm_frame_func_offset(frame),
    )


def _read_name(name: Any) -> Optional[str]:
    """Text of a borrowed ``wasm_name_t *``, which may be NULL."""
    if name == ffi.NULL:
        return None
    return bytes(ffi.buffer(name.data, name.size)).decode("utf-8", "replace") if name.size else ""
