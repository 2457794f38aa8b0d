"""Bringing the library: each source, and each way to fail, with nothing half-written."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from support import CHECKOUT

from vendor import fetch

TAG = "manylinux1_x86_64"
MEMBER = "wasmtime/linux-x86_64/_libwasmtime.so"
METADATA = {
    "METADATA": "Metadata-Version: 2.1\nName: wasmtime\nVersion: 50.0.1\n",
    "WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: py3-none-{TAG}\n",
    "RECORD": "",
}
LIBRARY = b"\x7fELF, only smaller" * 1000


def write_wheel(path: Path, library: bytes = LIBRARY, member: str = MEMBER) -> str:
    """Write a small wheel and return its sha256."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo("wasmtime/__init__.py"), "")
        archive.writestr(zipfile.ZipInfo(member), library)
        # pip looks at these before it lets a wheel through.
        for name, text in METADATA.items():
            archive.writestr(zipfile.ZipInfo(f"wasmtime-50.0.1.dist-info/{name}"), text)
    return fetch.sha256_of(path)


@pytest.fixture
def lock(tmp_path: Path) -> fetch.Lock:
    """A lock of one platform, whose wheel is at hand in the directory ``index``."""
    index = tmp_path / "index"
    index.mkdir()
    name = f"wasmtime-50.0.1-py3-none-{TAG}.whl"
    entry = fetch.Locked(
        platform=TAG,
        wheel=name,
        wheel_sha256=write_wheel(index / name),
        member=MEMBER,
        library_sha256=hashlib.sha256(LIBRARY).hexdigest(),
        library="libwasmtime.so",
    )
    return fetch.Lock("wasmtime", "50.0.1", {TAG: entry})


@pytest.fixture(autouse=True)
def own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache, no named directory, and a package index that refuses connections."""
    for name in (fetch.DIRECTORY_VARIABLE, "WASMTIME_LIB_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(fetch.CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def instant_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the place of pip, which takes a second: what copies the directory ``index``."""
    program = (
        "import shutil, sys\n"
        "if '--dest' in sys.argv:\n"
        "    to = sys.argv[sys.argv.index('--dest') + 1]\n"
        f"    shutil.copytree({str(tmp_path / 'index')!r}, to, dirs_exist_ok=True)\n"
    )
    command = [sys.executable, "-I", "-S", "-c", program]
    monkeypatch.setattr(fetch, "_pip_commands", lambda: iter([(command, dict(os.environ))]))


def files(directory: Path) -> list[str]:
    """Return all files below a directory, temporary ones included."""
    return sorted(
        str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()
    )


def fetch_to(destination: Path, lock: fetch.Lock) -> tuple[Path, list[str]]:
    said: list[str] = []
    return fetch.fetch(destination, TAG, said.append, lock), said


class TestSources:
    def test_a_wheel_in_the_named_directory(
        self, lock: fetch.Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(fetch.DIRECTORY_VARIABLE, str(tmp_path / "index"))
        path, _ = fetch_to(tmp_path / "out", lock)
        assert path.read_bytes() == LIBRARY
        assert files(tmp_path / "out") == ["libwasmtime.so"]
        assert not (tmp_path / "cache").exists()

    @pytest.mark.parametrize("name", ["libwasmtime.so", "_libwasmtime.so"])
    def test_a_bare_library_in_the_named_directory(
        self, lock: fetch.Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        tmp_path.joinpath("named").mkdir()
        tmp_path.joinpath("named", name).write_bytes(LIBRARY)
        monkeypatch.setenv(fetch.DIRECTORY_VARIABLE, str(tmp_path / "named"))
        path, _ = fetch_to(tmp_path / "out", lock)
        assert path.read_bytes() == LIBRARY

    def test_the_package_index_through_pip_and_then_the_cache(
        self, lock: fetch.Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
        _, said = fetch_to(tmp_path / "out", lock)
        assert any("package index" in line for line in said)
        assert files(tmp_path / "cache") == [f"50.0.1/{lock.platforms[TAG].wheel}"]
        monkeypatch.delenv("PIP_FIND_LINKS")
        path, said = fetch_to(tmp_path / "again", lock)
        assert path.read_bytes() == LIBRARY
        assert not any("package index" in line for line in said)

    @pytest.mark.usefixtures("instant_pip")
    def test_a_damaged_cache_is_replaced(self, lock: fetch.Lock, tmp_path: Path) -> None:
        cached = tmp_path / "cache" / "50.0.1" / lock.platforms[TAG].wheel
        cached.parent.mkdir(parents=True)
        cached.write_bytes(b"half a wheel")
        path, said = fetch_to(tmp_path / "out", lock)
        assert path.read_bytes() == LIBRARY
        assert any("anew" in line for line in said)
        assert fetch.sha256_of(cached) == lock.platforms[TAG].wheel_sha256

    def test_a_library_that_is_in_place_is_left_alone(
        self, lock: fetch.Lock, tmp_path: Path
    ) -> None:
        tmp_path.joinpath("libwasmtime.so").write_bytes(LIBRARY)
        before = tmp_path.joinpath("libwasmtime.so").stat().st_mtime_ns
        path, _ = fetch_to(tmp_path, lock)
        assert path.stat().st_mtime_ns == before


class TestRefusals:
    def test_another_wheel_by_the_right_name(
        self, lock: fetch.Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        found = write_wheel(tmp_path / "index" / lock.platforms[TAG].wheel, b"evil")
        monkeypatch.setenv(fetch.DIRECTORY_VARIABLE, str(tmp_path / "index"))
        with pytest.raises(fetch.FetchError) as caught:
            fetch_to(tmp_path / "out", lock)
        assert lock.platforms[TAG].wheel_sha256 in str(caught.value)
        assert found in str(caught.value)
        assert not (tmp_path / "out").exists()

    @pytest.mark.usefixtures("instant_pip")
    def test_another_wheel_from_the_package_index(self, lock: fetch.Lock, tmp_path: Path) -> None:
        write_wheel(tmp_path / "index" / lock.platforms[TAG].wheel, b"evil")
        with pytest.raises(fetch.FetchError, match="expected sha256"):
            fetch_to(tmp_path / "out", lock)
        assert files(tmp_path / "cache") == []
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize("content", [b"", b"short", LIBRARY[:-1]])
    def test_a_damaged_bare_library(
        self, lock: fetch.Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
    ) -> None:
        tmp_path.joinpath("named").mkdir()
        tmp_path.joinpath("named", "libwasmtime.so").write_bytes(content)
        monkeypatch.setenv(fetch.DIRECTORY_VARIABLE, str(tmp_path / "named"))
        with pytest.raises(fetch.FetchError, match=f"found .* \\({len(content)} bytes\\)"):
            fetch_to(tmp_path / "out", lock)
        assert not (tmp_path / "out").exists()

    def test_a_wheel_with_another_library_inside(
        self, lock: fetch.Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        wheel = tmp_path / "index" / lock.platforms[TAG].wheel
        entry = lock.platforms[TAG]._replace(wheel_sha256=write_wheel(wheel, b"evil"))
        monkeypatch.setenv(fetch.DIRECTORY_VARIABLE, str(tmp_path / "index"))
        with pytest.raises(fetch.FetchError, match=entry.library_sha256):
            fetch_to(tmp_path / "out", lock._replace(platforms={TAG: entry}))
        assert files(tmp_path / "out") == []

    @pytest.mark.parametrize("how", ["no zip", "no member"])
    def test_a_locked_wheel_that_cannot_be_opened(
        self, lock: fetch.Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
    ) -> None:
        wheel = tmp_path / "index" / lock.platforms[TAG].wheel
        if how == "no zip":
            wheel.write_bytes(b"PK, but not a zip")
        else:
            write_wheel(wheel, member="elsewhere.so")
        entry = lock.platforms[TAG]._replace(wheel_sha256=fetch.sha256_of(wheel))
        monkeypatch.setenv(fetch.DIRECTORY_VARIABLE, str(tmp_path / "index"))
        with pytest.raises(fetch.FetchError, match="cannot take"):
            fetch_to(tmp_path / "out", lock._replace(platforms={TAG: entry}))
        assert files(tmp_path / "out") == []

    def test_a_named_directory_without_either(
        self, lock: fetch.Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(fetch.DIRECTORY_VARIABLE, str(tmp_path / "nothing"))
        with pytest.raises(fetch.FetchError, match=r"expected a file named one of .*\.whl"):
            fetch_to(tmp_path / "out", lock)

    def test_no_network(self, lock: fetch.Lock, tmp_path: Path) -> None:
        with pytest.raises(fetch.FetchError) as caught:
            fetch_to(tmp_path / "out", lock)
        assert fetch.DIRECTORY_VARIABLE in str(caught.value)
        assert lock.platforms[TAG].wheel in str(caught.value)
        assert "\n" not in str(caught.value)
        assert files(tmp_path / "cache") == []
        assert not (tmp_path / "out").exists()

    def test_no_pip(
        self, lock: fetch.Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(fetch, "_pip_commands", lambda: iter(()))
        with pytest.raises(fetch.FetchError, match="pip is needed"):
            fetch_to(tmp_path / "out", lock)

    def test_an_unsupported_platform(self, lock: fetch.Lock, tmp_path: Path) -> None:
        with pytest.raises(fetch.FetchError, match=f"'linux_riscv64'; .*{TAG}"):
            fetch.fetch(tmp_path / "out", "linux_riscv64", print, lock)

    def test_an_unsupported_host(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(fetch.sys, "platform", "sunos5")
        monkeypatch.setattr(fetch.sysconfig, "get_platform", lambda: "solaris-2.11-sparc")
        with pytest.raises(fetch.FetchError, match=r"solaris-2\.11-sparc.*win_amd64"):
            fetch.host_platform()

    @pytest.mark.parametrize("text", ["", "{}", "[]", '{"project": 1', '{"platforms": {"a": {}}}'])
    def test_a_damaged_lock(self, tmp_path: Path, text: str) -> None:
        tmp_path.joinpath("lock").write_text(text)
        with pytest.raises(fetch.FetchError, match="cannot read the lock file"):
            fetch.read_lock(tmp_path / "lock")

    def test_a_missing_lock(self, tmp_path: Path) -> None:
        with pytest.raises(fetch.FetchError, match="cannot read the lock file"):
            fetch.read_lock(tmp_path / "lock")

    def test_a_destination_that_cannot_be_written(
        self, lock: fetch.Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(fetch.DIRECTORY_VARIABLE, str(tmp_path / "index"))
        tmp_path.joinpath("file").write_text("in the way")
        with pytest.raises(fetch.FetchError, match="cannot write to the directory"):
            fetch_to(tmp_path / "file" / "out", lock)


@pytest.mark.parametrize(
    ("system", "platform", "machine", "musl", "tag"),
    [
        ("linux", "linux-x86_64", "x86_64", False, "manylinux1_x86_64"),
        ("linux", "linux-x86_64", "x86_64", True, "musllinux_1_2_x86_64"),
        ("linux", "linux-aarch64", "aarch64", False, "manylinux2014_aarch64"),
        ("linux", "linux-aarch64", "aarch64", True, "musllinux_1_2_aarch64"),
        ("linux", "linux-i686", "i686", False, "manylinux1_x86_64"),
        ("linux", "linux-armv8l", "armv8l", False, "manylinux2014_aarch64"),
        ("darwin", "macosx-10.13-x86_64", "x86_64", False, "macosx_10_13_x86_64"),
        ("darwin", "macosx-11.0-arm64", "arm64", False, "macosx_11_0_arm64"),
        ("darwin", "macosx-10.9-universal2", "arm64", False, "macosx_11_0_arm64"),
        ("darwin", "macosx-10.9-universal2", "x86_64", False, "macosx_10_13_x86_64"),
        ("win32", "win-amd64", "AMD64", False, "win_amd64"),
        ("win32", "win-arm64", "ARM64", False, "win_arm64"),
        ("android", "android-26-arm64_v8a", "aarch64", False, "android_26_arm64_v8a"),
        ("android", "android-26-x86_64", "x86_64", False, "android_26_x86_64"),
    ],
)
def test_each_platform_is_found(
    monkeypatch: pytest.MonkeyPatch, system: str, platform: str, machine: str, musl: bool, tag: str
) -> None:
    monkeypatch.setattr(fetch.sys, "platform", system)
    monkeypatch.setattr(fetch.sysconfig, "get_platform", lambda: platform)
    monkeypatch.setattr(fetch._platform, "machine", lambda: machine)
    monkeypatch.setattr(fetch, "_is_musl", lambda: musl)
    assert fetch.host_platform() == tag
    assert fetch.entry_for().platform == tag


def test_the_lock_names_ten_platforms() -> None:
    lock = fetch.read_lock()
    assert {entry.wheel.split("-")[1] for entry in lock.platforms.values()} == {lock.version}
    assert len(lock.platforms) == 10
    hashes = [(entry.wheel_sha256, entry.library_sha256) for entry in lock.platforms.values()]
    assert len({value for pair in hashes for value in pair}) == 20
    assert all(len(value) == 64 for pair in hashes for value in pair)


class TestProgram:
    """The script and the build, as a person starts them."""

    def test_the_script_fails_with_one_line(self, tmp_path: Path) -> None:
        result = subprocess.run(
            [sys.executable, "vendor/fetch.py", "--dest", str(tmp_path / "out")],
            cwd=CHECKOUT,
            env={**os.environ, fetch.DIRECTORY_VARIABLE: str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 1
        assert result.stdout == ""
        assert result.stderr.startswith("error: ")
        assert result.stderr.count("\n") == 1
        assert not (tmp_path / "out").exists()

    def test_the_script_lists_the_platforms(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert fetch.main(["--list"]) == 0
        assert len(capsys.readouterr().out.splitlines()) == 10

    def test_the_build_fails_with_the_message_and_no_traceback(self, tmp_path: Path) -> None:
        pytest.importorskip("setuptools")
        pytest.importorskip("cffi")
        tmp_path.joinpath("named").mkdir()
        entry = fetch.entry_for()
        tmp_path.joinpath("named", entry.library).write_bytes(b"another library")
        result = subprocess.run(
            [sys.executable, "setup.py", "-q", "build_ext", "--build-lib", str(tmp_path / "lib")],
            cwd=CHECKOUT,
            env={
                **os.environ,
                fetch.DIRECTORY_VARIABLE: str(tmp_path / "named"),
                "WASMTIME_BUILD_ONLY": "core",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert result.returncode != 0
        assert entry.library_sha256 in result.stdout
        assert "Traceback" not in result.stdout
        assert files(tmp_path / "lib") == []
