"""The command line: ``python -m wasmtime run PROGRAM`` and what goes with it.

``run`` behaves like the ``wasmtime run`` command of the Wasmtime project, as far as its options go:
the guest has this process's own standard streams, its exit status becomes this process's, and
nothing else is open to it unless an option says so. What a guest writes to its streams arrives as
it is; in messages, its names and texts are escaped where a terminal would obey them.

Exit statuses: that of the program; 134 if it trapped (as a process that aborts has; 3 on Windows);
130 after Ctrl-C; 1 if it could not be loaded, linked or started, or its results could not be
written; 2 for a wrong command line, wrong arguments of an invoked function among it.
"""

from __future__ import annotations

import argparse
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Callable, NoReturn, Optional

from .._error import ExitTrap, WasmtimeError
from .._native import VERSION, core
from .._trap import Trap
from . import compile as compile_command
from . import run as run_command
from .status import STATUS_ERROR, STATUS_INTERRUPTED, STATUS_TRAP, Failure
from .terminal import complain, flush_results, open_standard_streams
from .watch import Watch

__all__ = ["main"]


@dataclass(frozen=True)
class _Command:
    """A subcommand: its options, and what it does with them."""

    summary: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace, Watch], int]


_COMMANDS = {
    "run": _Command(
        "run a WASI program or call an exported function",
        run_command.add_arguments,
        run_command.run,
    ),
    "compile": _Command(
        "compile a module into a file that 'run --allow-precompiled' loads without compiling",
        compile_command.add_arguments,
        compile_command.run,
    ),
}


_PROGRAM = "python -m wasmtime"


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command line.

    Args:
        argv: The arguments without the program's name; by default those of this process.

    Returns:
        The exit status.

    Raises:
        SystemExit: For ``--help``, ``--version`` and a wrong command line, as argparse does.
    """
    open_standard_streams()
    try:
        return _dispatch(list(sys.argv[1:] if argv is None else argv))
    except BrokenPipeError:
        return STATUS_ERROR  # whoever read our results has seen enough
    except OSError as error:
        complain(f"cannot write the results: {error.strerror or error}")
        return STATUS_ERROR
    finally:
        flush_results()


def _dispatch(arguments: list[str]) -> int:
    """Run the command that the arguments name."""
    # The command is taken off by hand: argparse's own subcommands change what "--" means to the
    # guest's arguments from one version of Python to the next.
    if arguments and arguments[0] in _COMMANDS:
        command = _COMMANDS[arguments[0]]
        parser = argparse.ArgumentParser(
            prog=f"{_PROGRAM} {arguments[0]}", description=command.summary, allow_abbrev=False
        )
        command.add_arguments(parser)
        return _guarded(command, _parsed(parser, arguments[1:]))
    _refuse(arguments)


def _refuse(arguments: list[str]) -> NoReturn:
    """Answer arguments without a command: ``--help`` and ``--version``, or what is wrong.

    Raises:
        SystemExit: Always.
    """
    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Run WebAssembly.",
        epilog="commands:\n"
        + "".join(f"  {name:9} {command.summary}\n" for name, command in _COMMANDS.items())
        + f"\n'{_PROGRAM} COMMAND --help' tells the options of each.",
    )
    parser.add_argument("--version", action="version", version=_version())
    parser.add_argument("command", metavar="COMMAND", choices=sorted(_COMMANDS))
    parser.add_argument("arguments", metavar="...", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    parser.error(f"the command {options.command!r} must come first")


def _parsed(parser: argparse.ArgumentParser, arguments: list[str]) -> argparse.Namespace:
    """The options of a command."""
    options = parser.parse_args(arguments)
    for name, value in vars(options).items():
        repeatable = isinstance(parser.get_default(name), list)
        # Some versions of argparse take the value of "--option=--" for a separator, and leave none.
        if name != "arguments" and ([] in value if repeatable else value == []):
            parser.error(f"argument {name}: expected one argument")
    return options


def _version() -> str:
    """What a bug report should tell: both versions, whose library it is, system and Python."""
    import platform  # of no use to a program that runs

    python = f"{platform.python_implementation()} {platform.python_version()}"
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        python += " free-threaded"
    return (
        f"wasmtime {VERSION} (libwasmtime {core.library_version}, {core.library_origin}; "
        f"{sys.platform}, {platform.platform()}; {python})"
    )


def _guarded(command: _Command, options: argparse.Namespace) -> int:
    """Run a command and turn what comes out of it into an exit status."""
    watch = Watch()
    try:
        with watch:
            return command.run(options, watch)
    except ExitTrap as exit_trap:
        return exit_trap.code
    except KeyboardInterrupt:
        return STATUS_INTERRUPTED
    except Failure as failure:
        complain(str(failure))
        return failure.status
    except Trap as trap:
        if watch.interrupted:
            return STATUS_INTERRUPTED
        if watch.expired:
            complain(f"{_program_of(options)} was stopped after {options.timeout:g} seconds")
        else:
            complain(f"{_program_of(options)} trapped: {trap}")
        return STATUS_TRAP
    except (WasmtimeError, ValueError, OverflowError, MemoryError) as error:
        complain(f"{_program_of(options)}: {error or type(error).__name__}")
        return STATUS_ERROR


def _program_of(options: argparse.Namespace) -> str:
    """The file that a command is about."""
    program: str = options.program if "program" in options else options.module
    return program
