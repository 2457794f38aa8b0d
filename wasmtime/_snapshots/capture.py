"""Taking the state out of an instance."""

from __future__ import annotations

import sys
from typing import Literal, Optional, Union

from .._instance import Instance
from .._memory import Memory
from .._module import Module
from .._native import core
from .._sharedmemory import SharedMemory
from .._store import Storelike
from .._trap import Trap
from .errors import NotCapturable
from .instances import Parts, make_pristine
from .rewrite import Prepared
from .state import GlobalState, MemoryState, State, TableState, merge_runs

__all__ = ["capture"]

#: What a table holds is told in 8 bytes for each element.
_CODE_SIZE = 8
_BYTE_ORDER: Literal["little", "big"] = sys.byteorder


def capture(prepared: Prepared, module: Module, store: Storelike, instance: Instance) -> State:
    """Return the state of an instance, of which no function runs.

    Args:
        prepared: What the module was compiled from.
        module: The module.
        store: The store of the instance.
        instance: The instance. It stays as it is, and can be used further.

    Raises:
        NotCapturable: It holds a reference that means something in its store alone.
    """
    now = Parts(prepared, store, instance)
    with make_pristine(prepared, module) as new:
        # First what is told by references, since it may be refused.
        tables = tuple(_table(new, now, index) for index in range(len(now.tables)))
        values = tuple(_global(now, index) for index in prepared.globals)
        memories = tuple(_memory(new, now, index) for index in range(len(now.memories)))
        return State(memories, values, tables, _dropped(now), _resume_at(now))


def _memory(new: Parts, now: Parts, index: int) -> MemoryState:
    content = _bytes_of(now.memories[index], now.store)
    base = _bytes_of(new.memories[index], new.store)
    runs = merge_runs(core.memory_differences(content, base))
    view = memoryview(content)
    return MemoryState(len(content), tuple((start, bytes(view[start:end])) for start, end in runs))


def _bytes_of(memory: Union[Memory, SharedMemory], store: Storelike) -> Union[bytes, bytearray]:
    """Return a copy of what is in a memory."""
    if isinstance(memory, SharedMemory):
        return bytes(memory.view())
    return memory.read(store)


def _global(now: Parts, index: int) -> GlobalState:
    try:
        kind, bits = core.global_bits(now.store, now.global_(index), now.functions)
    except ValueError as error:
        raise NotCapturable(f"global {index}: {error}") from error
    return GlobalState(index, kind, bits)


def _table(new: Parts, now: Parts, index: int) -> TableState:
    codes = _codes(now, index)
    base = _codes(new, index)
    changed = []
    for at in range(0, len(codes), _CODE_SIZE):
        code = codes[at : at + _CODE_SIZE]
        if code != base[at : at + _CODE_SIZE]:
            changed.append((at // _CODE_SIZE, int.from_bytes(code, _BYTE_ORDER)))
    return TableState(len(codes) // _CODE_SIZE, tuple(changed))


def _codes(parts: Parts, index: int) -> bytes:
    try:
        return core.table_references(parts.store, parts.tables[index], parts.functions)
    except ValueError as error:
        raise NotCapturable(f"table {index}: {error}") from error


def _dropped(now: Parts) -> tuple[tuple[str, int], ...]:
    return tuple(segment for segment in now.prepared.segments if _is_dropped(now, segment))


def _is_dropped(now: Parts, segment: tuple[str, int]) -> bool:
    kind, index = segment
    try:
        now.call(f"{kind}{index}.probe")
    except Trap:
        return True
    return False


def _resume_at(now: Parts) -> Optional[int]:
    if now.prepared.suspension is None:
        return None
    address: int = now.named("buffer").value(now.store)
    return address or None
