"""Linkers: imports resolved by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar

from ._artifacts.compiled import Compiled
from ._engine import Engine, engine_handle
from ._error import ExitTrap, WasmtimeError, expect
from ._exportable import AsExtern
from ._func import Func
from ._instance import Instance
from ._instance_pre import InstancePre
from ._link_errors import explain_link_error, import_names
from ._lookup import LookupInStore
from ._managed import Managed
from ._module import Module
from ._native import address_of, check, core, encode_name, ffi, lib
from ._store import Storelike, door, engine_of, store_of
from ._types import FuncType, ValType
from ._wasi_names import PREVIEW1

if TYPE_CHECKING:
    from ._wasi import WasiConfig

__all__ = ["Linker"]

#: As the names of modules are given to the library.
_PREVIEW1 = PREVIEW1.encode()

_HostFunction = TypeVar("_HostFunction", bound=Callable[..., Any])


class _AllowShadowing:
    """`Linker.allow_shadowing`, which programs assign to or call."""

    __slots__ = ("_linker",)

    def __init__(self, linker: Linker) -> None:
        self._linker = linker

    def __call__(self, enable: bool) -> None:
        self._linker._set_shadowing(enable)

    def __bool__(self) -> bool:
        return self._linker._shadowing

    def __eq__(self, other: object) -> bool:
        return bool(self) == other

    def __hash__(self) -> int:
        return hash(bool(self))

    def __repr__(self) -> str:
        return repr(bool(self))


class LinkerBase(core.Linker, Managed):
    """What the linkers of modules and of components share: an engine, and turns. Not public."""

    #: Of modules: the native linker for asynchronous calls, or None until it is needed again.
    _clone: Any = None

    @property
    def engine(self) -> Engine:
        """The engine that this linker was made with."""
        engine: Engine = self._engine
        return engine

    @contextmanager
    def _turn(self, changing: bool) -> Iterator[Any]:
        """The native linker, while nothing changes it, or nothing else uses it at all."""
        handle = self._begin(changing)
        if changing:
            self._clone = None
        try:
            yield handle.pointer
        finally:
            self._end(changing)

    def _changing(self) -> AbstractContextManager[Any]:
        """The native linker, while nothing else uses it."""
        return self._turn(changing=True)

    def _reading(self) -> AbstractContextManager[Any]:
        """The native linker, while nothing changes it.

        What is looked up for a use of it, beside it, is looked up inside: before or after it might
        not be the same.
        """
        return self._turn(changing=False)

    @contextmanager
    def _keeping(self, host: Any) -> Iterator[None]:
        """Keep what native code reaches through a definition that is made in this block.

        It is kept before the native linker can reach it; a definition that fails leaves it unused.
        """
        definitions = self._definitions
        definitions.append(host)
        try:
            yield
        except BaseException:
            definitions.remove(host)
            raise

    def _handle_of(self, item: Any, cls: type[Compiled], name: str) -> Any:
        """The handle of a module or component, which must be of this linker's engine.

        Args:
            item: The argument.
            cls: Its class.
            name: Its name, for errors.
        """
        handle = expect(item, cls, name)._use()
        if item._engine is not self._engine:
            raise WasmtimeError(
                f"{name} belongs to another engine than the linker: make both with the same Engine"
            )
        return handle


class Linker(LinkerBase, LookupInStore):
    """Names for what modules import, and the instantiation of modules with them.

    What is defined with a store (`define`, `define_instance`, `define_module`) ties the linker to
    that store; host functions (`define_func`) and WASI serve every store of the engine.

    A linker may be used by several threads, which take turns where one of them changes it; a
    function that the linker itself is running cannot change it, and a turn that does not come
    within a second raises.

    Args:
        engine: The engine whose modules are linked.

    Raises:
        TypeError: `engine` is not an Engine.
        ValueError: `engine` is closed.

    Example:
        >>> from wasmtime import Engine, FuncType, Linker, Module, Store, ValType
        >>> engine = Engine()
        >>> linker = Linker(engine)
        >>> linker.define_func("env", "log", FuncType([ValType.I32], []), print)
        >>> module = Module(engine, '''
        ...     (import "env" "log" (func $log (param i32)))
        ...     (func (export "run") (call $log (i32.const 42)))''')
        >>> store = Store(engine)
        >>> linker.instantiate(store, module).exports(store)["run"](store)
        42

    C API: ``wasmtime_linker_t``.
    """

    _shadowing: bool = False
    #: Whether a function defined here instantiates a module that calls Python, synchronously.
    _runs_programs: bool = False

    def __init__(self, engine: Engine) -> None:
        handle = engine_handle(engine)
        self._adopt("wasmtime_linker_t", lib.wasmtime_linker_new(handle.pointer), engine)
        # Native types and HostFuncs by name.
        self._host_functions: dict[tuple[bytes, bytes], tuple[Any, Any]] = {}
        # Names of what lives in a store, with the identity of that store.
        self._bound_items: dict[tuple[bytes, bytes], Any] = {}

    @property
    def allow_shadowing(self) -> Any:
        """Whether a definition may replace an earlier one of the same name; False at first.

        Both ``linker.allow_shadowing = True`` and ``linker.allow_shadowing(True)`` set it.

        Raises:
            TypeError: It is set to something else than a bool.
            ValueError: The linker is closed.
        """
        return _AllowShadowing(self)

    @allow_shadowing.setter
    def allow_shadowing(self, enable: bool) -> None:
        self._set_shadowing(enable)

    def _set_shadowing(self, enable: bool) -> None:
        expect(enable, bool, "allow_shadowing")
        with self._changing() as linker:
            lib.wasmtime_linker_allow_shadowing(linker, enable)
            self._shadowing = enable

    def define(self, store: Storelike, module: str, name: str, item: AsExtern) -> None:
        """Define an item by its name.

        Args:
            store: The store that the item lives in.
            module: First part of the name.
            name: Second part of the name.
            item: A Func, Memory, SharedMemory, Table, Global or Tag.

        Raises:
            WasmtimeError: The name is taken and `allow_shadowing` is off, the item lives in
                another store, or the store is of another engine.
            TypeError: An argument is of a wrong type.
            ValueError: The linker or the store is closed, or a name is not valid Unicode.

        C API: ``wasmtime_linker_define``.
        """
        module_name, field = encode_name(module, "module"), encode_name(name, "name")
        raw = ffi.new("wasmtime_extern_t *")
        with door(store) as context:
            self._check_engine(store)
            lent = core.lower_extern(store, item, address_of(raw))
            with self._changing() as linker:
                check(
                    lib.wasmtime_linker_define(
                        linker, context, module_name, len(module_name), field, len(field), raw
                    )
                )
                self._host_functions.pop((module_name, field), None)
                if lent is None:  # a shared memory lives in no store
                    self._tie(store, [(module_name, field)])
            del lent

    def define_func(
        self,
        module: str,
        name: str,
        ty: FuncType,
        func: Callable[..., Any],
        access_caller: bool = False,
    ) -> None:
        """Define a host function by its name, for every store.

        Args:
            module: First part of the name.
            name: Second part of the name.
            ty: The function's type.
            func: What to call, as for `Func`.
            access_caller: Give `func` a `Caller` as its first argument.

        Raises:
            WasmtimeError: The name is taken and `allow_shadowing` is off.
            TypeError: An argument is of a wrong type.
            ValueError: The linker is closed, or a name is not valid Unicode.

        C API: ``wasmtime_linker_define_func_unchecked``.
        """
        module_name, field = encode_name(module, "module"), encode_name(name, "name")
        expect(ty, FuncType, "ty")._check_engine(self._engine)
        native = ty._to_native()
        host = core.HostFunc(func, address_of(native), bool(access_caller))
        with self._changing() as linker:
            self._define_host(linker, module_name, field, native, host)

    def _define_host(
        self, linker: Any, module_name: bytes, field: bytes, native: Any, host: Any
    ) -> None:
        """Define a host function of a native type, while nothing else uses the linker."""
        define, callback_type = (
            (lib.wasmtime_linker_define_func_unchecked, "wasmtime_func_unchecked_callback_t")
            if host.raw
            else (lib.wasmtime_linker_define_func, "wasmtime_func_callback_t")
        )
        key = (module_name, field)
        with self._keeping(host):
            check(
                define(
                    linker,
                    module_name,
                    len(module_name),
                    field,
                    len(field),
                    native,
                    ffi.cast(callback_type, host.callback),
                    ffi.cast("void *", host.env),
                    ffi.NULL,
                )
            )
        shadowed = self._host_functions.get(key)
        self._host_functions[key] = native, host
        self._coroutines |= host.coroutine
        if shadowed is not None and len(self._definitions) >= 2 * len(self._host_functions):
            # The native linker has dropped what was replaced. Stores that may call it keep the
            # list as it was; this linker goes on with one without. (Not each time: making many
            # such lists takes long.)
            self._definitions = [host for _, host in self._host_functions.values()]
        self._bound_items.pop(key, None)

    def func(
        self, module: str, name: Optional[str] = None
    ) -> Callable[[_HostFunction], _HostFunction]:
        """Define the decorated Python function, whose annotations tell its WebAssembly type.

        ==============================  ============================================
        annotation                      WebAssembly type
        ==============================  ============================================
        `i32`, `i64`, `f32`, `f64`      the type of that name
        ``int``                         i32
        ``float``                       f64
        `Func`, ``Optional[Func]``      funcref
        ``object``, ``Any``             externref
        `Caller`, first parameter       none: the calling instance and its store
        ``tuple[...]``, as result       several results
        ``None``, as result             no result
        ==============================  ============================================

        Args:
            module: First part of the name.
            name: Second part of the name; None for the function's own name.

        Returns:
            A decorator that gives back the function itself.

        Raises when applied:
            TypeError: A parameter or the result has no annotation, or one that is not in the
                table.
            WasmtimeError: The name is taken and `allow_shadowing` is off.

        Example:
            >>> from wasmtime import Engine, Linker, i32
            >>> linker = Linker(Engine())
            >>> @linker.func("env")
            ... def add(a: i32, b: i32) -> i32:
            ...     return a + b
        """

        def define(func: _HostFunction) -> _HostFunction:
            from ._annotations import host_signature

            ty, access_caller = host_signature(func)
            field = func.__name__ if name is None else name
            self.define_func(module, field, ty, func, access_caller)
            return func

        return define

    def define_instance(self, store: Storelike, name: str, instance: Instance) -> None:
        """Define all exports of an instance under one first name.

        Args:
            store: The store that the instance lives in.
            name: First part of the names; the exports' own names are the second.
            instance: The instance.

        Raises:
            WasmtimeError: A name is taken and `allow_shadowing` is off, or the instance lives in
                another store.
            TypeError: An argument is of a wrong type.
            ValueError: The linker or the store is closed, or the name is not valid Unicode.

        C API: ``wasmtime_linker_define_instance``.
        """
        expect(instance, Instance, "instance")
        field = encode_name(name, "name")
        with door(store, instance) as context:
            self._check_engine(store)
            with self._changing() as linker:
                check(
                    lib.wasmtime_linker_define_instance(
                        linker,
                        context,
                        field,
                        len(field),
                        ffi.cast("wasmtime_instance_t *", instance._address),
                    )
                )
                self._tie(store, [(field, export.encode()) for export in instance.exports(store)])

    def define_wasi(
        self,
        store: Optional[Storelike] = None,
        config: Optional[WasiConfig] = None,
        *,
        wasi_config: Optional[WasiConfig] = None,
    ) -> None:
        """Define the functions of WASI preview 1, in ``wasi_snapshot_preview1``.

        ``linker.define_wasi()`` defines them; every store then needs its own `Store.set_wasi`.
        ``linker.define_wasi(store, config)`` does both at once for one store.

        Args:
            store: A store to give `config` to, or None.
            config: The `WasiConfig` for that store.
            wasi_config: The same, under another name.

        Raises:
            WasmtimeError: A name is taken and `allow_shadowing` is off, or something that the
                configuration names cannot be opened.
            TypeError: Only one of the two was given.
            ValueError: The linker, the store or the configuration is closed.

        C API: ``wasmtime_linker_define_wasi``.
        """
        if config is None:
            config = wasi_config
        elif wasi_config is not None:
            raise TypeError("define_wasi() takes config or wasi_config, not both")
        if (store is None) != (config is None):
            raise TypeError("define_wasi() takes a store and a config, or neither")
        from ._wasi import WasiConfig

        home: Any = None
        if store is not None:
            home = store_of(store)
            self._check_engine(home)
            expect(config, WasiConfig, "config")
        with self._changing() as linker:
            check(lib.wasmtime_linker_define_wasi(linker))
            self._wasi_defined = True
            self._define_ours(linker)
        if home is not None and config is not None:
            home.set_wasi(config)

    def _define_ours(self, linker: Any) -> None:
        """Put functions of ours in the place of the library's.

        Its exit loses a status above 125. What the others are for: csrc/core/wasi/wasi.h.
        """
        native = FuncType([ValType.I32], [])._to_native()
        host = core.HostFunc(_exit, address_of(native), False)
        lib.wasmtime_linker_allow_shadowing(linker, True)
        try:
            self._define_host(linker, _PREVIEW1, b"proc_exit", native, host)
            if not self._engine._config.library_wasi:
                core.define_own_wasi(self._use())
        finally:
            lib.wasmtime_linker_allow_shadowing(linker, self._shadowing)

    @property
    def _has_own_wasi(self) -> bool:
        return self._wasi_defined and not self._engine._config.library_wasi

    def _prepare_wasi(self, module: Module) -> None:
        """Have what a guest may need that forwards to the library; nothing is compiled later."""
        if self._has_own_wasi:
            from ._wasi.forwarding import prepare

            prepare(module)

    def define_module(self, store: Storelike, name: str, module: Module) -> None:
        """Instantiate a module and define its exports under one first name.

        A WASI command (a module that exports ``_start``) is instantiated anew for each call of one
        of its exports; a reactor once, and its ``_initialize`` is called now.

        Args:
            store: The store to instantiate in.
            name: First part of the names.
            module: The module, whose own imports this linker must define.

        Raises:
            WasmtimeError: An import is missing, or a name is taken and `allow_shadowing` is off.
            Trap: Initialisation trapped.
            TypeError: An argument is of a wrong type.
            ValueError: Something is closed, or the name is not valid Unicode.

        C API: ``wasmtime_linker_module``.
        """
        handle = self._handle_of(module, Module, "module")
        field = encode_name(name, "name")
        exports = [(field, entry.name.encode()) for entry in module.exports]
        is_program = (field, b"_start") in exports
        self._check_engine(store)
        if self._is_asynchronous(store):
            self._define_module_there(store, name, module, is_program)
            return
        with door(store) as context, self._changing() as linker:
            self._check_wasi(store, module._imports_wasi)
            self._prepare_wasi(module)
            self._for_store(store, linker)
            self._check_bound_items(store, module)
            check(lib.wasmtime_linker_module(linker, context, field, len(field), handle.pointer))
            if not is_program:  # that is instantiated by each call
                self._tie(store, exports)
            elif self._definitions:
                self._runs_programs = True

    def _define_module_there(
        self, store: Storelike, name: str, module: Module, is_program: bool
    ) -> None:
        """What `define_module` does where it has to link for asynchronous calls."""
        if is_program:
            raise WasmtimeError(
                "define_module() cannot define a program (a module that exports _start) where "
                "calls are asynchronous: instantiate it for each run"
            )
        instance = self._instantiate_there(store, module)
        initialize = instance.exports(store).get("_initialize")
        if isinstance(initialize, Func):
            initialize(store)
        self.define_instance(store, name, instance)

    async def instantiate_async(self, store: Storelike, module: Module) -> Instance:
        """As `instantiate`, for asynchronous calls: the event loop does other work meanwhile.

        The functions of the instance are called with `Func.call_async` afterwards. What this linker
        defines by Python functions may be ``async def`` and plain ones. All that is instantiated in
        the store from now on is linked for asynchronous calls.

        Args:
            store: The Store (or Caller) to instantiate in, of this linker's engine.
            module: The Module.

        Raises:
            WasmtimeError: As for `instantiate`; or functions of Python were linked into the store
                for synchronous calls before.
            Trap: The start function trapped.
            TypeError: An argument is of a wrong type.
            ValueError: The linker, the store or the module is closed.

        Example:
            >>> import asyncio
            >>> from wasmtime import Engine, Linker, Module, Store
            >>> linker = Linker(Engine())
            >>> @linker.func("env", "fetch")
            ... async def fetch(n: int) -> int:
            ...     await asyncio.sleep(0.01)
            ...     return n + 1
            >>> module = Module(linker.engine, '''
            ...     (import "env" "fetch" (func $fetch (param i32) (result i32)))
            ...     (func (export "run") (param i32) (result i32) (call $fetch (local.get 0)))''')
            >>> async def main():
            ...     store = Store(linker.engine)
            ...     instance = await linker.instantiate_async(store, module)
            ...     return await instance.exports(store)["run"].call_async(store, 41)
            >>> asyncio.run(main())
            42

        C API: ``wasmtime_linker_instantiate_async``.
        """
        call = self._call(store, module)
        try:
            instance: Instance = await call
        except WasmtimeError as error:
            raise explain_link_error(self, store, module, error) from error.__cause__
        return instance

    def _instantiate_there(self, store: Storelike, module: Module) -> Instance:
        """What `instantiate` does where it has to link for asynchronous calls."""
        call = self._call(store, module)
        try:
            instance: Instance = call._run()
        except WasmtimeError as error:
            raise explain_link_error(self, store, module, error) from error.__cause__
        return instance

    def _call(self, store: Storelike, module: Module) -> Any:
        """The `AsyncCall` that instantiates a module."""
        handle = self._handle_of(module, Module, "module")
        self._check_engine(store)
        self._prepare_wasi(module)
        with self._reading() as linker:
            self._check_wasi(store, module._imports_wasi)
            if module._imports_wasi and not self._has_own_wasi:
                store_of(store)._blocks = True  # the library's functions do
            self._check_bound_items(store, module)
            clone = self._for_calls(linker)
            return core.instantiate_async(store, clone, self._definitions, handle)

    def _for_calls(self, linker: Any) -> Any:
        """The Handle of the native linker for asynchronous calls, until the first changes."""
        clone = self._clone
        if clone is None:
            if self._runs_programs:
                raise WasmtimeError(
                    "this linker cannot serve asynchronous calls: a program that calls Python "
                    "functions was defined in it with define_module()"
                )
            from ._linking import clone_for_calls

            clone = self._clone = clone_for_calls(self, linker)
        return clone

    def _for_store(self, store: Any, linker: Any) -> Any:
        """The one of the two native linkers that serves a store, whose functions it lends to it."""
        home = store_of(store)
        if home._asynchronous:
            linker = self._for_calls(linker).pointer
        elif self._definitions:
            home._links_python = True
        home._keep(self._definitions)
        return linker

    def _choose_way(self, store: Storelike) -> None:
        """Let a store be asynchronous, if it has to be for what is defined here.

        It cannot become so in the middle of a call through cffi.
        """
        if self._definitions and self._is_asynchronous(store):
            core.make_asynchronous(store)

    def _is_asynchronous(self, store: Storelike) -> bool:
        """Whether what is linked into a store has to be linked for asynchronous calls."""
        return self._coroutines or core.links_asynchronously(store)

    def instantiate_pre(self, module: Module) -> InstancePre:
        """Resolve a module's imports now, to instantiate it many times later.

        Args:
            module: The module.

        Raises:
            WasmtimeError: Imports are missing or of a wrong type.
            TypeError: `module` is not a Module.
            ValueError: The linker or the module is closed.

        C API: ``wasmtime_linker_instantiate_pre``.
        """
        handle = self._handle_of(module, Module, "module")
        result = ffi.new("wasmtime_instance_pre_t **")
        pre = InstancePre.__new__(InstancePre)
        self._prepare_wasi(module)
        with self._reading() as linker:
            check(lib.wasmtime_linker_instantiate_pre(linker, handle.pointer, result))
            native = core.Handle("wasmtime_instance_pre_t", address_of(result[0]), result[0])
            pre._init(native, self, module)
            pre._for_calls = native
            if self._definitions:
                clone = self._for_calls(linker)
                check(lib.wasmtime_linker_instantiate_pre(clone.pointer, handle.pointer, result))
                pre._for_calls = core.Handle(
                    "wasmtime_instance_pre_t", address_of(result[0]), result[0]
                )
        return pre

    def get_default(self, store: Storelike, name: str) -> Func:
        """The function that a module defined with `define_module` runs as a program.

        It is the export ``""`` or ``_start``; one that does nothing if there is no such module.

        Args:
            store: The store.
            name: The name that the module was defined under.

        Raises:
            WasmtimeError: What is defined there has no default, or the store is of another engine.
            TypeError: `name` is not a str.
            ValueError: The linker or the store is closed.

        C API: ``wasmtime_linker_get_default``.
        """
        field = encode_name(name, "name")
        raw = ffi.new("wasmtime_extern_t *")
        raw.kind = lib.WASMTIME_EXTERN_FUNC
        self._choose_way(store)
        with door(store) as context:
            self._check_engine(store)
            with self._reading() as linker:
                self._check_tie(store, field, b"")
                self._check_tie(store, field, b"_start")
                native = self._for_store(store, linker)
                check(
                    lib.wasmtime_linker_get_default(
                        native, context, field, len(field), ffi.addressof(raw.of, "func")
                    )
                )
            func: Func = core.wrap_extern(store, address_of(raw))
        return func

    def get(self, store: Storelike, module: str, name: str) -> AsExtern:
        """What is defined by a name. `get_func` and the like look up an item of one kind.

        Args:
            store: The store to use it in.
            module: First part of the name.
            name: Second part of the name.

        Raises:
            WasmtimeError: Nothing is defined by that name, or the store is of another engine.
            TypeError: A name is not a str.
            ValueError: The linker or the store is closed.

        C API: ``wasmtime_linker_get``.
        """
        item = self._lookup(store, encode_name(module, "module"), encode_name(name, "name"))
        if item is None:
            raise WasmtimeError(f"item not defined in linker: {module!r} {name!r}")
        return item

    def _lookup(self, store: Storelike, module_name: bytes, field: bytes) -> Optional[AsExtern]:
        raw = ffi.new("wasmtime_extern_t *")
        self._choose_way(store)
        with door(store) as context:
            self._check_engine(store)
            with self._reading() as linker:
                self._check_wasi(store, module_name == _PREVIEW1)
                self._check_tie(store, module_name, field)
                native = self._for_store(store, linker)
                found = lib.wasmtime_linker_get(
                    native, context, module_name, len(module_name), field, len(field), raw
                )
            item: Optional[AsExtern] = core.wrap_extern(store, address_of(raw)) if found else None
        return item

    def define_unknown_imports_as_traps(self, module: Module) -> None:
        """Define each function that a module imports and that is not defined yet as one that traps.

        Args:
            module: The module.

        Raises:
            WasmtimeError: An import that is not a function is missing.
            TypeError: `module` is not a Module.
            ValueError: The linker or the module is closed.

        C API: ``wasmtime_linker_define_unknown_imports_as_traps``.
        """
        handle = self._handle_of(module, Module, "module")
        with self._changing() as linker:
            check(lib.wasmtime_linker_define_unknown_imports_as_traps(linker, handle.pointer))

    def define_unknown_imports_as_default_values(self, store: Storelike, module: Module) -> None:
        """Define each item that a module imports and that is not defined yet with a default.

        Functions return zeros and nulls, globals are zero, memories and tables are of their minimal
        size.

        Args:
            store: The store to make them in.
            module: The module.

        Raises:
            WasmtimeError: A type has no default, or the store is of another engine.
            TypeError: `module` is not a Module.
            ValueError: The linker, the store or the module is closed.

        C API: ``wasmtime_linker_define_unknown_imports_as_default_values``.
        """
        handle = self._handle_of(module, Module, "module")
        with door(store) as context:
            self._check_engine(store)
            unknown = [names for names in import_names(module) if self._is_unknown(store, *names)]
            with self._changing() as linker:
                check(
                    lib.wasmtime_linker_define_unknown_imports_as_default_values(
                        linker, context, handle.pointer
                    )
                )
                self._tie(store, unknown)

    def _check_engine(self, store: Storelike) -> None:
        if engine_of(store) is not self._engine:
            raise WasmtimeError(
                "store belongs to another engine than the linker: make both with the same Engine"
            )

    def _check_wasi(self, store: Any, needed: bool) -> None:
        """Refuse WASI's functions to a store that has not been given any: they would abort."""
        if needed and self._wasi_defined and not store_of(store)._has_wasi:
            raise WasmtimeError(
                "WASI is not configured in this store: call store.set_wasi(WasiConfig()) first"
            )

    def _tie(self, store: Any, names: Iterable[tuple[bytes, bytes]]) -> None:
        """Note that what has these names from now on lives in the store."""
        identity = store_of(store)._home
        names = list(names)
        for key in names:
            self._host_functions.pop(key, None)
        alone = not self._bound_items or self._bound_to is identity
        self._bound_items.update((key, identity) for key in names)
        if not alone:
            alone = all(tie is identity for tie in self._bound_items.values())
        self._bound_to = identity if alone else None

    def _check_tie(self, store: Any, module_name: bytes, field: bytes) -> None:
        """Refuse what lives in another store: the library does not look."""
        tie = self._bound_items.get((module_name, field))
        if tie is not None and tie is not store_of(store)._home:
            raise WasmtimeError(
                f"{module_name.decode()!r} {field.decode()!r} belongs to another store: what was "
                "defined with a store can only be used with that store"
            )

    def _check_bound_items(self, store: Any, module: Module) -> None:
        """Refuse a module that imports what lives in another store."""
        if self._bound_items:
            for names in import_names(module):
                self._check_tie(store, *names)

    def _is_unknown(self, store: Any, module_name: bytes, field: bytes) -> bool:
        tied = (module_name, field) in self._bound_items
        return not tied and self._lookup(store, module_name, field) is None


def _exit(status: int) -> None:
    raise ExitTrap(status)
