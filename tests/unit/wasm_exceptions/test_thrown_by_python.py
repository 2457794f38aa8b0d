"""
Exceptions of WebAssembly that Python throws into the guest, and those that go through both.
"""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

from wasmtime import (
    ExnRef,
    FuncType,
    Linker,
    Module,
    Store,
    StructRef,
    StructType,
    Tag,
    TagType,
    Trap,
    ValType,
    WasmException,
)

from .guest import Guest


def test_the_guest_catches_what_a_host_function_throws(store: Store, guest: Guest) -> None:
    guest.raising(WasmException(guest.other, 7))
    assert guest.catch(0) == 1007
    guest.raising(WasmException(guest.oops, 1, 2.0, None))
    assert guest.catch(0) == 1
    mine = Tag(store, TagType(FuncType([ValType.ANYREF], [])))
    struct = StructRef(store, StructType(store.engine, [ValType.I32]), [4])
    guest.raising(WasmException(mine, struct))
    caught = guest.catch_ref(0)
    assert caught.tag(store).eq(store, mine)
    assert caught[0].eq(store, struct)


def test_a_host_exception_that_nobody_catches_is_the_same_object(
    store: Store, guest: Guest
) -> None:
    class Mine(WasmException):
        pass

    exception = Mine(guest.other, 7)
    assert exception.exnref is None
    guest.raising(exception)
    for _ in range(2):
        with pytest.raises(Mine) as caught:
            guest.__getattr__("pass")(0)
        assert caught.value is exception
        assert exception.values == (7,)
        assert exception.exnref is not None
    assert [frame.func_name for frame in exception.wasm_backtrace] == ["pass"]
    with pytest.raises(Mine) as caught:
        guest.catch_and_rethrow(0)
    assert caught.value is exception
    assert str(exception) == "WebAssembly exception with the values (7,)"


def test_throwing_an_existing_exception(store: Store, guest: Guest) -> None:
    made = ExnRef(store, guest.other, [8])
    exception = WasmException(made)
    assert exception.values == (8,)
    assert exception.tag is not None
    assert exception.tag.eq(store, guest.other)
    guest.raising(exception)
    assert guest.catch(0) == 1008
    assert guest.catch_ref(0).eq(store, made)


def test_what_the_guest_throws_instead_is_another_exception(store: Store, guest: Guest) -> None:
    first = WasmException(guest.other, 7)
    guest.raising(first)
    with pytest.raises(WasmException) as caught:
        guest.catch_and_throw_other(0)
    assert caught.value is not first
    assert caught.value.values == (99,)


def test_a_trap_after_a_caught_exception_is_a_trap(store: Store, guest: Guest) -> None:
    guest.raising(WasmException(guest.other, 7))
    with pytest.raises(Trap, match="unreachable") as caught:
        guest.catch_and_trap(0)
    assert type(caught.value) is Trap
    assert caught.value.__context__ is None


def test_a_python_exception_after_a_caught_exception(store: Store, guest: Guest) -> None:
    def host(number: int) -> int:
        if number == 0:
            raise WasmException(guest.other, 7)
        raise KeyError(number)

    guest.host = host
    with pytest.raises(KeyError) as caught:
        guest.catch_and_call(0, 5)
    assert caught.value.args == (5,)
    assert caught.value.__context__ is None
    with pytest.raises(WasmException) as thrown:
        guest.catch_and_call(0, 0)
    assert thrown.value.values == (7,)


@pytest.mark.parametrize("kind", [KeyError, KeyboardInterrupt, SystemExit, Trap, GeneratorExit])
def test_the_guest_does_not_catch_other_exceptions(
    store: Store, guest: Guest, kind: type[BaseException]
) -> None:
    exception = kind("no")
    guest.raising(exception)
    with pytest.raises(kind) as caught:
        guest.catch(0)
    assert caught.value is exception
    with pytest.raises(kind):
        guest.catch_and_throw_other(0)


def test_a_caught_exception_is_let_go(store: Store, guest: Guest) -> None:
    class Mine(WasmException):
        pass

    seen = []

    def host(number: int) -> int:
        exception = Mine(guest.other, 7)
        seen.append(weakref.ref(exception))
        raise exception

    guest.host = host
    assert guest.catch(0) == 1007
    gc.collect()
    assert seen[0]() is None


def test_functions_with_references_throw_too(store: Store) -> None:
    tag = Tag(store, TagType(FuncType([ValType.EXTERNREF], [])))

    def host(value: Any) -> Any:
        raise WasmException(tag, value)

    linker = Linker(store.engine)
    linker.define(store, "", "tag", tag)
    linker.define_func("", "host", FuncType([ValType.EXTERNREF], [ValType.EXTERNREF]), host)
    module = Module(
        store.engine,
        """
        (import "" "tag" (tag $tag (param externref)))
        (import "" "host" (func $host (param externref) (result externref)))
        (func (export "catch") (param externref) (result externref)
            (block $it (result externref)
                (try_table (result externref) (catch $tag $it) (call $host (local.get 0)))))
        (func $pass (export "pass") (param externref) (result externref) (call $host (local.get 0)))
        """,
    )
    exports: Any = linker.instantiate(store, module).exports(store)
    mine = object()
    assert exports["catch"](store, mine) is mine
    with pytest.raises(WasmException) as caught:
        exports["pass"](store, mine)
    assert caught.value.values == (mine,)


def test_through_many_layers(store: Store, guest: Guest) -> None:
    """
    Guest, host, guest, host, ...: an exception thrown at the bottom is caught at any layer.
    """

    def host(number: int) -> int:
        if number == 0:
            raise WasmException(guest.other, 5)
        if number == 3:
            return int(guest.catch(number - 1))
        return int(guest.__getattr__("pass")(number - 1))

    guest.host = host
    assert guest.__getattr__("pass")(6) == 1005
    assert guest.catch(2) == 1005
    with pytest.raises(WasmException) as caught:
        guest.__getattr__("pass")(2)
    assert caught.value.values == (5,)
    depth = [frame.func_name for frame in caught.value.wasm_backtrace]
    assert depth
    assert set(depth) == {"pass"}


def test_python_catches_between_two_layers(store: Store, guest: Guest) -> None:
    def host(number: int) -> int:
        if number == 0:
            raise WasmException(guest.other, 5)
        try:
            return int(guest.__getattr__("pass")(0))
        except WasmException as exception:
            seen.append(exception)
            return 77

    seen: list[WasmException] = []
    guest.host = host
    assert guest.__getattr__("pass")(1) == 77
    assert guest.catch(1) == 77
    assert [exception.values for exception in seen] == [(5,), (5,)]


def test_python_translates_between_two_layers(store: Store, guest: Guest) -> None:
    def host(number: int) -> int:
        if number == 0:
            raise WasmException(guest.other, 5)
        try:
            return int(guest.__getattr__("pass")(0))
        except WasmException as exception:
            raise LookupError(exception.values) from exception

    guest.host = host
    with pytest.raises(LookupError) as caught:
        guest.catch(1)
    assert isinstance(caught.value.__cause__, WasmException)
