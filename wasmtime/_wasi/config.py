"""The configuration of WASI: a record of settings, and what they allow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional, Union

from .._native import StrPath
from .._suggestions import unknown_setting
from .arguments import ArgvSetting, EnvSetting, process_arguments, process_environment
from .input import CustomInput
from .limits import OnLimit
from .output import CustomOutput, Output
from .own import nanoseconds, own_wasi
from .paths import encode_guest_path, locate, try_directory
from .permissions import DirPerms, FilePerms, may_change
from .setting import Setting
from .streams import (
    INHERIT,
    NOTHING,
    BytesLike,
    StderrCustomSetting,
    StderrFileSetting,
    StdinBytesSetting,
    StdinCustomSetting,
    StdinFileSetting,
    StdoutCustomSetting,
    StdoutFileSetting,
    Stream,
)

if TYPE_CHECKING:
    from .._engine import Engine

__all__ = ["WasiConfig"]


class Preopen(NamedTuple):
    """One preopened directory, ready for the native library."""

    host: bytes
    guest: bytes
    mutable: bool


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

    __module__ = "wasmtime._wasi"  # which pickles name

    argv: Setting[ArgvSetting, Iterable[str]] = Setting(ArgvSetting)
    env: Setting[EnvSetting, Union[Mapping[str, str], Iterable[Iterable[str]]]] = Setting(
        EnvSetting
    )
    stdin_file: Setting[StdinFileSetting, Union[StrPath, CustomInput]] = Setting(StdinFileSetting)
    stdin_bytes: Setting[StdinBytesSetting, BytesLike] = Setting(StdinBytesSetting)
    stdin_custom: Setting[StdinCustomSetting, CustomInput] = Setting(StdinCustomSetting)
    stdout_file: Setting[StdoutFileSetting, StrPath] = Setting(StdoutFileSetting)
    stderr_file: Setting[StderrFileSetting, StrPath] = Setting(StderrFileSetting)
    stdout_custom: Setting[StdoutCustomSetting, CustomOutput] = Setting(StdoutCustomSetting)
    stderr_custom: Setting[StderrCustomSetting, CustomOutput] = Setting(StderrCustomSetting)

    # What a new configuration has. `__init__` does not set it: `__setattr__` is ours, and takes a
    # good part of the time of a short run.
    _closed: bool = False
    _argv: list[str]
    _env: list[tuple[str, str]]
    _inherited_env: list[tuple[str, str]]
    _stdin: Stream = NOTHING
    _stdout: Stream = NOTHING
    _stderr: Stream = NOTHING
    _clock: Union[float, Callable[[], float], None] = None
    _seed: Union[int, bytes, None] = None
    _preopens: tuple[Preopen, ...] = ()
    _network: bool = False
    _name_lookup: Optional[bool] = None
    _http: bool = False

    def __init__(self) -> None:
        self.__dict__.update(_argv=[], _env=[], _inherited_env=[])

    def __setattr__(self, name: str, value: object) -> None:
        # A class of the program's own may have what it likes.
        if type(self) is WasiConfig and not name.startswith("_") and not hasattr(WasiConfig, name):
            raise AttributeError(unknown_setting(WasiConfig, name))
        super().__setattr__(name, value)

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
        self.argv(process_arguments())

    def inherit_env(self) -> None:
        """Give the guest the environment variables of this process (`os.environ`), as they are now.

        Variables that were set with `env`, before or after, win over inherited ones. A variable
        that is not valid UTF-8, which WASI demands, is left out, with a RuntimeWarning.
        """
        self._check_open()
        self._inherited_env = process_environment()

    # -- streams

    def inherit_stdin(self) -> None:
        """Let the guest read the standard input of this process.

        It reads from the process's file descriptor, past Python's `sys.stdin` and its buffer.
        C API: ``wasi_config_inherit_stdin``.
        """
        self._check_open()
        self._stdin = INHERIT

    def inherit_stdout(self) -> None:
        """Let the guest write to the standard output of this process.

        It writes to the process's file descriptor, past Python's `sys.stdout`: flush that before
        the call if the order matters, and use `stdout_custom` where `sys.stdout` is replaced.
        C API: ``wasi_config_inherit_stdout``.
        """
        self._check_open()
        self._stdout = INHERIT

    def inherit_stderr(self) -> None:
        """Let the guest write to the standard error of this process.

        It writes to the process's file descriptor, past Python's `sys.stderr`.
        C API: ``wasi_config_inherit_stderr``.
        """
        self._check_open()
        self._stderr = INHERIT

    def capture_stdout(
        self, limit: Optional[int] = None, *, on_limit: Optional[OnLimit] = None
    ) -> Output:
        """Collect what the guest writes to its standard output in memory.

        Args:
            limit: The greatest number of bytes held at a time, to be set for guests that are not
                trusted; see `Output`.
            on_limit: What becomes of more: ``"truncate"`` discards it, and the guest's write
                succeeds; ``"stop"`` ends the call with `OutputLimitTrap`; without it the guest's
                write fails.

        Returns:
            The object that the output is read from, during the run or after it.

        Raises:
            ValueError: If the limit is negative, or `on_limit` is another word.
            TypeError: If it is not an int.
        """
        self._check_open()
        output = Output(limit, on_limit=on_limit)
        self._stdout = Stream("capture", output)
        return output

    def capture_stderr(
        self, limit: Optional[int] = None, *, on_limit: Optional[OnLimit] = None
    ) -> Output:
        """Collect what the guest writes to its standard error in memory.

        Args:
            limit: The greatest number of bytes held at a time, to be set for guests that are not
                trusted; see `Output`.
            on_limit: What becomes of more: ``"truncate"`` discards it, and the guest's write
                succeeds; ``"stop"`` ends the call with `OutputLimitTrap`; without it the guest's
                write fails.

        Returns:
            The object that the output is read from, during the run or after it.

        Raises:
            ValueError: If the limit is negative, or `on_limit` is another word.
            TypeError: If it is not an int.
        """
        self._check_open()
        output = Output(limit, on_limit=on_limit)
        self._stderr = Stream("capture", output)
        return output

    def capture_output(
        self, limit: Optional[int] = None, *, on_limit: Optional[OnLimit] = None
    ) -> Output:
        """Collect standard output and standard error together, in the order of the writes.

        Args:
            limit: The greatest number of bytes held at a time, to be set for guests that are not
                trusted; see `Output`.
            on_limit: What becomes of more: ``"truncate"`` discards it, and the guest's write
                succeeds; ``"stop"`` ends the call with `OutputLimitTrap`; without it the guest's
                write fails.

        Returns:
            The object that both are read from, during the run or after it.

        Raises:
            ValueError: If the limit is negative, or `on_limit` is another word.
            TypeError: If it is not an int.
        """
        self._check_open()
        output = Output(limit, on_limit=on_limit)
        self._stdout = self._stderr = Stream("capture", output)
        return output

    # -- what makes a run reproducible

    @property
    def random_seed(self) -> Union[int, bytes, None]:
        """Where the guest's random numbers come from: None, the operating system; or a seed.

        With a seed, an int or bytes, every run gets the same numbers. They are no secret: whoever
        knows the seed can foresee them. It takes the package's own implementation; components are
        refused.

        Raises:
            TypeError: It is set to something else.
        """
        self._check_open()
        return self._seed

    @random_seed.setter
    def random_seed(self, seed: Union[int, bytes, None]) -> None:
        self._check_open()
        if isinstance(seed, bool) or not (seed is None or isinstance(seed, (int, bytes))):
            raise TypeError(f"random_seed must be an int, bytes or None, not {type(seed).__name__}")
        self._seed = seed

    @property
    def clock(self) -> Union[float, Callable[[], float], None]:
        """The guest's time: None, that of the operating system; a start; or a callable.

        A start is a number of seconds since 1970. From there, time moves by a microsecond with each
        reading of a clock, and by what the guest sleeps (which does wait), and by nothing else: two
        runs see the same. A callable without arguments returns the seconds since 1970; it is called
        with each reading. In both cases the guest's monotonic clock begins at zero, and does not go
        back.

        Times of files are not concerned. It takes the package's own implementation; components are
        refused.

        Raises:
            TypeError: It is set to something else.
            ValueError: The start is negative, not finite, or too large.
        """
        self._check_open()
        return self._clock

    @clock.setter
    def clock(self, clock: Union[float, Callable[[], float], None]) -> None:
        self._check_open()
        if clock is not None and not callable(clock):
            nanoseconds(clock, "clock")
        self._clock = clock

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
        mutable = may_change(dir_perms, file_perms, perms, fs_mutable)
        shown, native = locate(path, "path")
        guest = encode_guest_path(guest_path)
        try_directory(shown, native)
        self._preopens = (*self._preopens, Preopen(native, guest, mutable))

    # -- network

    def inherit_network(self) -> None:
        """Let the guest use the network of this process, **so far without effect**.

        Version 50.0.1 of the library refuses every socket, TCP and UDP alike, since its C API lacks
        the switches that would allow some.

        Preview 1 itself has no way to open a connection, so this concerns programs that are
        components. It does not concern HTTP: see `allow_http`.

        C API: ``wasi_config_inherit_network``.
        """
        self._check_open()
        self._network = True

    def allow_ip_name_lookup(self, enable: bool = True) -> None:
        """Let the guest look up the addresses of host names, or not.

        HTTP requests look names up whatever is said here: see `allow_http`.

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
        """The whole environment: inherited variables that nothing overrides, then the set ones."""
        names = {name for name, _ in self._env}
        return [pair for pair in self._inherited_env if pair[0] not in names] + self._env

    def _own(self, engine: Engine) -> Any:
        """The `core.Wasi` that serves a store with this configuration.

        Raises:
            WasmtimeError: If a file that was there when it was set cannot be opened any more.
        """
        return own_wasi(engine, self)

    def _snapshot(self) -> WasiConfig:
        """The settings as they are now."""
        copied = WasiConfig.__new__(WasiConfig)
        copied.__dict__.update(self.__dict__)
        return copied

    def _take_outputs(self) -> None:
        """Captured output belongs to the store that takes this configuration.

        Raises:
            WasmtimeError: It belongs to another one.
        """
        outputs = [s.value for s in (self._stdout, self._stderr) if s.kind == "capture"]
        for output in outputs:
            output._attach()
        for output in outputs:
            output._attached = True
