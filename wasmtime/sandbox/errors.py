"""What this module raises, and what a function of the host raises for the guest to see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

if TYPE_CHECKING:
    from .result import Result

__all__ = ["GuestError", "SandboxError", "raise_unless_ok"]


class SandboxError(Exception):
    """A guest did not end well, was not accepted, or could not be called so.

    It is the base of everything that this module raises, arguments of a wrong type or range
    excepted, which raise TypeError and ValueError. What a host function raised is the
    ``__cause__``.

    Args:
        result: How the guest ended.

    Attributes:
        result: The `Result`: the reason, what was printed until then, and all the rest.
    """

    result: Result

    def __init__(self, result: Result) -> None:
        super().__init__(result)
        self.result = result

    def __str__(self) -> str:
        return self.result.message

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.result,)


class GuestError(Exception):
    """Raised by a host function, to tell the guest something.

    What else a host function raises ends the guest, which is told nothing about it. The text of a
    `GuestError` becomes an exception of the guest's language in an interpreter, and the error of a
    function of a component whose result has a string for one; where the guest has no way to be
    told, it ends the guest like any other exception.

    Args:
        text: What the guest is told.
    """


def raise_unless_ok(result: Result, cause: Optional[BaseException]) -> Result:
    """The result, if it is `Result.ok`.

    Raises:
        SandboxError: It is not; what a host function raised is the cause.
    """
    if not result.ok:
        raise SandboxError(result) from cause
    return result
