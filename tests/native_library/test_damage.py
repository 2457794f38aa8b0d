"""Import with native files that are missing, damaged, of another platform or of another version.

Each test copies the installed package, does something to the copy and imports it in a process of
its own. What must come out is an ImportError that names the file, says what is wrong with it and
what to do; never a signal, and never the loader's words alone.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from support import PACKAGE

from wasmtime import _native
from wasmtime._native import files

LIBRARY = PACKAGE / "_lib" / files.library_name()
LINUX = sys.platform == "linux"

pytestmark = pytest.mark.skipif(
    not LIBRARY.is_file(), reason="this build uses a library of the system"
)


class Copy:
    """A copy of the package, without the big library unless asked for."""

    def __init__(self, directory: Path) -> None:
        self.package = directory / "wasmtime"
        ignored = shutil.ignore_patterns("__pycache__", "_lib", "*.pyi")
        shutil.copytree(PACKAGE, self.package, ignore=ignored)
        self.library = self.package / "_lib" / LIBRARY.name
        self.library.parent.mkdir()

    def with_library(self) -> Path:
        shutil.copyfile(LIBRARY, self.library)
        return self.library

    def module(self, name: str) -> Path:
        native = files.native_files(str(self.package))
        found = [path for path in native if os.path.basename(path).startswith(name + ".")]
        return Path(found[0])

    def run(self, code: str = "import wasmtime", **environment: str) -> str:
        """Import the copy and return the last line on standard error."""
        # The import hook of an editable installation would offer what the copy lacks.
        prepare = (
            "import sys\n"
            f"sys.path.insert(0, {str(self.package.parent)!r})\n"
            "sys.meta_path = [hook for hook in sys.meta_path if 'Editable' not in repr(hook)]\n"
        )
        result = subprocess.run(
            [sys.executable, "-c", prepare + code],
            cwd=self.package.parent,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=60,
            check=False,
        )
        assert result.returncode in (0, 1), (result.returncode, result.stderr)
        return result.stderr.strip().splitlines()[-1] if result.stderr else ""

    def refused(self, code: str = "import wasmtime", **environment: str) -> str:
        """Import the copy, which must fail as it should, and return what it said."""
        said = self.run(code, **environment)
        assert said.startswith(f"ImportError: wasmtime {_native.VERSION} cannot be imported: "), (
            said
        )
        assert "nstall it" in said or "use " in said, "it does not say what to do"
        return said


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


def test_a_sound_copy_is_imported(copy: Copy) -> None:
    copy.with_library()
    assert copy.run() == ""


def test_missing(copy: Copy) -> None:
    assert f"the bundled library {copy.library} is missing" in copy.refused()


def test_missing_with_its_directory(copy: Copy) -> None:
    copy.library.parent.rmdir()
    assert f"the bundled library {copy.library} is missing" in copy.refused()


def test_empty(copy: Copy) -> None:
    copy.library.write_bytes(b"")
    assert f"{copy.library} is empty" in copy.refused()


def test_no_library_at_all(copy: Copy) -> None:
    copy.library.write_text("<html>404 Not Found</html>\n" * 10)
    said = copy.refused()
    assert "is damaged: it is no shared library" in said
    assert "<html>" in said


@pytest.mark.parametrize("share", [0.00001, 0.0001, 0.5, 0.999])
def test_cut_off(copy: Copy, share: float) -> None:
    size = int(LIBRARY.stat().st_size * share)
    with open(copy.with_library(), "r+b") as file:
        file.truncate(size)
    said = copy.refused()
    assert "is cut off" in said
    assert f"{size} bytes" in said


@pytest.mark.skipif(not LINUX, reason="makes an ELF file")
def test_a_header_of_nonsense(copy: Copy) -> None:
    library = copy.with_library()
    with open(library, "r+b") as file:
        file.seek(32)
        file.write(b"\xff" * 16)
    assert "is cut off" in copy.refused()


@pytest.mark.skipif(not LINUX, reason="makes an ELF file")
def test_another_architecture(copy: Copy) -> None:
    machine = {"x86_64": 183, "aarch64": 62}[os.uname().machine]
    with open(copy.with_library(), "r+b") as file:
        file.seek(18)
        file.write(struct.pack("<H", machine))
    other = {183: "aarch64", 62: "x86_64"}[machine]
    assert f"is for {other}, and this Python runs on {os.uname().machine}" in copy.refused()


@pytest.mark.parametrize(
    ("head", "system"),
    [
        (b"\xcf\xfa\xed\xfe" + struct.pack("<7I", 0x0100000C, 0, 6, 0, 0, 0, 0), "macOS"),
        (b"MZ".ljust(60, b"\0") + struct.pack("<I", 64) + b"PE\0\0" + b"\x64\x86", "Windows"),
        (b"\x7fELF\x02\x01".ljust(18, b"\0") + struct.pack("<H", 62), "Linux"),
    ],
)
def test_another_system(copy: Copy, head: bytes, system: str) -> None:
    if system == {"darwin": "macOS", "win32": "Windows"}.get(sys.platform, "Linux"):
        pytest.skip("this is that system")
    copy.library.write_bytes(head.ljust(4096, b"\0"))
    said = copy.refused()
    assert f"is for {system}, and this Python runs on {sys.platform}" in said


def test_another_version(copy: Copy) -> None:
    # The structs may have another layout there, so a library with every function must be refused
    # too: only the version in the debugger's functions differs here.
    library = copy.with_library()
    data = library.read_bytes()
    version = _native.core.library_version
    old = version.replace(".", "_").encode()
    other = old[:-1] + bytes([old[-1] ^ 1])
    library.write_bytes(data.replace(b"vmctx_memory_" + old, b"vmctx_memory_" + other))
    said = copy.refused()
    found = other.decode().replace("_", ".")
    assert f"is libwasmtime {found}, and this package is built for {version}" in said


@pytest.mark.skipif(not LINUX, reason="elsewhere the loader looks up every symbol at load anyway")
def test_a_function_is_missing(copy: Copy) -> None:
    # Without the binding at load this would end the process at the first call instead.
    library = copy.with_library()
    data = library.read_bytes()
    assert data.count(b"\0wasmtime_context_gc\0") >= 1
    library.write_bytes(data.replace(b"\0wasmtime_context_gc\0", b"\0wasmtime_context_gx\0"))
    said = copy.refused()
    assert "wasmtime_context_gc" in said


@pytest.mark.skipif(not LINUX, reason="knows where an ELF file can be harmed without a crash")
def test_not_what_was_installed(copy: Copy) -> None:
    # The names are intact but the table that finds them is not: only the installer's own record
    # tells that the file has changed.
    library = copy.with_library()
    data = bytearray(library.read_bytes())
    start = data.index(b"\0wasmtime_context_gc\0")
    data[start + 1 : start + 5] = b"tmsa"
    library.write_bytes(bytes(data))
    information = copy.package.parent / "wasmtime-0.dist-info"
    information.mkdir()
    information.joinpath("METADATA").write_text(
        "Metadata-Version: 2.1\nName: wasmtime\nVersion: 0\n"
    )
    name = f"wasmtime/_lib/{library.name}"
    information.joinpath("RECORD").write_text(f"{name},sha256={'A' * 43},{len(data)}\n")
    assert "its sha256 is another than the recorded one" in copy.refused()


@pytest.mark.parametrize("name", ["_core", "_ffi"])
def test_a_module_is_cut_off(copy: Copy, name: str) -> None:
    copy.with_library()
    module = copy.module(name)
    with open(module, "r+b") as file:
        file.truncate(module.stat().st_size // 2)
    assert f"{module} is cut off" in copy.refused()


@pytest.mark.parametrize("name", ["_core", "_ffi"])
def test_a_module_is_missing(copy: Copy, name: str) -> None:
    copy.with_library()
    copy.module(name).unlink()
    assert f"the module {name} is missing from" in copy.refused()


def test_a_module_is_for_another_python(copy: Copy) -> None:
    copy.with_library()
    module = copy.module("_core")
    module.rename(module.with_name("_core.cpython-34m-vax.so"))
    said = copy.refused()
    assert "_core.cpython-34m-vax.so" in said
    assert "is for another Python" in said


def test_a_module_of_another_release(copy: Copy) -> None:
    copy.with_library()
    copy.package.joinpath("_version.py").write_text('VERSION = "999.0.0"\n')
    said = copy.run()
    assert said.startswith("ImportError: the binary half of wasmtime is of version ")
    assert "install the package again" in said


def test_what_was_installed_from_a_file_is_to_be_installed_from_there_again(copy: Copy) -> None:
    # The index may have another package of this name, which would take the place of this one.
    information = copy.package.parent / "wasmtime-0.dist-info"
    information.mkdir()
    information.joinpath("METADATA").write_text(
        "Metadata-Version: 2.1\nName: wasmtime\nVersion: 0\n"
    )
    information.joinpath("direct_url.json").write_text(
        '{"url": "file:///wheels/wasmtime-0.whl", "archive_info": {}}'
    )
    assert "--no-cache-dir file:///wheels/wasmtime-0.whl (" in copy.refused()


def test_a_checkout_that_is_not_built_says_how_to_build_it_or_not_to_use_it(copy: Copy) -> None:
    root = copy.package.parent
    (root / "csrc" / "core").mkdir(parents=True)
    (root / "csrc" / "core" / "_core.c").write_text("")
    for spoil in (lambda: None, lambda: copy.module("_core").unlink()):
        spoil()
        said = copy.refused()
        assert f'-m pip install -e "{root}"' in said
        assert "start Python in another directory" in said
        assert "--force-reinstall" not in said


@pytest.mark.skipif(not LINUX, reason="kernels elsewhere have no personalities")
@pytest.mark.parametrize("personality", ["i686", "armv8l"])
def test_a_kernel_that_says_the_name_of_a_32_bit_machine_is_no_obstacle(
    copy: Copy, personality: str
) -> None:
    machine = {"i686": "x86_64", "armv8l": "aarch64"}[personality]
    if os.uname().machine != machine:
        pytest.skip(f"this machine is no {machine}")
    copy.with_library()
    told = (
        "import os\n"
        "told = os.uname()\n"
        f"os.uname = lambda: os.uname_result((*told[:4], {personality!r}))\n"
    )
    assert copy.run(f"{told}import wasmtime; wasmtime.Engine()") == ""


def test_without_cffi(copy: Copy) -> None:
    copy.with_library()
    said = copy.refused("sys.modules['_cffi_backend'] = None\nimport wasmtime")
    assert "it needs the package cffi" in said
    assert "install cffi" in said


def test_an_unreadable_file(copy: Copy) -> None:
    if not hasattr(os, "geteuid") or os.geteuid() == 0:
        pytest.skip("this user may read everything")
    copy.with_library().chmod(0)
    assert "cannot be read (Permission denied)" in copy.refused()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="gives an interpreter a GIL of its own")
def test_in_a_subinterpreter(copy: Copy) -> None:
    copy.with_library()
    module = "_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters"
    pytest.importorskip(module)
    script = copy.package.parent / "script.py"
    script.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(copy.package.parent)!r})\n"
        "try:\n"
        "    import wasmtime\n"
        "except ImportError as error:\n"
        "    print('ImportError:', error, file=sys.stderr)\n"
    )
    said = copy.refused(
        f"import {module} as interpreters\n"
        "new = interpreters.create()\n"
        f"interpreters.run_string(new, open({str(script)!r}).read())\n"
        "interpreters.destroy(new)"
    )
    assert "use threads or processes instead of subinterpreters" in said
    assert "--force-reinstall" not in said


def test_the_check_costs_little() -> None:
    # It stands before every import: well below a millisecond, or it is not worth it.
    import time

    started = time.perf_counter()
    for _ in range(100):
        assert files.problem(str(PACKAGE)) is None
    assert (time.perf_counter() - started) / 100 < 0.02
