"""Functions, and the caller that a host function can ask for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Callable, Optional, Union

from ._error import expect
from ._lookup import LookupByName
from ._native import address_of, core, ffi, lib
from ._store import BorrowedStore, Store, Storelike, door, engine_of
from ._types import FuncType

if TYPE_CHECKING:
    from ._exportable import AsExtern

__all__ = ["BoundAsyncFunc", "BoundFunc", "Caller", "Func"]

#: A function together with its store, made by `Func.bind`.
BoundFunc = core.BoundFunc

#: The same for asynchronous calls, made by `Func.bind_async`.
BoundAsyncFunc = core.BoundAsyncFunc


class CallSignature:
    """What `inspect.signature` says about calling an object that C code calls.

    Only instances have it: the signature of their class is that of making one.
    """

    def __get__(self, instance: object, owner: type) -> object:
        if instance is None:
            raise AttributeError("__signature__")
        from inspect import signature

        return signature(_call)


def _call(store: Storelike, *params: Any) -> Any:
    """Called as every function here is."""


class Func(core.Func):
    """A function: one that WebAssembly exports, or a Python function made callable for it.

    Call it as ``func(store, *params)``. Parameters are Python objects (or `Val`):

    ========================  ==============================================================
    i32, i64                  int in the range of the signed or the unsigned type
    f32, f64                  float (or int); f32 rounds to the nearest
    v128                      16 bytes, little-endian, or an int
    funcref                   `Func` or None
    externref                 any object; None is null
    anyref and below          `StructRef`, `ArrayRef`, another `AnyRef`, an int for an i31
                              (-2**30 ... 2**31-1), or None
    exnref                    `ExnRef` or None
    ========================  ==============================================================

    The result is None for a function without results, the value for one, a list for several.
    Integers come back signed.

    Two objects for one function are equal and have the same hash, also when their store is gone.
    So it is with all that lives in a store. A function that a second instance imports and exports
    again is another function to the library.

    Args:
        store: The store to make the function in.
        ty: Its type. It can be left out (``Func(store, func)``) where annotations tell it: see
            `Linker.func`.
        func: What to call: it gets one argument for each parameter and returns what the table
            above says. What it raises, BaseException included, arrives at the outer call as the
            same object, with the attribute ``wasm_backtrace``.
        access_caller: Give `func` a `Caller` as its first argument.

    Raises when called:
        WasmtimeError: Too many or too few parameters, the function lives in another store, the
            store is in use by another thread, or this thread's stack is too small.
        TypeError: A parameter does not convert.
        OverflowError: A parameter is out of the range of its type; the message names it.
        ValueError: The store is closed.
        Trap: WebAssembly trapped.
        WasmException: WebAssembly threw an exception and did not catch it.
        ExitTrap: A WASI program exited.

    Example:
        >>> from wasmtime import Func, FuncType, Store, ValType
        >>> store = Store()
        >>> add = Func(store, FuncType([ValType.I32] * 2, [ValType.I32]), lambda a, b: a + b)
        >>> add(store, 5, 3)
        8

    C API: ``wasmtime_func_new_unchecked`` and ``wasmtime_func_call_unchecked``; functions with
    references on their checked forms.
    """

    def __init__(
        self,
        store: Storelike,
        ty: Union[FuncType, Callable[..., Any]],
        func: Optional[Callable[..., Any]] = None,
        access_caller: bool = False,
    ) -> None:
        if func is None and callable(ty):
            from ._annotations import host_signature

            func = ty
            ty, access_caller = host_signature(func, access_caller)
        checked = expect(ty, FuncType, "ty")
        checked._check_engine(engine_of(store))
        native = checked._to_native()
        self._init(store, address_of(native), func, bool(access_caller))

    __signature__ = CallSignature()

    @property
    def _func(self) -> Any:
        """The two fields of the native struct, ``store_id`` and ``__private``.

        Some programs written for the published package tell functions apart by them. ``==`` and
        `hash` do the same.
        """
        store_id, private = self._identity
        return SimpleNamespace(**{"store_id": store_id, "__private": private})

    def _pointer(self) -> Any:
        # By this name in every class, so that cffi refuses another's where it is called as ours.
        return ffi.cast("wasmtime_func_t *", self._address)

    def type(self, store: Storelike) -> FuncType:
        """The function's type.

        Raises:
            WasmtimeError: The function lives in another store, or the store is in use.
            ValueError: The store is closed.
        """
        with door(store, self) as context:
            native = ffi.gc(
                lib.wasmtime_func_type(context, self._pointer()),
                lib.wasm_functype_delete,
            )
        return FuncType._from_native(native, engine_of(store))

    def param_arity(self) -> int:
        """How many parameters the function takes.

        Raises:
            ValueError: The function's store is gone.
        """
        return int(self._arity[0])

    def result_arity(self) -> int:
        """How many results the function has.

        Raises:
            ValueError: The function's store is gone.
        """
        return int(self._arity[1])

    def bind(self, store: Store, release_gil: Optional[bool] = None) -> BoundFunc:
        """The function together with its store, to be called as ``bound(*params)``.

        Args:
            store: The store that the function lives in; the bound function keeps it alive.
            release_gil: Whether other Python threads run during the call. None: if it lasts; a
                short one keeps Python's lock, since giving it away costs as much as the call.
                True: always. False: never, so everything else waits for the call. Calls that are
                not bound do as with None. See docs/threads.md.

        Raises:
            TypeError: `store` is not a Store.
            WasmtimeError: The function lives in another store.

        Example:
            >>> from wasmtime import Func, FuncType, Store, ValType
            >>> store = Store()
            >>> double = Func(store, FuncType([ValType.I32], [ValType.I32]), lambda n: 2 * n)
            >>> double.bind(store)(21)
            42
        """
        return self._bind(store, release_gil)

    def bind_async(self, store: Store) -> BoundAsyncFunc:
        """The function together with its store, to be called as ``await bound(*params)``.

        Args:
            store: The store that the function lives in; the bound function keeps it alive.

        Returns:
            A callable whose calls are those of `call_async`.

        Raises:
            TypeError: `store` is not a Store.
            WasmtimeError: The function lives in another store.

        Example:
            >>> import asyncio
            >>> from wasmtime import Func, FuncType, Store, ValType
            >>> async def double(n):
            ...     return 2 * n
            >>> store = Store()
            >>> func = Func(store, FuncType([ValType.I32], [ValType.I32]), double)
            >>> asyncio.run(func.bind_async(store)(21))
            42
        """
        return self._bind_async(store)

    def __repr__(self) -> str:
        from ._display import func_text

        return func_text(self)


core.inherit_vectorcall(Func)


class Caller(BorrowedStore, LookupByName):
    """The instance that called a host function, and its store.

    A host function made with ``access_caller=True`` gets one as its first argument. It stands
    wherever a store is asked for, and looks exports up in the calling instance; it expires when
    the host function returns, and says so when it is used afterwards. `get_func`, `get_memory` and
    the like look up an export of that kind.

    C API: ``wasmtime_caller_t``.
    """

    def __getitem__(self, name: str) -> AsExtern:
        """The calling instance's export `name`.

        Raises:
            KeyError: There is no such export, no instance called, or the caller has expired.
            TypeError: `name` is not a str.
        """
        item = self.get(name)
        if item is None:
            raise KeyError(f"failed to find export {name}")
        return item

    def get(self, name: str) -> Optional[AsExtern]:
        """As ``caller[name]``, but None instead of a KeyError."""
        item: Optional[AsExtern] = self._export(name)
        return item

    #: The same as `get`.
    get_export = get
