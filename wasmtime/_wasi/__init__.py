"""The world that a WASI preview 1 program sees: arguments, environment, streams and directories.

A `WasiConfig` is a record of settings in Python. Nothing native stands behind it until a store
takes it, so a mistake is reported where it is made, and one configuration can serve many stores.
Each setting that names something outside of the process (a file, a directory) is tried when it is
made; a file for output is created or emptied at that moment.

What a guest writes reaches Python in one of three ways, and in none of them does the library's own
thread run Python code: a C buffer collects, and Python reads it at moments of its own choosing
(`Output`), or the store hands it to a callable between steps of the guest (`stdout_custom`).
"""

from __future__ import annotations

from . import fork
from .config import WasiConfig
from .output import CustomOutput, Output
from .permissions import DirPerms, FilePerms

__all__ = [
    "CustomOutput",
    "DirPerms",
    "FilePerms",
    "Output",
    "WasiConfig",
    "fork",
]
