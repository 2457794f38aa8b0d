"""Moving to another libwasmtime: everything that depends on the version is written, or nothing."""

from __future__ import annotations

import json
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Callable

import pytest
from support import CHECKOUT

import wasmtime
from ci import derive_cdef, unbound, update_library
from vendor import fetch
from wasmtime import _native

Run = Callable[[str], int]


def write_wheel(path: Path, *members: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in members:
            archive.writestr(name, name)
    return path


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout without any declarations, whose lock and list are the committed ones."""
    for name in ("csrc/cdef", "wasmtime", "ci", "vendor"):
        tmp_path.joinpath(name).mkdir(parents=True)
    for module, name, path in (
        (fetch, "LOCK_FILE", f"vendor/{fetch.LOCK_FILE.name}"),
        (unbound, "LIST", "ci/unbound.txt"),
    ):
        tmp_path.joinpath(path).write_bytes(getattr(module, name).read_bytes())
        monkeypatch.setattr(module, name, tmp_path / path)
    monkeypatch.setattr(derive_cdef, "OUTPUT", tmp_path / "csrc" / "cdef")
    lock = fetch.read_lock(tmp_path / "vendor" / fetch.LOCK_FILE.name)
    monkeypatch.setattr(fetch, "read_lock", lambda: lock)
    return tmp_path


@pytest.fixture
def run(checkout: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Move to a version whose wheel for this platform is the locked one."""

    def download(version: str, tag: str) -> Path:
        if tag == fetch.host_platform():
            return wheel
        name = f"wasmtime-{version}-py3-none-{tag}.whl"
        return write_wheel(checkout / name, "wasmtime/_libwasmtime.so")

    def run(version: str) -> int:
        monkeypatch.setattr(update_library, "download", download)
        monkeypatch.setattr("sys.argv", ["update_library", version])
        return update_library.main()

    return run


def test_all_that_depends_on_the_version_is_written(run: Run, checkout: Path) -> None:
    before = fetch.read_lock()
    assert run("999.0.0") == 0
    lock = json.loads(fetch.LOCK_FILE.read_text(encoding="utf-8"))
    assert lock["version"] == "999.0.0"
    assert list(lock["platforms"]) == list(before.platforms)
    here = lock["platforms"][fetch.host_platform()]
    assert here["library_sha256"] == fetch.entry_for().library_sha256
    for name in ("csrc/cdef", "wasmtime/_ffi.pyi", "ci/unbound.txt"):
        written, committed = checkout / name, CHECKOUT / name
        for path in committed.iterdir() if committed.is_dir() else [committed]:
            twin = written / path.name if written.is_dir() else written
            assert twin.read_text(encoding="utf-8") == path.read_text(encoding="utf-8"), path


def test_nothing_is_written_for_a_table_that_is_not_understood(
    run: Run, checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(derive_cdef, "CALLBACK_RESULTS", {})
    before = fetch.LOCK_FILE.read_bytes()
    assert run("999.0.0") == 1
    assert "Teach ci/derive_cdef.py; nothing was changed." in capsys.readouterr().err
    assert fetch.LOCK_FILE.read_bytes() == before
    assert list((checkout / "csrc" / "cdef").iterdir()) == []


@pytest.mark.parametrize("members", [[], ["a.so", "b.so"]])
def test_a_wheel_must_hold_one_library(tmp_path: Path, members: list[str]) -> None:
    with pytest.raises(SystemExit, match="should hold one shared library"):
        update_library.entry(write_wheel(tmp_path / "x.whl", *members), "51.0.0")


def test_every_part_of_the_package_is_of_the_locked_version() -> None:
    versions = {wasmtime.__version__, _native.VERSION, _native.core.__version__}
    assert versions == {fetch.read_lock().version}


def test_the_distribution_is_told_from_the_published_package() -> None:
    version = metadata.version("wasmtime")
    assert version == fetch.read_lock().distribution
    assert version == f"{wasmtime.__version__}+capi"
