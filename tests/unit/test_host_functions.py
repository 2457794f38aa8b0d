"""
Calling Python from WebAssembly: what the function gets, what it may return, and the Caller.
"""

from __future__ import annotations

from typing import Any

import pytest

from wasmtime import (
    Caller,
    Config,
    Engine,
    Func,
    FuncType,
    Instance,
    Linker,
    Memory,
    Module,
    Store,
    Trap,
    TrapCode,
    Val,
    ValType,
    WasmtimeError,
)

I32, I64, F32, F64, V128 = ValType.I32, ValType.I64, ValType.F32, ValType.F64, ValType.V128


def call_host(store: Store, ty: FuncType, func: Any, *params: Any, caller: bool = False) -> Any:
    """
    Call a Python function through WebAssembly.
    """
    names = " ".join(str(p) for p in ty.params), " ".join(str(r) for r in ty.results)
    arguments = "".join(f"(local.get {i})" for i in range(len(ty.params)))
    module = Module(
        store.engine,
        f"""
        (import "" "" (func $host (param {names[0]}) (result {names[1]})))
        (memory (export "memory") 1)
        (func (export "run") (param {names[0]}) (result {names[1]}) {arguments} (call $host))
        """,
    )
    host = Func(store, ty, func, caller)
    return Instance(store, module, [host]).exports(store)["run"](store, *params)


def test_parameters_arrive_as_plain_python_values(store: Store) -> None:
    seen = []
    ty = FuncType([I32, I64, F32, F64, V128, ValType.EXTERNREF, ValType.FUNCREF], [])
    thing = object()
    call_host(store, ty, lambda *a: seen.extend(a), -1, 2**63, 0.5, 0.1, 1, thing, None)
    assert seen == [-1, -(2**63), 0.5, 0.1, (1).to_bytes(16, "little"), thing, None]
    assert [type(value) for value in seen[:5]] == [int, int, float, float, bytes]


def test_results_convert_like_parameters(store: Store) -> None:
    assert call_host(store, FuncType([], [I32]), lambda: 2**32 - 1) == -1
    assert call_host(store, FuncType([], [F64]), lambda: 1) == 1.0
    assert call_host(store, FuncType([], [I32]), lambda: Val.i32(7)) == 7
    assert call_host(store, FuncType([], [ValType.EXTERNREF]), lambda: "x") == "x"
    assert call_host(store, FuncType([], [ValType.EXTERNREF]), lambda: None) is None


@pytest.mark.parametrize("results", [(1, 2), [1, 2], range(1, 3)], ids=repr)
def test_several_results_come_from_any_sequence(store: Store, results: Any) -> None:
    assert call_host(store, FuncType([], [I32, I64]), lambda: results) == [1, 2]


def test_falsy_results_are_results(store: Store) -> None:
    assert call_host(store, FuncType([], [I32]), lambda: 0) == 0
    assert call_host(store, FuncType([], [ValType.EXTERNREF]), lambda: "") == ""
    assert call_host(store, FuncType([], [ValType.EXTERNREF]), lambda: 0) == 0
    assert call_host(store, FuncType([], [ValType.EXTERNREF]), lambda: False) is False


@pytest.mark.parametrize(
    ("results", "returned", "error", "words"),
    [
        ([], 1, WasmtimeError, "produced results when it shouldn't"),
        ([], 0, WasmtimeError, "produced results when it shouldn't"),
        ([I32], None, TypeError, "result: .*None.*i32"),
        ([I32], "1", TypeError, "result: .*'1'.*i32"),
        ([I32], 2**32, OverflowError, "result: .*i32"),
        ([I32], Val.i64(1), TypeError, "wrong type of `Val`"),
        ([I32, I32], [1], WasmtimeError, "wrong number of results: 1 instead of 2"),
        ([I32, I32], [1, 2, 3], WasmtimeError, "wrong number of results: 3 instead of 2"),
        ([I32, I32], 1, TypeError, "len"),
        ([I32, I32], [1, "2"], TypeError, "result 2: .*'2'.*i32"),
        ([I32, ValType.EXTERNREF], ["1", "2"], TypeError, "result 1: .*'1'.*i32"),
    ],
)
def test_wrong_results_raise_at_the_outer_call(
    store: Store, results: list[ValType], returned: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        call_host(store, FuncType([], results), lambda: returned)


def test_a_host_function_can_call_back(store: Store) -> None:
    depth = 0

    def host(n: int) -> int:
        nonlocal depth
        depth += 1
        return 0 if n == 0 else 1 + run(store, n - 1)

    module = Module(
        store.engine,
        """(import "" "" (func $host (param i32) (result i32)))
        (func (export "run") (param i32) (result i32) (call $host (local.get 0)))""",
    )
    func = Func(store, FuncType([I32], [I32]), host)
    run = Instance(store, module, [func]).exports(store)["run"]
    assert run(store, 20) == 20
    assert depth == 21


def test_any_callable_will_do(store: Store) -> None:
    class Adder:
        def __call__(self, a: int, b: int) -> int:
            return a + b

    ty = FuncType([I32, I32], [I32])
    assert call_host(store, ty, Adder(), 1, 2) == 3
    assert call_host(store, ty, max, 1, 2) == 2
    assert call_host(store, FuncType([I32], []), [].append, 1) is None
    with pytest.raises(TypeError, match="callable"):
        Func(store, ty, 1)  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------- Caller


def test_the_caller_looks_up_exports_of_the_calling_instance(store: Store) -> None:
    def host(caller: Caller, n: int) -> int:
        memory = caller["memory"]
        assert isinstance(memory, Memory)
        assert caller.get("memory") is not None
        assert caller.get_export("memory") is not None
        assert caller.get("absent") is None
        with pytest.raises(KeyError, match="absent"):
            caller["absent"]
        memory.write(caller, b"hello", n)
        return len(memory.read(caller, n, n + 5))

    assert call_host(store, FuncType([I32], [I32]), host, 16, caller=True) == 5


def test_the_caller_stands_for_the_store(engine: Engine) -> None:
    data = object()
    store = Store(engine, data)

    def host(caller: Caller) -> None:
        assert caller.data() is data
        Func(caller, FuncType([], []), lambda: None)(caller)
        Instance(caller, Module(engine, "(module)"), [])

    call_host(store, FuncType([], []), host, caller=True)


SPEND = """
    (import "" "host" (func $host))
    (func (export "run") (result i32) (local $n i32)
        (call $host)
        (loop $again
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $n) (i32.const 10_000))))
        (local.get $n))
"""


def spend(store: Store, host: Any) -> Any:
    """
    Run a loop that uses some 50,000 units of fuel, after a call of `host`.
    """
    imported = Func(store, FuncType([], []), host, access_caller=True)
    return Instance(store, Module(store.engine, SPEND), [imported]).exports(store)["run"](store)


def test_the_caller_has_the_fuel_of_its_store() -> None:
    engine = Engine(Config(consume_fuel=True))
    store = Store(engine)
    kept: list[Caller] = []

    def refuel(caller: Caller) -> None:
        kept.append(caller)
        assert 0 < caller.get_fuel() <= 100
        caller.set_fuel(100_000)
        assert caller.get_fuel() == 100_000
        with pytest.raises(OverflowError, match="fuel"):
            caller.set_fuel(-1)

    store.set_fuel(100)
    assert spend(store, refuel) == 10_000
    assert 0 < store.get_fuel() < 100_000

    store.set_fuel(1_000_000)
    with pytest.raises(Trap) as stopped:
        spend(store, lambda caller: caller.set_fuel(10))
    assert stopped.value.trap_code is TrapCode.OUT_OF_FUEL

    for use in (kept[0].get_fuel, lambda: kept[0].set_fuel(1)):
        with pytest.raises(ValueError, match="no longer valid"):
            use()


def test_the_caller_moves_the_deadline_of_its_store() -> None:
    engine = Engine(Config(epoch_interruption=True))
    store = Store(engine)

    def at_once(caller: Caller) -> None:
        caller.set_epoch_deadline(1)
        engine.increment_epoch()

    store.set_epoch_deadline(100)
    with pytest.raises(Trap) as stopped:
        spend(store, at_once)
    assert stopped.value.trap_code is TrapCode.INTERRUPT

    def prolong(caller: Caller) -> None:
        caller.set_epoch_deadline(100)
        engine.increment_epoch()

    store.set_epoch_deadline(1)
    assert spend(store, prolong) == 10_000


def test_the_caller_expires(store: Store) -> None:
    kept: list[Caller] = []
    call_host(store, FuncType([], []), kept.append, caller=True)
    (caller,) = kept
    assert caller.get("memory") is None
    with pytest.raises(KeyError):
        caller["memory"]
    with pytest.raises(ValueError, match="no longer valid"):
        caller.data()
    with pytest.raises(ValueError, match="no longer valid"):
        Func(caller, FuncType([], []), lambda: None)


def test_the_caller_expires_when_the_function_raises(store: Store) -> None:
    kept: list[Caller] = []

    def host(caller: Caller) -> None:
        kept.append(caller)
        raise LookupError

    with pytest.raises(LookupError):
        call_host(store, FuncType([], []), host, caller=True)
    with pytest.raises(ValueError, match="no longer valid"):
        kept[0].data()


def test_a_caller_without_an_instance_has_no_exports(store: Store) -> None:
    def host(caller: Caller) -> None:
        assert caller.get("memory") is None

    Func(store, FuncType([], []), host, access_caller=True)(store)


def test_names_given_to_a_caller_are_checked(store: Store) -> None:
    def host(caller: Caller) -> None:
        for wrong in (1, None, b"memory"):
            with pytest.raises(TypeError):
                caller.get(wrong)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="surrogate"):
            caller.get("\ud800")

    call_host(store, FuncType([], []), host, caller=True)


def test_a_linker_function_serves_every_store(engine: Engine) -> None:
    linker = Linker(engine)
    seen = []
    linker.define_func("e", "f", FuncType([I32], []), seen.append)
    module = Module(
        engine, '(import "e" "f" (func $f (param i32))) (func (export "g") (call $f (i32.const 3)))'
    )
    for _ in range(3):
        store = Store(engine)
        linker.instantiate(store, module).exports(store)["g"](store)
    assert seen == [3, 3, 3]


def test_a_linker_function_outlives_its_linker(engine: Engine) -> None:
    store = Store(engine)
    linker = Linker(engine)
    linker.define_func("e", "f", FuncType([], [I32]), lambda: 7)
    module = Module(engine, '(import "e" "f" (func (result i32))) (export "f" (func 0))')
    f = linker.instantiate(store, module).exports(store)["f"]
    linker.close()
    del linker
    assert f(store) == 7


def test_a_wrong_val_for_a_reference_is_refused_and_nothing_is_dropped(store: Store) -> None:
    wrong = Val.i32(7)
    for ty in (ValType.EXTERNREF, ValType.FUNCREF, ValType.ANYREF):
        for _ in range(50):
            # What the library's slots for results held before must not be taken for a reference.
            with pytest.raises(TypeError, match="wrong type of `Val`"):
                call_host(store, FuncType([], [V128, ty]), lambda: [2**127, wrong])
            with pytest.raises(TypeError, match="wrong type of `Val`"):
                call_host(store, FuncType([], [ty]), lambda: wrong)
