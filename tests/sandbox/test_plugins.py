"""
Plug-ins: calls with values of Python, sessions, protocols, and functions of the host.
"""

from __future__ import annotations

import dataclasses
import pickle
import time
from typing import Any, Protocol

import pytest

from wasmtime import Caller
from wasmtime.component import Err, Ok
from wasmtime.sandbox import (
    CoreABI,
    GuestError,
    Plugin,
    PluginSession,
    Reason,
    ResourceLimits,
    SandboxError,
)

from . import guests

#: Calls a function of the host with a number, and gives back what it returns.
ASK = """
(module (import "env" "ask" (func $ask (param i32) (result i32)))
  (func (export "run") (param i32) (result i32) (call $ask (local.get 0))))
"""
#: Calls a function of the host with the text at 64, and gives back its text.
ASK_TEXT = guests.text_plugin(
    body='(func (export "run") (result i64) (call $ask (i32.const 64) (i32.const 5)))'
    '(func (export "bad") (result i64) (call $ask (i32.const -1) (i32.const 5)))'
    '(data (i32.const 64) "hello")'
).replace("(module", '(module (import "env" "ask" (func $ask (param i32 i32) (result i64)))', 1)


@pytest.mark.parametrize("isolation", guests.TIERS)
def test_a_core_module_is_called_with_numbers(isolation: Any) -> None:
    plugin = Plugin(guests.ADD, isolation=isolation)
    assert plugin.call("add", 5, 3) == 8
    result = plugin.try_call("add", 5, 3)
    assert (result.reason, result.exit_code, result.value, result.ok) == (
        Reason.EXITED,
        None,
        8,
        True,
    )


@pytest.mark.parametrize(
    ("text", "returned"),
    [(ASK, "tea"), (ASK, 2**40), (guests.ASKING, 5)],
    ids=["text", "too large", "no result"],
)
def test_what_a_host_function_returns_must_fit(text: str, returned: Any) -> None:
    plugin = Plugin(text, functions={"ask": lambda n: returned})
    result = plugin.try_call("run", 1)
    assert result.reason is Reason.HOST_ERROR
    # What does not fit the call itself is told apart.
    assert plugin.try_call("run", []).reason is Reason.NOT_STARTED


@pytest.mark.parametrize("isolation", guests.TIERS)
def test_a_component_is_called_by_the_names_of_its_interfaces(isolation: Any) -> None:
    plugin = Plugin(guests.MATH, isolation=isolation)
    for name in ("example:pkg/math@1.0.0#add-up", "math#add-up", "math#add_up"):
        assert plugin.call(name, 1, 2) == 3


@pytest.mark.parametrize("isolation", guests.TIERS)
def test_text_bytes_and_json_pass(isolation: Any) -> None:
    plugin = Plugin(guests.text_plugin(), isolation=isolation)
    for value in ("héllo", b"\0\xff", {"a": [1, None]}, ["x"], "", b""):
        assert plugin.call("same", value) == value
    assert plugin.call("length", "héllo") == 6


@pytest.mark.parametrize(
    "allocator", ["malloc", "allocate", "alloc", "wasm_alloc", "guest_alloc", "host_alloc"]
)
def test_allocators_of_known_names_are_found(allocator: str) -> None:
    assert Plugin(guests.text_plugin(allocator)).call("same", "text") == "text"


def test_another_allocator_is_named() -> None:
    guest = guests.text_plugin("my_own")
    with pytest.raises(SandboxError, match=r"abi=CoreABI\(allocator"):
        Plugin(guest).call("same", "text")
    assert Plugin(guest, abi=CoreABI(allocator="my_own")).call("same", "text") == "text"
    with pytest.raises(SandboxError, match="'same' is no allocator"):
        Plugin(guest, abi=CoreABI(allocator="same")).call("same", "text")


def test_what_the_table_of_conventions_does_not_have_is_refused() -> None:
    plugin = Plugin(guests.text_plugin())
    for args in (("a", "b"), (1,), ()):
        with pytest.raises(SandboxError, match=r"same is .* and cannot be called with"):
            plugin.call("same", *args)
    with pytest.raises(ValueError, match="values must be one of"):
        Plugin(guests.ADD, abi="cstring")  # type: ignore[arg-type]


def test_the_convention_can_be_given() -> None:
    assert Plugin(guests.text_plugin(), abi="bytes").call("same", b"x") == b"x"
    assert Plugin(guests.text_plugin(), abi="json").call("same", 5) == 5
    swapped = guests.text_plugin(
        body='(func (export "hello") (result i64) (i64.const 0x0000000500000040))'
        '(data (i32.const 64) "hello")'
    )
    assert Plugin(swapped, abi=CoreABI("str", packing="length-address")).call("hello") == "hello"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("(i64.const 0xffffffff00000010)", "lie outside of its memory"),
        ("(i64.const 0x0000ffff00ffffff)", "lie outside of its memory"),
    ],
)
def test_a_result_outside_of_the_memory_traps(body: str, told: str) -> None:
    guest = guests.text_plugin(body=f'(func (export "bad") (param i32 i32) (result i64) {body})')
    result = Plugin(guest).try_call("bad", "x")
    assert result.reason is Reason.TRAPPED
    assert result.trap is not None
    assert told in result.trap.message


def test_a_result_has_a_limit() -> None:
    guest = guests.text_plugin()
    result = Plugin(guest, limits=ResourceLimits(value=10)).try_call("same", "x" * 11)
    assert result.reason is Reason.OUTPUT_LIMIT
    assert Plugin(guest, limits=ResourceLimits(value=10)).call("same", "x" * 10) == "x" * 10


def test_text_that_is_none_traps() -> None:
    guest = guests.text_plugin(
        body='(data (i32.const 100) "\\ff") (func (export "bad") (param i32 i32) (result i64)'
        " (i64.const 0x0000006400000001))"
    )
    assert Plugin(guest).try_call("bad", "x").reason is Reason.TRAPPED
    assert Plugin(guest).call("bad", b"x") == b"\xff"


def test_each_call_gets_a_fresh_instance() -> None:
    plugin = Plugin(guests.COUNTER)
    assert [plugin.call("next"), plugin.call("next")] == [1, 1]


def test_a_reactor_is_initialised() -> None:
    plugin = Plugin(
        """(module (global $n (mut i32) (i32.const 0))
          (func (export "_initialize") (global.set $n (i32.const 7)))
          (func (export "get") (result i32) (global.get $n)))"""
    )
    assert plugin.call("get") == 7
    with plugin.open() as session:
        assert session.call("get") == 7


def test_mistakes_of_a_call_are_named() -> None:
    plugin = Plugin(guests.ADD)
    with pytest.raises(SandboxError, match="exports no function 'sub': it has 'add'"):
        plugin.call("sub", 1, 2)
    with pytest.raises(SandboxError, match="cannot be called with"):
        plugin.call("add", 1)
    result = plugin.try_call("add", 1, 2**40)
    assert result.reason is Reason.NOT_STARTED
    assert result.exception is not None
    assert result.exception.type == "OverflowError"
    with pytest.raises(SandboxError) as caught:
        Plugin(guests.MATH).call("math#add-up", "x", 2)
    assert isinstance(caught.value.__cause__, TypeError)


def test_plugins_pickle() -> None:
    assert pickle.loads(pickle.dumps(Plugin(guests.ADD))).call("add", 5, 3) == 8
    assert pickle.loads(pickle.dumps(Plugin(ASK, functions={"ask": abs}))).call("run", -5) == 5


# -- functions of the host


@pytest.mark.parametrize("isolation", guests.TIERS)
@pytest.mark.parametrize("name", ["ask", "env#ask"])
def test_a_core_module_calls_functions_by_their_names(isolation: Any, name: str) -> None:
    plugin = Plugin(ASK, functions={name: lambda n: n * 2}, isolation=isolation)
    assert plugin.call("run", 21) == 42


def test_a_module_of_imports_can_be_a_mapping() -> None:
    assert Plugin(ASK, functions={"env": {"ask": abs}}).call("run", -3) == 3


def test_a_function_that_is_not_imported_is_refused() -> None:
    with pytest.raises(SandboxError, match=r"no import 'tell' .* imports 'env#ask'"):
        Plugin(ASK, functions={"tell": print})
    with pytest.raises(SandboxError, match="no such import"):
        Plugin(guests.ASKING, functions={"tell": print})


def test_a_function_may_want_the_caller() -> None:
    def ask(caller: Caller, number: int) -> int:
        return number + (1 if caller.get("run") is not None else 0)

    assert Plugin(ASK, functions={"ask": ask}).call("run", 1) == 2


@pytest.mark.parametrize("isolation", guests.TIERS)
def test_annotations_say_how_values_pass(isolation: Any) -> None:
    def shout(text: str) -> str:
        return text.upper() + "!"

    plugin = Plugin(ASK_TEXT, abi="str", functions={"ask": shout}, isolation=isolation)
    assert plugin.call("run") == "HELLO!"
    # What the guest gives wrongly is the guest's fault.
    assert plugin.try_call("bad").reason is Reason.TRAPPED


def test_annotations_that_do_not_fit_are_refused() -> None:
    def ask(text: str) -> str:
        return text

    with pytest.raises(SandboxError, match="annotations do not fit"):
        Plugin(ASK, functions={"ask": ask})


@pytest.mark.parametrize("isolation", guests.BOTH_TIERS)
def test_what_a_host_function_raises_is_the_cause(isolation: Any) -> None:
    class MyError(Exception):
        pass

    raised = MyError("no \x1b[31mway")

    def ask(number: int) -> int:
        raise raised

    plugin = Plugin(ASK, functions={"ask": ask}, isolation=isolation)
    with pytest.raises(SandboxError, match=r"MyError: no \\x1b\[31mway") as caught:
        plugin.call("run", 1)
    assert caught.value.__cause__ is raised
    assert caught.value.result.reason is Reason.HOST_ERROR
    assert caught.value.result.exception is not None
    assert caught.value.result.exception.type == "MyError"


def test_keyboard_interrupt_is_nobodys_result() -> None:
    def ask(number: int) -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Plugin(ASK, functions={"ask": ask}).try_call("run", 1)


def test_what_a_function_returns_wrongly_is_the_hosts_error() -> None:
    result = Plugin(ASK, functions={"ask": lambda n: "text"}).try_call("run", 1)
    assert result.reason is Reason.HOST_ERROR or result.reason is Reason.NOT_STARTED


def test_a_guest_that_another_guest_called_is_told_apart() -> None:
    inner = Plugin(guests.COUNTER, limits=ResourceLimits(timeout=0.05))

    def ask(number: int) -> int:
        return int(inner.call("spin") or 0)

    result = Plugin(ASK, functions={"ask": ask}).try_call("run", 1)
    assert result.reason is Reason.HOST_ERROR
    assert result.exception is not None
    assert result.exception.type == "SandboxError"


@pytest.mark.parametrize("isolation", guests.TIERS)
def test_a_component_is_told_what_a_guest_error_says(isolation: Any) -> None:
    def ask(number: int) -> Any:
        if number == 0:
            raise GuestError("not zero")
        if number == 1:
            raise ValueError("secret")
        return Ok()

    plugin = Plugin(guests.ASKING, functions={"ask": ask}, isolation=isolation)
    assert plugin.call("run", 2) == Ok(None)
    assert plugin.call("run", 0) == Err("not zero")
    with pytest.raises(SandboxError) as caught:
        plugin.call("run", 1)
    assert isinstance(caught.value.__cause__, ValueError)


def test_what_cannot_be_called_from_a_worker_is_refused() -> None:
    def ask(caller: Caller, number: int) -> int:
        return number

    with pytest.raises(SandboxError, match="store"):
        Plugin(ASK, functions={"ask": ask}, isolation="process")
    with pytest.raises(SandboxError, match="objects and classes cannot"):
        Plugin(guests.ASKING, functions={"ask": object()}, isolation="process")


# -- sessions


@pytest.mark.parametrize("isolation", guests.BOTH_TIERS)
def test_a_session_keeps_its_instance(isolation: Any) -> None:
    with Plugin(guests.COUNTER, isolation=isolation).open() as session:
        assert isinstance(session, PluginSession)
        assert [session.call("next"), session.call("next")] == [1, 2]
        # A mistake of the caller's has not touched it.
        assert session.try_call("nope").reason is Reason.NOT_STARTED
        assert session.ended is None
        assert session.call("next") == 3
        assert session.try_call("trap").reason is Reason.TRAPPED
        assert session.ended is Reason.TRAPPED
        with pytest.raises(SandboxError, match="the session has ended: trapped"):
            session.call("next")


@pytest.mark.parametrize("isolation", guests.TIERS)
def test_each_call_of_a_session_has_the_whole_time(isolation: Any) -> None:
    limits = ResourceLimits(timeout=0.1)
    with Plugin(guests.COUNTER, limits=limits, isolation=isolation).open() as session:
        for number in (1, 2):
            time.sleep(0.06)
            assert session.call("next") == number
        assert session.try_call("spin").reason is Reason.TIMEOUT
        assert session.ended is Reason.TIMEOUT


def test_a_closed_session_says_so() -> None:
    session = Plugin(guests.COUNTER).open()
    session.close()
    session.close()
    assert session.ended is Reason.EXITED
    assert session.try_call("next").reason is Reason.NOT_STARTED


# -- protocols


class Math(Protocol):
    def add_up(self, a: int, b: int = 5) -> int:
        """Add."""
        ...


class Same(Protocol):
    def same(self, value: str) -> str: ...


@dataclasses.dataclass
class Item:
    name: str
    tags: list[str]


class SameItem(Protocol):
    def same(self, value: Item) -> Item: ...


@pytest.mark.parametrize("isolation", guests.TIERS)
def test_a_protocol_is_bound(isolation: Any) -> None:
    bound = Plugin(guests.MATH, isolation=isolation).bind(Math)
    assert bound.add_up(1) == 6
    assert bound.add_up(a=1, b=2) == 3
    assert type(bound).add_up.__doc__ == "Add."
    with pytest.raises(TypeError):
        bound.add_up()  # type: ignore[call-arg]


def test_annotations_of_a_protocol_say_how_values_pass() -> None:
    plugin = Plugin(guests.text_plugin())
    assert plugin.bind(Same).same("é") == "é"
    item = Item("tea", ["hot"])
    assert plugin.bind(SameItem).same(item) == item
    with plugin.open() as session:
        assert session.bind(Same).same("x") == "x"


def test_all_that_does_not_fit_a_protocol_is_named_at_once() -> None:
    class Wrong(Protocol):
        def add(self, a: int, b: str) -> int: ...
        def gone(self) -> None: ...

    with pytest.raises(SandboxError) as caught:
        Plugin(guests.ADD).bind(Wrong)
    told = str(caught.value)
    assert "add: it passes 3 values, and the guest takes 2" in told
    assert "gone: there is no such function, only add" in told
    with pytest.raises(TypeError, match="no methods"):
        Plugin(guests.ADD).bind(object)


def test_more_sessions_than_the_pool_has_room_for_work() -> None:
    from wasmtime.sandbox.engines import POOL_SIZE

    plugin = Plugin('(module (memory (export "memory") 1) (func (export "f")))')
    sessions = [plugin.open() for _ in range(POOL_SIZE + 5)]
    try:
        assert all(session.try_call("f").ok for session in sessions)
        assert plugin.try_call("f").ok
    finally:
        for session in sessions:
            session.close()


def test_code_that_the_pool_does_not_fit_works_without() -> None:
    tables = "(table 10 funcref)" * 10
    assert Plugin(f'(module {tables} (memory 2) (func (export "f")))').try_call("f").ok
