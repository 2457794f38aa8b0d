"""Linkers: what components import, by name."""

from __future__ import annotations

import weakref
from _thread import RLock
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Callable, Optional, Union

from .._compiled import engine_handle
from .._engine import Engine
from .._error import ArgumentTypeError, WasmtimeError
from .._linker import LinkerBase
from .._module import Module
from .._native import check, core, encode_name, ffi, lib
from .._store import StoreContext, Storelike
from .._wasi_fork import check_preview2
from ._component import Component
from ._errors import UnsupportedTypeError
from ._exports import short_names, snake
from ._host import class_for, destroy
from ._instance import Instance
from ._resource_type import ResourceType
from ._types import (
    ComponentInstanceType,
    FuncType,
    ModuleType,
    ValType,
    plain,
    unsupported_part,
)

__all__ = ["Linker", "LinkerInstance"]

#: What `Linker.add_wasip2` and `Linker.add_wasi_http` define.
_WASIP2 = (
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    "wasi:io/",
    "wasi:random/",
    "wasi:sockets/",
)
_WASI_HTTP = ("wasi:http/",)


def _track(name: str) -> str:
    """A name without its version: a definition serves compatible versions too."""
    return name.partition("@")[0]


class Linker(LinkerBase):
    """Names for what components import, and the instantiation of components with them.

    A linker serves every store of its engine. It may be used by several threads, but not be
    changed while one of them instantiates; that raises.

    Args:
        engine: The engine whose components are linked.

    Raises:
        TypeError: `engine` is not an Engine.
        ValueError: `engine` is closed.

    C API: ``wasmtime_component_linker_t``.
    """

    _defining: Any = RLock()  # of a linker that was never initialised
    _child: Optional[weakref.ref[LinkerInstance]] = None
    _shadowing: bool = False
    _wasi: bool = False
    _wasi_http: bool = False

    def __init__(self, engine: Engine) -> None:
        # Held while a LinkerInstance is opened, used or closed: its native one dies with it.
        self._defining = RLock()
        handle = engine_handle(engine)
        pointer = lib.wasmtime_component_linker_new(handle.pointer)
        self._adopt("wasmtime_component_linker_t", pointer, engine)
        # What is defined: paths of names without versions, and what each is.
        self._defined: dict[tuple[str, ...], str] = {}
        self._traps: set[str] = set()

    @property
    def locked(self) -> bool:
        """Whether a `LinkerInstance` of this linker is open: nothing else can be done meanwhile."""
        child = self._child() if self._child is not None else None
        return child is not None and child._is_open

    def _assert_not_locked(self) -> None:
        if self.locked:
            raise WasmtimeError(
                "cannot use linker while it's in use by other instances: close the LinkerInstance "
                "that root() gave, best by a 'with' block"
            )

    @contextmanager
    def _changing(self) -> Iterator[Any]:
        """The native linker, while nothing else uses it."""
        with self._defining:
            self._assert_not_locked()
            with super()._changing() as linker:
                yield linker

    @contextmanager
    def _reading(self) -> Iterator[Any]:
        """The native linker, while nothing changes it."""
        with super()._reading() as linker:
            self._assert_not_locked()
            yield linker

    def close(self) -> None:
        """Give up the native linker; using this object afterwards raises ValueError.

        Raises:
            WasmtimeError: A `LinkerInstance` of it is open.
        """
        with self._defining:
            self._assert_not_locked()
            super().close()

    @property
    def allow_shadowing(self) -> bool:
        """Whether a definition may replace an earlier one of the same name; False at first.

        Raises:
            TypeError: It is set to something else than a bool.
            WasmtimeError: A `LinkerInstance` of this linker is open.
            ValueError: The linker is closed.
        """
        return self._shadowing

    @allow_shadowing.setter
    def allow_shadowing(self, allow: bool) -> None:
        if not isinstance(allow, bool):
            raise TypeError(f"allow_shadowing must be a bool, not {type(allow).__name__}")
        with self._changing() as linker:
            lib.wasmtime_component_linker_allow_shadowing(linker, allow)
            self._shadowing = allow

    def root(self) -> LinkerInstance:
        """Where items are defined by their names.

        While it is open, the linker cannot be used for anything else: use it in a ``with`` block.

        Raises:
            WasmtimeError: One is open already.
            ValueError: The linker is closed.

        C API: ``wasmtime_component_linker_root``.
        """
        with self._changing() as linker:
            pointer = lib.wasmtime_component_linker_root(linker)
            return LinkerInstance._open(pointer, self, self, ())

    def add_wasip2(self) -> None:
        """Define the interfaces of WASI preview 2 (``wasi:cli`` and what it builds on).

        Each store needs `Store.set_wasi` before such a component is instantiated in it.

        Raises:
            WasmtimeError: They are defined already and `allow_shadowing` is off, or a
                `LinkerInstance` of this linker is open.
            ValueError: The linker is closed.

        C API: ``wasmtime_component_linker_add_wasip2``.
        """
        with self._changing() as linker:
            check(lib.wasmtime_component_linker_add_wasip2(linker))
            self._wasi = True

    def add_wasi_http(self) -> None:
        """Define ``wasi:http``, beside what `add_wasip2` defines, which it needs.

        Each store needs `Store.set_wasi`, with a configuration that allows HTTP
        (`WasiConfig.allow_http`), and `Store.set_wasi_http`.

        Raises:
            WasmtimeError: It is defined already and `allow_shadowing` is off, or a
                `LinkerInstance` of this linker is open.
            ValueError: The linker is closed.

        C API: ``wasmtime_component_linker_add_wasi_http``.
        """
        with self._changing() as linker:
            check(lib.wasmtime_component_linker_add_wasi_http(linker))
            self._wasi_http = True

    def define_unknown_imports_as_traps(self, component: Component) -> None:
        """Define each function that a component imports and that is not defined yet as one that
        traps.

        Args:
            component: The component.

        Raises:
            WasmtimeError: Something that is not a function is missing, or a `LinkerInstance` of
                this linker is open.
            TypeError: `component` is not a Component.
            ValueError: The linker or the component is closed.

        C API: ``wasmtime_component_linker_define_unknown_imports_as_traps``.
        """
        handle = self._component_handle(component)
        with self._changing() as linker:
            check(
                lib.wasmtime_component_linker_define_unknown_imports_as_traps(
                    linker, handle.pointer
                )
            )
            self._traps.update(map(_track, component.imports))

    def _component_handle(self, component: Component) -> Any:
        if not isinstance(component, Component):
            raise ArgumentTypeError(
                f"component must be a Component, not {type(component).__name__}"
            )
        handle = component._use()
        if component._engine is not self._engine:
            raise WasmtimeError(
                "component belongs to another engine than the linker: make both with the same "
                "Engine"
            )
        return handle

    def instantiate(  # type: ignore[override]
        self, store: Storelike, component: Component
    ) -> Instance:
        """Instantiate a component with what this linker defines.

        Args:
            store: The store to instantiate in, of this linker's engine.
            component: The component.

        Raises:
            WasmtimeError: Imports are missing (the message lists them) or of a wrong type, the
                component needs WASI and the store has none, the store's limits are reached, or
                something belongs to another engine.
            UnsupportedTypeError: A function that was defined here has a type, in this component,
                that the C API has no values of.
            Trap: A start function trapped.
            TypeError: An argument is of a wrong type.
            ValueError: The linker, the store or the component is closed.

        C API: ``wasmtime_component_linker_instantiate``.
        """
        self._assert_not_locked()
        self._component_handle(component)
        with self._reading():
            if self._wasi or self._wasi_http:
                self._check_wasi(store, component)
            if self._defined:
                self._check_supported(component)
            try:
                instance: Instance = core.component_instantiate(
                    self, store, component, component._waits
                )
            except WasmtimeError as error:
                better = self._explain(component, error)
                if better is None:
                    raise
                raise better from error
        instance._component = component
        return instance

    def _check_wasi(self, store: Any, component: Component) -> None:
        """Functions of WASI end the process in a store that has no WASI."""
        wasi, http = component._needs_wasi()
        if not wasi:
            return
        home = getattr(store, "_store", store)
        if self._wasi:
            check_preview2()
            home._wasi_needs_threads = True
        if not getattr(home, "_has_wasi", True):
            raise WasmtimeError(
                "WASI is not configured: the component imports it, but this store has not been "
                "given any; call store.set_wasi(WasiConfig()) before instantiating"
            )
        if http and self._wasi_http and not getattr(home, "_has_wasi_http", True):
            raise WasmtimeError(
                "wasi:http is not configured: the component imports it, but this store has not "
                "been given any; call wasi.allow_http() on its WasiConfig and "
                "store.set_wasi_http() before instantiating"
            )

    def _check_supported(self, component: Component) -> None:
        """A host function with a type that the C API has no values of would end the process."""
        for path, item in self._functions(component):
            if self._defined.get(path) != "func":
                continue
            if item.is_async:
                raise UnsupportedTypeError(
                    f"the import {'/'.join(path)!r} is an async function, which the C API of the "
                    "library has no way to define: it cannot be a Python function"
                )
            for part in (*(ty for _, ty in item.params), item.result):
                found = unsupported_part(part)
                if found is not None:
                    raise UnsupportedTypeError(
                        f"the import {'/'.join(path)!r} is a function with a value of type "
                        f"{found}, which the C API of the library has no form for: it cannot be "
                        "a Python function"
                    )

    def _functions(self, component: Component) -> list[tuple[tuple[str, ...], FuncType]]:
        """The functions that a component imports and that could be defined here."""
        first = {path[0] for path in self._defined}
        found: list[tuple[tuple[str, ...], FuncType]] = []

        def walk(path: tuple[str, ...], item: Any) -> None:
            if isinstance(item, FuncType):
                found.append((path, item))
            elif isinstance(item, ComponentInstanceType):
                for name, extern in item.exports(component.engine).items():
                    walk((*path, _track(name)), plain(extern))

        for name, extern in component.imports.items():
            if _track(name) in first:
                walk((_track(name),), plain(extern))
        return found

    def missing(self, component: Component) -> dict[str, Any]:
        """What a component imports and this linker does not define.

        Args:
            component: The component.

        Returns:
            The types by name; a function of an interface is named ``interface#function``.

        Raises:
            TypeError: `component` is not a Component.
            ValueError: The component is closed.
        """
        self._component_handle(component)
        missing: dict[str, Any] = {}
        for name, extern in component.imports.items():
            item, tracked = plain(extern), _track(name)
            if (
                tracked in self._traps
                or (self._wasi and name.startswith(_WASIP2))
                or (self._wasi_http and name.startswith(_WASI_HTTP))
                or isinstance(item, ValType)
            ):
                continue
            if isinstance(item, ComponentInstanceType):
                for inner, inner_extern in item.exports(component.engine).items():
                    part = plain(inner_extern)
                    if isinstance(part, ValType):
                        continue
                    if (tracked, _track(inner)) not in self._defined:
                        missing[f"{name}#{inner}"] = part
            elif (tracked,) not in self._defined:
                missing[name] = item
        return missing

    def _explain(self, component: Component, error: WasmtimeError) -> Optional[WasmtimeError]:
        """The error that lists everything that is missing, if that is why instantiation failed."""
        if type(error) is not WasmtimeError or "matching implementation" not in error.message:
            return None
        missing = self.missing(component)
        if not missing:
            return None
        lines = [f"    {name}: {_describe(item)}" for name, item in missing.items()]
        hint = ""
        if any(name.startswith(_WASI_HTTP) for name in missing):
            hint = (
                "\nFor wasi:http, call linker.add_wasi_http(), wasi.allow_http() on the store's "
                "WasiConfig, and store.set_wasi_http()."
            )
        if any(name.startswith(_WASIP2) for name in missing):
            hint += (
                "\nThe names that begin with 'wasi:' are WASI's: call linker.add_wasip2() and "
                "store.set_wasi(WasiConfig())."
            )
        return WasmtimeError(
            f"{len(missing)} of the component's imports "
            f"{'has' if len(missing) == 1 else 'have'} not been defined:\n"
            + "\n".join(lines)
            + hint
        )

    def define_imports(self, component: Component, imports: Mapping[str, Any]) -> None:
        """Define what a component imports by Python functions, objects and classes.

        Args:
            component: The component, whose types say what is needed.
            imports: What implements each import. The keys are the names of imports, full
                (``example:log/sink@1.0.0``), without the version, or short (``sink``); with
                hyphens or underscores.

                - A function is implemented by a callable. It is given the parameters.
                - An interface is implemented by an object with methods, a module, a class
                  or a mapping. Its names are those of WIT in snake_case.
                - A resource is implemented by a class, which is found by the name of the resource
                  in snake_case or CamelCase. The constructor makes an object of it, methods and
                  statics are methods and static or class methods of it. When a component drops a
                  resource, the object's method ``drop`` is called if there is one.

                Functions that are marked with `needs_store` are given the store first. Values pass
                as for functions of `Instance.exports`: a result is `Ok` or `Err`.

        Raises:
            KeyError: A name of `imports` is not among the component's.
            WasmtimeError: An implementation lacks something that the component imports (the
                message lists all), or a name is defined already and `allow_shadowing` is off.
            UnsupportedTypeError: A function has a type that the C API has no values of.
            TypeError: Something is not callable, or of a wrong type otherwise.
            ValueError: The linker or the component is closed.

        Example:
            >>> from wasmtime import Engine
            >>> from wasmtime.component import Component, Linker
            >>> engine = Engine()
            >>> component = Component(engine, '''
            ...     (component (import "example:log/sink" (instance
            ...       (export "write-line" (func (param "text" string))))))''')
            >>> class Sink:
            ...     def write_line(self, text):
            ...         print(text)
            >>> linker = Linker(engine)
            >>> linker.define_imports(component, {"sink": Sink()})
            >>> linker.missing(component)
            {}
        """
        self._component_handle(component)
        wanted = component.imports
        aliases = {alias: name for name in wanted for alias in reversed(short_names(name))}
        plans: list[tuple[str, Any]] = []
        lacking: list[str] = []
        for key, implementation in imports.items():
            name = key if key in wanted else aliases.get(key)
            if name is None:
                raise KeyError(
                    f"{key!r}: the component has no such import, only "
                    f"{', '.join(map(repr, wanted)) or 'none at all'}"
                )
            item = plain(wanted[name])
            if isinstance(item, ComponentInstanceType):
                externs = item.exports(component.engine)
                plan = _plan_items(externs, implementation, f"{name}#", lacking)
                plans.append((name, plan))
            else:
                plan = _plan_items({name: item}, {name: implementation}, "", lacking)
                plans.extend(plan.items())
        if lacking:
            raise WasmtimeError(
                "these imports of the component are not implemented:\n"
                + "\n".join(f"    {line}" for line in lacking)
            )
        with self.root() as root:
            for name, plan in plans:
                if isinstance(plan, dict):
                    with root.add_instance(name) as instance:
                        for inner, definition in plan.items():
                            definition(instance, inner)
                else:
                    plan(root, name)


def _describe(item: Any) -> str:
    if isinstance(item, ResourceType):
        return "resource"
    return "core module" if isinstance(item, ModuleType) else str(item)


def _find(implementation: Any, name: str) -> Any:
    """What implements a name: an attribute of an object or an item of a mapping; None if nothing."""
    words = name.split("-")
    camel = "".join(word[:1].upper() + word[1:] for word in words)
    spellings = (snake(name), name, camel, snake(name) + "_")
    for spelling in spellings:
        if isinstance(implementation, Mapping):
            if spelling in implementation:
                return implementation[spelling]
        else:
            found = getattr(implementation, spelling, None)
            if found is not None:
                return found
    return None


def _plan_items(
    externs: Mapping[str, Any], implementation: Any, prefix: str, lacking: list[str]
) -> dict[str, Any]:
    """How to define the items of an interface: functions that take the LinkerInstance and the name."""
    plan: dict[str, Any] = {}
    for name, extern in externs.items():
        item = plain(extern)
        if isinstance(item, ValType):
            continue
        if name.startswith("["):
            function = _resource_function(name, implementation)
        else:
            function = _find(implementation, name)
        if function is None:
            lacking.append(f"{prefix}{name}: {_describe(item)}")
        elif isinstance(item, FuncType):
            if not callable(function):
                raise TypeError(
                    f"{prefix}{name}: a function must be implemented by a callable, not "
                    f"{type(function).__name__}"
                )
            plan[name] = _FunctionPlan(function, isinstance(implementation, type))
        elif isinstance(item, ResourceType):
            if not isinstance(function, type):
                raise TypeError(
                    f"{prefix}{name}: a resource must be implemented by a class, not "
                    f"{type(function).__name__}"
                )
            plan[name] = _ResourcePlan(function)
        elif isinstance(item, ModuleType):
            plan[name] = _ModulePlan(function)
        else:
            lacking.append(f"{prefix}{name}: {_describe(item)} (which cannot be implemented)")
    return plan


class _FunctionPlan:
    def __init__(self, function: Callable[..., Any], of_class: bool) -> None:
        self.function = function

    def __call__(self, instance: LinkerInstance, name: str) -> None:
        pass_store = getattr(self.function, "_wit_needs_store", False)
        instance._define(name, self.function, True, pass_store)


class _ResourcePlan:
    def __init__(self, cls: type) -> None:
        self.cls = cls

    def __call__(self, instance: LinkerInstance, name: str) -> None:
        instance.add_resource(name, class_for(self.cls), destroy)


class _ModulePlan:
    def __init__(self, module: Any) -> None:
        self.module = module

    def __call__(self, instance: LinkerInstance, name: str) -> None:
        instance.add_module(name, self.module)


def _resource_function(name: str, implementation: Any) -> Optional[Callable[..., Any]]:
    """What implements a function of a resource: ``[constructor]r``, ``[method]r.f``, ``[static]r.f``."""
    kind, _, rest = name[1:].partition("]")
    resource, _, member = rest.partition(".")
    cls = _find(implementation, resource)
    if not isinstance(cls, type):
        return None
    if kind == "constructor":
        return cls
    function = _find(cls, member)
    if function is None or kind != "method":
        return function if function is None or callable(function) else None
    attribute = next(
        each
        for each in (snake(member), member, snake(member) + "_", function.__name__)
        if hasattr(cls, each)
    )
    if getattr(function, "_wit_needs_store", False):

        def method_with_store(store: Any, self: Any, *arguments: Any) -> Any:
            return getattr(self, attribute)(store, *arguments)

        method_with_store._wit_needs_store = True  # type: ignore[attr-defined]
        return method_with_store

    def method(self: Any, *arguments: Any) -> Any:
        return getattr(self, attribute)(*arguments)

    return method


class LinkerInstance:
    """Where items are defined in a linker: its root, or an instance in it, which stands for an
    interface.

    It ends when it is closed (or left as a context manager), with everything that was opened in it;
    then it says so.
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
        """Whether an instance that was opened in this one is open: nothing can be defined meanwhile."""
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
            self._linker._begin(True)
            try:
                yield self._pointer
            finally:
                self._linker._end(True)

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
            path = (*self._path, _track(name))
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
        if not isinstance(module, Module):
            raise ArgumentTypeError(f"module must be a Module, not {type(module).__name__}")
        handle = module._use()
        with self._changing() as pointer:
            if module._engine is not self._linker._engine:
                raise WasmtimeError(
                    "module belongs to another engine than the linker: make both with the same "
                    "Engine"
                )
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
        if not isinstance(ty, ResourceType):
            raise ArgumentTypeError(f"ty must be a ResourceType, not {type(ty).__name__}")
        host = core.ComponentHostFunc(dtor)
        self._add(
            (name, "resource"),
            host,
            lambda pointer: lib.wasmtime_component_linker_instance_add_resource(
                pointer,
                encoded,
                len(encoded),
                plain(ty)._native,
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
        """Define by `add` what native code will reach `host` through; `note` is its name and kind."""
        with self._changing() as pointer:
            definitions = self._linker._definitions
            # Before the native linker can reach it; a definition that fails leaves it unused.
            definitions.append(host)
            try:
                check(add(pointer))
            except BaseException:
                definitions.remove(host)
                raise
            self._note(*note)

    def _note(self, name: str, what: str) -> None:
        self._linker._defined[(*self._path, _track(name))] = what


LinkerInstanceParent = Union[Linker, LinkerInstance]
