"""
Exceptions of WebAssembly that are wrong, copied, closed or in the way: errors, and nothing leaks.
"""

from __future__ import annotations

import copy
import pickle
import traceback
from typing import Any

import pytest
from support import objects_left_by, run_in_subprocess

from wasmtime import (
    Config,
    Engine,
    ExnRef,
    Func,
    FuncType,
    Instance,
    Module,
    Store,
    StructRef,
    StructType,
    Tag,
    TagType,
    TrapCode,
    WasmException,
    WasmtimeError,
)

from .guest import GUEST, Guest


def test_what_cannot_be_thrown_says_why(engine: Engine, store: Store, guest: Guest) -> None:
    for exception, expected, text in (
        (WasmException(guest.other), WasmtimeError, "1 fields, not 0"),
        (WasmException(guest.other, "x"), TypeError, "value 1"),
        (WasmException(guest.other, 2**40), OverflowError, "i32"),
    ):
        guest.raising(exception)
        with pytest.raises(expected, match=text) as caught:
            guest.catch(0)
        assert caught.value.__context__ is exception
        guest.host = lambda number: 3
        assert guest.catch(0) == 3


def test_arguments_are_checked(store: Store, guest: Guest) -> None:
    with pytest.raises(TypeError, match="Tag or an ExnRef"):
        WasmException("tag")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="carries its values"):
        WasmException(ExnRef(store, guest.other, [1]), 1)
    made = ExnRef(store, guest.other, [1])
    store.close()
    with pytest.raises(ValueError, match="closed"):
        WasmException(made)


def test_the_payload_outlives_the_store(engine: Engine) -> None:
    with Store(engine) as store:
        with pytest.raises(WasmException) as caught:
            Guest(store).throw(1, 2.0, "three")
    exception = caught.value
    assert exception.values == (1, 2.0, "three")
    assert "thrown" in str(exception)
    assert exception.frames
    with pytest.raises(ValueError, match="closed"):
        exception.exnref[0]  # type: ignore[index]


def test_copies_and_pickles_keep_what_they_can(store: Store, guest: Guest) -> None:
    struct = StructRef(store, StructType(store.engine, []))
    with pytest.raises(WasmException) as caught:
        guest.throw(1, 2.0, struct.to_extern(store))
    exception = caught.value
    for duplicate in (copy.copy(exception), copy.deepcopy(exception)):
        assert duplicate.values == exception.values
        assert duplicate.exnref is exception.exnref
        assert duplicate.tag is exception.tag
        assert str(duplicate) == str(exception)
    sent = pickle.loads(pickle.dumps(exception))
    assert type(sent) is WasmException
    assert sent.values[:2] == (1, 2.0)
    assert sent.values[2] == repr(exception.values[2])
    assert sent.tag is None
    assert sent.exnref is None
    assert str(sent) == str(exception)
    assert sent.frames == exception.frames
    assert sent.trap_code is TrapCode.UNCAUGHT_EXCEPTION
    made = pickle.loads(pickle.dumps(WasmException(guest.other, 4)))
    assert made.values == (4,)
    assert "4" in str(made)
    assert "WasmException" in repr(exception)
    assert traceback.format_exception_only(type(exception), exception)
    exception.close()
    assert exception.values[0] == 1


def test_exceptions_of_a_callback_that_cannot_throw(guest: Guest) -> None:
    """
    An epoch callback is no host function: what it raises ends the call.
    """
    config = Config()
    config.epoch_interruption = True
    engine = Engine(config)
    with Store(engine) as store:
        tag = Tag(store, TagType(FuncType([], [])))
        exception = WasmException(tag)

        def callback() -> int:
            raise exception

        store.set_epoch_deadline(0)
        store.set_epoch_deadline_callback(callback)
        module = Module(
            engine,
            """
            (func $spin (loop (br 0)))
            (func (export "run")
                (block $all (try_table (catch_all $all) (call $spin))))
            """,
        )
        store.set_epoch_deadline(2)
        run: Any = Instance(store, module, []).exports(store)["run"]
        engine.increment_epoch()
        engine.increment_epoch()
        with pytest.raises(WasmException) as caught:
            run(store)
        assert caught.value is exception


def test_without_the_proposal() -> None:
    config = Config()
    config.wasm_exceptions = False
    engine = Engine(config)
    with pytest.raises(WasmtimeError):
        Module(engine, GUEST)
    with Store(engine) as store:
        try:
            tag = Tag(store, TagType(FuncType([], [])))
        except WasmtimeError:
            return

        def host() -> None:
            raise WasmException(tag)

        with pytest.raises(WasmException):
            Func(store, FuncType([], []), host)(store)


def test_a_host_function_called_from_python_throws_to_python(store: Store, guest: Guest) -> None:
    exception = WasmException(guest.other, 3)
    guest.raising(exception)
    function = Func(store, FuncType([], []), lambda: guest.host(0))
    with pytest.raises(WasmException) as caught:
        function(store)
    assert caught.value is exception


def test_collections_while_an_exception_is_on_its_way(store: Store, guest: Guest) -> None:
    def host(number: int) -> int:
        store.gc()
        if number == 0:
            raise WasmException(guest.oops, 1, 2.0, ["payload"])
        try:
            return int(guest.__getattr__("pass")(number - 1))
        finally:
            store.gc()

    guest.host = host
    with pytest.raises(WasmException) as caught:
        guest.__getattr__("pass")(4)
    store.gc()
    assert caught.value.values == (1, 2.0, ["payload"])
    assert list(caught.value.exnref) == [1, 2.0, ["payload"]]  # type: ignore[arg-type]


def test_no_python_object_leaks(store: Store, guest: Guest) -> None:
    def work() -> None:
        for number in range(100):
            guest.raising(WasmException(guest.other, number))
            assert guest.catch(0) == 1000 + number
            for call in (
                lambda: guest.throw(1, 2.0, []),
                lambda: guest.catch_and_rethrow(0),
                lambda: guest.catch_and_throw_other(0),
            ):
                with pytest.raises(WasmException):
                    call()
        guest.host = lambda number: number

    assert objects_left_by(work, store) < 100


def test_misuse_does_not_end_the_process() -> None:
    run_in_subprocess(
        """
        engine = Engine()
        stores = [Store(engine), Store(engine)]
        tags = [Tag(s, TagType(FuncType([ValType.EXTERNREF], []))) for s in stores]
        module = Module(engine, '''
            (import "" "" (func $h (param i32)))
            (tag $t (param externref))
            (func (export "catch") (param i32)
                (block $all (try_table (catch_all $all) (call $h (local.get 0)))))
            (func $pass (export "pass") (param i32) (call $h (local.get 0)))''')
        made = [ExnRef(s, t, ["x"]) for s, t in zip(stores, tags)]
        things = []

        class Odd(WasmException):
            def _exnref_in(self, store):
                return things[0]

        class Half(WasmException):
            def __init__(self):
                pass

        raised = [WasmException(t, v) for t in tags for v in (1, None, made[0], made[1], tags[0])]
        raised += [WasmException(m) for m in made] + [Half(), WasmException.__new__(WasmException)]
        odd = Odd(tags[0], 1)
        calls = [0]

        def host(number):
            calls[0] += 1
            raise current

        for store in stores:
            function = Func(store, FuncType([ValType.I32], []), host)
            exports = Instance(store, module, [function]).exports(store)
            for current in raised:
                for name in ("catch", "pass"):
                    try:
                        exports[name](store, 0)
                    except Exception:
                        pass
            current = odd
            for thing in (None, 5, made[0], made[1], ExnRef.__new__(ExnRef), store, tags[1]):
                things[:] = [thing]
                for name in ("catch", "pass"):
                    try:
                        exports[name](store, 0)
                    except Exception:
                        pass
            store.gc()
        assert calls[0] > 40
        print("fine")
        """
    ).check()
