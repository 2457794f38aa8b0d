"""
Components that a componentizer built from JavaScript: a language's whole runtime in each.
"""

from __future__ import annotations

import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Optional

import pytest
from real_programs import Unavailable, registry

from wasmtime import Config, Engine, ExitTrap, Store, WasiConfig
from wasmtime.component import Component, Err, Linker, Ok, Record, ResourceAny, Variant

from . import componentizers

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(sys.platform == "win32", reason="npm is no program that can be run there"),
    pytest.mark.timeout(300),
]


def obtain(name: str, tool: componentizers.Tool) -> Path:
    """
    A built component, or a skipped test where it cannot be built.
    """
    try:
        return componentizers.build(name, tool)
    except Unavailable as error:
        if registry.mode() == "require":
            raise
        pytest.skip(str(error))


def load(engine: Engine, path: Path) -> Component:
    """
    The component, compiled once.
    """
    directory = registry.cache_directory() / "compiled-components"
    directory.mkdir(mode=0o700, exist_ok=True)
    return Component.from_file(engine, path, cache=directory)


class Point(NamedTuple):
    """
    A record as a named tuple.
    """

    x: float
    y: float


class Shelf:
    """
    Implements the resource ``shelf``.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.things: dict[str, Optional[str]] = {}

    def put(self, key: str, value: Optional[str]) -> None:
        """
        Keep a value.
        """
        self.things[key] = value

    def find(self, key: str) -> Optional[str]:
        """
        A value that was kept.
        """
        return self.things.get(key)

    @classmethod
    def open(cls, name: str) -> Any:
        """
        The static function, which gives a result.
        """
        return Ok(cls(name)) if "two" in name else Err("no such shelf")


class Journal:
    """
    Implements the interface ``journal``.
    """

    Shelf = Shelf

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def write_line(self, level: str, text: str) -> None:
        """
        Keep a line.
        """
        self.lines.append((level, text))


@pytest.fixture(scope="module")
def app(engine: Engine) -> Component:
    """
    The application.
    """
    return load(engine, obtain("app", componentizers.QUICKJS))


@pytest.fixture
def journal() -> Journal:
    """
    What the application writes into.
    """
    return Journal()


@pytest.fixture
def exports(app: Component, journal: Journal, store: Store) -> Any:
    """
    The exports of an instance of the application.
    """
    linker = Linker(app.engine)
    linker.add_wasip2()
    linker.define_imports(app, {"journal": journal})
    assert linker.missing(app) == {}
    store.set_wasi(WasiConfig())
    return linker.instantiate(store, app).exports(store)


def test_variants_records_and_results(exports: Any, journal: Journal, store: Store) -> None:
    area = exports.shapes.area
    assert area(store, Variant("circle", 1.0)).value == pytest.approx(3.14159265)
    corners = [Point(0, 0), Record(x=2.0, y=0.0), {"x": 2, "y": 2}]
    assert area(store, Variant("polygon", corners)) == Ok(2.0)
    assert area(store, Variant("nothing")) == Err("nothing has no area")
    assert journal.lines == [
        ("info", "area of circle"),
        ("info", "area of polygon"),
        ("info", "area of nothing"),
    ]
    assert exports.shapes.total(store, [Point(1, 2), Point(3, 4)]) == {"x": 4.0, "y": 6.0}
    with pytest.raises(TypeError, match=r"of\.polygon\[1\]\.y: expected f64, got str"):
        area(store, Variant("polygon", [Point(0, 0), {"x": 1, "y": "2"}]))


def test_tuples_options_and_flags(exports: Any, store: Store) -> None:
    describe = exports.shapes.describe
    assert describe(store, [("a", 1), ("b", None)], {"fill-in"}) == "a=1,b=none filled"
    assert describe(store, names=[], how=set()) == " empty"


def test_a_resource_of_the_component(exports: Any, store: Store) -> None:
    shapes = exports.shapes
    counter = shapes["[constructor]counter"](store, 5)
    assert isinstance(counter, ResourceAny)
    increment = shapes["[method]counter.increment"]
    assert [increment(store, counter, 2), increment(store, counter, 3)] == [7, 10]
    hundred = shapes["[static]counter.from-hundred"](store)
    assert increment(store, hundred, 1) == 101
    assert hundred.type == counter.type
    counter.drop(store)
    hundred.drop(store)


def test_python_classes_as_resources(exports: Any, store: Store) -> None:
    assert exports.use_shelves(store, "one") == "value null null other"


def test_the_type_prints_as_it_was_written(app: Component) -> None:
    text = str(app.type)
    for line in (
        "    variant shape { circle(f64), polygon(list<point>), nothing }",
        "    flags options { fill-in, outline }",
        "    [method]counter.increment: func(self: borrow<counter>, by: u32) -> u32;",
        "    [static]shelf.open: func(name: string) -> result<shelf, string>;",
        "  export use-shelves: func(name: string) -> string;",
    ):
        assert line in text.splitlines()


def run(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """
    Run a component by the command line.
    """
    return subprocess.run(
        [sys.executable, "-m", "wasmtime", "run", "--env", "COLOUR=blue", str(path), *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_a_command_by_the_command_line() -> None:
    path = obtain("command", componentizers.QUICKJS)
    done = run(path, "a", "b c")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "hello a b c\nCOLOUR is blue\n"
    for word in ("fail", "exit"):
        done = run(path, word)
        assert done.returncode == 1
        assert done.stdout.startswith(f"hello {word}\n")


def test_a_command_with_captured_output(engine: Engine, store: Store) -> None:
    component = load(engine, obtain("command", componentizers.QUICKJS))
    wasi = WasiConfig()
    wasi.argv = ["command", "exit"]
    output: list[bytes] = []
    wasi.stdout_custom = lambda data: output.append(bytes(data)) or len(data)
    store.set_wasi(wasi)
    linker = Linker(engine)
    linker.add_wasip2()
    exports = linker.instantiate(store, component).exports(store)
    with pytest.raises(ExitTrap) as caught:
        exports["run"].run(store)
    assert caught.value.code == 1
    assert b"".join(output) == b"hello exit\n"


class Handler(http.server.BaseHTTPRequestHandler):
    """
    Answers every request with its path.
    """

    def do_GET(self) -> None:
        """
        The answer.
        """
        body = f"{self.path} {self.headers['x-asked-by']}".encode()
        self.send_response(200 if self.path != "/missing" else 404)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """
        Keep quiet.
        """


@pytest.fixture
def server() -> Iterator[str]:
    """
    The address of an HTTP server on this machine.
    """
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_http_requests(server: str) -> None:
    # A whole browser's JavaScript engine: compiled quickly rather than well.
    config = Config()
    config.cranelift_opt_level = "none"
    engine = Engine(config)
    store = Store(engine)
    component = load(engine, obtain("client", componentizers.SPIDERMONKEY))
    linker = Linker(engine)
    linker.add_wasip2()
    assert any("wasi:http/" in name for name in linker.missing(component))
    linker.add_wasi_http()
    assert linker.missing(component) == {}
    wasi = WasiConfig()
    wasi.allow_http()
    store.set_wasi(wasi)
    store.set_wasi_http()
    exports = linker.instantiate(store, component).exports(store)
    assert exports.fetch_text(store, f"{server}/page?x=1") == Ok("200 /page?x=1 a component")
    assert exports.fetch_text(store, f"{server}/missing") == Ok("404 /missing a component")
    refused = exports.fetch_text(store, "http://127.0.0.1:1/")
    assert isinstance(refused, Err)
