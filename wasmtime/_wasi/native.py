"""The native form of a configuration of WASI, made for each store that takes it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from .._error import WasmtimeError
from .._native import byte_vec, core, decode_path, ffi, lib
from .fork import OutputPipes, threads_are_lost
from .output import Deliver, Output
from .streams import Stream

if TYPE_CHECKING:
    from .config import WasiConfig

__all__ = ["Served", "apply"]

#: A sink of the C core that a store empties, and the callable that gets the bytes.
Served = tuple[Any, Callable[[bytes], None]]


class _OutputFunctions(NamedTuple):
    """The functions of the C API for one of the two streams that a guest writes to."""

    name: str
    inherit: Callable[[Any], None]
    set_file: Callable[[Any, bytes], bool]
    set_custom: Any


_STDOUT = _OutputFunctions(
    "stdout",
    lib.wasi_config_inherit_stdout,
    lib.wasi_config_set_stdout_file,
    lib.wasi_config_set_stdout_custom,
)
_STDERR = _OutputFunctions(
    "stderr",
    lib.wasi_config_inherit_stderr,
    lib.wasi_config_set_stderr_file,
    lib.wasi_config_set_stderr_custom,
)


def apply(wasi: WasiConfig, native: Any) -> list[Served]:
    """Apply a configuration to a native one.

    Returns:
        The sinks that the store must serve.

    Raises:
        WasmtimeError: If a file or directory that was there when it was set cannot be opened any
            more, or captured output belongs to another store.
    """
    captures: list[Output] = []
    for stream in (wasi._stdout, wasi._stderr):
        if stream.kind == "capture":
            stream.value._attach()
            captures.append(stream.value)
    _apply_arguments(native, wasi._argv)
    _apply_environment(native, wasi._variables())
    _apply_input(native, wasi._stdin)
    sinks: list[Served] = []
    with OutputPipes() as pipes:
        _apply_output(native, wasi._stdout, _STDOUT, sinks, pipes)
        _apply_output(native, wasi._stderr, _STDERR, sinks, pipes)
    for preopen in wasi._preopens:
        if not lib.wasi_config_preopen_dir(native, preopen.host, preopen.guest, preopen.mutable):
            raise WasmtimeError(
                f"failed to add preopen dir: {decode_path(preopen.host)!r} was a directory "
                "when it was set, but it cannot be opened any more"
            )
    if wasi._network:
        lib.wasi_config_inherit_network(native)
    if wasi._name_lookup is not None:
        lib.wasi_config_allow_ip_name_lookup(native, wasi._name_lookup)
    for output in captures:
        output._attached = True
    return sinks


def _apply_arguments(native: Any, argv: Sequence[str]) -> None:
    if argv:
        array, _keep = _string_array(argv)
        if not lib.wasi_config_set_argv(native, len(argv), array):
            raise WasmtimeError("failed to configure argv")


def _apply_environment(native: Any, variables: Sequence[tuple[str, str]]) -> None:
    if variables:
        names, _keep_names = _string_array([name for name, _ in variables])
        values, _keep_values = _string_array([value for _, value in variables])
        if not lib.wasi_config_set_env(native, len(variables), names, values):
            raise WasmtimeError("failed to configure environment")


def _apply_input(native: Any, stream: Stream) -> None:
    if stream.kind == "inherit":
        lib.wasi_config_inherit_stdin(native)
    elif stream.kind == "bytes":
        lib.wasi_config_set_stdin_bytes(native, byte_vec(stream.value))
    elif stream.kind == "file":
        _apply_input_file(native, stream)


def _apply_input_file(native: Any, stream: Stream) -> None:
    if threads_are_lost():
        try:
            with open(stream.native, "rb") as file:
                contents = file.read()
        except OSError as error:
            raise _gone("stdin file", stream) from error
        lib.wasi_config_set_stdin_bytes(native, byte_vec(contents))
        return
    with _waiting_for_pipe(stream, "stdin file", os.O_RDONLY):
        if not lib.wasi_config_set_stdin_file(native, stream.native):
            raise _gone("stdin file", stream)


def _apply_output(
    native: Any,
    stream: Stream,
    functions: _OutputFunctions,
    sinks: list[Served],
    pipes: OutputPipes,
) -> None:
    name = functions.name
    if stream.kind == "inherit":
        functions.inherit(native)
    elif stream.kind == "file":
        with _waiting_for_pipe(stream, f"{name} file", os.O_WRONLY):
            if not functions.set_file(native, stream.native):
                raise _gone(f"{name} file", stream)
    elif stream.kind in ("capture", "custom"):
        capture = stream.kind == "capture"
        sink = stream.value._sink if capture else core.OutputSink(-1)
        if not threads_are_lost():
            _collect(native, functions.set_custom, sink)
        elif not functions.set_file(native, pipes.path(sink)):
            raise WasmtimeError(f"failed to set {name}: the files in /dev/fd cannot be opened")
        if not capture:
            sinks.append((sink, Deliver(stream.value, f"{name}_custom")))


def _collect(native: Any, set_custom: Any, sink: Any) -> None:
    """Let a sink of the C core receive what the guest writes."""
    signature = ffi.typeof(set_custom).args
    # From here on the native stream holds the sink's buffer too, until it calls the finalizer.
    callback, data, finalizer = sink.attach()
    set_custom(
        native,
        ffi.cast(signature[1], callback),
        ffi.cast(signature[2], data),
        ffi.cast(signature[3], finalizer),
    )


def _string_array(strings: Sequence[str]) -> tuple[Any, Any]:
    """A ``char **`` with the strings, and what must stay alive with it."""
    keep = [ffi.new("char[]", string.encode("utf-8")) for string in strings]
    return ffi.new("char *[]", keep), keep


@contextmanager
def _waiting_for_pipe(stream: Stream, what: str, flags: int) -> Iterator[None]:
    """Around the library's opening of a file: wait for the other end of a named pipe before.

    The library would wait in native code, where Ctrl-C does not reach it. Meanwhile both ends are
    held open here, so that it need not wait although the other side may be gone again.
    """
    ours: list[int] = []
    try:
        if stat.S_ISFIFO(os.stat(stream.native).st_mode):
            ours.append(os.open(stream.native, flags))
            with suppress(PermissionError):
                ours.append(os.open(stream.native, os.O_RDWR | os.O_NONBLOCK))
    except FileNotFoundError:
        pass  # the library creates it, or says that it is gone
    except OSError as error:
        raise _gone(what, stream) from error
    try:
        yield
    finally:
        for descriptor in ours:
            os.close(descriptor)


def _gone(what: str, stream: Stream) -> WasmtimeError:
    return WasmtimeError(
        f"failed to set {what}: {stream.value!r} could be opened when it was set, but not any more"
    )
