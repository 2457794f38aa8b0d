"""The arguments and the environment of a guest."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Optional, Union, overload

from .paths import check_text, is_text
from .setting import View

__all__ = ["ArgvSetting", "EnvSetting", "process_arguments", "process_environment"]


class ArgvSetting(View, Sequence[str]):
    """The guest's arguments: ``wasi.argv = ["prog", "-v"]`` or ``wasi.argv(["prog", "-v"])``.

    The first is the program's name by convention. Reading gives a sequence of str that compares
    equal to a list or tuple of the same arguments. Setting replaces what was there, and what
    `WasiConfig.inherit_argv` took.

    C API: ``wasi_config_set_argv``.
    """

    __slots__ = ()

    def __call__(self, argv: Iterable[str]) -> None:
        """Set the arguments.

        Args:
            argv: The arguments, each a str without NUL.

        Raises:
            TypeError: If it is a single str, or an argument is not a str.
            ValueError: If an argument has a NUL or a lone surrogate.
        """
        if isinstance(argv, (str, bytes)):
            raise TypeError(f"argv must be an iterable of str, not a single {type(argv).__name__}")
        arguments = list(argv)
        for index, argument in enumerate(arguments):
            check_text(argument, f"argv[{index}]")
        self._config._argv = arguments

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: Union[int, slice]) -> Union[str, list[str]]:
        return self._config._argv[index]

    def __len__(self) -> int:
        return len(self._config._argv)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (list, tuple, ArgvSetting)):
            return list(self) == list(other)
        return NotImplemented

    def __repr__(self) -> str:
        return repr(self._config._argv)


class EnvSetting(View, Sequence[tuple[str, str]]):
    """The guest's environment: ``wasi.env = {"K": "V"}`` or ``wasi.env([("K", "V")])``.

    Reading gives a sequence of (name, value) pairs that compares equal to a list of them or to a
    dict. Setting replaces the variables that were set before. It adds to those of
    `WasiConfig.inherit_env`, whichever comes first, and wins over an inherited variable of the
    same name; only the variables that were set are shown here.

    C API: ``wasi_config_set_env``.
    """

    __slots__ = ()

    def __call__(self, env: Union[Mapping[str, str], Iterable[Iterable[str]]]) -> None:
        """Set the variables.

        Args:
            env: A mapping, or an iterable of (name, value) pairs.

        Raises:
            TypeError: If it is neither, or a name or value is not a str.
            ValueError: If a pair is not of two, a name is empty or has ``=``, or a name or value
                has a NUL or a lone surrogate.
        """
        if isinstance(env, (str, bytes)):
            raise TypeError(
                f"env must be a mapping or an iterable of pairs, not a {type(env).__name__}"
            )
        pairs: list[tuple[str, str]] = []
        items: Iterable[Any] = env.items() if isinstance(env, Mapping) else env
        for index, item in enumerate(items):
            pairs.append(_variable(item, f"env[{index}]"))
        self._config._env = pairs

    @overload
    def __getitem__(self, index: int) -> tuple[str, str]: ...

    @overload
    def __getitem__(self, index: slice) -> list[tuple[str, str]]: ...

    def __getitem__(
        self, index: Union[int, slice]
    ) -> Union[tuple[str, str], list[tuple[str, str]]]:
        return self._config._env[index]

    def __len__(self) -> int:
        return len(self._config._env)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Mapping):
            return dict(self._config._env) == dict(other)
        if isinstance(other, EnvSetting):
            return self._config._env == other._config._env
        if isinstance(other, (list, tuple)):
            try:
                return self._config._env == [tuple(pair) for pair in other]
            except TypeError:
                return False
        return NotImplemented

    def __repr__(self) -> str:
        return repr(self._config._env)


def _variable(item: Any, what: str) -> tuple[str, str]:
    """Check one pair of an environment; `what` names it in messages."""
    if isinstance(item, (str, bytes)):
        raise TypeError(f"{what} must be a (name, value) pair, not {item!r}")
    pair = tuple(item)
    if len(pair) != 2:
        raise ValueError(f"{what} must be a (name, value) pair, but it has {len(pair)} items")
    name, value = pair
    check_text(name, f"the name in {what}")
    check_text(value, f"the value of {name!r} in env")
    if not name or "=" in name:
        raise ValueError(
            f"{name!r} in env cannot be the name of a variable: it must not be empty and "
            "must not contain '='"
        )
    return name, value


def process_arguments() -> list[str]:
    """The arguments of this process, the interpreter's own included."""
    original: Optional[list[str]] = getattr(sys, "orig_argv", None)
    if original is not None:
        return list(original)
    # Before Python 3.10 only the operating system remembers them.
    try:
        with open("/proc/self/cmdline", "rb") as stream:
            return [os.fsdecode(part) for part in stream.read().split(b"\0")[:-1]]
    except OSError:
        return [sys.executable or "python", *sys.argv]


def process_environment() -> list[tuple[str, str]]:
    """The environment of this process, without what is not valid UTF-8; a warning names that."""
    inherited: list[tuple[str, str]] = []
    for name, value in os.environ.items():
        if not name or "=" in name:
            continue  # Windows keeps its current directories in such names
        if is_text(name) and is_text(value):
            inherited.append((name, value))
        else:
            warnings.warn(
                f"the environment variable {name!r} is not valid UTF-8: the guest does not get it",
                RuntimeWarning,
                stacklevel=3,
            )
    return inherited
