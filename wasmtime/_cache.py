"""
A directory of compiled artifacts, so that a program is compiled once.

An entry is named after everything that its contents depend on: the WebAssembly bytes, the engine's
configuration, the version and the platform. Entries are written to a temporary file and renamed,
so that processes can share a directory; each is sealed, so that a damaged one is compiled again;
and the library refuses one that was compiled for a processor with features that this one lacks,
which is compiled again too.

What lies in the directory is machine code that runs in the process, so it must belong to the user
alone.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, TypeVar, Union

from ._error import WasmtimeError
from ._native import VERSION

if TYPE_CHECKING:
    from ._engine import Engine

__all__ = ["Cache", "CacheOption", "open_cache"]

_T = TypeVar("_T")

#: What functions with a `cache` parameter take.
CacheOption = Union[bool, str, os.PathLike[str]]

#: When the entries exceed this many bytes, those unused for longest go.
_CAPACITY = 2 << 30


def _default_directory() -> Path:
    """
    Where this user's caches are kept.
    """
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or os.path.expanduser("~\\AppData\\Local")
    elif sys.platform == "darwin":
        base = os.path.expanduser("~/Library/Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base) / "wasmtime-python" / "compiled"


class Cache:
    """
    One directory of compiled artifacts.

    Args:
        directory: The directory; it is made, for this user alone, if it does not exist.

    Raises:
        OSError: It cannot be made.
        WasmtimeError: Others can write to it.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.name == "posix":
            status = directory.stat()
            if status.st_uid != os.geteuid() or status.st_mode & 0o022:
                raise WasmtimeError(
                    f"the cache directory {str(directory)!r} is not safe: it holds machine code, "
                    "so it must belong to this user and be writable by nobody else (chmod 700)"
                )
        self.directory = directory

    def load(
        self,
        engine: Engine,
        kind: str,
        wasm: bytes,
        deserialize: Callable[[bytes], _T],
        compile: Callable[[], _T],
        serialize: Callable[[_T], Any],
    ) -> _T:
        """
        The compiled form of `wasm`: from its entry, or compiled now and entered.

        Args:
            engine: The engine, whose configuration is part of the entry's name.
            kind: What is compiled, "module" or "component".
            wasm: The WebAssembly binary.
            deserialize: Makes it of an entry's bytes; WasmtimeError means that they are of no use.
            compile: Compiles.
            serialize: The sealed artifact of what was compiled.
        """
        entry = self.directory / f"{self._key(engine, kind, wasm)}.cwasm"
        try:
            # Read, not mapped: what is checked is what is loaded, and nobody can cut it short
            # under a running module.
            loaded = deserialize(entry.read_bytes())
        except (WasmtimeError, OSError):
            pass
        else:
            self._touch(entry)
            return loaded
        compiled = compile()
        try:
            self._write(entry, serialize(compiled))
        except OSError as error:
            warnings.warn(
                f"the compiled {kind} could not be entered in the cache: {error}",
                RuntimeWarning,
                stacklevel=3,
            )
        return compiled

    @staticmethod
    def _key(engine: Engine, kind: str, wasm: bytes) -> str:
        key = hashlib.sha256()
        for part in (VERSION, sys.platform, platform.machine(), kind, repr(engine._config)):
            key.update(part.encode())
            key.update(b"\0")
        key.update(wasm)
        return key.hexdigest()

    @staticmethod
    def _touch(entry: Path) -> None:
        try:
            os.utime(entry)
        except OSError:
            pass  # another process removed it, which does not concern what is mapped already

    def _write(self, entry: Path, artifact: Any) -> None:
        descriptor, name = tempfile.mkstemp(dir=self.directory, suffix=".tmp")
        try:
            with open(descriptor, "wb") as file:
                file.write(artifact)
            os.replace(name, entry)
        except BaseException:
            os.unlink(name)
            raise
        self._trim(entry)

    def _trim(self, newest: Path) -> None:
        entries = []
        for path in self.directory.glob("*.cwasm"):
            try:
                status = path.stat()
            except OSError:
                continue
            entries.append((status.st_mtime, status.st_size, path))
        total = sum(size for _, size, _ in entries)
        for _, size, path in sorted(entries):
            if total <= _CAPACITY:
                break
            if path != newest:
                path.unlink(missing_ok=True)
                total -= size


def open_cache(option: CacheOption) -> Cache:
    """
    The cache that a `cache` argument asks for: True for this user's own directory, or a path.

    Raises:
        TypeError: It is neither.
    """
    if option is True:
        return Cache(_default_directory())
    try:
        return Cache(Path(os.fspath(option)))  # type: ignore[arg-type]
    except TypeError as error:
        raise TypeError(
            f"cache must be a bool or the path of a directory, not {type(option).__name__}"
        ) from error
