"""Why the native half of the package cannot be loaded, and what to do.

A loader's own words ("invalid ELF header", "undefined symbol") do not say what to do. So when the
import fails, the files are looked into: who built them, for what, and whether they are as
installed. Loaded only then.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from importlib.machinery import EXTENSION_SUFFIXES
from typing import Optional

from .files import library_name, native_files, problem
from .host import glibc_version

__all__ = ["explain", "remedy"]

_VERSIONED = rb"set_vmctx_memory_(\d+)_(\d+)_(\d+)\0"


def _contents(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _version_in(data: bytes) -> Optional[str]:
    found = re.search(_VERSIONED, data)
    return ".".join(part.decode() for part in found.groups()) if found else None


def _missing_modules(directory: str) -> Iterator[str]:
    for name in ("_core", "_ffi"):
        if any(os.path.isfile(os.path.join(directory, name + end)) for end in EXTENSION_SUFFIXES):
            continue
        try:
            others = sorted(file for file in os.listdir(directory) if file.startswith(name + "."))
        except OSError:
            others = []
        others = [file for file in others if not file.endswith((".py", ".pyi"))]
        if others:
            yield (
                f"{', '.join(others)} in {directory} is for another Python; this one, "
                f"{sys.implementation.name} {sys.version.split()[0]}, loads files that end in "
                + ", ".join(EXTENSION_SUFFIXES)
            )
        else:
            yield f"the module {name} is missing from {directory}"


def _library_problems(directory: str) -> Iterator[str]:
    library = os.path.join(directory, "_lib", library_name())
    files = native_files(directory)
    core = next((file for file in files if os.path.basename(file).startswith("_core.")), None)
    core_data = _contents(core) if core else b""
    if not os.path.isfile(library):
        if not core_data or b"/_lib\0" in core_data or sys.platform == "win32":
            yield f"the bundled library {library} is missing"
        else:
            yield (
                "this package was built against a libwasmtime of the system, which is missing or "
                "of another version than then"
            )
        return
    data = _contents(library)
    found, wanted = _version_in(data), _version_in(core_data)
    if found is None:
        yield f"{library} is no libwasmtime"
    elif wanted is not None and found != wanted:
        yield f"{library} is libwasmtime {found}, and this package is built for {wanted}"
    if sys.platform == "linux":
        if b"\0libc.so.6\0" in data:
            if not glibc_version():
                yield f"{library} is for glibc, and this Python uses another C library"
        elif glibc_version() and b"\0libc.so\0" in data:
            yield f"{library} is for musl, and this Python uses glibc"


def _changed_files(directory: str) -> Iterator[str]:
    """Yield native files whose contents are not those that the installer wrote down."""
    import base64
    import hashlib
    from importlib import metadata

    try:
        files = metadata.distribution("wasmtime").files or []
    except metadata.PackageNotFoundError:
        return
    recorded = {os.path.realpath(str(file.locate())): file.hash for file in files if file.hash}
    for path in native_files(directory):
        entry = recorded.get(os.path.realpath(path))
        if entry is None or entry.mode != "sha256":
            continue
        digest = hashlib.sha256(_contents(path)).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != entry.value:
            yield f"{path} is not what was installed: its sha256 is another than the recorded one"


def explain(error: ImportError, directory: str) -> str:
    """Say why the native half cannot be loaded, and what to do.

    Args:
        error: What the import system raised.
        directory: The directory of the package.

    Returns:
        One or more sentences for the user.
    """
    text = str(error)
    archive = _archive(directory)
    if archive is not None:
        return (
            f"it lies in the archive {archive}, and native modules cannot be loaded from there. "
            "Install it into a directory, or use a tool that unpacks the archive before it runs"
        )
    if "interpreter" in text:
        return (
            f"{text}. It works in one interpreter of a process only: use threads or processes "
            "instead of subinterpreters"
        )
    if error.name in ("cffi", "_cffi_backend"):
        return (
            f"it needs the package cffi, which this Python cannot import ({text}). Install it: "
            f"{_pip()} install cffi"
        )
    found = [said for said in (problem(directory),) if said]
    found += _missing_modules(directory)
    found += _library_problems(directory)
    needed = re.search(r"GLIBC_([\d.]+)", text)
    if needed is not None:
        found.append(
            f"it needs glibc {needed.group(1)} or newer, and this system has "
            f"{glibc_version() or 'another C library'}"
        )
    if not found:
        found += _changed_files(directory)
    if not found:
        found.append(f"the files in {directory} do not fit this system or each other")
    return f"{'; '.join(found)}. {remedy(directory)} (the loader said: {text})"


def _archive(directory: str) -> Optional[str]:
    """Return the file that a directory lies in, if it exists in an archive only."""
    path = directory
    while not os.path.exists(path) and os.path.dirname(path) != path:
        path = os.path.dirname(path)
    return path if os.path.isfile(path) else None


def remedy(directory: str) -> str:
    """Say what to do where the native files do not fit.

    Args:
        directory: The directory of the package.

    Returns:
        A sentence without its full stop.
    """
    root = os.path.dirname(directory)
    if os.path.isfile(os.path.join(root, "csrc", "core", "_core.c")):
        return (
            f'This is a checkout: to work on it, build it with {_pip()} install -e "{root}"; to '
            "use the wasmtime that is installed, start Python in another directory"
        )
    return (
        f"Install it again with this Python: {_pip()} install --force-reinstall --no-cache-dir "
        f"{_installed_from(directory)}"
    )


def _installed_from(directory: str) -> str:
    """Return what to name to pip: where the package was installed from, or else its name."""
    import json
    from importlib import metadata

    try:
        found = metadata.distribution("wasmtime")
        if os.path.realpath(str(found.locate_file("wasmtime"))) == os.path.realpath(directory):
            # The index may have another package of this name.
            return str(json.loads(found.read_text("direct_url.json") or "{}")["url"])
    except (metadata.PackageNotFoundError, ValueError, KeyError):
        pass
    return "wasmtime"


def _pip() -> str:
    return f"{os.path.basename(sys.executable or 'python')} -m pip"
