"""Where items are defined in a linker of components."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable, Optional

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
        """Take a ``wasmtime_component_linker_instance_t *`` over."""
        self = cls.__new__(cls)
        self._pointer = ffi.gc(pointer, lib.wasmtime_component_linker_instance_delete)
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
        out = ffi.new("wasmtime_component_linker_instance_t **")
        with self._changing() as pointer:
            check(
                lib.wasmtime_component_linker_instance_add_instance(
                    pointer, encoded, len(encoded), out
                )
            )
            path = (*self._path, unversioned(name))
            return LinkerInstance._open(out[0], self._linker, self, path)

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
            check(
                lib.wasmtime_component_linker_instance_add_module(
                    pointer, encoded, len(encoded), handle.pointer
                )
            )
            self._note(name, "module")

    def add_resource(
        self, name: str, ty: ResourceType, dtor: Callable[[StoreContext, int], None]
    ) -> None:
        """Define a type of resources.

        Args:
            name: Its name.
            ty: The type, of `ResourceType.host`.
            dtor: Called as ``dtor(store, rep)`` when a resource is dropped. What it raises arrives
                at the call that dropped the resource.

        Raises:
            WasmtimeError: The name is taken.
            TypeError: An argument is of a wrong type.
            ValueError: This is closed.

        C API: ``wasmtime_component_linker_instance_add_resource``.
        """
        encoded = encode_name(name, "name")
        native = plain(expect(ty, ResourceType, "ty"))._native
        host = core.ComponentHostFunc(dtor)
        self._add(
            (name, "resource"),
            host,
            lambda pointer: lib.wasmtime_component_linker_instance_add_resource(
                pointer,
                encoded,
                len(encoded),
                native,
                ffi.cast("wasmtime_component_resource_destructor_t", host.destructor),
                ffi.cast("void *", host.env),
                ffi.NULL,
            ),
        )

    def add_func(self, name: str, func: Callable[..., Any]) -> None:
        """Define a function.

        Its type is that of the import that it is linked to. Values are mapped as
        `Instance.get_func` maps them; `Linker.define_imports` maps them the newer way.

        Args:
            name: Its name.
            func: Called as ``func(store, *params)``, with a `StoreContext` that can be used until
                it returns. What it raises arrives at the call that ran the component, the same
                object.

        Raises:
            WasmtimeError: The name is taken or not well-formed.
            TypeError: An argument is of a wrong type.
            ValueError: This is closed.

        C API: ``wasmtime_component_linker_instance_add_func``.
        """
        self._define(name, func, False, True)

    def _define(self, name: str, func: Callable[..., Any], tagged: bool, pass_store: bool) -> None:
        encoded = encode_name(name, "name")
        host = core.ComponentHostFunc(func, tagged, pass_store)
        self._add(
            (name, "func"),
            host,
            lambda pointer: lib.wasmtime_component_linker_instance_add_func(
                pointer,
                encoded,
                len(encoded),
                ffi.cast("wasmtime_component_func_callback_t", host.callback),
                ffi.cast("void *", host.env),
                ffi.NULL,
            ),
        )

    def _add(self, note: tuple[str, str], host: Any, add: Callable[[Any], Any]) -> None:
        """Define something through which native code will reach an object of the core.

        Args:
            note: Its name and kind.
            host: What native code will reach.
            add: Defines it in the native linker.
        """
        with self._changing() as pointer:
            with self._linker._keeping(host):
                check(add(pointer))
            self._note(*note)

    def _note(self, name: str, what: str) -> None:
        self._linker._defined[(*self._path, unversioned(name))] = what
