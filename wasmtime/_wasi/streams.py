"""Where the three streams of a guest lead."""

from __future__ import annotations

import os
from typing import Any, NamedTuple, Optional, Union

from .._native import StrPath
from .input import CustomInput, check_source, is_file_object
from .limits import OnLimit, check_limit, check_on_limit
from .output import CustomOutput
from .paths import locate, try_reading, try_writing
from .setting import View

__all__ = [
    "INHERIT",
    "NOTHING",
    "BytesLike",
    "StderrCustomSetting",
    "StderrFileSetting",
    "StdinBytesSetting",
    "StdinCustomSetting",
    "StdinFileSetting",
    "StdoutCustomSetting",
    "StdoutFileSetting",
    "Stream",
]

#: What stands for bytes wherever they are only read.
BytesLike = Union[bytes, bytearray, memoryview]


class Stream(NamedTuple):
    """Where one of the three streams leads: the kind, and what that kind needs."""

    kind: str
    value: Any = None
    native: bytes = b""
    limit: Optional[int] = None
    on_limit: Optional[OnLimit] = None


NOTHING = Stream("nothing")
INHERIT = Stream("inherit")


class _StreamSetting(View):
    """A setting that leads one of the three streams somewhere.

    It is true while the stream leads there.
    """

    __slots__ = ()
    #: The stream, and the kind that `Stream` calls what is set.
    _stream = ""
    _kind = ""

    @property
    def _value(self) -> Any:
        """What was set, or None while the stream leads elsewhere."""
        stream: Stream = getattr(self._config, f"_{self._stream}")
        return stream.value if stream.kind == self._kind else None

    def _set(self, value: Any, native: bytes = b"") -> None:
        setattr(self._config, f"_{self._stream}", Stream(self._kind, value, native))

    def __bool__(self) -> bool:
        return self._value is not None

    def __repr__(self) -> str:
        return repr(self._value)


class _FileSetting(_StreamSetting):
    """What the settings of the three files have in common.

    Reading gives an object with the path that was set in `path`; it compares equal to that path
    and is false while the stream leads elsewhere.
    """

    __slots__ = ()
    _kind = "file"

    def __call__(self, path: StrPath) -> None:
        """Let the stream be a file.

        Args:
            path: The file, as str, bytes or os.PathLike; it must be valid UTF-8.

        Raises:
            WasmtimeError: If it cannot be opened.
        """
        shown, native = locate(path, f"{self._stream}_file")
        self._try(shown, native)
        self._set(shown, native)

    def _try(self, shown: str, native: bytes) -> None:
        try_writing(shown, native, self._stream)

    @property
    def path(self) -> Optional[str]:
        """The path as it was set, or None while the stream leads elsewhere."""
        path: Optional[str] = self._value
        return path

    def __fspath__(self) -> str:
        path = self.path
        if path is None:
            raise TypeError(f"{self._stream}_file is not set")
        return path

    def __eq__(self, other: object) -> bool:
        if isinstance(other, _FileSetting):
            return self.path == other.path
        if other is None:
            return self.path is None
        if isinstance(other, (str, bytes, os.PathLike)):
            return self.path is not None and self.path == os.fsdecode(other)
        return NotImplemented


class StdinFileSetting(_FileSetting):
    """A file for standard input: ``wasi.stdin_file = path`` or ``wasi.stdin_file(path)``.

    The file must exist and be readable. A relative path counts from the directory that is current
    when it is set. A file object of Python is taken too, as by `WasiConfig.stdin_custom`.

    C API: ``wasi_config_set_stdin_file``.
    """

    __slots__ = ()
    _stream = "stdin"

    def __call__(self, path: Union[StrPath, CustomInput]) -> None:
        """Let the guest read a file.

        Args:
            path: The file, as str, bytes or os.PathLike, which must be valid UTF-8; or an object
                with a ``read`` method that gives bytes.

        Raises:
            WasmtimeError: If it cannot be opened.
            TypeError: If it is a file object that is opened for text.
        """
        given: Any = path
        if is_file_object(given):
            self._config.stdin_custom(given)
        else:
            super().__call__(given)

    def _try(self, shown: str, native: bytes) -> None:
        try_reading(shown, native)


class StdoutFileSetting(_FileSetting):
    """A file for standard output: ``wasi.stdout_file = path`` or ``wasi.stdout_file(path)``.

    The file is created, or emptied if it exists, when it is set and again when a store takes the
    configuration. A relative path counts from the directory that is current when it is set.

    C API: ``wasi_config_set_stdout_file``.
    """

    __slots__ = ()
    _stream = "stdout"


class StderrFileSetting(_FileSetting):
    """A file for standard error: ``wasi.stderr_file = path`` or ``wasi.stderr_file(path)``.

    The file is created, or emptied if it exists, when it is set and again when a store takes the
    configuration. A relative path counts from the directory that is current when it is set.

    C API: ``wasi_config_set_stderr_file``.
    """

    __slots__ = ()
    _stream = "stderr"


class StdinBytesSetting(_StreamSetting):
    """Standard input from memory: ``wasi.stdin_bytes = b"..."`` or ``wasi.stdin_bytes(b"...")``.

    The bytes are copied unless they are ``bytes`` already; the guest sees the end of its input
    after the last. `WasiConfig.stdin_custom` serves where they are not known beforehand.

    C API: ``wasi_config_set_stdin_bytes``.
    """

    __slots__ = ()
    _stream = "stdin"
    _kind = "bytes"

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
            copied = data if type(data) is bytes else bytes(memoryview(data))
        except TypeError:
            raise TypeError(
                f"stdin_bytes takes a bytes-like object, not {type(data).__name__}"
            ) from None
        self._set(copied)

    @property
    def data(self) -> Optional[bytes]:
        """The bytes that were set, or None while standard input comes from elsewhere."""
        data: Optional[bytes] = self._value
        return data

    def __eq__(self, other: object) -> bool:
        if isinstance(other, StdinBytesSetting):
            return self.data == other.data
        if other is None or isinstance(other, (bytes, bytearray, memoryview)):
            return self.data == other
        return NotImplemented


class StdinCustomSetting(_StreamSetting):
    r"""Standard input from Python: ``wasi.stdin_custom = source``, or called with it.

    The source is a callable, or a file object that is opened for reading bytes. A callable is
    called with the number of bytes that the guest has room for, on the thread that called into
    WebAssembly, whenever the guest reads and nothing is left of the bytes before. It returns bytes,
    any number of them: the guest gets what it has room for, and the rest when it reads again. Empty
    bytes are the end of the input, after which it is not called again.

    Of a file object, ``read1`` is called where there is one, and else ``read``. What is unbuffered
    (`io.FileIO`) is read from its descriptor, so that a guest that waits for it hears deadlines and
    `Store.interrupt`; a Python function, ``read`` of a buffered file included, ends when it
    returns.

    In an asynchronous call the source may be asynchronous too: a coroutine function, an object with
    an asynchronous ``read`` such as `asyncio.StreamReader`, or an asynchronous iterator of bytes,
    whose end is the end of the input. The event loop waits for it, and time limits and
    cancellations reach it. A synchronous call refuses it with TypeError.

    An exception that is raised comes out of the call into WebAssembly as the same object.

    Components take an unbuffered file alone: the library reads their input, through a pipe. All
    else takes the package's own implementation.

    Example:
        >>> from wasmtime import WasiConfig
        >>> wasi = WasiConfig()
        >>> lines = iter([b"first\n", b"second\n"])
        >>> wasi.stdin_custom = lambda size: next(lines, b"")
    """

    __slots__ = ()
    _stream = "stdin"
    _kind = "custom"

    @property
    def source(self) -> Optional[CustomInput]:
        """The callable or file object that was set, or None while input comes from elsewhere."""
        source: Optional[CustomInput] = self._value
        return source

    def __call__(self, source: CustomInput) -> None:
        """Let the guest read what Python gives.

        Args:
            source: A callable that is given the greatest useful number of bytes and returns bytes,
                a file object that is opened for reading bytes, or an asynchronous iterator.

        Raises:
            TypeError: If it is neither, or opened for text.
        """
        check_source(source)
        self._set(source)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, StdinCustomSetting):
            return bool(self.source == other.source)
        return bool(self.source == other)


class _CustomSetting(_StreamSetting):
    """What the settings of the two callables have in common.

    Reading gives an object with the callable that was set in `callback`; it compares equal to it
    and is false while the stream leads elsewhere.
    """

    __slots__ = ()
    _kind = "custom"

    @property
    def callback(self) -> Optional[CustomOutput]:
        """The callable that was set, or None while the stream leads elsewhere."""
        callback: Optional[CustomOutput] = self._value
        return callback

    def __call__(
        self,
        callback: CustomOutput,
        *,
        limit: Optional[int] = None,
        on_limit: Optional[OnLimit] = None,
    ) -> None:
        """Hand what the guest writes to a callable.

        Args:
            callback: Called with non-empty bytes. It returns None if it took them all, or how many
                it took (as `io.RawIOBase.write` does): it is then called again with the rest. In
                an asynchronous call of preview 1 it may be ``async def``.
            limit: The greatest number of bytes that a guest may write in all, or None.
            on_limit: What becomes of more: ``"truncate"`` discards it, and the guest's write
                succeeds; ``"stop"`` ends the guest with `OutputLimitTrap`; without it the guest's
                write fails (and a component is stopped).

        Raises:
            TypeError: If it cannot be called, or the limit is not an int.
            ValueError: If the limit is negative, or `on_limit` is another word.
        """
        if not callable(callback):
            raise TypeError(
                f"{self._stream}_custom takes a callable, not {type(callback).__name__}"
            )
        limit = check_limit(limit)
        on_limit = check_on_limit(on_limit, limit)
        stream = Stream(self._kind, callback, limit=limit, on_limit=on_limit)
        setattr(self._config, f"_{self._stream}", stream)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, _CustomSetting):
            return self.callback == other.callback
        return self.callback == other


class StdoutCustomSetting(_CustomSetting):
    """A Python callable for standard output: ``wasi.stdout_custom = callback``, or called with it.

    It is called with bytes, in the order in which the guest wrote them, on the thread that called
    into WebAssembly: with each write of a guest of preview 1; for components whenever the guest
    calls a host function of Python, at the ticks of the epoch, and at the end of the call, and
    several writes may come as one. An exception that it raises comes out of the call into
    WebAssembly as the same object.

    Called with the callable, it takes ``limit=`` and ``on_limit=`` too.

    C API: ``wasi_config_set_stdout_custom``.
    """

    __slots__ = ()
    _stream = "stdout"


class StderrCustomSetting(_CustomSetting):
    """A Python callable for standard error: ``wasi.stderr_custom = callback``, or called with it.

    Everything said of `WasiConfig.stdout_custom` holds here too.

    C API: ``wasi_config_set_stderr_custom``.
    """

    __slots__ = ()
    _stream = "stderr"
