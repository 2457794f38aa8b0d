"""What there is to run: ``nox -l`` lists it, ``nox -s NAME`` runs it, ``.ci/run`` runs the most.

Every session has an environment of its own and builds the package from the sdist, which is a copy
of the checkout without build products. Tests run in an empty directory, because Python started in
the checkout would import ``wasmtime/`` from there instead of the installed package. ``-P 3.9`` (or
the path of an interpreter) chooses the Python.
"""

from __future__ import annotations

import gzip
import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path

import nox

ROOT = Path(__file__).resolve().parent
CONFIGURATION = nox.project.load_toml(ROOT / "pyproject.toml")
PROJECT, TOOLS = CONFIGURATION["project"], CONFIGURATION["tool"]
nox.options.sessions = ["lint", "types", "tests"]
nox.needs_version = ">=2025.2"

#: The C library that wheels for Linux promise to work with; the bundled library needs it.
GLIBC = "2_28"

#: The tests of what is written in C, for a quick look under the sanitizers.
FAST = (
    *(f"tests/unit/test_{name}.py" for name in (
        "exceptions", "func", "global", "host_functions", "instance", "linker", "memory",
        "references", "shared_memory", "store", "table", "trap", "value", "views",
    )),
    "tests/component/test_bulk.py",
    "tests/snapshots",
    "tests/integration/wasi",
    "tests/faults",
)  # fmt: skip


def temporary(session: nox.Session, name: str) -> Path:
    """Return a new, empty directory of a session."""
    directory = Path(session.create_tmp()).resolve() / name
    # The path is too long for the sockets that tests make in temporary directories.
    session.env.pop("TMPDIR", None)
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    return directory


def commit_time() -> int:
    """Return the time that goes into archives: the commit's, or ``SOURCE_DATE_EPOCH``."""
    command = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]
    asked = subprocess.run(command, capture_output=True, text=True)
    # The zip format knows no time before 1980.
    return int(os.environ.get("SOURCE_DATE_EPOCH") or asked.stdout.strip() or 315532800)


def normalise(archive: Path, when: int) -> None:
    """Write an sdist anew without the builder's name, times and order, as wheels are already."""
    plain = io.BytesIO()
    with (
        tarfile.open(archive) as old,
        tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        for member in sorted(old.getmembers(), key=lambda member: member.name):
            content = old.extractfile(member) if member.isfile() else None
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mtime = when
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            member.pax_headers = {}
            new.addfile(member, content)
    with open(archive, "wb") as file, gzip.GzipFile("", "wb", 9, file, when) as packed:
        packed.write(plain.getvalue())


def build_sdist(session: nox.Session, out: Path) -> Path:
    """Build the sdist into a directory and return its path."""
    session.install("build")
    session.run("python", "-m", "build", "--sdist", "--outdir", str(out), str(ROOT), silent=True)
    (archive,) = out.glob("*.tar.gz")
    normalise(archive, commit_time())
    return archive


def unpacked(session: nox.Session) -> Path:
    """Return a copy of the checkout without build products."""
    directory = temporary(session, "tree")
    with tarfile.open(build_sdist(session, directory)) as archive:
        archive.extractall(directory)
    (tree,) = (path for path in directory.iterdir() if path.is_dir())
    return tree


def build_plain_wheel(session: nox.Session, out: Path) -> None:
    """Build the wheel as pip does for users, into a directory, from the sdist."""
    archive = build_sdist(session, temporary(session, "sdist"))
    # Of an archive at this path, pip's cache may have the wheel of an earlier state.
    options = ("--no-cache-dir", "--no-deps", "--wheel-dir", str(out))
    session.run("python", "-m", "pip", "wheel", "--quiet", *options, str(archive), silent=True)


def install(session: nox.Session, extras: str) -> None:
    """Install the package as a user would have it, with extras.

    A program that runs several sessions of one checkout sets ``WASMTIME_WHEELS`` to a new
    directory: the wheel for an interpreter is built once then.
    """
    kept = os.environ.get("WASMTIME_WHEELS")
    show = "import sysconfig; print(sysconfig.get_config_var('EXT_SUFFIX'), end='')"
    suffix = session.run("python", "-c", show, silent=True)
    wheels = Path(kept) / f"for{suffix}" if kept else temporary(session, "wheel")
    if not any(wheels.glob("*.whl")):
        build_plain_wheel(session, wheels)
    (wheel,) = wheels.glob("*.whl")
    session.install(f"wasmtime[{extras}] @ {wheel.as_uri()}")


def install_extra(session: nox.Session, extra: str) -> None:
    """Install what an extra of the package asks for, without the package."""
    session.install(*PROJECT["optional-dependencies"][extra])


def pytest(
    session: nox.Session,
    *options: str,
    env: Mapping[str, str] | None = None,
    tests: tuple[str, ...] = ("tests",),
) -> None:
    """Run tests of the checkout with the installed package, in an empty directory.

    Args:
        session: The session, whose arguments pytest gets too; paths of tests among them replace
            `tests`.
        options: Options of pytest.
        env: Variables of the environment.
        tests: The tests to run, relative to the checkout.
    """
    named = [one for one in session.posargs if (ROOT / one.partition("::")[0]).exists()]
    chosen = [str(ROOT / one) for one in named or tests]
    options += tuple(one for one in session.posargs if one not in named)
    where = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT)]
    with session.chdir(temporary(session, "empty")):
        session.run("python", "-m", "pytest", *where, *options, *chosen, env=env)


@nox.session
def tests(session: nox.Session) -> None:
    """The tests: ``nox -s tests -- tests/unit/test_func.py -k results``."""
    install(session, "dev")
    pytest(session)


@nox.session
def devmode(session: nox.Session) -> None:
    """The tests with everything that Python checks in development mode; warnings are errors.

    It fills freed memory with a pattern and checks that the GIL is held where memory is asked for.
    A warning about something that was not closed, or an exception that nobody could see, fails.
    """
    install(session, "test")
    # The mode enables faulthandler before the first engine, as it must be: enabled later, it would
    # take the signals that wasmtime turns into traps. pytest's plugin enables it at other times.
    options = ["-p", "no:faulthandler"]
    for warning in (
        "ResourceWarning",
        "pytest.PytestUnraisableExceptionWarning",
        "pytest.PytestUnhandledThreadExceptionWarning",
    ):
        options += ["-W", f"error::{warning}"]
    # This one is of a process without faulthandler.
    options += [
        "--deselect",
        "tests/safety/test_signals.py::test_a_real_fault_without_faulthandler_ends_the_process",
    ]
    pytest(session, *options, env={"PYTHONDEVMODE": "1", "PYTHONMALLOC": "debug"})


@nox.session
def lint(session: nox.Session) -> None:
    """Style, spelling, and that what is generated is what would be generated now."""
    install_extra(session, "lint")
    session.chdir(ROOT)
    session.run("ruff", "check", "--quiet")
    # Each as soon as it is configured.
    if "format" in TOOLS["ruff"]:
        session.run("ruff", "format", "--check", "--quiet")
    if "codespell" in TOOLS:
        session.run("codespell")
    if (ROOT / ".clang-format").exists():
        sources = sorted(str(path) for path in (ROOT / "csrc" / "core").rglob("*.[ch]"))
        session.run("clang-format", "--dry-run", "-Werror", *sources, silent=True)
    session.run("python", "-m", "ci.derive_cdef", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """The type checkers, also over documents, and the stub of the C core against the built one."""
    install(session, "test,types,benchmarks")
    with session.chdir(temporary(session, "empty")):
        session.run("python", "-m", "mypy.stubtest", "wasmtime._core")
    session.chdir(ROOT)
    python = str(Path(session.bin) / "python")
    session.run("mypy")
    session.run("pyright", "--pythonpath", python)
    pytest(session, tests=("tests/typing",))


@nox.session
def docs(session: nox.Session) -> None:
    """What the documents say: links, figures, and that their programs run."""
    install(session, "test,benchmarks")
    pytest(session, tests=("tests/docs",))


@nox.session
def site(session: nox.Session) -> None:
    """Write the documents as a site into ``docs/_build``; what Sphinx warns of is an error."""
    install(session, "docs")
    out = ROOT / "docs" / "_build"
    shutil.rmtree(out, ignore_errors=True)
    sphinx(session, "html", out)


@nox.session
def links(session: nox.Session) -> None:
    """Ask the network whether what the documents link to is still there."""
    install(session, "docs")
    sphinx(session, "linkcheck", temporary(session, "links"))


def sphinx(session: nox.Session, builder: str, out: Path) -> None:
    """Build the documents, from a directory in which the installed package is found."""
    with session.chdir(temporary(session, "empty")):
        options = ["--quiet", "--fail-on-warning", "--keep-going", "--builder", builder]
        session.run("python", "-m", "sphinx", *options, str(ROOT / "docs"), str(out))


def build_wheel(session: nox.Session, archive: Path, out: Path, **env: str) -> Path:
    """Build a wheel from an sdist, repair it if it is for Linux, and return its path.

    A wheel for many Linuxes must be linked with an old C library; ``zig cc`` has the symbols of
    all. Who names a compiler in ``CC`` uses that.
    """
    os.umask(0o022)  # wheels keep the modes of files
    built = out / "built"
    machine = platform.machine()
    glibc = platform.libc_ver()[0] == "glibc"
    if glibc and "CC" not in os.environ:
        env["CC"] = f"{session.bin}/python -I -m ziglang cc -target {machine}-linux-gnu." + (
            GLIBC.replace("_", ".")
        )
        env["ZIG_GLOBAL_CACHE_DIR"] = env["ZIG_LOCAL_CACHE_DIR"] = str(out / "zig")
    env["SOURCE_DATE_EPOCH"] = str(commit_time())
    command = ["pip", "wheel", "--no-deps", "--no-cache-dir", "-w", str(built), str(archive)]
    session.run(*command, env=env, silent=True)
    (wheel,) = built.glob("*.whl")
    if sys.platform != "linux":
        return wheel
    tag = f"{'manylinux_' + GLIBC if glibc else 'musllinux_1_2'}_{machine}"
    repair = ["auditwheel", "repair", "--only-plat", "--plat", tag, "-w", str(out), str(wheel)]
    session.run(*repair, env=env, silent=True)
    (repaired,) = out.glob("*.whl")
    return repaired


def keep(archive: Path) -> None:
    """Copy an archive to where releases are taken from."""
    (ROOT / "dist").mkdir(exist_ok=True)
    shutil.copy2(archive, ROOT / "dist")


def check_wheels(session: nox.Session, *archives: Path, complete: bool = False) -> None:
    """Check what is inside of wheels and an sdist, with other people's tools and with ours."""
    names = [str(path) for path in archives]
    wheels = [name for name in names if name.endswith(".whl")]
    session.run("twine", "check", "--strict", *names)
    session.run("check-wheel-contents", *wheels)
    stable = [name for name in wheels if "-abi3-" in name]
    if stable:
        session.run("abi3audit", "--strict", "--summary", *stable)
    session.run("python", "-m", "ci.check_wheel", *["--complete"] * complete, *wheels)


@nox.session
def sdist(session: nox.Session) -> None:
    """Build the sdist into ``dist/``."""
    keep(build_sdist(session, temporary(session, "sdist")))


@nox.session
def wheels(session: nox.Session) -> None:
    """Build, repair, check and test a wheel for this machine, as a release has it, in ``dist/``.

    It is for this version of Python, or with ``-- --stable-abi`` for 3.12 and all later ones.
    """
    install_extra(session, "wheels")
    stable = "--stable-abi" in session.posargs
    session.posargs[:] = [one for one in session.posargs if one != "--stable-abi"]
    archive = build_sdist(session, temporary(session, "sdist"))
    env = {"WASMTIME_STABLE_ABI": "1"} if stable else {}
    wheel = build_wheel(session, archive, temporary(session, "wheel"), **env)
    check_wheels(session, archive, wheel)
    session.install(f"wasmtime[test] @ {wheel.as_uri()}")
    session.run("python", "-I", str(ROOT / "ci" / "smoke.py"))
    pytest(session)
    keep(wheel)


@nox.session
def check_dist(session: nox.Session) -> None:
    """Check the archives of a whole release in ``dist/``."""
    install_extra(session, "wheels")
    check_wheels(session, *(ROOT / "dist").iterdir(), complete=True)


@nox.session
def reproducible(session: nox.Session) -> None:
    """Build the sdist and a wheel twice, at different places, and compare the bytes."""
    install_extra(session, "wheels")
    results = []
    for name, zone in (("one", "UTC"), ("another place", "Asia/Kolkata")):
        out = temporary(session, name)
        archive = build_sdist(session, out)
        wheel = build_wheel(session, archive, out, TMPDIR=str(out), TZ=zone, LC_ALL="C")
        results.append([path.read_bytes() for path in (archive, wheel)])
    if results[0] != results[1]:
        session.error(f"not reproducible: compare the files in {session.create_tmp()}")


def instrumented(session: nox.Session, compiler: str, sanitizers: str) -> Path:
    """Install a copy of the checkout whose C core checks itself, and return the copy."""
    tree = unpacked(session)
    flags = f"-fsanitize={sanitizers} -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g"
    env = {"CC": compiler, "CFLAGS": flags, "LDFLAGS": flags, "WASMTIME_BUILD_ONLY": "core"}
    session.install("setuptools>=77", "-e", f"{tree}[test]")
    with session.chdir(tree):
        command = ["setup.py", "--quiet", "build_ext", "--inplace", "--force"]
        session.run("python", *command, env=env, silent=True)
    return tree


@nox.session
def sanitizers(session: nox.Session) -> None:
    """The tests under AddressSanitizer and UndefinedBehaviorSanitizer; ``-- --fast`` for a part.

    Any report fails, also one of a process that a test expects to die. Memory is taken from malloc,
    so that objects of Python are checked as well. The library installs signal handlers of its own,
    for traps: the sanitizer must leave SIGSEGV and its relatives alone. Leaks are the business of
    tests/faults and tests/safety: CPython frees too little at exit for LeakSanitizer.
    """
    compiler = os.environ.get("CC", "gcc")
    command = [compiler, "-print-file-name=libasan.so"]
    runtime = shutil.which(compiler) and subprocess.run(command, capture_output=True, text=True)
    if not runtime or not Path(runtime.stdout.strip()).is_absolute():
        session.skip(f"{compiler} has no AddressSanitizer")
    instrumented(session, compiler, "address,undefined")
    reports = temporary(session, "reports")
    signals = ":".join(f"handle_{name}=0" for name in ("segv", "sigbus", "sigill", "sigfpe"))
    env = {
        "LD_PRELOAD": runtime.stdout.strip(),
        "PYTHONMALLOC": "malloc",
        # An allocation that no machine can serve is an error that the library reports.
        "ASAN_OPTIONS": f"{signals}:allow_user_segv_handler=1:use_sigaltstack=0:detect_leaks=0:"
        "detect_stack_use_after_return=0:abort_on_error=1:allocator_may_return_null=1:"
        f"log_path={reports}/asan",
        "UBSAN_OPTIONS": f"print_stacktrace=1:halt_on_error=1:log_path={reports}/ubsan",
    }
    # Seen to work: this writes past the end of a block.
    overrun = "import ctypes; ctypes.memset(ctypes.create_string_buffer(8), 0, 4096)"
    session.run("python", "-c", overrun, env=env, success_codes=range(-64, 256), silent=True)
    if not list(reports.iterdir()):
        session.error("the sanitizer did not report a write past the end of a block")
    shutil.rmtree(reports)
    reports.mkdir()
    fast = "--fast" in session.posargs
    session.posargs[:] = [one for one in session.posargs if one != "--fast"]
    # Left out are the tests of other binaries than _core, and those that measure or only read.
    skipped = ["native_library", "docs", "tools", "typing", "integration/cli"]
    skipped += [f"unit/test_{name}.py" for name in ("config", "types")]
    # Freed memory is kept for a while, to be watched.
    skipped += ["safety/test_config_combinations.py", "safety/test_leaks.py"]
    # A worker process has an environment of its own, without the library of the sanitizers.
    marks = "not network and not workers" + (" and not slow" if fast else "")
    options = ["-o", "timeout=300", "-m", marks]
    # greenlet copies stacks as they lie, with what AddressSanitizer has put between variables.
    options += ["-k", "not greenlet"]
    options += [f"--ignore={ROOT / 'tests' / name}" for name in skipped]
    try:
        pytest(session, *options, env=env, tests=FAST if fast else ("tests",))
    finally:
        found = sorted(reports.iterdir())
        for path in found:
            session.warn(path.read_text(errors="replace"))
    if found:
        session.error("the sanitizers reported")


@nox.session
def fuzz(session: nox.Session) -> None:
    """Fuzz the C core, with clang and atheris: ``-- --seconds 60 [--keep]``."""
    session.install("atheris")
    # CPython calls through casts of function pointers everywhere.
    kinds = "address,undefined,fuzzer-no-link -fno-sanitize=function"
    instrumented(session, os.environ.get("CC", "clang"), kinds)
    session.run("python", str(ROOT / "ci" / "fuzz.py"), *session.posargs)


@nox.session
def instructions(session: nox.Session) -> None:
    """Count the instructions of the hot paths under valgrind; ``-- --update`` records them."""
    install(session, "test")
    session.run("python", str(ROOT / "ci" / "instructions.py"), *session.posargs)


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Measure this checkout and the published package side by side."""
    session.install("pyperf")
    session.chdir(ROOT)
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
def update_library(session: nox.Session) -> None:
    """Move to another libwasmtime: ``nox -s update_library -- 51.0.0``."""
    session.chdir(ROOT)
    session.run("python", "-m", "ci.update_library", *session.posargs)
