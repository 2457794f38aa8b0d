"""Snapshots: guests that have been set up once, and copied from then on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Generic, Optional, TypeVar, Union

from .._snapshots.errors import NotCapturable
from .abi.shapes import CoreABI
from .interpreters.adapters import Exports
from .preparing import prepared_code, why_not
from .settings import Settings
from .source import Code, refusal
from .tiers import Guest
from .waiting import in_thread

if TYPE_CHECKING:
    from .._snapshots.rewrite import Prepared
    from .._snapshots.state import State
    from .interpreter import Interpreter
    from .plugin import Plugin

__all__ = ["Origin", "Snapshot", "take_state"]

_S = TypeVar("_S", covariant=True)

#: Functions that set a library up, which have run already in what is baked.
_INITIALISERS = ("_initialize", "wizer.initialize")


@dataclass(frozen=True)
class Origin:
    """What a snapshot was taken of, and what its copies get.

    Attributes:
        code: The code.
        settings: What copies may see and use.
        abi: How values pass to a plug-in; None for an interpreter.
        adapter: How an interpreter takes code; None for a plug-in.
        functions: Functions of the host, for snippets.
        mark: How a program's driver begins lines for the host; "" for others.
    """

    code: Code
    settings: Settings
    abi: Optional[CoreABI]
    adapter: Any = None
    functions: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    mark: str = ""

    @property
    def kind(self) -> str:
        """What copies are."""
        return "plugin" if self.adapter is None else type(self.adapter).__name__.lower()

    def described(self) -> dict[str, Any]:
        """What a file says of this: what copies must have as well."""
        return {
            "kind": self.kind,
            "dirs": sorted(self.settings.dirs),
            "functions": sorted(self.functions),
        }


class Snapshot(Generic[_S]):
    """The state of a session, with which any number of others can begin.

    `PluginSession.snapshot` and `InterpreterSession.snapshot` take one. It holds what is in the
    guest's memories, globals and tables, as numbers and bytes: no object of the host, no open file,
    nothing of the environment. Copies are separate from each other and from the session that it was
    taken of; limits, fuel, time, streams and directories are those of a new session. It may be used
    from any number of threads.

    What a guest has drawn at random before is the same in every copy: seeds of hashes and of
    generators, identities, keys. Have copies draw anew what matters, and keep secrets out.

    Example:
        >>> from wasmtime.sandbox import Plugin
        >>> counter = Plugin('''
        ...     (module (global $n (mut i32) (i32.const 40))
        ...       (func (export "next") (result i32)
        ...         (global.set $n (i32.add (global.get $n) (i32.const 1)))
        ...         (global.get $n)))''')
        >>> with counter.open() as session:
        ...     session.call("next")
        ...     snapshot = session.snapshot()
        41
        >>> with snapshot.open() as one, snapshot.open() as other:
        ...     one.call("next"), other.call("next"), other.call("next")
        (42, 42, 43)
    """

    def __init__(self, origin: Origin, state: State) -> None:
        self._origin = origin
        self._state = state

    def open(self) -> _S:
        """A session that begins with this state, of the class of the one it was taken of.

        Raises:
            SandboxError: It cannot be instantiated: its limits may not let it become so large.
        """
        origin = self._origin
        opened: Any
        if origin.adapter is not None:
            from .interpreters.session import Begun, open_copy

            begun = Begun(self._state, origin.mark)
            opened = open_copy(
                origin.code, origin.settings, origin.adapter, origin.functions, begun
            )
        else:
            from .session import PluginSession

            assert origin.abi is not None
            opened = PluginSession(origin.code, origin.settings, origin.abi, self._state)
        found: _S = opened
        return found

    async def open_async(self) -> _S:
        """As `open`, for a coroutine."""
        return await in_thread(self.open)

    def save(self, path: Union[str, os.PathLike[str]]) -> None:
        """Write it to a file: what `load` reads.

        The file has a checksum, and the hash of the module; it has no native code, and nothing of
        it is unpickled. It holds all that was in the guest's memory.

        Args:
            path: The file, which is replaced as a whole.

        Raises:
            OSError: It cannot be written.
        """
        from .._snapshots.files import encode

        about = {**self._origin.described(), "mark": self._origin.mark}
        content = encode(self._prepared, self._state, about)
        target = Path(path)
        part = target.with_name(f"{target.name}.{os.getpid()}.part")
        try:
            part.write_bytes(content)
            os.replace(part, target)
        finally:
            part.unlink(missing_ok=True)

    async def save_async(self, path: Union[str, os.PathLike[str]]) -> None:
        """As `save`, for a coroutine."""
        await in_thread(lambda: self.save(path))

    @classmethod
    def load(
        cls, path: Union[str, os.PathLike[str]], target: Union[Plugin, Interpreter]
    ) -> Snapshot[Any]:
        """Read a file that `save` wrote.

        Args:
            path: The file.
            target: The `Plugin` or `Interpreter` of the same module; copies get its settings.

        Raises:
            SandboxError: The file is damaged, or of another module, another version of the library,
                or other directories.
            OSError: It cannot be read.
            TypeError: `target` is neither.
        """
        from .._snapshots.files import decode

        origin = _origin_of(target)
        try:
            code = prepared_code(origin.code)
            assert code.prepared is not None
            state, about = decode(Path(path).read_bytes(), code.prepared)
        except NotCapturable as error:
            raise refusal("ValueError", f"{os.fspath(path)}: {error}") from error
        mark = str(about.pop("mark", ""))
        if about != origin.described():
            raise refusal(
                "ValueError",
                f"{os.fspath(path)} was taken of another kind of guest, or with other directories "
                f"or functions: {about}, not {origin.described()}",
            )
        return cls(replace(origin, mark=mark), state)

    @classmethod
    async def load_async(
        cls, path: Union[str, os.PathLike[str]], target: Union[Plugin, Interpreter]
    ) -> Snapshot[Any]:
        """As `load`, for a coroutine."""
        return await in_thread(lambda: cls.load(path, target))

    def bake(self) -> bytes:
        """A WebAssembly module that begins with this state, for any engine.

        It is the module that the snapshot was taken of, in another initial state; its start
        function and `_initialize` are left out, since they have run. The same snapshot gives the
        same bytes.

        Raises:
            SandboxError: It cannot be written as a module.
        """
        from .._snapshots.bake import bake

        try:
            return bake(self._prepared, self._state, _INITIALISERS)
        except NotCapturable as error:
            raise refusal("ValueError", f"{self._origin.code.name}: {error}") from error

    async def bake_async(self) -> bytes:
        """As `bake`, for a coroutine."""
        return await in_thread(self.bake)

    @property
    def size(self) -> int:
        """How many bytes of memory it keeps: those that differ from a new instance's."""
        return self._state.size

    def explain(self) -> dict[str, str]:
        """How copies are made here."""
        mapped = any(memory.image.mapped for memory in self._state.memories if memory.runs)
        return {
            "snapshot": f"{self.size} bytes of memory differ from a new instance",
            "copies": (
                "share what they do not write to, where their memory is not taken from a pool"
                if mapped
                else "get the bytes that differ"
            ),
        }

    def __repr__(self) -> str:
        return f"<wasmtime.sandbox.Snapshot of {self._origin.code.name!r}, {self.size} bytes>"

    @property
    def _prepared(self) -> Prepared:
        prepared = prepared_code(self._origin.code).prepared
        assert prepared is not None
        return prepared


def take_state(guest: Guest, code: Code, settings: Settings) -> State:
    """Take the state of an open guest.

    Raises:
        SandboxError: It cannot be told.
    """
    try:
        why = why_not(code)
        if why is not None:
            raise NotCapturable(why)
        if settings.env:
            raise NotCapturable(
                "its environment variables would be in it: open the session without env="
            )
        return guest.snapshot()
    except NotCapturable as error:
        raise refusal("ValueError", f"no snapshot of {code.name}: {error}") from error


def _origin_of(target: Union[Plugin, Interpreter]) -> Origin:
    from .interpreter import Interpreter
    from .plugin import Plugin

    if isinstance(target, Plugin):
        return Origin(target._ready, target._settings, target._abi)
    if not isinstance(target, Interpreter):
        raise TypeError(f"target must be a Plugin or an Interpreter, not {type(target).__name__}")
    adapter = target._adapter
    if isinstance(adapter, Exports):
        return Origin(target._ready, target._settings, adapter.abi, adapter)
    return Origin(target._ready, target._settings, None, adapter, target._functions)
