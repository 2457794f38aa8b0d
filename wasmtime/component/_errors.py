"""The exceptions of components."""

from __future__ import annotations

from typing import Optional

from .._error import NativeException, WasmtimeError
from .._trap import InterruptTrap, TimeoutTrap, Trap, TrapCode

__all__ = [
    "ComponentInterruptTrap",
    "ComponentTimeoutTrap",
    "ComponentTrap",
    "UnsupportedTypeError",
    "refine",
]


class UnsupportedTypeError(WasmtimeError, NotImplementedError):
    """A value is of a type that the C API of the library has no form for.

    These are streams, futures and error contexts, alone or inside of other types. It is raised
    before anything is called.
    """


class ComponentTrap(WasmtimeError, Trap):
    """A component stopped.

    It did something that the specification forbids, or fuel ran out, or the epoch deadline came.
    Its instance cannot be entered any more.

    It is a `Trap`. It is a `WasmtimeError` too, because that is what the C API gives for a trap in
    a component, and what programs written for older versions expect.
    """

    @property
    def trap_code(self) -> Optional[TrapCode]:
        """Why the trap happened; None if the message names no reason that has a code."""
        if self._code is None:
            if self._interrupted:
                self._code = TrapCode.INTERRUPT
            else:
                reason = self.message.rpartition("wasm trap: ")[2]
                for words, code in _REASONS:
                    if reason.startswith(words):
                        self._code = code
                        break
        return self._code

    code = trap_code

    def close(self) -> None:
        """Let go of the native error. The message, the frames and the code stay readable."""
        Trap.close(self)

    def __enter__(self) -> ComponentTrap:
        return self


class ComponentTimeoutTrap(ComponentTrap, TimeoutTrap):
    """The time that `wasmtime.Store.set_timeout` gives was up before a component's call had ended.

    It is a `wasmtime.TimeoutTrap`. The component's instance cannot be entered any more.
    """


class ComponentInterruptTrap(ComponentTrap, InterruptTrap):
    """`wasmtime.Store.interrupt` ended the call of a component.

    It is a `wasmtime.InterruptTrap`. The component's instance cannot be entered any more.
    """


#: The forms that traps take which the core has made for a reason of its own.
_FORMS: dict[type[Trap], type[ComponentTrap]] = {
    TimeoutTrap: ComponentTimeoutTrap,
    InterruptTrap: ComponentInterruptTrap,
}

#: How the messages of traps begin; the C API has no other word on the code of such a trap.
_REASONS = [
    ("call stack exhausted", TrapCode.STACK_OVERFLOW),
    ("out of bounds memory access", TrapCode.MEMORY_OUT_OF_BOUNDS),
    ("unaligned atomic", TrapCode.HEAP_MISALIGNED),
    ("undefined element: out of bounds table access", TrapCode.TABLE_OUT_OF_BOUNDS),
    ("uninitialized element", TrapCode.INDIRECT_CALL_TO_NULL),
    ("indirect call type mismatch", TrapCode.BAD_SIGNATURE),
    ("integer overflow", TrapCode.INTEGER_OVERFLOW),
    ("integer divide by zero", TrapCode.INTEGER_DIVISION_BY_ZERO),
    ("invalid conversion to integer", TrapCode.BAD_CONVERSION_TO_INTEGER),
    ("wasm `unreachable` instruction executed", TrapCode.UNREACHABLE),
    ("interrupt", TrapCode.INTERRUPT),
    ("all fuel consumed by WebAssembly", TrapCode.OUT_OF_FUEL),
    ("null reference", TrapCode.NULL_REFERENCE),
    ("cast failure", TrapCode.CAST_FAILURE),
    ("cannot enter component instance", TrapCode.CANNOT_ENTER_COMPONENT),
    ("cannot leave component instance", TrapCode.CANNOT_LEAVE_COMPONENT),
    ("deadlock detected", TrapCode.ASYNC_DEADLOCK),
    ("cannot block a synchronous task", TrapCode.CANNOT_BLOCK_SYNC_TASK),
]


_WAY_OUT = (
    ", which this version of the library cannot do on an engine with concurrency support. Make the "
    "engine with Config(concurrency_support=False): components that do not use the asynchronous "
    "ABI work without, and are called faster. The library said:\n"
)
#: What the library says where it cannot do something with concurrency support, and what that is.
_NEEDS_NO_CONCURRENCY = {
    "deferred host scope has no call context": "a component called a Python function with two or "
    "more borrowed handles",
    "Recursive `StoreContextMut::run_concurrent` calls": "a host function called a component of "
    "the same store in the middle of an asynchronous call",
}


def refine(error: NativeException) -> NativeException:
    """The exception to raise for one that the library gave.

    It is a `ComponentTrap` for a trap. For a known fault of the library, it tells the way out.
    """
    for said, meant in _NEEDS_NO_CONCURRENCY.items():
        if said in error.message:
            error._message = meant + _WAY_OUT + error.message
            return error
    interrupted = isinstance(error, Trap)
    if not interrupted and "wasm trap: " not in error.message:
        return error
    form = _FORMS.get(type(error), ComponentTrap) if isinstance(error, Trap) else ComponentTrap
    trap = form.__new__(form)
    trap._handle = error._handle
    trap._message = error.message
    trap._frames = error._frames
    trap._interrupted = interrupted
    trap.args = (error.message,)
    return trap
