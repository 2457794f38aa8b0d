"""
Calling WebAssembly from Python: parameters, results, and what is refused.
"""

from __future__ import annotations

import math
from typing import Any, Callable

import pytest

from wasmtime import (
    BoundFunc,
    Func,
    FuncType,
    Store,
    Trap,
    Val,
    ValType,
    WasmtimeError,
)

IDENTITIES = "".join(
    f'(func (export "{ty}") (param {ty}) (result {ty}) (local.get 0))'
    for ty in ("i32", "i64", "f32", "f64", "v128", "externref", "funcref")
)


@pytest.fixture
def identities(exports_of: Callable[..., Any]) -> Any:
    """
    A function for each type that returns its parameter.
    """
    return exports_of(IDENTITIES)


def test_a_function_without_results_returns_none(store: Store, exports_of: Any) -> None:
    assert exports_of('(func (export "f"))')["f"](store) is None


def test_one_result_is_returned_itself(store: Store, exports_of: Any) -> None:
    add = exports_of(
        """(func (export "add") (param i32 i32) (result i32)
            (i32.add (local.get 0) (local.get 1)))"""
    )["add"]
    assert add(store, 5, 3) == 8
    assert add.call(store, 5, 3) == 8


def test_several_results_are_a_list_in_order(store: Store, exports_of: Any) -> None:
    swap = exports_of(
        """(func (export "swap") (param i32 i64) (result i64 i32)
            (local.get 1) (local.get 0))"""
    )["swap"]
    assert swap(store, 1, 2) == [2, 1]


def test_many_parameters_and_results_arrive_in_order(store: Store, exports_of: Any) -> None:
    count = 100
    params, results = " ".join(["i32"] * count), " ".join(["i32"] * count)
    body = "".join(f"(local.get {i})" for i in reversed(range(count)))
    reverse = exports_of(f'(func (export "f") (param {params}) (result {results}) {body})')["f"]
    assert reverse(store, *range(count)) == list(reversed(range(count)))


@pytest.mark.parametrize(
    ("given", "result"),
    [(0, 0), (2**31 - 1, 2**31 - 1), (-(2**31), -(2**31)), (2**31, -(2**31)), (2**32 - 1, -1)],
)
def test_i32_takes_both_ranges_and_returns_the_signed_one(
    store: Store, identities: Any, given: int, result: int
) -> None:
    assert identities["i32"](store, given) == result


@pytest.mark.parametrize(
    ("given", "result"),
    [(2**63 - 1, 2**63 - 1), (-(2**63), -(2**63)), (2**63, -(2**63)), (2**64 - 1, -1)],
)
def test_i64_takes_both_ranges_and_returns_the_signed_one(
    store: Store, identities: Any, given: int, result: int
) -> None:
    assert identities["i64"](store, given) == result


@pytest.mark.parametrize(
    ("ty", "value"),
    [
        ("i32", 2**32),
        ("i32", -(2**31) - 1),
        ("i32", 10**30),
        ("i64", 2**64),
        ("i64", -(2**63) - 1),
        ("f64", 10**400),
        ("f32", 10**400),
        ("v128", 2**128),
        ("v128", -(2**127) - 1),
    ],
)
def test_a_number_out_of_range_is_an_overflow_that_names_the_parameter(
    store: Store, identities: Any, ty: str, value: int
) -> None:
    with pytest.raises(OverflowError, match=r"parameter 1.*" + ty):
        identities[ty](store, value)


def test_floats(store: Store, identities: Any) -> None:
    assert identities["f64"](store, 0.1) == 0.1
    assert identities["f64"](store, 3) == 3.0
    # The nearest 32-bit number to 0.1.
    assert identities["f32"](store, 0.1) == 0.10000000149011612
    assert identities["f32"](store, 1e300) == math.inf
    assert math.copysign(1, identities["f32"](store, -0.0)) == -1
    assert math.isnan(identities["f64"](store, math.nan))


def test_v128_is_sixteen_bytes_or_an_integer(store: Store, identities: Any) -> None:
    data = bytes(range(16))
    assert identities["v128"](store, data) == data
    assert identities["v128"](store, bytearray(data)) == data
    assert identities["v128"](store, memoryview(data)) == data
    assert identities["v128"](store, int.from_bytes(data, "little")) == data
    assert identities["v128"](store, -1) == b"\xff" * 16
    with pytest.raises(ValueError, match="16 bytes"):
        identities["v128"](store, b"short")


@pytest.mark.parametrize("ty", ["i32", "i64", "f32", "f64", "v128", "funcref"])
@pytest.mark.parametrize("value", ["1", None, [], object()], ids=lambda value: type(value).__name__)
def test_values_of_another_type_are_type_errors(
    store: Store, identities: Any, ty: str, value: object
) -> None:
    if ty == "funcref" and value is None:
        pytest.skip("the null reference")
    with pytest.raises(TypeError, match="parameter 1"):
        identities[ty](store, value)


def test_a_float_is_no_integer(store: Store, identities: Any) -> None:
    with pytest.raises(TypeError, match="i32"):
        identities["i32"](store, 1.0)


def test_what_converts_by_index_or_float_is_taken(store: Store, identities: Any) -> None:
    class Seven:
        def __index__(self) -> int:
            return 7

    class Half:
        def __float__(self) -> float:
            return 0.5

    assert identities["i32"](store, Seven()) == 7
    assert identities["i64"](store, Seven()) == 7
    assert identities["f64"](store, Half()) == 0.5
    assert identities["i32"](store, True) == 1


def test_an_exception_of_a_conversion_comes_out(store: Store, identities: Any) -> None:
    class Broken:
        def __index__(self) -> int:
            raise LookupError("from __index__")

    for ty in ("i32", "i64"):
        with pytest.raises(LookupError, match="from __index__"):
            identities[ty](store, Broken())


def test_vals_are_taken_where_their_type_fits(store: Store, identities: Any) -> None:
    assert identities["i32"](store, Val.i32(5)) == 5
    assert identities["f32"](store, Val.f32(0.5)) == 0.5
    assert identities["v128"](store, Val.v128(bytes(16))) == bytes(16)
    assert identities["externref"](store, Val.externref("x")) == "x"
    with pytest.raises(TypeError, match=r"parameter 1.*wrong type of `Val`"):
        identities["i32"](store, Val.i64(5))
    with pytest.raises(TypeError, match="wrong type of `Val`"):
        identities["externref"](store, Val.i64(5))


def test_the_number_of_parameters_is_checked(store: Store, identities: Any) -> None:
    with pytest.raises(WasmtimeError, match="too few parameters provided: given 0, expected 1"):
        identities["i32"](store)
    with pytest.raises(WasmtimeError, match="too many parameters provided: given 2, expected 1"):
        identities["i32"](store, 1, 2)


def test_the_store_comes_first(store: Store, identities: Any) -> None:
    with pytest.raises(TypeError, match="store"):
        identities["i32"]()
    with pytest.raises(TypeError, match="store must be a Store"):
        identities["i32"](1, 1)
    with pytest.raises(TypeError, match="keyword"):
        identities["i32"](store, value=1)


def test_type_and_arity(store: Store, identities: Any) -> None:
    assert identities["i64"].type(store) == FuncType([ValType.i64()], [ValType.i64()])
    assert identities["i64"].param_arity() == 1
    assert identities["i64"].result_arity() == 1


def test_a_bound_function_needs_no_store(store: Store, identities: Any) -> None:
    bound = identities["i32"].bind(store)
    assert isinstance(bound, BoundFunc)
    assert bound(7) == 7
    assert bound.store is store
    assert identities["i32"].bind(store, release_gil=False)(7) == 7
    with pytest.raises(WasmtimeError, match="too few"):
        bound()


def test_a_function_can_be_called_again_after_a_trap(store: Store, exports_of: Any) -> None:
    exports = exports_of(
        """
        (func (export "trap") unreachable)
        (func (export "one") (result i32) (i32.const 1))
        """
    )
    for _ in range(3):
        with pytest.raises(Trap):
            exports["trap"](store)
        assert exports["one"](store) == 1


def test_functions_of_python_can_be_called_from_python(store: Store) -> None:
    double = Func(store, FuncType([ValType.I32], [ValType.I32]), lambda n: 2 * n)
    assert double(store, 21) == 42


def test_conversion_may_run_python_that_calls_the_same_store(store: Store, exports_of: Any) -> None:
    add = exports_of(
        """(func (export "add") (param i32 i32) (result i32)
            (i32.add (local.get 0) (local.get 1)))"""
    )["add"]

    class Computed:
        def __index__(self) -> int:
            return add(store, 20, 1)

    assert add(store, Computed(), Computed()) == 42


def test_a_store_closed_by_a_conversion_is_noticed(engine: Any) -> None:
    from wasmtime import Instance, Module

    store = Store(engine)
    identity = Instance(store, Module(engine, IDENTITIES), []).exports(store)["i32"]

    class Closing:
        def __index__(self) -> int:
            store.close()
            return 1

    with pytest.raises(ValueError, match="closed"):
        identity(store, Closing())
