"""How an interpreter takes code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Callable, Literal, Optional, Union

from ..abi.shapes import CoreABI
from .drivers import Language

__all__ = ["Adapter", "Argv", "Exports", "Stdin"]


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
        evaluate: Name of the function. What it returns is the value of a snippet.
        abi: How text passes, as for `Plugin`.
        imports: Functions that the interpreter imports beside WASI.
    """

    evaluate: str = "eval"
    abi: CoreABI = CoreABI("str")  # noqa: RUF009 - it does not change
    imports: Mapping[str, Mapping[str, Callable[..., Any]]] = field(default_factory=dict)
    language: None = None


#: What the `adapter` argument of `Interpreter` may be.
Adapter = Union[Literal["auto"], Argv, Stdin, Exports]
