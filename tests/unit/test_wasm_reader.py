"""The reader of WebAssembly binaries.

Whatever the bytes are, there is a result or a clean error, in bounded time and depth.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmtime import Engine, Module, WasmtimeError, wat2wasm
from wasmtime._wasm import decode
from wasmtime._wasm.component import check_modules, uses_async
from wasmtime._wasm.module import parameter_names
from wasmtime._wasm.reader import MalformedBinary, Reader, kind_of
from wasmtime._wasm.sections import functions_of
from wasmtime.component import Component

MODULE = b"\0asm\1\0\0\0"
COMPONENT = b"\0asm\x0d\0\1\0"


def leb128(number: int) -> bytes:
    """An unsigned number, in as many bytes as it needs."""
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])


def section(code: int, contents: bytes) -> bytes:
    return bytes([code]) + leb128(len(contents)) + contents


def nested_components(count: int) -> bytes:
    """A component in a component in a component."""
    binary = COMPONENT
    for _ in range(count):
        binary = COMPONENT + section(4, binary)
    return binary


# --- what a binary is --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("binary", "kind"),
    [
        (bytes(wat2wasm("(module)")), "module"),
        (bytes(wat2wasm("(component)")), "component"),
        (b"\0asm\2\0\0\0", "module"),
        (b"\0asm\x0e\0\1\0", "component"),
        (b"\0asm\1\0\2\0", None),
        (b"\0asm\1\0\0", None),
        (b"\0asm", None),
        (b"(module)", None),
        (b"\x7fELF\1\0\0\0", None),
        (b"", None),
    ],
)
def test_one_answer_to_what_a_binary_is(binary: bytes, kind: object) -> None:
    assert kind_of(binary) == kind


# --- what a module consists of -------------------------------------------------------------------


@pytest.mark.parametrize(
    "imports",
    [
        b"\x02" + b"\1m\1a\0\0" + b"\1m\1b\0\0",
        b"\x01" + b"\1m\0\x7f" + b"\2" + b"\1a\0\0" + b"\1b\0\0",
        b"\x01" + b"\1m\0\x7e\0\0" + b"\2" + b"\1a" + b"\1b",
    ],
    ids=["one by one", "of one module", "of one module and type"],
)
def test_functions_are_counted_from_the_imported_ones_on(imports: bytes) -> None:
    module = MODULE + section(2, imports) + section(10, b"\1" + b"\2\0\x0b")
    assert [body.position for body in functions_of(module)] == [2]


# --- numbers, names, bounds --------------------------------------------------------------------


@given(st.integers(0, 2**70 - 1))
def test_unsigned_numbers(number: int) -> None:
    reader = Reader(leb128(number) + b"rest")
    assert reader.number() == number
    assert reader.rest() == b"rest"


@pytest.mark.parametrize(
    ("encoded", "number"),
    [
        (b"\0", 0),
        (b"\x3f", 63),
        (b"\x40", -64),
        (b"\x7f", -1),
        (b"\xff\0", 127),
        (b"\x80\x7f", -128),
    ],
)
def test_signed_numbers(encoded: bytes, number: int) -> None:
    assert Reader(encoded).signed() == number


@pytest.mark.parametrize("read", [Reader.number, Reader.signed, Reader.name])
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "ends too early"),
        (b"\x80", "ends too early"),
        (b"\x80" * 10 + b"\0", "too long"),
        (b"\x80" * 1_000_000, "too long"),
    ],
)
def test_numbers_that_do_not_end(read: object, data: bytes, reason: str) -> None:
    assert callable(read)
    with pytest.raises(MalformedBinary, match=reason):
        read(Reader(data))


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"\3ab", "ends too early"), (b"\2\xff\xfe", "not valid UTF-8"), (b"\xff\x7fab", "too early")],
)
def test_names_that_are_none(data: bytes, reason: str) -> None:
    with pytest.raises(MalformedBinary, match=reason):
        Reader(data).name()


def test_a_part_is_not_read_beyond_its_end() -> None:
    reader = Reader(b"\1\2\3\4")
    part = reader.part(2)
    assert part.rest() == b"\1\2"
    assert reader.byte() == 3
    for read in (part.peek, part.byte, part.number, lambda: part.skip(1), lambda: part.take(1)):
        with pytest.raises(MalformedBinary, match="ends too early"):
            read()
    with pytest.raises(MalformedBinary, match="ends too early"):
        reader.part(2)


def test_sections() -> None:
    binary = MODULE + section(1, b"one") + section(0, b"") + section(1, b"two")
    found = [(code, part.rest()) for code, part in Reader(binary).sections_of_binary()]
    assert found == [(1, b"one"), (0, b""), (1, b"two")]
    with pytest.raises(MalformedBinary, match="ends too early"):
        list(Reader(binary[:-1]).sections_of_binary())


# --- names of parameters -----------------------------------------------------------------------


def test_names_of_parameters() -> None:
    module = bytes(
        wat2wasm('(module (func (export "f") (param $a i32) (param i32) (param $c i32)) (func $g))')
    )
    assert parameter_names(module) == {"f": {0: "a", 2: "c"}}
    assert parameter_names(MODULE) == {}
    assert parameter_names(module + section(0, b"\4name\2\xff")) == {}


# --- depth and time ----------------------------------------------------------------------------


def test_components_inside_of_each_other() -> None:
    """As many as the library accepts, which is more than Python has frames for."""
    component = Component(Engine(), nested_components(998))
    assert component.imports == {}
    asynchronous = section(8, b"\1\5\0")  # (canon task.cancel)
    binary = nested_components(0) + asynchronous
    for _ in range(5000):
        binary = COMPONENT + section(4, binary)
    assert uses_async(binary)
    assert not uses_async(nested_components(5000))
    check_modules(nested_components(5000))


@pytest.mark.parametrize("form", [b"\x41", b"\x42"], ids=["component", "instance"])
def test_types_inside_of_each_other(form: bytes) -> None:
    depth = 50_000
    types = (form + b"\1\1") * depth + b"\x7f"
    with pytest.raises(WasmtimeError):
        Component(Engine(), COMPONENT + section(7, b"\1" + types))
    # What is odd is found however deep it is: here a table of 64 bits with a wide limit.
    wide = b"\0\x50\1\3\1t\1\x70\5\0\x80\x80\x80\x80\x10"
    types = (form + b"\1\1") * depth + form + b"\1" + wide
    with pytest.raises(WasmtimeError, match="limits of more than 32 bits"):
        check_modules(COMPONENT + section(7, b"\1" + types))


HEADS = [
    b"",
    MODULE,
    MODULE + b"\7\x7f\1\1f\0\0\0\x20\4name\2",
    COMPONENT,
    COMPONENT + b"\x08\x20\1\0",
    COMPONENT + b"\7\x20\1\x41\x10",
    COMPONENT + b"\7\x20\1\x42\x10",
    COMPONENT + b"\4\x7f" + COMPONENT + b"\x08\x10",
]


@given(st.sampled_from(HEADS), st.binary(max_size=64))
def test_any_bytes_give_a_result_or_a_clean_error(head: bytes, data: bytes) -> None:
    binary = head + data
    assert kind_of(binary) in ("module", "component", None)
    assert uses_async(binary) in (True, False)
    assert isinstance(parameter_names(binary), dict)
    try:
        decode.decode(binary)
    except decode.UnsupportedComponent:
        pass


def test_numbers_of_things_that_are_not_there_cost_nothing() -> None:
    """A few bytes promise 2**63 types, imports, options or names."""
    code = f"""
        from wasmtime._wasm import decode
        from wasmtime._wasm.component import check_modules, uses_async
        from wasmtime._wasm.module import check_tables, parameter_names, tables_of_64_bits

        many = b"\\xff" * 9 + b"\\x7f"
        for code in range(12):
            contents = bytes([code, len(many)]) + many
            for read in (check_tables, tables_of_64_bits, parameter_names):
                read({MODULE!r} + contents)
            for read in (check_modules, uses_async):
                read({COMPONENT!r} + contents)
            try:
                decode.decode({COMPONENT!r} + contents)
            except decode.UnsupportedComponent:
                pass
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, timeout=60)


def test_a_function_that_is_lifted_to_another_type() -> None:
    types = section(7, b"\1\x7f")
    lifted = section(8, b"\1\0\0\0\0\0")
    with pytest.raises(decode.UnsupportedComponent, match="not a function's"):
        decode.decode(COMPONENT + types + lifted)


def test_a_module_of_another_version_is_refused_by_the_library() -> None:
    with pytest.raises(WasmtimeError, match="version"):
        Module(Engine(), b"\0asm\2\0\0\0")
