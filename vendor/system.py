"""Build against a libwasmtime that is installed on this machine, instead of the locked one.

``WASMTIME_SYSTEM_LIB`` names the library or the directory that holds it. The library has no
version in its file name, nor a function that tells one; what it has is the version in the names of
the two functions that debuggers look for. The declarations that the binding is compiled from are
those of one version, and structs change between versions, so any other is refused.

Only the standard library is used: the build runs this before anything is installed.
"""

from __future__ import annotations

import ctypes
import mmap
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Optional

from vendor.fetch import FetchError

VARIABLE = "WASMTIME_SYSTEM_LIB"

_VERSIONED = re.compile(rb"set_vmctx_memory_(\d+)_(\d+)_(\d+)\0")
# Where the loader looks without being told.
_DEFAULT = re.compile(r"/(usr/)?lib(64|/[a-z0-9_]+-linux-[a-z]+)?")


class SystemLibrary(NamedTuple):
    """A library of this machine that the binding can be built against.

    Attributes:
        path: The library.
        version: The version that it tells of itself, such as ``50.0.0``.
        run_path: The directory that the binary modules must be told to look into, or None where
            the loader looks anyway.
    """

    path: Path
    version: str
    run_path: Optional[str]


def versioned_symbol(version: str) -> str:
    """Return the name of the function that only a library of this version exports."""
    return "set_vmctx_memory_" + version.replace(".", "_")


def library_version(path: Path) -> str:
    """Return the version of a libwasmtime of any platform, by the names of its functions.

    Args:
        path: The library.

    Returns:
        The version, such as ``50.0.0``. It is Wasmtime's own: the published package may have been
        released more often than the library that it carries.

    Raises:
        FetchError: The file cannot be read, or names no version.
    """
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            found = _VERSIONED.search(data)
            version = ".".join(part.decode() for part in found.groups()) if found else None
    except (OSError, ValueError) as error:
        raise FetchError(f"cannot read the library {path}: {error}") from error
    if version is None:
        raise FetchError(
            f"{path} does not tell its version: it exports no function set_vmctx_memory_X_Y_Z; it "
            "is no libwasmtime, or was built without the feature 'debug-builtins'"
        )
    return version


def _library_name() -> str:
    return "libwasmtime.dylib" if sys.platform == "darwin" else "libwasmtime.so"


def check(named: Path, version: str, functions: Sequence[str]) -> SystemLibrary:
    """Check that the binding can be built against a library.

    Args:
        named: The library, or the directory that holds it.
        version: The version that the declarations are of. The library's may differ from it in
            the last part, in which Wasmtime only corrects mistakes.
        functions: The names of all functions that the binding calls.

    Returns:
        The library.

    Raises:
        FetchError: It cannot be used; the text says why.
    """
    if sys.platform == "win32":
        raise FetchError(
            f"{VARIABLE} is not supported on Windows, which has no place for libraries of the "
            "system; unset it to bundle the locked library"
        )
    name = _library_name()
    path = named / name if named.is_dir() else named
    if not path.is_file():
        raise FetchError(f"{VARIABLE}={named}: there is no {path}")
    if path.name != name:
        raise FetchError(
            f"{VARIABLE}={named}: the file must be called {name}, because the linker looks for it "
            "by this name"
        )
    path = path.absolute()
    found = library_version(path)
    if found.split(".")[:2] != version.split(".")[:2]:
        wanted = ".".join(version.split(".")[:2])
        raise FetchError(
            f"{path} is libwasmtime {found}, and this is the binding of {wanted}.x, whose structs "
            f"may have another layout; install libwasmtime {wanted}.x, or unset {VARIABLE} to "
            "bundle the locked library"
        )
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise FetchError(f"{path} cannot be loaded here: {error}") from error
    missing = [function for function in functions if not hasattr(library, function)]
    if missing:
        raise FetchError(
            f"{path} lacks {len(missing)} of the {len(functions)} functions of the C API, "
            f"{missing[0]} among them; build libwasmtime with all of its features, or unset "
            f"{VARIABLE} to bundle the locked library"
        )
    directory = str(path.parent)
    return SystemLibrary(path, found, None if _DEFAULT.fullmatch(directory) else directory)
