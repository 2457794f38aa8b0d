"""A directory of compiled artifacts, so that a program is compiled once.

An entry is named after everything that its contents depend on: the WebAssembly bytes, the engine's
configuration, the version and the platform. Entries are written to a temporary file and renamed,
so that processes can share a directory; each is sealed, so that a damaged one is compiled again;
and the library refuses one that was compiled for a processor with features that this one lacks,
which is compiled again too.

What lies in the directory is machine code that runs in the process, so it must belong to the user
alone, and so must every directory above it that another user could exchange something in: see
`private_directory`. Where that is not so, the directory that a program names is refused with an
error; the user's own, which ``cache=True`` asks for, goes unused with a warning.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
import warnings
from typing import TYPE_CHECKING, Any, BinaryIO, Callable, Optional, TypeVar, Union

from .._error import WasmtimeError
from .._native import VERSION
from .._native.files import machine
from .private_directory import PrivateDirectory

if TYPE_CHECKING:
    from .._engine import Engine

__all__ = ["Cache", "CacheOption", "default_directory", "digest_of", "open_cache"]

_T = TypeVar("_T")

#: What functions with a `cache` parameter take.
CacheOption = Union[bool, str, os.PathLike[str], None]

#: When the entries exceed this many bytes, those unused for longest go.
_CAPACITY = 1 << 30

#: Names of what is entered: compiled code, and notes (`digests`).
_KINDS = (".cwasm", ".note")

#: A temporary file this many seconds old was left by a process that was killed.
_ABANDONED = 3600


def default_directory() -> str:
    """Return where this user's caches are kept.

    Raises:
        OSError: This user has no home directory.
    """
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or os.path.expanduser("~\\AppData\\Local")
    elif sys.platform == "darwin":
        base = os.path.expanduser("~/Library/Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME", "")
        if not os.path.isabs(base):  # to be ignored then, says the specification
            base = os.path.expanduser("~/.cache")
    if not os.path.isabs(base):
        raise FileNotFoundError("this user has no home directory to keep a cache in")
    return os.path.join(base, "wasmtime-python", "compiled")


class Cache:
    """One directory of compiled artifacts.

    Args:
        directory: The directory, or None for this user's own. It is made, for this user alone, if
            it does not exist.
    """

    def __init__(self, directory: Optional[str] = None) -> None:
        self._path = directory

    def _open(self) -> PrivateDirectory:
        path = default_directory() if self._path is None else self._path
        return PrivateDirectory(path, "the cache directory")

    def is_usable(self) -> bool:
        """Tell whether the directory can be opened and is safe."""
        try:
            with self._open():
                return True
        except (OSError, WasmtimeError):
            return False

    def entries(self) -> list[tuple[float, int, str]]:
        """Return when each entry was last used (seconds since 1970), its size in bytes, its name.

        Raises:
            OSError: The directory cannot be made or opened.
            WasmtimeError: Others could exchange what is in it.
        """
        with self._open() as directory:
            return sorted(entry for entry in directory.files() if entry[2].endswith(".cwasm"))

    def clear(self) -> tuple[int, int]:
        """Remove all entries; return how many they were, and their bytes.

        Raises:
            OSError: The directory cannot be made or opened, or an entry cannot be removed.
            WasmtimeError: Others could exchange what is in it.
        """
        with self._open() as directory:
            entries = list(directory.files())
            for _, _, name in entries:
                directory.remove(name)
        return len(entries), sum(size for _, size, _ in entries)

    def has(self, engine: Engine, kind: str, digest: bytes) -> bool:
        """Tell whether there is an entry; what is in it is found out by `load` alone.

        Args:
            engine: The engine.
            kind: What is compiled, "module" or "component".
            digest: The SHA-256 digest of the WebAssembly, binary or text.
        """
        try:
            with self._open() as directory:
                directory.open(f"{self._key(engine, kind, digest)}.cwasm").close()
            return True
        except (OSError, WasmtimeError):
            return False

    def load(
        self,
        engine: Engine,
        kind: str,
        digest: bytes,
        deserialize: Callable[[BinaryIO], _T],
        compile: Callable[[], _T],
        serialize: Callable[[_T], Any],
    ) -> _T:
        """Return the compiled form of `wasm`: from its entry, or compiled now and entered.

        Args:
            engine: The engine, whose configuration is part of the entry's name.
            kind: What is compiled, "module" or "component".
            digest: The SHA-256 digest of the WebAssembly, binary or text.
            deserialize: Makes it of an entry's file; WasmtimeError means that it is of no use.
            compile: Compiles.
            serialize: The sealed artifact of what was compiled.

        Raises:
            OSError: The directory was named and cannot be made or opened.
            WasmtimeError: It was named and others could exchange what is in it; or what `compile`
                raises.
        """
        try:
            directory = self._open()
        except (OSError, WasmtimeError) as error:
            if self._path is not None:
                raise
            _warn(f"the {kind} is compiled without the cache: {error}")
            return compile()
        with directory:
            entry = f"{self._key(engine, kind, digest)}.cwasm"
            try:
                with directory.open(entry) as file:
                    loaded = deserialize(file)
            except (WasmtimeError, OSError):
                pass
            else:
                _touch(directory, entry)
                return loaded
            compiled = compile()
            try:
                directory.write(entry, serialize(compiled))
                _trim(directory, entry)
            except OSError as error:
                _warn(f"the compiled {kind} could not be entered in the cache: {error}")
            return compiled

    def recall(self, name: str) -> Optional[bytes]:
        """What was noted under a name; None if there is nothing, or no safe directory."""
        try:
            with self._open() as directory, directory.open(f"{name}.note") as file:
                return file.read()
        except (OSError, WasmtimeError):
            return None

    def remember(self, name: str, contents: bytes) -> None:
        """Note something short under a name, where that can be."""
        try:
            with self._open() as directory:
                directory.write(f"{name}.note", contents)
        except (OSError, WasmtimeError):
            pass  # what needs the directory says so

    @staticmethod
    def _key(engine: Engine, kind: str, digest: bytes) -> str:
        key = hashlib.sha256()
        for part in (VERSION, sys.platform, machine(), kind, repr(engine._config)):
            key.update(part.encode())
            key.update(b"\0")
        key.update(digest)
        return key.hexdigest()


def _touch(directory: PrivateDirectory, entry: str) -> None:
    try:
        directory.touch(entry)
    except OSError:
        pass  # another process removed it, which does not concern what was read already


def _trim(directory: PrivateDirectory, newest: str) -> None:
    """Remove what exceeds the capacity, and what killed processes left."""
    files = sorted(directory.files())
    total = sum(size for _, size, _ in files)
    for changed, size, name in files:
        if name.endswith(".tmp"):
            superfluous = changed < time.time() - _ABANDONED
        else:
            superfluous = name.endswith(_KINDS) and name != newest and total > _CAPACITY
        if superfluous:
            directory.remove(name)
            total -= size


def _warn(message: str) -> None:
    """Warn whoever gave the `cache` argument: the first caller outside of this package."""
    package = __name__.partition(".")[0]
    level, frame = 1, sys._getframe()
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == package:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, RuntimeWarning, stacklevel=level)


def digest_of(wasm: bytes) -> bytes:
    """Return the digest of WebAssembly, which its entry is named after."""
    return hashlib.sha256(wasm).digest()


def open_cache(option: CacheOption) -> Cache:
    """Return the cache that a `cache` argument asks for.

    Args:
        option: True for this user's own directory, or the path of a directory.

    The other values, False and None, ask for none and do not come here.

    Raises:
        TypeError: It is neither.
    """
    if option is True:
        return Cache()
    try:
        path = os.fspath(option)  # type: ignore[arg-type]
        if isinstance(path, str):
            return Cache(path)
    except TypeError:
        pass
    raise TypeError(f"cache must be a bool or the path of a directory, not {type(option).__name__}")
