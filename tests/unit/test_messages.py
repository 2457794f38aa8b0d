"""Messages to the host in what a guest prints: lines that begin with a mark."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmtime._native import core

MARK = b"\x01mark\x02"


def _sink(limit: int = -1, policy: int = 0) -> core.OutputSink:
    sink = core.OutputSink(limit, policy)
    sink.set_mark(MARK)
    return sink


#: Output and messages; some of the output begins like a mark.
_output = st.lists(st.sampled_from([b"a", b"\n", MARK[:1], MARK[:3], b"mark\x02"]), max_size=4).map(
    b"".join
)
_message = st.binary(max_size=5).map(lambda text: text.replace(b"\n", b"") + b"\n")
_pieces = st.lists(st.tuples(_output, _message), max_size=5)


@given(_pieces, _output, st.integers(1, 9))
def test_messages_are_taken_out_however_writes_are_cut(
    pieces: list[tuple[bytes, bytes]], last: bytes, size: int
) -> None:
    sink = _sink()
    # Output has no mark, and does not end like the beginning of one.
    pieces = [(output.replace(MARK, b".") + b".", message) for output, message in pieces]
    last = last.replace(MARK, b".")
    written = b"".join(output + MARK + message for output, message in pieces) + last
    for at in range(0, len(written), size):
        assert sink.write(written[at : at + size])
    assert sink.take_messages() == b"".join(message for _, message in pieces)
    assert sink.getvalue() + sink.take_rest() == b"".join(each for each, _ in pieces) + last


def test_a_message_is_there_once_its_line_has_ended() -> None:
    sink = _sink()
    sink.write(b"x" + MARK + b"one\n" + MARK + b"tw")
    assert sink.take_messages() == b"one\n"
    assert sink.take_messages() == b""
    sink.write(b"o\ny")
    assert (sink.take_messages(), sink.take()) == (b"two\n", b"xy")


def test_a_message_that_is_too_long_is_dropped_whenever_others_are_taken() -> None:
    sink = _sink()
    sink.write(MARK + b"one\n" + MARK + b"x" * (17 << 20))
    assert sink.take_messages() == b"one\n"
    sink.write(b"the end of it\noutput" + MARK + b"two\n")
    assert (sink.take_messages(), sink.take()) == (b"two\n", b"output")


def test_the_limit_is_for_output_alone() -> None:
    sink = _sink(4, 1)
    sink.write(b"1234567" + MARK + b"a long message\n89")
    assert (sink.take(), sink.take_messages(), sink.truncated) == (
        b"1234",
        b"a long message\n",
        True,
    )


def test_what_looks_like_a_mark_is_held_back_until_it_is_none() -> None:
    sink = _sink()
    sink.write(b"a" + MARK[:4])
    assert sink.getvalue() == b"a"
    sink.write(b"b")
    assert sink.getvalue() == b"a" + MARK[:4] + b"b"
    sink.write(MARK[:2])
    assert (sink.take_rest(), sink.take_rest()) == (MARK[:2], b"")


@pytest.mark.parametrize("mark", [b"", b"aba"])
def test_marks_that_are_none_are_refused(mark: bytes) -> None:
    with pytest.raises(ValueError, match="first one only once"):
        core.OutputSink().set_mark(mark)


def test_there_is_one_mark() -> None:
    with pytest.raises(ValueError, match="already"):
        _sink().set_mark(MARK)


def test_random_bytes_are_as_many_as_are_asked_for() -> None:
    assert [len(core.random_bytes(size)) for size in (0, 16, 1000)] == [0, 16, 1000]
    assert core.random_bytes(16) != core.random_bytes(16)
    with pytest.raises(ValueError, match="at least 0"):
        core.random_bytes(-1)
