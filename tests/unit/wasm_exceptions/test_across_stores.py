"""
Exceptions of WebAssembly that pass from one store into another.
"""

from __future__ import annotations

import gc
import pickle
from typing import Any, Callable

import pytest

from wasmtime import Engine, ExnRef, Store, WasmException

from .guest import Guest


def uncaught(call: Callable[[], Any]) -> WasmException:
    """
    What the call raises.
    """
    with pytest.raises(WasmException) as caught:
        call()
    return caught.value


@pytest.mark.parametrize("export", ["catch", "pass", "catch_ref", "catch_and_rethrow"])
def test_one_of_another_store_passes_as_any_exception_of_python(
    engine: Engine, guest: Guest, export: str
) -> None:
    """
    There is no form of it in this store that the guest could catch.
    """
    other = Guest(Store(engine))
    elsewhere = Guest(Store(Engine()))
    closed = Guest(Store(engine))
    gone = Guest(Store(engine))
    thrown = uncaught(lambda: closed.throw(1, 2.0, None))
    with_tag_gone = WasmException(gone.other, 1)
    closed.store.close()
    del gone
    gc.collect()
    for exception in (
        uncaught(lambda: other.throw(1, 2.0, "x")),
        uncaught(lambda: elsewhere.throw(1, 2.0, None)),
        WasmException(other.other, 1),
        WasmException(ExnRef(other.store, other.other, [1])),
        thrown,
        with_tag_gone,
        pickle.loads(pickle.dumps(WasmException(guest.other, 1))),
    ):
        values = exception.values
        guest.raising(exception)
        assert uncaught(lambda: guest.__getattr__(export)(0)) is exception
        assert exception.values == values
        guest.host = lambda number: 3
        assert guest.catch(0) == 3


def test_a_call_into_another_store_that_throws(engine: Engine, guest: Guest) -> None:
    other = Guest(Store(engine))
    guest.host = lambda number: other.throw(number, 2.0, "x")
    exception = uncaught(lambda: guest.catch(7))
    assert exception.values == (7, 2.0, "x")
    assert exception.tag is not None
    assert exception.tag.eq(other.store, other.oops)
    assert exception.frames[0].func_name == "throw"


def test_it_is_thrown_again_where_it_came_from(engine: Engine, guest: Guest) -> None:
    """
    Out of one store, through another, back into the first, which catches it.
    """
    middle = Guest(Store(engine))
    middle.host = lambda number: guest.__getattr__("pass")(number + 1)

    def host(number: int) -> int:
        if number == 0:
            return int(middle.catch(0))
        raise WasmException(guest.other, 55)

    guest.host = host
    assert guest.catch(0) == 1055


def test_causes_and_contexts_may_be_of_any_store(engine: Engine, guest: Guest) -> None:
    other = Guest(Store(engine))

    def host(number: int) -> int:
        try:
            return int(other.throw(1, 2.0, None))
        except WasmException as cause:
            if number == 0:
                raise WasmException(guest.other, 5) from cause
            if number == 1:
                raise WasmException(other.other, 5) from cause
            raise LookupError from cause

    guest.host = host
    assert guest.catch(0) == 1005
    for number, kind in ((1, WasmException), (2, LookupError)):
        with pytest.raises(kind) as caught:
            guest.catch(number)
        cause = caught.value.__cause__
        assert isinstance(cause, WasmException)
        assert cause.values == (1, 2.0, None)
