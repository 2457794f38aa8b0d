"""Describe ``wasmtime._ffi``, the cffi module that offers every function of libwasmtime.

cffi runs this file during the build (``cffi_modules`` in setup.py). The generated C includes the
very headers that cffi parsed, so the compiler checks each call cffi generates against the
declaration it was generated from.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from cffi import FFI

# cffi executes this file without making it a module, but it tells where the file is.
DECLARATIONS = Path(os.path.abspath(__file__)).parent / "cdef"


def headers() -> list[str]:
    """Return the names of the declaration files, in the order that their contents need."""
    return (DECLARATIONS / "ORDER").read_text(encoding="utf-8").split()


def function_names() -> list[str]:
    """Return the names of all declared functions, sorted.

    The Windows build makes an import library from them.
    """
    pattern = re.compile(r"^(?!typedef|#|struct|union|/|\s)[\w ]+[ *](\w+)\(", re.MULTILINE)
    names: set[str] = set()
    for name in headers():
        names.update(pattern.findall((DECLARATIONS / name).read_text(encoding="utf-8")))
    return sorted(names)


def make_ffi() -> FFI:
    """Return the builder of ``wasmtime._ffi``."""
    builder = FFI()
    for name in headers():
        builder.cdef((DECLARATIONS / name).read_text(encoding="utf-8"))
    builder.set_source(
        "wasmtime._ffi",
        '#include "wasmtime_all.h"\n',
        include_dirs=[os.path.relpath(DECLARATIONS)],
        libraries=["wasmtime"],
    )
    return builder
