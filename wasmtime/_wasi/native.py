"""The native form of a configuration of WASI, made for each store that takes it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional

from .._error import WasmtimeError
from .._native import byte_vec, core, decode_path, ffi, lib
from .feeding import fed
from .output import Deliver
from .own import gone
from .streams import Stream

if TYPE_CHECKING:
    from .._store import Store
    from .config import WasiConfig

__all__ = ["Served", "apply", "apply_streams"]

#: A sink of the C core that a store looks after, and the callable that gets the bytes, if one does.
Served = tuple[Any, Optional[Callable[[bytes], object]]]


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


def apply(wasi: WasiConfig, native: Any) -> None:
    """Apply all but the streams of a configuration to a native one.

    Streams that are the process's own are named all the same: the library tells guests whether they
    are terminals.

    Raises:
        WasmtimeError: If a directory that was there when it was set cannot be opened any more.
    """
    _apply_arguments(native, wasi._argv)
    _apply_environment(native, wasi._variables())
    if wasi._stdin.kind == "inherit":
        lib.wasi_config_inherit_stdin(native)
    for stream, functions in ((wasi._stdout, _STDOUT), (wasi._stderr, _STDERR)):
        if stream.kind == "inherit":
            functions.inherit(native)
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


def apply_streams(wasi: WasiConfig, native: Any, store: Optional[Store]) -> list[Served]:
    """Apply the streams to a native configuration, whose guests the library serves.

    Args:
        wasi: The configuration.
        native: The native one.
        store: The store of components; None for a module that the library serves alone.

    Returns:
        The sinks that the store must serve.

    Raises:
        WasmtimeError: If a file that was there when it was set cannot be opened any more, or the
            library cannot do what the configuration asks for.
    """
    _refuse_what_is_ours(wasi)
    _apply_input(native, wasi._stdin, store)
    sinks: list[Served] = []
    _apply_output(native, wasi._stdout, _STDOUT, sinks)
    if wasi._stderr is not wasi._stdout or wasi._stderr.kind != "capture":
        _apply_output(native, wasi._stderr, _STDERR, sinks)
    else:
        _collect(native, _STDERR.set_custom, wasi._stderr.value._sink)
    return sinks


def _refuse_what_is_ours(wasi: WasiConfig) -> None:
    for name, given in (
        ("random_seed", wasi._seed is not None),
        ("clock", wasi._clock is not None),
    ):
        if given:
            raise _refusal(name)


def _refusal(name: str) -> WasmtimeError:
    return WasmtimeError(
        f"WasiConfig.{name} serves modules of WASI preview 1 alone: the library, which "
        "serves components (and engines with Config.library_wasi), has nothing like it"
    )


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


def _apply_input(native: Any, stream: Stream, store: Optional[Store]) -> None:
    if stream.kind == "bytes":
        lib.wasi_config_set_stdin_bytes(native, byte_vec(stream.value))
        return
    with nullcontext() if store is None else fed(store, stream) as pipe:
        if pipe is not None:
            _set_input_file(native, pipe, stream)
        elif stream.kind == "file":
            with _waiting_for_pipe(stream, "stdin file", os.O_RDONLY):
                _set_input_file(native, stream.native, stream)
        elif stream.kind == "custom":
            raise _refusal("stdin_custom")


def _set_input_file(native: Any, path: bytes, stream: Stream) -> None:
    if not lib.wasi_config_set_stdin_file(native, path):
        raise gone("stdin file", stream)


def _apply_output(
    native: Any, stream: Stream, functions: _OutputFunctions, sinks: list[Served]
) -> None:
    name = functions.name
    if stream.kind == "file":
        with _waiting_for_pipe(stream, f"{name} file", os.O_WRONLY):
            if not functions.set_file(native, stream.native):
                raise gone(f"{name} file", stream)
    elif stream.kind == "capture":
        _collect(native, functions.set_custom, stream.value._sink)
        if stream.value.on_limit == "stop":
            sinks.append((stream.value._sink, None))
    elif stream.kind == "custom":
        sink = core.OutputSink(-1)
        _collect(native, functions.set_custom, sink)
        # What the guest was told that it has written cannot be refused later.
        on_limit = stream.on_limit if stream.on_limit or stream.limit is None else "stop"
        sinks.append((sink, Deliver(stream.value, f"{name}_custom", stream.limit, on_limit)))


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
        raise gone(what, stream) from error
    try:
        yield
    finally:
        for descriptor in ours:
            os.close(descriptor)
