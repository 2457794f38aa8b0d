"""
The asynchronous form of generated packages: what calls the component is awaited.
"""

from __future__ import annotations

import ast
import asyncio
import gc
import importlib
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any, Callable

import pytest

from wasmtime import Func, FuncType, Linker, Store, WasmtimeError
from wasmtime.bindgen import generate
from wasmtime.bindgen.__main__ import main as bindgen

from . import build_wat
from .worlds import WORLDS

Package = Callable[..., ModuleType]


@pytest.mark.parametrize("name", sorted(WORLDS))
def test_files_are_valid_and_name_what_is_awaited(name: str) -> None:
    files = generate(name, WORLDS[name], asynchronous=True)
    assert set(files) == set(generate(name, WORLDS[name]))
    for file, contents in files.items():
        if file.endswith(".py"):
            ast.parse(contents, feature_version=(3, 9))
    functions = [
        node
        for node in ast.walk(ast.parse(files["__init__.py"]))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    for function in functions:
        calls = "caller" in [each.arg for each in function.args.args]
        assert isinstance(function, ast.AsyncFunctionDef) == calls


def test_the_synchronous_form_stays_the_default() -> None:
    assert b"async" not in b"".join(
        contents
        for file, contents in generate("x", WORLDS["counter"]).items()
        if file.endswith(".py")
    )
    with pytest.raises(TypeError, match="asynchronous must be"):
        generate("x", "(component)", asynchronous=1)  # type: ignore[arg-type]


def test_the_command_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "counter.wat"
    source.write_text(WORLDS["counter"], encoding="utf-8")
    assert bindgen([str(source), "--out-dir", str(tmp_path / "out"), "--async"]) == 0
    assert capsys.readouterr().out.startswith("Generating")
    for file, contents in generate("counter", WORLDS["counter"], asynchronous=True).items():
        assert (tmp_path / "out" / file).read_bytes() == contents


def test_resources_of_the_host(package: Package) -> None:
    root = package("storing_async", WORLDS["store"], asynchronous=True)
    imports = importlib.import_module("storing_async.imports")
    events: list[Any] = []

    class Bucket:
        def __init__(self, size: int) -> None:
            self.size = size

        async def count(self) -> int:
            await asyncio.sleep(0)
            return self.size

        def drop(self) -> None:
            events.append(("drop", self.size))

        @staticmethod
        async def find(n: int) -> Bucket:
            await asyncio.sleep(0)
            return Bucket(n * 100)

    class Light:
        def weight(self) -> int:  # a plain function does as well
            return 1000

    class Things(imports.HostStore):
        async def first(self) -> Light:
            await asyncio.sleep(0)
            self.item = Light()
            return self.item

        async def weigh(self, item: Light) -> int:
            assert item is self.item
            return 10000

        async def give(self, item: Light) -> int:
            await asyncio.sleep(0.001)
            assert item is self.item
            return 100000

    Things.Bucket = Bucket

    async def main() -> None:
        store = Store()
        it = await root.Root(store, root.RootImports(Things()))
        assert await it.run(store, 7) == 111307
        assert events == [("drop", 7), ("drop", 300)]

    asyncio.run(main())


def test_resources_of_the_component(package: Package) -> None:
    root = package("counting_async", WORLDS["counter"], asynchronous=True)

    async def main() -> None:
        store = Store()
        it = (await root.Root(store)).counters()
        async with it.Counter(store, 5) as counter:
            assert await counter.value(store) == 5
            more = await counter.plus(store, n=3)
        assert await it.dropped(store) == 5
        one = it.Counter(store, 1)
        with pytest.raises(WasmtimeError, match="not made yet: await it"):
            await one.value(store)
        assert await one is one
        assert await one is one
        with pytest.raises(TypeError, match="expected Counter, got int"):
            await it.Counter.sum(store, one, 5)
        assert await one.value(store) == 1  # it was not given away
        total = await it.Counter.sum(store, one, more)
        with pytest.raises(WasmtimeError, match="given away"):
            await one.value(store)
        await more.drop(store)
        with pytest.raises(WasmtimeError, match="dropped"):
            await more.drop(store)
        assert await total.value(store) == 9

    asyncio.run(main())


def test_resources_stay_in_a_store_where_functions_of_the_host_are_awaited(
    package: Package,
) -> None:
    """
    The library cannot run their destructors there; the end of a block is no error for that.
    """
    root = package("counting_there", WORLDS["counter"], asynchronous=True)

    async def answer() -> None: ...

    async def main() -> None:
        store = Store()
        Func(store, FuncType([], []), answer)
        it = (await root.Root(store)).counters()
        async with it.Counter(store, 5) as counter:
            assert await counter.value(store) == 5
        assert await it.dropped(store) == 0
        with pytest.raises(WasmtimeError, match="cannot be dropped in a store with asynchronous"):
            await counter.drop(store)
        store.close()

    asyncio.run(main())


class Mirror:
    """
    Implements any interface: each function gives back its argument, after a while.
    """

    def __getattr__(self, name: str) -> Any:
        async def function(*arguments: Any) -> Any:
            await asyncio.sleep(0)
            return arguments[0] if arguments else None

        return function


def test_values_pass_through_awaited_functions(package: Package) -> None:
    text = build_wat.component(build_wat.everything(), "test:all/host", "test:all/guest")
    all_types = package("all_types_async", text, asynchronous=True)
    guest = importlib.import_module("all_types_async.exports.guest")
    types = importlib.import_module("all_types_async.types")
    point = guest.Point(0.5, 2.5)

    async def main() -> None:
        store = Store()
        root = await all_types.Root(store, all_types.RootImports(host=Mirror()))
        exports = root.guest()
        for name, value in {
            "echo_string": "naïve",
            "echo_point": point,
            "echo_color": guest.Color.D2,
            "echo_perms": guest.Perms.READ | guest.Perms.RUN_IT,
            "echo_shape": guest.ShapeAt(point),
            "list_u8": b"bytes",
            "list_point": [point, point],
            "option3": types.Some(types.Some(7)),
            "same": types.Err("x"),
            "result_none": types.Ok(None),
        }.items():
            assert await getattr(exports, name)(store, value) == value
        assert await exports.nothing(store) is None

    asyncio.run(main())


def test_an_instance_is_awaited_before_it_is_used(package: Package) -> None:
    root = package("early_async", WORLDS["counter"], asynchronous=True)

    async def main() -> None:
        store = Store()
        early = root.Root(store)
        with pytest.raises(WasmtimeError, match=r"await Root\(store\)"):
            early.counters()
        assert await early is early
        assert await early is early
        assert early.counters() is early.counters()

    asyncio.run(main())


def test_an_instance_that_is_never_awaited_warns(package: Package) -> None:
    root = package("never_async", WORLDS["counter"], asynchronous=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        root.Root(Store())
        gc.collect()
    assert any("never awaited" in str(each.message) for each in caught)


@pytest.mark.skipif(
    not hasattr(Linker, "instantiate_async"), reason="core modules are not asynchronous yet"
)
def test_core_modules(package: Package) -> None:
    text = """(module
      (import "env" "ask" (func $ask (param i32) (result i32)))
      (func (export "twice") (param $n i32) (result i32)
        (i32.add (call $ask (local.get $n)) (call $ask (local.get $n))))
      (memory (export "memory") 1))"""
    module = package("core_async", text, asynchronous=True)
    imports = importlib.import_module("core_async.imports")

    class Env(imports.HostEnv):
        async def ask(self, arg0: int) -> int:
            await asyncio.sleep(0)
            return arg0 + 1

    async def main() -> None:
        store = Store()
        root = await module.Root(store, module.RootImports(Env()))
        assert await root.twice(store, 3) == 8
        assert root.memory.data_len(store) == 65536
        assert await root is root

    asyncio.run(main())
