"""The files that profilers of the library write."""

from __future__ import annotations

import errno
import os
import stat
import sys
from typing import Optional

from .._artifacts.private_directory import danger_of_file
from .._native.host import host_machine, is_android

__all__ = ["problem_of_profiler"]

#: Not to follow a link, nor to wait for the reader of a FIFO.
_NOT_A_TRAP = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def problem_of_profiler(profiler: str) -> Optional[str]:
    """The library opens the profiler's file when the engine is made, and panics if it cannot."""
    linux = sys.platform == "linux" and not is_android()
    if profiler == "jitdump":
        if not linux:
            return "profiler 'jitdump' is for Linux only"
        return _problem_of_file(f"./jit-{os.getpid()}.dump", profiler, executable=True)
    if profiler == "perfmap":
        if sys.platform == "win32":
            return "profiler 'perfmap' is not for Windows"
        return _problem_of_file(f"/tmp/perf-{os.getpid()}.map", profiler, executable=False)
    vtune = host_machine() == "x86_64" and (linux or sys.platform in ("darwin", "win32"))
    if profiler == "vtune" and not vtune:
        return "profiler 'vtune' is for x86-64 only, with Linux, macOS or Windows"
    return None


def _problem_of_file(path: str, profiler: str, executable: bool) -> Optional[str]:
    try:
        # Another user may have prepared a link under this name; ours stays where it is from here on
        # (in a sticky directory, or one that others cannot write to).
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | _NOT_A_TRAP, 0o600)
        try:
            danger = danger_of_file(os.fstat(file)) or _danger_beside(path)
            if danger is not None:
                raise OSError(errno.EPERM, f"it {danger}")
            if executable and os.fstatvfs(file).f_flag & os.ST_NOEXEC:
                raise OSError(errno.EACCES, "its file system does not allow code to be mapped")
            if os.fstat(file).st_size == 0:
                # The library writes a header into the empty file: see whether there is room.
                os.write(file, bytes(64))
                os.ftruncate(file, 0)
        finally:
            os.close(file)
    except OSError as error:
        reason = "it is a link" if os.path.islink(path) else error.strerror or error
        return f"profiler {profiler!r} cannot write {path}: {reason}"
    return None


def _danger_beside(path: str) -> Optional[str]:
    mode = os.stat(os.path.dirname(path)).st_mode
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        return "lies in a directory where everybody may exchange it"
    return None
