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
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Optional, Union

from ._config import Config
from ._engine import Engine
from ._error import ExitTrap, WasmtimeError
from ._func import Func
from ._linker import Linker
from ._module import Module
from ._native import VERSION, core
from ._store import Store
from ._terminal import printable
from ._trap import Trap
from ._types import FuncType, ValType
from ._wasi import DirPerms, WasiConfig
from ._wasm.reader import kind_of
from ._wat2wasm import to_wasm

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

_COMPILED = b"\x7fELF"

#: The name that stands for standard input or output.
_STANDARD = "-"


class _Failure(Exception):
    """What ends the command with a message for the user instead of a traceback."""

    def __init__(self, message: str, status: int = STATUS_ERROR) -> None:
        super().__init__(message)
        self.status = status


class _Watch:
    """Stops the guest on Ctrl-C and when its time is up, from a thread of its own.

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
        """Start the clock: the guest is stopped after so many seconds."""
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
    return name, value if separator else None


def _preload(text: str) -> tuple[str, str]:
    name, separator, path = text.partition("=")
    if not name or not separator or not path:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=MODULE")
    return name, path


def _natural(bits: int) -> Callable[[str], int]:
    """The reader of a number of zero or more that has so many bits at most."""

    def natural(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = -1
        if not 0 <= number < 1 << bits:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number of 0 to 2**{bits}-1")
        return number

    return natural


def _seconds(text: str) -> float:
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
        type=_natural(64),
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
        type=_natural(63),
        help="the greatest size of each of the program's memories",
    )
    parser.add_argument(
        "--network",
        action="store_true",
        help="let a component use the sockets of this machine; without effect so far: this version "
        "of the library refuses every socket, TCP and UDP alike",
    )
    parser.add_argument(
        "--http",
        action="store_true",
        help="let a component make HTTP requests, to any server that this machine reaches",
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
    module = _load(engine, options.program, options.allow_precompiled)
    if not isinstance(module, Module):
        return _run_component(module, options, watch)
    preloads = [
        (name, _load_module(engine, path, options.allow_precompiled))
        for name, path in options.preloads
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
        _show([_format(value, kind) for value, kind in zip(results, ty.results)])
    return 0


def _store(engine: Engine, options: argparse.Namespace) -> Store:
    """A store with the limits and the WASI environment that the options name."""
    store = Store(engine)
    if options.max_memory_size is not None:
        store.set_limits(memory_size=options.max_memory_size)
    if options.fuel is not None:
        store.set_fuel(options.fuel)
    if options.timeout is not None:
        store.set_epoch_deadline(1)
    store.set_wasi(_wasi(options))
    return store


def _run_component(component: Component, options: argparse.Namespace, watch: _Watch) -> int:
    from .component._run import ArgumentError, run_command

    if options.preloads:
        raise _Failure("--preload is for core modules; a component has its imports linked by type")
    wants_http = any(name.startswith("wasi:http/") for name in component.imports)
    if wants_http and not options.http and not options.unknown_imports_trap:
        raise _Failure(
            f"{options.program} is a component that imports wasi:http; --http lets it make HTTP "
            "requests, to any server that this machine reaches"
        )
    if options.network and any(name.startswith("wasi:sockets/") for name in component.imports):
        _complain(
            "this version of the library refuses every socket, TCP and UDP alike; --network does "
            "not change that",
            "warning",
        )
    store = _store(component.engine, options)
    watch.engine = component.engine
    try:
        status, result = run_command(
            store,
            component,
            invoke=options.invoke,
            arguments=options.arguments,
            http=options.http,
            unknown_imports_trap=options.unknown_imports_trap,
        )
    except ArgumentError as error:
        raise _Failure(str(error), STATUS_USAGE) from None
    if result is not None:
        _show([result])
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


def _load(engine: Engine, path: str, allow_precompiled: bool) -> Union[Module, Component]:
    """The program in a file: binary, text, or compiled by `_compile`."""
    # Read once: what a pipe held is gone afterwards.
    data = _read(path)
    compiled = data.startswith(_COMPILED)
    if compiled and not allow_precompiled:
        raise _Failure(
            f"{path} is a precompiled program; --allow-precompiled runs it, if you trust it"
        )
    try:
        if compiled:
            return _deserialize(engine, data)
        binary = to_wasm(data)
        if kind_of(binary) != "component":
            return Module(engine, binary)
        # Imported where it is needed: programs that are core modules start sooner without.
        from .component import Component

        return Component(engine, binary)
    except WasmtimeError as error:
        raise _Failure(f"{path} cannot be loaded: {error}") from None


def _load_module(engine: Engine, path: str, allow_precompiled: bool) -> Module:
    module = _load(engine, path, allow_precompiled)
    if not isinstance(module, Module):
        raise _Failure(f"{path} is a component, where a core module is wanted")
    return module


def _read(path: str) -> bytes:
    try:
        if path == _STANDARD:
            return sys.stdin.buffer.read() if sys.stdin is not None else b""
        with open(path, "rb") as stream:
            return stream.read()
    except OSError as error:
        raise _Failure(f"cannot read {path}: {error.strerror}") from None


def _deserialize(engine: Engine, artifact: bytes) -> Union[Module, Component]:
    try:
        return Module.deserialize(engine, artifact)
    except WasmtimeError as error:
        if "incompatible object file format" not in str(error):
            raise
    from .component import Component

    return Component.deserialize(engine, artifact)


def _entry_point(
    module: Module, options: argparse.Namespace
) -> Optional[tuple[str, FuncType, list[Any]]]:
    """The function to call, its type and its arguments; None if instantiation is all there is to do."""
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
            + _listed(callable_names)
        )
    if options.invoke not in functions:
        known = _listed(sorted(functions)) or "none"
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


def _listed(names: Iterable[str]) -> str:
    return ", ".join(printable(name, layout="") for name in names)


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
    if options.http:
        wasi.allow_http()
    return wasi


def _parse(text: str, kind: ValType, what: str) -> Any:
    """An argument for a parameter of type `kind`."""
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
    """A result as text: numbers in decimal, references by their type alone."""
    if kind == ValType.f32():
        return _format_f32(value)
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (bytes, bytearray)):
        return str(int.from_bytes(value, "little"))
    return f"<null {kind}>" if value is None else f"<{kind}>"


def _format_f32(value: float) -> str:
    """The shortest decimal number that is this one in single precision."""
    single = struct.pack("<f", value)
    for digits in range(6, 9):
        text = f"{value:.{digits}g}"
        if struct.pack("<f", float(text)) == single:
            return repr(float(text))
    return repr(float(f"{value:.9g}"))


# -- compile


def _compile_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "module",
        metavar="MODULE",
        help="a WebAssembly module or component, binary or text; '-' reads it from standard input",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="where to put the compiled module, '-' for standard output; by default its name with "
        "the suffix .cwasm, in the current directory",
    )
    parser.add_argument(
        "--consume-fuel",
        action="store_true",
        help="compile for 'run --fuel', which accepts no other",
    )
    _add_cache_option(parser)


def _compile(options: argparse.Namespace, watch: _Watch) -> int:
    output = options.output
    if output is None:
        if options.module == _STANDARD:
            raise _Failure("-o must name the compiled module of standard input", STATUS_USAGE)
        output = os.path.splitext(os.path.basename(options.module))[0] + ".cwasm"
    if output == _STANDARD and sys.stdout is not None and sys.stdout.isatty():
        raise _Failure(
            "the compiled module is not for a terminal: name a file with -o, or redirect it",
            STATUS_USAGE,
        )
    engine = _engine(options.no_cache, options.consume_fuel)
    watch.engine = engine
    compiled = bytes(_load(engine, options.module, False).serialize())
    if output == _STANDARD:
        if sys.stdout is not None:
            sys.stdout.buffer.write(compiled)
            sys.stdout.flush()
        return 0
    try:
        if os.path.exists(output) and not os.path.isfile(output):
            # A pipe or a device: to be written to, not to be replaced by a file.
            with open(output, "wb") as stream:
                stream.write(compiled)
        else:
            _replace(os.path.realpath(output), compiled)
    except OSError as error:
        raise _Failure(f"cannot write {output}: {error.strerror}") from None
    return 0


def _replace(path: str, contents: bytes) -> None:
    """Write a file at once: a half-written one could not be told from a whole one later."""
    descriptor, partial = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".wasmtime-")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(contents)
        mask = os.umask(0o077)
        os.umask(mask)
        os.chmod(partial, 0o666 & ~mask)
        os.replace(partial, path)
    except BaseException:
        os.unlink(partial)
        raise


# -- the command itself


@dataclass(frozen=True)
class _Command:
    """A subcommand: its options, and what it does with them."""

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
    """What a bug report should tell: both versions, whose library it is, system and Python."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        python += " free-threaded"
    return (
        f"wasmtime {VERSION} (libwasmtime {core.library_version}, {core.library_origin}; "
        f"{sys.platform}, {platform.platform()}; {python})"
    )


def _complain(message: str, kind: str = "error") -> None:
    """Tell the user what went wrong, on standard error if there is one."""
    try:
        if sys.stderr is not None:
            print(f"{kind}: {printable(message)}", file=sys.stderr, flush=True)
    except OSError:
        pass  # nobody is there to be told


def _show(results: Iterable[str]) -> None:
    """Print what a function returned, a line each: to a terminal without what it would obey,
    otherwise as it is, as far as the encoding goes.
    """
    stream = sys.stdout
    if stream is None:
        return
    for result in results:
        text = printable(result) if stream.isatty() else result
        encoding = stream.encoding or "utf-8"
        print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream)
    stream.flush()


def _open_standard_streams() -> None:
    """Give the guest an empty file for each standard stream that is closed. Otherwise the next file
    to be opened, one of this process's own, would be what the guest writes to.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _flush_results() -> None:
    """Write out what was printed. If that fails (its reader may have gone), forget it: Python would
    complain once more as it exits.
    """
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command line.

    Args:
        argv: The arguments without the program's name; by default those of this process.

    Returns:
        The exit status.

    Raises:
        SystemExit: For ``--help``, ``--version`` and a wrong command line, as argparse does.
    """
    _open_standard_streams()
    try:
        return _dispatch(list(sys.argv[1:] if argv is None else argv))
    except BrokenPipeError:
        return STATUS_ERROR  # whoever read our results has seen enough
    except OSError as error:
        _complain(f"cannot write the results: {error.strerror or error}")
        return STATUS_ERROR
    finally:
        _flush_results()


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


def _guarded(command: _Command, options: argparse.Namespace) -> int:
    """Run a command and turn what comes out of it into an exit status."""
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
            _complain(f"{_program_of(options)} was stopped after {options.timeout:g} seconds")
        else:
            _complain(f"{_program_of(options)} trapped: {trap}")
        return STATUS_TRAP
    except (WasmtimeError, ValueError, OverflowError, MemoryError) as error:
        _complain(f"{_program_of(options)}: {error or type(error).__name__}")
        return STATUS_ERROR


def _program_of(options: argparse.Namespace) -> str:
    """The file that a command is about."""
    program: str = options.program if "program" in options else options.module
    return program
