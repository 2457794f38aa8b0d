"""Move to another version of libwasmtime.

    python -m ci.update_library 51.0.0

It fetches the published wheel of every platform through pip, which compares each with the hash that
the index tells, and brings everything up to date that depends on the version: the lock, which is
also where the package takes its version from, the declarations in ``csrc/cdef``, the stub of the
cffi module, and the list of functions that nothing uses. Nothing is written before the new
declarations could be derived. The wheels are kept where the build looks for them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

from ci import derive_cdef, unbound
from vendor import fetch

SUFFIXES = (".so", ".dylib", ".dll")


def download(version: str, tag: str) -> Path:
    """Return the published wheel of a version for a platform, fetched unless it is there.

    Raises:
        SystemExit: pip cannot get it, as it has said itself.
    """
    project = fetch.read_lock().project
    wheel = fetch.cache_directory() / version / f"{project}-{version}-py3-none-{tag}.whl"
    if not wheel.is_file():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--only-binary=:all:", "--platform", tag, "--dest", str(wheel.parent)]
        if subprocess.run([*command, f"{project}=={version}"]).returncode != 0:
            raise SystemExit(f"error: there is no wheel of {project} {version} for {tag}")
    return wheel


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


def entry(wheel: Path, version: str) -> dict[str, str]:
    """Return the lock's entry for one wheel.

    Raises:
        SystemExit: The wheel holds no library, or several.
    """
    with zipfile.ZipFile(wheel) as archive:
        members = [name for name in archive.namelist() if name.endswith(SUFFIXES)]
        if len(members) != 1:
            raise SystemExit(f"error: {wheel} should hold one shared library, found: {members}")
        library = archive.read(members[0])
    return {
        "wheel": wheel.name,
        "wheel_sha256": fetch.sha256_of(wheel),
        "member": members[0],
        "library_sha256": hashlib.sha256(library).hexdigest(),
        "library": bundled_name(members[0], version),
    }


def main() -> int:
    """Run the program.

    Returns:
        The exit status: 0 when everything is up to date.
    """
    parser = argparse.ArgumentParser(description="Move to another version of libwasmtime.")
    parser.add_argument("version")
    version: str = parser.parse_args().version
    old = fetch.read_lock()
    wheels = {tag: download(version, tag) for tag in old.platforms}
    try:
        files = derive_cdef.derive(*derive_cdef.read_table(wheels[fetch.host_platform()]))
    except derive_cdef.DeriveError as error:
        print(f"error: {error}\nTeach ci/derive_cdef.py; nothing was changed.", file=sys.stderr)
        return 1
    platforms = {tag: entry(wheel, version) for tag, wheel in wheels.items()}
    lock = {"project": old.project, "version": version, "platforms": platforms}
    fetch.LOCK_FILE.write_text(json.dumps(lock, indent=2) + "\n", encoding="utf-8")
    changed = sorted(
        Path(line.split()[1]).name for line in derive_cdef.check(files) if line.startswith("+++ ")
    )
    derive_cdef.write(files)
    unbound.account(update=True)
    for tag, locked in platforms.items():
        print(f"{locked['wheel_sha256']}  {tag}")
    print(f"{old.version} -> {version}; declarations changed in: {', '.join(changed) or 'none'}")
    print("Next: read `git diff csrc/cdef ci/unbound.txt`, build, and run the tests.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
