"""The only module that imports the two binary modules, and what all others need of them.

``ffi`` and ``lib`` are cffi's: every C function, for what is not hot. ``core`` is the hand-written
half. Both are linked with the one libwasmtime that lies in ``_lib``; native pointers pass between
them as integers.

- `arguments` converts and checks names, paths and numbers.
- `exchange` takes what the library hands over: errors, byte vectors.
- `files` looks at the native files before they are loaded, `diagnosis` when that has failed.
- `faults` keeps traps traps, whatever the program does with signals.
- `host` tells facts about the machine and the process.
- `pointer` makes raw pointers into memories, for ctypes.
"""

from __future__ import annotations

import os
import sys

from . import files
from .arguments import (
    StrPath,
    check_unsigned,
    decode_path,
    encode_cstring,
    encode_name,
    encode_path,
    integer,
    unsigned,
)
from .files import VERSION

if sys.maxsize <= 2**32:
    raise ImportError("wasmtime needs a 64-bit Python")

_directory = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_problem = files.problem(_directory)
if _problem is not None:
    # Before the loader sees the files: it may not survive one that is cut off.
    from .diagnosis import remedy

    raise ImportError(f"wasmtime {VERSION} cannot be imported: {_problem}. {remedy(_directory)}")

if sys.platform == "win32" and os.path.isdir(os.path.join(_directory, "_lib")):
    # Windows looks for the library beside the modules only where it is told to. The directory
    # stays added for as long as the result is kept.
    _library_directory = os.add_dll_directory(os.path.join(_directory, "_lib"))

try:
    # _ffi needs it. Tools that pack programs cannot see that, but they see this.
    import _cffi_backend  # type: ignore[import-untyped,unused-ignore]  # noqa: F401

    from .. import _core as core
    from .._ffi import ffi, lib
except ImportError as error:
    from .diagnosis import explain

    raise ImportError(
        f"wasmtime {VERSION} cannot be imported: {explain(error, _directory)}"
    ) from error

if core.__version__ != VERSION:
    from .diagnosis import remedy

    raise ImportError(
        f"the binary half of wasmtime is of version {core.__version__}, the Python half of "
        f"{VERSION}; install the package again. {remedy(_directory)}"
    )

# It needs the two modules.
from .exchange import address_of, byte_vec, check, take_bytes  # noqa: E402

__all__ = [
    "VERSION",
    "StrPath",
    "address_of",
    "byte_vec",
    "check",
    "check_unsigned",
    "core",
    "decode_path",
    "encode_cstring",
    "encode_name",
    "encode_path",
    "ffi",
    "integer",
    "lib",
    "take_bytes",
    "unsigned",
]
