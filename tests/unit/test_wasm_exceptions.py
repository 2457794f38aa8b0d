"""
Exceptions of WebAssembly: from the guest to Python, from Python into the guest, and through both.
"""

from __future__ import annotations

import copy
import gc
import pickle
import traceback
import weakref
from typing import Any, Callable

import pytest
from support import run_in_subprocess

from wasmtime import (
    Config,
    Engine,
    ExnRef,
    Func,
    FuncType,
    Instance,
    Linker,
    Module,
    Store,
    StructRef,
    StructType,
    Tag,
    TagType,
    Trap,
    TrapCode,
    ValType,
    WasmException,
    WasmtimeError,
)

GUEST = """
    (type $sig (func (param i32 f64 externref)))
    (import "" "host" (func $host (param i32) (result i32)))
    (tag $oops (export "oops") (type $sig))
    (tag $other (export "other") (param i32))
    (func $throw (export "throw") (param i32 f64 externref)
        (throw $oops (local.get 0) (local.get 1) (local.get 2)))
    (func (export "rethrow") (param exnref) (throw_ref (local.get 0)))
    (func (export "same") (param exnref) (result exnref) (local.get 0))
    (func $pass (export "pass") (param i32) (result i32) (call $host (local.get 0)))
    ;; Gives 1000 + the payload of $other, 1 for any other exception.
    (func $catch (export "catch") (param i32) (result i32)
        (block $all
            (block $it (result i32)
                (return (try_table (result i32) (catch $other $it) (catch_all $all)
                    (call $host (local.get 0)))))
            (return (i32.add (i32.const 1000))))
        (i32.const 1))
    (func (export "catch_ref") (param i32) (result exnref)
        (block $it (result exnref)
            (try_table (catch_all_ref $it) (drop (call $host (local.get 0))))
            (return (ref.null exn))))
    (func (export "catch_and_rethrow") (param i32)
        (block $it (result exnref)
            (try_table (catch_all_ref $it) (drop (call $host (local.get 0))))
            (return))
        (throw_ref))
    (func (export "catch_and_throw_other") (param i32)
        (block $all
            (try_table (catch_all $all) (drop (call $host (local.get 0))))
            (return))
        (throw $other (i32.const 99)))
    (func (export "catch_and_trap") (param i32)
        (block $all
            (try_table (catch_all $all) (drop (call $host (local.get 0))))
            (return))
        (unreachable))
    (func (export "catch_and_call") (param i32 i32) (result i32)
        (drop (call $catch (local.get 0)))
        (call $host (local.get 1)))
    (func (export "trap") unreachable)
"""


class Guest:
    """
    An instance whose host function is `host`, which the test sets.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.host: Callable[[int], Any] = lambda number: number
        function = Func(
            store, FuncType([ValType.I32], [ValType.I32]), lambda number: self.host(number)
        )
        module = Module(store.engine, GUEST)
        self.exports: Any = Instance(store, module, [function]).exports(store)

    def __getattr__(self, name: str) -> Any:
        item = self.exports[name]
        if isinstance(item, Func):
            return lambda *arguments: item(self.store, *arguments)
        return item

    def raising(self, exception: BaseException) -> None:
        def host(number: int) -> int:
            raise exception

        self.host = host


@pytest.fixture
def guest(store: Store) -> Guest:
    return Guest(store)


# --- from the guest to Python -----------------------------------------------------------------


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


# --- from Python into the guest ---------------------------------------------------------------


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


# --- from one store into another -----------------------------------------------------------------


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


# --- misuse -----------------------------------------------------------------------------------


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


def test_copies(store: Store, guest: Guest) -> None:
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

    work()
    gc.collect()
    store.gc()
    before = len(gc.get_objects())
    work()
    gc.collect()
    store.gc()
    gc.collect()
    assert len(gc.get_objects()) - before < 100


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
