"""Where items are defined in a linker of components."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable, Optional

from .._coroutines import is_coroutine_function
from .._error import WasmtimeError, expect
from .._module import Module
from .._native import check, core, encode_name, ffi, lib
from .._store import StoreContext
from ._exports import unversioned
from ._resource_type import ResourceType
from ._types import plain

if TYPE_CHECKING:
    from ._linker import Linker

__all__ = ["LinkerInstance"]


def open_root(linker: Any) -> Any:
    """The root of a native linker, which is freed with the pointer."""
    root = lib.wasmtime_component_linker_root(linker)
    return ffi.gc(root, lib.wasmtime_component_linker_instance_delete)


def open_instance(outer: Any, name: bytes) -> Any:
    """Define an instance in a native one; it is freed with the pointer."""
    out = ffi.new("wasmtime_component_linker_instance_t **")
    check(lib.wasmtime_component_linker_instance_add_instance(outer, name, len(name), out))
    return ffi.gc(out[0], lib.wasmtime_component_linker_instance_delete)


class LinkerInstance:
    """Where items are defined in a linker.

    It is the root of the linker, or an instance in it, which stands for an interface. It ends when
    it is closed (or left as a context manager), with everything that was opened in it; using it
    afterwards raises ValueError.
    """

    _pointer: Any = None
    _linker: Any
    _defining: Any
    _handle: Any
    _parent: Any
    _path: tuple[str, ...]
    _child: Optional[weakref.ref[LinkerInstance]] = None

    def __init__(self) -> None:
        raise WasmtimeError("Cannot directly construct a `LinkerInstance`")

    @classmethod
    def _open(
        cls, pointer: Any, linker: Linker, parent: Any, path: tuple[str, ...]
    ) -> LinkerInstance:
        """Stand for a ``wasmtime_component_linker_instance_t *`` that is freed with the pointer."""
        self = cls.__new__(cls)
        self._pointer = pointer
        self._linker = linker
        self._defining = linker._defining
        self._handle = linker._use()
        self._parent = parent
        self._path = path
        parent._child = weakref.ref(self)
        return self

    @property
    def _is_open(self) -> bool:
        return self._pointer is not None

    @property
    def locked(self) -> bool:
        """Whether an instance that was opened in this one is open.

        Nothing can be defined here meanwhile.
        """
        child = self._child() if self._child is not None else None
        return child is not None and child._is_open

    @contextmanager
    def _changing(self) -> Iterator[Any]:
        """The native pointer, while nothing else uses the linker."""
        with self._defining:
            if self._pointer is None:
                raise ValueError("this LinkerInstance is closed: already closed")
            if self.locked:
                raise WasmtimeError(
                    "cannot use linker instance while it's in use by other instances: close the "
                    "one that add_instance() gave, best by a 'with' block"
                )
            with self._linker._turn(changing=True):
                yield self._pointer

    def close(self) -> None:
        """End the definitions here. Using this object afterwards raises ValueError."""
        with self._defining:
            child = self._child() if self._child is not None else None
            if child is not None:
                child.close()
            if self._pointer is not None:
                pointer, self._pointer = self._pointer, None
                ffi.release(pointer)
                self._handle = self._linker = self._parent = None

    def __enter__(self) -> LinkerInstance:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __copy__(self) -> Any:
        raise TypeError("a LinkerInstance cannot be copied")

    def __reduce__(self) -> Any:
        raise TypeError("a LinkerInstance cannot be pickled")

    def add_instance(self, name: str) -> LinkerInstance:
        """Define an instance, whose items are defined in what this returns.

        While that is open, nothing can be defined here: use it in a ``with`` block.

        Args:
            name: Name of the instance, for instance ``example:log/sink@1.0.0``.

        Raises:
            WasmtimeError: The name is taken or not well-formed.
            TypeError: `name` is not a str.
            ValueError: This is closed.

        C API: ``wasmtime_component_linker_instance_add_instance``.
        """
        encoded = encode_name(name, "name")
        with self._changing() as pointer:
            opened = open_instance(pointer, encoded)
            self._repeatable(lambda native: open_instance(native, encoded))
            path = (*self._path, unversioned(name))
            return LinkerInstance._open(opened, self._linker, self, path)

    def add_module(self, name: str, module: Module) -> None:
        """Define a core module.

        Args:
            name: Its name.
            module: The module.

        Raises:
            WasmtimeError: The name is taken, or the module belongs to another engine.
            TypeError: An argument is of a wrong type.
            ValueError: This or the module is closed.

        C API: ``wasmtime_component_linker_instance_add_module``.
        """
        encoded = encode_name(name, "name")
        expect(module, Module, "module")
        with self._changing() as pointer:
            handle = self._linker._handle_of(module, Module, "module")

            def add(native: Any) -> None:
                check(
                    lib.wasmtime_component_linker_instance_add_module(
                        native, encoded, len(encoded), handle.pointer
                    )
                )

            add(pointer)
            self._repeatable(add)
            self._note(name, "module")

    def add_resource(
        self, name: str, ty: ResourceType, dtor: Callable[[StoreContext, int], None]
    ) -> None:
        """Define a type of resources.

        Args:
            name: Its name.
            ty: The type, of `ResourceType.host`.
            dtor: Called as ``dtor(store, rep)`` when a resource is dropped. What it raises arrives
                at the call that dropped the resource. In an asynchronous call it runs before the
                next host function does, or when the call is over.

        Raises:
            WasmtimeError: The name is taken.
            TypeError: An argument is of a wrong type, or `dtor` is a coroutine function:
                destructors cannot wait.
            ValueError: This is closed.

        C API: ``wasmtime_component_linker_instance_add_resource``.
        """
        encoded = encode_name(name, "name")
        native = plain(expect(ty, ResourceType, "ty"))._native
        if is_coroutine_function(dtor):
            raise TypeError(
                f"dtor must not be a coroutine function: a destructor cannot wait ({name!r})"
            )
        host = core.ComponentHostFunc(dtor)

        def add(pointer: Any, destructor: int) -> None:
            check(
                lib.wasmtime_component_linker_instance_add_resource(
                    pointer,
                    encoded,
                    len(encoded),
                    native,
                    ffi.cast("wasmtime_component_resource_destructor_t", destructor),
                    ffi.cast("void *", host.env),
                    ffi.NULL,
                )
            )

        self._add(
            (name, "resource"),
            host,
            lambda pointer: add(pointer, host.destructor),
            lambda pointer: add(pointer, host.later_destructor),
        )

    def add_func(self, name: str, func: Callable[..., Any]) -> None:
        """Define a function.

        Its type is that of the import that it is linked to. Values are mapped as
        `Instance.get_func` maps them; `Linker.define_imports` maps them the newer way.

        Args:
            name: Its name.
            func: Called as ``func(store, *params)``, with a `StoreContext` that can be used until
                it returns. What it raises arrives at the call that ran the component, the same
                object. It may be an ``async def``: the component is instantiated with
                `Linker.instantiate_async` then, and called with `Func.call_async`.

        Raises:
            WasmtimeError: The name is taken or not well-formed.
            TypeError: An argument is of a wrong type.
            ValueError: This is closed.

        C API: ``wasmtime_component_linker_instance_add_func``.
        """
        self._define(name, func, False, True)

    def _define(
        self,
        name: str,
        func: Callable[..., Any],
        tagged: bool,
        pass_store: bool,
        arrays: bool = False,
    ) -> None:
        encoded = encode_name(name, "name")
        host = core.ComponentHostFunc(func, tagged, pass_store, arrays)
        env = ffi.cast("void *", host.env)

        def add(pointer: Any) -> None:
            callback = ffi.cast("wasmtime_component_func_callback_t", host.callback)
            check(
                lib.wasmtime_component_linker_instance_add_func(
                    pointer, encoded, len(encoded), callback, env, ffi.NULL
                )
            )

        def add_async(pointer: Any) -> None:
            callback = ffi.cast("wasmtime_component_func_async_callback_t", host.async_callback)
            check(
                lib.wasmtime_component_linker_instance_add_func_async(
                    pointer, encoded, len(encoded), callback, env, ffi.NULL
                )
            )

        self._add((name, "func"), host, add, add_async)
        if is_coroutine_function(func):
            self._linker._repeatable.coroutines = True

    def _add(
        self,
        note: tuple[str, str],
        host: Any,
        add: Callable[[Any], None],
        add_async: Callable[[Any], None],
    ) -> None:
        """Define something through which native code will reach an object of the core.

        Args:
            note: Its name and kind.
            host: What native code will reach.
            add: Defines it in a native instance.
            add_async: The same for asynchronous calls.
        """
        with self._changing() as pointer:
            with self._linker._keeping(host):
                add(pointer)
            self._repeatable(add_async)
            self._note(*note)

    def _repeatable(self, apply: Callable[[Any], Any]) -> None:
        """Note what has been done here, to be done again for asynchronous calls."""
        self._linker._repeatable.note(len(self._path) + 1, apply)

    def _note(self, name: str, what: str) -> None:
        self._linker._defined[(*self._path, unversioned(name))] = what
