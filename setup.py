"""Build the two binary modules against the locked libwasmtime, and bundle it.

``wasmtime._ffi`` is made by cffi from the declarations in ``csrc/cdef``; ``wasmtime._core`` is
written by hand in ``csrc/core``. Both are linked with the library in ``wasmtime/_lib`` by a run
path relative to themselves, so the process maps it once and no search path of the environment
has a say.

``WASMTIME_BUILD_ONLY=core`` (or ``ffi``) restricts a build in place to one of the two, for work
on the C code.

``WASMTIME_STABLE_ABI=1`` builds for the stable ABI, with which one wheel serves CPython 3.12 and
all later versions; without, it is for the version that builds it, and small calls are faster.

``WASMTIME_SYSTEM_LIB=/usr/lib/libwasmtime.so`` (or the directory) builds against a library that is
installed on this machine: nothing is fetched or bundled, and the run path is its directory.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel as _bdist_wheel
from setuptools.command.build import build as _build
from setuptools.command.build_ext import build_ext as _build_ext

ROOT = Path(__file__).resolve().parent
# Build front ends run this file without its directory on the path.
sys.path.insert(0, str(ROOT))

from vendor import fetch, system  # noqa: E402

WINDOWS = sys.platform == "win32"
#: Of the package and of the libwasmtime that it is built against.
VERSION = fetch.read_lock().version
FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
# On request, and for the versions of CPython that come after a release. The hand-written module
# needs vectorcall and buffers, which entered the limited API in 3.12 and 3.11. Free-threaded and
# debug interpreters have ABIs of their own.
LIMITED_API = (
    os.environ.get("WASMTIME_STABLE_ABI", "") not in ("", "0")
    and sys.implementation.name == "cpython"
    and sys.version_info >= (3, 12)
    and not FREE_THREADED
    and not hasattr(sys, "gettotalrefcount")
)
ONLY = os.environ.get("WASMTIME_BUILD_ONLY", "")

# A wrong declaration or a wrong call must end the build: by default compilers only warn.
STRICT_UNIX = [
    "-Werror=incompatible-pointer-types",
    "-Werror=implicit-function-declaration",
    "-Werror=int-conversion",
]
STRICT_MSVC = ["/we4133", "/we4013", "/we4047", "/we4024"]
# The atomics of the core rely on ordered volatile accesses, which is not the default on Arm64.
MSVC = ["/O2", "/Brepro", "/volatile:ms", *STRICT_MSVC]


def say(line: str) -> None:
    """Print a line of progress at once, also where the output is a pipe."""
    print(f"[wasmtime] {line}", flush=True)


def function_names() -> list[str]:
    """Return the names of all functions that the binary modules may call."""
    names: dict[str, object] = {"__file__": str(ROOT / "csrc" / "ffi_build.py")}
    source = (ROOT / "csrc" / "ffi_build.py").read_text(encoding="utf-8")
    exec(compile(source, "ffi_build.py", "exec"), names)
    return names["function_names"]()  # type: ignore[operator, no-any-return]


def origin() -> str:
    """Return where the library comes from, as ``python -m wasmtime --version`` tells it."""
    return "system" if os.environ.get(system.VARIABLE) else "bundled"


def write_version(package: Path) -> None:
    """Tell the Python half which version it is of: the lock's, as it was when this was built."""
    package.mkdir(parents=True, exist_ok=True)
    text = f'"""Written by setup.py from the lock of the library."""\n\nVERSION = "{VERSION}"\n'
    (package / "_version.py").write_text(text, encoding="utf-8")


def _without_run_path(words: Iterable[str]) -> Iterator[str]:
    """Leave the options that set a run path out of a linker's command line."""
    for word in words:
        parts = word.split(",")
        if parts[0] == "-Wl" and any(part.lstrip("-").startswith("rpath") for part in parts[1:]):
            continue
        yield word


@cache
def private_directory() -> str:
    """Make a directory for this process's build products, which goes when the process ends.

    Several builds from one checkout may run at once, each with a Python of its own.
    """
    directory = tempfile.mkdtemp(prefix="wasmtime-build-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory


class build(_build):
    """Build where no other build does, unless --build-base says where."""

    def initialize_options(self) -> None:
        """Choose the directory before the command line may."""
        super().initialize_options()
        self.build_base = private_directory()


class bdist_wheel(_bdist_wheel):
    """Collect the metadata where no other build does, too."""

    def finalize_options(self) -> None:
        """Choose the directory before it is looked for."""
        metadata = self.distribution.get_command_obj("egg_info")
        if metadata.egg_base is None:
            metadata.egg_base = private_directory()
        super().finalize_options()


class build_ext(_build_ext):
    """Fetch the library, then build both modules against it."""

    def run(self) -> None:
        """Fetch the library, build, and say how long it took."""
        self.in_place = bool(self.inplace or getattr(self, "editable_mode", False))
        package = (
            ROOT / "wasmtime" if self.in_place else Path(self.build_lib).resolve() / "wasmtime"
        )
        started = time.monotonic()
        try:
            named = os.environ.get(system.VARIABLE)
            if named:
                library = system.check(Path(named), VERSION, function_names())
                say(f"using the system's libwasmtime {library.version}: {library.path}")
                self.library_version = library.version
                self.library_directory = library.path.parent
                self.run_path = library.run_path
                if not self.in_place:
                    # An earlier build in this directory may have left one to be packed.
                    shutil.rmtree(package / "_lib", ignore_errors=True)
            else:
                path = fetch.fetch(package / "_lib", log=say)
                self.library_version = system.library_version(path)
                self.library_directory = path.parent
                self.run_path = "@loader_path/_lib" if sys.platform == "darwin" else "$ORIGIN/_lib"
        except fetch.FetchError as error:
            # A traceback would bury the one message that matters.
            raise SystemExit(f"\nerror: {error}\n") from None
        write_version(package)
        say(f"library ready after {time.monotonic() - started:.1f} s")
        super().run()
        say(f"done after {time.monotonic() - started:.1f} s")

    def build_extensions(self) -> None:
        """Build all modules, without the run path that the interpreter was linked with.

        It would be the first entry of ours, and would be shipped to machines where that
        directory is somebody else's.
        """
        for tool in ("linker_so", "linker_so_cxx"):
            words = getattr(self.compiler, tool, None)
            if words:
                setattr(self.compiler, tool, list(_without_run_path(words)))
        super().build_extensions()

    def build_extension(self, ext: Extension) -> None:
        """Build one module with the flags that its compiler wants."""
        compiler = self.compiler.compiler_type
        say(f"building {ext.name} with {compiler} for {sysconfig.get_platform()}")
        started = time.monotonic()
        cold = ext.name.endswith("_ffi")
        if not cold:
            ext.define_macros += [
                ("WASMTIME_LIBRARY_VERSION", f'"{self.library_version}"'),
                ("WASMTIME_LIBRARY_ORIGIN", f'"{origin()}"'),
                ("WASMTIME_VERSIONED_SYMBOL", system.versioned_symbol(self.library_version)),
            ]
        if compiler == "msvc":
            ext.library_dirs.append(self._import_library())
            ext.extra_compile_args += MSVC
            ext.extra_link_args.append("/Brepro")
            if not cold:
                # A reference that nothing else makes: see core_version_anchor in _core.c.
                symbol = system.versioned_symbol(self.library_version)
                ext.extra_link_args.append(f"/INCLUDE:{symbol}")
        else:
            ext.library_dirs.insert(0, str(self.library_directory))
            # Every function of _ffi calls one of the library's: optimising it is wasted time.
            ext.extra_compile_args += ["-O1"] if cold else ["-O3"]
            ext.extra_compile_args += ["-fvisibility=hidden", *STRICT_UNIX]
            if cold or not self.in_place:
                # Debug information is for work on the C code in place. In a wheel it would weigh
                # more than the code, and name the directories of the machine that built it.
                ext.extra_compile_args.append("-g0")
                ext.extra_link_args.append("-Wl,-S")  # that of parts that the linker adds
            # Macros such as __FILE__ would name them too: two builds must give the same bytes.
            ext.extra_compile_args.append(f"-ffile-prefix-map={private_directory()}=build")
            ext.extra_compile_args.append(f"-ffile-prefix-map={ROOT}=.")
            if self.run_path:
                ext.extra_link_args.append(f"-Wl,-rpath,{self.run_path}")
            if sys.platform != "darwin":
                # With all symbols bound at load, a library that lacks one is refused at import
                # instead of ending the process at the first call of the missing function.
                ext.extra_link_args.append("-Wl,-z,now")
                # An old-style run path comes before LD_LIBRARY_PATH, a new-style one after it.
                # Android's loader knows the new style only, and has no such variable in apps.
                style = "enable" if sys.platform == "android" else "disable"
                ext.extra_link_args.append(f"-Wl,--{style}-new-dtags")
        super().build_extension(ext)
        say(f"{ext.name} took {time.monotonic() - started:.1f} s")

    def _import_library(self) -> str:
        """Make the import library that the Windows linker wants, and return its directory.

        The wheels carry the DLL alone; the list of its functions is known from the declarations.
        The DLL is looked for by the name that the list gives.
        """
        directory = Path(self.build_temp).resolve()
        directory.mkdir(parents=True, exist_ok=True)
        library = directory / "wasmtime.lib"
        definition = directory / "wasmtime.def"
        names = [*function_names(), system.versioned_symbol(self.library_version)]
        exports = "".join(f"    {name}\n" for name in names)
        text = f"LIBRARY {fetch.entry_for().library}\nEXPORTS\n{exports}"
        if not library.exists() or definition.read_text(encoding="ascii") != text:
            definition.write_text(text, encoding="ascii")
            machine = "ARM64" if sysconfig.get_platform() == "win-arm64" else "X64"
            if not getattr(self.compiler, "initialized", True):
                self.compiler.initialize()
            tool = getattr(self.compiler, "lib", None) or shutil.which("lib") or "lib.exe"
            command = [tool, "/nologo", f"/def:{definition}", f"/machine:{machine}"]
            say("making the import library wasmtime.lib")
            subprocess.run([*command, f"/out:{library}"], check=True)
        return str(directory)


core = Extension(
    "wasmtime._core",
    sources=["csrc/core/_core.c"],
    # One translation unit that includes the others.
    depends=[
        str(path.relative_to(ROOT))
        for folder in ("core", "cdef")
        for path in sorted((ROOT / "csrc" / folder).rglob("*.[ch]"))
    ],
    include_dirs=["csrc/cdef", "csrc/core"],
    libraries=["wasmtime"],
    define_macros=[
        # Compared at import with what the package expects: no half of it may be of another build.
        ("WASMTIME_PYTHON_VERSION", f'"{VERSION}"'),
        *([("Py_LIMITED_API", "0x030C0000")] if LIMITED_API else []),
    ],
    py_limited_api=LIMITED_API,
)

setup(
    version=fetch.read_lock().distribution,
    cffi_modules=[] if ONLY == "core" else ["csrc/ffi_build.py:make_ffi"],
    ext_modules=[] if ONLY == "ffi" else [core],
    cmdclass={"bdist_wheel": bdist_wheel, "build": build, "build_ext": build_ext},
    options={"bdist_wheel": {"py_limited_api": "cp312"}} if LIMITED_API else {},
)
