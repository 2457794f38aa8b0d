"""What the asynchronous form of generated packages has of its own: what is made by awaiting it."""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Generator, Mapping
from inspect import isawaitable
from typing import Any, Callable, Generic, Optional, TypeVar, Union

from ..._error import WasmtimeError
from ..._func import Func
from ..._native import core
from .instance import REFUSALS, BoundInstance, give_back, lowered
from .resources import Handle
from .shapes import Convert, same

__all__ = ["AsyncBoundInstance", "AsyncResource", "MaybeAwaitable", "Once", "callables"]

_T = TypeVar("_T")
_R = TypeVar("_R", bound="AsyncResource")

#: What the host's implementation of a function returns: the result, or what gives it when awaited.
MaybeAwaitable = Union[_T, Awaitable[_T]]


class Once(Generic[_T]):
    """Something that is made by awaiting it, and that is there when it is awaited again.

    Args:
        making: Makes it. If this object is never awaited, Python warns of that coroutine.
    """

    def __init__(self, making: Coroutine[Any, Any, _T]) -> None:
        """Begin with what is not made yet."""
        self._making: Optional[Coroutine[Any, Any, _T]] = making
        self._made: list[_T] = []

    def __await__(self) -> Generator[Any, Any, _T]:
        """Make it, unless it is made."""
        if self._making is not None:
            self._made.append((yield from self._making.__await__()))
            self._making = None
        return self._made[0]


def callables(exports: Mapping[str, Any]) -> dict[str, Any]:
    """The exports of a core module, where each function is one that is awaited.

    Args:
        exports: The exports.
    """
    return {
        name: item.call_async if isinstance(item, Func) else item for name, item in exports.items()
    }


# --- components ----------------------------------------------------------------------------------


class AsyncBoundInstance(BoundInstance):
    """An instance of a component whose functions are awaited; it is awaited itself at first."""

    _once: Once[Any]

    def begin(self, making: Coroutine[Any, Any, Any]) -> None:
        """Set what makes the instance."""
        self._once = Once(making)

    def __await__(self) -> Generator[Any, Any, AsyncBoundInstance]:
        """Instantiate the component, if that has not been done."""
        self.instance = yield from self._once.__await__()
        return self

    def functions(self, interface: str) -> Mapping[str, Callable[..., Any]]:
        """As in the base; the functions are coroutine functions.

        Args:
            interface: The interface; empty for the top level.

        Raises:
            WasmtimeError: The component does not export the interface, or is not instantiated.
        """
        if not hasattr(self, "instance"):
            raise WasmtimeError(
                "the component is not instantiated yet: await the object of its class first, as in "
                "`root = await Root(store)`"
            )
        return super().functions(interface)

    def _callable(self, native: Any) -> Callable[..., Any]:
        return super()._callable(native).call_async  # type: ignore[attr-defined, no-any-return]

    def _call(
        self, native: Callable[..., Any], lowers: list[Convert], lift: Convert
    ) -> Callable[..., Any]:
        finish = lift or same
        steps = [step or same for step in lowers]

        async def call(store: Any, *arguments: Any) -> Any:
            moving = self.moving = []
            try:
                result = await native(store, *lowered(steps, arguments))
            except REFUSALS:
                give_back(moving)
                raise
            return finish(result)

        return call

    def _finishing(self, lower: Convert) -> Callable[[Any], Any]:
        if lower is None:
            return same
        convert = lower

        async def awaited(result: Awaitable[Any]) -> Any:
            return convert(await result)

        return lambda result: awaited(result) if isawaitable(result) else convert(result)


class AsyncResource(Handle):
    """Base of the classes of resources that a component provides, in the asynchronous form.

    An object of a resource with a constructor is made by awaiting it, or by the ``async with``
    statement at whose end it is dropped::

        counter = await Counter(store, 5)
        async with Counter(store, 5) as counter:
            ...

    Where the component calls functions of the host, the library can run no destructors: such a
    resource stays until its store is closed, also at the end of the block.
    """

    __module__ = "wasmtime.bindgen.support"  # its public name

    _handle: Any = None
    _once: Optional[Once[Handle]] = None

    def _construct(self, name: str, store: Any, *arguments: Any) -> None:
        """Prepare to call the constructor in the component."""
        self._once = Once(self._constructor(name)(store, *arguments))

    def __await__(self: _R) -> Generator[Any, Any, _R]:
        """Call the constructor, if that has not been done."""
        if self._once is not None:
            made = yield from self._once.__await__()
            self._once = None
            self._take(made)
        return self

    def _use(self) -> Any:
        if self._once is not None:
            raise WasmtimeError(
                f"this {type(self).__name__} is not made yet: await it first, as in "
                f"`await {type(self).__name__}(store, ...)`"
            )
        return super()._use()

    async def drop(self, caller: Any) -> None:
        """Drop the resource; its destructor runs in the component.

        Args:
            caller: The store that it lives in.

        Raises:
            WasmtimeError: It was dropped or given away before; or the component calls functions of
                the host, and the library cannot drop it before its store is closed.
        """
        self._drop(caller)

    async def __aenter__(self: _R) -> _R:
        """Begin a block at whose end the resource is dropped."""
        return await self

    async def __aexit__(self, *exc: object) -> None:
        """Drop the resource, unless this object has lost it before, or its store keeps it."""
        if self._handle is not None and not core.links_asynchronously(self._bound.store):
            await AsyncResource.drop(self, self._bound.store)
