"""Looking items up by name and kind, as the class that a type checker can use.

``exports["run"]`` is one of six classes to a type checker. The methods here check the class and
return the item as what it is. The two bases differ in what an item is found by: one name, or a
store and the two parts of a name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from ._native import core, encode_name

if TYPE_CHECKING:
    from ._exportable import AsExtern
    from ._func import Func
    from ._globals import Global
    from ._memory import Memory
    from ._sharedmemory import SharedMemory
    from ._store import Storelike
    from ._table import Table
    from ._tag import Tag

__all__ = ["LookupByName", "LookupInStore", "wrong_kind"]

#: What looks an item up, by the name of its class.
_METHODS = {
    "Func": "get_func",
    "Memory": "get_memory",
    "SharedMemory": "get_shared_memory",
    "Table": "get_table",
    "Global": "get_global",
    "Tag": "get_tag",
    "Exports": "get_instance",  # of a component
}


def wrong_kind(item: object, kind: type, *names: str) -> TypeError:
    """Return the error to raise for an item of another class than the one that was asked for.

    Args:
        item: The item.
        kind: The class.
        names: What it was found by.
    """
    found = type(item).__name__
    way_out = f": {_METHODS[found]}() returns it" if found in _METHODS else ""
    name = " ".join(map(repr, names))
    return TypeError(f"{name} is of the type {found}, not {kind.__name__}{way_out}")


class LookupByName:
    """Base of what finds items by one name. Not public."""

    __slots__ = ()

    if TYPE_CHECKING:

        def __getitem__(self, name: str, /) -> AsExtern: ...

    def get_func(self, name: str) -> Func:
        """Return the function of a name.

        It is the same object as ``[name]`` returns, of a class that type checkers know. All
        methods of this kind raise alike.

        Args:
            name: Name of the export.

        Raises:
            KeyError: There is no such export. A `Caller` whose host call has ended has none.
            TypeError: It is something else than a function. The message says what.
            ValueError: The store is closed.
            WasmtimeError: The store is in use by another thread.

        Example:
            >>> from wasmtime import Instance, Module, Store
            >>> store = Store()
            >>> module = Module(store.engine, '''
            ...     (memory (export "memory") 1)
            ...     (func (export "six") (result i32) (i32.const 6))''')
            >>> exports = Instance(store, module, []).exports(store)
            >>> exports.get_func("six")(store)
            6
            >>> exports.get_func("memory")
            Traceback (most recent call last):
            ...
            TypeError: 'memory' is of the type Memory, not Func: get_memory() returns it

        C API: ``wasmtime_instance_export_get`` and ``wasmtime_caller_export_get``.
        """
        item = self[name]
        if isinstance(item, core.Func):
            return item
        raise wrong_kind(item, core.Func, name)

    def get_memory(self, name: str) -> Memory:
        """Return the memory of a name, as `get_func` does for functions.

        A shared one is a `SharedMemory`.
        """
        item = self[name]
        if isinstance(item, core.Memory):
            return item
        raise wrong_kind(item, core.Memory, name)

    def get_shared_memory(self, name: str) -> SharedMemory:
        """Return the shared memory of a name, as `get_func` does for functions."""
        from ._sharedmemory import SharedMemory

        item = self[name]
        if isinstance(item, SharedMemory):
            return item
        raise wrong_kind(item, SharedMemory, name)

    def get_table(self, name: str) -> Table:
        """Return the table of a name, as `get_func` does for functions."""
        item = self[name]
        if isinstance(item, core.Table):
            return item
        raise wrong_kind(item, core.Table, name)

    def get_global(self, name: str) -> Global:
        """Return the global of a name, as `get_func` does for functions."""
        item = self[name]
        if isinstance(item, core.Global):
            return item
        raise wrong_kind(item, core.Global, name)

    def get_tag(self, name: str) -> Tag:
        """Return the tag of a name, as `get_func` does for functions."""
        item = self[name]
        if isinstance(item, core.Tag):
            return item
        raise wrong_kind(item, core.Tag, name)


class LookupInStore:
    """Base of what finds items by the two parts of a name, for use in a store. Not public."""

    __slots__ = ()

    if TYPE_CHECKING:

        def _lookup(
            self, store: Storelike, module_name: bytes, field: bytes
        ) -> Optional[AsExtern]: ...

    def _find(self, store: Storelike, module: str, name: str) -> AsExtern:
        """Return what is defined by a name.

        Raises:
            KeyError: Nothing is.
        """
        item = self._lookup(store, encode_name(module, "module"), encode_name(name, "name"))
        if item is None:
            raise KeyError(f"item not defined in linker: {module!r} {name!r}")
        return item

    def get_func(self, store: Storelike, module: str, name: str) -> Func:
        """Return the function that is defined by a name.

        All methods of this kind raise alike.

        Args:
            store: The store to use it in.
            module: First part of the name.
            name: Second part of the name.

        Raises:
            KeyError: Nothing is defined by that name.
            TypeError: Something else than a function is; the message says what. Or a part of the
                name is not a str.
            WasmtimeError: What is defined there belongs to another store, the store is of another
                engine, or it is in use by another thread.
            ValueError: The linker or the store is closed.

        Example:
            >>> from wasmtime import Engine, FuncType, Linker, Store, ValType
            >>> linker = Linker(Engine())
            >>> linker.define_func("env", "six", FuncType([], [ValType.I32]), lambda: 6)
            >>> store = Store(linker.engine)
            >>> linker.get_func(store, "env", "six")(store)
            6

        C API: ``wasmtime_linker_get``.
        """
        item = self._find(store, module, name)
        if isinstance(item, core.Func):
            return item
        raise wrong_kind(item, core.Func, module, name)

    def get_memory(self, store: Storelike, module: str, name: str) -> Memory:
        """Return the memory that is defined by a name, as `get_func` does for functions."""
        item = self._find(store, module, name)
        if isinstance(item, core.Memory):
            return item
        raise wrong_kind(item, core.Memory, module, name)

    def get_shared_memory(self, store: Storelike, module: str, name: str) -> SharedMemory:
        """Return the shared memory that is defined by a name, as `get_func` does for functions."""
        from ._sharedmemory import SharedMemory

        item = self._find(store, module, name)
        if isinstance(item, SharedMemory):
            return item
        raise wrong_kind(item, SharedMemory, module, name)

    def get_table(self, store: Storelike, module: str, name: str) -> Table:
        """Return the table that is defined by a name, as `get_func` does for functions."""
        item = self._find(store, module, name)
        if isinstance(item, core.Table):
            return item
        raise wrong_kind(item, core.Table, module, name)

    def get_global(self, store: Storelike, module: str, name: str) -> Global:
        """Return the global that is defined by a name, as `get_func` does for functions."""
        item = self._find(store, module, name)
        if isinstance(item, core.Global):
            return item
        raise wrong_kind(item, core.Global, module, name)

    def get_tag(self, store: Storelike, module: str, name: str) -> Tag:
        """Return the tag that is defined by a name, as `get_func` does for functions."""
        item = self._find(store, module, name)
        if isinstance(item, core.Tag):
            return item
        raise wrong_kind(item, core.Tag, module, name)
