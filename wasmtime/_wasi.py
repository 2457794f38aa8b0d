"""The world that a WASI preview 1 program sees: arguments, environment, streams and directories.

A `WasiConfig` is a record of settings in Python. Nothing native stands behind it until a store
takes it, so a mistake is reported where it is made, and one configuration can serve many stores.
Each setting that names something outside of the process (a file, a directory) is tried when it is
made; a file for output is created or emptied at that moment.

What a guest writes reaches Python in one of three ways, and in none of them does the library's own
thread run Python code: a C buffer collects, and Python reads it at moments of its own choosing
(`Output`), or the store hands it to a callable between steps of the guest (`stdout_custom`).
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from enum import Enum
from types import TracebackType
from typing import (
    Any,
    Callable,
    Generic,
    NamedTuple,
    Optional,
    TypeVar,
    Union,
    overload,
)

from ._error import WasmtimeError
from ._native import byte_vec, core, decode_path, encode_cstring, encode_path, ffi, lib
from ._wasi_fork import OutputPipes, threads_are_lost

__all__ = ["CustomOutput", "DirPerms", "FilePerms", "Output", "WasiConfig"]

#: A path in any form that Python's own file functions take.
StrPath = Union[str, bytes, os.PathLike[str], os.PathLike[bytes]]

#: What `WasiConfig.stdout_custom` and `WasiConfig.stderr_custom` take: it is called with the bytes
#: that the guest wrote and returns None, or how many of them it took.
CustomOutput = Callable[[bytes], Optional[int]]

#: What stands for bytes wherever they are only read.
BytesLike = Union[bytes, bytearray, memoryview]

_View = TypeVar("_View")
_Value = TypeVar("_Value")


class DirPerms(Enum):
    """What a guest may do to the directories below a preopened directory.

    Reading is listing a directory and opening what it holds; writing is creating, renaming and
    removing entries. See `WasiConfig.preopen_dir` for the combinations that the library can
    enforce.
    """

    READ_ONLY = 1
    WRITE_ONLY = 2
    READ_WRITE = 3


class FilePerms(Enum):
    """What a guest may do to the files below a preopened directory.

    See `WasiConfig.preopen_dir` for the combinations that the library can enforce.
    """

    READ_ONLY = 1
    WRITE_ONLY = 2
    READ_WRITE = 3


class Output:
    r"""What a guest wrote to a stream, collected in memory.

    Made by `WasiConfig.capture_stdout`, `WasiConfig.capture_stderr` and
    `WasiConfig.capture_output`. It can be read while the guest runs, from a host function or from
    another thread, and after the store is gone. The bytes lie in a buffer outside of every store;
    it is freed with this object.

    Args:
        limit: The greatest number of bytes held at a time, or None for no limit, with which a guest
            that prints without end fills the memory of this process. A write that does not fit is
            refused: the guest's write fails, and `truncated` is true from then on. Room is made by
            `read`.

    Example:
        >>> wasi = WasiConfig()
        >>> output = wasi.capture_stdout(limit=1 << 20)
        >>> store.set_wasi(wasi)                        # doctest: +SKIP
        >>> linker.instantiate(store, module)           # doctest: +SKIP
        >>> output.getvalue()                           # doctest: +SKIP
        b'Hello, world!\n'
    """

    __slots__ = ("__weakref__", "_attached", "_limit", "_sink")

    def __init__(self, limit: Optional[int] = None) -> None:
        if limit is not None:
            limit = _check_limit(limit)
        self._limit = limit
        self._sink: Any = core.OutputSink(-1 if limit is None else limit)
        self._attached = False

    @property
    def limit(self) -> Optional[int]:
        """The greatest number of bytes held at a time; None if there is no limit."""
        return self._limit

    @property
    def total(self) -> int:
        """How many bytes the guest has written so far, those already taken by `read` included."""
        return int(self._sink.total)

    @property
    def truncated(self) -> bool:
        """Whether a write was refused because it would have exceeded `limit`."""
        return bool(self._sink.truncated)

    def getvalue(self) -> bytes:
        """Everything that was written and not yet taken by `read`; it stays there."""
        return bytes(self._sink.getvalue())

    def read(self) -> bytes:
        """Take everything that was written since the last call out of the buffer.

        A loop over this follows a running guest without keeping all it ever wrote.
        """
        return bytes(self._sink.take())

    def text(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """What `getvalue` returns, decoded.

        Args:
            encoding: The encoding of the guest's output.
            errors: What to do with bytes that it has no meaning for, as in `bytes.decode`.

        Raises:
            UnicodeDecodeError: If `errors` is ``"strict"`` and there are such bytes.
        """
        return self.getvalue().decode(encoding, errors)

    def __bytes__(self) -> bytes:
        return self.getvalue()

    def __len__(self) -> int:
        return len(self.getvalue())

    def __bool__(self) -> bool:
        # Without this an output that is still empty would count as none at all.
        return True

    def __repr__(self) -> str:
        limit = "" if self._limit is None else f", limit={self._limit}"
        return f"<wasmtime.Output: {self.total} bytes written{limit}>"

    def __reduce__(self) -> Any:
        raise TypeError("an Output belongs to a guest of this process and cannot be copied")

    def _attach(self) -> Any:
        """The sink, for the one configuration that may use it."""
        if self._attached:
            raise WasmtimeError(
                "this configuration captures output that already belongs to another store; call "
                "capture_stdout(), capture_stderr() or capture_output() again for the next one"
            )
        return self._sink


class _Stream(NamedTuple):
    """Where one of the three streams leads: the kind, and what that kind needs."""

    kind: str
    value: Any = None
    native: bytes = b""


class _Preopen(NamedTuple):
    """One preopened directory, ready for the native library."""

    host: bytes
    guest: bytes
    mutable: bool


_NOTHING = _Stream("nothing")
_INHERIT = _Stream("inherit")


class _Setting(Generic[_View, _Value]):
    """A setting that is assigned (``wasi.argv = value``) or called (``wasi.argv(value)``).

    Two generations of programs write it in these two ways. Reading gives a small view object:
    calling that sets, and everything else about it shows the present value.
    """

    def __init__(self, view: Callable[[WasiConfig], _View]) -> None:
        self._view = view
        self.__doc__ = view.__doc__

    @overload
    def __get__(self, obj: None, owner: type[WasiConfig]) -> _Setting[_View, _Value]: ...

    @overload
    def __get__(self, obj: WasiConfig, owner: type[WasiConfig]) -> _View: ...

    def __get__(
        self, obj: Optional[WasiConfig], owner: type[WasiConfig]
    ) -> Union[_Setting[_View, _Value], _View]:
        if obj is None:
            return self
        obj._check_open()
        return self._view(obj)

    def __set__(self, obj: WasiConfig, value: _Value) -> None:
        view: Any = self.__get__(obj, type(obj))
        view(value)


class ArgvSetting(Sequence[str]):
    """The guest's arguments: ``wasi.argv = ["prog", "-v"]`` or ``wasi.argv(["prog", "-v"])``.

    The first is the program's name by convention. Reading gives a sequence of str that compares
    equal to a list or tuple of the same arguments. Setting replaces what was there, and what
    `WasiConfig.inherit_argv` took.

    C API: ``wasi_config_set_argv``.
    """

    __slots__ = ("_config",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, config: WasiConfig) -> None:
        self._config = config

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
            _check_text(argument, f"argv[{index}]")
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


class EnvSetting(Sequence[tuple[str, str]]):
    """The guest's environment: ``wasi.env = {"K": "V"}`` or ``wasi.env([("K", "V")])``.

    Reading gives a sequence of (name, value) pairs that compares equal to a list of them or to a
    dict. Setting replaces the variables that were set before. It adds to those of
    `WasiConfig.inherit_env`, whichever comes first, and wins over an inherited variable of the
    same name; only the variables that were set are shown here.

    C API: ``wasi_config_set_env``.
    """

    __slots__ = ("_config",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, config: WasiConfig) -> None:
        self._config = config

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
            what = f"env[{index}]"
            if isinstance(item, (str, bytes)):
                raise TypeError(f"{what} must be a (name, value) pair, not {item!r}")
            pair = tuple(item)
            if len(pair) != 2:
                raise ValueError(
                    f"{what} must be a (name, value) pair, but it has {len(pair)} items"
                )
            name, value = pair
            _check_text(name, f"the name in {what}")
            _check_text(value, f"the value of {name!r} in env")
            if not name or "=" in name:
                raise ValueError(
                    f"{name!r} in env cannot be the name of a variable: it must not be empty and "
                    "must not contain '='"
                )
            pairs.append((name, value))
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


class _FileSetting:
    """What the settings of the three files have in common.

    Reading gives an object with the path that was set in `path`; it compares equal to that path
    and is false while the stream leads elsewhere.
    """

    __slots__ = ("_config",)
    __hash__ = None  # type: ignore[assignment]
    _stream = ""

    def __init__(self, config: WasiConfig) -> None:
        self._config = config

    @property
    def path(self) -> Optional[str]:
        """The path as it was set, or None while the stream leads elsewhere."""
        stream: _Stream = getattr(self._config, self._stream)
        return stream.value if stream.kind == "file" else None

    def __bool__(self) -> bool:
        return self.path is not None

    def __fspath__(self) -> str:
        path = self.path
        if path is None:
            raise TypeError(f"{self._stream[1:]}_file is not set")
        return path

    def __eq__(self, other: object) -> bool:
        if isinstance(other, _FileSetting):
            return self.path == other.path
        if other is None:
            return self.path is None
        if isinstance(other, (str, bytes, os.PathLike)):
            return self.path is not None and self.path == os.fsdecode(other)
        return NotImplemented

    def __repr__(self) -> str:
        return repr(self.path)


class StdinFileSetting(_FileSetting):
    """A file for the guest's standard input: ``wasi.stdin_file = path`` or ``wasi.stdin_file(path)``.

    The file must exist and be readable. A relative path counts from the directory that is current
    when it is set.

    C API: ``wasi_config_set_stdin_file``.
    """

    __slots__ = ()
    _stream = "_stdin"

    def __call__(self, path: StrPath) -> None:
        """Read standard input from a file.

        Args:
            path: The file, as str, bytes or os.PathLike; it must be valid UTF-8.

        Raises:
            WasmtimeError: If it cannot be opened for reading.
        """
        shown, native = _locate(path, "stdin_file")
        _try_reading(shown, native)
        self._config._stdin = _Stream("file", shown, native)


class StdoutFileSetting(_FileSetting):
    """A file for the guest's standard output: ``wasi.stdout_file = path`` or
    ``wasi.stdout_file(path)``.

    The file is created, or emptied if it exists, when it is set and again when a store takes the
    configuration. A relative path counts from the directory that is current when it is set.

    C API: ``wasi_config_set_stdout_file``.
    """

    __slots__ = ()
    _stream = "_stdout"

    def __call__(self, path: StrPath) -> None:
        """Write standard output to a file.

        Args:
            path: The file, as str, bytes or os.PathLike; it must be valid UTF-8.

        Raises:
            WasmtimeError: If it cannot be opened for writing.
        """
        shown, native = _locate(path, "stdout_file")
        _try_writing(shown, native, "stdout")
        self._config._stdout = _Stream("file", shown, native)


class StderrFileSetting(_FileSetting):
    """A file for the guest's standard error: ``wasi.stderr_file = path`` or
    ``wasi.stderr_file(path)``.

    The file is created, or emptied if it exists, when it is set and again when a store takes the
    configuration. A relative path counts from the directory that is current when it is set.

    C API: ``wasi_config_set_stderr_file``.
    """

    __slots__ = ()
    _stream = "_stderr"

    def __call__(self, path: StrPath) -> None:
        """Write standard error to a file.

        Args:
            path: The file, as str, bytes or os.PathLike; it must be valid UTF-8.

        Raises:
            WasmtimeError: If it cannot be opened for writing.
        """
        shown, native = _locate(path, "stderr_file")
        _try_writing(shown, native, "stderr")
        self._config._stderr = _Stream("file", shown, native)


class StdinBytesSetting:
    """The guest's standard input from memory: ``wasi.stdin_bytes = b"..."`` or
    ``wasi.stdin_bytes(b"...")``.

    The bytes are copied; the guest sees the end of its input after the last. They must be known
    beforehand, since the C API has no way to ask Python for more while the guest runs; a named pipe
    given to `WasiConfig.stdin_file` serves where that is needed.

    C API: ``wasi_config_set_stdin_bytes``.
    """

    __slots__ = ("_config",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, config: WasiConfig) -> None:
        self._config = config

    def __call__(self, data: BytesLike) -> None:
        """Set the bytes.

        Args:
            data: Any object with contiguous bytes in it; a str is refused, encode it first.

        Raises:
            TypeError: If it is a str or has no bytes.
        """
        given: object = data
        if isinstance(given, str):
            raise TypeError("stdin_bytes takes bytes; encode the str first, as in data.encode()")
        try:
            copied = bytes(memoryview(data))
        except TypeError:
            raise TypeError(
                f"stdin_bytes takes a bytes-like object, not {type(data).__name__}"
            ) from None
        self._config._stdin = _Stream("bytes", copied)

    @property
    def data(self) -> Optional[bytes]:
        """The bytes that were set, or None while standard input comes from elsewhere."""
        stream = self._config._stdin
        return stream.value if stream.kind == "bytes" else None

    def __bool__(self) -> bool:
        return self.data is not None

    def __eq__(self, other: object) -> bool:
        if isinstance(other, StdinBytesSetting):
            return self.data == other.data
        if other is None or isinstance(other, (bytes, bytearray, memoryview)):
            return self.data == other
        return NotImplemented

    def __repr__(self) -> str:
        return repr(self.data)


class _CustomSetting:
    """What the settings of the two callables have in common.

    Reading gives an object with the callable that was set in `callback`; it compares equal to it
    and is false while the stream leads elsewhere.
    """

    __slots__ = ("_config",)
    __hash__ = None  # type: ignore[assignment]
    _stream = ""

    def __init__(self, config: WasiConfig) -> None:
        self._config = config

    @property
    def callback(self) -> Optional[CustomOutput]:
        """The callable that was set, or None while the stream leads elsewhere."""
        stream: _Stream = getattr(self._config, self._stream)
        return stream.value if stream.kind == "custom" else None

    def __call__(self, callback: CustomOutput) -> None:
        """Hand what the guest writes to a callable.

        Args:
            callback: Called with non-empty bytes. It returns None if it took them all, or how many
                it took (as `io.RawIOBase.write` does): it is then called again with the rest.

        Raises:
            TypeError: If it cannot be called.
        """
        if not callable(callback):
            raise TypeError(
                f"{self._stream[1:]}_custom takes a callable, not {type(callback).__name__}"
            )
        setattr(self._config, self._stream, _Stream("custom", callback))

    def __bool__(self) -> bool:
        return self.callback is not None

    def __eq__(self, other: object) -> bool:
        if isinstance(other, _CustomSetting):
            return self.callback == other.callback
        return self.callback == other

    def __repr__(self) -> str:
        return repr(self.callback)


class StdoutCustomSetting(_CustomSetting):
    """A Python callable for the guest's standard output: ``wasi.stdout_custom = callback`` or
    ``wasi.stdout_custom(callback)``.

    It is called with bytes, in the order in which the guest wrote them, on the thread that called
    into WebAssembly: whenever the guest calls a host function of Python, at the ticks of the epoch,
    and at the end of the call. Several writes may come as one. An exception that it raises comes
    out of the call into WebAssembly as the same object.

    C API: ``wasi_config_set_stdout_custom``.
    """

    __slots__ = ()
    _stream = "_stdout"


class StderrCustomSetting(_CustomSetting):
    """A Python callable for the guest's standard error: ``wasi.stderr_custom = callback`` or
    ``wasi.stderr_custom(callback)``.

    Everything said of `WasiConfig.stdout_custom` holds here too.

    C API: ``wasi_config_set_stderr_custom``.
    """

    __slots__ = ()
    _stream = "_stderr"


class WasiConfig:
    """What a WASI preview 1 program may see and use.

    A new configuration gives the guest nothing: no arguments, an empty environment, an empty
    standard input, output that goes nowhere, no directories and no network. Each setting opens one
    thing.

    `Store.set_wasi` (or `Linker.define_wasi` with a store) applies the settings as they are at that
    moment; what is changed later concerns later stores only. One configuration can be given to any
    number of stores, with one exception: output that it captures belongs to one store.

    Example:
        >>> wasi = WasiConfig()
        >>> wasi.argv = ["prog", "--verbose"]
        >>> wasi.env = {"LANG": "C"}
        >>> wasi.stdin_bytes = b"input"
        >>> output = wasi.capture_stdout(limit=1 << 20)
        >>> wasi.preopen_dir(".", "/data", DirPerms.READ_ONLY)
    """

    argv: _Setting[ArgvSetting, Iterable[str]] = _Setting(ArgvSetting)
    env: _Setting[EnvSetting, Union[Mapping[str, str], Iterable[Iterable[str]]]] = _Setting(
        EnvSetting
    )
    stdin_file: _Setting[StdinFileSetting, StrPath] = _Setting(StdinFileSetting)
    stdin_bytes: _Setting[StdinBytesSetting, BytesLike] = _Setting(StdinBytesSetting)
    stdout_file: _Setting[StdoutFileSetting, StrPath] = _Setting(StdoutFileSetting)
    stderr_file: _Setting[StderrFileSetting, StrPath] = _Setting(StderrFileSetting)
    stdout_custom: _Setting[StdoutCustomSetting, CustomOutput] = _Setting(StdoutCustomSetting)
    stderr_custom: _Setting[StderrCustomSetting, CustomOutput] = _Setting(StderrCustomSetting)

    def __init__(self) -> None:
        self._closed = False
        self._argv: list[str] = []
        self._env: list[tuple[str, str]] = []
        self._inherited_env: list[tuple[str, str]] = []
        self._stdin: _Stream = _NOTHING
        self._stdout: _Stream = _NOTHING
        self._stderr: _Stream = _NOTHING
        self._preopens: tuple[_Preopen, ...] = ()
        self._network = False
        self._name_lookup: Optional[bool] = None
        self._http = False
        #: The (sink, callable) pairs of the last `_build`, for the store to serve.
        self._sinks: list[tuple[Any, Callable[[bytes], None]]] = []

    # -- arguments and environment

    def inherit_argv(self) -> None:
        """Give the guest the arguments of this process.

        They are those of the Python interpreter (`sys.orig_argv`): its own name and options come
        first, then the script and the script's arguments. ``wasi.argv = sys.argv`` gives the guest
        only the latter. Replaces arguments that were set before.

        Raises:
            ValueError: If an argument of this process is not valid Unicode.
        """
        self._check_open()
        self.argv(_process_arguments())

    def inherit_env(self) -> None:
        """Give the guest the environment variables of this process (`os.environ`), as they are now.

        Variables that were set with `env`, before or after, win over inherited ones. A variable
        that is not valid UTF-8, which WASI demands, is left out, with a RuntimeWarning.
        """
        self._check_open()
        inherited: list[tuple[str, str]] = []
        for name, value in os.environ.items():
            if not name or "=" in name:
                continue  # Windows keeps its current directories in such names
            if _is_text(name) and _is_text(value):
                inherited.append((name, value))
            else:
                warnings.warn(
                    f"the environment variable {name!r} is not valid UTF-8: the guest does not get "
                    "it",
                    RuntimeWarning,
                    stacklevel=2,
                )
        self._inherited_env = inherited

    # -- streams

    def inherit_stdin(self) -> None:
        """Let the guest read the standard input of this process.

        It reads from the process's file descriptor, past Python's `sys.stdin` and its buffer.
        C API: ``wasi_config_inherit_stdin``.
        """
        self._check_open()
        self._stdin = _INHERIT

    def inherit_stdout(self) -> None:
        """Let the guest write to the standard output of this process.

        It writes to the process's file descriptor, past Python's `sys.stdout`: flush that before
        the call if the order matters, and use `stdout_custom` where `sys.stdout` is replaced.
        C API: ``wasi_config_inherit_stdout``.
        """
        self._check_open()
        self._stdout = _INHERIT

    def inherit_stderr(self) -> None:
        """Let the guest write to the standard error of this process.

        It writes to the process's file descriptor, past Python's `sys.stderr`.
        C API: ``wasi_config_inherit_stderr``.
        """
        self._check_open()
        self._stderr = _INHERIT

    def capture_stdout(self, limit: Optional[int] = None) -> Output:
        """Collect what the guest writes to its standard output in memory.

        Args:
            limit: The greatest number of bytes held at a time, to be set for guests that are not
                trusted; see `Output`.

        Returns:
            The object that the output is read from, during the run or after it.

        Raises:
            ValueError: If the limit is negative.
            TypeError: If it is not an int.
        """
        self._check_open()
        output = Output(limit)
        self._stdout = _Stream("capture", output)
        return output

    def capture_stderr(self, limit: Optional[int] = None) -> Output:
        """Collect what the guest writes to its standard error in memory.

        Args:
            limit: The greatest number of bytes held at a time, to be set for guests that are not
                trusted; see `Output`.

        Returns:
            The object that the output is read from, during the run or after it.

        Raises:
            ValueError: If the limit is negative.
            TypeError: If it is not an int.
        """
        self._check_open()
        output = Output(limit)
        self._stderr = _Stream("capture", output)
        return output

    def capture_output(self, limit: Optional[int] = None) -> Output:
        """Collect standard output and standard error together, in the order of the writes.

        Args:
            limit: The greatest number of bytes held at a time, to be set for guests that are not
                trusted; see `Output`.

        Returns:
            The object that both are read from, during the run or after it.

        Raises:
            ValueError: If the limit is negative.
            TypeError: If it is not an int.
        """
        self._check_open()
        output = Output(limit)
        self._stdout = self._stderr = _Stream("capture", output)
        return output

    # -- directories

    def preopen_dir(
        self,
        path: StrPath,
        guest_path: StrPath,
        dir_perms: Union[DirPerms, bool, None] = None,
        file_perms: Optional[FilePerms] = None,
        *,
        perms: Optional[DirPerms] = None,
        fs_mutable: Optional[bool] = None,
    ) -> None:
        """Let the guest use a directory of this machine under a name of its own.

        The guest reaches what lies below the directory and nothing else: neither ``..`` nor a
        symbolic link leads out.

        The permissions can be given in the words of any version of this interface: as
        ``dir_perms`` and ``file_perms``, as ``perms`` alone, or as ``fs_mutable``; a bool in the
        third place is ``fs_mutable``. The library enforces two combinations, and every other is
        refused, since the guest would get more, or less, than was asked for:

        ============================  =============================  ========================
        dir_perms (or perms)          file_perms                     the guest may
        ============================  =============================  ========================
        READ_WRITE, or not given      READ_WRITE, or not given       read and change all
        READ_ONLY                     READ_ONLY, or not given        only read
        ============================  =============================  ========================

        Args:
            path: The directory, as str, bytes or os.PathLike; it must exist and be valid UTF-8. A
                relative path counts from the directory that is current now.
            guest_path: The name under which the guest finds it, such as ``/data`` or ``.``; in the
                same forms, with slashes on every platform.
            dir_perms: What the guest may do to directories.
            file_perms: What the guest may do to files.
            perms: Another name of ``dir_perms``.
            fs_mutable: True to let the guest read and change all, False to let it only read.

        Raises:
            WasmtimeError: If the path is not a directory that can be opened, or the permissions are
                a combination that cannot be enforced.
            TypeError: If an argument has the wrong type, or permissions are given in two words.
            ValueError: If a path has a NUL or is not valid Unicode.

        Example:
            >>> wasi.preopen_dir("data", "/data", fs_mutable=False)         # doctest: +SKIP
            >>> wasi.preopen_dir(Path("out"), "/out", DirPerms.READ_WRITE)  # doctest: +SKIP

        C API: ``wasi_config_preopen_dir``.
        """
        self._check_open()
        mutable = _permissions(dir_perms, file_perms, perms, fs_mutable)
        shown, native = _locate(path, "path")
        guest_name = os.fspath(guest_path)
        if isinstance(guest_name, bytes):
            try:
                guest_name = guest_name.decode("utf-8")
            except UnicodeDecodeError:
                raise ValueError(f"guest_path must be valid UTF-8, not {guest_name!r}") from None
        guest = encode_cstring(guest_name, "guest_path")
        try:
            with os.scandir(decode_path(native)):
                pass
        except OSError as error:
            raise WasmtimeError(
                f"failed to add preopen dir: {shown!r} cannot be opened as a directory: "
                f"{error.strerror}"
            ) from error
        self._preopens = (*self._preopens, _Preopen(native, guest, mutable))

    # -- network

    def inherit_network(self) -> None:
        """Let the guest use the network of this process. **So far without effect**: version 50.0.1 of
        the library refuses every socket, TCP and UDP alike, since its C API lacks the switches that
        would allow some.

        Preview 1 itself has no way to open a connection, so this concerns programs that are
        components. It does not concern HTTP: see `allow_http`.

        C API: ``wasi_config_inherit_network``.
        """
        self._check_open()
        self._network = True

    def allow_ip_name_lookup(self, enable: bool = True) -> None:
        """Let the guest look up the addresses of host names, or not. HTTP requests look names up
        whatever is said here: see `allow_http`.

        Args:
            enable: Whether it may.

        Raises:
            TypeError: If `enable` is not a bool.

        C API: ``wasi_config_allow_ip_name_lookup``.
        """
        self._check_open()
        if not isinstance(enable, bool):
            raise TypeError(f"enable must be a bool, not {type(enable).__name__}")
        self._name_lookup = enable

    def allow_http(self, enable: bool = True) -> None:
        """Let the guest make HTTP requests, or not; at first it may not.

        A guest that may reaches every server that this process reaches, by name or address,
        services of this machine and of its private network among them: the library has no list of
        allowed servers, and neither `inherit_network` nor `allow_ip_name_lookup` concerns HTTP.
        `Store.set_wasi_http` turns it on for a store, and refuses one whose configuration does not
        allow it.

        Args:
            enable: Whether it may.

        Raises:
            TypeError: If `enable` is not a bool.
        """
        self._check_open()
        if not isinstance(enable, bool):
            raise TypeError(f"enable must be a bool, not {type(enable).__name__}")
        self._http = enable

    # -- lifetime

    def close(self) -> None:
        """Make this configuration unusable; stores that took it are not concerned.

        Every later use raises ValueError. It can be called more than once.
        """
        self._closed = True

    def __enter__(self) -> WasiConfig:
        self._check_open()
        return self

    def __exit__(
        self,
        exc_type: Optional[type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        if self._closed:
            return "<wasmtime.WasiConfig: closed>"
        streams = ", ".join(
            f"{name}: {stream.kind}"
            for name, stream in (
                ("stdin", self._stdin),
                ("stdout", self._stdout),
                ("stderr", self._stderr),
            )
        )
        return (
            f"<wasmtime.WasiConfig: {len(self._argv)} arguments, "
            f"{len(self._variables())} variables, {streams}, "
            f"{len(self._preopens)} directories>"
        )

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError("already closed")

    def _variables(self) -> list[tuple[str, str]]:
        """The whole environment: the inherited variables that nothing overrides, then the set ones."""
        names = {name for name, _ in self._env}
        return [pair for pair in self._inherited_env if pair[0] not in names] + self._env

    def _build(self) -> Any:
        """Make the native configuration, for `Store.set_wasi`.

        The (sink, callable) pairs that the store must serve are in `_sinks` afterwards.

        Returns:
            A ``wasi_config_t *`` that belongs to the caller.

        Raises:
            WasmtimeError: If a file or directory that was there when it was set cannot be opened
                any more, or captured output belongs to another store.
            ValueError: If this configuration is closed.
        """
        native, self._sinks = self._configure()
        return native

    def _configure(self) -> tuple[Any, list[tuple[Any, Callable[[bytes], None]]]]:
        """As `_build`, but with the pairs in the result, where two threads cannot mix them up."""
        self._check_open()
        config = lib.wasi_config_new()
        try:
            sinks = self._apply(config)
        except BaseException:
            lib.wasi_config_delete(config)
            raise
        return config, sinks

    def _apply(self, config: Any) -> list[tuple[Any, Callable[[bytes], None]]]:
        captures: list[Output] = []
        for stream in (self._stdout, self._stderr):
            if stream.kind == "capture":
                stream.value._attach()
                captures.append(stream.value)

        if self._argv:
            array, _keep = _string_array(self._argv)
            if not lib.wasi_config_set_argv(config, len(self._argv), array):
                raise WasmtimeError("failed to configure argv")
        variables = self._variables()
        if variables:
            names, _keep_names = _string_array([name for name, _ in variables])
            values, _keep_values = _string_array([value for _, value in variables])
            if not lib.wasi_config_set_env(config, len(variables), names, values):
                raise WasmtimeError("failed to configure environment")

        if self._stdin.kind == "inherit":
            lib.wasi_config_inherit_stdin(config)
        elif self._stdin.kind == "bytes":
            lib.wasi_config_set_stdin_bytes(config, byte_vec(self._stdin.value))
        elif self._stdin.kind == "file":
            self._apply_stdin_file(config)

        sinks: list[tuple[Any, Callable[[bytes], None]]] = []
        with OutputPipes() as pipes:
            self._apply_output(
                config,
                sinks,
                pipes,
                "stdout",
                self._stdout,
                lib.wasi_config_inherit_stdout,
                lib.wasi_config_set_stdout_file,
                lib.wasi_config_set_stdout_custom,
            )
            self._apply_output(
                config,
                sinks,
                pipes,
                "stderr",
                self._stderr,
                lib.wasi_config_inherit_stderr,
                lib.wasi_config_set_stderr_file,
                lib.wasi_config_set_stderr_custom,
            )

        for preopen in self._preopens:
            if not lib.wasi_config_preopen_dir(
                config, preopen.host, preopen.guest, preopen.mutable
            ):
                raise WasmtimeError(
                    f"failed to add preopen dir: {decode_path(preopen.host)!r} was a directory "
                    "when it was set, but it cannot be opened any more"
                )
        if self._network:
            lib.wasi_config_inherit_network(config)
        if self._name_lookup is not None:
            lib.wasi_config_allow_ip_name_lookup(config, self._name_lookup)
        for output in captures:
            output._attached = True
        return sinks

    def _apply_stdin_file(self, config: Any) -> None:
        stream = self._stdin
        if threads_are_lost():
            try:
                with open(stream.native, "rb") as file:
                    contents = file.read()
            except OSError as error:
                raise _gone("stdin file", stream) from error
            lib.wasi_config_set_stdin_bytes(config, byte_vec(contents))
            return
        with _waiting_for_pipe(stream, "stdin file", os.O_RDONLY):
            if not lib.wasi_config_set_stdin_file(config, stream.native):
                raise _gone("stdin file", stream)

    @staticmethod
    def _apply_output(
        config: Any,
        sinks: list[tuple[Any, Callable[[bytes], None]]],
        pipes: OutputPipes,
        name: str,
        stream: _Stream,
        inherit: Callable[[Any], None],
        set_file: Callable[[Any, bytes], bool],
        set_custom: Any,
    ) -> None:
        if stream.kind == "inherit":
            inherit(config)
        elif stream.kind == "file":
            with _waiting_for_pipe(stream, f"{name} file", os.O_WRONLY):
                if not set_file(config, stream.native):
                    raise _gone(f"{name} file", stream)
        elif stream.kind in ("capture", "custom"):
            capture = stream.kind == "capture"
            sink = stream.value._sink if capture else core.OutputSink(-1)
            if not threads_are_lost():
                _collect(config, set_custom, sink)
            elif not set_file(config, pipes.path(sink)):
                raise WasmtimeError(f"failed to set {name}: the files in /dev/fd cannot be opened")
            if not capture:
                sinks.append((sink, _Deliver(stream.value, f"{name}_custom")))

    def _needs_threads(self) -> bool:
        """Whether a guest's streams need threads of the library, which a forked child lacks."""
        return (
            self._stdin.kind == "file"
            or self._stdout.kind in ("capture", "custom")
            or self._stderr.kind in ("capture", "custom")
        )


class _Deliver:
    """Hands bytes to a user's callable and holds it to its word about how many it took."""

    __slots__ = ("_callback", "_what")

    def __init__(self, callback: CustomOutput, what: str) -> None:
        self._callback = callback
        self._what = what

    def __call__(self, data: bytes) -> None:
        while data:
            taken = self._callback(data)
            if taken is None:
                return
            if isinstance(taken, bool) or not isinstance(taken, int):
                raise TypeError(
                    f"the callable of {self._what} must return None or how many bytes it took, "
                    f"not {type(taken).__name__}"
                )
            if taken < 0:
                raise OSError(-taken, os.strerror(-taken))
            if taken == 0 or taken > len(data):
                raise ValueError(
                    f"the callable of {self._what} said that it took {taken} of {len(data)} bytes"
                )
            data = data[taken:]


def _collect(config: Any, set_custom: Any, sink: Any) -> None:
    """Let a sink of the C core receive what the guest writes."""
    signature = ffi.typeof(set_custom).args
    # From here on the native stream holds the sink's buffer too, until it calls the finalizer.
    callback, data, finalizer = sink.attach()
    set_custom(
        config,
        ffi.cast(signature[1], callback),
        ffi.cast(signature[2], data),
        ffi.cast(signature[3], finalizer),
    )


def _string_array(strings: Sequence[str]) -> tuple[Any, Any]:
    """A ``char **`` with the strings, and what must stay alive with it."""
    keep = [ffi.new("char[]", string.encode("utf-8")) for string in strings]
    return ffi.new("char *[]", keep), keep


@contextmanager
def _waiting_for_pipe(stream: _Stream, what: str, flags: int) -> Iterator[None]:
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


def _gone(what: str, stream: _Stream) -> WasmtimeError:
    return WasmtimeError(
        f"failed to set {what}: {stream.value!r} could be opened when it was set, but not any more"
    )


def _check_text(value: object, what: str) -> None:
    """Refuse what a NUL-terminated UTF-8 string cannot carry."""
    encode_cstring(value, what)


def _is_text(value: str) -> bool:
    try:
        _check_text(value, "")
    except ValueError:
        return False
    return True


def _check_limit(limit: object) -> int:
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise TypeError(f"limit must be an int or None, not {type(limit).__name__}")
    if limit < 0:
        raise ValueError(f"limit must not be negative, but it is {limit}")
    return limit


def _locate(path: StrPath, what: str) -> tuple[str, bytes]:
    """A path as it is shown, and as the native library is given it: absolute, for the current
    directory may be another one by then.
    """
    encode_path(path, what)  # refuses other types, NUL and what is not UTF-8
    shown = os.fsdecode(path)
    # Not abspath(): taking a ".." out of the text changes where a symbolic link leads.
    return shown, encode_path(os.path.join(os.getcwd(), shown), what)


def _try_reading(shown: str, native: bytes) -> None:
    """Raise unless the file can be opened for reading.

    A pipe or a device is only asked for its permission: opening it once too often would be felt at
    its other end.
    """
    path = decode_path(native)
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if stat.S_ISREG(mode):
            os.close(os.open(path, os.O_RDONLY))
        elif not os.access(path, os.R_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise WasmtimeError(
            f"failed to set stdin file: {shown!r} cannot be opened: {error.strerror}"
        ) from error


def _try_writing(shown: str, native: bytes, stream: str) -> None:
    """Create or empty the file, or raise.

    A pipe or a device is only asked for its permission, as in `_try_reading`.
    """
    path = decode_path(native)
    try:
        try:
            regular = stat.S_ISREG(os.stat(path).st_mode)
        except FileNotFoundError:
            regular = True
        if regular or os.path.isdir(path):
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666))
        elif not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise WasmtimeError(
            f"failed to set {stream} file: {shown!r} cannot be opened for writing: {error.strerror}"
        ) from error


def _process_arguments() -> list[str]:
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


def _permissions(dir_perms: object, file_perms: object, perms: object, fs_mutable: object) -> bool:
    """The one bit that the library knows, from all the ways to say it.

    Returns:
        True if the guest may read and change everything, False if it may only read.
    """
    if isinstance(dir_perms, bool):
        if fs_mutable is not None:
            raise TypeError("preopen_dir was given fs_mutable twice")
        fs_mutable, dir_perms = dir_perms, None
    if perms is not None:
        if dir_perms is not None:
            raise TypeError("preopen_dir takes dir_perms or perms, not both")
        dir_perms = perms
    if fs_mutable is not None:
        if dir_perms is not None or file_perms is not None:
            raise TypeError("preopen_dir takes fs_mutable or permissions, not both")
        if not isinstance(fs_mutable, bool):
            raise TypeError(f"fs_mutable must be a bool, not {type(fs_mutable).__name__}")
        return fs_mutable
    if dir_perms is not None and not isinstance(dir_perms, DirPerms):
        raise TypeError(f"dir_perms must be a DirPerms, not {type(dir_perms).__name__}")
    if file_perms is not None and not isinstance(file_perms, FilePerms):
        raise TypeError(f"file_perms must be a FilePerms, not {type(file_perms).__name__}")
    directories = DirPerms.READ_WRITE if dir_perms is None else dir_perms
    # Files follow directories unless something else is said: whoever says READ_ONLY and no more
    # must not find that the guest can still overwrite files.
    files = FilePerms(directories.value) if file_perms is None else file_perms
    if (directories, files) == (DirPerms.READ_WRITE, FilePerms.READ_WRITE):
        return True
    if (directories, files) == (DirPerms.READ_ONLY, FilePerms.READ_ONLY):
        return False
    raise WasmtimeError(
        f"a preopened directory with {directories} and {files} cannot be enforced: the library "
        "knows READ_WRITE for both and READ_ONLY for both; give the guest two directories, one of "
        "each kind, where it needs both"
    )
