#!/usr/bin/env python3
"""Bring the locked libwasmtime to this machine, and nothing else.

The lock file beside this script names, for every supported platform, one wheel of the
published ``wasmtime`` package and the shared library inside it, each with its sha256. The
library is looked for

1. in the directory that the environment variable ``WASMTIME_LIB_DIR`` names: it may hold the
   wheel or the library itself, and when it is set nothing else is tried;
2. in a cache of the user's (``WASMTIME_LIB_CACHE`` moves it);
3. at the package index, by asking pip, so that the user's own configuration of index, proxy
   and certificates holds.

Whatever the source, both hashes are checked before a byte reaches its place, and files appear
under their final names complete or not at all. Everything that goes wrong is one
:class:`FetchError` whose text says what was expected, what was found and what to do.

Only the standard library is used: the build runs this before anything is installed.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import platform as _platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Optional

LOCK_FILE = Path(__file__).resolve().parent / "libwasmtime.lock.json"
DIRECTORY_VARIABLE = "WASMTIME_LIB_DIR"
CACHE_VARIABLE = "WASMTIME_LIB_CACHE"

_CHUNK = 1 << 20

Log = Callable[[str], None]


class FetchError(Exception):
    """The locked library cannot be had; the text is meant for the person who builds."""


class Locked(NamedTuple):
    """One platform's entry of the lock file.

    Attributes:
        platform: The platform tag of the wheel, which is also the entry's name.
        wheel: File name of the wheel.
        wheel_sha256: Hexadecimal sha256 of the wheel.
        member: Path of the library inside the wheel, with forward slashes.
        library_sha256: Hexadecimal sha256 of the library.
        library: File name under which the package bundles the library.
    """

    platform: str
    wheel: str
    wheel_sha256: str
    member: str
    library_sha256: str
    library: str


class Lock(NamedTuple):
    """The whole lock file.

    Attributes:
        project: Name of the published package, as the index knows it.
        version: Version of the package, which is also the version of the library.
        platforms: The entries by platform tag.
    """

    project: str
    version: str
    platforms: Mapping[str, Locked]

    @property
    def distribution(self) -> str:
        """Version of the distribution that is built here.

        Its local label tells it from the published package, and pip takes neither for an older
        one of the other while their versions agree.
        """
        return f"{self.version}+capi"


def read_lock(path: Path = LOCK_FILE) -> Lock:
    """Read the lock file.

    Args:
        path: The file to read.

    Returns:
        Its contents.

    Raises:
        FetchError: The file is missing or is not a lock file.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        platforms = {tag: Locked(platform=tag, **entry) for tag, entry in data["platforms"].items()}
        return Lock(data["project"], data["version"], platforms)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FetchError(f"cannot read the lock file {path}: {error!r}") from error


def _is_musl() -> bool:
    """Tell whether this interpreter is linked to musl instead of glibc."""
    names = ("SOABI", "HOST_GNU_TYPE", "MULTIARCH")
    return any("musl" in str(sysconfig.get_config_var(name) or "") for name in names)


def host_platform() -> str:
    """Return the lock's name of the platform that the running interpreter builds for.

    ``WASMTIME_LIB_PLATFORM`` overrides the answer, for cross builds.

    Returns:
        A platform tag such as ``manylinux1_x86_64``; it is a key of the lock file.

    Raises:
        FetchError: No libwasmtime is locked for this platform.
    """
    override = os.environ.get("WASMTIME_LIB_PLATFORM")
    if override:
        return override
    build = sysconfig.get_platform()
    tag: Optional[str] = None
    if sys.maxsize > 2**32:
        machine = _platform.machine().lower()
        arch = {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)
        if sys.platform == "win32":
            tag = {"win-amd64": "win_amd64", "win-arm64": "win_arm64"}.get(build)
        elif sys.platform == "darwin":
            # `build` follows _PYTHON_HOST_PLATFORM, which cross builds set; a universal2
            # interpreter builds for the machine it runs on.
            name = build.rsplit("-", 1)[-1]
            mac = arch if name == "universal2" else {"arm64": "aarch64"}.get(name, name)
            tag = {"x86_64": "macosx_10_13_x86_64", "aarch64": "macosx_11_0_arm64"}.get(mac or "")
        elif sys.platform == "android" or hasattr(sys, "getandroidapilevel"):
            tag = {"x86_64": "android_26_x86_64", "aarch64": "android_26_arm64_v8a"}.get(arch)
        elif sys.platform == "linux":
            # A 64-bit kernel under a 32-bit interpreter is excluded above; trust `build` for the
            # rest, because `machine` tells the kernel's architecture. A kernel with a 32-bit
            # personality (setarch) says that to a 64-bit interpreter too.
            arch = build.partition("-")[2]
            arch = {"i686": "x86_64", "armv8l": "aarch64"}.get(arch, arch)
            names = {
                "x86_64": ("manylinux1_x86_64", "musllinux_1_2_x86_64"),
                "aarch64": ("manylinux2014_aarch64", "musllinux_1_2_aarch64"),
            }.get(arch)
            tag = names[_is_musl()] if names else None
    if tag is None:
        supported = ", ".join(sorted(read_lock().platforms))
        raise FetchError(
            f"there is no libwasmtime for this platform: {build}, "
            f"{sys.maxsize.bit_length() + 1}-bit {sys.implementation.name} on "
            f"{_platform.machine() or 'an unknown machine'}; "
            f"libraries are locked for: {supported}"
        )
    return tag


def entry_for(platform: Optional[str] = None, lock: Optional[Lock] = None) -> Locked:
    """Return the lock's entry for a platform.

    Args:
        platform: A platform tag; the running interpreter's when not given.
        lock: The lock; read from its file when not given.

    Returns:
        The entry.

    Raises:
        FetchError: The platform is not in the lock.
    """
    lock = lock or read_lock()
    tag = platform or host_platform()
    try:
        return lock.platforms[tag]
    except KeyError:
        raise FetchError(
            f"there is no libwasmtime for the platform {tag!r}; libraries are locked for: "
            + ", ".join(sorted(lock.platforms))
        ) from None


def cache_directory() -> Path:
    """Return the directory where verified wheels are kept between builds.

    Returns:
        ``WASMTIME_LIB_CACHE`` when set, else a directory of this project's under the place
        that the platform gives to caches. It need not exist.
    """
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named)
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        base = Path(local) if local else Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        xdg = os.environ.get("XDG_CACHE_HOME", "")
        base = Path(xdg) if os.path.isabs(xdg) else Path.home() / ".cache"
    return base / "wasmtime-python-build"


def sha256_of(path: Path) -> str:
    """Return the hexadecimal sha256 of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for chunk in iter(lambda: file.read(_CHUNK), b""):
            digest.update(chunk)
    return digest.hexdigest()


def _check(path: Path, expected: str, what: str) -> None:
    """Refuse a file whose hash is not the locked one."""
    try:
        found = sha256_of(path)
        size = path.stat().st_size
    except OSError as error:
        raise FetchError(f"cannot read {what} {path}: {error}") from error
    if found != expected:
        raise FetchError(
            f"refused {what} {path}: expected sha256 {expected}, found {found} ({size} bytes); "
            "it is damaged or is another version than the locked one"
        )


@contextlib.contextmanager
def _staged(final: Path) -> Iterator[Path]:
    """Give a temporary path beside `final` and move it there when the block succeeds.

    The file is on the same file system, so the move is atomic: readers see the old file or
    the whole new one.
    """
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".fetch-", dir=final.parent)
    except OSError as error:
        raise FetchError(f"cannot write to the directory {final.parent}: {error}") from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        os.chmod(temporary, 0o644)
        os.replace(temporary, final)
    except OSError as error:
        raise FetchError(f"cannot write {final}: {error}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _named_directory() -> Optional[Path]:
    named = os.environ.get(DIRECTORY_VARIABLE)
    return Path(named) if named else None


def _library_names(entry: Locked) -> tuple[str, ...]:
    """File names under which a directory may hold the bare library."""
    original = entry.member.rpartition("/")[2]
    return tuple(dict.fromkeys((entry.library, original, original.lstrip("_"))))


def _pip_commands() -> Iterator[tuple[list[str], dict[str, str]]]:
    """Give the ways to run pip, the likeliest first.

    A build environment need not contain pip. The environment that asked for the build does,
    and it is reached by leaving the build environment's own search path.
    """
    environment = dict(os.environ)
    # The build runs where the caller's PIP_REQUIRE_VIRTUALENV or PIP_TARGET make no sense, and
    # a list of hashes for something else must not refuse this one file: it is checked here.
    for name in ("PIP_REQUIRE_VIRTUALENV", "PIP_TARGET", "PIP_REQUIRE_HASHES", "PIP_USER"):
        environment.pop(name, None)
    environment["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    environment["PIP_NO_INPUT"] = "1"
    inner = ("PYTHONPATH", "PYTHONHOME")
    outside = {name: value for name, value in environment.items() if name not in inner}
    yield [sys.executable, "-m", "pip"], environment
    yield [sys.executable, "-m", "pip"], outside
    base = getattr(sys, "_base_executable", None)
    if base and base != sys.executable:
        yield [base, "-m", "pip"], outside
    found = shutil.which("pip3") or shutil.which("pip")
    if found:
        yield [found], outside


def _working_pip() -> tuple[list[str], dict[str, str]]:
    for command, environment in _pip_commands():
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            probe = subprocess.run(
                [*command, "--version"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=120,
                check=False,
            )
            if probe.returncode == 0:
                return command, environment
    raise FetchError(
        "pip is needed to ask the package index for libwasmtime, and none was found; install pip, "
        f"or set {DIRECTORY_VARIABLE} to a directory that holds the wheel or the library"
    )


def _last_words(output: str) -> str:
    """Reduce pip's output to the line that says what went wrong."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    retries = [line for line in lines if "connection" in line.lower() or "resolve" in line.lower()]
    chosen = (retries[-1:] if retries else []) + (errors[-1:] or lines[-1:])
    return " / ".join(chosen) or "pip said nothing"


def _download(entry: Locked, lock: Lock, final: Path, log: Log) -> None:
    """Ask the package index for a wheel, through pip, and put it at `final`."""
    command, environment = _working_pip()
    requirement = f"{lock.project}=={lock.version}"
    log(f"asking the package index for {entry.wheel}")
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        scratch = tempfile.mkdtemp(prefix=".fetch-", dir=final.parent)
    except OSError as error:
        raise FetchError(f"cannot write to the directory {final.parent}: {error}") from error
    try:
        options = ["--no-deps", "--only-binary=:all:", "--platform", entry.platform]
        result = subprocess.run(
            [*command, "download", *options, "--dest", scratch, requirement],
            cwd=scratch,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
        found = Path(scratch) / entry.wheel
        if result.returncode != 0 or not found.is_file():
            raise FetchError(
                f"cannot get {entry.wheel} (sha256 {entry.wheel_sha256}) from the package index: "
                f"{_last_words(result.stdout)}. Without a network, set {DIRECTORY_VARIABLE} to a "
                "directory that holds this wheel or the library inside it"
            )
        _check(found, entry.wheel_sha256, "the wheel from the package index")
        os.replace(found, final)
    except OSError as error:
        raise FetchError(f"cannot run pip or keep its download: {error}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        with contextlib.suppress(OSError):
            final.parent.rmdir()  # succeeds only when nothing came of it


def wheel(platform: Optional[str] = None, log: Log = print, lock: Optional[Lock] = None) -> Path:
    """Return the path of the locked wheel for a platform, verified.

    Args:
        platform: A platform tag; the running interpreter's when not given.
        log: Called with one line of text for each thing that is done.
        lock: The lock; read from its file when not given.

    Returns:
        A file whose sha256 is the locked one.

    Raises:
        FetchError: It cannot be had.
    """
    lock = lock or read_lock()
    entry = entry_for(platform, lock)
    directory = _named_directory()
    if directory is not None:
        path = directory / entry.wheel
        if not path.is_file():
            raise FetchError(f"{DIRECTORY_VARIABLE}={directory} does not hold {entry.wheel}")
        _check(path, entry.wheel_sha256, "the wheel")
        return path
    path = cache_directory() / lock.version / entry.wheel
    if path.is_file():
        try:
            _check(path, entry.wheel_sha256, "the cached wheel")
            return path
        except FetchError as error:
            log(f"{error}; fetching it anew")
    _download(entry, lock, path, log)
    return path


def fetch(
    destination: Path,
    platform: Optional[str] = None,
    log: Log = print,
    lock: Optional[Lock] = None,
) -> Path:
    """Put the locked library for a platform into a directory.

    A library that is there already and has the locked hash is left as it is.

    Args:
        destination: The directory; it is made when missing.
        platform: A platform tag; the running interpreter's when not given.
        log: Called with one line of text for each thing that is done.
        lock: The lock; read from its file when not given.

    Returns:
        The path of the library.

    Raises:
        FetchError: It cannot be had; the directory is as it was.
    """
    lock = lock or read_lock()
    entry = entry_for(platform, lock)
    target = destination / entry.library
    if target.is_file() and sha256_of(target) == entry.library_sha256:
        log(f"libwasmtime {lock.version} for {entry.platform} is in place: {target}")
        return target
    directory = _named_directory()
    if directory is not None:
        for name in _library_names(entry):
            bare = directory / name
            if bare.is_file():
                _check(bare, entry.library_sha256, "the library")
                with _staged(target) as temporary:
                    shutil.copyfile(bare, temporary)
                    _check(temporary, entry.library_sha256, "the copy of the library")
                log(f"libwasmtime {lock.version} for {entry.platform}: {bare} -> {target}")
                return target
        if not (directory / entry.wheel).is_file():
            names = ", ".join(dict.fromkeys((entry.wheel, *_library_names(entry))))
            raise FetchError(
                f"{DIRECTORY_VARIABLE}={directory} holds no libwasmtime {lock.version} for "
                f"{entry.platform}: expected a file named one of {names}"
            )
    source = wheel(platform, log, lock)
    with _staged(target) as temporary:
        try:
            with zipfile.ZipFile(source) as archive, archive.open(entry.member) as member:
                with open(temporary, "wb") as file:
                    shutil.copyfileobj(member, file, _CHUNK)
        except (zipfile.BadZipFile, KeyError, EOFError) as error:
            raise FetchError(f"cannot take {entry.member} out of {source}: {error}") from error
        _check(temporary, entry.library_sha256, f"the library {entry.member} of {source} at")
    log(f"libwasmtime {lock.version} for {entry.platform}: {source} -> {target}")
    return target


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the script.

    Args:
        arguments: The command line without the program's name; the process's own when not
            given.

    Returns:
        The exit status: 0 when the library is in place, 1 when it cannot be had.
    """
    parser = argparse.ArgumentParser(description="Fetch and verify the locked libwasmtime.")
    parser.add_argument("--platform", help="platform tag of the lock; this machine's by default")
    parser.add_argument("--dest", type=Path, help="directory to put the library into")
    parser.add_argument(
        "--wheel", action="store_true", help="only bring the wheel to the cache and print its path"
    )
    parser.add_argument("--list", action="store_true", help="list the locked platforms")
    options = parser.parse_args(arguments)
    try:
        if options.list:
            for entry in read_lock().platforms.values():
                print(f"{entry.platform:24} {entry.library:18} {entry.library_sha256}")
        elif options.wheel:
            print(wheel(options.platform, log=lambda line: print(line, file=sys.stderr)))
        else:
            root = Path(__file__).resolve().parent.parent
            fetch(options.dest or root / "wasmtime" / "_lib", options.platform)
    except FetchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
