"""Facts about the machine and the process that a configuration depends on."""

from __future__ import annotations

import mmap
import os
import sys

from .files import machine

__all__ = [
    "PAGE_SIZE",
    "default_max_wasm_stack",
    "free_mappings",
    "glibc_version",
    "host_machine",
    "host_triple_hint",
    "is_android",
    "processors",
    "reserve",
]

#: The size of a memory page of this machine, in bytes.
PAGE_SIZE = mmap.PAGESIZE

_KIB = 1 << 10
_MIB = 1 << 20


def is_android() -> bool:
    """Tell whether this is Android, which `sys.platform` says from Python 3.13 on only."""
    return sys.platform == "android" or hasattr(sys, "getandroidapilevel")


def processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def host_machine() -> str:
    """Return the machine that the library was compiled for: "x86_64" or "aarch64".

    On Windows this is the machine of this process, which an emulator may run on another one.
    """
    return "aarch64" if machine() == "aarch64" else "x86_64"


def host_triple_hint() -> str:
    """Return an example of a target triple for messages: that of this machine."""
    machine = host_machine()
    if sys.platform == "win32":
        return f"{machine}-pc-windows-msvc"
    if sys.platform == "darwin":
        return f"{machine}-apple-darwin"
    if is_android():
        return f"{machine}-linux-android"
    return f"{machine}-unknown-linux-{'gnu' if _is_glibc() else 'musl'}"


def glibc_version() -> str:
    """Return the name and version of the GNU C library ("glibc 2.36"), or "" if this is another."""
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, ValueError, OSError):
        return ""


def _is_glibc() -> bool:
    return "glibc" in glibc_version()


def default_max_wasm_stack() -> int:
    """Return how much stack WebAssembly may use, in bytes, where the user has not said it.

    It is half of what the operating system gives a thread, and not less than 512 KiB nor more
    than 4 MiB. On musl, Android and Windows, where threads have small stacks or stacks of a size
    that is not known, it is 512 KiB.
    """
    least, most = 512 * _KIB, 4 * _MIB
    if sys.platform == "win32" or is_android():
        return least
    if sys.platform != "darwin" and not _is_glibc():
        return least
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_STACK)
    if soft == resource.RLIM_INFINITY or soft < 0:
        soft = 8 * _MIB
    return max(least, min(soft // 2, most))


def reserve(size: int, accessible: bool) -> object:
    """Reserve address space as the library would, to learn whether it could.

    Args:
        size: How much, in bytes.
        accessible: Whether the space is to be readable and writable, or no more than taken.

    Returns:
        What holds the space until it is let go.

    Raises:
        OSError: There is not so much.
    """
    if sys.platform == "win32":
        return _reserve_on_windows(size, accessible)
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    if sys.platform == "linux" or is_android():
        flags |= 0x4000  # MAP_NORESERVE, which Python names from 3.11 on
    protection = mmap.PROT_READ | mmap.PROT_WRITE if accessible else 0
    try:
        return mmap.mmap(-1, size, flags=flags, prot=protection)
    except (OverflowError, ValueError) as error:
        raise OSError(str(error)) from error


class _WindowsRegion:
    """Address space that VirtualAlloc gave."""

    def __init__(self, address: int, free: object) -> None:
        self.address = address
        self.free = free

    def __del__(self) -> None:
        self.free(self.address, 0, 0x8000)  # type: ignore[operator]  # MEM_RELEASE


def _reserve_on_windows(size: int, accessible: bool) -> object:
    import ctypes

    kernel = ctypes.WinDLL("kernel32", use_last_error=True)  # type: ignore[attr-defined,unused-ignore]
    allocate, free = kernel.VirtualAlloc, kernel.VirtualFree
    allocate.restype = ctypes.c_void_p
    allocate.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint32, ctypes.c_uint32]
    free.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint32]
    kind = 0x2000 | (0x1000 if accessible else 0)  # MEM_RESERVE, MEM_COMMIT
    address = allocate(None, size, kind, 0x04 if accessible else 0x01)
    if not address:
        raise OSError(f"VirtualAlloc of {size} bytes failed")
    return _WindowsRegion(address, free)


def free_mappings() -> int:
    """Return how many more memory mappings this process may make, or a large number if unknown."""
    try:
        with open("/proc/sys/vm/max_map_count", "rb") as file:
            most = int(file.read())
        with open("/proc/self/maps", "rb") as file:
            used = sum(1 for _ in file)
    except (OSError, ValueError):
        return sys.maxsize
    return most - used
