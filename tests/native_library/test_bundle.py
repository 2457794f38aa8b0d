"""What lies in the installed package: the library, its licence and the run paths."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import PACKAGE

from vendor import fetch
from wasmtime import _native

LINUX = sys.platform.startswith("linux")


def binary(name: str) -> Path:
    """Return the file of one of the two binary modules."""
    module = {"_core": _native.core, "_ffi": sys.modules["wasmtime._ffi"]}[name]
    return Path(str(module.__file__))


def test_the_bundled_library_is_the_locked_one() -> None:
    entry = fetch.entry_for()
    assert [path.name for path in (PACKAGE / "_lib").iterdir()] == [entry.library]
    assert fetch.sha256_of(PACKAGE / "_lib" / entry.library) == entry.library_sha256


@pytest.mark.skipif(not LINUX, reason="reads ELF files")
@pytest.mark.parametrize("name", ["_core", "_ffi"])
def test_the_run_path_is_relative_and_nothing_else(name: str) -> None:
    # An interpreter can be linked with a run path of its own, which would come first in ours; and
    # DT_RUNPATH, unlike DT_RPATH, would let LD_LIBRARY_PATH decide.
    elffile = pytest.importorskip("elftools.elf.elffile")
    with open(binary(name), "rb") as file:
        dynamic = elffile.ELFFile(file).get_section_by_name(".dynamic")
        tags = [(tag.entry.d_tag, tag) for tag in dynamic.iter_tags()]
        assert [tag.rpath for kind, tag in tags if kind == "DT_RPATH"] == ["$ORIGIN/_lib"]
        assert not [tag for kind, tag in tags if kind == "DT_RUNPATH"]


@pytest.mark.skipif(not LINUX, reason="reads /proc/self/maps")
def test_the_library_is_mapped_once_whatever_the_environment_says(tmp_path: Path) -> None:
    tmp_path.joinpath("libwasmtime.so").write_bytes(b"not a library")
    code = (
        "import wasmtime._native\n"
        "print(*sorted({line.split()[-1] for line in open('/proc/self/maps') "
        "if 'libwasmtime' in line}), sep='\\n')"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "LD_LIBRARY_PATH": str(tmp_path)},
        cwd=PACKAGE.parent,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert [Path(line) for line in result.stdout.split()] == [PACKAGE / "_lib" / "libwasmtime.so"]
