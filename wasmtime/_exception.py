"""Exceptions of WebAssembly as exceptions of Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional, TypeVar, Union

from ._error import ArgumentTypeError
from ._native import core
from ._ref import ExnRef
from ._trap import Trap

if TYPE_CHECKING:
    from ._store import Store
    from ._tag import Tag
    from ._trapcode import TrapCode

__all__ = ["WasmException"]

if TYPE_CHECKING:
    _Self = TypeVar("_Self", bound="WasmException")
else:
    _Self = TypeVar("_Self")  # a name in quotes would start the compiler at every import


class WasmException(Trap):
    """An exception of the exception-handling proposal.

    A call raises one when WebAssembly throws and no frame of it catches. A host function that
    raises one throws it into WebAssembly, which may catch it with ``try_table``; if it does not,
    the outer call raises the same object. One that came from WebAssembly can be raised again by a
    host function: it is the same exception then, payload and identity.

    All other exceptions of Python, and traps, pass through WebAssembly without being caught there;
    so does one that belongs to another store than the guest that it passes.

    Args:
        tag: The `Tag` to throw with; or an `ExnRef`, to throw that exception again.
        values: What the exception carries, as calls take it: one value for each parameter of the
            tag's type, checked when the exception is thrown.

    Raises:
        TypeError: `tag` is neither, or values were given together with an `ExnRef`.
        ValueError: The store of the `ExnRef` is closed.

    Attributes:
        tag: The `Tag`. None on a copy that was pickled.
        values: The payload, a tuple. It can be read when the store is closed.

    Example:
        >>> from wasmtime import Instance, Module, Store, WasmException
        >>> store = Store()
        >>> module = Module(store.engine, '''
        ...     (tag $oops (export "oops") (param i32))
        ...     (func (export "run") (param i32) (throw $oops (local.get 0)))''')
        >>> exports = Instance(store, module, []).exports(store)
        >>> try:
        ...     exports["run"](store, 42)
        ... except WasmException as exception:
        ...     exception.values, exception.tag.eq(store, exports["oops"])
        ((42,), True)

    C API: ``wasmtime_context_set_exception`` and ``wasmtime_context_take_exception``.
    """

    tag: Optional[Tag] = None
    values: tuple[Any, ...] = ()
    _exnref: Optional[ExnRef] = None

    def __init__(self, tag: Union[Tag, ExnRef], *values: Any) -> None:
        if isinstance(tag, ExnRef):
            if values:
                raise TypeError("an ExnRef carries its values: give it alone, or a Tag and values")
            core.describe_exception(tag, self)
        elif isinstance(tag, core.Tag):
            self.tag = tag
            self.values = values
        else:
            raise ArgumentTypeError(f"tag must be a Tag or an ExnRef, not {type(tag).__name__}")
        super().__init__(f"WebAssembly exception with the values {self.values!r}")
        self.args = (tag, *values)

    @property
    def exnref(self) -> Optional[ExnRef]:
        """The exception as a value that WebAssembly takes, for instance to ``throw_ref`` it.

        None before an exception made in Python was thrown, and on a copy that was pickled.
        """
        return self._exnref

    @property
    def trap_code(self) -> Optional[TrapCode]:
        """Always `TrapCode.UNCAUGHT_EXCEPTION`."""
        from ._trapcode import TrapCode

        return TrapCode.UNCAUGHT_EXCEPTION

    #: The same as `trap_code`.
    code = trap_code

    def _exnref_in(self, store: Store) -> Optional[ExnRef]:
        """What to throw in a store; the C core asks when a host function raises this.

        Returns:
            None if this belongs elsewhere: an exception or a tag of another store, be it closed or
            gone, or a copy that was pickled.
        """
        if self._exnref is None and self.tag is not None and self.tag._home is store._home:
            self._exnref = ExnRef(store, self.tag, self.values)
        if self._exnref is None or self._exnref._home is not store._home:
            return None
        return self._exnref

    def _state(self) -> dict[str, Any]:
        state = super()._state()
        for name in ("tag", "_exnref"):
            state.pop(name, None)
        state["values"] = tuple(
            repr(value) if isinstance(value, (core.Reference, core.Item)) else value
            for value in self.values
        )
        return state

    def __copy__(self: _Self) -> _Self:
        made = type(self).__new__(type(self))
        made.__dict__.update(self.__dict__)
        made.args = self.args
        return made

    def __deepcopy__(self: _Self, memo: object) -> _Self:
        return self.__copy__()

    def __reduce__(self) -> tuple[Any, ...]:
        from ._error import _restore

        # What a tag or a reference is does not leave its store.
        return _restore, (type(self), (), self._state())
