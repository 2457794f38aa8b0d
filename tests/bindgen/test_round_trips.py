"""
Values of every type, through generated packages to a component, the host, and back.
"""

from __future__ import annotations

import importlib
import math
from types import ModuleType
from typing import Any, Callable

import pytest

from wasmtime import Store, wat2wasm
from wasmtime.bindgen import generate

from . import build_wat

Package = Callable[..., ModuleType]


class Mirror:
    """
    Implements any interface: each function gives back its argument.
    """

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        def function(*arguments: Any) -> Any:
            self.seen.append(arguments)
            return arguments[0] if arguments else None

        return function


def convert(value: Any, source: ModuleType, target: ModuleType) -> Any:
    """
    A value with the classes of one module replaced by those of another.
    """
    if isinstance(value, list):
        return [convert(each, source, target) for each in value]
    if isinstance(value, tuple):
        return tuple(convert(each, source, target) for each in value)
    cls = getattr(target, type(value).__name__, None)
    if type(value).__module__ == source.__name__ and cls is not None:
        if hasattr(value, "__dataclass_fields__"):
            parts = [convert(getattr(value, key), source, target) for key in vars(value)]
            return cls(*parts)
        return cls(value.value)
    if hasattr(value, "value") and hasattr(value, "__dataclass_fields__"):
        return type(value)(convert(value.value, source, target))
    return value


def test_every_type_in_every_position(package: Package) -> None:
    text = build_wat.component(build_wat.everything(), "test:all/host", "test:all/guest")
    all_types = package("all_types", text)
    guest = importlib.import_module("all_types.exports.guest")
    host = importlib.import_module("all_types.imports.host")
    types = importlib.import_module("all_types.types")
    ok, err, some = types.Ok, types.Err, types.Some
    mirror = Mirror()
    store = Store()
    exports = all_types.Root(store, all_types.RootImports(host=mirror)).guest()
    point = guest.Point(0.5, math.pi)
    samples: dict[str, list[Any]] = {
        "bool": [True, False],
        "u8": [0, 255],
        "s8": [-128, 127],
        "u16": [65535],
        "s16": [-32768],
        "u32": [2**32 - 1],
        "s32": [-(2**31)],
        "u64": [2**64 - 1],
        "s64": [-(2**63)],
        "char": ["é", "\U0001f600"],
        "f32": [0.5, math.inf],
        "f64": [math.pi],
        "string": ["", "naïve"],
        "point": [point],
        "color": list(guest.Color),
        "perms": [guest.Perms(0), guest.Perms.READ | guest.Perms.RUN_IT],
        "shape": [
            guest.ShapeDot(),
            guest.ShapeCircle(1.5),
            guest.ShapeNamed("n"),
            guest.ShapeAt(point),
        ],
        "points": [[], [point, point]],
        "maybe": [None, some(None), some(4)],
        "outcome": [ok(point), err(guest.Color.D2)],
    }

    def check(function: str, value: Any) -> None:
        mirror.seen.clear()
        assert getattr(exports, function)(store, value) == value
        # The host saw the classes of the imported interface.
        assert mirror.seen == [(convert(value, guest, host),)]

    for name, values in samples.items():
        title = name.capitalize()
        record = getattr(guest, f"{title}Record")
        none, one, many = (
            getattr(guest, f"{title}Variant{case}") for case in ("None_", "Some", "Many")
        )
        whole: Any = bytes(values) if name == "u8" else values
        check(f"list_{name}", whole)
        check(f"variant_{name}", none())
        check(f"variant_{name}", many(whole))
        check(f"option_{name}", None)
        check(f"ok_{name}", err(None))
        check(f"err_{name}", ok(None))
        for value in values:
            check(f"echo_{name}", value)
            there = some(value) if name == "maybe" else value
            check(f"option_{name}", there)
            check(f"tuple_{name}", (value, True))
            check(f"ok_{name}", ok(value))
            check(f"err_{name}", err(value))
            check(f"record_{name}", record(value, there))
            check(f"record_{name}", record(value, None))
            check(f"variant_{name}", one(value))
    for value in (None, some(None), some(some(None)), some(some(7))):
        check("option3", value)
    for value in (ok("x"), err("x")):
        check("same", value)
    for value in (ok(None), err(None)):
        check("result_none", value)
    assert exports.nothing(store) is None
    assert exports.many(store, *range(20)) == 0
    assert mirror.seen[-1] == tuple(range(20))


def test_wrong_values_are_refused_with_what_was_expected(package: Package) -> None:
    text = build_wat.component(build_wat.everything(), "test:all/host", "test:all/guest")
    root = package("refused", text)
    guest = importlib.import_module("refused.exports.guest")
    types = importlib.import_module("refused.types")
    store = Store()
    mirror = Mirror()
    exports = root.Root(store, root.RootImports(host=mirror)).guest()
    for function, value, message in (
        ("echo_color", "red", "expected Color, got str"),
        ("echo_perms", 3, "expected Perms, got int"),
        ("echo_shape", guest.Color.RED, "expected one of ShapeDot, "),
        ("echo_outcome", 5, "expected Ok or Err, got int"),
        ("echo_maybe", 5, "expected Some or None, got int"),
        ("tuple_color", (guest.Color.RED,), "expected a tuple of 2 elements, got 1"),
        ("record_color", guest.Color.RED, "expected ColorRecord, got Color"),
        ("echo_u8", "x", "expected u8, got str"),
        ("echo_outcome", types.Ok(3), "x"),
    ):
        with pytest.raises((TypeError, AttributeError), match=message):
            getattr(exports, function)(store, value)
    # None of them got as far as the host, and the instance is as good as before.
    assert mirror.seen == []
    assert exports.echo_u8(store, 5) == 5
    mirror.echo_color = lambda value: "red"
    with pytest.raises(TypeError, match="expected Color, got str"):
        exports.echo_color(store, guest.Color.RED)


def test_awkward_names(package: Package) -> None:
    text = build_wat.component(build_wat.awkward(), "test:awkward/while", "test:awkward/exports")
    root = package("awkward", text)
    exports = importlib.import_module("awkward.exports.exports")
    store = Store()
    it = root.Root(store, root.RootImports(while_=Mirror())).exports()
    value = exports.Class(*"abcdefghij")
    assert value.from_ == "b"
    assert value.class_ == "a"
    assert it.def_(store, value) == value
    assert it.def_(store, import_=value) == value
    assert exports.FooBar(x=1).x == 1
    assert exports.FooBar_(5).value == 5
    assert exports.FooTrue_() in (exports.FooTrue_(),)
    for member in exports.Type:
        assert it.type_of(store, member) is member
    assert {member.name for member in exports.Type} >= {"MRO", "X1"}
    for option in (None, importlib.import_module("awkward.types").Some(exports.Ok(3))):
        assert it.options(store, option) == option
    assert it.bytes(store, b"ab") == b"ab"
    assert it.root_of(store, exports.Root(3)) == exports.Root(3)


def test_what_the_host_raises_arrives_unchanged(package: Package) -> None:
    text = build_wat.component(build_wat.everything(), "test:all/host", "test:all/guest")
    root = package("raising", text)
    store = Store()
    mirror = Mirror()
    exports = root.Root(store, root.RootImports(host=mirror)).guest()
    error = KeyError("mine")

    def fail() -> None:
        raise error

    mirror.nothing = fail
    with pytest.raises(KeyError) as caught:
        exports.nothing(store)
    assert caught.value is error


def test_missing_implementations_are_refused(package: Package) -> None:
    text = build_wat.component(build_wat.everything(), "test:all/host", "test:all/guest")
    root = package("missing", text)
    with pytest.raises(TypeError, match=r"'host' is implemented by 'object', which has no 'echo_"):
        root.Root(Store(), root.RootImports(host=object()))


def test_another_component_of_the_world(package: Package) -> None:
    from wasmtime.component import Component

    add = """
      (component
        (core module $m (func (export "f") (param i32) (result i32)
          (i32.{} (local.get 0) (i32.const 3))))
        (core instance $i (instantiate $m))
        (func (export "f") (param "x" s32) (result s32) (canon lift (core func $i "f"))))"""
    root = package("another", add.format("add"))
    store = Store()
    assert root.Root(store).f(store, 5) == 8
    other = Component(store.engine, add.format("mul"))
    assert root.Root(store, component=other).f(store, 5) == 15


def test_a_component_is_compiled_once_for_an_engine(package: Package) -> None:
    root = package("once", "(component)")
    store = Store()
    embedded = importlib.import_module("once._component").COMPONENT
    root.Root(store)
    assert embedded.compile(store.engine) is embedded.compile(store.engine)
    assert embedded.compile(Store().engine) is not embedded.compile(store.engine)


MODULE = """
(module
  (import "env" "scale" (func $scale (param i32 f64) (result f64)))
  (import "env" "memory" (memory 1))
  (import "env" "limit" (global i32))
  (memory (export "own memory") 1)
  (global (export "__heap_base") (mut i32) (i32.const 7))
  (func (export "area") (param $width i32) (param $class f64) (result f64)
    (call $scale (local.get $width) (local.get $class)))
  (func (export "pair") (result i32 f64) (i32.const 1) (f64.const 2.5))
  (func (export "int") (param i32) (result i32) (local.get 0))
  (func (export "limit") (result i32) (global.get 0)))
"""


@pytest.mark.parametrize("form", ["text", "binary"])
def test_core_modules(package: Package, form: str) -> None:
    import wasmtime

    source: Any = MODULE if form == "text" else bytes(wat2wasm(MODULE))
    core = package(f"core_{form}", source)
    store = Store()

    class Env:
        memory = wasmtime.Memory(store, wasmtime.MemoryType(wasmtime.Limits(1, None)))
        limit = wasmtime.Global(
            store, wasmtime.GlobalType(wasmtime.ValType.i32(), False), wasmtime.Val.i32(9)
        )

        def scale(self, width: int, factor: float) -> float:
            return width * factor

    root = core.Root(store, core.RootImports(env=Env()))
    assert root.area(store, 3, 1.5) == 4.5
    assert root.area(store, width=3, class_=1.5) == 4.5
    assert root.pair(store) == [1, 2.5]
    assert root.int(store, 5) == 5
    assert root.limit(store) == 9
    assert root.heap_base.value(store) == 7
    assert isinstance(root.own_memory, wasmtime.Memory)
    with pytest.raises(TypeError, match="'env' is implemented by 'object', which has no 'scale'"):
        core.Root(store, core.RootImports(env=object()))


def test_wasi_that_the_library_lacks_is_an_import_like_others(package: Package) -> None:
    root = package(
        "older_wasi",
        """(module
          (import "wasi_unstable" "sched_yield" (func $yield (result i32)))
          (export "f" (func $yield)))""",
    )

    class WasiUnstable:
        def sched_yield(self) -> int:
            return 5

    store = Store()
    assert root.Root(store, root.RootImports(wasi_unstable=WasiUnstable())).f(store) == 5


def test_a_compiled_module_gives_the_same_classes() -> None:
    import wasmtime

    compiled = wasmtime.Module(wasmtime.Engine(), MODULE)
    files = generate("core", compiled)
    assert "core.wasm" not in files
    assert (
        b"def pair(self, caller: wasmtime.Store) -> List[Union[float, int]]" in files["__init__.py"]
    )
