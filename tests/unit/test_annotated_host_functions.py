"""
Host functions whose WebAssembly type is told by their annotations.
"""

from __future__ import annotations

from typing import Any, Optional

import pytest

from wasmtime import (
    Caller,
    Engine,
    Func,
    FuncType,
    Linker,
    Module,
    Store,
    ValType,
    f32,
    f64,
    i32,
    i64,
)


def numbers(a: i32, b: i64, c: f32, d: f64) -> i64:
    return a + b


def plain(a: int, b: float) -> float:
    return a + b


def references(a: Func, b: Optional[Func], c: object, d: Any) -> object:
    return c


def several() -> tuple[i32, f32]:
    return 1, 2.5


def nothing() -> None:
    pass


def with_caller(caller: Caller, a: i32) -> None:
    assert isinstance(caller, Caller)


I32, I64, F32, F64 = ValType.I32, ValType.I64, ValType.F32, ValType.F64
FUNC, EXTERN = ValType.FUNCREF, ValType.EXTERNREF


@pytest.mark.parametrize(
    ("function", "params", "results"),
    [
        (numbers, [I32, I64, F32, F64], [I64]),
        (plain, [I32, F64], [F64]),
        (references, [FUNC, FUNC, EXTERN, EXTERN], [EXTERN]),
        (several, [], [I32, F32]),
        (nothing, [], []),
        (with_caller, [I32], []),
    ],
)
def test_the_type_follows_the_annotations(
    store: Store, function: Any, params: list[ValType], results: list[ValType]
) -> None:
    assert Func(store, function).type(store) == FuncType(params, results)


def test_the_function_is_called(store: Store) -> None:
    assert Func(store, numbers)(store, 1, 2, 3.0, 4.0) == 3
    assert Func(store, several)(store) == [1, 2.5]
    Func(store, with_caller)(store, 1)


def test_methods_and_callable_objects(store: Store) -> None:
    class Adder:
        def __call__(self, a: i32, b: i32) -> i32:
            return a + b

        def method(self, a: i64) -> i64:
            return -a

    assert Func(store, Adder())(store, 1, 2) == 3
    assert Func(store, Adder().method)(store, 5) == -5


def test_a_decorator_defines_in_a_linker() -> None:
    engine = Engine()
    linker = Linker(engine)

    @linker.func("env")
    def double(n: i32) -> i32:
        return 2 * n

    @linker.func("env", "half")
    def _divide(n: i32) -> i32:
        return n // 2

    assert double(4) == 8  # it is still the plain function
    module = Module(
        engine,
        """
        (import "env" "double" (func $double (param i32) (result i32)))
        (import "env" "half" (func $half (param i32) (result i32)))
        (func (export "run") (param i32) (result i32)
            (call $double (call $double (call $half (local.get 0)))))
        """,
    )
    store = Store(engine)
    assert linker.instantiate(store, module).exports(store)["run"](store, 10) == 20


def no_annotation(a, b: i32) -> i32:  # type: ignore[no-untyped-def]
    return b


def no_result(a: i32):  # type: ignore[no-untyped-def]
    return a


def a_string(a: str) -> None:
    pass


def any_number(*args: i32) -> None:
    pass


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (no_annotation, "parameter 'a' of no_annotation has no annotation"),
        (no_result, "result of no_result has no annotation"),
        (a_string, "no WebAssembly type"),
        (any_number, "parameter 'args'"),
    ],
)
def test_what_has_no_type_is_refused(store: Store, function: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        Func(store, function)
