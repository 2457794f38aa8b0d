"""Building against a libwasmtime of the system: what is accepted, refused, linked and packed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import CHECKOUT

from vendor import fetch, system

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="refused on Windows")

VERSION = fetch.read_lock().version
FUNCTIONS = ["wasm_engine_new", "wasmtime_context_gc"]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The locked library, in a directory like one of the system."""
    directory = tmp_path_factory.mktemp("system")
    try:
        return fetch.fetch(directory, log=lambda line: None)
    except fetch.FetchError as error:
        pytest.skip(f"the locked library cannot be had: {error}")


def test_the_locked_library_tells_its_version(library: Path) -> None:
    # Of the three numbers the last may differ: the package is released for reasons of its own.
    assert system.library_version(library).split(".")[:2] == VERSION.split(".")[:2]


@pytest.mark.parametrize("how", ["file", "directory"])
def test_accepted(library: Path, how: str) -> None:
    found = system.check(library if how == "file" else library.parent, VERSION, FUNCTIONS)
    assert found.path == library
    assert found.version == system.library_version(library)
    assert found.run_path == str(library.parent)


@pytest.mark.parametrize(
    ("directory", "needed"),
    [
        ("/usr/lib", False),
        ("/usr/lib64", False),
        ("/lib/x86_64-linux-gnu", False),
        ("/usr/lib/aarch64-linux-gnu", False),
        ("/usr/local/lib", True),
        ("/opt/wasmtime/lib", True),
    ],
)
def test_the_loader_is_told_only_what_it_does_not_know(directory: str, needed: bool) -> None:
    assert (system._DEFAULT.fullmatch(directory) is None) is needed


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(fetch.FetchError, match=r"there is no .*libwasmtime"):
        system.check(tmp_path, VERSION, FUNCTIONS)


def test_another_file_name(library: Path, tmp_path: Path) -> None:
    path = tmp_path / "libwasmtime.so.50"
    path.symlink_to(library)
    with pytest.raises(fetch.FetchError, match="must be called libwasmtime"):
        system.check(path, VERSION, FUNCTIONS)


def test_another_version(library: Path) -> None:
    with pytest.raises(fetch.FetchError, match=r"is libwasmtime \d.*, .* of 999\.0\.x"):
        system.check(library, "999.0.0", FUNCTIONS)


def test_another_patch_release(library: Path) -> None:
    major, minor, patch = VERSION.split(".")
    system.check(library, f"{major}.{minor}.{int(patch) + 5}", FUNCTIONS)


def test_no_libwasmtime(tmp_path: Path) -> None:
    path = tmp_path / system._library_name()
    path.write_bytes(b"another library")
    with pytest.raises(fetch.FetchError, match="does not tell its version"):
        system.check(tmp_path, VERSION, FUNCTIONS)


def test_it_cannot_be_loaded(tmp_path: Path) -> None:
    path = tmp_path / system._library_name()
    path.write_bytes(f"\0{system.versioned_symbol(VERSION)}\0".encode())
    with pytest.raises(fetch.FetchError, match="cannot be loaded here"):
        system.check(tmp_path, VERSION, FUNCTIONS)


def test_functions_are_missing(library: Path) -> None:
    with pytest.raises(
        fetch.FetchError, match=r"lacks 1 of the 3 functions .*wasmtime_of_tomorrow"
    ):
        system.check(library, VERSION, [*FUNCTIONS, "wasmtime_of_tomorrow"])


def build(named: Path, out: Path) -> subprocess.CompletedProcess[str]:
    """Run the real build, of the small half of the binding: the other takes long to compile."""
    command = [sys.executable, "setup.py", "-q", "build_ext"]
    places = ["--build-lib", str(out / "lib"), "--build-temp", str(out / "temp")]
    return subprocess.run(
        [*command, *places],
        cwd=CHECKOUT,
        env={**os.environ, system.VARIABLE: str(named), "WASMTIME_BUILD_ONLY": "core"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=110,
        check=False,
    )


def load(package: Path) -> subprocess.CompletedProcess[str]:
    """Load the module that was built, alone: there is no other half."""
    code = (
        "import importlib.machinery as m, importlib.util as u, pathlib\n"
        f"path = next(pathlib.Path({str(package)!r}).glob('_core.*'))\n"
        "loader = m.ExtensionFileLoader('wasmtime._core', str(path))\n"
        "spec = u.spec_from_file_location('wasmtime._core', str(path), loader=loader)\n"
        "core = u.module_from_spec(spec)\n"
        "loader.exec_module(core)\n"
        "print(core.library_version, core.library_origin)\n"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def built(library: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A build against the library: the package's directory, and what the build said."""
    pytest.importorskip("setuptools")
    pytest.importorskip("cffi")
    if shutil.which(os.environ.get("CC", "cc").split()[0]) is None:
        pytest.skip("there is no C compiler")
    out = tmp_path_factory.mktemp("out")
    left_behind = out / "lib" / "wasmtime" / "_lib"
    left_behind.mkdir(parents=True)
    left_behind.joinpath(library.name).write_bytes(b"of an earlier build")
    result = build(library, out)
    assert result.returncode == 0, result.stdout
    return out / "lib" / "wasmtime", result.stdout


def test_nothing_is_bundled(built: tuple[Path, str]) -> None:
    package, said = built
    assert not package.joinpath("_lib").exists()
    assert "using the system's libwasmtime" in said


def test_it_is_loaded_from_where_it_was(built: tuple[Path, str], library: Path) -> None:
    result = load(built[0])
    assert result.stdout.split() == [system.library_version(library), "system"], result.stderr


def test_a_library_of_another_version_in_its_place(built: tuple[Path, str], library: Path) -> None:
    # What a system's update does to a package that was built before.
    major = int(VERSION.partition(".")[0])
    data = library.read_bytes()
    try:
        library.unlink()
        ours, newer = (f"set_vmctx_memory_{number}_".encode() for number in (major, major + 1))
        library.write_bytes(data.replace(ours, newer))
        result = load(built[0])
    finally:
        library.unlink()
        library.write_bytes(data)
    assert result.returncode == 1
    assert "ImportError" in result.stderr
    assert "undefined symbol: set_vmctx_memory_" in result.stderr or sys.platform == "darwin"


def test_the_build_refuses_with_one_message(tmp_path: Path) -> None:
    result = build(tmp_path / "nothing", tmp_path)
    assert result.returncode != 0
    assert f"{system.VARIABLE}=" in result.stdout
    assert "Traceback" not in result.stdout
