"""The program that checks wheels: it must find what it looks for.

A wheel is packed from the installed package, and spoilt in one way at a time.
"""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Optional

import pytest

import wasmtime
from vendor import fetch

pytest.importorskip("lief", reason="lief reads the binaries")

from ci import check_wheel

VERSION = fetch.read_lock().version
INFO = f"wasmtime-{VERSION}.dist-info"
Members = dict[str, bytes]


@pytest.fixture(scope="module")
def members() -> Members:
    """The files of the installed package, as a wheel would hold them."""
    found = {
        file.as_posix(): Path(str(file.locate())).read_bytes()
        for file in metadata.distribution("wasmtime").files or ()
        if ".." not in file.parts and "__pycache__" not in file.parts
    }
    for name in ("INSTALLER", "REQUESTED", "direct_url.json", "RECORD"):
        found.pop(f"{INFO}/{name}", None)
    if f"wasmtime/_lib/{fetch.entry_for().library}" not in found:
        pytest.skip("the package is not installed from a wheel with the library")
    return found


@pytest.fixture
def problems(
    members: Members, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[str]]:
    """Pack a wheel, after a change, and return what is said about it."""
    monkeypatch.setattr(check_wheel, "PACKAGE", Path(wasmtime.__file__).parent)

    def problems(
        change: Callable[[Members], object] = lambda members: None,
        platform: Optional[str] = None,
        repaired: bool = False,
    ) -> list[str]:
        files = dict(members)
        tags = [
            line[5:]
            for line in files[f"{INFO}/WHEEL"].decode().splitlines()
            if line.startswith("Tag: ")
        ]
        python, abi, own = tags[0].split("-")
        change(files)
        path = tmp_path / f"wasmtime-{VERSION}-{python}-{abi}-{platform or own}.whl"
        record = "".join(
            f"{name},sha256="
            + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            + f",{len(data)}\n"
            for name, data in files.items()
        )
        files.setdefault(f"{INFO}/RECORD", record.encode())
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return list(check_wheel.Wheel(path, repaired).problems())

    return problems


def module(members: Members, name: str = "_core") -> str:
    return next(
        path for path in members if path.startswith(f"wasmtime/{name}.") and "pyi" not in path
    )


Spoilt = Callable[..., list[str]]


def test_as_installed(problems: Spoilt) -> None:
    # An ordinary build may need a newer C library than a release does, and says so in its tag.
    assert problems() == []


def test_a_tag_that_was_not_repaired(problems: Spoilt) -> None:
    if "-linux_" not in str(metadata.distribution("wasmtime").read_text("WHEEL")):
        pytest.skip("this wheel was repaired")
    assert any("was not repaired" in problem for problem in problems(repaired=True))


def test_a_tag_that_promises_too_much(problems: Spoilt) -> None:
    found = problems(platform="manylinux_2_17_x86_64")
    assert any("is none of a platform of the lock" in problem for problem in found)


@pytest.mark.parametrize("name", ["wasmtime/core.c", "tests/test_x.py", "wasmtime/_lib/wasm.h"])
def test_what_does_not_belong(problems: Spoilt, name: str) -> None:
    found = problems(lambda members: members.update({name: b""}))
    assert found == [f"{name} does not belong in it"]


@pytest.mark.parametrize(
    "name",
    [
        f"{INFO}/licenses/LICENSE",
        f"{INFO}/licenses/vendor/LICENSE",
        "wasmtime/py.typed",
        "wasmtime/_ffi.pyi",
        "wasmtime/_store.py",
    ],
)
def test_what_is_missing(problems: Spoilt, name: str) -> None:
    assert f"{name} is missing" in problems(lambda members: members.pop(name))


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


def test_a_wrong_record(problems: Spoilt) -> None:
    found = problems(lambda members: members.update({f"{INFO}/RECORD": b"wasmtime/x.py,,\n"}))
    assert any("RECORD has another hash of" in problem for problem in found)


def test_too_big(problems: Spoilt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_wheel, "BUDGET", 1_000_000)
    assert any("more than 1000000" in problem for problem in problems())


def test_a_release_is_expected_to_be_complete() -> None:
    names = check_wheel.expected()
    assert len(names) == 46
    for name in names:
        platform = name[: -len(".whl")].split("-")[-1]
        assert any(check_wheel.re.fullmatch(pattern, platform) for pattern, _ in check_wheel.LOCKED)
