"""Interpreters: guests that run snippets of a language."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Optional

from .directory import Contents, Directories, DirectoryLike
from .errors import raise_unless_ok
from .functions import HostFunctions
from .interpreters.adapters import Adapter, Argv, Exports, Stdin, has_driver
from .interpreters.conversation import Conversation
from .interpreters.drivers import calling
from .interpreters.installed import find_installed, known_adapter
from .interpreters.session import InterpreterSession, open_session
from .interpreters.warm import OneSnippet, Plan, Warm
from .limits import ResourceLimits
from .preparing import capturable, prepared_code
from .program import replaced, task_of, with_files
from .result import Result
from .settings import Clock, Isolation, Seed, Settings, parse_settings
from .source import Code, Source, code_of, refusal
from .tiers import Call, prepare, run_guest, run_guest_async
from .waiting import in_thread, iterate
from .world import Task

if TYPE_CHECKING:
    from .._snapshots.state import State
    from .scale.progress import Progress

__all__ = ["Interpreter"]

_DEFAULT = ResourceLimits()


class Interpreter:
    r"""An interpreter compiled to WebAssembly: it runs snippets of its language.

    `Interpreter.python` and `Interpreter.javascript` find one that another package has installed.

    Args:
        source: A path, bytes, a `Module` or a `Component`.
        adapter: How the interpreter takes code: `Argv`, `Stdin` or `Exports`; ``"auto"`` knows the
            interpreters that are listed in the documentation.
        setup: Code that runs before each snippet, and once in each session.
        warm: Whether `setup` may be run once and each snippet get a copy of the state that it left,
            where there is a way; otherwise it runs before each snippet. `explain` tells which.
        reseed: Code that runs in each copy before the snippet, so that what was drawn at random in
            `setup` is not the same in all; ``"auto"`` for what the language's own generators need,
            and "" for nothing.
        limits: What a snippet may use.
        env: Its environment variables.
        dirs: Its directories, as for `Program`.
        functions: Functions of the host, which snippets call by their names; what passes is what
            JSON has.
        seed: Makes its random numbers the same each time.
        clock: What time it is for it.
        cache: Where compiled code is kept between processes.
        isolation: ``"thread"`` or ``"process"``, as for `Program`.
        portable: Compile for every processor of this architecture instead of this machine's: for
            clusters whose machines differ; what is compiled may be somewhat slower.

    Raises:
        SandboxError: The source is not valid or is too large, the adapter does not fit it, or it
            offers no way to call functions of the host.
        TypeError: An argument is of a wrong type.
        ValueError: An argument is out of range.

    Example:
        >>> from wasmtime.sandbox import Interpreter
        >>> python = Interpreter.python(setup="import json")      # doctest: +SKIP
        >>> python.run("print(json.dumps([1, 2]))").text          # doctest: +SKIP
        '[1, 2]\\n'
    """

    def __init__(
        self,
        source: Source,
        adapter: Adapter = "auto",
        *,
        setup: str = "",
        warm: bool = True,
        reseed: str = "auto",
        limits: ResourceLimits = _DEFAULT,
        env: Mapping[str, str] = {},
        dirs: Mapping[str, DirectoryLike] = {},
        functions: Mapping[str, Any] = {},
        seed: Seed = None,
        clock: Clock = None,
        cache: Any = True,
        isolation: Isolation = "thread",
        portable: bool = False,
    ) -> None:
        settings = parse_settings(
            limits, env, dirs, functions, seed, clock, False, cache, isolation
        )
        self._code, data = code_of(source, limits.module, portable, cache)
        self._adapter = _adapter_for(adapter, self._code)
        self._functions = settings.functions.flat()
        self._setup = setup
        if self._functions and not has_driver(self._adapter):
            raise refusal(
                "ValueError",
                f"{self._code.name} offers no way to call functions of the host: there are drivers "
                "for programs in Python and JavaScript, and its adapter names none",
            )
        self._settings = replace(settings, functions=HostFunctions(self._adapter.imports))
        self._reseed = reseed if warm else None
        self._choose_way()
        if self._ready is not self._code:
            data = None
        prepare(self._ready, self._settings, not isinstance(self._adapter, Exports), data)

    def _choose_way(self) -> None:
        """Find out how copies are made, which depends on the settings."""
        self._warm: Optional[Warm] = None
        self._ready = self._code
        if isinstance(self._adapter, Exports):  # sessions have the form that is compiled
            self._ready = capturable(self._code, self._settings)
        self._why_not_warm = "warm is False"
        if self._reseed is None:
            return
        made = Warm(
            self._code, self._settings, self._adapter, self._setup, self._functions, self._reseed
        )
        self._why_not_warm = made.why
        self._warm = made if made.way != "each" else None
        if made.way == "captured":  # the one form in which it is compiled
            self._ready = prepared_code(self._code)

    @classmethod
    def python(cls, **options: Any) -> Interpreter:
        """CPython, from a package that is installed.

        Args:
            options: The keywords of the constructor.

        Raises:
            SandboxError: None is installed; the message names the package to install.
        """
        return cls(**find_installed("python").options(options))

    @classmethod
    def micropython(cls, **options: Any) -> Interpreter:
        """MicroPython, as `python`."""
        return cls(**find_installed("micropython").options(options))

    @classmethod
    def javascript(cls, **options: Any) -> Interpreter:
        """QuickJS, as `python`."""
        return cls(**find_installed("javascript").options(options))

    def run(
        self,
        code: str,
        *args: str,
        stdin: Any = None,
        files: Mapping[str, Contents] = {},
        check: bool = False,
        limits: Optional[ResourceLimits] = None,
        env: Optional[Mapping[str, str]] = None,
        dirs: Optional[Mapping[str, DirectoryLike]] = None,
    ) -> Result:
        """Run a snippet in a fresh copy of the interpreter.

        Args:
            code: The snippet.
            args: Arguments that it finds behind it.
            stdin: As for `Program.run`; not together with functions of the host, which are called
                over it.
            files: As for `Program.run`.
            check: Raise unless it ends with status 0.
            limits: As for `Program.run`.
            env: As for `Program.run`.
            dirs: As for `Program.run`.

        Raises:
            SandboxError: It did not end well, and `check` is true.
            TypeError: An argument is of a wrong type.
            ValueError: An argument is out of range.
        """
        warm = self._warm_for(code, args, stdin, files, limits, env, dirs)
        if warm is not None and warm.way == "ahead":
            result, cause = warm.run_ahead(code, self._settings.supply)
            return raise_unless_ok(result, cause) if check else result
        settings = replaced(self._settings, files, limits, env, dirs)
        with Directories(settings.dirs) as directories:
            plan = self._plan(code, args, stdin, settings, directories, warm)
            parts = (plan.code, settings, plan.task, plan.call, plan.state, plan.meet)
            result, cause = run_guest(*parts)
            result = self._told(with_files(result, directories), plan.talk)
        return raise_unless_ok(result, cause) if check else result

    def _warm_for(self, code: str, args: tuple[str, ...], *others: Any) -> Optional[Warm]:
        """What a snippet gets a copy of, unless it asks for what only a new start can give it."""
        stdin, files, limits, env, dirs = others
        if self._warm is None or args or files or env or dirs is not None or stdin is not None:
            return None
        return None if limits is not None and self._warm.way == "ahead" else self._warm

    def _begins_with(self) -> tuple[Code, Optional[State]]:
        """What instances are made of, and the state that they begin with.

        Raises:
            SandboxError: The interpreter could not be set up.
        """
        if self._warm is None or self._warm.way != "captured":
            return self._ready, None
        return self._ready, self._warm.captured()

    async def run_async(
        self,
        code: str,
        *args: str,
        stdin: Any = None,
        files: Mapping[str, Contents] = {},
        check: bool = False,
        limits: Optional[ResourceLimits] = None,
        env: Optional[Mapping[str, str]] = None,
        dirs: Optional[Mapping[str, DirectoryLike]] = None,
    ) -> Result:
        """As `run`, for a coroutine: the event loop goes on, and cancelling stops the guest."""
        warm = self._warm_for(code, args, stdin, files, limits, env, dirs)
        if warm is not None and warm.way == "ahead":
            result, cause = await warm.run_ahead_async(code)
            return raise_unless_ok(result, cause) if check else result
        if warm is not None:  # what it begins with may have to be made first
            return await in_thread(lambda: self.run(code, check=check, limits=limits))
        settings = replaced(self._settings, files, limits, env, dirs)
        with Directories(settings.dirs) as directories:
            plan = self._plan(code, args, stdin, settings, directories, None)
            result, cause = await run_guest_async(
                plan.code, settings, plan.task, plan.call, plan.state
            )
            result = self._told(with_files(result, directories), plan.talk)
        return raise_unless_ok(result, cause) if check else result

    def map(
        self,
        snippets: Iterable[Any],
        *,
        executor: Any = None,
        ordered: bool = True,
        retries: int = 1,
        chunksize: Optional[int] = None,
        progress: Progress = None,
    ) -> Iterator[Result]:
        r"""Run the interpreter for each input, here or over an executor, up to a cluster.

        Args:
            snippets: Snippets; or for each run a tuple of a snippet and arguments, or a mapping of
                the keywords of `run`.
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
            >>> from wasmtime.sandbox import Interpreter
            >>> python = Interpreter.python()                              # doctest: +SKIP
            >>> [r.text for r in python.map(["print(1)", "print(2)"])]     # doctest: +SKIP
            ['1\n', '2\n']
        """
        from .scale.mapping import map_inputs

        return map_inputs(self, snippets, None, executor, ordered, retries, chunksize, progress)

    def map_async(
        self,
        snippets: Iterable[Any],
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
                snippets,
                executor=executor,
                ordered=ordered,
                retries=retries,
                chunksize=chunksize,
                progress=progress,
            )
        )

    def open(self) -> InterpreterSession:
        """A copy of the interpreter that is kept, with its state, between snippets.

        Raises:
            SandboxError: The interpreter offers no way to keep state, or cannot be started.
        """
        adapter, warm = self._adapter, self._warm
        if not isinstance(adapter, Exports):
            return open_session(self._ready, self._settings, adapter, self._setup, self._functions)
        if warm is not None:
            return warm.open()
        return open_session(self._ready, self._settings, adapter, self._setup, self._functions)

    async def open_async(self) -> InterpreterSession:
        """As `open`, for a coroutine: ``async with await python.open_async() as session``."""
        return await in_thread(self.open)

    def explain(self) -> dict[str, str]:
        """How each limit is enforced here, as `Program.explain`."""
        from .explaining import explain

        told = explain(self._settings)
        if self._warm is None:
            told["setup"] = f"runs in each copy: {self._why_not_warm}"
        elif self._warm.way == "captured":
            told["setup"] = f"runs once, and copies begin with its state: {self._warm.why}"
        else:
            told["setup"] = f"runs ahead, and the copy waits for its snippet: {self._warm.why}"
        return told

    def __repr__(self) -> str:
        return f"<wasmtime.sandbox.Interpreter {self._code.name!r}>"

    def _told(self, result: Result, talk: Optional[Conversation]) -> Result:
        """The result of a snippet, of the result of its guest."""
        if isinstance(self._adapter, Exports):
            return self._adapter.told(result)
        return _complete(result, talk)

    def _plan(
        self,
        code: str,
        args: tuple[str, ...],
        stdin: Any,
        settings: Settings,
        directories: Directories,
        warm: Optional[Warm],
    ) -> Plan:
        """The run of a snippet."""
        if not isinstance(code, str):
            raise TypeError(f"code must be a str, not {type(code).__name__}")
        if warm is not None:
            return warm.plan(code, settings, directories)
        task, call, talk = self._plan_cold(code, args, stdin, settings, directories)
        return Plan(self._ready, None, task, call, talk)

    def _plan_cold(
        self,
        code: str,
        args: tuple[str, ...],
        stdin: Any,
        settings: Settings,
        directories: Directories,
    ) -> tuple[Task, Optional[Call], Optional[Conversation]]:
        """The task of a new start, what is called of a library, and what is talked about."""
        adapter, whole = self._adapter, f"{self._setup}\n{code}" if self._setup else code
        if isinstance(adapter, Exports):
            call = Call(adapter.evaluate, [whole], adapter.abi)
            return task_of(settings, args, stdin, directories), call, None
        if isinstance(adapter, Stdin):
            if stdin is not None:
                raise ValueError("this interpreter reads its code from stdin: it has no other")
            return task_of(settings, (*adapter.options, *args), whole, directories), None, None
        if not self._functions:
            words = (*adapter.options, whole, *args)
            return task_of(settings, words, stdin, directories), None, None
        if stdin is not None:
            raise ValueError("functions of the host are called over stdin: a snippet has no other")
        assert adapter.language is not None
        talk = Conversation(self._functions)
        driver = calling(adapter.language, talk.mark, self._functions, whole)
        words = (*(adapter.driver_options or adapter.options), driver, *args)
        task = task_of(settings, words, talk.read, directories, talk=talk)
        return task, None, talk


def _adapter_for(adapter: Adapter, code: Code) -> Any:
    if isinstance(adapter, (Argv, Stdin, Exports)):
        return adapter
    if adapter != "auto":
        raise TypeError(f"adapter must be Argv, Stdin, Exports or 'auto', not {adapter!r}")
    found = known_adapter(code.sha256)
    if found is None:
        raise refusal(
            "ValueError",
            f"{code.name} is no interpreter that is known: say how it takes code, such as with "
            "adapter=Argv(('-c',), language='python')",
        )
    return found


def _complete(result: Result, talk: Optional[Conversation]) -> Result:
    """A result with the end of the output, which looked as if it were for the host."""
    rest = talk.rest() if talk is not None else b""
    if isinstance(talk, OneSnippet):
        result = talk.complete(result)
    return replace(result, stdout=result.stdout + rest) if rest else result
