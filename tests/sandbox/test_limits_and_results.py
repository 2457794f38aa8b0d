"""
Limits, reasons and results: plain data that cannot do harm.
"""

from __future__ import annotations

import json
import math
import pickle
from typing import Any

import pytest

from wasmtime.component import Err, Ok, Record, Variant
from wasmtime.sandbox import (
    ExceptionInfo,
    Reason,
    ResourceLimits,
    Result,
    SandboxError,
    TrapInfo,
)
from wasmtime.sandbox.plain import from_plain, to_plain

HOSTILE = "<script>alert(1)</script>\x1b[31m\u202eevil\n"


def test_a_new_user_has_limits_for_everything() -> None:
    limits = ResourceLimits()
    unbounded = [name for name, value in vars(limits).items() if value is None]
    assert unbounded == ["fuel"]
    assert limits.timeout == 10.0
    assert limits.memory == 128 << 20


@pytest.mark.parametrize(
    ("given", "number"),
    [
        (5, 5),
        ("64 MiB", 64 << 20),
        ("2 kB", 2000),
        (None, None),
    ],
)
def test_bytes_can_be_given_as_text(given: Any, number: Any) -> None:
    limits = ResourceLimits(memory=given, output=given)
    assert limits.memory == limits.output == number


@pytest.mark.parametrize("wrong", ["", "MiB", "-1", "1 MiBs", "1e3", "nan", -1, 2**63])
def test_a_size_that_is_none_is_refused_with_its_name(wrong: Any) -> None:
    with pytest.raises(ValueError, match="memory must be"):
        ResourceLimits(memory=wrong)


@pytest.mark.parametrize("wrong", [0, -1, math.nan, math.inf])
def test_a_time_that_is_none_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="timeout must be positive"):
        ResourceLimits(timeout=wrong)


@pytest.mark.parametrize("wrong", [True, "1", b"1"])
def test_a_time_of_another_type_is_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match="timeout"):
        ResourceLimits(timeout=wrong)


def test_other_wrong_limits_are_refused() -> None:
    with pytest.raises(TypeError, match="fuel"):
        ResourceLimits(fuel=1.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="on_output_limit"):
        ResourceLimits(on_output_limit="explode")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="stack"):
        ResourceLimits(stack=1)
    with pytest.raises(TypeError):
        ResourceLimits(mem=1)  # type: ignore[call-arg]


def test_limits_are_plain_data() -> None:
    limits = ResourceLimits(memory="1 MiB")
    assert pickle.loads(pickle.dumps(limits)) == limits
    assert limits.replace(timeout=3) == ResourceLimits(memory=1 << 20, timeout=3)
    with pytest.raises(AttributeError):
        limits.memory = 5  # type: ignore[misc]
    with pytest.raises(TypeError):
        limits.replace(time=3)


def test_reasons_are_their_text() -> None:
    assert str(Reason.OUT_OF_FUEL) == Reason.OUT_OF_FUEL.value == "out-of-fuel"
    assert Reason("out-of-fuel") is Reason.OUT_OF_FUEL
    assert json.dumps(Reason.TIMEOUT) == '"timeout"'
    assert f"{Reason.TIMEOUT}" == "timeout"


def test_a_result_is_plain_data() -> None:
    result = Result(Reason.EXITED, 0, b"out", b"\xff", {"a": [1, 2]}, 0.5, files={"x": b"\x00\xfe"})
    assert pickle.loads(pickle.dumps(result)) == result
    assert hash(result) == hash(pickle.loads(pickle.dumps(result)))
    told = json.loads(json.dumps(result.to_dict()))
    assert told["stdout"] == "out"
    assert told["stderr"] == {"base64": "/w=="}
    assert told["files"] == {"x": {"base64": "AP4="}}
    assert told["value"] == {"a": [1, 2]}
    assert told["ok"] is True
    with pytest.raises(AttributeError):
        result.reason = Reason.TIMEOUT  # type: ignore[misc]


def test_two_results_are_equal_however_long_they_took() -> None:
    assert Result(Reason.EXITED, 0, duration=1.0) == Result(Reason.EXITED, 0, duration=2.0)
    assert Result(Reason.EXITED, 0) != Result(Reason.EXITED, 1)


def test_only_status_0_is_well() -> None:
    assert Result(Reason.EXITED, 0).ok
    assert Result(Reason.EXITED, value=5).ok
    assert not Result(Reason.EXITED, 1).ok
    assert not Result(Reason.TIMEOUT).ok


def test_check_raises_the_result() -> None:
    result = Result(Reason.EXITED, 2, stderr=b"first\nit broke\n")
    with pytest.raises(SandboxError, match="status 2: it broke") as caught:
        result.check()
    assert caught.value.result is result
    assert pickle.loads(pickle.dumps(caught.value)).result == result
    assert Result(Reason.EXITED, 0).check().ok


def hostile_result() -> Result:
    data = HOSTILE.encode()
    return Result(
        Reason.HOST_ERROR,
        None,
        data,
        data,
        HOSTILE,
        files={HOSTILE: b""},
        trap=TrapInfo(None, HOSTILE),
        exception=ExceptionInfo(HOSTILE, HOSTILE),
    )


def test_nothing_that_a_guest_wrote_is_obeyed_where_it_is_shown() -> None:
    result = hostile_result()
    for shown in (repr(result), result.message, str(SandboxError(result))):
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        assert "\n" not in shown
    html = result._repr_html_()
    assert "<script>" not in html
    assert "\x1b" not in html
    assert "\u202e" not in html
    assert "&lt;script&gt;" in html


def test_what_is_shown_is_short_however_much_there_is() -> None:
    result = Result(Reason.EXITED, 1, b"x" * 10**6, b"y" * 10**6, "z" * 10**6)
    assert len(repr(result)) < 3000
    assert len(result.message) < 1000
    assert len(result._repr_html_()) < 50_000


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        -(2**70),
        1.5,
        math.inf,
        "text",
        "\ud800",
        b"\x00\xff",
        (1, (2,)),
        {"a", "b"},
        [1, [2, {"k": "v"}]],
        {1: 2, "$x": 3},
        Record(name="n", tags=[b"x"]),
        Variant("case", 5),
        Ok(None),
        Err("no"),
    ],
)
def test_values_cross_as_json_and_come_back(value: Any) -> None:
    back = from_plain(json.loads(json.dumps(to_plain(value))))
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"$bytes": "not base64!"},
        {"$bytes": 5},
        {"$float": "1.0"},
        {"$float": []},
        {"$pickle": "cos\nsystem"},
        {"$tuple": 5},
        {"$set": [[]]},
        {"$record": {"not a name": 1}},
        {"$variant": [1, 2, 3]},
        {"$variant": [1, 2]},
        {"$dict": [[[], 1]]},
        {"$a": 1, "b": 2},
    ],
)
def test_what_is_no_value_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_plain(wrong)


def test_values_that_nest_too_deep_are_refused_both_ways() -> None:
    deep: Any = []
    for _ in range(500):
        deep = [deep]
    with pytest.raises(ValueError, match="100 levels"):
        to_plain(deep)
    with pytest.raises(ValueError, match="100 levels"):
        from_plain(deep)


def test_what_is_no_plain_data_is_refused() -> None:
    with pytest.raises(TypeError, match="object is not plain data"):
        to_plain([object()])
