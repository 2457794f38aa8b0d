#!/usr/bin/env python3
"""Build the wheels of this machine as a release does, and prove that they work.

    python ci/wheel.py                 every CPython found here, from 3.9 on
    python ci/wheel.py --pythons /usr/bin/python3.12 --no-tests
    python ci/wheel.py --twice         build one wheel twice and compare the bytes

From the commit (or the files that are not ignored) comes the sdist, from the sdist each wheel; it
is repaired, checked inside (ci/check_wheel.py), audited for the stable ABI, installed in a fresh
environment, tried in isolated mode (ci/smoke.py) and tested with the whole test suite, out of
reach of the checkout. One abi3 wheel serves CPython 3.12 and all later ones.

A wheel for many Linuxes must be linked with an old C library. Where this machine's is newer than
the promised one, the compiler is ``zig cc``, which has the symbols of all; images made for the
purpose use their own compiler, and so does everybody who names one in ``CC``.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Optional

ROOT = Path(__file__).resolve().parent.parent
OLDEST = (3, 9)
STABLE = (3, 12)
#: The C library that the wheels promise to work with; the bundled library needs it.
GLIBC = (2, 28)


class Python(NamedTuple):
    """An interpreter to build and test with."""

    path: str
    version: tuple[int, int]
    full: str
    free_threaded: bool

    @property
    def label(self) -> str:
        """Return its name in the report."""
        return self.full + ("t" if self.free_threaded else "")

    @property
    def stable(self) -> bool:
        """Tell whether the wheel of the stable ABI serves it."""
        return self.version >= STABLE and not self.free_threaded


class Failed(Exception):
    """A step failed; what it said has been printed."""


_started = time.monotonic()


def say(text: str) -> None:
    """Print a headline with the time that has passed."""
    print(f"\n=== {text} (after {time.monotonic() - _started:.0f} s)", flush=True)


def run(
    command: Sequence[object],
    cwd: Optional[Path] = None,
    env: Optional[Mapping[str, str]] = None,
    quiet: bool = False,
) -> str:
    """Run a command and return what it printed, or fail with it.

    Args:
        command: The program and its arguments.
        cwd: Where to run it.
        env: Variables that are added to this process's.
        quiet: Print its output only when it fails.

    Returns:
        Its output, standard error included, when `quiet`; else nothing.

    Raises:
        Failed: It ended with another status than 0.
    """
    words = [str(word) for word in command]
    environment = {**os.environ, **(env or {})}
    # Nothing of the caller's may reach an interpreter that is being tested.
    for name in ("PYTHONPATH", "PYTHONHOME"):
        environment.pop(name, None)
    pipe = subprocess.PIPE if quiet else None
    merged = subprocess.STDOUT if quiet else None
    result = subprocess.run(
        words, cwd=cwd, env=environment, stdout=pipe, stderr=merged, text=True, check=False
    )
    if result.returncode != 0:
        print(result.stdout or "", end="")
        raise Failed(f"status {result.returncode}: {' '.join(words)}")
    return result.stdout or ""


def describe(path: str) -> Optional[Python]:
    """Return what an interpreter is, or None if it is none of ours."""
    code = (
        "import sys, sysconfig, ensurepip, venv\n"
        "print(sys.implementation.name, '%d.%d.%d' % sys.version_info[:3], "
        "bool(sysconfig.get_config_var('Py_GIL_DISABLED')), sys.executable)"
    )
    try:
        result = subprocess.run(
            [path, "-Ic", code], capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    name, full, free, executable = result.stdout.split(None, 3)
    major, minor = (int(part) for part in full.split(".")[:2])
    if name != "cpython" or (major, minor) < OLDEST:
        return None
    return Python(executable.strip(), (major, minor), full, free == "True")


def interpreters() -> list[Python]:
    """Return one CPython of each version on this machine, the oldest first."""
    found: dict[tuple[tuple[int, int], bool], Python] = {}
    candidates = [sys.executable]
    for minor in range(OLDEST[1], 20):
        for suffix in ("", "t"):
            path = shutil.which(f"python3.{minor}{suffix}")
            if path:
                candidates.append(path)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    candidates += [str(path) for path in sorted(pyenv.glob("3.*/bin/python"))]
    for candidate in candidates:
        python = describe(candidate)
        if python is not None:
            found.setdefault((python.version, python.free_threaded), python)
    return [found[key] for key in sorted(found)]


def export(destination: Path) -> None:
    """Copy what is committed or would be: no build products, nothing that is ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode != 0:
        skipped = shutil.ignore_patterns("_lib", "build", "*.so", "*.pyd", "__pycache__")
        shutil.copytree(ROOT, destination, ignore=skipped)
        return
    for name in listed.stdout.decode().split("\0"):
        source = ROOT / name
        if name and source.is_file():
            (destination / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, destination / name)


def epoch() -> str:
    """Return the time that goes into the archives: the commit's, unless it is given."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given:
        return given
    result = subprocess.run(
        ["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    # The zip format knows no time before 1980.
    return result.stdout.strip() or "315532800"


def environment(directory: Path, python: str) -> Path:
    """Make a virtual environment and return its interpreter."""
    run([python, "-m", "venv", directory], quiet=True)
    windows = os.name == "nt"
    return directory / ("Scripts" if windows else "bin") / ("python.exe" if windows else "python")


def compiler(tools: Path, work: Path) -> dict[str, str]:
    """Return the variables that choose a C compiler which links with the promised C library."""
    libc, version = platform.libc_ver()
    if sys.platform != "linux" or libc != "glibc" or os.environ.get("CC"):
        return {}
    if tuple(int(part) for part in version.split(".")[:2]) <= GLIBC:
        return {}
    script = work / "zig-cc"
    target = f"{platform.machine()}-linux-gnu.{GLIBC[0]}.{GLIBC[1]}"
    script.write_text(f'#!/bin/sh\nexec "{tools}" -m ziglang cc -target {target} "$@"\n')
    script.chmod(0o755)
    cache = str(work / "zig-cache")
    print(f"this machine has glibc {version}: linking with {target} by zig cc")
    return {"CC": str(script), "ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache}


def normalise(sdist: Path, when: int) -> None:
    """Write an sdist anew, without the builder's name, times and order of files.

    setuptools does so for wheels alone.
    """
    plain = io.BytesIO()
    with (
        tarfile.open(sdist) as old,
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
    with open(sdist, "wb") as file, gzip.GzipFile("", "wb", 9, file, when) as packed:
        packed.write(plain.getvalue())


def build_sdist(tools: Path, source: Path, out: Path, variables: Mapping[str, str]) -> Path:
    """Build the sdist and check that nothing which the build needs is missing, nor built in."""
    command = [tools, "-m", "build", "--sdist", "--outdir", out, source]
    run(command, env=variables, quiet=True)
    sdist = next(out.glob("*.tar.gz"))
    normalise(sdist, int(variables["SOURCE_DATE_EPOCH"]))
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {
        path.relative_to(source).as_posix()
        for folder in ("csrc", "vendor", "wasmtime", "tests", "ci")
        for path in (source / folder).rglob("*")
        if path.is_file() and not re.search(r"__pycache__|\.egg-info", str(path))
    } | {"LICENSE", "README.md", "pyproject.toml", "setup.py"}
    missing = sorted(wanted - names)
    foreign = sorted(name for name in names if re.search(r"\.(so|dylib|dll|pyd|pyc)$", name))
    if missing or foreign:
        raise Failed(f"{sdist.name} lacks {missing} and holds {foreign}")
    print(f"{sdist.name}: {sdist.stat().st_size / 1e6:.2f} MB, {len(names)} entries")
    return sdist


def build_wheel(python: str, sdist: Path, out: Path, variables: Mapping[str, str]) -> Path:
    """Build a wheel from the sdist."""
    out.mkdir(parents=True)
    command = [python, "-m", "pip", "wheel", "--no-deps", "--no-cache-dir", "-w", out, sdist]
    said = run([*command, "-v"], env=variables, quiet=True)
    for line in said.splitlines():
        if "[wasmtime]" in line and (" took " in line or " done " in line):
            print(line.strip())
    return next(out.glob("*.whl"))


def repair(tools: Path, wheel: Path, out: Path, variables: Mapping[str, str]) -> Path:
    """Give the wheel the platform tag that it deserves."""
    out.mkdir(parents=True, exist_ok=True)
    if sys.platform != "linux":
        shutil.copy2(wheel, out)  # cibuildwheel does it there
        return out / wheel.name
    before = set(out.glob("*.whl"))
    musl = platform.libc_ver()[0] != "glibc"
    tag = f"{'musllinux_1_2' if musl else f'manylinux_{GLIBC[0]}_{GLIBC[1]}'}_{platform.machine()}"
    path = os.pathsep.join([str(tools.parent), os.environ.get("PATH", "")])
    run(
        [tools, "-m", "auditwheel", "repair", "--only-plat", "--plat", tag, "-w", out, wheel],
        env={**variables, "PATH": path},
        quiet=True,
    )
    return next(iter(set(out.glob("*.whl")) - before))


def digests(wheel: Path) -> dict[str, str]:
    """Return the hashes of a wheel's members, with their order and dates."""
    with zipfile.ZipFile(wheel) as archive:
        return {
            info.filename: f"{index} {info.date_time} {info.external_attr:o} "
            + hashlib.sha256(archive.read(info)).hexdigest()
            for index, info in enumerate(archive.infolist())
        }


def compare(first: Path, second: Path) -> Iterator[str]:
    """Give what differs between two wheels."""
    if first.read_bytes() == second.read_bytes():
        return
    one, two = digests(first), digests(second)
    for name in sorted({*one, *two}):
        if one.get(name) != two.get(name):
            yield f"{name}: {one.get(name)} / {two.get(name)}"
    if one == two:
        yield "the archives' own bytes, though all members are equal"


def tests(python: Path, tree: Path, arguments: Sequence[str]) -> str:
    """Run the test suite against the installed wheel and return pytest's closing line."""
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    said = run(command, cwd=tree, quiet=True)
    return next((line for line in reversed(said.splitlines()) if " passed" in line), "no test ran")


def try_out(python: Python, wheel: Path, work: Path, options: argparse.Namespace) -> str:
    """Install a wheel in a fresh environment and use it; return how it went in one line."""
    installed = environment(work / f"installed-{python.label}", python.path)
    extras = "" if options.no_tests else "[test]"
    requirement = f"wasmtime{extras} @ {wheel.as_uri()}"
    run([installed, "-m", "pip", "install", "-q", requirement], quiet=True)
    smoke = [installed, "-I", work / "source" / "ci" / "smoke.py"]
    print(run(smoke, cwd=work, quiet=True).strip())
    if options.no_tests:
        return "smoke test only"
    line = tests(installed, work / "tree", options.arguments).strip("= ")
    print(line)
    return line


def prove(
    options: argparse.Namespace, pythons: Sequence[Python], work: Path, out: Path
) -> list[str]:
    """Do everything; return the lines of the report."""
    report: list[str] = []
    say("tools")
    tools = environment(work / "tools", sys.executable)
    requirements = ROOT / "ci" / "wheel-requirements.txt"
    run([tools, "-m", "pip", "install", "-q", "-r", requirements], quiet=True)

    say("sdist")
    source = work / "source"
    export(source)
    variables = {"SOURCE_DATE_EPOCH": epoch(), **compiler(tools, work)}
    sdist = build_sdist(tools, source, out, variables)
    if options.sdist_only:
        return report

    wheels: dict[str, Path] = {}
    for python in pythons:
        key = "abi3" if python.stable else python.label
        if key in wheels:
            continue
        say(f"wheel by CPython {python.label}")
        built = build_wheel(python.path, sdist, work / f"built-{key}", variables)
        wheels[key] = repair(tools, built, out, variables)
        check = [tools, source / "ci" / "check_wheel.py", wheels[key]]
        run(check if sys.platform == "linux" else [*check, "--unrepaired"])
        if key == "abi3":
            audit = [tools, "-m", "abi3audit", "--strict", "--summary", wheels[key]]
            print(run(audit, quiet=True).strip())
    say("metadata")
    run([tools, "-m", "twine", "check", "--strict", sdist, *wheels.values()])

    if options.twice:
        key, wheel = next(iter(wheels.items()))
        python = next(
            one for one in pythons if key in ("abi3", one.label) and (key != "abi3" or one.stable)
        )
        say(f"the same wheel again, elsewhere: {wheel.name}")
        again = work / "a place with another name"
        again.mkdir()
        second_sdist = build_sdist(tools, source, again, variables)
        elsewhere = {**variables, "TMPDIR": str(again), "LC_ALL": "C", "TZ": "Asia/Kolkata"}
        # Compiled anew, not taken from the first build.
        elsewhere.update({name: str(again / "cache") for name in variables if "CACHE" in name})
        built = build_wheel(python.path, second_sdist, again / "built", elsewhere)
        second = repair(tools, built, again / "repaired", elsewhere)
        differing = list(compare(wheel, second))
        if sdist.read_bytes() != second_sdist.read_bytes():
            differing.append(f"{sdist.name}: the two differ")
        if differing:
            raise Failed("not reproducible:\n  " + "\n  ".join(differing))
        report.append(f"two builds of {wheel.name} and of the sdist gave the same bytes")

    tree = work / "tree"
    shutil.copytree(source, tree, ignore=shutil.ignore_patterns("wasmtime"))
    failed = []
    for python in pythons:
        wheel = wheels["abi3" if python.stable else python.label]
        say(f"{wheel.name} in CPython {python.label}")
        try:
            line = try_out(python, wheel, work, options)
        except Failed as error:
            # The others may have more to tell.
            print(error)
            failed.append(python.label)
            line = "FAILED"
        report.append(f"CPython {python.label:8} {wheel.name}: {line}")
    for path in sorted(out.iterdir()):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        report.append(f"{path.stat().st_size:>10} bytes, sha256 {digest}  {path.name}")
    if failed:
        raise Failed(f"with CPython {', '.join(failed)}\n" + "\n".join(report))
    return report


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the script.

    Args:
        arguments: The command line without the program's name; the process's own when not given.

    Returns:
        The exit status: 0 when every wheel could be built and passed everything.
    """
    parser = argparse.ArgumentParser(
        description="Build the wheels of this machine and prove that they work."
    )
    parser.add_argument("--out", type=Path, help="directory for the results; must be new or empty")
    parser.add_argument("--pythons", nargs="+", help="interpreters; by default all that are found")
    parser.add_argument("--no-tests", action="store_true", help="only the smoke test")
    parser.add_argument("--sdist-only", action="store_true", help="build the sdist and no wheel")
    parser.add_argument("--twice", action="store_true", help="compare two builds of one wheel")
    parser.add_argument("arguments", nargs="*", help="for pytest; put -- before options")
    options = parser.parse_args(arguments)
    pythons = [describe(path) for path in options.pythons or ()] or interpreters()
    # The archives keep the files' modes, which must not be this shell's.
    os.umask(0o022)
    known = [python for python in pythons if python is not None]
    if not known or len(known) < len(pythons):
        parser.error(f"not a CPython of {OLDEST[0]}.{OLDEST[1]} or later among {options.pythons}")
    print("CPython", ", ".join(python.label for python in known))
    with tempfile.TemporaryDirectory(prefix="wheel-") as directory:
        work = Path(directory).resolve()
        out = (options.out or work / "dist").resolve()
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()):
            parser.error(f"{out} is not empty")
        try:
            report = prove(options, known, work, out)
        except Failed as error:
            print(f"\nFAILED: {error}", file=sys.stderr)
            return 1
    say("all passed")
    print("\n".join(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
