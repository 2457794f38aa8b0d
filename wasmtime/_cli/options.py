"""The options of ``run``."""

from __future__ import annotations

import argparse
import os
import re
from dataclasses import dataclass
from typing import Callable, Optional, Union

from .._sizes import read_size
from .._wasi import DirPerms
from .programs import add_cache_option

__all__ = ["add_arguments", "add_sandbox_options", "natural", "seconds", "size"]


@dataclass(frozen=True)
class _Directory:
    host: str
    guest: str
    perms: DirPerms


def _directory(text: str) -> _Directory:
    """``HOST``, ``HOST::GUEST`` or ``HOST::GUEST::ro``."""
    parts = text.split("::")
    host = parts[0]
    guest = parts[1] if len(parts) > 1 else host
    access = parts[2] if len(parts) > 2 else "rw"
    if not host or not guest or len(parts) > 3 or access not in ("ro", "rw"):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not HOST, HOST::GUEST, HOST::GUEST::ro or HOST::GUEST::rw"
        )
    return _Directory(host, guest, DirPerms.READ_ONLY if access == "ro" else DirPerms.READ_WRITE)


def _variable(text: str) -> tuple[str, Optional[str]]:
    """``NAME=VALUE``, or ``NAME`` for the value that it has in this process."""
    name, separator, value = text.partition("=")
    if not name:
        raise argparse.ArgumentTypeError(f"{text!r} has no name before '='")
    if name == "--":  # a separator, which older versions of argparse take out of "--env=--"
        raise argparse.ArgumentTypeError(f"{text!r} is not the name of a variable")
    return name, value if separator else None


def _preload(text: str) -> tuple[str, str]:
    """``NAME=MODULE``."""
    name, separator, path = text.partition("=")
    if not name or not separator or not path:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=MODULE")
    return name, path


def natural(bits: int) -> Callable[[str], int]:
    """The reader of a number of zero or more that has so many bits at most."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = -1
        if not 0 <= number < 1 << bits:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number of 0 to 2**{bits}-1")
        return number

    return read


def size(text: str) -> int:
    """A number of bytes, or one with a unit, such as ``64MiB``; ``64MB`` is 64 * 10**6."""
    try:
        number = read_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if number >= 1 << 63:
        raise argparse.ArgumentTypeError(f"{text!r} is more than there can be")
    return number


def seconds(text: str) -> float:
    """A number of seconds, or one with the unit ``ms``, ``s``, ``m`` or ``h``."""
    match = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)(ms|s|m|h)?", text)
    seconds = 0.0
    if match is not None:
        unit = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}[match.group(2) or "s"]
        seconds = float(match.group(1)) * unit
    # The upper bound is what a socket's clock can hold.
    if not 0.0 < seconds <= 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 10, 1.5s, 200ms or 5m")
    return seconds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``run``."""
    _add_program_options(parser.add_argument_group("what the program is given"))
    _add_limits(parser.add_argument_group("limits"))
    _add_permissions(parser.add_argument_group("what it may do besides"))
    _add_repeatability(parser.add_argument_group("runs that are the same each time"))
    add_cache_option(parser)
    parser.add_argument(
        "program",
        metavar="PROGRAM",
        help="a WebAssembly module or component; '-' reads it from standard input",
    )
    parser.add_argument(
        "arguments",
        metavar="ARGS",
        nargs=argparse.REMAINDER,
        help="the program's own arguments; everything after PROGRAM is left to it",
    )


def _add_program_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--dir",
        dest="directories",
        metavar="HOST[::GUEST[::ro]]",
        action="append",
        default=[],
        type=_directory,
        help="let the program use a directory of this machine, under the name GUEST if given; "
        "'::ro' lets it only read (repeatable)",
    )
    group.add_argument(
        "--env",
        dest="variables",
        metavar="NAME[=VALUE]",
        action="append",
        default=[],
        type=_variable,
        help="set an environment variable for the program; without a value, the one that it has "
        "here (repeatable)",
    )
    group.add_argument(
        "--invoke",
        metavar="NAME",
        help="call this exported function, with ARGS as its arguments, and print its results",
    )
    group.add_argument(
        "--preload",
        dest="preloads",
        metavar="NAME=MODULE",
        action="append",
        default=[],
        type=_preload,
        help="instantiate another module first and offer its exports as imports from NAME "
        "(repeatable)",
    )
    group.add_argument(
        "--argv0", metavar="NAME", help="the name that the program is told as its own"
    )


def _add_limits(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--fuel",
        metavar="N",
        type=natural(64),
        help="let the program execute about N instructions, then trap",
    )
    group.add_argument(
        "--timeout",
        metavar="TIME",
        type=seconds,
        help="stop the program after this time, in seconds or with a unit (10, 200ms, 5m); loading "
        "and compiling it count",
    )
    group.add_argument(
        "--max-memory-size",
        metavar="SIZE",
        type=size,
        help="the greatest size of each of the program's memories, in bytes or with a unit (64MiB)",
    )
    group.add_argument(
        "--output-limit",
        metavar="SIZE",
        type=size,
        help="stop the program when it has written so much to standard output, or to standard "
        "error (1MiB)",
    )


def _add_permissions(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--network",
        action="store_true",
        help="let a component use the sockets of this machine; without effect so far: this version "
        "of the library refuses every socket, TCP and UDP alike",
    )
    group.add_argument(
        "--http",
        action="store_true",
        help="let a component make HTTP requests, to any server that this machine reaches",
    )
    group.add_argument(
        "--inherit-env",
        action="store_true",
        help="give the program all environment variables of this process",
    )
    group.add_argument(
        "--unknown-imports-trap",
        action="store_true",
        help="run a program although imports are missing; calling one traps",
    )
    group.add_argument(
        "--allow-precompiled",
        action="store_true",
        help="accept a program that 'compile' made; only for files that you trust, since nothing "
        "in them can be checked",
    )


def _add_repeatability(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--seed",
        metavar="SEED",
        type=_seed,
        help="give a core module the same random numbers in each run: a number, or any text; they "
        "are no secret",
    )
    group.add_argument(
        "--clock",
        metavar="MOMENT",
        type=moment,
        help="what time a core module begins at: seconds since 1970, or 2030-01-01T12:00:00Z",
    )


def add_sandbox_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``run`` that take it into the sandbox."""
    group = parser.add_argument_group(
        "sandbox",
        "Both run the program with the limits of wasmtime.sandbox where no others are\n"
        "given (128 MiB of memory, 1 MiB of stack, ...), and without -O, -C, -D, -W, -S.",
    )
    group.add_argument(
        "--isolate",
        action="store_true",
        help="run it in a process of its own, which the operating system limits too",
    )
    group.add_argument(
        "--json",
        action="store_true",
        help="print one JSON object at the end: why it ended, exit code, what it wrote (1 MiB "
        "unless --output-limit says otherwise), the result of --invoke, time, memory, fuel",
    )


def _seed(text: str) -> Union[int, bytes]:
    """A number, or text of any kind."""
    return int(text) if re.fullmatch(r"-?\d{1,1000}", text) else os.fsencode(text)


def moment(text: str) -> float:
    """A moment: seconds since 1970, or a date with a time and a zone as ISO 8601 writes them."""
    try:
        if re.fullmatch(r"\d+(\.\d*)?", text):
            number = float(text)
        else:
            from datetime import datetime, timezone

            read = datetime.fromisoformat(re.sub("[Zz]$", "+00:00", text))
            number = read.replace(tzinfo=read.tzinfo or timezone.utc).timestamp()
    except ValueError:
        number = -1.0
    # What nanoseconds in 64 bits can tell, which guests read.
    if not 0 <= number < 2**64 / 10**9:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a moment such as 1893456000 or 2030-01-01T00:00:00Z"
        )
    return number
