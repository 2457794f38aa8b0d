"""
What generated packages are: their files, names, stability and form.
"""

from __future__ import annotations

import ast
import importlib
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Callable

import pytest

import wasmtime
from wasmtime import Store, WasmtimeError, wat2wasm
from wasmtime.bindgen import generate
from wasmtime.bindgen.__main__ import main
from wasmtime.bindgen._generator import names as python_names

from .checkers import check, is_installed, run, search_path
from .files import write_package
from .worlds import WORLDS

Package = Callable[[str, Any], ModuleType]


def test_names() -> None:
    spelled = {
        "get-value": ("get_value", "GetValue", "GET_VALUE"),
        "HTTP-get": ("http_get", "HttpGet", "HTTP_GET"),
        "class": ("class_", "Class", "CLASS"),
        "none": ("none", "None_", "NONE"),
        "2big": ("_2big", "_2big", "_2BIG"),
        "f32x4": ("f32x4", "F32x4", "F32X4"),
        "my.name": ("my_name", "MyName", "MY_NAME"),
    }
    for name, (snake, camel, shouty) in spelled.items():
        assert (python_names.snake(name), python_names.camel(name), python_names.shouty(name)) == (
            snake,
            camel,
            shouty,
        )
    assert python_names.camel("false", "Host") == "HostFalse"


def test_interfaces_with_the_same_short_name_all_get_longer_ones() -> None:
    names = ["a:x/types@1.0.0", "a:x/types@2.0.0", "b:y/types", "host", "a:x/other"]
    assert list(map(python_names.snake, python_names.interface_names(names))) == [
        "a_x_types_1_0_0",
        "a_x_types_2_0_0",
        "y_types",
        "host",
        "other",
    ]


@pytest.mark.parametrize("name", sorted(WORLDS))
@pytest.mark.slow
def test_files_are_valid_and_always_the_same(name: str) -> None:
    files = generate(name, WORLDS[name])
    assert list(files) == sorted(files)
    for file, contents in files.items():
        assert isinstance(contents, bytes)
        assert "\\" not in file
        if file.endswith(".py"):
            ast.parse(contents, feature_version=(3, 9))
    program = (
        "import sys, hashlib; from wasmtime.bindgen import generate; "
        "files = generate(sys.argv[1], sys.stdin.read()); "
        "print(hashlib.sha256(repr(files).encode()).hexdigest())"
    )
    digests = set()
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-X", "utf8", "-c", program, name],
            input=WORLDS[name].encode(),
            stdout=subprocess.PIPE,
            check=True,
            timeout=60,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        digests.add(done.stdout)
    assert len(digests) == 1
    if name != "module":
        assert generate(name, bytes(wat2wasm(WORLDS[name]))) == files


def test_layout(package: Package) -> None:
    files = generate("Some-Name", WORLDS["everything"])
    assert set(files) == {
        "__init__.py",
        "_component.py",
        "exports/__init__.py",
        "exports/guest.py",
        "imports/__init__.py",
        "imports/host.py",
        "py.typed",
        "some_name.component.wasm",
        "types.py",
    }
    assert files["some_name.component.wasm"] == bytes(wat2wasm(WORLDS["everything"]))
    assert set(generate("x", "(component)")) == {
        "__init__.py",
        "_component.py",
        "py.typed",
        "x.component.wasm",
    }


def test_bare_functions_come_as_host(package: Package) -> None:
    root = package("bare_host", WORLDS["bare"])
    imports = importlib.import_module("bare_host.imports")

    class Bare(imports.Host):
        def answer(self) -> int:
            return 42

    class Interface(imports.HostHost):
        hits = 0

        def thunk(self) -> None:
            self.hits += 1

    interface = Interface()
    store = Store()
    given = imports.RootImports(root_functions=Bare(), host=interface)
    assert root.Root(store, given).ask(store) == 42
    assert interface.hits == 1


def test_clashing_interfaces_and_types_of_the_world(package: Package) -> None:
    root = package("clashing", WORLDS["clashes"])
    world = importlib.import_module("clashing.imports.world_types")
    host = importlib.import_module("clashing.imports.host")
    names = {each for each in dir(importlib.import_module("clashing.imports")) if "types" in each}
    assert {"one_a_types_0_1_0", "one_a_types_0_2_0", "b_types"} <= names
    used = importlib.import_module("clashing.imports.one_a_types_0_2_0")
    assert host.Other is used.R
    fields = list(root.RootImports.__dataclass_fields__)
    assert fields == [
        "root_functions",
        "one_a_types_0_1_0",
        "one_a_types_0_2_0",
        "b_types",
        "host",
        "world",
    ]

    class Anything:
        def __getattr__(self, name: str) -> Any:
            return lambda *arguments: None

    store = Store()
    it = root.Root(store, root.RootImports(*[Anything() for _ in fields]))
    assert it.types(store) == 7
    assert it.g(store, world.Level(3)) == world.Level(3)
    assert it.a_types().f(store) == 7
    assert it.b_types().f(store) == 7


def test_resources_of_the_component(package: Package) -> None:
    root = package("counting", WORLDS["counter"])
    counters = importlib.import_module("counting.exports.counters")
    store = Store()
    instance = root.Root(store)
    it = instance.counters()
    assert it is instance.counters()
    with it.Counter(store, 5) as counter:
        assert isinstance(counter, counters.Counter)
        assert type(counter) is it.Counter
        assert counter.value(store) == 5
        more = counter.plus(store, n=3)
        assert type(more) is it.Counter
        assert more.value(store) == 8
    assert it.dropped(store) == 5
    with pytest.raises(WasmtimeError, match="this Counter was dropped"):
        counter.value(store)
    one = it.Counter(store, 1)
    with pytest.raises(TypeError, match="expected Counter, got int"):
        it.Counter.sum(store, one, 5)
    assert one.value(store) == 1  # it was not given away
    total = it.Counter.sum(store, one, more)
    with pytest.raises(WasmtimeError, match="given away"):
        one.value(store)
    more.drop(store)
    with pytest.raises(WasmtimeError, match="dropped"):
        more.drop(store)
    assert it.dropped(store) == 13
    total.drop(store)
    with pytest.raises(TypeError, match="take the class from the object of the interface"):
        counters.Counter(store, 1)


def test_resources_of_another_instance_are_refused(package: Package) -> None:
    root = package("foreign", WORLDS["counter"])
    store = Store()
    one, two = root.Root(store).counters(), root.Root(store).counters()
    assert one.Counter is not two.Counter
    counter = one.Counter(store, 1)
    with pytest.raises(WasmtimeError):
        two.Counter.sum(store, counter, counter)


def test_resources_of_the_host(package: Package) -> None:
    root = package("storing", WORLDS["store"])
    store_module = importlib.import_module("storing.imports.store")
    imports = importlib.import_module("storing.imports")
    events = []

    class Bucket(store_module.Bucket):
        def __init__(self, size: int) -> None:
            self.size = size

        def count(self) -> int:
            return self.size

        def drop(self) -> None:
            events.append(("drop", self.size))

        @staticmethod
        def find(n: int) -> Bucket:
            return Bucket(n * 100)

    class Light:
        def weight(self) -> int:
            return 1000

    class Things(imports.HostStore):
        def first(self) -> Light:
            self.item = Light()
            return self.item

        def weigh(self, item: Light) -> int:
            assert item is self.item
            return 10000

        def give(self, item: Light) -> int:
            assert item is self.item
            return 100000

    Things.Bucket = Bucket
    store = Store()
    assert root.Root(store, root.RootImports(Things())).run(store, 7) == 111307
    assert events == [("drop", 7), ("drop", 300)]
    del Things.Bucket
    with pytest.raises(TypeError, match="which has no 'Bucket"):
        root.Root(store, root.RootImports(Things()))


RANDOM = """
(component
  (import "wasi:random/random@0.2.0" (instance $random
    (export "get-random-u64" (func (result u64)))))
  (import "answer" (func $answer (result u64)))
  (core func $get (canon lower (func $random "get-random-u64")))
  (core func $answer (canon lower (func $answer)))
  (core module $m
    (import "" "get" (func $get (result i64)))
    (import "" "answer" (func $answer (result i64)))
    (func (export "run") (result i64) (i64.sub (call $get) (call $answer))))
  (core instance $m (instantiate $m (with "" (instance
    (export "get" (func $get)) (export "answer" (func $answer))))))
  (func (export "run") (result u64) (canon lift (core func $m "run"))))
"""


def test_wasi_is_the_librarys_unless_it_is_implemented(package: Package) -> None:
    root = package("randomly", RANDOM)
    imports = importlib.import_module("randomly.imports")

    class Zero(imports.Host):
        def answer(self) -> int:
            return 0

    class Fixed(imports.HostRandom):
        def get_random_u64(self) -> int:
            return 42

    store = Store()
    with pytest.raises(WasmtimeError, match="set_wasi"):
        root.Root(store, root.RootImports(host=Zero()))
    store.set_wasi(wasmtime.WasiConfig())
    it = root.Root(store, root.RootImports(host=Zero()))
    assert it.run(store) != it.run(store)
    fixed = root.Root(store, root.RootImports(host=Zero(), random=Fixed()))
    assert fixed.run(store) == 42


def test_what_cannot_pass_is_any(package: Package) -> None:
    text = """
      (component
        (import "pipes" (instance
          (export "take" (func (param "s" (stream u8)) (param "f" (option (future))))))))"""
    files = generate("pipes", text)
    assert b"def take(self, s: Any, f: Optional[Any]) -> None:" in files["imports/pipes.py"]
    root = package("pipes", text)

    class Pipes:
        def take(self, s: Any, f: Any) -> None:
            raise AssertionError

    with pytest.raises(NotImplementedError, match="take"):
        root.Root(Store(), root.RootImports(Pipes()))


def test_a_compiled_component_has_no_names() -> None:
    from wasmtime.component import Component

    with pytest.raises(TypeError, match="does not know the names of types"):
        generate("x", Component(wasmtime.Engine(), "(component)"))  # type: ignore[arg-type]


def test_documentation_is_taken_from_the_binary(package: Package) -> None:
    binary = bytes(wat2wasm(WORLDS["everything"]))
    said = (
        b'\x01{"interfaces": {"guest": {"docs": "About guests.", "funcs": {"nothing": '
        b'{"docs": "Does nothing.\\n\\nAt \\\\all, \\"\\"\\"really\\"\\"\\"."}}, "types": '
        b'{"point": {"docs": "A place.", "items": {"x": {"docs": "To the right."}}}}}}}'
    )
    section = b"\x0cpackage-docs" + said
    size = len(section)
    leb = bytes([size & 0x7F | 0x80, size >> 7]) if size > 127 else bytes([size])
    documented = package("documented", binary + b"\0" + leb + section)
    guest = importlib.import_module("documented.exports.guest")
    assert "About guests." in guest.__doc__
    assert "A place." in guest.Point.__doc__
    assert 'At \\all, """really""".' in guest.Guest.nothing.__doc__
    source = Path(str(guest.__file__)).read_text(encoding="utf-8")
    assert "    # To the right.\n    x: float\n" in source
    assert documented.Root


def test_arguments_are_checked() -> None:
    for name, source, error in (
        (5, "(component)", TypeError),
        ("", "(component)", ValueError),
        ("--", "(component)", ValueError),
        ("x", 5, TypeError),
        ("x", "(component", WasmtimeError),
        ("x", b"\0asm\x0d\0\x01\0\x07\x05\x01\x00\x00\x00\x00", ValueError),
        ("x", b"\0asm\x0d\0\x01\0\x0b\xff", ValueError),
        ("x", b"\0asm\x0d\0\x01\0\x0a\x05\x01\x00\x01a\x01", ValueError),
        ("x", '(component (import "m" (core module)))', ValueError),
        ("x", "(module (func (result i32)))", WasmtimeError),
    ):
        with pytest.raises(error):
            generate(name, source)  # type: ignore[arg-type]


def test_damaged_components_raise_and_nothing_else() -> None:
    binary = bytes(wat2wasm(WORLDS["counter"]))
    for at in range(8, len(binary), 7):
        damaged = binary[:at] + bytes([binary[at] ^ 0x5A]) + binary[at + 1 :]
        try:
            generate("x", damaged)
        except (ValueError, WasmtimeError):
            pass


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "my-adder.wat"
    source.write_text(WORLDS["bare"])
    assert main([str(source), "--out-dir", str(tmp_path / "out" / "pkg")]) == 0
    assert (tmp_path / "out" / "pkg" / "my_adder.component.wasm").is_file()
    assert (tmp_path / "out" / "pkg" / "imports" / "__init__.py").is_file()
    assert "Generating" in capsys.readouterr().out
    assert main([str(source), "--out-dir", str(tmp_path / "b"), "--name", "other"]) == 0
    assert (tmp_path / "b" / "other.component.wasm").is_file()
    assert main([str(tmp_path / "none.wasm"), "--out-dir", str(tmp_path)]) == 1
    source.write_text("(component")
    assert main([str(source), "--out-dir", str(tmp_path)]) == 1
    assert "my-adder.wat" in capsys.readouterr().err
    help_text = subprocess.run(
        [sys.executable, "-m", "wasmtime.bindgen", "--help"],
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
    ).stdout
    assert b"--out-dir" in help_text


USER = """
import bare
import counter
import store as store_package
import wasmtime
from bare.imports import Host, HostHost
from counter.exports.counters import Counter
from everything import guest
from everything.types import Ok, Result
from store.imports import HostStore
from store.imports.store import Bucket, Item


class Bare(Host):
    def answer(self) -> int:
        return 42


class Hits(HostHost):
    def thunk(self) -> None:
        return None


def use_bare(store: wasmtime.Store) -> int:
    return bare.Root(store, bare.RootImports(root_functions=Bare(), host=Hits())).ask(store)


def use_counter(store: wasmtime.Store) -> int:
    it = counter.Root(store).counters()
    with it.Counter(store, 5) as made:
        plain: Counter = made
        return plain.plus(store, 4).value(store)


class MyBucket(Bucket):
    def __init__(self, size: int) -> None:
        self.size = size

    def count(self) -> int:
        return self.size

    @staticmethod
    def find(n: int) -> Bucket:
        return MyBucket(n)


class MyItem:
    def weight(self) -> int:
        return 1


class Things(HostStore):
    Bucket = MyBucket

    def first(self) -> Item:
        return MyItem()

    def weigh(self, item: Item) -> int:
        return item.weight()

    def give(self, item: Item) -> int:
        return item.weight()


def use_store(store: wasmtime.Store) -> int:
    return store_package.Root(store, store_package.RootImports(Things())).run(store, 3)


def describe(shape: guest.Shape) -> str:
    if isinstance(shape, guest.ShapeDot):
        return "dot"
    if isinstance(shape, guest.ShapeCircle):
        return str(shape.value + 0.5)
    if isinstance(shape, guest.ShapeNamed):
        return shape.value
    return str(shape.value.x)


def unwrap(result: Result[guest.Point, guest.Color]) -> guest.Point:
    if isinstance(result, Ok):
        return result.value
    raise ValueError(result.value.name)
"""

USER_ASYNC = """
import counter_async
import store_async
import wasmtime
from store_async.imports import HostStore
from store_async.imports.store import Bucket, Item


async def use_counter(store: wasmtime.Store) -> int:
    root: counter_async.Root = await counter_async.Root(store)
    async with root.counters().Counter(store, 5) as made:
        more = await made.plus(store, 4)
        return await more.value(store)


class MyBucket(Bucket):
    def __init__(self, size: int) -> None:
        self.size = size

    async def count(self) -> int:
        return self.size

    @staticmethod
    async def find(n: int) -> Bucket:
        return MyBucket(n)


class MyItem:
    def weight(self) -> int:
        return 1


class Things(HostStore):
    Bucket = MyBucket

    async def first(self) -> Item:
        return MyItem()

    async def weigh(self, item: Item) -> int:
        return 1

    def give(self, item: Item) -> int:
        return 2


async def use_store(store: wasmtime.Store) -> int:
    root = await store_async.Root(store, store_async.RootImports(Things()))
    return await root.run(store, 3)
"""

WRONG = """
import wasmtime
import counter
from everything import guest


def wrong(store: wasmtime.Store) -> str:
    return counter.Root(store).counters().Counter(store, "five").value(store)
"""


@pytest.mark.network  # pyright fetches itself at its first start
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_checkers_and_formatters_are_content(tmp_path: Path) -> None:
    for name, source in WORLDS.items():
        write_package(tmp_path / name, generate(name, source))
        form = f"{name}_async"
        write_package(tmp_path / form, generate(form, source, asynchronous=True))
        form = f"{name}_arrays"
        write_package(tmp_path / form, generate(form, source, arrays=True))
    names = sorted(f"{name}{form}" for name in WORLDS for form in ("", "_async", "_arrays"))
    (tmp_path / "user.py").write_text(USER)
    (tmp_path / "user_async.py").write_text(USER_ASYNC)
    (tmp_path / "wrong.py").write_text(WRONG)
    # The checkers look for the package where it is, also when it is installed as editable.
    (tmp_path / "lib").mkdir()
    installed = Path(wasmtime.__file__).parent
    ran = []
    if is_installed("ruff"):
        check(tmp_path, "ruff", "format", "--isolated", "--check", "--diff", *names)
        ran.append("ruff")
    if is_installed("mypy"):
        options = ["--strict", "--cache-dir", str(tmp_path / "cache"), "--no-error-summary"]
        checked = ["user.py", "user_async.py", *names]
        environment = {"MYPYPATH": search_path(tmp_path, installed)}
        check(tmp_path, "mypy", *options, *checked, **environment)
        found = run(tmp_path, "mypy", *options, "wrong.py", **environment)
        assert found.returncode == 1
        assert b'has incompatible type "str"; expected "int"' in found.stdout
        assert b'expected "str"' in found.stdout or b'got "int"' in found.stdout
        ran.append("mypy")
    if is_installed("pyright"):
        (tmp_path / "pyrightconfig.json").write_text(
            '{"typeCheckingMode": "strict", "exclude": ["wrong.py", "lib"], "extraPaths": ["lib"]}'
        )
        search_path(tmp_path, installed)
        check(tmp_path, "pyright")
        ran.append("pyright")
    if not ran:
        pytest.skip("none of ruff, mypy and pyright is installed")
