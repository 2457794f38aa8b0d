"""Where the C core is handed the classes that it makes instances of."""

from __future__ import annotations

import atexit
from typing import Any, Callable

from ._coroutines import is_coroutine_function
from ._engine import Engine
from ._error import ArgumentTypeError, ExitTrap, WasmtimeError
from ._exception import WasmException
from ._func import Caller, Func
from ._globals import Global
from ._instance import Instance, InstanceExports
from ._link_errors import explain_link_error
from ._memory import Memory
from ._native import core
from ._ref import AnyRef, ArrayRef, ExnRef, ExternRef, StructRef
from ._sharedmemory import SharedMemory
from ._store import Store, StoreContext
from ._table import Table
from ._tag import Tag
from ._trap import InterruptTrap, OutputLimitTrap, TimeoutTrap, Trap, WasiTrap
from ._value import Val


def _check_inherited(store: Store) -> None:
    """Called in a forked child before a store of its parent's that has WASI is first used."""
    from ._wasi.fork import check_inherited

    check_inherited(store)


def _breathe() -> None:
    """Called by what keeps Python's lock for long without running Python code: see ``epoch.c``."""


def _turn(awake: int) -> Any:
    """Called where an asynchronous call lets its event loop do other things."""
    from ._event_loops import turn

    return turn(bool(awake))


def _wake(waiter: Any) -> None:
    """Called where the turn of one that waits has come."""
    from ._event_loops import wake

    wake(waiter)


def _in_thread(function: Callable[[], None], may_block: bool) -> Any:
    """Called where an asynchronous call lets a guest run that may block, or that computes."""
    from ._event_loops import in_thread

    return in_thread(function, may_block)


def _in_scope(iterator: Any, seconds: float) -> Any:
    """Called where a host function is awaited in a program that has imported trio."""
    from ._event_loops import in_scope

    return in_scope(iterator, seconds)


def _tell_soon(store: Store, awaited: Any) -> None:
    """Called where what a host function awaits is to be cancelled."""
    from ._event_loops import tell_soon

    tell_soon(store, awaited)


def _end_later(store: Store, awaited: Any, seconds: float) -> Any:
    """Called where that is to happen when the store's time is up."""
    from ._event_loops import end_later

    return end_later(store, awaited, seconds)


def _wait(seconds: float, descriptors: list[tuple[int, bool]]) -> Any:
    """Called where a guest waits for a moment, or for a descriptor."""
    from ._event_loops import wait

    return wait(seconds, descriptors)


core.setup(
    Engine=Engine,
    Store=Store,
    Caller=Caller,
    StoreContext=StoreContext,
    Func=Func,
    Memory=Memory,
    SharedMemory=SharedMemory,
    Table=Table,
    Global=Global,
    Tag=Tag,
    Instance=Instance,
    InstanceExports=InstanceExports,
    Val=Val,
    AnyRef=AnyRef,
    StructRef=StructRef,
    ArrayRef=ArrayRef,
    ExnRef=ExnRef,
    ExternRef=ExternRef,
    WasmtimeError=WasmtimeError,
    ExitTrap=ExitTrap,
    Trap=Trap,
    TimeoutTrap=TimeoutTrap,
    InterruptTrap=InterruptTrap,
    OutputLimitTrap=OutputLimitTrap,
    WasiTrap=WasiTrap,
    WasmException=WasmException,
    ArgumentTypeError=ArgumentTypeError,
    explain_link_error=explain_link_error,
    check_inherited=_check_inherited,
    is_coroutine_function=is_coroutine_function,
    breathe=_breathe,
    turn=_turn,
    wake=_wake,
    in_thread=_in_thread,
    in_scope=_in_scope,
    tell_soon=_tell_soon,
    end_later=_end_later,
    wait=_wait,
)

# Host callbacks of other threads must not wait for an interpreter that ends.
atexit.register(core.leave)
