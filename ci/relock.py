#!/usr/bin/env python3
"""Write the lock of libwasmtime anew for a version of the published package.

Moving to a new libwasmtime begins here: this downloads the wheel of every platform with pip,
takes the hashes of the wheel and of the library inside, and writes ``vendor/``'s lock file. The
hashes of the wheels should then be compared with those that the package index publishes.

    python ci/relock.py 50.0.1 [--wheels DIRECTORY]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from vendor import fetch  # noqa: E402

PROJECT = "wasmtime"
PLATFORMS = (
    "manylinux1_x86_64",
    "manylinux2014_aarch64",
    "musllinux_1_2_x86_64",
    "musllinux_1_2_aarch64",
    "macosx_10_13_x86_64",
    "macosx_11_0_arm64",
    "win_amd64",
    "win_arm64",
    "android_26_arm64_v8a",
    "android_26_x86_64",
)
SUFFIXES = (".so", ".dylib", ".dll")


def entry(wheel: Path, version: str) -> dict[str, str]:
    """Return the lock's entry for one wheel.

    Args:
        wheel: The wheel; it must hold exactly one shared library.
        version: The version of the package.

    Returns:
        The fields of the entry.

    Raises:
        SystemExit: The wheel holds no library, or several.
    """
    with zipfile.ZipFile(wheel) as archive:
        members = [name for name in archive.namelist() if name.endswith(SUFFIXES)]
        if len(members) != 1:
            raise SystemExit(f"{wheel} should hold one shared library, found: {members}")
        library = archive.read(members[0])
    return {
        "wheel": wheel.name,
        "wheel_sha256": fetch.sha256_of(wheel),
        "member": members[0],
        "library_sha256": hashlib.sha256(library).hexdigest(),
        "library": bundled_name(members[0], version),
    }


def bundled_name(member: str, version: str) -> str:
    """Return the file name under which the package bundles a library.

    The leading underscore of the original is dropped: linkers look for that name. Windows takes a
    DLL that the process has loaded already for any other of the same name, so there it must be a
    name that no other package uses.

    Args:
        member: The library's path in its wheel.
        version: The version of the package.
    """
    name = member.rpartition("/")[2].lstrip("_")
    stem, _, suffix = name.rpartition(".")
    return f"{stem}_{version.replace('.', '_')}.dll" if suffix == "dll" else name


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(description="Write the lock of libwasmtime anew.")
    parser.add_argument("version")
    parser.add_argument("--wheels", type=Path, help="directory that holds the wheels already")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        directory = options.wheels or Path(scratch)
        platforms = {}
        for tag in PLATFORMS:
            wheel = directory / f"{PROJECT}-{options.version}-py3-none-{tag}.whl"
            if not wheel.is_file():
                command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
                command += ["--only-binary=:all:", "--platform", tag, "--dest", str(directory)]
                subprocess.run([*command, f"{PROJECT}=={options.version}"], check=True)
            platforms[tag] = entry(wheel, options.version)
            print(tag, platforms[tag]["wheel_sha256"])
    lock = {"project": PROJECT, "version": options.version, "platforms": platforms}
    fetch.LOCK_FILE.write_text(json.dumps(lock, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
