"""A state in a file: what it is of, what it consists of, and a checksum.

The file is a header, a description as JSON, the bytes, and the SHA-256 of it all. Nothing of it is
executed or unpickled, and it has no native code: whoever can write it can give a guest any state,
but can do no more with it than the guest could have done.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Optional

from .._native import core
from .errors import NotCapturable
from .rewrite import Prepared
from .state import GlobalState, MemoryState, State, TableState

__all__ = ["decode", "encode"]

_MAGIC = b"\0wasmtime snapshot 1\n"
_CHECKSUM = 32


def encode(prepared: Prepared, state: State, about: dict[str, Any]) -> bytes:
    """Return the file for a state.

    Args:
        prepared: What the snapshot's module was compiled from.
        state: The state.
        about: What else is to be known of it: anything that JSON has.
    """
    description = {
        "module": prepared.sha256,
        "library": core.library_version,
        "about": about,
        "memories": [
            [memory.size, [[offset, len(data)] for offset, data in memory.runs]]
            for memory in state.memories
        ],
        "globals": [[value.index, value.kind, value.bits.hex()] for value in state.globals],
        "tables": [[table.size, [list(each) for each in table.changed]] for table in state.tables],
        "dropped": [list(segment) for segment in state.dropped],
        "resume_at": state.resume_at,
    }
    head = json.dumps(description, sort_keys=True, separators=(",", ":")).encode()
    data = b"".join(data for memory in state.memories for _, data in memory.runs)
    content = _MAGIC + len(head).to_bytes(8, "little") + head + data
    return content + hashlib.sha256(content).digest()


def decode(content: bytes, prepared: Prepared) -> tuple[State, dict[str, Any]]:
    """Read a file that `encode` made.

    Args:
        content: The file.
        prepared: What the module was compiled from that the state is for.

    Returns:
        The state, and what else was noted with it.

    Raises:
        NotCapturable: It is damaged, or of another module or version of the library.
    """
    description, data = _parse(content)
    for key, ours, what in (
        ("module", prepared.sha256, "module"),
        ("library", core.library_version, "version of the library"),
    ):
        if description.get(key) != ours:
            raise NotCapturable(
                f"the snapshot was taken with another {what}: {description.get(key)!r}, not "
                f"{ours!r}; take it again"
            )
    try:
        state = _state(description, memoryview(data))
        about = dict(description["about"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise _damaged(f"{type(error).__name__}: {error}") from error
    _check(prepared, state)
    return state, about


def _damaged(why: str) -> NotCapturable:
    return NotCapturable(f"the snapshot is damaged ({why}): take it again")


def _parse(content: bytes) -> tuple[dict[str, Any], bytes]:
    if content[: len(_MAGIC)] != _MAGIC:
        raise NotCapturable("this is no snapshot, or one of another version of this package")
    body, checksum = content[:-_CHECKSUM], content[-_CHECKSUM:]
    if hashlib.sha256(body).digest() != checksum:
        raise _damaged("its checksum does not fit")
    start = len(_MAGIC) + 8
    end = start + int.from_bytes(body[len(_MAGIC) : start], "little")
    try:
        description = json.loads(body[start:end])
    except (ValueError, RecursionError) as error:
        raise _damaged(str(error)) from error
    if not isinstance(description, dict):
        raise _damaged("no description")
    return description, body[end:]


def _state(description: dict[str, Any], data: memoryview) -> State:
    at = 0
    memories = []
    for size, runs in description["memories"]:
        kept = []
        for offset, length in runs:
            if length < 0 or length > len(data) - at:
                raise ValueError("it ends too early")
            kept.append((int(offset), bytes(data[at : at + length])))
            at += length
        memories.append(MemoryState(int(size), tuple(kept)))
    return State(
        tuple(memories),
        tuple(
            GlobalState(int(index), int(kind), bytes.fromhex(bits))
            for index, kind, bits in description["globals"]
        ),
        tuple(
            TableState(int(size), tuple((int(index), int(code)) for index, code in changed))
            for size, changed in description["tables"]
        ),
        tuple((str(kind), int(index)) for kind, index in description["dropped"]),
        _optional_int(description["resume_at"]),
    )


def _optional_int(value: Any) -> Optional[int]:
    return None if value is None else int(value)


def _check(prepared: Prepared, state: State) -> None:
    """Refuse a state that does not fit the module, whose file somebody has made by hand."""
    layout = prepared.layout
    fits = (
        len(state.memories) == len(layout.memories)
        and len(state.tables) == len(layout.tables)
        and [value.index for value in state.globals] == list(prepared.globals)
        and all(len(value.bits) == 16 for value in state.globals)
        and all(segment in prepared.segments for segment in state.dropped)
        and all(_is_in_order(memory) for memory in state.memories)
        and all(0 <= i < table.size for table in state.tables for i, _ in table.changed)
        and all(0 <= code < 1 << 64 for table in state.tables for _, code in table.changed)
        and (state.resume_at is None or prepared.suspension is not None)
        and (state.resume_at is None or 0 < state.resume_at < 1 << 32)
    )
    if not fits:
        raise _damaged("it does not fit the module")


def _is_in_order(memory: MemoryState) -> bool:
    end = 0
    for offset, data in memory.runs:
        if offset < end:
            return False
        end = offset + len(data)
    return end <= memory.size
