"""
Exceptions of WebAssembly that reach Python.
"""

from __future__ import annotations

import pytest

from wasmtime import (
    Engine,
    ExnRef,
    Instance,
    Linker,
    Module,
    Store,
    Trap,
    TrapCode,
    WasmException,
    WasmtimeError,
)

from .guest import Guest


def test_an_uncaught_exception(store: Store, guest: Guest) -> None:
    payload = object()
    with pytest.raises(WasmException) as caught:
        guest.throw(-5, 2.5, payload)
    exception = caught.value
    assert isinstance(exception, Trap)
    assert exception.values == (-5, 2.5, payload)
    assert exception.tag is not None
    assert exception.tag.eq(store, guest.oops)
    assert not exception.tag.eq(store, guest.other)
    assert exception.trap_code is exception.code is TrapCode.UNCAUGHT_EXCEPTION
    assert [frame.func_name for frame in exception.frames] == ["throw"]
    assert "thrown Wasm exception" in str(exception)
    assert exception.trace
    exnref = exception.exnref
    assert type(exnref) is ExnRef
    assert list(exnref) == [-5, 2.5, payload]
    assert exnref.tag(store).eq(store, guest.oops)
    assert exnref.type(store).tag_type == guest.oops.type(store)


def test_nothing_stays_behind(store: Store, guest: Guest) -> None:
    for number in range(3):
        with pytest.raises(WasmException) as caught:
            guest.throw(number, 0.0, None)
        assert caught.value.values == (number, 0.0, None)
        with pytest.raises(Trap, match="unreachable") as trapped:
            guest.trap()
        assert type(trapped.value) is Trap
        with pytest.raises(WasmtimeError, match="too few"):
            guest.throw()
        assert guest.catch(5) == 5


def test_an_exception_of_a_start_function(store: Store) -> None:
    module = Module(
        store.engine,
        "(tag $t (param i64)) (func $start (throw $t (i64.const -1))) (start $start)",
    )
    linker = Linker(store.engine)
    for instantiate in (
        lambda: Instance(store, module, []),
        lambda: linker.instantiate(store, module),
        lambda: linker.instantiate_pre(module).instantiate(store),
        lambda: linker.define_module(store, "m", module),
    ):
        with pytest.raises(WasmException) as caught:
            instantiate()
        assert caught.value.values == (-1,)
        assert [frame.func_name for frame in caught.value.frames] == ["start"]


def test_exceptions_go_through_tables_and_calls_as_values(store: Store, guest: Guest) -> None:
    made = ExnRef(store, guest.oops, [1, 2.0, "x"])
    assert list(made) == [1, 2.0, "x"]
    assert len(made) == 3
    again = guest.same(made)
    assert type(again) is ExnRef
    assert again.eq(store, made)
    assert guest.same(None) is None
    with pytest.raises(WasmException) as caught:
        guest.rethrow(made)
    assert caught.value.values == (1, 2.0, "x")
    assert caught.value.exnref.eq(store, made)
    with pytest.raises(Trap) as trapped:
        guest.rethrow(None)
    assert trapped.value.trap_code is TrapCode.NULL_REFERENCE


def test_what_an_exception_reference_refuses(engine: Engine, store: Store, guest: Guest) -> None:
    made = ExnRef(store, guest.other, [1])
    with pytest.raises(TypeError, match="cannot be changed"):
        made[0] = 5
    with pytest.raises(TypeError, match="cannot be changed"):
        made.set(store, 0, 5)
    with pytest.raises(IndexError, match="1 fields"):
        made[1]
    with pytest.raises(WasmtimeError, match="1 fields, not 0"):
        ExnRef(store, guest.other)
    with pytest.raises(TypeError, match="value 1"):
        ExnRef(store, guest.other, ["x"])
    with pytest.raises(OverflowError):
        ExnRef(store, guest.other, [2**32])
    with pytest.raises(TypeError, match="Tag"):
        ExnRef(store, 5, [])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="no other form"):
        made._convert(store)
    other = Store(engine)
    for attempt in (
        lambda: ExnRef(other, guest.other, [1]),
        lambda: made.tag(other),
        lambda: made.type(other),
        lambda: made.get(other, 0),
        lambda: Guest(other).same(made),
    ):
        with pytest.raises(WasmtimeError, match="another store"):
            attempt()
