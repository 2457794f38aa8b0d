"""Types whose parts are used more than once, and so grow with each level that they are nested."""

from __future__ import annotations

import pytest
from support import run_in_subprocess

from wasmtime import Engine, Store, WasmtimeError
from wasmtime.component import Component, FuncType, Instance, Linker, TupleType


def nested_pairs(levels: int, leaf: str, before: str = "") -> str:
    """A component that imports a function of pairs of pairs, the innermost of a type `leaf`."""
    types = [f"(type $t0 (tuple {leaf} {leaf}))"]
    types += [f"(type $t{n} (tuple $t{n - 1} $t{n - 1}))" for n in range(1, levels)]
    return f"""(component {before} {" ".join(types)}
        (import "f" (func (param "x" $t{levels - 1}))))"""


def test_a_part_that_is_used_twice_is_read_once(engine: Engine) -> None:
    component = Component(engine, nested_pairs(18, "u8"))
    function = component.imports["f"]
    assert isinstance(function, FuncType)
    ((_, ty),) = function.params
    for _ in range(17):
        assert isinstance(ty, TupleType)
        left, right = ty.elements
        assert left is right
        ty = left
    assert str(ty) == "tuple<u8, u8>"
    # One for the import, one for the parameter, two for each tuple, one for the result.
    assert component.type._reader._left >= 100_000 - 40


def test_a_component_of_half_a_million_parts_is_linked(engine: Engine) -> None:
    component = Component(engine, nested_pairs(18, "u8"))
    linker = Linker(engine)
    linker.define_imports(component, {"f": lambda x: None})
    assert linker.missing(component) == {}
    assert isinstance(linker.instantiate(Store(engine), component), Instance)


def test_a_part_that_names_a_resource_is_read_each_time_and_the_number_is_bounded(
    engine: Engine,
) -> None:
    # The library cannot say whether two such parts are equal.
    resource = '(import "r" (type $r (sub resource)))'
    few = Component(engine, nested_pairs(4, "(own $r)", resource))
    assert str(few.imports["f"]).count("own<") == 2**4
    many = Component(engine, nested_pairs(17, "(own $r)", resource))
    for read in (lambda: many.imports["f"].ty, lambda: str(many.type)):
        with pytest.raises(WasmtimeError, match="more than 100,000 parts"):
            read()


def test_the_names_of_an_enum_are_counted_as_parts(engine: Engine) -> None:
    names = " ".join(f'"n{n}"' for n in range(1000))
    component = Component(
        engine,
        f"""(component
            (import "r" (type $r (sub resource)))
            (type $e' (enum {names})) (import "e" (type $e (eq $e')))
            (import "f" (func (param "x" (tuple (own $r) $e)) (param "y" (tuple $e $e)))))""",
    )
    assert isinstance(component.imports["f"], FuncType)
    assert len(component.imports["f"].params) == 2
    assert 1000 <= 100_000 - component.type._reader._left <= 1020


def test_the_classes_of_nested_variants_are_found_in_one_walk() -> None:
    run_in_subprocess(
        """
        from wasmtime.component import F64, VariantType
        ty = F64()
        for _ in range(80):
            ty = VariantType([("case", ty)])
        classes = set()
        ty.add_classes(classes)
        assert classes == {float}
        """,
        timeout=60,
    ).check()
