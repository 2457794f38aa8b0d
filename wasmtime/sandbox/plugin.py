"""Plug-ins: guests whose functions are called with values of Python."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar

from .abi.shapes import ABIOption, parse_abi
from .abi.values import Kind
from .directory import Directories, DirectoryLike
from .errors import raise_unless_ok
from .limits import ResourceLimits
from .preparing import capturable, prepare_capturable
from .program import task_of, with_files
from .result import Result
from .settings import Clock, Isolation, Seed, parse_settings
from .source import Code, Source, code_of
from .tiers import Call, exports_of, run_guest, run_guest_async
from .waiting import in_thread, iterate

if TYPE_CHECKING:
    from .scale.progress import Progress
    from .session import PluginSession

__all__ = ["Plugin"]

_T = TypeVar("_T")
_DEFAULT = ResourceLimits()


class Plugin:
    """A library compiled to WebAssembly: its functions are called with values of Python.

    It is a component, whose types say what passes; or a core module, with numbers, and with text,
    bytes or JSON where the guest follows a known convention (see `CoreABI`). Each call gets a fresh
    instance; `open` keeps one. It is compiled once, can be used from any number of threads, and
    pickles.

    Args:
        source: A path, bytes (binary or text), text, a `Module` or a `Component`.
        abi: How values pass to a core module: ``"auto"``, ``"numbers"``, ``"str"``, ``"bytes"``,
            ``"json"``, or a `CoreABI`.
        limits: What a call may use.
        env: Its environment variables.
        dirs: Its directories, as for `Program`.
        functions: Functions of the host that it may call, by the names of its imports; for a
            component also objects, mappings and classes, as `component.Linker.define_imports` has
            them.
        seed: Makes its random numbers the same each time.
        clock: What time it is for it.
        network: Let a component make HTTP requests.
        cache: Where compiled code is kept between processes.
        isolation: ``"thread"`` or ``"process"``, as for `Program`.
        portable: Compile for every processor of this architecture instead of this machine's: for
            clusters whose machines differ; what is compiled may be somewhat slower.

    Raises:
        SandboxError: The source is not valid, is too large, or takes too long to compile; or it
            does not import what `functions` has.
        TypeError: An argument is of a wrong type.
        ValueError: An argument is out of range.

    Example:
        >>> from wasmtime.sandbox import Plugin
        >>> plugin = Plugin('''
        ...     (module (func (export "add") (param i32 i32) (result i32)
        ...         (i32.add (local.get 0) (local.get 1))))''')
        >>> plugin.call("add", 5, 3)
        8
    """

    def __init__(
        self,
        source: Source,
        *,
        abi: ABIOption = "auto",
        limits: ResourceLimits = _DEFAULT,
        env: Mapping[str, str] = {},
        dirs: Mapping[str, DirectoryLike] = {},
        functions: Mapping[str, Any] = {},
        seed: Seed = None,
        clock: Clock = None,
        network: bool = False,
        cache: Any = True,
        isolation: Isolation = "thread",
        portable: bool = False,
    ) -> None:
        self._abi = parse_abi(abi)
        self._settings = parse_settings(
            limits, env, dirs, functions, seed, clock, network, cache, isolation
        )
        self._code, data = code_of(source, limits.module, portable, cache)
        self._ready = prepare_capturable(self._code, self._settings, data)

    @cached_property
    def _ready(self) -> Code:
        """The form in which it is compiled: of which snapshots can be taken, if there is one."""
        return capturable(self._code, self._settings)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_ready"}

    def call(self, name: str, *args: Any) -> Any:
        """Call a function of a fresh instance, and return what it returns.

        Args:
            name: Name of the export; ``interface#function`` for one of an interface.
            args: Its arguments.

        Raises:
            SandboxError: The call did not end well, there is no such function, or the arguments do
                not fit it.
        """
        return self._call(name, args, None)

    def try_call(self, name: str, *args: Any) -> Result:
        """As `call`, without raising: `Result.value` is what the function returned."""
        return self._try_call(name, args, None)[0]

    async def call_async(self, name: str, *args: Any) -> Any:
        """As `call`, for a coroutine: the event loop goes on, and cancelling stops the guest."""
        return await self._call_async(name, args, None)

    async def try_call_async(self, name: str, *args: Any) -> Result:
        """As `try_call`, for a coroutine."""
        return (await self._try_call_async(name, args, None))[0]

    def map(
        self,
        name: str,
        inputs: Iterable[Any],
        *,
        executor: Any = None,
        ordered: bool = True,
        retries: int = 1,
        chunksize: Optional[int] = None,
        progress: Progress = None,
    ) -> Iterator[Result]:
        """Call a function for each input, here or over an executor, up to a cluster.

        Args:
            name: Name of the export.
            inputs: For each call, a tuple or list of arguments, or a single argument.
            executor: Where guests run, an executor or a Dask client; None for threads of this
                process. As the rest, see `Program.map`.
            ordered: Whether results come in the order of the inputs, or as they are there.
            retries: How often an input is run again whose worker died.
            chunksize: How many inputs go together; None for as many as is worth while.
            progress: True for a bar, or a callable that is told how far it is.

        Returns:
            An iterator of a `Result` for each input, whatever became of it.

        Raises:
            TypeError: An argument is of a wrong type; or a function of the host cannot be pickled.
            ValueError: An argument is out of range.

        Example:
            >>> from wasmtime.sandbox import Plugin
            >>> plugin = Plugin('''
            ...     (module (func (export "double") (param i32) (result i32)
            ...         (i32.mul (local.get 0) (i32.const 2))))''')
            >>> [result.value for result in plugin.map("double", [1, 2, 3])]
            [2, 4, 6]
        """
        from .scale.mapping import map_inputs

        return map_inputs(self, inputs, name, executor, ordered, retries, chunksize, progress)

    def map_async(
        self,
        name: str,
        inputs: Iterable[Any],
        *,
        executor: Any = None,
        ordered: bool = True,
        retries: int = 1,
        chunksize: Optional[int] = None,
        progress: Progress = None,
    ) -> AsyncIterator[Result]:
        """As `map`, for ``async for``: cancelling stops the guests that run here."""
        return iterate(
            lambda: self.map(
                name,
                inputs,
                executor=executor,
                ordered=ordered,
                retries=retries,
                chunksize=chunksize,
                progress=progress,
            )
        )

    def open(self) -> PluginSession:
        """An instance that is kept between calls.

        Raises:
            SandboxError: It cannot be instantiated.
        """
        from .session import PluginSession

        return PluginSession(self._ready, self._settings, self._abi)

    async def open_async(self) -> PluginSession:
        """As `open`, for a coroutine: ``async with await plugin.open_async() as session``."""
        return await in_thread(self.open)

    def bind(self, protocol: Callable[..., _T]) -> _T:
        """An object with the methods of a protocol, each of which calls the export of its name.

        Args:
            protocol: A class of methods with annotations, such as a `typing.Protocol`; type
                checkers take it as a callable, because they refuse protocols as classes. ``async
                def`` methods are awaited. Where an annotation is a dataclass, records become
                objects of it.

        Raises:
            SandboxError: The guest does not export what the protocol has.
            TypeError: `protocol` is no class with methods.

        Example:
            >>> from typing import Protocol
            >>> from wasmtime.sandbox import Plugin
            >>> class Adder(Protocol):
            ...     def add(self, a: int, b: int) -> int: ...
            >>> adder = Plugin('''
            ...     (module (func (export "add") (param i32 i32) (result i32)
            ...         (i32.add (local.get 0) (local.get 1))))''').bind(Adder)
            >>> adder.add(5, 3)
            8
        """
        from .abi.protocols import bind

        exports = exports_of(self._ready, self._settings)
        return bind(protocol, exports, self._call, self._call_async)

    def explain(self) -> dict[str, str]:
        """How each limit is enforced here, as `Program.explain`."""
        from .explaining import explain

        return explain(self._settings)

    def __repr__(self) -> str:
        return f"<wasmtime.sandbox.Plugin {self._code.name!r}>"

    def _call(self, name: str, args: Sequence[Any], returns: Optional[Kind]) -> Any:
        result, cause = self._try_call(name, args, returns)
        return raise_unless_ok(result, cause).value

    async def _call_async(self, name: str, args: Sequence[Any], returns: Optional[Kind]) -> Any:
        result, cause = await self._try_call_async(name, args, returns)
        return raise_unless_ok(result, cause).value

    def _try_call(
        self, name: str, args: Sequence[Any], returns: Optional[Kind]
    ) -> tuple[Result, Optional[BaseException]]:
        call = Call.of(name, args, self._abi, returns)
        with Directories(self._settings.dirs) as directories:
            task = task_of(self._settings, (), None, directories)
            result, cause = run_guest(self._ready, self._settings, task, call)
            return with_files(result, directories), cause

    async def _try_call_async(
        self, name: str, args: Sequence[Any], returns: Optional[Kind]
    ) -> tuple[Result, Optional[BaseException]]:
        call = Call.of(name, args, self._abi, returns)
        with Directories(self._settings.dirs) as directories:
            task = task_of(self._settings, (), None, directories)
            result, cause = await run_guest_async(self._ready, self._settings, task, call)
            return with_files(result, directories), cause
