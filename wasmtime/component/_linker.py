"""Linkers: what components import, by name."""

from __future__ import annotations

import weakref
from _thread import RLock
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Callable, Optional, Union

from .._engine import Engine, engine_handle
from .._error import WasmtimeError, expect
from .._linker import LinkerBase
from .._native import check, core, lib
from .._store import Storelike, store_of
from .._wasi_names import HTTP, PREVIEW2
from ._component import Component
from ._definitions import Definitions
from ._errors import UnsupportedTypeError
from ._exports import unversioned
from ._implementations import define_plan, describe, plan_imports
from ._instance import Instance
from ._linker_instance import LinkerInstance, open_root
from ._types import ComponentInstanceType, FuncType, ValType, plain, unsupported_part

__all__ = ["Linker", "LinkerInstance"]


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
        self._repeatable = Definitions(engine)

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

    def _do(self, linker: Any, apply: Callable[[Any], None]) -> None:
        """Change the native linker, and note how, for the one for asynchronous calls.

        Args:
            linker: The native linker, which nothing else uses meanwhile.
            apply: Changes it.
        """
        apply(linker)
        self._repeatable.note(0, apply)

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
        expect(allow, bool, "allow_shadowing")
        with self._changing() as linker:
            allow_shadowing = lib.wasmtime_component_linker_allow_shadowing
            self._do(linker, lambda native: allow_shadowing(native, allow))
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
            pointer = open_root(linker)
            self._repeatable.note(0, open_root)
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
        from ._clocks import define_clocks
        from ._stdin import define_stdin

        self._add_wasip2_of_library()
        define_clocks(self)
        define_stdin(self)

    def _add_wasip2_of_library(self) -> None:
        with self._changing() as linker:
            self._do(linker, lambda native: check(lib.wasmtime_component_linker_add_wasip2(native)))
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
        from ._http import define_http

        self._add_wasi_http_of_library()
        define_http(self)

    def _add_wasi_http_of_library(self) -> None:
        with self._changing() as linker:
            self._do(
                linker, lambda native: check(lib.wasmtime_component_linker_add_wasi_http(native))
            )
            self._wasi_http = True

    def define_unknown_imports_as_traps(self, component: Component) -> None:
        """Define each function that a component imports and that is not defined yet.

        It traps when it is called.

        Args:
            component: The component.

        Raises:
            WasmtimeError: Something that is not a function is missing, or a `LinkerInstance` of
                this linker is open.
            TypeError: `component` is not a Component.
            ValueError: The linker or the component is closed.

        C API: ``wasmtime_component_linker_define_unknown_imports_as_traps``.
        """
        handle = self._handle_of(component, Component, "component")
        define = lib.wasmtime_component_linker_define_unknown_imports_as_traps
        with self._changing() as linker:
            self._do(linker, lambda native: check(define(native, handle.pointer)))
            self._traps.update(map(unversioned, component.imports))

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
        self._check_component(component)
        if self._is_asynchronous(store, component):
            call = self._call_async(store, component)
            with self._explaining(component), component._counting(store):
                instance: Instance = call._run()
        else:
            with self._reading():
                self._check_links(store, component)
                with self._explaining(component), component._counting(store):
                    instance = core.component_instantiate(self, store, component)
        instance._component = component
        return instance

    async def instantiate_async(self, store: Storelike, component: Component) -> Instance:
        """As `instantiate`, for asynchronous calls: the event loop does other work meanwhile.

        The functions of the instance are called with `Func.call_async` afterwards. What this linker
        defines by Python functions may be coroutine functions and plain ones.

        Args:
            store: The store to instantiate in, of this linker's engine.
            component: The component.

        Raises:
            WasmtimeError: As for `instantiate`; or functions of Python were linked into the store
                for synchronous calls before.
            UnsupportedTypeError: As for `instantiate`.
            Trap: A start function trapped.
            TypeError: An argument is of a wrong type.
            ValueError: The linker, the store or the component is closed.

        Example:
            >>> import asyncio
            >>> from wasmtime import Engine, Store
            >>> from wasmtime.component import Component, Linker
            >>> engine = Engine()
            >>> component = Component(engine, '''
            ...     (component
            ...       (import "ask" (func $ask (result u32)))
            ...       (core func $lowered (canon lower (func $ask)))
            ...       (core module $m (import "" "ask" (func $ask (result i32)))
            ...         (func (export "run") (result i32) (call $ask)))
            ...       (core instance $i (instantiate $m (with "" (instance
            ...         (export "ask" (func $lowered))))))
            ...       (func (export "run") (result u32) (canon lift (core func $i "run"))))''')
            >>> async def ask():
            ...     await asyncio.sleep(0.01)
            ...     return 42
            >>> async def main():
            ...     linker = Linker(engine)
            ...     linker.define_imports(component, {"ask": ask})
            ...     store = Store(engine)
            ...     instance = await linker.instantiate_async(store, component)
            ...     return await instance.exports(store).run.call_async(store)
            >>> asyncio.run(main())
            42

        C API: ``wasmtime_component_linker_instantiate_async``.
        """
        self._check_component(component)
        call = self._call_async(store, component)
        with self._explaining(component), component._counting(store):
            instance: Instance = await call
        instance._component = component
        return instance

    def _check_component(self, component: Component) -> None:
        self._assert_not_locked()
        self._handle_of(component, Component, "component")

    def _is_asynchronous(self, store: Storelike, component: Component) -> bool:
        """Whether a component is linked for asynchronous calls, whichever way it is asked for."""
        if self._repeatable.coroutines or component._waits:
            return True
        return core.links_asynchronously(store)

    def _call_async(self, store: Storelike, component: Component) -> Any:
        """The `AsyncCall` that instantiates a component."""
        if not self._repeatable.complete:
            with self._changing():
                self._repeatable.repeat()
        with self._reading():
            self._check_links(store, component)
            native = self._repeatable.handle()
        return core.component_instantiate_async(self, native, store, component, component._waits)

    def _check_links(self, store: Storelike, component: Component) -> None:
        """Refuse what would end the process; while nothing changes the linker."""
        if self._wasi or self._wasi_http:
            self._check_wasi(store, component)
        if self._defined:
            self._check_supported(component)

    @contextmanager
    def _explaining(self, component: Component) -> Iterator[None]:
        """Let an error that says that something is missing list all that is."""
        try:
            yield
        except WasmtimeError as error:
            better = self._explain(component, error)
            if better is None:
                raise
            raise better from error

    def _check_wasi(self, store: Any, component: Component) -> None:
        """Functions of WASI end the process in a store that has no WASI."""
        wasi, http = component._needs_wasi()
        if not wasi:
            return
        home = store_of(store)
        home._blocks = True
        if not home._has_wasi:
            raise WasmtimeError(
                "WASI is not configured: the component imports it, but this store has not been "
                "given any; call store.set_wasi(WasiConfig()) before instantiating"
            )
        if http and self._wasi_http and not home._has_wasi_http:
            raise WasmtimeError(
                "wasi:http is not configured: the component imports it, but this store has not "
                "been given any; call wasi.allow_http() on its WasiConfig and "
                "store.set_wasi_http() before instantiating"
            )
        if self._wasi:
            home._give_component_wasi()

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
                    walk((*path, unversioned(name)), plain(extern))

        for name, extern in component.imports.items():
            if unversioned(name) in first:
                walk((unversioned(name),), plain(extern))
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
        self._handle_of(component, Component, "component")
        missing: dict[str, Any] = {}
        for name, extern in component.imports.items():
            item, tracked = plain(extern), unversioned(name)
            if (
                tracked in self._traps
                or (self._wasi and name.startswith(PREVIEW2))
                or (self._wasi_http and name.startswith(HTTP))
                or isinstance(item, ValType)
            ):
                continue
            if isinstance(item, ComponentInstanceType):
                for inner, inner_extern in item.exports(component.engine).items():
                    part = plain(inner_extern)
                    if isinstance(part, ValType):
                        continue
                    if (tracked, unversioned(inner)) not in self._defined:
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
        lines = [f"    {name}: {describe(item)}" for name, item in missing.items()]
        hint = ""
        if any(name.startswith(HTTP) for name in missing):
            hint = (
                "\nFor wasi:http, call linker.add_wasi_http(), wasi.allow_http() on the store's "
                "WasiConfig, and store.set_wasi_http()."
            )
        if any(name.startswith(PREVIEW2) for name in missing):
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
        self._handle_of(component, Component, "component")
        plan = plan_imports(component, imports)
        with self.root() as root:
            define_plan(plan, root)


LinkerInstanceParent = Union[Linker, LinkerInstance]
