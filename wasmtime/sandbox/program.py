"""Programs: guests that are started with arguments, print, and exit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Callable, Optional

from .directory import Contents, Directories, DirectoryLike, inputs, parse_directories
from .errors import raise_unless_ok
from .limits import ResourceLimits
from .result import Result
from .settings import (
    Clock,
    Isolation,
    Seed,
    Settings,
    parse_environment,
    parse_limits,
    parse_settings,
)
from .source import Source, code_of
from .tiers import prepare, run_guest, run_guest_async
from .waiting import in_thread, iterate
from .world import Talk, Task, parse_input

if TYPE_CHECKING:
    from .running import Running
    from .scale.progress import Progress

__all__ = ["Program", "run", "run_async"]

_DEFAULT = ResourceLimits()


class Program:
    """A program compiled to WebAssembly: run with arguments, it prints and exits.

    It is a command of WASI: a core module that exports ``_start``, or a component that exports
    ``wasi:cli/run``. It sees nothing of the host but what is named here, and uses no more than its
    limits. It is compiled once, can be used from any number of threads at once, and pickles.

    Args:
        source: A path, bytes (binary or text), text, a `Module` or a `Component`.
        limits: What a run may use.
        env: Its environment variables; it sees no others.
        dirs: Its directories, by the names that it finds them under: a path of the host, to be
            read, or a `Directory`.
        functions: Functions of the host that it may call, by the names of its imports.
        seed: Makes its random numbers the same each time: an int or bytes.
        clock: What time it is for it: seconds since 1970 at its start, or a callable.
        network: Let a component make HTTP requests, to any server that this machine reaches.
        cache: Where compiled code is kept between processes, as for `Module`.
        isolation: ``"thread"`` runs it in this process, fast; ``"process"`` in a worker process,
            which is killed whatever the guest is doing, and whose death harms nobody.
        portable: Compile for every processor of this architecture instead of this machine's: for
            clusters whose machines differ; what is compiled may be somewhat slower.

    Raises:
        SandboxError: The source is no program, is not valid, is too large, or takes too long to
            compile; or it does not import what `functions` has.
        TypeError: An argument is of a wrong type.
        ValueError: An argument is out of range.

    Example:
        >>> from wasmtime.sandbox import Program, ResourceLimits
        >>> program = Program('''
        ...     (module
        ...       (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        ...       (memory (export "memory") 1)
        ...       (func (export "_start") (call $exit (i32.const 3))))''')
        >>> program.run().exit_code
        3
    """

    def __init__(
        self,
        source: Source,
        *,
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
        self._settings = parse_settings(
            limits, env, dirs, functions, seed, clock, network, cache, isolation
        )
        self._code, data = code_of(source, limits.module, portable, cache)
        prepare(self._code, self._settings, True, data)

    def run(
        self,
        *args: str,
        stdin: Any = None,
        files: Mapping[str, Contents] = {},
        check: bool = False,
        limits: Optional[ResourceLimits] = None,
        env: Optional[Mapping[str, str]] = None,
        dirs: Optional[Mapping[str, DirectoryLike]] = None,
    ) -> Result:
        """Run the program to its end.

        What is given here replaces what the constructor was given.

        Args:
            args: Its arguments; ``argv[0]`` is the base name of its file.
            stdin: What it reads from its standard input: text, bytes, a file object, or a callable
                that is given a number and returns so many bytes at most, none at the end. Nothing
                by default.
            files: Contents of files that it finds at its root, to be read.
            check: Raise unless it exits with status 0.
            limits: What this run may use.
            env: Its environment variables.
            dirs: Its directories.

        Raises:
            SandboxError: It did not end well, and `check` is true.
            TypeError: An argument is of a wrong type.
            ValueError: An argument is out of range; or `files` and `dirs` both name ``"/"``.
        """
        settings = replaced(self._settings, files, limits, env, dirs)
        with Directories(settings.dirs) as directories:
            task = task_of(settings, args, stdin, directories)
            result, cause = run_guest(self._code, settings, task, None)
            result = with_files(result, directories)
        return raise_unless_ok(result, cause) if check else result

    async def run_async(
        self,
        *args: str,
        stdin: Any = None,
        files: Mapping[str, Contents] = {},
        check: bool = False,
        limits: Optional[ResourceLimits] = None,
        env: Optional[Mapping[str, str]] = None,
        dirs: Optional[Mapping[str, DirectoryLike]] = None,
    ) -> Result:
        """As `run`, for a coroutine: the event loop goes on, and cancelling stops the guest.

        The loop is asyncio's or trio's. A core module of which nothing can block, such as a plain
        function of the host, takes no thread while it waits. `stdin` may be an asynchronous
        iterator or a stream reader too, and functions of the host may be ``async def``.
        """
        settings = replaced(self._settings, files, limits, env, dirs)
        with Directories(settings.dirs) as directories:
            task = task_of(settings, args, stdin, directories)
            result, cause = await run_guest_async(self._code, settings, task, None)
            result = with_files(result, directories)
        return raise_unless_ok(result, cause) if check else result

    def start(
        self,
        *args: str,
        stdin: Any = None,
        files: Mapping[str, Contents] = {},
        limits: Optional[ResourceLimits] = None,
        env: Optional[Mapping[str, str]] = None,
        dirs: Optional[Mapping[str, DirectoryLike]] = None,
    ) -> Running:
        """Start the program, and go on while it runs.

        Args:
            args: As for `run`, like the others.
            stdin: None lets `Running.write` write to its standard input.
            files: As for `run`.
            limits: As for `run`.
            env: As for `run`.
            dirs: As for `run`.

        Returns:
            The running program: its output can be read as it comes, its input written, and it can
            be cancelled and waited for.
        """
        from .running import Running

        settings = replaced(self._settings, files, limits, env, dirs)
        return Running(self._code, settings, args, stdin)

    def map(
        self,
        inputs: Iterable[Any],
        *,
        executor: Any = None,
        ordered: bool = True,
        retries: int = 1,
        chunksize: Optional[int] = None,
        progress: Progress = None,
    ) -> Iterator[Result]:
        """Run the program for each input, here or over an executor, up to a cluster.

        Args:
            inputs: For each run, a tuple or list of arguments, a mapping of the keywords of `run`
                (``args`` for the arguments), or a single argument.
            executor: Where guests run: any `concurrent.futures.Executor`, of threads or processes,
                of loky, Ray or Dask (whose client is taken too); None for threads of this process,
                one for each processor. An executor of processes that breaks because one of them
                died is rebuilt for the rest of this map.
            ordered: Whether results come in the order of the inputs, or as they are there.
            retries: How often an input is run again whose worker died; then its result says
                ``worker-lost``.
            chunksize: How many inputs go together; None for what their measured cost makes worth
                while.
            progress: True for a bar of tqdm or rich, if one is installed and there is a terminal;
                or a callable that is told how many results there are, and how many there will be,
                or None if that is not known.

        Returns:
            An iterator of a `Result` for each input, whatever became of it: an input that cannot be
            sent or taken says so in its own. Inputs are taken as results are; closing the iterator
            cancels what has not begun.

        Raises:
            TypeError: An argument is of a wrong type; or a function of the host cannot be pickled.
            ValueError: An argument is out of range.

        Example:
            >>> from wasmtime.sandbox import Program
            >>> program = Program('(module (func (export "_start")))')
            >>> [result.ok for result in program.map([("a",), {"stdin": "b"}])]
            [True, True]
        """
        from .scale.mapping import map_inputs

        return map_inputs(self, inputs, None, executor, ordered, retries, chunksize, progress)

    def map_async(
        self,
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
                inputs,
                executor=executor,
                ordered=ordered,
                retries=retries,
                chunksize=chunksize,
                progress=progress,
            )
        )

    def explain(self) -> dict[str, str]:
        """How each limit is enforced here, for a program to log and a person to read.

        Returns:
            Sentences by limit; one says so where this platform or this tier enforces nothing.
        """
        from .explaining import explain

        return explain(self._settings)

    def __repr__(self) -> str:
        return f"<wasmtime.sandbox.Program {self._code.name!r}>"


def run(
    source: Source,
    *args: str,
    stdin: Any = None,
    files: Mapping[str, Contents] = {},
    check: bool = False,
    limits: ResourceLimits = _DEFAULT,
    env: Mapping[str, str] = {},
    dirs: Mapping[str, DirectoryLike] = {},
    functions: Mapping[str, Any] = {},
    seed: Seed = None,
    clock: Clock = None,
    network: bool = False,
    cache: Any = True,
    isolation: Isolation = "thread",
) -> Result:
    """Run a program that was not made before; the arguments are those of `Program` and its `run`.

    It is compiled once in a process, however often it is run so.

    Example:
        >>> from wasmtime.sandbox import run
        >>> run('(module (func (export "_start")))').ok
        True
    """
    program = Program(
        source,
        limits=limits,
        env=env,
        dirs=dirs,
        functions=functions,
        seed=seed,
        clock=clock,
        network=network,
        cache=cache,
        isolation=isolation,
    )
    return program.run(*args, stdin=stdin, files=files, check=check)


async def run_async(
    source: Source,
    *args: str,
    stdin: Any = None,
    files: Mapping[str, Contents] = {},
    check: bool = False,
    limits: ResourceLimits = _DEFAULT,
    env: Mapping[str, str] = {},
    dirs: Mapping[str, DirectoryLike] = {},
    functions: Mapping[str, Any] = {},
    seed: Seed = None,
    clock: Clock = None,
    network: bool = False,
    cache: Any = True,
    isolation: Isolation = "thread",
) -> Result:
    """As `run`, for a coroutine, also while it compiles: cancelling stops the guest.

    Example:
        >>> import asyncio
        >>> from wasmtime.sandbox import run_async
        >>> asyncio.run(run_async('(module (func (export "_start")))')).ok
        True
    """
    program = await in_thread(
        lambda: Program(
            source,
            limits=limits,
            env=env,
            dirs=dirs,
            functions=functions,
            seed=seed,
            clock=clock,
            network=network,
            cache=cache,
            isolation=isolation,
        )
    )
    return await program.run_async(*args, stdin=stdin, files=files, check=check)


def replaced(
    settings: Settings,
    files: Mapping[str, Contents],
    limits: Optional[ResourceLimits],
    env: Optional[Mapping[str, str]],
    dirs: Optional[Mapping[str, DirectoryLike]],
) -> Settings:
    """Settings with what the arguments of a run replace.

    Raises:
        TypeError: An argument is of a wrong type.
        ValueError: An argument is out of range, or two of them name the root.
    """
    changes: dict[str, Any] = {}
    if limits is not None:
        changes["limits"] = parse_limits(limits)
    if env is not None:
        changes["env"] = parse_environment(env)
    if dirs is not None:
        changes["dirs"] = parse_directories(dirs)
    if files:
        found = changes.get("dirs", settings.dirs)
        if "/" in found:
            raise ValueError(
                "files= and dirs= both name '/': put the files into "
                "Directory.temporary(files), or give the directory another name"
            )
        changes["dirs"] = {**found, "/": inputs(files)}
    return replace(settings, **changes) if changes else settings


def task_of(
    settings: Settings,
    args: tuple[str, ...],
    stdin: Any,
    directories: Directories,
    output: Optional[Callable[[Any, bytes], None]] = None,
    talk: Optional[Talk] = None,
) -> Task:
    """The run that some settings and arguments describe.

    Raises:
        TypeError: An argument of the program is no str, or its input is nothing to be read.
    """
    if stdin is not None:
        stdin = parse_input(stdin)
    for each in args:
        if not isinstance(each, str):
            raise TypeError(f"the arguments of a program must be str, not {type(each).__name__}")
    return Task(
        args,
        stdin,
        settings.env,
        directories.preopens,
        settings.limits,
        settings.seed,
        settings.clock,
        settings.network,
        output,
        talk,
    )


def with_files(result: Result, directories: Directories) -> Result:
    """A result with the files that were collected."""
    files, more = directories.collect()
    if not files and not more:
        return result
    return replace(result, files=files, truncated=result.truncated or more)
