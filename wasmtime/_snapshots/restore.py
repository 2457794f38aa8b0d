"""Giving the state of a snapshot to a new instance."""

from __future__ import annotations

from typing import Union

from .._instance import Instance
from .._memory import Memory
from .._native import core
from .._sharedmemory import SharedMemory
from .._store import Storelike
from .._wasm.layout import Limits
from .instances import Parts
from .rewrite import Prepared
from .state import MemoryState, State

__all__ = ["learn", "restore"]


def restore(prepared: Prepared, state: State, store: Storelike, instance: Instance) -> None:
    """Give a new instance the state of a snapshot.

    Args:
        prepared: What the module was compiled from.
        state: The state; it fits the module (`files` sees to it).
        store: The store of the instance.
        instance: An instance of which no function has run.

    Raises:
        WasmtimeError: The limits of the store do not let it grow as large as the snapshot is.
    """
    parts = Parts(prepared, store, instance)
    for memory, limits, content in zip(parts.memories, prepared.layout.memories, state.memories):
        _fill(memory, limits, content, store)
    for value in state.globals:
        if prepared.layout.globals[value.index].mutable:
            target = parts.global_(value.index)
            core.set_global_bits(store, target, parts.functions, value.kind, value.bits)
    for number, held in enumerate(state.tables):
        # What was added counts as changed. The last comes first: the table is grown with it.
        for index, code in reversed(held.changed):
            table = parts.tables[number]
            core.set_table_reference(store, table, parts.functions, held.size, index, code)
    if state.resume_at is not None:
        parts.named("buffer").set_value(store, state.resume_at)
    for kind, index in state.dropped:
        parts.call(f"{kind}{index}.drop")


def learn(prepared: Prepared, state: State, store: Storelike, instance: Instance) -> None:
    """Look at what a copy has written to, for those that come after it.

    Args:
        prepared: What the module was compiled from.
        state: What the copy began with.
        store: The store of the copy.
        instance: The copy, which has run.
    """
    for memory, content in zip(Parts(prepared, store, instance).memories, state.memories):
        if isinstance(memory, Memory) and content.runs:
            content.image.learn(store, memory)


def _fill(
    memory: Union[Memory, SharedMemory], limits: Limits, content: MemoryState, store: Storelike
) -> None:
    missing = content.size // limits.page_size - limits.minimum
    if isinstance(memory, SharedMemory):
        if missing > 0:
            memory.grow(missing)
        view = memory.view(readonly=False)
        for offset, data in content.runs:
            view[offset : offset + len(data)] = data
        return
    if missing > 0:
        memory.grow(store, missing)
    if content.runs:
        content.image.restore(store, memory)
