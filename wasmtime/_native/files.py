"""The native files of the package, and what their headers tell before anything is loaded.

A file that is cut off is not refused by the loader: the process dies of SIGBUS. So the headers are
read first, which takes some ten microseconds a file.

Nothing here imports the rest of the package.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Iterator
from importlib.machinery import EXTENSION_SUFFIXES
from typing import Optional

__all__ = ["VERSION", "examine", "library_name", "machine", "native_files", "problem"]

try:
    from .._version import VERSION
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


class _CutOff(Exception):
    """A file ends before what its header promises."""

    def __init__(self, promised: int) -> None:
        self.promised = promised


def library_name() -> str:
    """Return the file name of the bundled library on this platform.

    On Windows it has the version in it: of two DLLs of one name, a process loads the first only,
    whichever package that is of.
    """
    windows = f"wasmtime_{VERSION.replace('.', '_')}.dll"
    return {"win32": windows, "darwin": "libwasmtime.dylib"}.get(sys.platform, "libwasmtime.so")


def native_files(directory: str) -> Iterator[str]:
    """Yield the native files of the package that exist and that this Python would load.

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
    """Return the architecture that this 64-bit interpreter is built for: "x86_64" or "aarch64"."""
    if sys.platform == "win32":
        # The machine may be another than the interpreter, which it then emulates.
        from sysconfig import get_platform

        name = get_platform().partition("-")[2]
    else:
        name = os.uname().machine
    name = name.lower()
    return _SAME_MACHINE.get(name, name)


# What each of these returns is the machine that a file is built for. They raise `_CutOff` and
# struct.error.


def _elf(head: bytes, size: int) -> str:
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


def _macho(head: bytes, size: int) -> str:
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


def _pe(head: bytes, size: int) -> str:
    start = struct.unpack_from("<I", head, 60)[0]
    if start + 6 > len(head):
        raise _CutOff(start + 6)
    machine = struct.unpack_from("<H", head, start + 4)[0]
    return _PE_MACHINES.get(machine, f"PE machine {machine:#x}")


def examine(path: str) -> Optional[str]:
    """Tell what is wrong with a native file, by its header alone.

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
    """Tell what must be said before the native files are loaded.

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
