"""Giving the state of a snapshot to a new instance, or to one that has had it already."""

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

__all__ = ["learn", "renew", "restore"]


def restore(prepared: Prepared, state: State, store: Storelike, instance: Instance) -> bool:
    """Give a new instance the state of a snapshot.

    Args:
        prepared: What the module was compiled from.
        state: The state; it fits the module (`files` sees to it).
        store: The store of the instance.
        instance: An instance of which no function has run.

    Returns:
        Whether `renew` may be able to give it the same state once more.

    Raises:
        WasmtimeError: The limits of the store do not let it grow as large as the snapshot is.
    """
    parts = Parts(prepared, store, instance)
    is_mapped = True
    for memory, limits, content in zip(parts.memories, prepared.layout.memories, state.memories):
        is_mapped = _fill(memory, limits, content, store) and is_mapped
    _set_globals(parts, state)
    for number, held in enumerate(state.tables):
        # What was added counts as changed. The last comes first: the table is grown with it.
        for index, code in reversed(held.changed):
            table = parts.tables[number]
            core.set_table_reference(store, table, parts.functions, held.size, index, code)
    for kind, index in state.dropped:
        parts.call(f"{kind}{index}.drop")
    return is_mapped and prepared.only_memory_changes


def renew(prepared: Prepared, state: State, store: Storelike, instance: Instance) -> bool:
    """Give an instance the state of a snapshot that it began with, as if it had not run.

    It is cheaper than a new instance: what the system would take from one and give to the other
    stays where it is. There is nothing else in an instance that could have changed: its tables stay
    as they are made, and segments that it could drop it has not.

    Args:
        prepared: What the module was compiled from.
        state: What the instance began with.
        store: The store of the instance.
        instance: The instance, for which `restore` returned True. No function of it runs.

    Returns:
        Whether it has that state now; it must not be used any more if not.
    """
    parts = Parts(prepared, store, instance)
    for memory, content in zip(parts.memories, state.memories):
        assert isinstance(memory, Memory)
        # A memory that has grown cannot shrink.
        if memory.data_len(store) != content.size or not content.image.renew(store, memory):
            return False
    _set_globals(parts, state)
    return True


def _set_globals(parts: Parts, state: State) -> None:
    store = parts.store
    for value in state.globals:
        if parts.prepared.layout.globals[value.index].mutable:
            target = parts.global_(value.index)
            core.set_global_bits(store, target, parts.functions, value.kind, value.bits)
    if parts.prepared.suspension is not None:
        parts.named("armed").set_value(store, 0)
        parts.named("buffer").set_value(store, state.resume_at or 0)


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
) -> bool:
    """Let a memory have its content; tell whether all of that was mapped."""
    missing = content.size // limits.page_size - limits.minimum
    if isinstance(memory, SharedMemory):
        if missing > 0:
            memory.grow(missing)
        view = memory.view(readonly=False)
        for offset, data in content.runs:
            view[offset : offset + len(data)] = data
        return False
    if missing > 0:
        memory.grow(store, missing)
    return bool(content.runs) and content.image.restore(store, memory)
