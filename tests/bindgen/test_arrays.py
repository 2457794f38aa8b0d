"""
Packages whose lists of numbers are arrays, on request.
"""

from __future__ import annotations

import asyncio
import importlib
from array import array
from pathlib import Path
from types import ModuleType
from typing import Any, Callable

import pytest

import wasmtime
from wasmtime import Store
from wasmtime.bindgen import generate
from wasmtime.bindgen.__main__ import main as bindgen

from .checkers import check, run, search_path
from .files import write_package
from .worlds import SIGNALS

Package = Callable[..., ModuleType]


class Host:
    """
    Implements each function: it notes what it is given, and returns that.
    """

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        def function(value: Any) -> Any:
            self.seen.append(value)
            return value

        return function


class Doubling(Host):
    """
    Returns a list of floats, which is of another type than what the host is given.
    """

    def scale(self, v: array[float]) -> list[float]:
        self.seen.append(v)
        return [number * 2 for number in v]


GIVEN: list[tuple[str, Any, Any]] = [
    ("scale", [0.5, 1.5], array("d", [0.5, 1.5])),
    ("scale", array("d", [0.5]), array("d", [0.5])),
    ("scale", (), array("d")),
    ("shift", [1, 2], array("d", [1.0, 2.0])),
    ("count", range(3), array("H", [0, 1, 2])),
    ("maybe", [0.25], array("d", [0.25])),
    ("maybe", None, None),
    ("rows", [[1.0], []], [array("d", [1.0]), array("d")]),
    ("text", ["a", "b"], ["a", "b"]),
    ("raw", b"bytes", b"bytes"),
]


@pytest.mark.parametrize(("name", "value", "expected"), GIVEN)
def test_what_the_component_gives_is_an_array(
    package: Package, name: str, value: Any, expected: Any
) -> None:
    signals = package("signals", SIGNALS, arrays=True)
    host, store = Host(), Store()
    guest = signals.Root(store, signals.RootImports(host=host)).guest()
    result = getattr(guest, name)(store, value)
    assert result == expected
    assert type(result) is type(expected)
    assert host.seen == [expected]  # the host is given arrays, too
    assert type(host.seen[0]) is type(expected)


def test_fields_of_records_are_arrays(package: Package) -> None:
    signals = package("signals_record", SIGNALS, arrays=True)
    module = importlib.import_module("signals_record.exports.guest")
    host, store = Host(), Store()
    guest = signals.Root(store, signals.RootImports(host=host)).guest()
    result = guest.store(store, module.Signal("s", [1, 2]))
    assert result == module.Signal("s", array("d", [1, 2]))
    assert host.seen[0].samples == result.samples


def test_what_the_host_returns_may_be_any_sequence(package: Package) -> None:
    signals = package("signals_host", SIGNALS, arrays=True)
    host, store = Doubling(), Store()
    guest = signals.Root(store, signals.RootImports(host=host)).guest()
    assert guest.scale(store, [1, 2]) == array("d", [2, 4])
    assert host.seen == [array("d", [1, 2])]


def test_numpy_takes_the_memory_of_the_result(package: Package) -> None:
    numpy = pytest.importorskip("numpy")
    signals = package("signals_numpy", SIGNALS, arrays=True)
    store = Store()
    guest = signals.Root(store, signals.RootImports(host=Host())).guest()
    result = guest.scale(store, numpy.linspace(0, 1, 3))
    view = numpy.asarray(result)
    assert view.dtype == numpy.float64
    assert view.tolist() == [0, 0.5, 1]
    view[0] = 7
    assert result[0] == 7


def test_the_asynchronous_form_has_arrays(package: Package) -> None:
    signals = package("signals_async", SIGNALS, asynchronous=True, arrays=True)

    class Waiting(Host):
        async def scale(self, v: array[float]) -> list[float]:
            await asyncio.sleep(0)
            self.seen.append(v)
            return [number * 2 for number in v]

    host = Waiting()

    async def main() -> None:
        store = Store()
        root = await signals.Root(store, signals.RootImports(host=host))
        assert await root.guest().scale(store, [1, 2]) == array("d", [2, 4])
        assert await root.guest().rows(store, [[1]]) == [array("d", [1])]

    asyncio.run(main())
    assert host.seen == [array("d", [1, 2]), [array("d", [1])]]


def test_lists_stay_the_default(package: Package) -> None:
    signals = package("signals_lists", SIGNALS)
    host, store = Host(), Store()
    guest = signals.Root(store, signals.RootImports(host=host)).guest()
    assert guest.scale(store, array("d", [1])) == [1.0]
    assert host.seen == [[1.0]]
    sources = [text for file, text in generate("s", SIGNALS).items() if file.endswith(".py")]
    assert b"rray" not in b"".join(sources)
    with pytest.raises(TypeError, match="arrays must be"):
        generate("s", SIGNALS, arrays=1)  # type: ignore[arg-type]


def test_hints_tell_what_is_given_from_what_is_taken() -> None:
    files = generate("signals", SIGNALS, arrays=True)
    guest, host = files["exports/guest.py"], files["imports/host.py"]
    assert b"def scale(self, caller: wasmtime.Store, v: Floats) -> FloatArray:" in guest
    assert b"def shift(self, caller: wasmtime.Store, v: Floats) -> Samples:" in guest
    assert b"def count(self, caller: wasmtime.Store, v: Ints) -> IntArray:" in guest
    assert b"v: Optional[Floats],\n    ) -> Optional[FloatArray]:" in guest
    assert b"v: List[FloatArray]) -> List[FloatArray]:" in guest
    assert b"Samples = FloatArray" in guest
    assert b"    samples: Samples" in guest
    assert b"def scale(self, v: FloatArray) -> Floats:" in host
    assert b"def raw(self, v: bytes) -> bytes:" in host


def test_the_command_writes_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "signals.wat"
    source.write_text(SIGNALS, encoding="utf-8")
    assert bindgen([str(source), "--out-dir", str(tmp_path / "out"), "--arrays", "--async"]) == 0
    assert capsys.readouterr().out.startswith("Generating")
    expected = generate("signals", SIGNALS, asynchronous=True, arrays=True)
    for file, contents in expected.items():
        assert (tmp_path / "out" / file).read_bytes() == contents


USER = """
from array import array
from collections.abc import Sequence

import numpy
import signals
import wasmtime
from signals.exports.guest import Signal
from signals.imports import RootImports
from signals.imports.host import HostHost


def use(store: wasmtime.Store, host: HostHost) -> float:
    guest = signals.Root(store, RootImports(host)).guest()
    doubled = guest.scale(store, [1, 2.5])
    guest.scale(store, (1.0, 2.0))
    guest.scale(store, doubled)
    guest.scale(store, memoryview(doubled))
    guest.scale(store, numpy.zeros(3))
    guest.shift(store, [number * 2 for number in doubled])
    counted: array[int] = guest.count(store, range(3))
    perhaps = guest.maybe(store, [0.5])
    rows = guest.rows(store, [doubled])
    signal = guest.store(store, Signal("s", array("d", counted)))
    view = numpy.asarray(signal.samples)
    total: float = view.sum()
    return total + sum(perhaps or ()) + rows[0][0]


class Host(HostHost):
    def scale(self, v: array[float]) -> list[float]:
        return [number * 2 for number in v]

    def count(self, v: Sequence[int]) -> bytes:
        return bytes(v)
"""

USER_ASYNC = """
from array import array

import signals_async
import wasmtime
from signals_async.imports import RootImports
from signals_async.imports.host import HostHost


async def use(store: wasmtime.Store, host: HostHost) -> array[float]:
    root = await signals_async.Root(store, RootImports(host))
    return await root.guest().scale(store, [1.5])


class Host(HostHost):
    async def scale(self, v: array[float]) -> list[float]:
        return [number * 2 for number in v]
"""

WRONG = """
import signals
import wasmtime
from signals.imports import RootImports
from signals.imports.host import HostHost


def wrong(store: wasmtime.Store, host: HostHost) -> list[float]:
    guest = signals.Root(store, RootImports(host)).guest()
    guest.scale(store, ["text"])
    return guest.scale(store, [1.5])
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_type_checker_knows_what_is_given_and_taken(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    pytest.importorskip("numpy")
    write_package(tmp_path / "signals", generate("signals", SIGNALS, arrays=True))
    files = generate("signals", SIGNALS, asynchronous=True, arrays=True)
    write_package(tmp_path / "signals_async", files)
    for name, text in (("user", USER), ("user_async", USER_ASYNC), ("wrong", WRONG)):
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "lib").mkdir()
    path = {"MYPYPATH": search_path(tmp_path, Path(wasmtime.__file__).parent)}
    options = ["--strict", "--cache-dir", str(tmp_path / "cache"), "--no-error-summary"]
    check(tmp_path, "mypy", *options, "user.py", "user_async.py", **path)
    found = run(tmp_path, "mypy", *options, "wrong.py", **path)
    assert b'List item 0 has incompatible type "str"; expected "float"' in found.stdout
    assert b'got "array[float]", expected "list[float]"' in found.stdout
