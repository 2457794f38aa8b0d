"""
The command line: ``python -m wasmtime run PROGRAM`` and what goes with it.

``run`` behaves like the ``wasmtime run`` command of the Wasmtime project, as far as its options go:
the guest has this process's own standard streams, its exit status becomes this process's, and
nothing else is open to it unless an option says so.

Exit statuses: that of the program; 134 if it trapped (as a process that aborts has; 3 on Windows);
130 after Ctrl-C; 1 if it could not be loaded, linked or started; 2 for a wrong command line.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import signal
import socket
import struct
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Optional

from ._config import Config
from ._engine import Engine
from ._error import ExitTrap, WasmtimeError
from ._func import Func
from ._linker import Linker
from ._module import Module
from ._native import VERSION, core
from ._store import Store
from ._trap import Trap
from ._types import FuncType, ValType
from ._wasi import DirPerms, WasiConfig

if TYPE_CHECKING:
    from .component import Component

__all__ = ["main"]

STATUS_ERROR = 1
STATUS_USAGE = 2
STATUS_INTERRUPTED = 130
#: What an aborting process leaves: 128 and SIGABRT, or Windows' own number for it.
STATUS_TRAP = 3 if sys.platform == "win32" else 134

#: How long a guest may take to notice that it is to stop, in seconds. A guest that computes is
#: stopped at its next loop or call; only one that waits inside of the library (for standard input,
#: say) needs to be cut off.
GRACE = 1.0

_COMPONENT = b"\0asm\x0d\0\x01\0"
_COMPILED = b"\x7fELF"


class _Failure(Exception):
    """
    What ends the command with a message for the user instead of a traceback.
    """

    def __init__(self, message: str, status: int = STATUS_ERROR) -> None:
        super().__init__(message)
        self.status = status


class _Watch:
    """
    Stops the guest on Ctrl-C and when its time is up, from a thread of its own.

    The main thread is inside of WebAssembly, or of the compiler, and may not come back to Python
    for long. Python's own handler of the signal still writes to a socket at once (`signal
    .set_wakeup_fd`), and the thread that waits there asks the guest to stop, gives it `GRACE`
    seconds, and then ends the process.
    """

    def __init__(self) -> None:
        self.engine: Optional[Engine] = None
        self.interrupted = False
        self.expired = False
        self._deadline: Optional[float] = None
        self._finished = threading.Event()
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        self._previous_fd: Optional[int] = None
        self._thread = threading.Thread(target=self._wait, name="wasmtime-watch", daemon=True)

    def __enter__(self) -> _Watch:
        if threading.current_thread() is threading.main_thread():
            self._previous_fd = signal.set_wakeup_fd(
                self._writer.fileno(), warn_on_full_buffer=False
            )
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: Optional[type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self._finished.set()
        if self._previous_fd is not None:
            signal.set_wakeup_fd(self._previous_fd)
        self._wake()
        self._thread.join()
        self._reader.close()
        self._writer.close()

    def limit(self, seconds: float) -> None:
        """
        Start the clock: the guest is stopped after so many seconds.
        """
        self._deadline = time.monotonic() + seconds
        self._wake()

    def _wake(self) -> None:
        try:
            self._writer.send(b"\0")
        except OSError:
            pass  # a full socket wakes the thread just as well

    def _wait(self) -> None:
        while True:
            deadline = self._deadline
            left = None if deadline is None else max(deadline - time.monotonic(), 0.0)
            # A time of zero would mean "do not wait" to a socket, and raise another exception.
            self._reader.settimeout(None if left is None else max(left, 0.001))
            try:
                received = self._reader.recv(256)
            except socket.timeout:
                self.expired = True
                status = STATUS_TRAP
                break
            if self._finished.is_set():
                return
            if signal.SIGINT in received:
                self.interrupted = True
                status = STATUS_INTERRUPTED
                break
        engine = self.engine
        if engine is not None:
            engine.increment_epoch()
        if not self._finished.wait(GRACE):
            if self.expired:
                _complain("the time given with --timeout is up, and the program cannot be asked")
            os._exit(status)


# -- run


@dataclass(frozen=True)
class _Directory:
    host: str
    guest: str
    perms: DirPerms


def _directory(text: str) -> _Directory:
    """
    ``HOST``, ``HOST::GUEST`` or ``HOST::GUEST::ro``.
    """
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
    """
    ``NAME=VALUE``, or ``NAME`` for the value that it has in this process.
    """
    name, separator, value = text.partition("=")
    if not name:
        raise argparse.ArgumentTypeError(f"{text!r} has no name before '='")
    return name, value if separator else None


def _preload(text: str) -> tuple[str, str]:
    name, separator, path = text.partition("=")
    if not name or not separator or not path:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=MODULE")
    return name, path


def _natural(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = -1
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of zero or more")
    return number


def _seconds(text: str) -> float:
    """
    A number of seconds, or one with the unit ``ms``, ``s``, ``m`` or ``h``.
    """
    match = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)(ms|s|m|h)?", text)
    seconds = 0.0
    if match is not None:
        unit = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}[match.group(2) or "s"]
        seconds = float(match.group(1)) * unit
    # The upper bound is what a socket's clock can hold.
    if not 0.0 < seconds <= 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 10, 1.5s, 200ms or 5m")
    return seconds


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dir",
        dest="directories",
        metavar="HOST[::GUEST[::ro]]",
        action="append",
        default=[],
        type=_directory,
        help="let the program use a directory of this machine, under the name GUEST if given; "
        "'::ro' lets it only read (repeatable)",
    )
    parser.add_argument(
        "--env",
        dest="variables",
        metavar="NAME[=VALUE]",
        action="append",
        default=[],
        type=_variable,
        help="set an environment variable for the program; without a value, the one that it has "
        "here (repeatable)",
    )
    parser.add_argument(
        "--invoke",
        metavar="NAME",
        help="call this exported function, with ARGS as its arguments, and print its results",
    )
    parser.add_argument(
        "--preload",
        dest="preloads",
        metavar="NAME=MODULE",
        action="append",
        default=[],
        type=_preload,
        help="instantiate another module first and offer its exports as imports from NAME "
        "(repeatable)",
    )
    parser.add_argument(
        "--argv0", metavar="NAME", help="the name that the program is told as its own"
    )
    parser.add_argument(
        "--fuel",
        metavar="N",
        type=_natural,
        help="let the program execute about N instructions, then trap",
    )
    parser.add_argument(
        "--timeout",
        metavar="TIME",
        type=_seconds,
        help="stop the program after this time, in seconds or with a unit (10, 200ms, 5m); loading "
        "and compiling it count",
    )
    parser.add_argument(
        "--max-memory-size",
        metavar="BYTES",
        type=_natural,
        help="the greatest size of each of the program's memories",
    )
    parser.add_argument(
        "--network",
        action="store_true",
        help="let a component use the network of this machine, and make HTTP requests",
    )
    parser.add_argument(
        "--unknown-imports-trap",
        action="store_true",
        help="run a program although imports are missing; calling one traps",
    )
    parser.add_argument(
        "--allow-precompiled",
        action="store_true",
        help="accept a program that 'compile' made; only for files that you trust, since nothing "
        "in them can be checked",
    )
    _add_cache_option(parser)
    parser.add_argument("program", metavar="PROGRAM", help="a WebAssembly module or component")
    parser.add_argument(
        "arguments",
        metavar="ARGS",
        nargs=argparse.REMAINDER,
        help="the program's own arguments; everything after PROGRAM is left to it",
    )


def _add_cache_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--no-cache",
        action="store_true",
        help="compile anew and leave nothing in Wasmtime's cache of compiled modules",
    )


def _run(options: argparse.Namespace, watch: _Watch) -> int:
    if options.timeout is not None:
        watch.limit(options.timeout)
    engine = _engine(options.no_cache, options.fuel is not None)
    component = _load_component(engine, options.program, options.allow_precompiled)
    if component is not None:
        return _run_component(component, options, watch)
    module = _load(engine, options.program, options.allow_precompiled)
    preloads = [
        (name, _load(engine, path, options.allow_precompiled)) for name, path in options.preloads
    ]
    entry = _entry_point(module, options)

    store = _store(engine, options)
    linker = Linker(engine)
    linker.define_wasi()

    watch.engine = engine
    for name, preload in preloads:
        linker.define_instance(store, name, linker.instantiate(store, preload))
    if options.unknown_imports_trap:
        linker.define_unknown_imports_as_traps(module)
    exports = linker.instantiate(store, module).exports(store)
    initialize = exports.get("_initialize")
    if isinstance(initialize, Func):
        initialize(store)
    if entry is None:
        return 0
    name, ty, values = entry
    function = exports[name]
    assert isinstance(function, Func)
    result = function(store, *values)
    if options.invoke is not None:
        results = result if isinstance(result, (list, tuple)) else [result]
        for value, kind in zip(results, ty.results):
            print(_format(value, kind))
        sys.stdout.flush()
    return 0


def _store(engine: Engine, options: argparse.Namespace) -> Store:
    """
    A store with the limits and the WASI environment that the options name.
    """
    store = Store(engine)
    if options.max_memory_size is not None:
        store.set_limits(memory_size=options.max_memory_size)
    if options.fuel is not None:
        store.set_fuel(options.fuel)
    if options.timeout is not None:
        store.set_epoch_deadline(1)
    store.set_wasi(_wasi(options))
    return store


def _load_component(
    engine: Engine, path: str, allow_precompiled: bool = False
) -> Optional[Component]:
    """
    The component in a file, compiled or not; None if the file has something else.
    """
    try:
        with open(path, "rb") as stream:
            data = stream.read()
    except OSError as error:
        raise _Failure(f"cannot read {path}: {error.strerror}") from None
    # Imported where it is needed: programs that are core modules start sooner without.
    from .component._run import is_component

    compiled = data.startswith(_COMPILED) and allow_precompiled
    if not compiled and not is_component(data):
        return None
    from .component import Component

    if compiled:
        try:
            return Component.deserialize(engine, data)
        except WasmtimeError:
            return None  # a module, or a file for which the module's error says why not
    try:
        return Component(engine, data)
    except WasmtimeError as error:
        raise _Failure(f"{path} cannot be loaded: {error}") from None


def _run_component(component: Component, options: argparse.Namespace, watch: _Watch) -> int:
    from .component._run import run_command

    if options.preloads:
        raise _Failure("--preload is for core modules; a component has its imports linked by type")
    store = _store(component.engine, options)
    watch.engine = component.engine
    status, result = run_command(
        store,
        component,
        invoke=options.invoke,
        arguments=options.arguments,
        http=options.network,
        unknown_imports_trap=options.unknown_imports_trap,
    )
    if result is not None:
        print(result, flush=True)
    return status


def _engine(no_cache: bool, fuel: bool) -> Engine:
    config = Config()
    if fuel:
        config.consume_fuel = True
    if not no_cache:
        try:
            config.cache = True
            return Engine(config)
        except WasmtimeError:
            # A home directory that cannot be written to is no reason not to run a program.
            del config.cache
    return Engine(config)


def _load(engine: Engine, path: str, allow_precompiled: bool) -> Module:
    """
    The module in a file: binary, text, or compiled by `_compile`.
    """
    try:
        with open(path, "rb") as stream:
            data = stream.read()
    except OSError as error:
        raise _Failure(f"cannot read {path}: {error.strerror}") from None
    if data.startswith(_COMPONENT):
        raise _Failure(f"{path} is a component, where a core module is wanted")
    try:
        if data.startswith(_COMPILED):
            if not allow_precompiled:
                raise _Failure(
                    f"{path} is a precompiled module; --allow-precompiled runs it, if you trust it"
                )
            return Module.deserialize(engine, data)
        return Module(engine, data)
    except WasmtimeError as error:
        raise _Failure(f"{path} cannot be loaded: {error}") from None


def _entry_point(
    module: Module, options: argparse.Namespace
) -> Optional[tuple[str, FuncType, list[Any]]]:
    """
    The function to call, its type and its arguments; None if instantiation is all there is to do.
    """
    functions = {
        export.name: export.type for export in module.exports if isinstance(export.type, FuncType)
    }
    if options.invoke is None:
        for name in ("", "_start"):
            if name in functions:
                return name, functions[name], []
        callable_names = sorted(set(functions) - {"_initialize"})
        if not callable_names:
            return None
        raise _Failure(
            f"{options.program} has no _start function; name one of its functions with --invoke: "
            + ", ".join(callable_names)
        )
    if options.invoke not in functions:
        known = ", ".join(sorted(functions)) or "none"
        raise _Failure(
            f"{options.program} exports no function {options.invoke!r}; it exports: {known}"
        )
    ty = functions[options.invoke]
    wanted, given = len(ty.params), len(options.arguments)
    if wanted != given:
        raise _Failure(
            f"the function {options.invoke!r} takes {wanted} arguments, but {given} were given",
            STATUS_USAGE,
        )
    values = [
        _parse(text, kind, f"argument {number} of {options.invoke!r}")
        for number, (text, kind) in enumerate(zip(options.arguments, ty.params), 1)
    ]
    return options.invoke, ty, values


def _wasi(options: argparse.Namespace) -> WasiConfig:
    wasi = WasiConfig()
    name = options.argv0 or os.path.basename(options.program)
    wasi.argv = [name] if options.invoke is not None else [name, *options.arguments]
    environment: dict[str, str] = {}
    for variable, value in options.variables:
        if value is None:
            value = os.environ.get(variable)
        if value is not None:
            environment[variable] = value
    wasi.env = environment
    wasi.inherit_stdin()
    wasi.inherit_stdout()
    wasi.inherit_stderr()
    for directory in options.directories:
        wasi.preopen_dir(directory.host, directory.guest, directory.perms)
    if options.network:
        wasi.inherit_network()
    return wasi


def _parse(text: str, kind: ValType, what: str) -> Any:
    """
    An argument for a parameter of type `kind`.
    """
    try:
        if kind in (ValType.i32(), ValType.i64()):
            bits = 32 if kind == ValType.i32() else 64
            digits = text.lstrip("+-").lower()
            number = int(text, 16 if digits.startswith("0x") else 10)
            if not -(1 << (bits - 1)) <= number < 1 << bits:
                raise _Failure(f"{what} is out of range for {kind}: {text}", STATUS_USAGE)
            return number
        if kind in (ValType.f32(), ValType.f64()):
            return float(text)
    except ValueError:
        raise _Failure(f"{what} is not a number of type {kind}: {text!r}", STATUS_USAGE) from None
    raise _Failure(f"{what} has the type {kind}, which has no text form", STATUS_USAGE)


def _format(value: Any, kind: ValType) -> str:
    """
    A result as text: numbers in decimal, references by their type alone.
    """
    if kind == ValType.f32():
        return _format_f32(value)
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (bytes, bytearray)):
        return str(int.from_bytes(value, "little"))
    return f"<null {kind}>" if value is None else f"<{kind}>"


def _format_f32(value: float) -> str:
    """
    The shortest decimal number that is this one in single precision.
    """
    single = struct.pack("<f", value)
    for digits in range(6, 9):
        text = f"{value:.{digits}g}"
        if struct.pack("<f", float(text)) == single:
            return repr(float(text))
    return repr(float(f"{value:.9g}"))


# -- compile


def _compile_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("module", metavar="MODULE", help="a WebAssembly module, binary or text")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="where to put the compiled module; by default its name with the suffix .cwasm, in "
        "the current directory",
    )
    parser.add_argument(
        "--consume-fuel",
        action="store_true",
        help="compile for 'run --fuel', which accepts no other",
    )
    _add_cache_option(parser)


def _compile(options: argparse.Namespace, watch: _Watch) -> int:
    engine = _engine(options.no_cache, options.consume_fuel)
    watch.engine = engine
    program = _load_component(engine, options.module) or _load(engine, options.module, False)
    compiled = bytes(program.serialize())
    output = options.output
    if output is None:
        output = os.path.splitext(os.path.basename(options.module))[0] + ".cwasm"
    directory = os.path.dirname(output) or "."
    try:
        # Never a half-written file under the final name: nothing in it could be checked later.
        descriptor, partial = tempfile.mkstemp(dir=directory, prefix=".wasmtime-")
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(compiled)
            mask = os.umask(0)
            os.umask(mask)
            os.chmod(partial, 0o666 & ~mask)
            os.replace(partial, output)
        except BaseException:
            os.unlink(partial)
            raise
    except OSError as error:
        raise _Failure(f"cannot write {output}: {error.strerror}") from None
    return 0


# -- the command itself


@dataclass(frozen=True)
class _Command:
    """
    A subcommand: its options, and what it does with them.
    """

    summary: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace, _Watch], int]


_COMMANDS = {
    "run": _Command("run a WASI program or call an exported function", _run_arguments, _run),
    "compile": _Command(
        "compile a module into a file that 'run --allow-precompiled' loads without compiling",
        _compile_arguments,
        _compile,
    ),
}

_PROGRAM = "python -m wasmtime"


def _version() -> str:
    """
    What a bug report should tell: both versions, whose library it is, system and Python.
    """
    python = f"{platform.python_implementation()} {platform.python_version()}"
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        python += " free-threaded"
    return (
        f"wasmtime {VERSION} (libwasmtime {core.library_version}, {core.library_origin}; "
        f"{sys.platform}, {platform.platform()}; {python})"
    )


def _complain(message: str) -> None:
    """
    Tell the user what went wrong, on standard error if there is one.
    """
    if sys.stderr is not None:
        print(f"error: {message}", file=sys.stderr, flush=True)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """
    Run the command line.

    Args:
        argv: The arguments without the program's name; by default those of this process.

    Returns:
        The exit status.

    Raises:
        SystemExit: For ``--help``, ``--version`` and a wrong command line, as argparse does.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    # The command is taken off by hand: argparse's own subcommands change what "--" means to the
    # guest's arguments from one version of Python to the next.
    if arguments and arguments[0] in _COMMANDS:
        command = _COMMANDS[arguments[0]]
        parser = argparse.ArgumentParser(
            prog=f"{_PROGRAM} {arguments[0]}", description=command.summary, allow_abbrev=False
        )
        command.add_arguments(parser)
        return _guarded(command, parser.parse_args(arguments[1:]))
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


def _guarded(command: _Command, options: argparse.Namespace) -> int:
    """
    Run a command and turn what comes out of it into an exit status.
    """
    watch = _Watch()
    try:
        with watch:
            return command.run(options, watch)
    except ExitTrap as exit_trap:
        return exit_trap.code
    except KeyboardInterrupt:
        return STATUS_INTERRUPTED
    except _Failure as failure:
        _complain(str(failure))
        return failure.status
    except Trap as trap:
        if watch.interrupted:
            return STATUS_INTERRUPTED
        if watch.expired:
            _complain(f"{options.program} was stopped after {options.timeout:g} seconds")
        else:
            _complain(f"{options.program} trapped: {trap}")
        return STATUS_TRAP
    except (WasmtimeError, ValueError) as error:
        _complain(f"{options.program}: {error}")
        return STATUS_ERROR
    except BrokenPipeError:
        # Whoever read our results has gone; Python must not complain once more as it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return STATUS_ERROR
