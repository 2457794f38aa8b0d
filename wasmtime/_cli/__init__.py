"""The command line: ``python -m wasmtime PROGRAM`` and what goes with it.

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
import importlib
import os
import sys
import sysconfig
from collections.abc import Sequence
from typing import Any, Callable, NamedTuple, NoReturn, Optional

from .._error import ExitTrap, WasmtimeError
from .._native import VERSION, core
from .._trap import Trap
from .status import STATUS_ERROR, STATUS_INTERRUPTED, STATUS_TRAP, Failure
from .terminal import complain, flush_results, open_standard_streams
from .watch import Watch

__all__ = ["main", "whole_parser"]


class _Command(NamedTuple):
    """A subcommand. Its module is loaded when it is asked for.

    Attributes:
        summary: What it does.
        module: The module here that has it, with `EXAMPLES`, `add_arguments` and `run`.
    """

    summary: str
    module: str


_RUN = "run"

_COMMANDS = {
    _RUN: _Command("run a program or call an exported function (the default)", "run"),
    "compile": _Command("compile into a file that loads in a moment", "compile"),
    "inspect": _Command("tell imports, exports, sections, and the largest functions", "inspect"),
    "validate": _Command("tell whether files are valid", "validate"),
    "wat2wasm": _Command("translate text into binary", "wat2wasm"),
    "bindgen": _Command("write a typed Python package for a file", "generate"),
    "snapshot": _Command("set a module up, and write it as it is then", "snapshot"),
    "profile": _Command("run a program and draw a flame graph", "profile"),
    "cache": _Command("list or remove compiled code that is kept", "cache"),
    "completion": _Command("print a script that completes commands in a shell", "completion"),
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
    try:
        open_standard_streams()
        return _dispatch(list(sys.argv[1:] if argv is None else argv))
    except KeyboardInterrupt:
        return STATUS_INTERRUPTED
    except BrokenPipeError:
        return STATUS_ERROR  # whoever read our results has seen enough
    except OSError as error:
        complain(f"cannot write the results: {error.strerror or error}")
        return STATUS_ERROR
    finally:
        flush_results()


def _dispatch(arguments: list[str]) -> int:
    """Run the command that the arguments name, or the program."""
    if not arguments or arguments[0] in ("-h", "--help", "--version"):
        _refuse(arguments)
    if arguments[0] not in _COMMANDS:
        _check_program(arguments[0])
        arguments = [_RUN, *arguments]
    # The command is taken off by hand: argparse's own subcommands change what "--" means to the
    # guest's arguments from one version of Python to the next.
    name, *others = arguments
    parser = argparse.ArgumentParser(prog=f"{_PROGRAM} {name}", **_SHAPE)
    run = _declare(name, parser)
    return _guarded(run, _parsed(parser, others))


_SHAPE: dict[str, Any] = {
    "allow_abbrev": False,
    "formatter_class": argparse.RawDescriptionHelpFormatter,
}


def _declare(name: str, parser: argparse.ArgumentParser) -> Any:
    """Give a parser the arguments of a command; returns what runs it."""
    command = _COMMANDS[name]
    module: Any = importlib.import_module(f".{command.module}", __name__)
    parser.description = f"{command.summary[0].upper()}{command.summary[1:]}."
    parser.epilog = f"examples (after '{_PROGRAM}'):\n{module.EXAMPLES}"
    module.add_arguments(parser)
    return module.run


def whole_parser() -> argparse.ArgumentParser:
    """A parser of all commands, for those who want to know them all."""
    parser = argparse.ArgumentParser(prog="wasmtime", allow_abbrev=False)
    commands = parser.add_subparsers()
    for name, command in _COMMANDS.items():
        _declare(name, commands.add_parser(name, help=command.summary, **_SHAPE))
    return parser


def _check_program(name: str) -> None:
    """Refuse what is neither a command nor a file: a word without a dot or a directory.

    Raises:
        SystemExit: It is such a word.
    """
    is_word = not name.startswith("-") and "." not in name and os.path.basename(name) == name
    if is_word and not os.path.exists(name):
        _refuse([name])


def _refuse(arguments: list[str]) -> NoReturn:
    """Answer arguments without a command: ``--help`` and ``--version``, or what is wrong.

    Raises:
        SystemExit: Always.
    """
    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
        usage=f"{_PROGRAM} [COMMAND] [OPTIONS] FILE [ARGS]",
        description="Run WebAssembly.",
        epilog="commands:\n"
        + "".join(f"  {name:11} {command.summary}\n" for name, command in _COMMANDS.items())
        + f"\n'{_PROGRAM} COMMAND --help' tells the options of each, with examples.",
        **_SHAPE,
    )
    parser.add_argument("--version", action="version", version=_version())
    parser.add_argument("command", metavar="COMMAND", choices=_COMMANDS, help="see below")
    parser.parse_args(arguments)
    parser.error("the command must come first")


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


def _guarded(run: Callable[[argparse.Namespace, Watch], int], options: argparse.Namespace) -> int:
    """Run a command and turn what comes out of it into an exit status."""
    watch = Watch()
    try:
        with watch:
            return run(options, watch)
    except ExitTrap as exit_trap:
        return exit_trap.code
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
    for name in ("program", "module"):
        if name in options:
            return str(getattr(options, name))
    return "the command"
