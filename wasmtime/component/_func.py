"""Functions that a component exports."""

from __future__ import annotations

from typing import Any, Optional

from .._error import WasmtimeError
from .._func import CallSignature
from .._native import core, ffi, lib
from .._store import Storelike, door
from ._types import FuncType
from ._types.native import TypeReader

__all__ = ["Func"]


class Func(core.ComponentFunc):
    """A function that a component exports: call it as ``func(store, *params)``.

    Parameters may be given by name too, in snake_case. What Python values the types take and give
    is told by the classes of `wasmtime.component` that stand for types.

    A call raises:

    - TypeError, ValueError, OverflowError or AttributeError for a value that does not fit its
      type; the message names the place, as in ``points[3].x: expected f64, got str``;
    - WasmtimeError if the function belongs to another store, or the store is in use by another
      thread;
    - ComponentTrap, which is a `Trap`, if the code traps or has trapped before;
    - whatever a host function below raised, the same object;
    - UnsupportedTypeError if the C API has no form for a type of the function;
    - ValueError if the store is closed.

    `call_async` calls it from an event loop, which does other work while a host function waits. In
    a store with asynchronous calls, a synchronous call runs until it is done, and raises
    WasmtimeError where a coroutine function has to wait.

    C API: ``wasmtime_component_func_call`` and ``wasmtime_component_func_call_async``.
    """

    __signature__ = CallSignature()

    def __init__(self) -> None:
        raise WasmtimeError("Cannot directly construct a `Func`")

    def type(self, store: Storelike) -> FuncType:
        """The type of the function.

        Args:
            store: The store that it lives in.

        Raises:
            WasmtimeError: It lives in another store.
            ValueError: The store is closed.

        C API: ``wasmtime_component_func_type``.
        """
        with door(store, self) as context:
            native = ffi.gc(
                lib.wasmtime_component_func_type(self._pointer(), context),
                lib.wasmtime_component_func_type_delete,
            )
        return FuncType._from_native(native, TypeReader())

    def with_arrays(self) -> Func:
        """The same function, which gives lists of numbers as arrays.

        Wherever the result has a list of integers or floats, at the top or inside of other values,
        the function returned gives an `array.array`, which holds the numbers as the guest had them,
        without an object for each. NumPy takes it without a copy: ``numpy.asarray(result)``. A
        ``list<u8>`` is `bytes` in any case; lists of bool and char stay lists.

        For one call: ``func.with_arrays()(store, ...)``.

        Example:
            >>> from wasmtime import Engine, Store
            >>> from wasmtime.component import Component, Linker
            >>> engine = Engine()
            >>> store = Store(engine)
            >>> component = Component(engine, '''
            ...     (component
            ...       (core module $m (memory (export "mem") 1)
            ...         (func (export "pair") (result i32)
            ...           (i64.store (i32.const 0) (i64.const 0x2_0000_0008))
            ...           (i32.store (i32.const 8) (i32.const 0x2_0001))
            ...           i32.const 0))
            ...       (core instance $i (instantiate $m))
            ...       (func (export "pair") (result (list u16))
            ...         (canon lift (core func $i "pair") (memory (core memory $i "mem")))))''')
            >>> pair = Linker(engine).instantiate(store, component).exports(store).pair
            >>> pair(store)
            [1, 2]
            >>> pair.with_arrays()(store)
            array('H', [1, 2])
        """
        return self._with_arrays()

    def _pointer(self) -> Any:
        return ffi.cast("wasmtime_component_func_t *", self._address)

    @property
    def __name__(self) -> str:
        name: Optional[str] = self._name
        return name or "func"

    def __repr__(self) -> str:
        return f"<wasmtime.component.Func {self.__name__!r}>"
