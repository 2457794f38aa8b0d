"""
What a Python function raises while WebAssembly calls it arrives at the outer call as the same
object, whatever it is; and all exceptions of the package can be copied and pickled.
"""

from __future__ import annotations

import copy
import pickle
import sys
import traceback
from typing import Any

import pytest

from wasmtime import (
    Engine,
    ExitTrap,
    Frame,
    Func,
    FuncType,
    Instance,
    Linker,
    Module,
    Store,
    Trap,
    TrapCode,
    ValType,
    WasiConfig,
    WasmtimeError,
)

TEXT = """
(module $guest
    (import "" "" (func $host))
    (func (export "run") (call $inner))
    (func $inner (call $host)))
"""


def raise_it(exception: BaseException) -> Any:
    """
    A function that raises an exception.
    """

    def host(*args: Any) -> Any:
        raise exception

    return host


def guest(store: Store, host: Any) -> Func:
    """
    An export that calls `host` two frames down.
    """
    func = Func(store, FuncType([], []), host)
    return Instance(store, Module(store.engine, TEXT), [func]).exports(store)["run"]


class Custom(Exception):
    pass


@pytest.mark.parametrize(
    "exception",
    [
        Custom("x"),
        ValueError("x"),
        StopIteration(1),
        GeneratorExit(),
        KeyboardInterrupt(),
        SystemExit(3),
        MemoryError(),
        BaseException("bare"),
        Trap("made in Python"),
        WasmtimeError("made in Python"),
        WasmtimeError("unknown import: made in Python"),
        ExitTrap(3),
    ],
    ids=lambda e: repr(e),
)
def test_the_same_object_comes_out(store: Store, exception: BaseException) -> None:
    with pytest.raises(type(exception)) as caught:
        guest(store, raise_it(exception))(store)
    assert caught.value is exception


def test_an_exception_of_a_start_function_comes_out_of_every_way_to_instantiate(
    engine: Engine,
) -> None:
    exception = Custom()
    text = '(import "e" "f" (func $f)) (start $f)'
    module = Module(engine, text)
    ty = FuncType([], [])

    store = Store(engine)
    with pytest.raises(Custom) as caught:
        Instance(store, module, [Func(store, ty, raise_it(exception))])
    assert caught.value is exception

    linker = Linker(engine)
    linker.define_func("e", "f", ty, raise_it(exception))
    for instantiate in (
        lambda: linker.instantiate(store, module),
        lambda: linker.instantiate_pre(module).instantiate(store),
    ):
        with pytest.raises(Custom) as caught:
            instantiate()
        assert caught.value is exception

    program = Module(engine, '(import "e" "f" (func $f)) (func (export "_initialize") (call $f))')
    with pytest.raises(Custom) as caught:
        linker.define_module(store, "m", program)
    assert caught.value is exception


def test_link_errors_of_host_functions_are_not_rewritten(engine: Engine) -> None:
    exception = WasmtimeError("unknown import: nothing of the kind")
    linker = Linker(engine)
    linker.define_func("e", "f", FuncType([], []), raise_it(exception))
    module = Module(engine, '(import "e" "f" (func $f)) (start $f)')
    with pytest.raises(WasmtimeError) as caught:
        linker.instantiate(Store(engine), module)
    assert caught.value is exception


def test_the_backtrace_tells_the_frames_between(store: Store) -> None:
    exception = Custom()
    with pytest.raises(Custom):
        guest(store, raise_it(exception))(store)
    frames = exception.wasm_backtrace  # type: ignore[attr-defined]
    assert [type(frame) for frame in frames] == [Frame, Frame]
    assert [frame.func_name for frame in frames] == ["inner", None]
    assert [frame.module_name for frame in frames] == ["guest", "guest"]
    assert [frame.func_index for frame in frames] == [2, 1]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exceptions have notes since 3.11")
def test_a_note_shows_the_backtrace(store: Store) -> None:
    exception = Custom("oh")
    with pytest.raises(Custom):
        guest(store, raise_it(exception))(store)
    (note,) = exception.__notes__  # type: ignore[attr-defined]
    assert "WebAssembly backtrace" in note
    assert "guest!inner" in note
    assert "guest!inner" in "".join(traceback.format_exception(exception))


def test_an_exit_reads_its_frames_when_it_is_asked_for_them(store: Store) -> None:
    """
    It is no failure, and has no note.
    """
    exit = ExitTrap(3)
    run = guest(store, raise_it(exit))
    with pytest.raises(ExitTrap) as caught:
        guest(store, lambda: run(store))(store)
    assert caught.value is exit
    assert (exit.code, exit.message) == (3, "Exited with i32 exit status 3")
    assert not hasattr(exit, "__notes__")
    store.close()
    # The innermost call saw the frames nearest to where it was raised.
    assert [frame.func_name for frame in exit.frames[:2]] == ["inner", None]


def test_the_python_traceback_reaches_into_the_host_function(store: Store) -> None:
    def failing() -> None:
        raise Custom

    with pytest.raises(Custom) as caught:
        guest(store, failing)(store)
    names = [entry.name for entry in traceback.extract_tb(caught.value.__traceback__)]
    assert names[-1] == "failing"
    assert names.count("failing") == 1


def test_exceptions_of_nested_calls_stay_with_their_calls(store: Store) -> None:
    first, second = Custom("first"), Custom("second")

    def outer() -> None:
        with pytest.raises(Custom) as caught:
            guest(store, raise_it(first))(store)
        assert caught.value is first
        raise second

    with pytest.raises(Custom) as caught:
        guest(store, outer)(store)
    assert caught.value is second
    assert caught.value.__context__ is None


def test_an_exception_goes_through_several_levels_unchanged(store: Store) -> None:
    exception = Custom()
    run = guest(store, raise_it(exception))
    for _ in range(5):
        run = guest(store, lambda run=run: run(store))
    with pytest.raises(Custom) as caught:
        run(store)
    assert caught.value is exception
    # The innermost call saw the frames nearest to where it was raised.
    assert exception.wasm_backtrace[0].func_name == "inner"  # type: ignore[attr-defined]


def test_a_swallowed_exception_is_gone(store: Store) -> None:
    def host() -> None:
        try:
            guest(store, raise_it(Custom()))(store)
        except Custom:
            pass

    assert guest(store, host)(store) is None
    assert guest(store, lambda: None)(store) is None


def test_an_exception_replaced_on_its_way_names_the_first_as_its_context(store: Store) -> None:
    first, second = Custom("first"), LookupError("second")

    def host() -> None:
        try:
            guest(store, raise_it(first))(store)
        except Custom:
            raise second  # noqa: B904 - the context is what is tested

    with pytest.raises(LookupError) as caught:
        guest(store, host)(store)
    assert caught.value is second
    assert second.__context__ is first


def test_a_trap_caught_in_a_host_function_leaves_the_guest_running(store: Store) -> None:
    module = Module(store.engine, '(func (export "f") unreachable)')
    trap = Instance(store, module, []).exports(store)["f"]
    caught = []

    def host() -> None:
        try:
            trap(store)
        except Trap as exception:
            caught.append(exception.trap_code)

    assert guest(store, host)(store) is None
    assert caught == [TrapCode.UNREACHABLE]


def test_a_trap_passes_through_a_host_function(store: Store) -> None:
    module = Module(store.engine, '(func $bottom (export "f") unreachable)')
    trap = Instance(store, module, []).exports(store)["f"]
    with pytest.raises(Trap) as caught:
        guest(store, lambda: trap(store))(store)
    assert caught.value.trap_code is TrapCode.UNREACHABLE
    assert caught.value.frames[0].func_name == "bottom"


def test_exceptions_without_attributes_come_out_too(store: Store) -> None:
    class Slotted(Exception):
        __slots__ = ()

        def __setattr__(self, name: str, value: object) -> None:
            raise AttributeError("nothing can be set")

    exception = Slotted()
    with pytest.raises(Slotted) as caught:
        guest(store, raise_it(exception))(store)
    assert caught.value is exception


def test_exceptions_of_each_store_stay_in_it(engine: Engine) -> None:
    one, other = Store(engine), Store(engine)
    inner = guest(other, raise_it(Custom("other")))

    def host() -> None:
        with pytest.raises(Custom):
            inner(other)

    assert guest(one, host)(one) is None


# ------------------------------------------------------------------------ copies and pickles


def made_by_trap() -> BaseException:
    store = Store()
    text = '(module $m (func $f (export "f") unreachable))'
    f = Instance(store, Module(store.engine, text), []).exports(store)["f"]
    with pytest.raises(Trap) as caught:
        f(store)
    return caught.value


def made_by_exit() -> BaseException:
    engine = Engine()
    linker = Linker(engine)
    linker.define_wasi()
    store = Store(engine)
    store.set_wasi(WasiConfig())
    module = Module(
        engine,
        """(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (func (export "f") (call $exit (i32.const 3)))""",
    )
    f = linker.instantiate(store, module).exports(store)["f"]
    with pytest.raises(ExitTrap) as caught:
        f(store)
    return caught.value


def made_by_compiling() -> BaseException:
    with pytest.raises(WasmtimeError) as caught:
        Module(Engine(), b"\0asm rubbish")
    return caught.value


EXCEPTIONS = {
    "trap of the guest": made_by_trap,
    "exit of the guest": made_by_exit,
    "error of the library": made_by_compiling,
    "Trap": lambda: Trap("x"),
    "WasmtimeError": lambda: WasmtimeError("x"),
    "ExitTrap": lambda: ExitTrap(3),
}


@pytest.mark.parametrize("make", EXCEPTIONS.values(), ids=EXCEPTIONS)
@pytest.mark.parametrize(
    "duplicate",
    [
        copy.copy,
        copy.deepcopy,
        *(
            lambda e, protocol=protocol: pickle.loads(pickle.dumps(e, protocol))
            for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
        ),
    ],
    ids=["copy", "deepcopy", *(f"pickle {n}" for n in range(pickle.HIGHEST_PROTOCOL + 1))],
)
def test_copies_tell_the_same(make: Any, duplicate: Any) -> None:
    original = make()
    original.extra = "kept"
    other = duplicate(original)
    assert type(other) is type(original)
    assert other is not original
    assert str(other) == str(original)
    assert other.message == original.message
    assert other.frames == original.frames
    assert other.trace == original.trace
    assert getattr(other, "code", None) == getattr(original, "code", None)
    assert getattr(other, "trap_code", None) == getattr(original, "trap_code", None)
    assert other.extra == "kept"


@pytest.mark.parametrize("make", EXCEPTIONS.values(), ids=EXCEPTIONS)
def test_closing_keeps_what_they_tell(make: Any) -> None:
    exception = make()
    message, frames = exception.message, exception.frames
    with exception:
        pass
    exception.close()
    assert (exception.message, exception.frames) == (message, frames)


def test_messages_must_be_text() -> None:
    for cls in (Trap, WasmtimeError):
        with pytest.raises(TypeError):
            cls(1)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        ExitTrap("1")  # type: ignore[arg-type]


def test_exit_traps_are_wasmtime_errors() -> None:
    assert issubclass(ExitTrap, WasmtimeError)
    assert not issubclass(Trap, WasmtimeError)
    assert str(ExitTrap(7)) == "Exited with i32 exit status 7"


def test_exceptions_pass_through_functions_with_references(store: Store) -> None:
    exception = Custom()
    ty = FuncType([ValType.EXTERNREF], [ValType.EXTERNREF])
    with pytest.raises(Custom) as caught:
        Func(store, ty, raise_it(exception))(store, "x")
    assert caught.value is exception
