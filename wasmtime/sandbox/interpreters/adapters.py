"""How an interpreter takes code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Callable, Literal, Optional, Union

from ..abi.shapes import CoreABI
from ..reasons import Reason
from ..result import Result
from .drivers import Language

__all__ = ["Adapter", "Argv", "Exports", "Stdin", "has_driver"]


@dataclass(frozen=True)
class Argv:
    """An interpreter that is a program and takes code as an argument: ``python -c``, ``qjs -e``.

    Args:
        options: The arguments before the code.
        language: ``"python"`` or ``"javascript"``: what drivers there are for, which let snippets
            call functions of the host, and sessions keep their state. None for another language.
        driver_options: The arguments before the code of a driver, where they differ.
        imports: Functions that the interpreter imports beside WASI.
    """

    options: tuple[str, ...] = ("-c",)
    language: Optional[Language] = None
    driver_options: Optional[tuple[str, ...]] = None
    imports: Mapping[str, Mapping[str, Callable[..., Any]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Stdin:
    """An interpreter that is a program and reads code from its standard input to the end.

    Args:
        options: Its arguments.
        imports: Functions that the interpreter imports beside WASI.
    """

    options: tuple[str, ...] = ()
    imports: Mapping[str, Mapping[str, Callable[..., Any]]] = field(default_factory=dict)
    language: None = None


@dataclass(frozen=True)
class Exports:
    """An interpreter that is a library, with a function that takes code as text.

    Args:
        evaluate: Name of the function.
        abi: How text passes, as for `Plugin`.
        imports: Functions that the interpreter imports beside WASI.
        language: ``"python"`` or ``"javascript"``: whose generators of random numbers begin anew in
            copies of what was set up once. None for another language.
        returns: Whether what the function returns is the value of a snippet, or its exit status.
    """

    evaluate: str = "eval"
    abi: CoreABI = CoreABI("str")  # noqa: RUF009 - it does not change
    imports: Mapping[str, Mapping[str, Callable[..., Any]]] = field(default_factory=dict)
    language: Optional[Language] = None
    returns: Literal["value", "status"] = "value"

    def told(self, result: Result) -> Result:
        """The result of a snippet, of the result of the call."""
        if self.returns == "value" or result.reason is not Reason.EXITED:
            return result
        if not isinstance(result.value, int):
            return result
        return replace(result, exit_code=result.value, value=None)


def has_driver(adapter: Union[Argv, Exports, Stdin]) -> bool:
    """Whether there is a driver for an interpreter: for programs, in some languages."""
    return isinstance(adapter, Argv) and adapter.language is not None


#: What the `adapter` argument of `Interpreter` may be.
Adapter = Union[Literal["auto"], Argv, Stdin, Exports]
