"""What pools and maps know of programs, plug-ins and interpreters: how each takes an input."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, Optional, Union

from ..execution import describe
from ..interpreters.adapters import Exports
from ..reasons import Reason
from ..result import ExceptionInfo, Result
from ..settings import Isolation
from ..tiers import Supply, prepare
from ..world import WHOLE_INPUT

if TYPE_CHECKING:
    from ..._snapshots.state import State
    from ..interpreter import Interpreter
    from ..plugin import Plugin
    from ..program import Program
    from ..source import Code

    Target = Union[Program, Plugin, Interpreter]

__all__ = ["Input", "begin_with", "check_target", "input_of", "is_program", "run_input", "supplied"]


class Input(NamedTuple):
    """What one guest is given: the arguments and keywords of `run`, or of `Plugin.try_call`."""

    args: tuple[Any, ...]
    keywords: dict[str, Any]


def check_target(target: object) -> None:
    """Refuse what is no program, plug-in or interpreter.

    Raises:
        TypeError: It is something else.
    """
    from ..interpreter import Interpreter
    from ..plugin import Plugin
    from ..program import Program

    if not isinstance(target, (Program, Plugin, Interpreter)):
        raise TypeError(
            f"target must be a Program, Plugin or Interpreter, not {type(target).__name__}"
        )


def is_plugin(target: Target) -> bool:
    """Whether the first argument is the name of a function."""
    return hasattr(target, "try_call")


def is_program(target: Target) -> bool:
    """Whether its code runs as a program."""
    return not is_plugin(target) and not isinstance(getattr(target, "_adapter", None), Exports)


def input_of(target: Target, given: Any, name: Optional[str] = None) -> Input:
    """One of the inputs of a map, as arguments.

    Args:
        target: What is given the input.
        given: A tuple or list of arguments, a mapping of keywords, or a single argument.
        name: The function of a plug-in.

    Raises:
        TypeError: A mapping was given to a plug-in, whose functions have no keywords.
    """
    first = () if name is None else (name,)
    if isinstance(given, Mapping):
        if is_plugin(target):
            raise TypeError(
                "functions of a plug-in have no keywords: give a tuple of arguments, ({...},) for "
                "a record"
            )
        keywords = dict(given)
        args = keywords.pop("args", ())
        if "code" in keywords:
            args = (keywords.pop("code"), *args)
        return Input((*first, *args), keywords)
    if isinstance(given, (tuple, list)):
        return Input((*first, *given), {})
    return Input((*first, given), {})


def run_input(target: Target, given: Input, retries: int) -> Result:
    """Run one guest, and again if its worker process is lost.

    Args:
        target: What runs.
        given: What it is given.
        retries: How often it is run again; never, if its standard input cannot be read again.

    Returns:
        How it ended; `Reason.NOT_STARTED` too if the input is none.
    """
    result = _run(target, given)
    if not isinstance(given.keywords.get("stdin"), WHOLE_INPUT):
        return result
    while result.reason is Reason.WORKER_LOST and retries > 0:
        retries -= 1
        result = _run(target, given)
    return result


def _run(target: Any, given: Input) -> Result:
    run = target.try_call if is_plugin(target) else target.run
    try:
        result: Result = run(*given.args, **given.keywords)
    except (TypeError, ValueError, OSError) as error:
        return refused(error)
    return result


def refused(error: BaseException) -> Result:
    """The result of an input that could not be given to a guest."""
    return Result(Reason.NOT_STARTED, exception=describe(error))


def lost(how: str) -> Result:
    """The result of an input whose worker was lost."""
    return Result(Reason.WORKER_LOST, exception=ExceptionInfo("WorkerLost", how))


def begin_with(target: Any) -> tuple[Code, Optional[State]]:
    """What instances of a target are made of, and the state that they begin with.

    Raises:
        SandboxError: An interpreter could not be set up.
    """
    if hasattr(target, "_begins_with"):
        code, state = target._begins_with()
        return code, state
    return getattr(target, "_ready", target._code), None


def supplied(target: Target, isolation: Optional[Isolation], supply: Optional[Supply]) -> Any:
    """The same target, in a tier, with guests from a supply.

    Args:
        target: The target, which is not changed.
        isolation: The tier; None for the target's own.
        supply: Where its guests come from.

    Raises:
        SandboxError: The tier does not accept the code.
    """
    made: Any = copy.copy(target)
    settings = target._settings
    tier = settings.isolation if isolation is None else isolation
    made._settings = replace(settings, isolation=tier, supply=None)
    runs_ahead = getattr(getattr(made, "_warm", None), "way", None) == "ahead"
    if hasattr(made, "_choose_way") and (runs_ahead or tier != settings.isolation):
        made._choose_way()  # with copies of its own
    if tier == "thread" != settings.isolation:  # in the other tier, the supply compiles
        prepare(getattr(made, "_ready", made._code), made._settings, is_program(target), None)
    made._settings = replace(made._settings, supply=supply)
    return made
