"""A guest cannot be told from its restored copy, nor from a module that was baked of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wasmtime import Module, wat2wasm
from wasmtime._snapshots.bake import bake
from wasmtime._snapshots.files import decode, encode
from wasmtime._snapshots.rewrite import prepare

from .guests import EVERYTHING, Guest, everything_engine

_bits32 = st.integers(-(2**31), 2**31 - 1)
_bits64 = st.integers(-(2**63), 2**63 - 1)
_place = st.one_of(st.integers(0, 300), st.integers(60_000, 400_000))
_index = st.integers(0, 25)
_short = st.integers(0, 8)

#: What a guest can be asked to do, with what.
_step = st.one_of(
    st.tuples(st.just("store_a"), _place, _bits64),
    st.tuples(st.just("store_b"), _place, _bits64),
    st.tuples(st.just("load_a"), _place),
    st.tuples(st.just("load_b"), _place),
    st.tuples(st.sampled_from(["grow_a", "grow_b"]), st.integers(0, 2)),
    st.tuples(st.just("fill_a"), _place, st.integers(0, 255), st.integers(0, 70_000)),
    st.tuples(st.sampled_from(["init_p", "init_q"]), _place, _short, _short),
    st.tuples(st.sampled_from(["drop_p", "drop_q", "drop_e", "drop_n"])),
    st.tuples(st.just("grow_t"), st.integers(0, 6)),
    st.tuples(st.sampled_from(["set_t", "get_t", "call"]), _index),
    st.tuples(st.sampled_from(["init_e", "init_n"]), _index, st.integers(0, 3), st.integers(0, 3)),
    st.tuples(st.just("set_numbers"), _bits32, _bits64, _bits64),
)
_steps = st.lists(_step, max_size=12)


@pytest.fixture(scope="module")
def made() -> Any:
    prepared = prepare(bytes(wat2wasm(EVERYTHING)))
    return prepared, Module(everything_engine(), prepared.binary)


def _seen(guest: Guest) -> list[Any]:
    """Everything that a guest can tell of itself."""
    told = [guest.call("get_numbers"), guest.call("sizes")]
    told += [guest.call("call", index) for index in range(24)]
    for segment, width in (("init_p", 7), ("init_q", 7), ("init_e", 3), ("init_n", 2)):
        told.append(guest.call(segment, 0, 0, width))
    told += [guest.call("load_a", at) for at in range(0, 400_000, 997)]
    told += [guest.call("load_b", at) for at in range(0, 300_000, 997)]
    return told


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(before=_steps, after=_steps)
@pytest.mark.slow
def test_copies_and_baked_modules_behave_as_the_original(
    made: Any, before: list[Any], after: list[Any]
) -> None:
    prepared, module = made
    guest = Guest(module, prepared)
    for step in before:
        guest.call(*step)
    state = guest.capture()
    assert decode(encode(prepared, state, {}), prepared) == (state, {})
    others = [
        Guest(module, prepared, state),
        Guest(Module(module.engine, bake(prepared, state))),
    ]
    for step in after:
        expected = guest.call(*step)
        assert [other.call(*step) for other in others] == [expected] * len(others)
    expected = _seen(guest)
    assert [_seen(other) for other in others] == [expected] * len(others)
