"""The text format, and text accepted wherever binary is."""

from __future__ import annotations

import array
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmtime import Engine, Module, WasmtimeError, wat2wasm
from wasmtime._wat2wasm import to_wasm

EMPTY = b"\0asm\x01\0\0\0"


@pytest.mark.parametrize(
    "wat",
    [
        "(module)",
        b"(module)",
        bytearray(b"(module)"),
        memoryview(b"(module)"),
        memoryview(b"x(xmxoxdxuxlxex)x")[1::2],
        array.array("B", b"(module)"),
        "\ufeff(module)",
        b"\xef\xbb\xbf(module)",
        "(module (; käse 🧀 ;))",
    ],
    ids=lambda text: type(text).__name__,
)
def test_all_kinds_of_text(wat: str) -> None:
    wasm = wat2wasm(wat)
    assert wasm == EMPTY
    assert type(wasm) is bytearray
    assert to_wasm(wat) == EMPTY
    assert type(to_wasm(wat)) is bytes
    Module(Engine(), wasm)


def test_components_are_text_too() -> None:
    assert wat2wasm("(component)")[:8] == b"\0asm\x0d\0\x01\0"


@pytest.mark.parametrize(
    ("wat", "because"),
    [
        ("x", "expected `\\(`"),
        ("", "expected at least one module field"),
        (b"", "expected at least one module field"),
        ("(module", "expected `\\)`"),
        ("(module (func $a) (func $a))", "duplicate func identifier"),
        ("(module)\0", "unexpected character"),
        (b"\xff(module)", "not valid utf-8"),
        (EMPTY, "a binary already"),
        (bytearray(EMPTY), "a binary already"),
    ],
)
def test_errors_have_the_reason(wat: str, because: str) -> None:
    with pytest.raises(WasmtimeError, match=because):
        wat2wasm(wat)


def test_errors_show_the_place() -> None:
    with pytest.raises(WasmtimeError) as raised:
        wat2wasm("(module\n  (func (i32.cons 1)))")
    assert ":2:10" in str(raised.value)
    assert "(func (i32.cons 1)" in str(raised.value)


@pytest.mark.parametrize("wrong", [None, 3, 2.0, ["(module)"], object(), Path("a.wat")])
def test_wrong_types(wrong: str) -> None:
    for translate in (wat2wasm, to_wasm):
        with pytest.raises(TypeError, match=f"not {type(wrong).__name__}"):
            translate(wrong)


def test_a_path_is_not_text() -> None:
    with pytest.raises(TypeError, match="from_file"):
        to_wasm(Path("a.wat"))  # type: ignore[arg-type]


def test_lone_surrogates() -> None:
    with pytest.raises(ValueError, match=r"wat .*surrogate"):
        wat2wasm("(module) ;; \udc00")


@pytest.mark.parametrize(
    "binary", [EMPTY, bytearray(EMPTY), memoryview(EMPTY)], ids=lambda binary: type(binary).__name__
)
def test_binaries_pass(binary: bytes) -> None:
    assert to_wasm(binary) == EMPTY
    assert to_wasm(EMPTY) is EMPTY


@pytest.mark.parametrize("text", [True, False])
def test_nothing_is_left_to_the_compiler(text: bool) -> None:
    assert to_wasm("" if text else b"") == b""
    with pytest.raises(WasmtimeError):
        Module(Engine(), "" if text else b"")


def test_a_text_that_begins_with_nul_is_no_binary() -> None:
    with pytest.raises(WasmtimeError):
        to_wasm("\0asm\1\0\0\0")


def test_compiled_artifacts_are_recognised() -> None:
    engine = Engine()
    artifact = Module(engine, "(module)").serialize()
    with pytest.raises(WasmtimeError, match="deserialize"):
        Module(engine, artifact)


def test_deep_nesting() -> None:
    depth = 100_000
    blocks = f"(module (func {'(block ' * depth}{')' * depth}))"
    assert len(wat2wasm(blocks)) > depth
    with pytest.raises(WasmtimeError):
        wat2wasm("(" * depth)
    with pytest.raises(WasmtimeError):
        wat2wasm("(component (type " + "(list " * depth + "u8" + ")" * depth + "))")


@given(st.text() | st.binary())
def test_anything_is_translated_or_refused(source: str) -> None:
    try:
        assert wat2wasm(source).startswith(b"\0asm")
    except (WasmtimeError, ValueError):
        pass
    try:
        to_wasm(source)
    except (WasmtimeError, ValueError):
        pass


@pytest.mark.parametrize(
    "text",
    [
        '(component (core type (module (type $b (func)) (export "t" (table 1 (ref null $b))))))',
        '(component (import "m" (core module (type $b (func)) (export "t" (table 1 (ref $b))))))',
        '(component (core module (import "m") (type $b (func)) (import "" "" (global (ref $b)))))',
        "(component (core type (module (type $b (func))"
        ' (import "" "" (global (mut (ref (; ) (; $ ;) ;) null ;; )\n $"b" )))))))',
        '(component (type (component (core type (module (import "" "" (table 1 (ref $b))))))))',
    ],
)
def test_named_types_where_the_parser_does_not_know_names(text: str) -> None:
    """
    It would end the process.
    """
    with pytest.raises(WasmtimeError, match="index instead of its name"):
        wat2wasm(text)


@pytest.mark.parametrize(
    "text",
    [
        '(component (core type (module (type $b (func)) (export "t" (table 1 (ref null 0))))))',
        '(component (core type (module (type $b (func)) (import "" "" (func (param (ref $b)))))))',
        '(component (core type (module (type $b (func)) (export "t" (tag (param (ref $b)))))))',
        '(component (core module (type $b (func)) (table (export "t") 1 (ref null $b))))',
        '(component (core module (type $b (func)) (import "" "" (global (ref null $b)))))',
        '(component (core module (type $b (func))) ;; (import "" "" (table (ref $b)\n)',
        '(component (core module (data "(import (core module (table (ref $b")))',
    ],
)
def test_named_types_where_it_does(text: str) -> None:
    assert wat2wasm(text)
