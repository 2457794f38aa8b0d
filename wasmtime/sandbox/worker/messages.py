"""Tasks and results as messages have them; and the checks of what a worker says."""

from __future__ import annotations

from typing import Any, Optional

from ... import Frame, TrapCode
from ..abi.shapes import CoreABI
from ..directory import Preopen
from ..limits import ResourceLimits
from ..plain import from_plain, to_plain
from ..reasons import Reason
from ..result import ExceptionInfo, Result, TrapInfo
from ..tiers import Call
from ..world import Talk, Task
from .channel import Malformed, Message

__all__ = [
    "call_of",
    "call_parts",
    "longest_result",
    "result_of",
    "result_parts",
    "task_of",
    "task_parts",
]

#: What a message has beside output and values: names, numbers, a trap.
_OVERHEAD = 2 << 20
_LONGEST_TEXT, _MOST_FRAMES = 20_000, 100


def task_parts(task: Task, known: ResourceLimits) -> dict[str, Any]:
    """A task as JSON has it, without its standard input and output.

    Args:
        task: The task.
        known: The limits that the worker was loaded with, which need not be told again.
    """
    seed = task.seed
    return {
        "args": list(task.args),
        "env": dict(task.env),
        "preopens": [(each.host, each.guest, each.writable) for each in task.preopens],
        "limits": None if task.limits == known else vars(task.limits),
        "seed": to_plain(seed),
        "clock": task.clock,
        "network": task.network,
    }


def task_of(parts: dict[str, Any], known: ResourceLimits, stdin: Any, talk: Optional[Talk]) -> Task:
    """The task of a message; what `talk` takes is not collected here."""
    preopens = [Preopen(host, guest, writable, None) for host, guest, writable in parts["preopens"]]
    limits = known if parts["limits"] is None else ResourceLimits(**parts["limits"])
    seed = from_plain(parts["seed"])
    clock, network = parts["clock"], parts["network"]
    args, env = parts["args"], parts["env"]
    return Task(args, stdin, env, preopens, limits, seed, clock, network, output=None, talk=talk)


def call_parts(call: Optional[Call]) -> Optional[dict[str, Any]]:
    """A call as JSON has it.

    Raises:
        TypeError: An argument is not plain data.
    """
    if call is None:
        return None
    args = [to_plain(value) for value in call.args]
    return {"name": call.name, "args": args, "abi": vars(call.abi), "returns": call.returns}


def call_of(parts: Optional[dict[str, Any]]) -> Optional[Call]:
    """The call of a message."""
    if parts is None:
        return None
    args = [from_plain(value) for value in parts["args"]]
    return Call(parts["name"], args, CoreABI(**parts["abi"]), parts["returns"])


def result_parts(result: Result) -> Message:
    """A result as messages have it."""
    parts = {
        "op": "result",
        "reason": result.reason.value,
        "exit_code": result.exit_code,
        "value": to_plain(result.value),
        "fuel_used": result.fuel_used,
        "memory_size": result.memory_size,
        "truncated": result.truncated,
        "trap": result.trap and _trap_parts(result.trap),
        "exception": result.exception and result.exception.to_dict(),
    }
    return parts, [result.stdout, result.stderr]


def _trap_parts(trap: TrapInfo) -> dict[str, Any]:
    return {
        "code": trap.code and trap.code.name,
        "message": trap.message,
        "frames": [
            [f.func_index, f.func_name, f.module_name, f.module_offset, f.func_offset]
            for f in trap.frames
        ],
    }


def longest_result(limits: ResourceLimits) -> int:
    """How many bytes the message of a result may have: what the limits allow, and some."""
    output = 2**60 if limits.output is None else limits.output
    value = 2**60 if limits.value is None else limits.value
    return 2 * output + 2 * value + _OVERHEAD


def result_of(message: Message, limits: ResourceLimits, duration: float) -> Result:
    """The result that a worker tells, checked: nothing in it is taken on trust.

    Raises:
        Malformed: It is none, or exceeds the limits.
    """
    parts, blobs = message
    most = limits.output
    if len(blobs) != 2 or (most is not None and max(map(len, blobs)) > most):
        raise Malformed("more output than may be")
    try:
        reason = Reason(parts.get("reason"))
        value = from_plain(parts.get("value"))
    except (ValueError, RecursionError) as error:
        raise Malformed(str(error)[:200]) from None
    return Result(
        reason,
        _number(parts, "exit_code"),
        blobs[0],
        blobs[1],
        value,
        duration,
        _number(parts, "fuel_used"),
        _number(parts, "memory_size"),
        parts.get("truncated") is True,
        {},
        _trap(parts.get("trap")),
        _exception(parts.get("exception")),
    )


def _number(parts: dict[str, Any], name: str) -> Optional[int]:
    number = parts.get(name)
    if number is None:
        return None
    if isinstance(number, bool) or not isinstance(number, int) or not -(2**63) <= number < 2**64:
        raise Malformed(f"{name} is no number")
    return number


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        raise Malformed("no text, or a long one")
    return value


def _exception(parts: object) -> Optional[ExceptionInfo]:
    if parts is None:
        return None
    if not isinstance(parts, dict):
        raise Malformed("no exception")
    return ExceptionInfo(_text(parts.get("type")), _text(parts.get("text")))


def _trap(parts: object) -> Optional[TrapInfo]:
    if parts is None:
        return None
    if not isinstance(parts, dict) or not isinstance(parts.get("frames"), list):
        raise Malformed("no trap")
    name, frames = parts.get("code"), parts["frames"]
    if (name is not None and name not in TrapCode.__members__) or len(frames) > _MOST_FRAMES:
        raise Malformed("no trap")
    code = None if name is None else TrapCode[name]
    return TrapInfo(code, _text(parts.get("message")), tuple(map(_frame, frames)))


def _frame(parts: object) -> Frame:
    if not isinstance(parts, list) or len(parts) != 5:
        raise Malformed("no frame")
    index, function, module, offset, inner = parts
    names = [None if name is None else _text(name) for name in (function, module)]
    for number in (index, offset, inner):
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 2**64:
            raise Malformed("no frame")
    return Frame(index, names[0], names[1], offset, inner)
