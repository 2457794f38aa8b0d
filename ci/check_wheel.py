"""Check in wheels what nothing else does, whatever platform they are for.

    python -m ci.check_wheel [--complete] dist/*.whl

Each must be one that a release has, and hold the locked library, both licences and nothing foreign;
the binary modules must find the library beside them and nowhere else, need nothing that a system
may lack, and must not tell where they were built. auditwheel, abi3audit, check-wheel-contents and
twine look at the rest: ``nox -s wheels``.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Optional

from ci import binaries
from vendor import fetch

#: The library weighs 30 MB, about 10 MB when compressed.
BUDGET = 12_000_000
#: What a binary module may need besides the library: parts of every system.
SYSTEM = re.compile(
    r"libc\.so(\.6)?|libpthread\.so\.0|libm\.so(\.6)?|libdl\.so(\.2)?|ld-linux-[\w-]+\.so\.\d"
    r"|/usr/lib/libSystem\.B\.dylib"
    r"|(kernel32|vcruntime140|python3|python3\d+t?|api-ms-win-crt-[\w-]+)\.dll",
    re.IGNORECASE,
)
LIBRARY = re.compile(
    r"(@loader_path/_lib/|@rpath/)?(libwasmtime\.(so|dylib)|wasmtime_\d+_\d+_\d+\.dll)"
)
#: Directories of a machine that builds. Nothing of them belongs in a module.
BUILD_PATH = re.compile(
    rb"(?:/(?:root|home|Users|tmp|private|project|build|work|opt|var|__w|host)/|[A-Za-z]:\\)"
    rb"[\w .\\/@+-]{3,}"
)
#: What a wheel may hold; that no file of the package is missing, check-wheel-contents tells.
ALLOWED = (
    r"wasmtime/([\w-]+/)*\w+\.pyi?|wasmtime/py\.typed|wasmtime/_(core|ffi)\.[\w-]*\.?(so|pyd)"
    r"|wasmtime-[\d.]+\+capi\.dist-info/(METADATA|WHEEL|RECORD|top_level\.txt|entry_points\.txt"
    r"|sboms/[\w.-]+|licenses/(vendor/)?LICENSE)"
)
VERSIONS = ("cp39", "cp310", "cp311", "cp312", "cp313", "cp314", "cp315")
PYTHONS = (*(f"{version}-{version}" for version in VERSIONS), "cp312-abi3")
THREADED = ("cp314-cp314t", "cp315-cp315t")
#: The platforms of a release: of the wheel's tag, the lock's name of it, and the interpreters.
PLATFORMS = {
    "manylinux_2_28_x86_64": ("manylinux1_x86_64", PYTHONS + THREADED),
    "manylinux_2_28_aarch64": ("manylinux2014_aarch64", PYTHONS + THREADED),
    "musllinux_1_2_x86_64": ("musllinux_1_2_x86_64", PYTHONS + THREADED),
    "musllinux_1_2_aarch64": ("musllinux_1_2_aarch64", PYTHONS + THREADED),
    "macosx_10_13_x86_64": ("macosx_10_13_x86_64", PYTHONS),
    "macosx_10_15_x86_64": ("macosx_10_13_x86_64", THREADED),
    "macosx_11_0_arm64": ("macosx_11_0_arm64", PYTHONS + THREADED),
    "win_amd64": ("win_amd64", PYTHONS + THREADED),
    "win_arm64": ("win_arm64", PYTHONS[2:] + THREADED),
}


def expected() -> set[str]:
    """Return the names of all wheels of a release."""
    return {
        f"wasmtime-{fetch.read_lock().distribution}-{tag}-{platform}.whl"
        for platform, (_, tags) in PLATFORMS.items()
        for tag in tags
    }


def problems(path: Path) -> Iterator[str]:
    """Give everything that is wrong with a wheel, as sentences."""
    if path.name not in expected():
        yield "a release has no wheel of this name"
        return
    platform = path.stem.split("-")[-1]
    locked = fetch.entry_for(PLATFORMS[platform][0])
    if path.stat().st_size > BUDGET:
        yield f"it has {path.stat().st_size} bytes, more than {BUDGET}"
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        yield from _files(names, platform, locked)
        library = f"wasmtime/_lib/{locked.library}"
        if library in names:
            yield from _library(library, archive.read(library), platform, locked)
        for short in ("_core", "_ffi"):
            found = [name for name in names if re.fullmatch(rf"wasmtime/{short}\..*(so|pyd)", name)]
            if len(found) != 1:
                yield f"there must be one module {short}, not {found}"
            for name in found:
                yield from _module(name, short, archive.read(name))


def _files(names: Sequence[str], platform: str, locked: fetch.Locked) -> Iterator[str]:
    library = f"wasmtime/_lib/{locked.library}"
    # The repair adds this on musl, whose systems may lack it.
    grafted = r"wasmtime\.libs/libgcc_s-[0-9a-f]+\.so\.1" if "musllinux" in platform else "(?!)"
    for name in names:
        if name != library and not re.fullmatch(rf"{ALLOWED}|{grafted}|.*/", name):
            yield f"{name} does not belong in it"
    licences = f"wasmtime-{fetch.read_lock().distribution}.dist-info/licenses"
    for name in (library, f"{licences}/LICENSE", f"{licences}/vendor/LICENSE"):
        if name not in names:
            yield f"{name} is missing"


def _library(name: str, data: bytes, platform: str, locked: fetch.Locked) -> Iterator[str]:
    if hashlib.sha256(data).hexdigest() == locked.library_sha256:
        return
    # The repair adds a run path to the grafted libgcc_s on musl, and signs anew on macOS.
    if not re.match(r"musllinux|macosx", platform):
        yield f"{name} is not the locked library"
    elif sum(export.startswith("was") for export in binaries.read(data).exports) < 700:
        yield f"{name} does not export all functions"


def _module(name: str, short: str, data: bytes) -> Iterator[str]:
    found = binaries.read(data)
    # Some linkers for macOS export two names of their own.
    exports = found.exports - {"_mh_dylib_header", "__dso_handle"}
    if exports != {f"PyInit_{short}"}:
        yield f"{name} exports {sorted(exports)}"
    for needed in found.needed:
        if not SYSTEM.fullmatch(needed) and not LIBRARY.fullmatch(needed):
            yield f"{name} needs {needed}"
    if not any(LIBRARY.fullmatch(needed) for needed in found.needed):
        yield f"{name} is not linked with the library"
    beside = "$ORIGIN/_lib" if found.format == "ELF" else "@loader_path/_lib"
    if (found.run_paths or found.format == "ELF") and found.run_paths != {"RPATH": [beside]}:
        yield f"{name} has the run paths {found.run_paths}"
    if any(section.startswith(".debug") for section in found.sections):
        yield f"{name} has debug information"
    for path in sorted({match.group().decode() for match in BUILD_PATH.finditer(data)}):
        yield f"{name} tells where it was built: {path}"


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Check wheels.

    Args:
        arguments: The command line without the program's name; the process's own when not given.

    Returns:
        The exit status: 0 when all is well.
    """
    parser = argparse.ArgumentParser(description="Check what is inside of wheels.")
    parser.add_argument("wheels", nargs="+", type=Path)
    parser.add_argument(
        "--complete", action="store_true", help="also demand a wheel for every platform and Python"
    )
    options = parser.parse_args(arguments)
    wrong = [(path.name, sentence) for path in options.wheels for sentence in problems(path)]
    if options.complete:
        missing = expected() - {path.name for path in options.wheels}
        wrong += [(name, "missing") for name in sorted(missing)]
    for name, sentence in wrong:
        print(f"{name}: {sentence}")
    print(f"{len(options.wheels)} wheels, {len(wrong)} problems")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
