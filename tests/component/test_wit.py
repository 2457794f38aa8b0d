"""
Types: walked, compared, printed.
"""

from __future__ import annotations

import copy
import pickle

import pytest

from wasmtime import Config, Engine, WasmtimeError
from wasmtime.component import (
    F64,
    U8,
    Component,
    ComponentExtern,
    ComponentInstanceType,
    EnumType,
    FlagsType,
    FuncType,
    ListType,
    MapType,
    ModuleType,
    OptionType,
    OwnType,
    RecordType,
    ResourceType,
    ResultType,
    String,
    TupleType,
    VariantType,
)

SHAPES = """(component
  (import "example:shapes/types@1.2.0" (instance
    (type $p' (record (field "x" f64) (field "y" f64)))
    (export "point" (type $p (eq $p')))
    (type $s' (variant (case "circle" f64) (case "polygon" (list $p)) (case "nothing")))
    (export "shape" (type $s (eq $s')))
    (type $k' (flags "fill-in" "outline"))
    (export "kind" (type $k (eq $k')))
    (type $e' (enum "low" "high"))
    (export "level" (type $e (eq $e')))
    (export "canvas" (type $c (sub resource)))
    (export "[constructor]canvas" (func (param "size" (tuple u32 u32)) (result (own $c))))
    (export "draw" (func (param "on" (borrow $c)) (param "what" $s) (param "how" $k)
                         (result (result (error string)))))
    (export "find" (func (param "near" $p) (param "level" $e) (result (option $s))))))
  (import "log" (func (param "text" string)))
  (import "code" (core module (export "f" (func))))
  (export "log-again" (type (tuple u8 (result) (result u8) (option char))))
)"""

SHAPES = SHAPES.replace(
    '(export "log-again" (type (tuple u8 (result) (result u8) (option char))))',
    '(type $l (tuple u8 (result) (result u8) (option char))) (export "last" (type $l))',
)

PRINTED = """\
world component {
  import example:shapes/types@1.2.0: interface {
    record point { x: f64, y: f64 }
    variant shape { circle(f64), polygon(list<point>), nothing }
    flags kind { fill-in, outline }
    enum level { low, high }
    resource canvas;
    [constructor]canvas: func(size: tuple<u32, u32>) -> canvas;
    draw: func(on: borrow<canvas>, what: shape, how: kind) -> result<_, string>;
    find: func(near: point, level: level) -> option<shape>;
  }
  import log: func(text: string);
  import code: core module;
  export type last = tuple<u8, result, result<u8>, option<char>>;
}"""


def test_a_component_prints_as_wit(engine: Engine) -> None:
    assert str(Component(engine, SHAPES).type) == PRINTED


def test_types_are_walked(engine: Engine) -> None:
    component = Component(engine, SHAPES)
    imports = component.type.imports(engine)
    assert list(imports) == ["example:shapes/types@1.2.0", "log", "code"]
    extern = imports["example:shapes/types@1.2.0"]
    assert isinstance(extern, ComponentInstanceType)
    assert isinstance(extern.ty, ComponentInstanceType)
    assert type(extern) is ComponentExtern
    items = extern.ty.exports(engine)
    point = items["point"].ty
    assert point == RecordType([("x", F64()), ("y", F64())])
    assert isinstance(items["shape"].ty, VariantType)
    assert items["shape"].ty.cases[1] == ("polygon", ListType(point))
    assert items["kind"].ty == FlagsType(["fill-in", "outline"])
    assert items["level"].ty == EnumType(["low", "high"])
    canvas = items["canvas"].ty
    assert isinstance(canvas, ResourceType)
    made = items["[constructor]canvas"].ty
    assert isinstance(made, FuncType)
    assert made.result == OwnType(canvas)
    assert isinstance(imports["code"].ty, ModuleType)
    assert [each.name for each in imports["code"].ty.exports(engine)] == ["f"]
    assert imports["log"].implements is None
    assert imports["log"].external_id is None
    assert not imports["log"].is_implements("a:b/c")
    with pytest.raises(WasmtimeError, match="another engine"):
        component.type.imports(Engine())
    with pytest.raises(TypeError):
        component.type.imports(3)  # type: ignore[arg-type]


def test_types_are_values() -> None:
    types = [
        ListType(U8()),
        RecordType([("a", String())]),
        TupleType([U8(), F64()]),
        OptionType(U8()),
        ResultType(None, String()),
        EnumType(["a"]),
        FlagsType(["a"]),
        VariantType([("a", None)]),
        MapType(String(), U8()),
    ]
    assert len({*types, *copy.deepcopy(types)}) == len(types)
    assert pickle.loads(pickle.dumps(types)) == types
    assert EnumType(["a"]) != FlagsType(["a"])
    with pytest.raises(AttributeError):
        types[1].fields = []  # type: ignore[attr-defined]


def test_equal_components_have_equal_types(engine: Engine) -> None:
    first, second = Component(engine, SHAPES).type, Component(engine, SHAPES).type
    assert first.imports(engine)["log"] == second.imports(engine)["log"]
    empty = Component(engine, "(component)").type
    assert empty == Component(engine, "(component)").type
    assert empty != first


def test_maps() -> None:
    from wasmtime import Store
    from wasmtime.component import Linker

    from .echo import echo_in_guest

    config = Config()
    config.wasm_component_model_map = True
    engine = Engine(config)
    store = Store(engine)
    component = echo_in_guest(engine, "(map string (list u32))")
    func = Linker(engine).instantiate(store, component).exports(store).echo
    assert str(func.type(store).result) == "map<string, list<u32>>"
    assert func(store, {"a": [1], "b": []}) == {"a": [1], "b": []}
    assert func(store, {}) == {}
    with pytest.raises(TypeError, match="expected dict, got list"):
        func(store, [("a", [1])])
    with pytest.raises(TypeError, match=r"x\[0\]\[0\]: expected u32"):
        func(store, {"a": ["b"]})


def test_a_resource_equals_the_extern_that_stands_for_it(engine: Engine) -> None:
    component = Component(
        engine,
        """(component (import "r" (type $r (sub resource))) (import "other" (type (sub resource)))
            (import "f" (func (param "x" (own $r)))))""",
    )
    imports = component.imports
    function = imports["f"].ty
    assert isinstance(function, FuncType)
    ((_, own),) = function.params
    assert isinstance(own, OwnType)
    assert own.ty == imports["r"]
    assert imports["r"] == own.ty
    assert own.ty != imports["other"]
    assert own.ty != "r"
    assert function == imports["f"]
    assert imports["f"] == function


def test_an_extern_that_was_never_made_has_nothing() -> None:
    extern = ComponentExtern.__new__(ComponentExtern)
    for name in ("x", "ty", "_ty", "_native", "exports"):
        with pytest.raises(AttributeError, match="never initialized"):
            getattr(extern, name)
    assert not isinstance(extern, int)


def test_what_a_type_has_is_read_once_and_given_as_ones_own() -> None:
    # The library's functions for the nth part count from the first each time.
    engine = Engine()
    component = Component(
        engine,
        """(component (import "f" (func))
            (core module (export "m") (import "" "h" (func)) (func (export "g"))))""",
    )
    imports = component.imports
    assert component.imports["f"] is imports["f"]
    imports.clear()
    assert list(component.imports) == ["f"]
    module = component.exports["m"].ty
    assert isinstance(module, ModuleType)
    module.exports(engine).clear()
    assert [entry.name for entry in module.exports(engine)] == ["g"]
    assert [entry.name for entry in module.imports(engine)] == ["h"]
    other = Engine()
    for read in (component.type.imports, component.type.exports, module.imports, module.exports):
        with pytest.raises(WasmtimeError, match="another engine"):
            read(other)
