"""
Traps: why WebAssembly stopped, and where.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, NamedTuple, Optional

from ._error import NativeException
from ._native import ffi, lib, take_bytes

__all__ = ["Frame", "Trap", "TrapCode"]


class TrapCode(Enum):
    """
    Why a trap happened, as ``wasmtime_trap_code_t`` numbers it.
    """

    STACK_OVERFLOW = lib.WASMTIME_TRAP_CODE_STACK_OVERFLOW
    MEMORY_OUT_OF_BOUNDS = lib.WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS
    HEAP_MISALIGNED = lib.WASMTIME_TRAP_CODE_HEAP_MISALIGNED
    TABLE_OUT_OF_BOUNDS = lib.WASMTIME_TRAP_CODE_TABLE_OUT_OF_BOUNDS
    INDIRECT_CALL_TO_NULL = lib.WASMTIME_TRAP_CODE_INDIRECT_CALL_TO_NULL
    BAD_SIGNATURE = lib.WASMTIME_TRAP_CODE_BAD_SIGNATURE
    INTEGER_OVERFLOW = lib.WASMTIME_TRAP_CODE_INTEGER_OVERFLOW
    INTEGER_DIVISION_BY_ZERO = lib.WASMTIME_TRAP_CODE_INTEGER_DIVISION_BY_ZERO
    BAD_CONVERSION_TO_INTEGER = lib.WASMTIME_TRAP_CODE_BAD_CONVERSION_TO_INTEGER
    UNREACHABLE = lib.WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED
    INTERRUPT = lib.WASMTIME_TRAP_CODE_INTERRUPT
    OUT_OF_FUEL = lib.WASMTIME_TRAP_CODE_OUT_OF_FUEL
    ATOMIC_WAIT_NON_SHARED_MEMORY = lib.WASMTIME_TRAP_CODE_ATOMIC_WAIT_NON_SHARED_MEMORY
    NULL_REFERENCE = lib.WASMTIME_TRAP_CODE_NULL_REFERENCE
    ARRAY_OUT_OF_BOUNDS = lib.WASMTIME_TRAP_CODE_ARRAY_OUT_OF_BOUNDS
    ALLOCATION_TOO_LARGE = lib.WASMTIME_TRAP_CODE_ALLOCATION_TOO_LARGE
    CAST_FAILURE = lib.WASMTIME_TRAP_CODE_CAST_FAILURE
    CANNOT_ENTER_COMPONENT = lib.WASMTIME_TRAP_CODE_CANNOT_ENTER_COMPONENT
    NO_ASYNC_RESULT = lib.WASMTIME_TRAP_CODE_NO_ASYNC_RESULT
    UNHANDLED_TAG = lib.WASMTIME_TRAP_CODE_UNHANDLED_TAG
    CONTINUATION_ALREADY_CONSUMED = lib.WASMTIME_TRAP_CODE_CONTINUATION_ALREADY_CONSUMED
    DISABLED_OPCODE = lib.WASMTIME_TRAP_CODE_DISABLED_OPCODE
    ASYNC_DEADLOCK = lib.WASMTIME_TRAP_CODE_ASYNC_DEADLOCK
    CANNOT_LEAVE_COMPONENT = lib.WASMTIME_TRAP_CODE_CANNOT_LEAVE_COMPONENT
    CANNOT_BLOCK_SYNC_TASK = lib.WASMTIME_TRAP_CODE_CANNOT_BLOCK_SYNC_TASK
    INVALID_CHAR = lib.WASMTIME_TRAP_CODE_INVALID_CHAR
    DEBUG_ASSERT_STRING_ENCODING_FINISHED = (
        lib.WASMTIME_TRAP_CODE_DEBUG_ASSERT_STRING_ENCODING_FINISHED
    )
    DEBUG_ASSERT_EQUAL_CODE_UNITS = lib.WASMTIME_TRAP_CODE_DEBUG_ASSERT_EQUAL_CODE_UNITS
    DEBUG_ASSERT_POINTER_ALIGNED = lib.WASMTIME_TRAP_CODE_DEBUG_ASSERT_POINTER_ALIGNED
    DEBUG_ASSERT_UPPER_BITS_UNSET = lib.WASMTIME_TRAP_CODE_DEBUG_ASSERT_UPPER_BITS_UNSET
    STRING_OUT_OF_BOUNDS = lib.WASMTIME_TRAP_CODE_STRING_OUT_OF_BOUNDS
    LIST_OUT_OF_BOUNDS = lib.WASMTIME_TRAP_CODE_LIST_OUT_OF_BOUNDS
    INVALID_DISCRIMINANT = lib.WASMTIME_TRAP_CODE_INVALID_DISCRIMINANT
    UNALIGNED_POINTER = lib.WASMTIME_TRAP_CODE_UNALIGNED_POINTER
    TASK_CANCEL_NOT_CANCELLED = lib.WASMTIME_TRAP_CODE_TASK_CANCEL_NOT_CANCELLED
    TASK_CANCEL_OR_RETURN_TWICE = lib.WASMTIME_TRAP_CODE_TASK_CANCEL_OR_RETURN_TWICE
    SUBTASK_CANCEL_AFTER_TERMINAL = lib.WASMTIME_TRAP_CODE_SUBTASK_CANCEL_AFTER_TERMINAL
    TASK_RETURN_INVALID = lib.WASMTIME_TRAP_CODE_TASK_RETURN_INVALID
    WAITABLE_SET_DROP_HAS_WAITERS = lib.WASMTIME_TRAP_CODE_WAITABLE_SET_DROP_HAS_WAITERS
    SUBTASK_DROP_NOT_RESOLVED = lib.WASMTIME_TRAP_CODE_SUBTASK_DROP_NOT_RESOLVED
    THREAD_NEW_INDIRECT_INVALID_TYPE = lib.WASMTIME_TRAP_CODE_THREAD_NEW_INDIRECT_INVALID_TYPE
    THREAD_NEW_INDIRECT_UNINITIALIZED = lib.WASMTIME_TRAP_CODE_THREAD_NEW_INDIRECT_UNINITIALIZED
    BACKPRESSURE_OVERFLOW = lib.WASMTIME_TRAP_CODE_BACKPRESSURE_OVERFLOW
    UNSUPPORTED_CALLBACK_CODE = lib.WASMTIME_TRAP_CODE_UNSUPPORTED_CALLBACK_CODE
    CANNOT_RESUME_THREAD = lib.WASMTIME_TRAP_CODE_CANNOT_RESUME_THREAD
    CONCURRENT_FUTURE_STREAM_OP = lib.WASMTIME_TRAP_CODE_CONCURRENT_FUTURE_STREAM_OP
    REFERENCE_COUNT_OVERFLOW = lib.WASMTIME_TRAP_CODE_REFERENCE_COUNT_OVERFLOW
    STREAM_OP_TOO_BIG = lib.WASMTIME_TRAP_CODE_STREAM_OP_TOO_BIG
    WAITABLE_SYNC_AND_ASYNC = lib.WASMTIME_TRAP_CODE_WAITABLE_SYNC_AND_ASYNC
    UNCAUGHT_EXCEPTION = lib.WASMTIME_TRAP_CODE_UNCAUGHT_EXCEPTION


class Frame(NamedTuple):
    """
    One WebAssembly frame of a backtrace.

    Attributes:
        func_index: Index of the function in its module.
        func_name: Its name, from the module's name section, or None.
        module_name: The module's name, from its name section, or None.
        module_offset: Offset of the instruction in the module's binary, in bytes.
        func_offset: Offset of the instruction in the function's body, in bytes.
    """

    func_index: int
    func_name: Optional[str]
    module_name: Optional[str]
    module_offset: int
    func_offset: int

    def __str__(self) -> str:
        module = self.module_name or "<unknown>"
        function = self.func_name or f"<wasm function {self.func_index}>"
        return f"{self.module_offset:#x} - {module}!{function}"


class Trap(NativeException):
    """
    WebAssembly stopped because of something that the specification forbids, or because fuel ran
    out or the epoch deadline came.

    A host function may raise one to trap the calling instance; like every exception of a host
    function it arrives at the outer call as the same object.

    Args:
        message: What went wrong.
    """

    _interrupted: bool = False
    _code: Optional[TrapCode] = None

    @property
    def trap_code(self) -> Optional[TrapCode]:
        """
        Why the trap happened; None for a trap that was made in Python.
        """
        if self._code is None and self._handle is not None:
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
        """
        Let go of the native trap. The message, the frames and the code stay readable.
        """
        self.__dict__.update(self._state())
        self._handle = None

    def __enter__(self) -> Trap:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _pointer(handle: Any) -> Any:
    """
    The native pointer of a Handle, for cffi.
    """
    if handle.pointer is None:
        handle.pointer = ffi.cast(f"{handle.kind} *", handle.address)
    return handle.pointer


def read_message(handle: Any) -> str:
    """
    The message of a native error or trap; empty if there is none.
    """
    if handle is None:
        return ""
    vec = ffi.new("wasm_byte_vec_t *")
    if handle.kind == "wasm_trap_t":
        lib.wasm_trap_message(_pointer(handle), vec)
    else:
        lib.wasmtime_error_message(_pointer(handle), vec)
    return take_bytes(vec).rstrip(b"\0").decode("utf-8", "replace")


def read_frames(handle: Any) -> list[Frame]:
    """
    The frames of a native error or trap.
    """
    if handle is None:
        return []
    vec = ffi.new("wasm_frame_vec_t *")
    if handle.kind == "wasm_trap_t":
        lib.wasm_trap_trace(_pointer(handle), vec)
    else:
        lib.wasmtime_error_wasm_trace(_pointer(handle), vec)
    try:
        return [_read_frame(vec.data[index]) for index in range(vec.size)]
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
    """
    Text of a borrowed ``wasm_name_t *``, which may be NULL.
    """
    if name == ffi.NULL:
        return None
    return bytes(ffi.buffer(name.data, name.size)).decode("utf-8", "replace") if name.size else ""
