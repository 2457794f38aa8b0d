"""The native form of a configuration of WASI, made for each store that takes it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
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

__all__ = ["Served", "make_native"]

#: A sink of the C core that a store looks after, and the callable that gets the bytes, if one does.
Served = tuple[Any, Optional[Callable[[bytes], object]]]


class _OutputFunctions(NamedTuple):
    """The functions of the C API for one of the two streams that a guest writes to."""

    name: str
    set_file: Callable[[Any, bytes], bool]
    set_custom: Any


_STDOUT = _OutputFunctions(
    "stdout",
    lib.wasi_config_set_stdout_file,
    lib.wasi_config_set_stdout_custom,
)
_STDERR = _OutputFunctions(
    "stderr",
    lib.wasi_config_set_stderr_file,
    lib.wasi_config_set_stderr_custom,
)


def make_native(
    wasi: WasiConfig, streams: bool, components: Optional[Store]
) -> tuple[int, list[Served]]:
    """Make the native form of a configuration, for `Store.set_wasi`.

    Streams that are the process's own are named in any case: the library tells guests whether they
    are terminals.

    Args:
        wasi: The configuration.
        streams: Whether the library is to serve the streams.
        components: The store whose components it serves; None if it serves a module.

    Returns:
        The address of a ``wasi_config_t`` that belongs to the caller, and what the store must
        serve.

    Raises:
        WasmtimeError: If a file or directory that was there when it was set cannot be opened any
            more, or the library cannot do what the configuration asks for.
    """
    variables = wasi._variables()
    streams_of_process = (wasi._stdin, wasi._stdout, wasi._stderr)
    address = core.new_wasi_config(
        tuple([each.encode() for each in wasi._argv]),
        tuple([name.encode() for name, _ in variables]),
        tuple([value.encode() for _, value in variables]),
        sum(1 << n for n, stream in enumerate(streams_of_process) if stream.kind == "inherit"),
    )
    lookup = wasi._name_lookup
    if not streams and not wasi._preopens and not wasi._network and lookup is None:
        return address, []
    native = ffi.cast("wasi_config_t *", address)
    try:
        _apply_directories(wasi, native)
        if wasi._network:
            lib.wasi_config_inherit_network(native)
        if lookup is not None:
            lib.wasi_config_allow_ip_name_lookup(native, lookup)
        return address, _apply_streams(wasi, native, components) if streams else []
    except BaseException:
        lib.wasi_config_delete(native)
        raise


def _apply_directories(wasi: WasiConfig, native: Any) -> None:
    for preopen in wasi._preopens:
        if not lib.wasi_config_preopen_dir(native, preopen.host, preopen.guest, preopen.mutable):
            raise WasmtimeError(
                f"failed to add preopen dir: {decode_path(preopen.host)!r} was a directory "
                "when it was set, but it cannot be opened any more"
            )


def _apply_streams(wasi: WasiConfig, native: Any, store: Optional[Store]) -> list[Served]:
    """Apply the streams, whose guests the library serves; what the store must serve."""
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
