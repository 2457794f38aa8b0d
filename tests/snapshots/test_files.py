"""Files of snapshots: what is wrong with one is found before anything of it is used."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Callable

import pytest

from wasmtime import wat2wasm
from wasmtime._snapshots.errors import NotCapturable
from wasmtime._snapshots.files import decode, encode
from wasmtime._snapshots.rewrite import prepare

from .guests import Guest, original

TEXT = """(module (memory 1) (table 2 funcref) (global $n (mut i32) (i32.const 1))
  (func (export "go") (i32.store (i32.const 0) (i32.const 5)) (global.set $n (i32.const 6))))"""


def _saved() -> tuple[Guest, bytes]:
    guest = original(TEXT)
    guest.call("go")
    assert guest.prepared is not None
    return guest, encode(guest.prepared, guest.capture(), {"kind": "test"})


def _changed(content: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    """A file whose description was changed by somebody who knows how to make a checksum."""
    start = content.index(b"\n") + 1
    size = int.from_bytes(content[start : start + 8], "little")
    description = json.loads(content[start + 8 : start + 8 + size])
    change(description)
    head = json.dumps(description).encode()
    body = content[:start] + len(head).to_bytes(8, "little") + head
    body += content[start + 8 + size : -32]
    return body + hashlib.sha256(body).digest()


def test_a_file_gives_back_what_was_written() -> None:
    guest, content = _saved()
    assert guest.prepared is not None
    assert decode(content, guest.prepared) == (guest.capture(), {"kind": "test"})


def test_every_damaged_byte_is_found() -> None:
    guest, content = _saved()
    assert guest.prepared is not None
    for at in range(0, len(content), 61):
        damaged = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
        with pytest.raises(NotCapturable):
            decode(damaged, guest.prepared)
    for size in (0, 10, 40, len(content) - 1):
        with pytest.raises(NotCapturable):
            decode(content[:size], guest.prepared)


def test_a_file_of_another_module_or_library_is_refused() -> None:
    guest, content = _saved()
    other = prepare(bytes(wat2wasm("(module (memory 1))")))
    with pytest.raises(NotCapturable, match="another module"):
        decode(content, other)
    assert guest.prepared is not None
    with pytest.raises(NotCapturable, match="another version of the library"):
        decode(_changed(content, lambda each: each.update(library="1.0")), guest.prepared)


@pytest.mark.parametrize(
    "change",
    [
        lambda each: each["memories"].clear(),
        lambda each: each["memories"][0].__setitem__(0, 10),
        lambda each: each["memories"][0][1][0].__setitem__(0, -4096),
        lambda each: each["memories"][0][1][0].__setitem__(1, 1 << 60),
        lambda each: each["memories"][0][1].append([0, 0]),
        lambda each: each["globals"].clear(),
        lambda each: each["globals"][0].__setitem__(2, "00"),
        lambda each: each["tables"][0][1].append([2, 0]),
        lambda each: each["tables"][0][1].append([0, -1]),
        lambda each: each["dropped"].append(["data", 0]),
        lambda each: each.update(resume_at=8),
        lambda each: each.update(memories=5),
        lambda each: each.pop("tables"),
    ],
)
def test_a_file_that_was_made_by_hand_is_refused_where_it_does_not_fit(change: Any) -> None:
    guest, content = _saved()
    assert guest.prepared is not None
    with pytest.raises(NotCapturable, match="damaged"):
        decode(_changed(content, change), guest.prepared)


@pytest.mark.parametrize("code", [1 << 32 | 999, 7 << 32, 2 << 32 | 1])
def test_a_reference_that_does_not_exist_is_refused_when_it_is_restored(code: int) -> None:
    guest, content = _saved()
    assert guest.prepared is not None
    made = _changed(content, lambda each: each["tables"][0][1].append([0, code]))
    state, _ = decode(made, guest.prepared)
    with pytest.raises(ValueError, match="unknown form"):
        Guest(guest.module, guest.prepared, state)


def test_a_global_of_another_kind_is_refused_when_it_is_restored() -> None:
    guest, content = _saved()
    assert guest.prepared is not None
    made = _changed(content, lambda each: each["globals"][0].__setitem__(1, 3))
    state, _ = decode(made, guest.prepared)
    with pytest.raises(ValueError, match="not of the global's type"):
        Guest(guest.module, guest.prepared, state)
