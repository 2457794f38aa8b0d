"""
The package where it was not installed: packed by a tool, in an archive, unpacked elsewhere.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipapp
from pathlib import Path

import pytest
from support import CHECKOUT, PACKAGE

import wasmtime
from wasmtime._native import files

#: A hook of the import system finds the package, and does so before the paths of a program.
EDITABLE = any("Editable" in repr(hook) for hook in sys.meta_path)

PROGRAM = """
import wasmtime
engine = wasmtime.Engine(wasmtime.Config())
module = wasmtime.Module(engine, '(func (export "f") (result i32) (i32.const 42))')
store = wasmtime.Store(engine)
print(wasmtime.Instance(store, module, []).exports(store)["f"](store))
"""

pytestmark = pytest.mark.skipif(
    not (PACKAGE / "_lib" / files.library_name()).is_file(),
    reason="this build uses a library of the system",
)


def run(*command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=300,
        check=False,
    )


def unpack(directory: Path) -> None:
    """
    What unpacking the wheel gives.
    """
    shutil.copytree(PACKAGE, directory / "wasmtime", ignore=shutil.ignore_patterns("__pycache__"))


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(EDITABLE, reason="PyInstaller does not see what an editable installation adds")
def test_pyinstaller_finds_all_that_a_program_needs(tmp_path: Path) -> None:
    pytest.importorskip("PyInstaller", reason="PyInstaller is not installed")
    (tmp_path / "program.py").write_text(PROGRAM)
    options = ("--onedir", "--exclude-module=numpy")  # which takes long, and is optional here
    built = run(sys.executable, "-m", "PyInstaller", *options, "program.py", cwd=tmp_path)
    assert built.returncode == 0, built.stderr
    name = "program.exe" if os.name == "nt" else "program"
    done = run(str(tmp_path / "dist" / "program" / name), cwd=tmp_path)
    assert done.stdout == "42\n", done.stderr


def test_a_wheel_unpacked_elsewhere_works_and_can_be_moved(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "import sys\n"
        "sys.meta_path = [hook for hook in sys.meta_path if 'Editable' not in repr(hook)]\n"
        f"{PROGRAM}assert wasmtime.__file__.startswith(sys.argv[1]), wasmtime.__file__"
    )
    first, second = tmp_path / "a place", tmp_path / "ein anderer, größerer"
    unpack(first)
    first.rename(second)
    done = run(sys.executable, "program.py", str(second), cwd=tmp_path, PYTHONPATH=str(second))
    assert done.stdout == "42\n", done.stderr


def test_an_archive_is_refused_with_the_reason(tmp_path: Path) -> None:
    source = tmp_path / "source"
    unpack(source)
    shutil.rmtree(source / "wasmtime" / "_lib")
    (source / "__main__.py").write_text("import wasmtime")
    archive = tmp_path / "program.pyz"
    zipapp.create_archive(source, archive)
    # -S: without the hooks of an editable installation
    done = run(sys.executable, "-S", str(archive), cwd=tmp_path)
    assert done.returncode == 1
    said = done.stderr.splitlines()[-1]
    assert said.startswith(f"ImportError: wasmtime {wasmtime.__version__} cannot be imported: ")
    assert f"it lies in the archive {archive}, and native modules cannot be loaded" in said


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(not (CHECKOUT / "setup.py").is_file(), reason="needs the checkout")
def test_several_builds_from_one_checkout_do_not_meet(tmp_path: Path) -> None:
    """
    As when an installation runs for several versions of Python at once.
    """
    setuptools = pytest.importorskip("setuptools", reason="setuptools is not installed")
    if int(setuptools.__version__.split(".")[0]) < 77:
        pytest.skip("the build needs setuptools 77")
    checkout = tmp_path / "checkout"
    native = shutil.ignore_patterns("__pycache__", "_lib", "*.so", "*.pyd")
    for name in ("csrc", "vendor", "wasmtime"):
        shutil.copytree(CHECKOUT / name, checkout / name, ignore=native)
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"):
        shutil.copyfile(CHECKOUT / name, checkout / name)
    before = sorted(path.name for path in checkout.iterdir())
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = {
        **os.environ,
        "WASMTIME_BUILD_ONLY": "core",
        "WASMTIME_LIB_DIR": str(PACKAGE / "_lib"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": str(temporary),
    }
    running = [
        subprocess.Popen(
            [sys.executable, "setup.py", "-q", "bdist_wheel", "-d", str(tmp_path / f"out{number}")],
            cwd=checkout,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for number in range(2)
    ]
    told = [process.communicate(timeout=300)[0].decode(errors="replace") for process in running]
    assert [process.returncode for process in running] == [0, 0], told
    assert all(list((tmp_path / f"out{number}").glob("*.whl")) for number in range(2))
    assert sorted(path.name for path in checkout.iterdir()) == before
    assert list(temporary.iterdir()) == []
