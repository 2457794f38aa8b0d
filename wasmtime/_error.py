"""Errors of the library, what all its exceptions share, and the checks of arguments.

An exception that comes from native code keeps the native error until its details are asked for:
making a message costs more than raising. An exception made in Python has its message only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional, TypeVar

if TYPE_CHECKING:
    from ._trap import Frame

__all__ = ["ArgumentTypeError", "ExitTrap", "GuestExit", "WasmtimeError", "expect"]

_Self = TypeVar("_Self")
_Wanted = TypeVar("_Wanted")


class ArgumentTypeError(TypeError, AttributeError):
    """An argument is of a type that the function cannot use.

    It is a TypeError. It is an AttributeError too, because programs written for older versions of
    this interface expect that where they check.
    """


def expect(value: object, cls: type[_Wanted], name: str) -> _Wanted:
    """`value`, if it is an object of a class.

    Args:
        value: What a program gave.
        cls: The class that is wanted.
        name: Name of the argument, for the error.

    Raises:
        ArgumentTypeError: It is none.
    """
    if not isinstance(value, cls):
        article = "an" if cls.__name__[0] in "AEIOUi" else "a"
        raise ArgumentTypeError(
            f"{name} must be {article} {cls.__name__}, not {type(value).__name__}"
        )
    return value


class NativeException(Exception):
    """Base of the exceptions that stand for something native. Not public.

    Attributes:
        _handle: The native error or trap, a `core.Handle`, until its details have been read.
    """

    _handle: Any = None
    _message: Optional[str] = None
    _frames: Optional[tuple[Frame, ...]] = None

    def __init__(self, message: str) -> None:
        super().__init__(expect(message, str, "message"))
        self._message = message

    @property
    def message(self) -> str:
        """The library's message, with the WebAssembly backtrace where there is one."""
        if self._message is None:
            from ._trap import read_message

            self._message = read_message(self._handle)
        return self._message

    @property
    def frames(self) -> list[Frame]:
        """The WebAssembly frames that were on the stack, the innermost first.

        There are none if nothing ran.
        """
        if self._frames is None:
            if self._handle is None:  # raised by a host function, perhaps
                return list(getattr(self, "wasm_backtrace", ()))
            from ._trap import read_frames

            self._frames = tuple(read_frames(self._handle))
        return list(self._frames)

    @property
    def trace(self) -> list[str]:
        """The `frames` as text, one line each."""
        return [str(frame) for frame in self.frames]

    def _backtrace_note(self) -> str:
        """The frames for `BaseException.add_note`."""
        lines = [f"  {index}: {frame}" for index, frame in enumerate(self.frames)]
        return "\n".join(["WebAssembly backtrace (innermost frame first):", *lines])

    def __str__(self) -> str:
        return self.message

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.message!r})"

    def _state(self) -> dict[str, Any]:
        """Everything about this exception that does not depend on native memory."""
        state = {key: value for key, value in self.__dict__.items() if key != "_handle"}
        state["_message"] = self.message
        state["_frames"] = tuple(self.frames)
        return state

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.args, self._state())


def _restore(
    cls: type[NativeException], args: tuple[Any, ...], state: dict[str, Any]
) -> NativeException:
    """Make an exception from what `NativeException._state` had."""
    exception = cls.__new__(cls, *args)
    exception.__dict__.update(state)
    return exception


class WasmtimeError(NativeException):
    """Something that the library refused or that failed, other than a trap.

    Args:
        message: What went wrong.
    """

    def close(self) -> None:
        """Let go of the native error. The message and the frames stay readable."""
        self.__dict__.update(self._state())
        self._handle = None

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class GuestExit(NativeException):
    """A guest has ended before it returned.

    The base of `Trap`, whatever the reason (`TimeoutTrap`, `InterruptTrap`, and what WebAssembly
    does not survive), and of `ExitTrap`, for programs that end themselves. It is never raised by
    itself::

        try:
            start(store)
        except wasmtime.GuestExit as why:
            print("the guest has ended:", why)
    """


class ExitTrap(WasmtimeError, GuestExit):
    """A WASI program ended itself with ``proc_exit``.

    It is a `WasmtimeError`, raised for every exit status, 0 included.

    Args:
        code: The exit status.

    Attributes:
        code: The exit status, an int.
    """

    code: int

    def __init__(self, code: int) -> None:
        if isinstance(code, bool) or not isinstance(code, int):
            raise ArgumentTypeError(f"code must be an int, not {type(code).__name__}")
        super().__init__(f"Exited with i32 exit status {code}")
        self.args = (code,)
        self.code = code
