"""Every function of the C API is used by the package, or listed with the reason why not."""

from __future__ import annotations

from pathlib import Path

import pytest

import wasmtime
from ci import unbound

HINT = "run `python -m ci.unbound.py --update` and read what it changed"


@pytest.fixture(scope="module")
def functions() -> set[str]:
    return unbound.declared()


@pytest.fixture(scope="module")
def bound(functions: set[str]) -> set[str]:
    return unbound.used(functions, Path(wasmtime.__file__).parent)


@pytest.fixture(scope="module")
def listed() -> dict[str, str]:
    return unbound.read_list(unbound.LIST.read_text(encoding="utf-8"))


def test_every_function_is_used_or_listed(
    functions: set[str], bound: set[str], listed: dict[str, str]
) -> None:
    assert functions - bound - set(listed) == set(), HINT


def test_no_entry_is_stale(functions: set[str], bound: set[str], listed: dict[str, str]) -> None:
    assert set(listed) - functions == set(), HINT
    assert set(listed) & bound == set(), HINT


def test_mentions_do_not_count_as_use() -> None:
    python = '"""Calls lib.wasm_a."""\nx = lib.wasm_b  # not wasm_c\ny = ("wasm_d", "of wasm_e")\n'
    assert {"wasm_b", "wasm_d"} == {
        word for word in unbound.words_of_python(python) if word.startswith("wasm_")
    }
    c = "/* wasm_a */ wasm_b(); // wasm_c\n"
    assert list(unbound.words_of_c(c)) == ["wasm_b"]


def test_the_list_refuses_doubles_and_entries_without_a_reason() -> None:
    with pytest.raises(ValueError, match="wasm_a"):
        unbound.read_list("head\n\n# why\nwasm_a\n\n# because\nwasm_a\n")
    with pytest.raises(ValueError, match="wasm_a"):
        unbound.read_list("head\n\nwasm_a\n")
    reasons = {"wasm_a": "why", "wasm_b": "because"}
    assert unbound.read_list(unbound.write_list(reasons)) == reasons
