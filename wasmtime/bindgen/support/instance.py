"""An instance of a generated package's component, with conversions around its functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Callable, TypeVar

from ..._error import WasmtimeError
from ...component import Instance, ResourceType
from ...component._host import destroy
from .functions import Import, Interface, Signature
from .resources import Handle
from .shapes import Convert, Shape, same

if TYPE_CHECKING:
    from ..._store import Store
    from .embedded import EmbeddedComponent

__all__ = ["REFUSALS", "BoundInstance", "give_back", "instance_of", "lowered"]

#: What is raised when an argument is refused: the component has got none of them then.
REFUSALS = (TypeError, ValueError, OverflowError, AttributeError)

_T = TypeVar("_T")
_R = TypeVar("_R", bound=Handle)


def instance_of(root: Any) -> BoundInstance:
    """The instance that an object of the generated class for a component stands for.

    Args:
        root: The object.
    """
    instance: BoundInstance = root._instance
    return instance


def lowered(steps: Sequence[Callable[[Any], Any]], arguments: tuple[Any, ...]) -> list[Any]:
    """Arguments as the component takes them.

    Args:
        steps: Convert them, one each.
        arguments: The arguments; where there are too many, the call will say so.
    """
    result = [step(value) for step, value in zip(steps, arguments)]
    if len(result) != len(arguments):
        result.extend(arguments[len(result) :])
    return result


def give_back(moving: list[tuple[Handle, Any]]) -> None:
    """Let objects have their handles again, which a call was to give away.

    Args:
        moving: The objects, with their handles.
    """
    for value, handle in moving:
        value._handle = handle


class BoundInstance:
    """An instance of a component: its functions, with conversions.

    Args:
        component: The component of the generated package.
        store: The store that the instance lives in.

    Attributes:
        instance: The instance itself; set once it is made, which takes this object.
        moving: Resources that the call that is being made gives away, with their handles.
    """

    instance: Instance

    def __init__(self, component: EmbeddedComponent, store: Store) -> None:
        """Prepare to instantiate a component in a store."""
        self.component = component
        self.store = store
        self.moving: list[tuple[Handle, Any]] = []
        self._conversions: dict[Shape, tuple[Convert, Convert]] = {}
        self._classes: dict[type[Handle], type[Handle]] = {}
        self._interfaces: dict[Any, Any] = {}
        self._functions: dict[str, dict[str, Callable[..., Any]]] = {}

    def conversions(self, shape: Shape) -> tuple[Convert, Convert]:
        """The conversions of a shape for this instance, to Python and to the component.

        Args:
            shape: The shape.
        """
        if shape not in self._conversions:
            self._conversions[shape] = shape.make(self)
        return self._conversions[shape]

    def interface(self, cls: Callable[[Any], _T], root: Any) -> _T:
        """The one object for an exported interface.

        Args:
            cls: The interface's class.
            root: The object of the class for the component.
        """
        if cls not in self._interfaces:
            self._interfaces[cls] = cls(root)
        found: _T = self._interfaces[cls]
        return found

    def bind(self, cls: type[_R]) -> type[_R]:
        """The class of a resource, for this instance.

        Args:
            cls: The generated class.
        """
        if cls not in self._classes:
            interface, _, _ = cls._wit_name.partition("#")
            namespace = {
                "__module__": cls.__module__,
                "__qualname__": cls.__qualname__,
                "__doc__": cls.__doc__,
                "_bound": self,
                "_functions": self.functions(interface),
            }
            self._classes[cls] = type(cls.__name__, (cls,), namespace)
        return self._classes[cls]  # type: ignore[return-value]

    def functions(self, interface: str) -> Mapping[str, Callable[..., Any]]:
        """The functions of an exported interface by name.

        Args:
            interface: The interface; empty for the top level.

        Raises:
            WasmtimeError: The component does not export the interface.
        """
        if interface in self._functions:
            return self._functions[interface]
        result = self._functions[interface] = {}
        exports: Any = self.instance.exports(self.store)
        signatures = self.component.exports.get(interface, {})
        try:
            found_exports = exports[interface] if interface else exports
        except KeyError:
            raise WasmtimeError(
                f"the component does not export the interface {interface!r}: it is not of the "
                "world that this package was generated from"
            ) from None
        for name, native in found_exports.items():
            if callable(native):
                found = signatures.get(name)
                function = self._callable(native)
                result[name] = function if found is None else self._converting(function, found)
        return result

    def _callable(self, native: Any) -> Callable[..., Any]:
        """How a function of the component is called."""
        return native.with_arrays() if self.component.arrays else native  # type: ignore[no-any-return]

    def _converting(self, native: Callable[..., Any], signature: Signature) -> Callable[..., Any]:
        """A function that converts values and calls one of the component's."""
        lift = self.conversions(signature.result)[0]
        lowers = [self.conversions(shape)[1] for shape in signature.params]
        if not any(lowers) and lift is None:
            return native
        return self._call(native, lowers, lift)

    def _call(
        self, native: Callable[..., Any], lowers: list[Convert], lift: Convert
    ) -> Callable[..., Any]:
        """A function that converts values and calls one of the component's.

        Args:
            native: Calls the component's.
            lowers: Convert the arguments; None for those that pass as they are.
            lift: Converts the result.
        """
        finish = lift or same
        if not any(lowers):
            return lambda store, *arguments: finish(native(store, *arguments))
        steps = [step or same for step in lowers]

        def call(store: Any, *arguments: Any) -> Any:
            moving = self.moving = []
            try:
                result = native(store, *lowered(steps, arguments))
            except REFUSALS:
                give_back(moving)
                raise
            return finish(result)

        return call

    def define(self, linker: Any, interface: Interface, implementation: Any) -> None:
        """Define the items of an imported interface.

        Args:
            linker: The `LinkerInstance` to define them in.
            interface: The interface.
            implementation: The host's implementation of it.

        Raises:
            TypeError: The implementation lacks a function.
        """
        for name in interface.resources:
            number = self.component.resource_number(f"{interface.name}#{name}")
            assert number is not None
            linker.add_resource(name, ResourceType.host(number), destroy)
        for name, wanted in interface.functions.items():
            function = self._implementing(wanted, interface, implementation)
            linker._define(name, function, True, False, self.component.arrays)

    def _implementing(
        self, wanted: Import, interface: Interface, implementation: Any
    ) -> Callable[..., Any]:
        """A function for the component to call, which converts values and calls the host's."""
        lifts = [self.conversions(shape)[0] for shape in wanted.signature.params]
        lower = self.conversions(wanted.signature.result)[1]
        # Every call looks it up, so that a method can be replaced while the instance lives. An
        # object without the method is refused now.
        find = wanted.find
        try:
            find(implementation)
        except AttributeError:
            raise TypeError(
                f"the import {interface.field!r} is implemented by "
                f"{type(implementation).__name__!r}, which has no {wanted.name!r}"
            ) from None
        if not any(lifts) and lower is None:
            return lambda *arguments: find(implementation)(*arguments)
        steps = [step or same for step in lifts]
        finish = self._finishing(lower)

        def call(*arguments: Any) -> Any:
            lifted = [step(value) for step, value in zip(steps, arguments)]
            return finish(find(implementation)(*lifted))

        return call

    def _finishing(self, lower: Convert) -> Callable[[Any], Any]:
        """How the result of a host's function is converted."""
        return lower or same
