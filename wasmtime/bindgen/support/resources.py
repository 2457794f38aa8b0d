"""Resources: the classes of those that the component provides, and the shapes of handles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Callable, ClassVar, TypeVar

from ..._error import WasmtimeError
from ...component import ResourceAny, ResourceHost
from ...component._host import handle_to
from .shapes import Convert, Shape, wrong_type

if TYPE_CHECKING:
    from .instance import BoundInstance

__all__ = ["Handle", "Resource", "host_resource", "resource"]

_R = TypeVar("_R", bound="Handle")


class Handle:
    """What the bases of the classes of resources share: a handle, which an object owns."""

    _bound: ClassVar[Any]
    _functions: ClassVar[Mapping[str, Callable[..., Any]]]
    #: Interface and name of the resource.
    _wit_name: ClassVar[str] = ""
    _handle: Any

    def __init_subclass__(cls, wit: str = "", **rest: Any) -> None:
        """Set the resource that a generated class stands for.

        Args:
            wit: Interface and name of the resource; those of the base by default.
            rest: For other bases.
        """
        super().__init_subclass__(**rest)
        if wit:
            cls._wit_name = wit

    def __init__(self, *arguments: Any) -> None:
        """Refuse to make a resource that has no constructor.

        Raises:
            TypeError: Always; the classes of resources that have a constructor define their own.
        """
        raise TypeError(f"{type(self).__name__} has no constructor: the component makes them")

    def _constructor(self, name: str) -> Callable[..., Any]:
        """The constructor in the component, which is known in the class of an instance alone."""
        functions = getattr(type(self), "_functions", None)
        if functions is None:
            raise TypeError(
                f"{type(self).__name__} belongs to an instance of its component: take the class "
                "from the object of the interface"
            )
        constructor: Callable[..., Any] = functions[name]
        return constructor

    def _take(self, made: Handle) -> None:
        """Take over the handle of the object that a constructor returned."""
        self._handle, made._handle = made._handle, None

    @classmethod
    def _wrap(cls: type[_R], handle: Any) -> _R:
        """Make the object that owns a handle."""
        self = cls.__new__(cls)
        self._handle = handle
        return self

    def _drop(self, caller: Any) -> None:
        """Drop the resource, and lose the handle."""
        self._use().drop(caller)
        self._handle = None

    def _use(self) -> Any:
        """The handle, while this object has it."""
        if self._handle is None:
            raise WasmtimeError(
                f"this {type(self).__name__} was dropped, or given away as an argument"
            )
        return self._handle


class Resource(Handle):
    """Base of the classes of resources that a component provides.

    An object owns a handle. The resource itself lives in the component until `drop` is called, the
    handle is given away, or the store is closed. At the end of a ``with`` statement it is dropped.
    Using it afterwards raises WasmtimeError.
    """

    __module__ = "wasmtime.bindgen.support"  # its public name

    def _construct(self, name: str, store: Any, *arguments: Any) -> None:
        """Call the constructor in the component, and take over the handle that it returns."""
        self._take(self._constructor(name)(store, *arguments))

    def drop(self, caller: Any) -> None:
        """Drop the resource; its destructor runs in the component.

        Args:
            caller: The store that it lives in.

        Raises:
            WasmtimeError: It was dropped or given away before.
        """
        self._drop(caller)

    def __enter__(self: _R) -> _R:
        """Begin a block at whose end the resource is dropped."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Drop the resource, unless this object has lost it before."""
        if self._handle is not None:
            Resource.drop(self, self._bound.store)


def resource(cls: type[Handle], own: bool = False) -> Shape:
    """A handle to a resource that the component provides.

    Args:
        cls: Its class.
        own: Whether the handle owns the resource: an argument is given away.
    """

    def make(bound: BoundInstance) -> tuple[Convert, Convert]:
        bound_class = bound.bind(cls)

        def lower(value: Any) -> Any:
            if isinstance(value, Handle) and isinstance(value, cls):
                handle = value._use()
                if own:  # the object gets it back if the call refuses an argument
                    value._handle = None
                    bound.moving.append((value, handle))
                return handle
            if isinstance(value, ResourceAny):
                return value
            raise wrong_type(value, cls.__name__)

        return bound_class._wrap, lower

    return Shape(make)


def host_resource(name: str, own: bool) -> Shape:
    """A handle to a resource that the host provides: the object itself.

    Args:
        name: Interface and name of the resource.
        own: Whether the handle owns the resource.
    """

    def make(bound: BoundInstance) -> tuple[Convert, Convert]:
        number = bound.component.resource_number(name)
        if number is None:
            return None, None  # the library provides it

        def lower(value: Any) -> Any:
            if isinstance(value, (ResourceAny, ResourceHost)):
                return value
            return handle_to(value, number, bound.store, own)

        return None, lower

    return Shape(make)
