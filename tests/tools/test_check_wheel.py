"""The program that checks wheels: it must find what it looks for.

A wheel is packed from the installed package, and spoilt in one way at a time.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from vendor import fetch

pytest.importorskip("lief", reason="lief reads the binaries")

from ci import check_wheel

VERSION = fetch.read_lock().distribution
BUDGET = check_wheel.BUDGET
INFO = f"wasmtime-{VERSION}.dist-info"
Members = dict[str, bytes]
Spoilt = Callable[..., list[str]]


@pytest.fixture(scope="module")
def members() -> Members:
    """The files of the installed package, as a wheel would hold them."""
    found = {
        file.as_posix(): Path(str(file.locate())).read_bytes()
        for file in metadata.distribution("wasmtime").files or ()
        if file.suffix != ".pyc" and Path(str(file.locate())).is_file()
    }
    for name in ("INSTALLER", "REQUESTED", "direct_url.json"):
        found.pop(f"{INFO}/{name}", None)
    if f"wasmtime/_lib/{fetch.entry_for().library}" not in found:
        pytest.skip("the package is not installed from a wheel with the library")
    return found


@pytest.fixture
def problems(members: Members, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spoilt:
    """Pack a wheel, after a change, and return what is said about it.

    To compress the library takes longer than all that is checked: unless asked for, it is not done,
    and the wheel may be larger.
    """
    monkeypatch.setattr(check_wheel, "BUDGET", 10 * BUDGET)
    tags = members[f"{INFO}/WHEEL"].decode().partition("Tag: ")[2].split()[0]
    locked = fetch.entry_for().platform
    own = next(name for name, entry in check_wheel.PLATFORMS.items() if entry[0] == locked)

    def problems(
        change: Callable[[Members], object] = lambda members: None,
        platform: str = own,
        how: int = zipfile.ZIP_STORED,
    ) -> list[str]:
        files = dict(members)
        change(files)
        path = tmp_path / f"wasmtime-{VERSION}-{tags.rpartition('-')[0]}-{platform}.whl"
        with zipfile.ZipFile(path, "w", how, compresslevel=1) as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return list(check_wheel.problems(path))

    return problems


def module(members: Members, name: str = "_core") -> str:
    return next(
        path for path in members if path.startswith(f"wasmtime/{name}.") and "pyi" not in path
    )


def test_as_installed(problems: Spoilt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_wheel, "BUDGET", BUDGET)
    assert problems(how=zipfile.ZIP_DEFLATED) == []


@pytest.mark.parametrize("platform", ["linux_x86_64", "manylinux_2_17_x86_64"])
def test_a_tag_that_no_release_has(problems: Spoilt, platform: str) -> None:
    assert problems(platform=platform) == ["a release has no wheel of this name"]


@pytest.mark.parametrize("name", ["wasmtime/core.c", "tests/test_x.py", "wasmtime/_lib/wasm.h"])
def test_what_does_not_belong(problems: Spoilt, name: str) -> None:
    found = problems(lambda members: members.update({name: b""}))
    assert found == [f"{name} does not belong in it"]


@pytest.mark.parametrize("name", ["licenses/LICENSE", "licenses/vendor/LICENSE"])
def test_a_licence_is_missing(problems: Spoilt, name: str) -> None:
    assert f"{INFO}/{name} is missing" in problems(lambda members: members.pop(f"{INFO}/{name}"))


def test_another_library(problems: Spoilt) -> None:
    name = f"wasmtime/_lib/{fetch.entry_for().library}"
    found = problems(lambda members: members.update({name: members[name] + b"\0"}))
    assert f"{name} is not the locked library" in found


def test_another_run_path(problems: Spoilt, members: Members) -> None:
    name = module(members)
    if b"$ORIGIN/_lib\0" not in members[name]:
        pytest.skip("no ELF file")
    other = members[name].replace(b"$ORIGIN/_lib\0", b"/opt/xyz/lib\0")
    found = problems(lambda members: members.update({name: other}))
    assert any("has the run paths" in problem for problem in found)


def test_a_path_of_the_builder(problems: Spoilt, members: Members) -> None:
    name = module(members, "_ffi")
    other = members[name] + b"\0/home/someone/src/wasmtime/csrc/core.c\0"
    found = problems(lambda members: members.update({name: other}))
    assert found == [f"{name} tells where it was built: /home/someone/src/wasmtime/csrc/core.c"]


def test_a_module_is_missing(problems: Spoilt, members: Members) -> None:
    found = problems(lambda found: found.pop(module(members)))
    assert any("there must be one module _core" in problem for problem in found)


def test_too_big(problems: Spoilt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_wheel, "BUDGET", 1_000_000)
    assert any("more than 1000000" in problem for problem in problems())


def test_a_release_is_expected_to_be_complete(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = check_wheel.expected()
    assert len(names) == 78
    other = tmp_path / "other.whl"
    assert check_wheel.main(["--complete", str(other)]) == 1
    said = capsys.readouterr().out
    assert all(f"{name}: missing" in said for name in names)
