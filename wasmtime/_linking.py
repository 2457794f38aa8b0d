"""Linking for asynchronous calls: native linkers whose Python functions run between two polls.

A Python function is defined in one of two ways in a native linker: so that the library calls it in
the middle of a synchronous call, or so that an asynchronous call runs it on the event loop's stack
(csrc/core/async). A `Linker` has a native linker for each of the two. The second is made when it is
needed, as a clone of the first with the functions defined anew. It is never changed: a change of
the first has another one made, so a call may use it for as long as it likes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ._engine import engine_handle
from ._error import WasmtimeError
from ._native import address_of, check, core, ffi, lib
from ._store import door, engine_of

if TYPE_CHECKING:
    from ._linker import Linker
    from ._module import Module
    from ._store import Storelike

__all__ = ["clone_for_calls", "linker_of_imports"]


def clone_for_calls(linker: Linker, native: Any) -> Any:
    """The second native linker.

    Args:
        linker: The linker.
        native: Its first native linker, which nothing changes meanwhile.

    Returns:
        The Handle of the second.
    """
    clone = lib.wasmtime_linker_clone(native)
    handle = core.Handle("wasmtime_linker_t", address_of(clone), clone)
    lib.wasmtime_linker_allow_shadowing(clone, True)
    if linker._has_own_wasi:
        replaced = [name.decode() for _, name in linker._bound_items]
        core.define_own_wasi(handle, True, replaced)
    for (module, name), (ty, host) in linker._host_functions.items():
        check(
            lib.wasmtime_linker_define_async_func(
                clone,
                module,
                len(module),
                name,
                len(name),
                ty,
                ffi.cast("wasmtime_func_async_callback_t", host.async_callback),
                ffi.cast("void *", host.env),
                ffi.NULL,
            )
        )
    return handle


def linker_of_imports(store: Storelike, module: Module, imports: Sequence[Any]) -> Any:
    """A native linker that has a module's imports by their names.

    The library instantiates from a list of imports in synchronous calls only.

    Args:
        store: The store that the imports live in.
        module: The module.
        imports: What it imports, in its order.

    Returns:
        Its Handle.

    Raises:
        WasmtimeError: Their number is wrong; or the module imports two things by one name, and they
            are not the same.
    """
    types = module.imports
    if len(types) != len(imports):
        raise WasmtimeError(f"expected {len(types)} imports, found {len(imports)}")
    native = lib.wasmtime_linker_new(engine_handle(engine_of(store)).pointer)
    handle = core.Handle("wasmtime_linker_t", address_of(native), native)
    defined: dict[tuple[bytes, bytes], Any] = {}
    raw = ffi.new("wasmtime_extern_t *")
    with door(store) as context:
        for entry, item in zip(types, imports):
            key = (entry.module.encode(), (entry.name or "").encode())
            if key in defined:
                if defined[key] != item:
                    raise WasmtimeError(
                        f"the module imports {entry.module!r} {entry.name!r} twice, and different "
                        "items were given for it, which asynchronous calls cannot be linked with"
                    )
                continue
            lent = core.lower_extern(store, item, address_of(raw))
            check(
                lib.wasmtime_linker_define(
                    native, context, key[0], len(key[0]), key[1], len(key[1]), raw
                )
            )
            defined[key] = item
            del lent
    return handle
