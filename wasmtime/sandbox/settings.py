"""What the constructors of programs, plug-ins and interpreters have in common.

They name their keywords one by one, so that a typo is a TypeError and type checkers know them; what
the keywords mean is checked here alone, and kept as `Settings`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Callable, Literal, Optional, Union

from .directory import Directory, DirectoryLike, parse_directories
from .functions import HostFunctions
from .limits import ResourceLimits, check_mapping

if TYPE_CHECKING:
    from .tiers import Supply

__all__ = ["Clock", "Isolation", "Seed", "Settings", "parse_environment", "parse_settings"]

#: Where a guest runs.
Isolation = Literal["thread", "process"]
#: What makes a guest's random numbers the same each time.
Seed = Union[int, bytes, None]
#: What time it is for a guest: seconds since 1970 at its start, or a callable that tells.
Clock = Union[float, Callable[[], float], None]


@dataclass(frozen=True)
class Settings:
    """What a guest may see and use, checked; arguments of a single run replace parts of it.

    `supply` is where a pool takes its guests from; None for everything else.
    """

    limits: ResourceLimits = field(default_factory=ResourceLimits)
    env: Mapping[str, str] = field(default_factory=dict)
    dirs: Mapping[str, Directory] = field(default_factory=dict)
    functions: HostFunctions = field(default_factory=HostFunctions)
    seed: Seed = None
    clock: Clock = None
    network: bool = False
    cache: Any = True
    isolation: Isolation = "thread"
    supply: Optional[Supply] = field(default=None, compare=False, repr=False)


def parse_settings(
    limits: ResourceLimits,
    env: Mapping[str, str],
    dirs: Mapping[str, DirectoryLike],
    functions: Mapping[str, Any],
    seed: Seed,
    clock: Clock,
    network: bool,
    cache: Any,
    isolation: Isolation,
) -> Settings:
    """Check the arguments of a constructor.

    Raises:
        TypeError: One is of a wrong type.
        ValueError: One is out of range.
    """
    if isolation not in ("thread", "process"):
        raise ValueError(f'isolation must be "thread" or "process", not {isolation!r}')
    if not isinstance(network, bool):
        raise TypeError(f"network must be a bool, not {type(network).__name__}")
    if not isinstance(cache, (bool, str, os.PathLike, type(None))):
        raise TypeError(f"cache must be a bool or a directory, not {type(cache).__name__}")
    if isinstance(seed, bool) or not isinstance(seed, (int, bytes, type(None))):
        raise TypeError(f"seed must be an int or bytes, not {type(seed).__name__}")
    return Settings(
        parse_limits(limits),
        parse_environment(env),
        parse_directories(dirs),
        HostFunctions(check_mapping("functions", functions)),
        seed,
        _parse_clock(clock),
        network,
        cache,
        isolation,
    )


def parse_limits(limits: object) -> ResourceLimits:
    """Check a `limits` argument.

    Raises:
        TypeError: It is no ResourceLimits.
    """
    if not isinstance(limits, ResourceLimits):
        raise TypeError(f"limits must be ResourceLimits, not {type(limits).__name__}")
    return limits


def parse_environment(env: Mapping[str, str]) -> dict[str, str]:
    """Check an `env` argument.

    Raises:
        TypeError: A name or value is no str.
        ValueError: One has a NUL, or a name is empty or has ``=``.
    """
    for name, value in check_mapping("env", env).items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"env must have text as names and values, not {name!r}: {value!r}")
        if not name or "=" in name or "\0" in name + value:
            raise ValueError(f"{name!r} cannot be a variable with the value {value!r}")
    return dict(env)


def _parse_clock(clock: object) -> Any:
    if clock is None or callable(clock):
        return clock
    if isinstance(clock, bool) or not isinstance(clock, (int, float)):
        raise TypeError(f"clock must be seconds since 1970 or a callable, not {clock!r}")
    return clock
