"""
Traps: codes, messages, frames.
"""

from __future__ import annotations

from typing import Any

import pytest

from wasmtime import Frame, Func, FuncType, Instance, Module, Store, Trap, TrapCode

CASES = [
    ("unreachable", TrapCode.UNREACHABLE, "wasm `unreachable` instruction executed"),
    (
        "(drop (i32.div_s (i32.const 1) (i32.const 0)))",
        TrapCode.INTEGER_DIVISION_BY_ZERO,
        "integer divide by zero",
    ),
    (
        "(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))",
        TrapCode.INTEGER_OVERFLOW,
        "integer overflow",
    ),
    (
        "(drop (i32.trunc_f32_s (f32.const nan)))",
        TrapCode.BAD_CONVERSION_TO_INTEGER,
        "invalid conversion to integer",
    ),
    (
        "(drop (i32.load (i32.const 65536)))",
        TrapCode.MEMORY_OUT_OF_BOUNDS,
        "out of bounds memory access",
    ),
    (
        "(drop (table.get 0 (i32.const 9)))",
        TrapCode.TABLE_OUT_OF_BOUNDS,
        "table access",
    ),
    ("(call_indirect (i32.const 0))", TrapCode.INDIRECT_CALL_TO_NULL, "uninitialized element"),
    (
        "(call_indirect (param i32) (i32.const 0) (i32.const 1))",
        TrapCode.BAD_SIGNATURE,
        "indirect call type mismatch",
    ),
    ("(call $f)", TrapCode.STACK_OVERFLOW, "call stack exhausted"),
]


@pytest.mark.parametrize(("body", "code", "words"), CASES, ids=lambda c: getattr(c, "name", ""))
def test_codes_and_messages(
    store: Store, exports_of: Any, body: str, code: TrapCode, words: str
) -> None:
    f = exports_of(
        f"""
        (memory 1) (table 2 funcref) (elem (i32.const 1) $f)
        (func $f (export "f") {body})
        """
    )["f"]
    with pytest.raises(Trap, match=words) as caught:
        f(store)
    trap = caught.value
    assert trap.trap_code is code
    assert trap.code is code
    assert words in trap.message
    assert str(trap) == trap.message


def test_frames_name_what_was_running(store: Store) -> None:
    module = Module(
        store.engine,
        """
        (module $guest
            (func (export "f") (call $outer))
            (func $outer (call $inner))
            (func $inner nop unreachable))
        """,
    )
    f = Instance(store, module, []).exports(store)["f"]
    with pytest.raises(Trap) as caught:
        f(store)  # type: ignore[operator]
    frames = caught.value.frames
    assert [frame.func_name for frame in frames] == ["inner", "outer", None]
    assert [frame.func_index for frame in frames] == [2, 1, 0]
    assert [frame.module_name for frame in frames] == ["guest"] * 3
    for frame in frames:
        assert isinstance(frame, Frame)
        assert frame.module_offset > frame.func_offset >= 0
    assert caught.value.trace == [str(frame) for frame in frames]
    assert "guest!inner" in caught.value.trace[0]
    for line in caught.value.trace:
        assert line in caught.value.message


def test_frames_without_names(store: Store, exports_of: Any) -> None:
    with pytest.raises(Trap) as caught:
        exports_of('(func (export "f") unreachable)')["f"](store)
    (frame,) = caught.value.frames
    assert frame.func_name is None
    assert frame.module_name is None
    assert frame.func_index == 0


def test_frames_reach_through_host_functions(store: Store, exports_of: Any) -> None:
    bottom = exports_of('(func $bottom (export "f") unreachable)')["f"]
    host = Func(store, FuncType([], []), lambda: bottom(store))
    top = exports_of('(import "" "" (func $h)) (func $top (export "f") (call $h))', host)["f"]
    with pytest.raises(Trap) as caught:
        top(store)
    assert caught.value.frames[0].func_name == "bottom"


def test_traps_made_in_python() -> None:
    trap = Trap("my words")
    assert trap.message == str(trap) == "my words"
    assert trap.frames == []
    assert trap.trace == []
    assert trap.trap_code is None
    assert repr(trap) == "Trap('my words')"
    assert trap.args == ("my words",)


def test_the_lists_are_copies() -> None:
    trap = Trap("x")
    trap.frames.append(None)  # type: ignore[arg-type]
    assert trap.frames == []


def test_deep_recursion_of_the_guest_is_a_trap_again_and_again(
    store: Store, exports_of: Any
) -> None:
    f = exports_of('(func $f (export "f") (call $f))')["f"]
    for _ in range(5):
        with pytest.raises(Trap, match="call stack exhausted"):
            f(store)
