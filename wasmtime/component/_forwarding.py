"""Functions of ours in the place of some of the library's WASI, which call those in their turn.

The library's functions can be called by a component only: a small one, which is instantiated in a
store when its guest first calls one of ours, and compiled for an engine when that first happens.

Not for asynchronous calls: in the middle of one, no component can be called.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Callable

from .._native import check, core, ffi, lib
from .._store import StoreContext
from ._component import Component
from ._linker_instance import open_instance, open_root

if TYPE_CHECKING:
    from .._engine import Engine
    from ._linker import Linker

__all__ = ["NEVER", "Forwarding", "shadow"]

#: More nanoseconds than any wait takes.
NEVER = 2**64 - 1


class Forwarding:
    """A component that forwards.

    Args:
        name: What it is kept by in engines and stores.
        source: Its text, which is compiled in an engine when it is first needed there.
        instances: How many core instances it has, which the limits of a store do not count.
        memories: How many memories, of which the same holds.
        http: Whether it imports HTTP, too.
    """

    def __init__(
        self,
        name: str,
        source: str,
        *,
        instances: int,
        memories: int = 0,
        http: bool = False,
    ) -> None:
        """Keep what it is made of."""
        self._made = instances, memories
        self._name = name
        self._source = source
        self._http = http

    def exports(self, context: StoreContext) -> Any:
        """The functions that forward, in the store that calls."""
        store = context._store
        exports = store.__dict__.get(self._name)
        if exports is None:
            linker, component = self._of(store.engine)
            store._suspend_limits()
            try:
                exports = linker.instantiate(context, component).exports(context)
            finally:
                store._resume_limits(*self._made)
            store.__dict__[self._name] = exports
        return exports

    def _of(self, engine: Engine) -> tuple[Linker, Component]:
        """What is instantiated in the stores of an engine."""
        from ._linker import Linker

        found: Any = engine.__dict__.get(self._name)
        if found is None:
            linker = Linker(engine)
            linker._add_wasip2_of_library()
            if self._http:
                linker._add_wasi_http_of_library()
            found = engine.__dict__[self._name] = (linker, Component(engine, self._source))
        return found  # type: ignore[no-any-return]


def shadow(linker: Linker, interface: str, functions: Mapping[str, Callable[..., Any]]) -> None:
    """Let functions of an interface, which a linker has of the library, be ours.

    Args:
        linker: The linker.
        interface: The interface, with the version that the library defines.
        functions: Ours, by name; each gets the `StoreContext` before the guest's arguments.
    """
    with linker._changing() as native:
        lib.wasmtime_component_linker_allow_shadowing(native, True)
        try:
            # Freed at the end of the block: each is a claim on what it was opened in.
            with open_root(native) as root, open_instance(root, interface.encode()) as instance:
                for name, func in functions.items():
                    _define(linker, instance, name.encode(), func)
        finally:
            lib.wasmtime_component_linker_allow_shadowing(native, linker._shadowing)


def _define(linker: Linker, instance: Any, name: bytes, func: Callable[..., Any]) -> None:
    host = core.ComponentHostFunc(func, True, True)  # as the exports of a forwarding component
    callback = ffi.cast("wasmtime_component_func_callback_t", host.callback)
    env = ffi.cast("void *", host.env)
    with linker._keeping(host):
        check(
            lib.wasmtime_component_linker_instance_add_func(
                instance, name, len(name), callback, env, ffi.NULL
            )
        )
