#!/usr/bin/env python3
"""Check what is inside of wheels, whatever platform they are for.

    python ci/check_wheel.py dist/*.whl [--unrepaired]

Each wheel must hold the whole package, the locked library, both licences and nothing else; its
platform tag must be true of every binary in it; the binary modules must find the library beside
them and nowhere else, and must not tell where they were built.
"""

from __future__ import annotations

import argparse
import base64
import csv
import hashlib
import io
import re
import sys
import zipfile
from collections.abc import Iterator, Sequence
from email.parser import HeaderParser
from pathlib import Path
from typing import Optional

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ci import binaries  # noqa: E402
from vendor import fetch  # noqa: E402

#: The package as it should be.
PACKAGE = ROOT / "wasmtime"
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
#: The platform of the lock that a wheel's library comes from, by the wheel's platform tag.
LOCKED = (
    (r"(manylinux_2_28|linux)_x86_64", "manylinux1_x86_64"),
    (r"(manylinux_2_28|linux)_aarch64", "manylinux2014_aarch64"),
    (r"musllinux_1_2_x86_64", "musllinux_1_2_x86_64"),
    (r"musllinux_1_2_aarch64", "musllinux_1_2_aarch64"),
    (r"macosx_1\d_\d+_x86_64", "macosx_10_13_x86_64"),
    (r"macosx_1\d_\d+_arm64", "macosx_11_0_arm64"),
    (r"win_amd64", "win_amd64"),
    (r"win_arm64", "win_arm64"),
    (r"android_\d+_arm64_v8a", "android_26_arm64_v8a"),
    (r"android_\d+_x86_64", "android_26_x86_64"),
)
#: The oldest Android that the library is for.
ANDROID = 26


class Wheel:
    """A wheel that is being checked; what is wrong with it comes from `problems`."""

    def __init__(self, path: Path, repaired: bool) -> None:
        self.path = path
        self.repaired = repaired
        self.archive = zipfile.ZipFile(path)
        self.names = self.archive.namelist()
        self.version = fetch.read_lock().version
        self.tags = path.stem.split("-")[-3:]
        self.info = f"wasmtime-{self.version}.dist-info"
        self.locked: Optional[fetch.Locked] = None
        for pattern, platform in LOCKED:
            # A repaired wheel may have several platform tags, of which the first counts here.
            if re.fullmatch(pattern, self.tags[2].split(".")[0]):
                self.locked = fetch.entry_for(platform)

    def problems(self) -> Iterator[str]:
        """Give everything that is wrong, as sentences."""
        yield from self._tag()
        yield from self._files()
        yield from self._record()
        yield from self._metadata()
        size = self.path.stat().st_size
        if size > BUDGET:
            yield f"it has {size} bytes, more than {BUDGET}"
        if self.locked is not None:
            yield from self._library(self.locked)
            for name in ("_core", "_ffi"):
                yield from self._module(name, self.locked)

    def _tag(self) -> Iterator[str]:
        python, abi, platform = self.tags
        if self.locked is None:
            yield f"the platform tag {platform} is none of a platform of the lock"
        if platform.startswith("linux_") and self.repaired:
            yield f"the platform tag {platform} is that of a wheel which was not repaired"
        if not re.fullmatch(
            r"cp312-abi3|cp39-cp39|cp31[01]-cp31[01]|cp31[4-9]-cp31[4-9]t", f"{python}-{abi}"
        ):
            yield f"{python}-{abi} is no combination that this package is built for"
        lines = self.archive.read(f"{self.info}/WHEEL").decode().splitlines()
        written = {line[5:] for line in lines if line.startswith("Tag: ")}
        expected = {f"{python}-{abi}-{one}" for one in platform.split(".")}
        if written != expected:
            yield f"WHEEL has the tags {sorted(written)}, the file name {sorted(expected)}"
        if "Root-Is-Purelib: false" not in lines:
            yield "WHEEL says that it holds no binaries"

    def _files(self) -> Iterator[str]:
        package = {
            (Path("wasmtime") / path.relative_to(PACKAGE)).as_posix()
            for pattern in ("*.py", "*.pyi", "py.typed")
            for path in PACKAGE.rglob(pattern)
        }
        allowed = re.compile(
            r"wasmtime/_(core|ffi)\.[\w-]*\.?(so|pyd)"
            r"|wasmtime\.libs/libgcc_s-[0-9a-f]+\.so\.1"
            r"|wasmtime-[\d.]+\.dist-info/"
            r"(METADATA|WHEEL|RECORD|top_level\.txt|entry_points\.txt|sboms/[\w.-]+"
            r"|licenses/(vendor/)?LICENSE)"
        )
        library = f"wasmtime/_lib/{self.locked.library}" if self.locked else ""
        for name in self.names:
            if name.endswith("/") or name in package or name == library:
                continue
            if not allowed.fullmatch(name):
                yield f"{name} does not belong in it"
        needed = {library, f"{self.info}/licenses/LICENSE", f"{self.info}/licenses/vendor/LICENSE"}
        for name in sorted((package | needed) - set(self.names) - {""}):
            yield f"{name} is missing"
        if any(name.startswith("wasmtime.libs/") for name in self.names) and (
            "musllinux" not in self.tags[2]
        ):
            yield "the repair has put libraries into it, which is right on musl only"
        if len(set(self.names)) != len(self.names):
            yield "it holds files of the same name"

    def _record(self) -> Iterator[str]:
        text = self.archive.read(f"{self.info}/RECORD").decode()
        recorded = {row[0]: row[1] for row in csv.reader(io.StringIO(text))}
        for name in self.names:
            if name.endswith("/") or name == f"{self.info}/RECORD":
                continue
            digest = hashlib.sha256(self.archive.read(name)).digest()
            expected = "sha256=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            if recorded.get(name) != expected:
                yield f"RECORD has another hash of {name}, or none"

    def _metadata(self) -> Iterator[str]:
        metadata = HeaderParser().parsestr(self.archive.read(f"{self.info}/METADATA").decode())
        expected = {
            "Name": "wasmtime",
            "Version": self.version,
            "Requires-Python": ">=3.9",
            "License-Expression": "Apache-2.0 WITH LLVM-exception",
        }
        for key, value in expected.items():
            if metadata[key] != value:
                yield f"METADATA has {key} {metadata[key]!r} instead of {value!r}"
        if sorted(metadata.get_all("License-File", [])) != ["LICENSE", "vendor/LICENSE"]:
            yield "METADATA does not name both licences"

    def _library(self, locked: fetch.Locked) -> Iterator[str]:
        name = f"wasmtime/_lib/{locked.library}"
        if name not in self.names:
            return  # said already
        data = self.archive.read(name)
        found = binaries.read(data)
        if hashlib.sha256(data).hexdigest() != locked.library_sha256:
            # The repair adds a run path to the grafted libgcc_s on musl, and signs anew on macOS.
            if not re.match(r"musllinux|macosx", self.tags[2]):
                yield f"{name} is not the locked library"
            elif len([export for export in found.exports if export.startswith("was")]) < 772:
                yield f"{name} does not export all functions"
        yield from self._fits(name, found, locked)

    def _fits(self, name: str, found: binaries.Binary, locked: fetch.Locked) -> Iterator[str]:
        """Compare a binary with the platform tag."""
        arm = locked.platform.endswith(("aarch64", "arm64", "arm64_v8a"))
        if found.machine != ("aarch64" if arm else "x86_64"):
            yield f"{name} is for {found.machine}"
        platform = self.tags[2].split(".")[0]
        glibc = re.match(r"manylinux_(\d+)_(\d+)_", platform)
        if glibc:
            newest = found.newest("GLIBC_")
            if newest > (int(glibc[1]), int(glibc[2])):
                yield f"{name} needs glibc {'.'.join(map(str, newest))}, {platform} promises less"
        elif "musllinux" in platform and found.newest("GLIBC_") > (2, 0):
            yield f"{name} is for glibc"
        mac = re.match(r"macosx_(\d+)_(\d+)_", platform)
        if mac and (found.minimum_os or (99,)) > (int(mac[1]), int(mac[2])):
            yield f"{name} needs macOS {found.minimum_os}, {platform} promises less"
        android = re.match(r"android_(\d+)_", platform)
        if android and int(android[1]) < ANDROID:
            yield f"the library needs Android API level {ANDROID}, {platform} promises less"

    def _module(self, short: str, locked: fetch.Locked) -> Iterator[str]:
        found_names = [
            name for name in self.names if re.fullmatch(rf"wasmtime/{short}\..*(so|pyd)", name)
        ]
        if len(found_names) != 1:
            yield f"there must be one module {short}, not {found_names}"
            return
        name = found_names[0]
        stable = ".abi3." in name or name == f"wasmtime/{short}.pyd"
        if self.tags[1] == "abi3" and not stable:
            yield f"{name} is not of the stable ABI, which the tag promises"
        data = self.archive.read(name)
        found = binaries.read(data)
        yield from self._fits(name, found, locked)
        # Some linkers for macOS export two names of their own.
        exports = found.exports - {"_mh_dylib_header", "__dso_handle"}
        if exports != {f"PyInit_{short}"}:
            yield f"{name} exports {sorted(exports)}"
        for needed in found.needed:
            if not SYSTEM.fullmatch(needed) and not LIBRARY.fullmatch(needed):
                yield f"{name} needs {needed}"
        if not any(LIBRARY.fullmatch(needed) for needed in found.needed):
            yield f"{name} is not linked with the library"
        if found.format == "ELF":
            kind = "RUNPATH" if "android" in self.tags[2] else "RPATH"
            if found.run_paths != {kind: ["$ORIGIN/_lib"]}:
                yield f"{name} has the run paths {found.run_paths}"
        elif not set(found.run_paths.get("RPATH", [])) <= {"@loader_path/_lib"}:
            yield f"{name} has the run paths {found.run_paths}"
        debug = sorted(section for section in found.sections if section.startswith(".debug"))
        if debug:
            yield f"{name} has debug information"
        for path in sorted({match.group().decode() for match in BUILD_PATH.finditer(data)}):
            yield f"{name} tells where it was built: {path}"


def expected() -> set[str]:
    """Return the names of all wheels of a release, as far as they can be known."""
    version = fetch.read_lock().version
    pythons = ["cp39-cp39", "cp310-cp310", "cp311-cp311", "cp312-abi3"]
    threaded = ["cp314-cp314t", "cp315-cp315t"]
    platforms = {
        "manylinux_2_28_x86_64": pythons + threaded,
        "manylinux_2_28_aarch64": pythons + threaded,
        "musllinux_1_2_x86_64": pythons + threaded,
        "musllinux_1_2_aarch64": pythons + threaded,
        "macosx_10_13_x86_64": pythons,
        "macosx_10_15_x86_64": threaded,
        "macosx_11_0_arm64": pythons + threaded,
        "win_amd64": pythons + threaded,
        "win_arm64": pythons[2:] + threaded,
    }
    return {
        f"wasmtime-{version}-{tag}-{platform}.whl"
        for platform, tags in platforms.items()
        for tag in tags
    }


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
    parser.add_argument(
        "--unrepaired", action="store_true", help="accept the tag of a wheel fresh from the build"
    )
    options = parser.parse_args(arguments)
    failed = False
    for path in options.wheels:
        wrong = list(Wheel(path, not options.unrepaired).problems())
        failed = failed or bool(wrong)
        size = path.stat().st_size / 1e6
        print(f"{path.name}: {size:.2f} MB, {f'{len(wrong)} problems' if wrong else 'sound'}")
        for sentence in wrong:
            print(f"  {sentence}")
    if options.complete:
        for name in sorted(expected() - {path.name for path in options.wheels}):
            failed = True
            print(f"{name}: missing")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
