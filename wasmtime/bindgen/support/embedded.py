"""The component or core module of a generated package, which is a file in the package."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pkgutil import get_data
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Optional, TypeVar

from ..._artifacts.cache import CacheOption
from ..._error import WasmtimeError
from ..._func import Func
from ..._linker import Linker as CoreLinker
from ..._module import Module
from ..._types import FuncType
from ..._wasi_names import HTTP
from ...component import Component, Linker
from ...component._host import _type_numbers
from .asynchronous import AsyncBoundInstance, Once, callables
from .functions import Interface, Signature
from .instance import BoundInstance

if TYPE_CHECKING:
    from ..._engine import Engine
    from ..._store import Store

__all__ = ["EmbeddedComponent", "EmbeddedModule"]

_Code = TypeVar("_Code", Component, Module)


class _Embedded(Generic[_Code]):
    """A file of WebAssembly in a package, compiled once for each engine that uses it.

    It keeps the compiled code as long as the engine lives.
    """

    package: Optional[str]
    file: str
    cache: CacheOption
    #: The class of the compiled code.
    _class: ClassVar[Any]

    def __post_init__(self) -> None:
        """Begin without compiled code."""
        self._compiled: weakref.WeakKeyDictionary[Engine, _Code] = weakref.WeakKeyDictionary()

    def compile(self, engine: Engine) -> _Code:
        """The compiled code for an engine."""
        compiled = self._compiled.get(engine)
        if compiled is None:
            compiled = self._class(engine, self._read(), cache=self.cache)
            self._compiled[engine] = compiled
        return compiled

    def _read(self) -> bytes:
        binary = get_data(self.package or "", self.file)
        if binary is None:
            raise WasmtimeError(
                f"{self.file!r} cannot be read from the package {self.package!r}: its loader has "
                "no get_data()"
            )
        return binary


# --- components ----------------------------------------------------------------------------------


@dataclass
class EmbeddedComponent(_Embedded[Component]):
    """The component of a generated package.

    Attributes:
        package: The package's name.
        file: The component's file in it.
        imports: What it imports.
        exports: Its exported functions that need converting, by interface and name.
        cache: Where to keep compiled code, as for `Component.from_file`.
        arrays: Whether lists of numbers that come from it are arrays.
    """

    __module__ = "wasmtime.bindgen.support"  # its public name

    _class = Component

    package: Optional[str]
    file: str
    imports: Sequence[Interface] = ()
    exports: Mapping[str, Mapping[str, Signature]] = field(default_factory=dict)
    cache: CacheOption = True
    arrays: bool = False

    def __post_init__(self) -> None:
        """Begin without compiled code, and without types of resources."""
        super().__post_init__()
        #: The numbers of the types of the host's resources, by interface and name.
        self._numbers: dict[str, int] = {}

    def resource_number(self, name: str) -> Optional[int]:
        """The number of the type of a resource of the host; None if the library provides it.

        Args:
            name: Interface and name of the resource.
        """
        return self._numbers.get(name)

    def instantiate(
        self, store: Store, imports: Any, component: Optional[Component] = None
    ) -> BoundInstance:
        """Instantiate the component.

        Args:
            store: The store to instantiate in.
            imports: The object of the class of imports, or None.
            component: Another component of the same world to instantiate instead.

        Raises:
            WasmtimeError: An import is missing or cannot be linked.
            TypeError: An import's implementation lacks a function.
        """
        component = component or self.compile(store.engine)
        bound = BoundInstance(self, store)
        bound.instance = self._linker(bound, imports, component).instantiate(store, component)
        return bound

    def instantiate_async(
        self, store: Store, imports: Any, component: Optional[Component] = None
    ) -> AsyncBoundInstance:
        """As `instantiate`; what is returned is instantiated when it is awaited."""
        component = component or self.compile(store.engine)
        bound = AsyncBoundInstance(self, store)
        bound.begin(self._linker(bound, imports, component).instantiate_async(store, component))
        return bound

    def _linker(self, bound: BoundInstance, imports: Any, component: Component) -> Linker:
        """A linker with what a component imports.

        Args:
            bound: What the instance becomes.
            imports: The object of the class of imports, or None.
            component: The component.
        """
        linker = Linker(component.engine)
        given = self._implemented(imports)
        if self._needs_library(component, given):
            linker.add_wasip2()
            if any(name.startswith(HTTP) for name in component.imports):
                linker.add_wasi_http()
            linker.allow_shadowing = True
        self._number_resources(given)
        with linker.root() as root:
            for each, implementation in given:
                if not each.name:
                    bound.define(root, each, implementation)
                    continue
                with root.add_instance(each.name) as inner:
                    bound.define(inner, each, implementation)
        return linker

    def _implemented(self, imports: Any) -> list[tuple[Interface, Any]]:
        """The imports that the host implements, with the implementations.

        Args:
            imports: The object of the class of imports, or None.
        """
        given = []
        for each in self.imports:
            implementation = getattr(imports, each.field, None)
            if implementation is not None or not each.by_library:
                given.append((each, implementation))
        return given

    def _needs_library(self, component: Component, given: list[tuple[Interface, Any]]) -> bool:
        """Whether the library has to provide WASI.

        It has to for what the host has left out, and for what another component of the same world
        imports beyond that.
        """
        wasi = {name for name in component.imports if name.startswith("wasi:")}
        return len(given) < len(self.imports) or bool(wasi - {each.name for each, _ in given})

    def _number_resources(self, given: list[tuple[Interface, Any]]) -> None:
        """Give a type to each resource that the host implements, the same in all instances."""
        for each, _ in given:
            for name in each.resources:
                self._numbers.setdefault(f"{each.name}#{name}", next(_type_numbers))


# --- core modules --------------------------------------------------------------------------------


@dataclass
class EmbeddedModule(_Embedded[Module]):
    """The core module of a generated package.

    Attributes:
        package: The package's name.
        file: The module's file in it.
        imports: For each module that it imports from, the field of the class of imports, and the
            attribute for each name.
        cache: Where to keep compiled code, as for `Module.from_file`.
    """

    __module__ = "wasmtime.bindgen.support"  # its public name

    _class = Module

    package: Optional[str]
    file: str
    imports: Mapping[str, tuple[str, Mapping[str, str]]] = field(default_factory=dict)
    cache: CacheOption = True

    def instantiate(self, store: Store, imports: Any) -> Mapping[str, Any]:
        """Instantiate the module.

        Args:
            store: The store to instantiate in. What the module imports of WASI comes from its
                `WasiConfig`.
            imports: The object of the class of imports, or None.

        Returns:
            The exports by name.

        Raises:
            WasmtimeError: An import is of a wrong type.
            TypeError: An import's implementation lacks something.
        """
        module = self.compile(store.engine)
        instance = self._linker(store, imports, module).instantiate(store, module)
        return dict(instance.exports(store))

    def instantiate_async(self, store: Store, imports: Any) -> Once[Mapping[str, Any]]:
        """As `instantiate`, when it is awaited; functions are given as coroutine functions."""
        module = self.compile(store.engine)
        linker: Any = self._linker(store, imports, module)
        making = linker.instantiate_async(store, module)

        async def make() -> Mapping[str, Any]:
            return callables((await making).exports(store))

        return Once(make())

    def _linker(self, store: Store, imports: Any, module: Module) -> CoreLinker:
        """A linker with what a module imports.

        Args:
            store: The store to instantiate in.
            imports: The object of the class of imports, or None.
            module: The module.
        """
        linker = CoreLinker(store.engine)
        for entry in module.imports:
            if entry.module not in self.imports:
                continue
            name = entry.name or ""
            item = self._implementation(imports, entry.module, name)
            if isinstance(entry.type, FuncType) and not isinstance(item, Func):
                linker.define_func(entry.module, name, entry.type, item)
            else:
                linker.define(store, entry.module, name, item)
        if module._imports_wasi:
            linker.define_wasi()
        return linker

    def _implementation(self, imports: Any, module: str, name: str) -> Any:
        """What the host has for an import."""
        field, attributes = self.imports[module]
        implementation = getattr(imports, field)
        try:
            return getattr(implementation, attributes[name])
        except AttributeError:
            raise TypeError(
                f"the import {field!r} is implemented by {type(implementation).__name__!r}, "
                f"which has no {attributes[name]!r}"
            ) from None
