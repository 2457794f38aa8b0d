"""What can be wrong with the native files of the package, told before or after the loader trips.

A loader's own words ("invalid ELF header", "undefined symbol") do not say what to do, and of a file
that is cut off it does not even notice: the process dies of SIGBUS. So the headers are read before
anything is loaded, which takes some ten microseconds a file, and when loading fails all the same
the rest is looked into: who built the files, for what, and whether they are as installed.

Nothing here imports the rest of the package.
"""

from __future__ import annotations

import os
import re
import struct
import sys
from collections.abc import Iterator
from importlib.machinery import EXTENSION_SUFFIXES
from typing import Optional

__all__ = ["VERSION", "examine", "explain", "machine", "native_files", "problem", "remedy"]

try:
    from ._version import VERSION
except ModuleNotFoundError:
    # A checkout that was never built: what else is missing is said by `problem`.
    VERSION = "(never built)"

_ELF_MACHINES = {3: "i686", 40: "arm", 62: "x86_64", 183: "aarch64", 243: "riscv64"}
_MACHO_MACHINES = {0x01000007: "x86_64", 0x0100000C: "aarch64"}
_PE_MACHINES = {0x014C: "i686", 0x8664: "x86_64", 0xAA64: "aarch64"}
_SYSTEMS = {"ELF": "Linux", "Mach-O": "macOS", "PE": "Windows"}
#: Other names of the machines. A kernel with the personality of a 32-bit machine (setarch, linux32)
#: says its name to 64-bit programs too, and this package is for these alone.
_SAME_MACHINE = {
    "amd64": "x86_64",
    **dict.fromkeys(("i386", "i486", "i586", "i686"), "x86_64"),
    "arm64": "aarch64",
    **dict.fromkeys(("armv7l", "armv8b", "armv8l"), "aarch64"),
}
_VERSIONED = rb"set_vmctx_memory_(\d+)_(\d+)_(\d+)\0"


class _CutOff(Exception):
    """A file ends before what its header promises."""

    def __init__(self, promised: int) -> None:
        self.promised = promised


def library_name() -> str:
    """The file name of the bundled library on this platform.

    On Windows it has the version in it: of two DLLs of one name, a process loads the first only,
    whichever package that is of.
    """
    windows = f"wasmtime_{VERSION.replace('.', '_')}.dll"
    return {"win32": windows, "darwin": "libwasmtime.dylib"}.get(sys.platform, "libwasmtime.so")


def native_files(directory: str) -> Iterator[str]:
    """The native files of the package that exist and that this Python would load.

    Args:
        directory: The directory of the package.
    """
    library = os.path.join(directory, "_lib", library_name())
    if os.path.isfile(library):
        yield library
    for name in ("_core", "_ffi"):
        for suffix in EXTENSION_SUFFIXES:
            path = os.path.join(directory, name + suffix)
            if os.path.isfile(path):
                yield path
                break  # the first one is what the import system takes


def _format() -> str:
    return {"win32": "PE", "darwin": "Mach-O"}.get(sys.platform, "ELF")


def machine() -> str:
    """The architecture that this interpreter, a 64-bit one, is built for: "x86_64" or "aarch64"."""
    if sys.platform == "win32":
        # The machine may be another than the interpreter, which it then emulates.
        from sysconfig import get_platform

        name = get_platform().partition("-")[2]
    else:
        name = os.uname().machine
    name = name.lower()
    return _SAME_MACHINE.get(name, name)


def _elf(head: bytes, size: int) -> Optional[str]:
    if head[4] != 2 or head[5] != 1:
        return "32-bit or big-endian"
    machine = struct.unpack_from("<H", head, 18)[0]
    program, sections = struct.unpack_from("<QQ", head, 32)
    entry, count = struct.unpack_from("<HH", head, 54)
    end = sections + struct.unpack_from("<H", head, 58)[0] * struct.unpack_from("<H", head, 60)[0]
    for index in range(count):
        start = program + index * entry
        if start + 56 > len(head):
            break
        kind = struct.unpack_from("<I", head, start)[0]
        if kind == 1:  # PT_LOAD
            offset = struct.unpack_from("<Q", head, start + 8)[0]
            end = max(end, offset + struct.unpack_from("<Q", head, start + 32)[0])
    if end > size:
        raise _CutOff(end)
    return _ELF_MACHINES.get(machine, f"ELF machine {machine}")


def _macho(head: bytes, size: int) -> Optional[str]:
    kind = struct.unpack_from("<I", head, 4)[0]
    start, end = 32, 0
    for _ in range(struct.unpack_from("<I", head, 16)[0]):
        if start + 56 > len(head):
            break
        command, length = struct.unpack_from("<II", head, start)
        if command == 0x19:  # LC_SEGMENT_64
            offset, extent = struct.unpack_from("<QQ", head, start + 40)
            end = max(end, offset + extent)
        start += length
    if end > size:
        raise _CutOff(end)
    return _MACHO_MACHINES.get(kind, f"Mach-O machine {kind:#x}")


def _pe(head: bytes, size: int) -> Optional[str]:
    start = struct.unpack_from("<I", head, 60)[0]
    if start + 6 > len(head):
        raise _CutOff(start + 6)
    machine = struct.unpack_from("<H", head, start + 4)[0]
    return _PE_MACHINES.get(machine, f"PE machine {machine:#x}")


def examine(path: str) -> Optional[str]:
    """What is wrong with a native file, by its header alone.

    Args:
        path: The file; it exists.

    Returns:
        The end of a sentence that begins with the path, or None if nothing is wrong.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(4096)
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if len(head) < 64:
        return "is empty" if not head else f"is cut off: it has only {size} bytes"
    if head[:4] == b"\x7fELF":
        kind, read = "ELF", _elf
    elif head[:4] == b"\xcf\xfa\xed\xfe":
        kind, read = "Mach-O", _macho
    elif head[:2] == b"MZ":
        kind, read = "PE", _pe
    elif head[:4] == b"\xca\xfe\xba\xbe":
        return None  # of several architectures: left to the loader
    else:
        return f"is damaged: it is no shared library (it begins with {head[:8]!r})"
    try:
        built_for = read(head, size)
    except _CutOff as cut:
        return f"is cut off: it has {size} bytes of at least {cut.promised}"
    except struct.error:
        return "is damaged: its header makes no sense"
    if kind != _format():
        return f"is for {_SYSTEMS[kind]}, and this Python runs on {sys.platform}"
    if built_for != machine():
        return f"is for {built_for}, and this Python runs on {machine()}"
    return None


def problem(directory: str) -> Optional[str]:
    """What must be said before the native files are loaded.

    Args:
        directory: The directory of the package.

    Returns:
        A sentence, or None if the files look sound. Files that are missing are left to the
        loader: tools that pack programs may have put them elsewhere.
    """
    for path in native_files(directory):
        wrong = examine(path)
        if wrong is not None:
            return f"{path} {wrong}"
    return None


def _contents(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _version_in(data: bytes) -> Optional[str]:
    found = re.search(_VERSIONED, data)
    return ".".join(part.decode() for part in found.groups()) if found else None


def _glibc() -> str:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""  # "glibc 2.36"
    except (AttributeError, OSError, ValueError):
        return ""


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
            if not _glibc():
                yield f"{library} is for glibc, and this Python uses another C library"
        elif _glibc() and b"\0libc.so\0" in data:
            yield f"{library} is for musl, and this Python uses glibc"


def _changed_files(directory: str) -> Iterator[str]:
    """Native files whose contents are not those that the installer wrote down."""
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
            f"{_glibc() or 'another C library'}"
        )
    if not found:
        found += _changed_files(directory)
    if not found:
        found.append(f"the files in {directory} do not fit this system or each other")
    return f"{'; '.join(found)}. {remedy(directory)} (the loader said: {text})"


def _archive(directory: str) -> Optional[str]:
    """The file that a directory lies in, if it exists in an archive only."""
    path = directory
    while not os.path.exists(path) and os.path.dirname(path) != path:
        path = os.path.dirname(path)
    return path if os.path.isfile(path) else None


def remedy(directory: str) -> str:
    """What to do where the native files do not fit.

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
    """What to name to pip: the file or address that the package was installed from, or its name."""
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
