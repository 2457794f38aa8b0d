"""What a guest may use, as numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, Optional, Union

from .._sizes import read_size

__all__ = ["OnOutputLimit", "ResourceLimits", "Size", "check_mapping", "parse_count", "parse_size"]

#: A number of bytes: an int, text such as ``"64 MiB"``, or None for no limit.
Size = Union[int, str, None]
#: What happens to a stream that has reached its limit.
OnOutputLimit = Literal["truncate", "stop"]

_MOST = 2**63 - 1


def parse_size(name: str, value: object) -> Optional[int]:
    """Read a number of bytes.

    Args:
        name: What it is, for the error.
        value: An int; text such as ``"64 MiB"``, where MiB is 2**20 and MB is 10**6; or None.

    Returns:
        The number; None for no limit.

    Raises:
        TypeError: It is of another type.
        ValueError: It is negative, too large, or text of another form.
    """
    if value is None:
        return None
    if isinstance(value, str):
        try:
            number = read_size(value)
        except ValueError:
            raise ValueError(f'{name} must be like 65536 or "64 MiB", not {value!r}') from None
        return _in_range(name, number)
    return parse_count(name, value)


def check_mapping(name: str, value: Any) -> Any:
    """Refuse what is no mapping where an argument of that name is one.

    Raises:
        TypeError: It is none.
    """
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} must be a mapping, such as a dict, not {type(value).__name__}")
    return value


def parse_count(name: str, value: object) -> Optional[int]:
    """Read a number of things, None for no limit.

    Raises:
        TypeError: It is no int.
        ValueError: It is negative or too large.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int or None, not {type(value).__name__}")
    return _in_range(name, value)


def parse_whole(name: str, value: object, least: int) -> int:
    """Read a number of things that cannot be without limit.

    Raises:
        TypeError: It is no int.
        ValueError: It is less than `least`, or too large.
    """
    number = parse_count(name, value)
    if number is None:
        raise TypeError(f"{name} must be an int, not None")
    if number < least:
        raise ValueError(f"{name} must be at least {least}, not {number}")
    return number


def parse_seconds(name: str, value: object) -> Optional[float]:
    """Read a number of seconds, None for no limit.

    Raises:
        TypeError: It is no number.
        ValueError: It is not positive and finite.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number of seconds or None, not {type(value).__name__}")
    if not 0 < value < math.inf:
        raise ValueError(f"{name} must be positive and finite, not {value!r}; None is no limit")
    return float(value)


def _in_range(name: str, number: int) -> int:
    if not 0 <= number <= _MOST:
        raise ValueError(f"{name} must be from 0 to 2**63-1, not {number}; None is no limit")
    return number


@dataclass(frozen=True, init=False)
class ResourceLimits:
    """What a guest may use: everything is bounded unless None says otherwise.

    It is plain data: it compares, pickles, and does not change.

    Args:
        timeout: Seconds of wall clock of a run, computing, sleeping, reading and host functions.
        compile_timeout: Seconds that compiling may take.
        memory: Bytes of all linear memories together.
        table_elements: Elements of each table; there may be 64 tables.
        instances: How many instances a guest may consist of.
        stack: Bytes of the stack.
        fuel: Units of fuel, about one for each instruction: exact and the same on each machine, but
            slower (1.1 to 1.3 times).
        output: Bytes that are kept of each of the two streams of output.
        on_output_limit: What happens beyond: ``"truncate"`` discards, ``"stop"`` ends the guest.
        module: Bytes of WebAssembly that are accepted.
        value: Bytes of text, bytes or JSON that a core module may return from a call.
        file_size: Bytes of each file that the guest writes to, exactly; in the process tier alone.
        open_files: Files that are open at a time; in the process tier alone.

    Where bytes are meant, text such as ``"64 MiB"`` (2**20 bytes each) or ``"64 MB"`` (10**6) is
    taken too; attributes are ints.

    Raises:
        TypeError: A value is of a wrong type.
        ValueError: A value is out of range, or text of another form.

    Example:
        >>> from wasmtime.sandbox import ResourceLimits
        >>> ResourceLimits(timeout=2.0, memory="64 MiB").memory
        67108864
    """

    timeout: Optional[float] = 10.0
    compile_timeout: Optional[float] = 60.0
    memory: Optional[int] = 128 << 20
    table_elements: Optional[int] = 100_000
    instances: Optional[int] = 64
    stack: Optional[int] = 1 << 20
    fuel: Optional[int] = None
    output: Optional[int] = 1 << 20
    on_output_limit: OnOutputLimit = "truncate"
    module: Optional[int] = 256 << 20
    value: Optional[int] = 16 << 20
    file_size: Optional[int] = 256 << 20
    open_files: Optional[int] = 128

    def __init__(
        self,
        timeout: Optional[float] = 10.0,
        compile_timeout: Optional[float] = 60.0,
        memory: Size = 128 << 20,
        table_elements: Optional[int] = 100_000,
        instances: Optional[int] = 64,
        stack: Size = 1 << 20,
        fuel: Optional[int] = None,
        output: Size = 1 << 20,
        on_output_limit: OnOutputLimit = "truncate",
        module: Size = 256 << 20,
        value: Size = 16 << 20,
        file_size: Size = 256 << 20,
        open_files: Optional[int] = 128,
    ) -> None:
        if on_output_limit not in ("truncate", "stop"):
            raise ValueError(
                f'on_output_limit must be "truncate" or "stop", not {on_output_limit!r}'
            )
        values: dict[str, Any] = {
            "timeout": parse_seconds("timeout", timeout),
            "compile_timeout": parse_seconds("compile_timeout", compile_timeout),
            "memory": parse_size("memory", memory),
            "table_elements": parse_count("table_elements", table_elements),
            "instances": parse_count("instances", instances),
            "stack": _stack(stack),
            "fuel": parse_count("fuel", fuel),
            "output": parse_size("output", output),
            "on_output_limit": on_output_limit,
            "module": parse_size("module", module),
            "value": parse_size("value", value),
            "file_size": parse_size("file_size", file_size),
            "open_files": parse_count("open_files", open_files),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def replace(self, **changes: Any) -> ResourceLimits:
        """Make limits that differ in some of the constructor's arguments.

        Raises:
            TypeError: There is no such limit, or a value is of a wrong type.
            ValueError: A value is out of range.
        """
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return ResourceLimits(**{**values, **changes})


_STACK_RANGE = range(64 << 10, (1 << 30) + 1)


def _stack(value: object) -> Optional[int]:
    number = parse_size("stack", value)
    if number is not None and number not in _STACK_RANGE:
        raise ValueError(f"stack must be from 64 KiB to 1 GiB, not {number} bytes")
    return number
