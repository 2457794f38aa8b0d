"""
Values through a component and a host function, of every type, and what is refused.
"""

from __future__ import annotations

import array
import asyncio
import enum
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Callable, NamedTuple

import pytest

from wasmtime import Engine, Store, WasmtimeError
from wasmtime.component import Err, Linker, Ok, Record, Variant

from .echo import echo_through_host

Echo = Callable[..., Any]


@pytest.fixture(params=[False, True], ids=["called", "awaited"])
def awaited(request: pytest.FixtureRequest) -> bool:
    """
    Whether the guest is awaited, and its host function waits.
    """
    return bool(request.param)


def caller(store: Store, func: Any, awaited: bool) -> Callable[[Any], Any]:
    """
    Call a function with one argument, in either way.
    """
    if awaited:
        return lambda value: asyncio.run(func.call_async(store, value))
    return lambda value: func(store, value)


def waiting(host: Callable[..., Any]) -> Callable[..., Any]:
    """
    The same as a coroutine function.
    """

    async def wait(*arguments: Any) -> Any:
        await asyncio.sleep(0)
        return host(*arguments)

    return wait


@pytest.fixture
def echo(engine: Engine, store: Store, awaited: bool) -> Echo:
    """
    Make a function that passes a value of a type to a host function and back.
    """

    def make(text: str, host: Callable[[Any], Any] = lambda value: value) -> Any:
        component = echo_through_host(engine, text)
        linker = Linker(engine)

        def x(_store: Any, value: Any) -> Any:
            return host(value)

        with linker.root() as root:
            root.add_func("x", waiting(x) if awaited else x)
        func = linker.instantiate(store, component).get_func(store, "x")
        return caller(store, func, awaited)

    return make


@pytest.fixture
def tagged_echo(engine: Engine, store: Store, awaited: bool) -> Echo:
    """
    As `echo`, in the newer mapping.
    """

    def make(text: str, host: Callable[[Any], Any] = lambda value: value) -> Any:
        component = echo_through_host(engine, text)
        linker = Linker(engine)
        linker.define_imports(component, {"x": waiting(host) if awaited else host})
        func = linker.instantiate(store, component).exports(store).x
        return caller(store, func, awaited)

    return make


class Point(NamedTuple):
    """
    A named tuple as a record.
    """

    x: float
    y: float


@dataclass
class User:
    """
    A dataclass as a record.
    """

    user_name: str
    tags: list[str]


class Colour(enum.Enum):
    """
    An enum as an enum.
    """

    DEEP_BLUE = "deep-blue"


SAME = [
    ("bool", [True, False]),
    ("s8", [-128, 0, 127]),
    ("u8", [0, 255]),
    ("s16", [-(2**15), 2**15 - 1]),
    ("u16", [2**16 - 1]),
    ("s32", [-(2**31), 2**31 - 1]),
    ("u32", [2**32 - 1]),
    ("s64", [-(2**63), 2**63 - 1]),
    ("u64", [2**64 - 1, 2**63, 0]),
    ("f32", [1.5, float("inf"), -0.0]),
    ("f64", [0.1, float("-inf"), 5e-324]),
    ("char", ["a", "é", "\U0001f600", "\0"]),
    ("string", ["", "a", "grüße \U0001f600", "with \0 inside", "x" * 100_000]),
    ("(list u8)", [b"", b"abc", bytes(range(256)) * 100]),
    ("(list bool)", [[], [True, False]]),
    ("(list s8)", [[-128, 127]]),
    ("(list u32)", [[1, 2, 2**32 - 1]]),
    ("(list u64)", [[2**64 - 1]]),
    ("(list f32)", [[0.5]]),
    ("(list f64)", [[0.1] * 1000]),
    ("(list char)", [["a", "b"]]),
    ("(list string)", [["", "a", "bcd" * 50]]),
    ("(list (list (list u16)))", [[[[1], []], []]]),
    ("(tuple u8)", [(1,)]),
    ("(tuple u8 string (tuple bool bool))", [(1, "a", (True, False))]),
    ('(enum "a" "deep-blue")', ["a", "deep-blue"]),
    ('(flags "a" "deep-blue")', [set(), {"a"}, {"a", "deep-blue"}]),
    ("(option string)", [None, "", "a"]),
    ("(result u8 (error string))", [1, "a"]),
    ("(result string (error string))", [Variant("ok", "a"), Variant("err", "a")]),
    ("(result)", [Variant("ok"), Variant("err")]),
    ('(variant (case "a" u8) (case "b" u8) (case "c"))', [Variant("a", 1), Variant("c")]),
    (
        'r = (record (field "d" string)) ; (record (field "a" u8) (field "b-c" (list $r)))',
        [Record(a=1, b_c=[Record(d="x"), Record(d="y")])],
    ),
    ("(flags " + " ".join(f'"f{n}"' for n in range(32)) + ")", [{"f0", "f31"}]),
]


@pytest.mark.parametrize(("text", "values"), SAME, ids=[text[:40] for text, _ in SAME])
def test_a_value_comes_back_as_it_went_in(echo: Echo, text: str, values: list[Any]) -> None:
    func = echo(text)
    for value in values:
        result = func(value)
        assert result == value
        assert type(result) is type(value)
        assert repr(result) == repr(value)


def test_nan_comes_back_as_nan(echo: Echo) -> None:
    for text in ("f32", "f64"):
        result = echo(text)(float("nan"))
        assert result != result


def test_a_float_is_rounded_to_single_precision(echo: Echo) -> None:
    assert echo("f32")(0.1) == pytest.approx(0.1, abs=1e-8)
    assert echo("f32")(0.1) != 0.1


def test_numbers_are_taken_where_floats_are_wanted(echo: Echo) -> None:
    assert echo("f64")(3) == 3.0
    assert echo("(list f64)")([1, 2.5, True + 1]) == [1.0, 2.5, 2.0]


@pytest.mark.parametrize(
    "value",
    [bytearray(b"abc"), memoryview(b"abc"), array.array("B", b"abc"), [97, 98, 99], (97, 98, 99)],
    ids=lambda value: type(value).__name__,
)
def test_bytes_come_from_any_buffer(echo: Echo, value: Any) -> None:
    assert echo("(list u8)")(value) == b"abc"


def test_strided_and_multi_byte_buffers(echo: Echo) -> None:
    assert echo("(list u8)")(memoryview(b"abcdef")[::2]) == b"ace"
    assert echo("(list u8)")(memoryview(b"abcdef")[::-1]) == b"fedcba"
    assert echo("(list s16)")(array.array("q", [-1, 2])) == [-1, 2]
    assert echo("(list u64)")(array.array("Q", [2**64 - 1])) == [2**64 - 1]
    assert echo("(list f32)")(array.array("f", [0.1])) == list(array.array("f", [0.1]))
    assert echo("(list f64)")(array.array("i", [-3])) == [-3.0]
    assert echo("(list string)")(("a", "b")) == ["a", "b"]
    assert echo("(list u32)")(range(4)) == [0, 1, 2, 3]


def test_numpy_arrays(echo: Echo) -> None:
    numpy = pytest.importorskip("numpy")
    func = echo("(list f64)")
    for dtype in ("f8", "f4", "f2", "i8", "u1", ">f8"):
        assert func(numpy.arange(5, dtype=dtype)) == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert echo("(list bool)")(numpy.array([True, False])) == [True, False]
    assert echo("(list (list s32))")(numpy.arange(4).reshape(2, 2)) == [[0, 1], [2, 3]]
    assert echo("u8")(numpy.uint8(3)) == 3
    assert echo("f32")(numpy.float32(0.5)) == 0.5


def test_records_from_objects_dicts_and_named_tuples(echo: Echo) -> None:
    func = echo('(record (field "x" f64) (field "y" f64))')
    expected = Record(x=1.0, y=2.0)
    assert func(Point(1.0, 2.0)) == expected
    assert func({"x": 1, "y": 2}) == expected
    user = echo('(record (field "user-name" string) (field "tags" (list string)))')
    for value in (User("a", ["b"]), {"user-name": "a", "tags": ["b"]}):
        result = user(value)
        assert result.user_name == getattr(result, "user-name") == "a"
        assert result == value
        assert dict(result) == {"user_name": "a", "tags": ["b"]}


def test_a_field_may_be_called_self(echo: Echo) -> None:
    func = echo('(record (field "self" u8))')
    assert func({"self": 1}) == func(Record(self=1)) == Record(self=1)


def test_a_record_equals_what_has_the_same_fields() -> None:
    point = Record(x=1.0, y=2.0)
    same = (Record(y=2.0, x=1.0), Point(1.0, 2.0), {"x": 1.0, "y": 2.0})
    for other in (*same, SimpleNamespace(x=1.0, y=2.0)):
        assert point == other
        assert other == point
        assert Record() != other
        assert Record(x=1.0) != other
        assert Record(x=1.0, y=2.0, z=3.0) != other
    assert Record(user_name="a", tags=[]) == User("a", []) == Record(user_name="a", tags=[])
    assert Record(user_name="a") == {"user-name": "a"}
    assert Record(user_name="a") != User("a", [])
    assert Record() == Record() == {}
    for other in (5, "x", None, object(), [], (), {1: 2}, Variant("x"), Record, int, len):
        assert Record() != other
        assert Record(real=5, tag="x", x=1) != other
    assert Record(real=5) != 5
    assert Record() != 5


def test_an_enum_member_stands_for_its_value(echo: Echo) -> None:
    assert echo('(enum "deep-blue")')(Colour.DEEP_BLUE) == "deep-blue"


def test_results_tell_ok_from_err_in_the_newer_mapping(tagged_echo: Echo) -> None:
    func = tagged_echo("(result u8 (error string))")
    assert func(Ok(1)) == Ok(1)
    assert isinstance(func(Err("a")), Err)
    assert func(Variant("err", "a")).error == "a"
    assert tagged_echo("(result)")(Ok()).unwrap() is None
    with pytest.raises(TypeError, match="expected Variant"):
        func(1)


def test_options_in_the_newer_mapping(tagged_echo: Echo) -> None:
    assert tagged_echo("(option u8)")(None) is None
    assert tagged_echo("(option u8)")(3) == 3
    assert tagged_echo("(option (result))")(Ok()) == Ok()
    nested = tagged_echo("(option (option u8))")
    assert nested(Variant("some")) == Variant("some", None)
    assert nested(Variant("none")) == Variant("none")


def test_variants_in_the_newer_mapping(tagged_echo: Echo) -> None:
    func = tagged_echo('(variant (case "a" u8) (case "b" string))')
    assert func(Variant("b", "x")) == Variant("b", "x")


def test_a_variant_without_tags_takes_what_could_be_meant(echo: Echo) -> None:
    option = echo("(option (list f64))")
    assert option(array.array("d", [1.0])) == [1.0]
    assert option((1, 2)) == [1.0, 2.0]
    record = echo('r = (record (field "x" u8)) ; (option $r)')
    assert record({"x": 1}) == Record(x=1)
    with pytest.raises(ValueError, match="no case takes"):
        record(3)


REFUSED = [
    ("u8", 256, OverflowError, r"x: 256 is not in the range of u8 \(0 \.\.\. 255\)"),
    ("u8", -1, OverflowError, "not in the range"),
    ("u64", 2**64, OverflowError, "not in the range of u64"),
    ("u64", -1, OverflowError, "not in the range of u64"),
    ("s64", 2**63, OverflowError, "not in the range of s64"),
    ("u32", 1.0, TypeError, "x: expected u32, got float"),
    ("u32", "1", TypeError, "x: expected u32, got str"),
    ("u32", None, TypeError, "x: expected u32, got NoneType"),
    ("bool", 1, TypeError, "x: expected bool, got int"),
    ("f64", "1", TypeError, "x: expected f64, got str"),
    ("f64", True, TypeError, "x: expected f64, got bool"),
    ("f32", 10**400, OverflowError, "too large for f32"),
    ("char", "ab", TypeError, "expected char"),
    ("char", "", TypeError, "expected char"),
    ("char", "\ud800", ValueError, "surrogate"),
    ("string", "\ud800", ValueError, "surrogate"),
    ("string", b"a", TypeError, "expected str, got bytes"),
    ("(list u8)", "abc", TypeError, "expected bytes, got str"),
    ("(list u8)", [1, 256], OverflowError, r"x\[1\]: 256"),
    ("(list u32)", b"abc", TypeError, "expected list, got bytes"),
    ("(list u32)", {1}, TypeError, "expected list, got set"),
    ("(list u32)", 5, TypeError, "expected list, got int"),
    ("(list u8)", array.array("h", [1, -1]), OverflowError, r"x\[1\]: -1"),
    ("(list s64)", array.array("Q", [2**63]), OverflowError, r"x\[0\]: 9223372036854775808"),
    ("(list string)", ["a", 2], TypeError, r"x\[1\]: expected str, got int"),
    ("(tuple u8 u8)", (1,), TypeError, "expected a tuple of 2 elements, got 1"),
    ("(tuple u8 u8)", (1, "a"), TypeError, r"x\[1\]: expected u8, got str"),
    ("(tuple u8 u8)", "ab", TypeError, "expected tuple, got str"),
    ('(enum "a")', "b", WasmtimeError, r"'b' is not among the cases \['a'\]"),
    ('(enum "a")', 1, TypeError, "expected str"),
    ('(flags "a")', {"b"}, WasmtimeError, "'b' is not among the flags"),
    ('(flags "a")', {1}, TypeError, "expected set of str"),
    ('(flags "a")', "a", TypeError, "expected set of str, got str"),
    ('(variant (case "a") (case "b"))', "a", TypeError, "expected Variant"),
    ('(variant (case "a") (case "b"))', Variant("c"), ValueError, "'c' is not among"),
    ('(variant (case "a") (case "b"))', Variant("a", 1), TypeError, "has no payload"),
    ('(variant (case "a" u8) (case "b" u8))', Variant("b", "x"), TypeError, r"x\.b: expected u8"),
    ("(result u8 (error u8))", Variant(3, 3), TypeError, "tag"),  # type: ignore[arg-type]
    ('(record (field "a" u8))', {"a": "x"}, TypeError, r"x\.a: expected u8, got str"),
    ('(record (field "a" u8))', {}, TypeError, "lacks the field 'a'"),
    ('(record (field "a" u8))', {"a": 1, "b": 2}, TypeError, "no field 'b'"),
    ('(record (field "a" u8))', object(), AttributeError, "field 'a', got object"),
    (
        'r = (record (field "p-q" (list (tuple u8 f64)))) ; (list $r)',
        [{"p_q": []}, {"p_q": [(1, 1.0), (2, "y")]}],
        TypeError,
        r"x\[1\]\.p_q\[1\]\[1\]: expected f64, got str",
    ),
]


@pytest.mark.parametrize(
    ("text", "value", "error", "message"), REFUSED, ids=lambda one: str(one).partition(" at 0x")[0]
)
def test_a_value_that_does_not_fit_is_named(
    echo: Echo, text: str, value: Any, error: type[Exception], message: str
) -> None:
    func = echo(text)
    with pytest.raises(error, match=message):
        func(value)


@pytest.mark.parametrize(
    ("text", "value", "error", "message"),
    [each for each in REFUSED if each[0] in dict(SAME)],
    ids=str,
)
def test_a_result_of_the_host_that_does_not_fit_is_named(
    echo: Echo, text: str, value: Any, error: type[Exception], message: str
) -> None:
    good = dict(SAME)[text]
    func = echo(text, lambda _: value)
    with pytest.raises(error, match=message.replace("x:", "result:").replace("x\\", "result\\")):
        func(good[0])


def test_what_a_field_raises_comes_through(echo: Echo) -> None:
    class Odd:
        @property
        def a(self) -> int:
            raise KeyError("odd")

    with pytest.raises(KeyError, match="odd"):
        echo('(record (field "a" u8))')(Odd())


def test_a_list_that_changes_while_it_is_read(echo: Echo) -> None:
    values: list[Any] = []

    class Shrinking:
        def __index__(self) -> int:
            values.clear()
            return 7

    values.extend([Shrinking(), 1, 2])
    assert echo("(list u32)")(values) == [7, 1, 2]


def test_strings_that_go_away_while_they_are_read(echo: Echo) -> None:
    values: list[Any] = []

    class Odd:
        @property
        def d(self) -> str:
            values.clear()
            return "last"

    values.extend([{"d": "".join(["a", "b"] * 50)}, Odd()])
    result = echo('r = (record (field "d" string)) ; (list $r)')(values)
    assert [each.d for each in result] == ["ab" * 50, "last"]


def test_many_parameters(engine: Engine, store: Store) -> None:
    from wasmtime.component import Component

    names = [f"p{n}" for n in range(12)]
    params = " ".join(f'(param "{name}" u32)' for name in names)
    body = "(i32.sub (local.get 11) (local.get 0))"
    component = Component(
        engine,
        f"""(component
          (core module $m
            (func (export "f") (param {"i32 " * 12}) (result i32) {body}))
          (core instance $i (instantiate $m))
          (func (export "f") {params} (result u32) (canon lift (core func $i "f"))))""",
    )
    func = Linker(engine).instantiate(store, component).exports(store).f
    assert func(store, *range(12)) == 11
    assert func(store, *range(10), p11=50, p10=3) == 50
    with pytest.raises(TypeError, match="missing argument: 'p11'"):
        func(store, *range(10), p10=1)
    with pytest.raises(TypeError, match="unexpected keyword argument 'q'"):
        func(store, q=1)
    with pytest.raises(TypeError, match="multiple values for argument 'p0'"):
        func(store, 1, p0=1)
    with pytest.raises(
        TypeError, match="wrong number of parameters provided: given 1, expected 12"
    ):
        func(store, 1)
    with pytest.raises(TypeError, match="missing argument: store"):
        func()
