"""
WASI preview 1 by the package's own functions and by the library's: the same, whatever a guest does.
"""

from __future__ import annotations

import struct
import tempfile
from pathlib import Path
from typing import Any

import wasi_calls as calls
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wasi_calls import Guest

from wasmtime import Config, Engine, Trap, WasiConfig, WasmtimeError

_ENGINES = (Engine(), Engine(Config(library_wasi=True)))

MEMORY = 4 << 16
#: Addresses and sizes where something may go wrong, and some where nothing does.
_NUMBERS = st.one_of(
    st.sampled_from([0, 1, 2, 3, 4, 8, 12, 16, 64, 1024, calls.DATA]),
    st.sampled_from([MEMORY - 8, MEMORY - 4, MEMORY - 1, MEMORY, MEMORY + 1, 2**31, 2**32 - 1]),
)
_DESCRIPTORS = st.integers(0, 7)
_BUFFERS = st.lists(st.tuples(_NUMBERS, st.sampled_from([0, 0, 1, 5, 4096, 2**31])), max_size=3)


def _writes_and_reads(name: str) -> Any:
    return st.tuples(
        st.just(name),
        _DESCRIPTORS,
        _BUFFERS,
        st.one_of(st.just(calls.IOV), _NUMBERS),
        st.one_of(st.just(calls.RESULT), _NUMBERS),
    )


def _clocks(span: int) -> Any:
    return st.builds(
        lambda userdata, which, flags: struct.pack(
            "<QB7xI4xQQH6x", userdata, calls.CLOCK, which, span, 0, flags
        ),
        st.integers(0, 2**64 - 1),
        st.integers(0, 4),
        st.sampled_from([0, 0, 0, 2]),
    )


#: Moments that have come, or descriptors beside moments that will not: which of two that come at
#: once is seen is a matter of chance.
_SUBSCRIPTIONS = st.one_of(
    st.lists(_clocks(0), max_size=3),
    st.builds(
        lambda first, others: [first, *others],
        st.builds(calls.descriptor, st.integers(0, 9), st.integers(1, 3), _DESCRIPTORS),
        st.lists(
            st.one_of(
                _clocks(60 * 10**9),
                st.builds(calls.descriptor, st.integers(0, 9), st.integers(1, 3), _DESCRIPTORS),
            ),
            max_size=2,
        ),
    ),
)

_OPERATION = st.one_of(
    _writes_and_reads("fd_write"),
    _writes_and_reads("fd_read"),
    st.tuples(st.just("fd_close"), _DESCRIPTORS),
    st.tuples(st.just("fd_renumber"), _DESCRIPTORS, _DESCRIPTORS),
    st.tuples(st.just("fd_fdstat_get"), _DESCRIPTORS, st.just(calls.DATA)),
    st.tuples(st.just("open"), st.sampled_from(["a", "b", "c"])),
    st.tuples(st.just("put"), _DESCRIPTORS, st.binary(max_size=6)),
    st.tuples(st.just("get"), _DESCRIPTORS, st.integers(1, 6)),
    st.tuples(st.just("clock_res_get"), st.integers(0, 5), _NUMBERS),
    st.tuples(st.just("random_get"), st.sampled_from([MEMORY - 1, MEMORY, 2**31]), st.just(2)),
    st.tuples(st.just("poll_oneoff"), _SUBSCRIPTIONS, _NUMBERS),
    st.tuples(st.just("sched_yield")),
)


def _do(guest: Guest, operation: Any) -> Any:
    """
    What a guest sees of one operation.
    """
    name, *rest = operation
    if name == "open":
        return guest.open(rest[0])
    if name == "put":
        return guest.write(*rest)
    if name == "get":
        return guest.read(*rest)
    if name in ("fd_write", "fd_read"):
        number, buffers, array, result = rest
        data = b"".join(struct.pack("<II", *buffer) for buffer in buffers)
        if array <= MEMORY - len(data):
            guest.poke(array, data)
        return guest.call(name, number, _signed(array), len(buffers), _signed(result))
    if name == "poll_oneoff":
        subscriptions, result = rest
        guest.poke(calls.SUBSCRIPTIONS, b"".join(subscriptions))
        return guest.call(
            name, calls.SUBSCRIPTIONS, calls.EVENTS, len(subscriptions), _signed(result)
        )
    return guest.call(name, *map(_signed, rest))


def _signed(number: int) -> int:
    return number - 2**32 if number >= 2**31 else number


def _story(engine: Engine, operations: list[Any]) -> list[Any]:
    """
    All that can be seen of a guest that does some operations.
    """
    with tempfile.TemporaryDirectory() as directory:
        for name in ("a", "b"):
            (Path(directory) / name).write_bytes(name.encode() * 5)
        wasi = WasiConfig()
        wasi.preopen_dir(directory, "/")
        wasi.stdin_bytes = b"standard input"
        out, err = wasi.capture_stdout(), wasi.capture_stderr()
        guest = Guest(engine, wasi)
        story: list[Any] = []
        for operation in operations:
            try:
                story.append(_do(guest, operation))
            except (Trap, WasmtimeError):
                story.append("ended")
            except AssertionError as refused:
                story.append(str(refused))
            story.append(guest.peek(0, 16384))
        story += [out.getvalue(), err.getvalue()]
        story += [(path.name, path.read_bytes()) for path in sorted(Path(directory).iterdir())]
        guest.store.close()
    return story


def _reads_nothing_of_input(operation: Any) -> bool:
    """
    Whether this asks for no bytes at all, which the library calls interrupted if any are left.
    """
    return operation[0] == "fd_read" and not any(length for _, length in operation[2])


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
@given(
    st.lists(
        _OPERATION.filter(lambda operation: not _reads_nothing_of_input(operation)), max_size=12
    )
)
def test_a_guest_sees_the_same(operations: list[Any]) -> None:
    own, library = (_story(engine, operations) for engine in _ENGINES)
    for index, (ours, its) in enumerate(zip(own, library)):
        assert ours == its, operations[index // 2] if index // 2 < len(operations) else "the end"


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("fd_close"), _DESCRIPTORS),
            st.tuples(st.just("fd_renumber"), _DESCRIPTORS, _DESCRIPTORS),
            st.tuples(st.just("open"), st.sampled_from(["a", "b", "c"])),
            st.tuples(st.just("put"), _DESCRIPTORS, st.binary(min_size=1, max_size=3)),
        ),
        max_size=30,
    )
)
def test_descriptors_lead_to_the_same(operations: list[Any]) -> None:
    """
    Closing, renumbering and opening in any order: the two tables never disagree.
    """
    own, library = (_story(engine, operations) for engine in _ENGINES)
    assert own == library
