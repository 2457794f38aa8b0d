"""Stores: where WebAssembly lives and runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Optional, Union

from ._engine import Engine
from ._error import ArgumentTypeError, WasmtimeError, expect
from ._managed import Managed
from ._native import check, core, ffi, integer, lib, unsigned

if TYPE_CHECKING:
    from ._func import Caller
    from ._wasi import WasiConfig

__all__ = [
    "BorrowedStore",
    "Store",
    "StoreContext",
    "Storelike",
    "door",
    "engine_of",
    "store_of",
]

_MAX_U64 = 2**64 - 1
_MAX_I64 = 2**63 - 1


class Store(core.Store, Managed):
    """A world for instances: everything that WebAssembly code makes or uses at run time.

    Functions, memories, tables, globals and instances live in one store, can be used with that
    store only, and end with it. A store serves one thread at a time: the first use from a second
    thread while it is in use raises, and so does `close` by what it is running.

    Python objects that the store reaches (host functions, the objects behind externrefs, `data`)
    are part of Python's garbage collection: a cycle through a store is collected.

    Args:
        engine: The engine whose modules the store runs; None for a new one with the default
            configuration.
        data: Any object, which `data` returns.

    Raises:
        TypeError: `engine` is not an `Engine`.
        ValueError: `engine` is closed.

    C API: ``wasmtime_store_new``.
    """

    if TYPE_CHECKING:

        def __init__(self, engine: Optional[Engine] = None, data: Optional[Any] = None) -> None: ...

    @property
    def engine(self) -> Engine:
        """The engine that this store was made with."""
        engine: Engine = self._engine
        return engine

    #: What `set_limits` came to, -1 for no bound, for `__repr__`: memory size, table elements,
    #: instances, tables, memories.
    _bounds: tuple[int, ...] = ()

    def __repr__(self) -> str:
        from ._display import store_text

        return store_text(self)

    def gc(self) -> None:
        """Collect what WebAssembly no longer references.

        These are objects behind externrefs, and GC structs and arrays. This happens by itself from
        time to time; it need not be called.

        Raises:
            ValueError: The store is closed.
            WasmtimeError: The store is in use by another thread.
        """
        self._collect()

    def set_fuel(self, fuel: int) -> None:
        """Set how much fuel is left.

        Most WebAssembly instructions use one unit; a trap ends the code that runs out.

        Args:
            fuel: Units, 0 ... 2**64-1.

        Raises:
            WasmtimeError: The engine was not configured with `Config.consume_fuel`.
            OverflowError: `fuel` is out of range.
            ValueError: The store is closed.
        """
        fuel = unsigned("fuel", fuel)
        with door(self) as context:
            check_fuel(lib.wasmtime_context_set_fuel(context, fuel))

    def get_fuel(self) -> int:
        """How much fuel is left.

        Raises:
            WasmtimeError: The engine was not configured with `Config.consume_fuel`.
            ValueError: The store is closed.
        """
        fuel = ffi.new("uint64_t *")
        with door(self) as context:
            check_fuel(lib.wasmtime_context_get_fuel(context, fuel))
        return int(fuel[0])

    def add_fuel(self, fuel: int) -> None:
        """Add fuel to what is left.

        Args:
            fuel: Units to add, 0 ... 2**64-1; the sum must stay in that range.

        Raises:
            WasmtimeError: The engine was not configured with `Config.consume_fuel`.
            OverflowError: `fuel` or the sum is out of range.
            ValueError: The store is closed.
        """
        fuel = unsigned("fuel", fuel)
        total = self.get_fuel() + fuel
        if total > _MAX_U64:
            raise OverflowError(f"fuel: {fuel} more than what is left exceeds 2**64-1")
        self.set_fuel(total)
        self._fuel_added = getattr(self, "_fuel_added", 0) + fuel

    def fuel_consumed(self) -> int:
        """How much of the fuel that `add_fuel` added has been used.

        A call of `set_fuel` in between does not count as adding.

        Raises:
            WasmtimeError: The engine was not configured with `Config.consume_fuel`.
            ValueError: The store is closed.
        """
        left = self.get_fuel()
        return max(0, getattr(self, "_fuel_added", 0) - left)

    def set_fuel_async_yield_interval(self, interval: Optional[int]) -> None:
        """Let asynchronous calls give way each time that they have used this much fuel.

        Args:
            interval: Units of fuel, at least 1, or None to never give way.

        Raises:
            WasmtimeError: The engine was not configured with `Config.consume_fuel`.
            ValueError: `interval` is 0, or the store is closed.
        """
        value = 0 if interval is None else unsigned("interval", interval)
        if interval is not None and value == 0:
            raise ValueError("interval must be at least 1, or None")
        with door(self) as context:
            check(lib.wasmtime_context_fuel_async_yield_interval(context, value))

    def set_wasi(self, wasi: WasiConfig) -> None:
        """Give this store a WASI environment, for what `Linker.define_wasi` defines.

        Args:
            wasi: The configuration. It is read now.

        Raises:
            TypeError: `wasi` is not a `WasiConfig`.
            WasmtimeError: Something that it names cannot be opened any more, or a forked child
                cannot serve it.
            ValueError: The store or the configuration is closed.
        """
        from . import _wasi

        expect(wasi, _wasi.WasiConfig, "wasi")
        wasi._check_open()
        library = self._engine._config.library_wasi
        _wasi.fork.note_library()
        if library or wasi._preopens:
            _wasi.fork.note_store(self)
        if library:
            _wasi.fork.check_library_wasi("Config.library_wasi")
        elif wasi._preopens:
            _wasi.fork.prepare_files()
        self._give_wasi(wasi, library)

    def _give_wasi(self, wasi: WasiConfig, library: bool) -> None:
        wasi._take_outputs()
        self._set_wasi(None if library else wasi._own(self._engine))
        self._give_native_wasi(wasi, streams=library)
        self._component_wasi = None if library else wasi._snapshot()
        self._wasi_needs_threads = library
        self._wasi_needs_files = bool(wasi._preopens)
        self._http_allowed = wasi._http
        self._has_wasi_http = False

    def _give_native_wasi(self, wasi: WasiConfig, streams: bool, components: bool = False) -> None:
        """Give the library's WASI a configuration, with the streams or without."""
        from ._wasi.native import make_native

        native, sinks = make_native(wasi, streams, self if components else None)
        self._take_wasi_config(native)
        self._has_wasi = True
        for pair in sinks:
            self._add_sink(pair)

    def _give_component_wasi(self) -> None:
        """Let the library serve the streams too, before a component is first instantiated."""
        from . import _wasi

        _wasi.fork.check_library_wasi("WASI preview 2")
        _wasi.fork.note_store(self)
        self._wasi_needs_threads = True
        wasi = self._component_wasi
        if wasi is None:
            return
        if self._forwards:
            raise WasmtimeError(
                "a module of this store may have files open, which a component's WASI would take "
                "from it: use another store for the component"
            )
        self._give_native_wasi(wasi, streams=True, components=True)
        self._component_wasi = None
        if self._has_wasi_http:
            with door(self) as context:
                lib.wasmtime_context_set_wasi_http(context)

    _component_wasi: Optional[WasiConfig] = None
    _wasi_needs_threads: bool = False
    _wasi_needs_files: bool = False

    def set_wasi_http(self) -> None:
        """Give this store a WASI HTTP environment, for components that use ``wasi:http``.

        A call of `set_wasi` takes it away again, for what is instantiated afterwards.

        Raises:
            WasmtimeError: `set_wasi` has not been called, or its configuration does not allow HTTP
                requests (`WasiConfig.allow_http`).
            ValueError: The store is closed.
        """
        with door(self) as context:
            if not self._has_wasi:
                raise WasmtimeError(
                    "set_wasi_http() needs WASI: call store.set_wasi(WasiConfig()) before it"
                )
            if not self._http_allowed:
                raise WasmtimeError(
                    "HTTP is not allowed in this store, and would reach every server that this "
                    "process reaches: call wasi.allow_http() on the WasiConfig before "
                    "store.set_wasi(wasi)"
                )
            lib.wasmtime_context_set_wasi_http(context)
        self._has_wasi_http = True

    _has_wasi_http: bool = False
    _http_allowed: bool = False

    def set_epoch_deadline(
        self, ticks_after_current: Optional[int] = None, *, ticks: Optional[int] = None
    ) -> None:
        """End WebAssembly code with a trap when the engine's epoch has moved this often from now.

        Without a deadline, code is never ended by the epoch, unless `Config.epoch_interruption`
        was set to True explicitly: then a store must be given a deadline before anything runs.

        Args:
            ticks_after_current: How many calls of `Engine.increment_epoch` from now, 0 ... 2**64-1;
                0 ends code at once.
            ticks: The same, under the name that older descriptions of this method give it.

        Raises:
            OverflowError: Out of range.
            WasmtimeError: The engine was made with `Config.epoch_interruption` False.
            ValueError: The store is closed.
        """
        if (ticks_after_current is None) == (ticks is None):
            raise TypeError("set_epoch_deadline() takes one number of ticks")
        if ticks_after_current is None:
            ticks_after_current = ticks
        self._set_epoch_deadline(unsigned("ticks_after_current", ticks_after_current))

    def set_epoch_deadline_callback(self, callback: Optional[Callable[[], int]]) -> None:
        """Ask `callback` at the epoch deadline instead of trapping.

        Args:
            callback: Called on the thread that runs the code. It returns how many epochs to go on
                for, 0 to trap; what it raises arrives at the call. None: trap, as before.

        Raises:
            TypeError: `callback` is not callable.
            ValueError: The store is closed.

        C API: ``wasmtime_store_epoch_deadline_callback``.
        """
        self._set_epoch_callback(callback)

    def set_timeout(self, seconds: Optional[float]) -> None:
        """Give each call into this store so much time.

        The time is that of the clock on the wall. It begins with the outermost entry (a call, a
        bound call, an instantiation with its start function) and counts all that happens in it:
        computing, sleeping, reading, host functions, the time in which an asynchronous call is
        suspended. Calls that are nested in another share its time. When it is up, the guest ends
        with `TimeoutTrap`; the next call has the full time again. Other stores of the engine
        notice nothing, and deadlines by epochs (`set_epoch_deadline`) stay what they are.

        A Python host function is not ended in its middle: the guest ends when it returns. What else
        cannot be stopped is listed in docs/time.md.

        Args:
            seconds: Greater than 0; None lifts the timeout. What runs already, where a host
                function calls this, has so much from now on.

        Raises:
            TypeError: `seconds` is not a number.
            ValueError: It is 0, negative or not a number (NaN), or the store is closed.
            WasmtimeError: The engine was made with `Config.epoch_interruption` False; or no native
                thread can be started to see to it.

        Example::

            store.set_timeout(0.5)
            try:
                run(store)
            except wasmtime.TimeoutTrap:
                print("it took too long")
        """
        self._set_timeout(seconds)

    def interrupt(self) -> None:
        """End what this store is running, with `InterruptTrap`.

        It may be called from any thread, from signal handlers, event loops and host functions, and
        returns at once. The guest ends at its next loop or function call, or in the middle of a
        sleep or a read; a Python host function ends when it returns. If nothing runs, nothing
        happens: the next call is not affected.

        Raises:
            WasmtimeError: The engine was made with `Config.epoch_interruption` False.

        Example::

            threading.Timer(5, store.interrupt).start()
        """
        super().interrupt()

    @property
    def timeout(self) -> Optional[float]:
        """The seconds that `set_timeout` gave, or None."""
        return self._timeout

    def set_limits(
        self,
        memory_size: int = -1,
        table_elements: int = -1,
        instances: int = -1,
        tables: int = -1,
        memories: int = -1,
        total_memory: int = -1,
    ) -> None:
        """Bound what the code in this store can allocate from now on.

        What would exceed a bound fails: instantiation raises, ``memory.grow`` and ``table.grow``
        return -1 to WebAssembly. A call replaces all bounds of the call before. What is not given
        is not bounded, and the growth of a shared memory never is: `Config.shared_memory` is off by
        default. Instances and memories that the package makes for itself do not count.

        `total_memory` bounds all linear memories together. The library knows the size of each
        memory and their number only, so the sum is divided: there may be one memory, which may use
        all of it; or, with ``memories=n``, as many as `n`, each of which may use an n-th. What you
        make yourself (`Memory`) may have such a share each, and is not counted. Tables
        and the heap of the GC proposal are not linear memories and have bounds beside it: the heap
        may be as large as one memory; and, unless `tables` or `table_elements` are given, there
        may be 16 tables, which together take as many bytes at most as `total_memory`.

        Args:
            memory_size: Bytes of each linear memory.
            table_elements: Elements of each table.
            instances: Number of instances.
            tables: Number of tables.
            memories: Number of linear memories.
                A negative number is no bound of that kind (for the last three: the library's
                default of 10 000).
            total_memory: Bytes of all linear memories together.

        Raises:
            OverflowError: A number exceeds 2**63-1.
            TypeError: Something is not an integer.
            ValueError: The store is closed.

        Example::

            store.set_limits(total_memory=64 << 20)

        C API: ``wasmtime_store_limiter``.
        """
        memory_size = _limit("memory_size", memory_size)
        table_elements = _limit("table_elements", table_elements)
        instances = _limit("instances", instances)
        tables = _limit("tables", tables)
        memories = _limit("memories", memories)
        total_memory = _limit("total_memory", total_memory)
        if total_memory >= 0:
            memories = 1 if memories < 0 else memories
            share = total_memory // max(memories, 1)
            memory_size = share if memory_size < 0 else min(share, memory_size)
            if tables < 0 and table_elements < 0:
                tables = _TABLES_OF_TOTAL
                table_elements = total_memory // (_TABLES_OF_TOTAL * _TABLE_ELEMENT_SIZE)
        self._set_limits(memory_size, table_elements, instances, tables, memories)
        self._bounds = (memory_size, table_elements, instances, tables, memories)


#: How ``set_limits(total_memory=)`` bounds tables: so many, of elements of so many bytes
#: at most.
_TABLES_OF_TOTAL = 16
_TABLE_ELEMENT_SIZE = 16


def check_fuel(pointer: Any) -> None:
    """Raise what a function about fuel answered: the engine counts none."""
    try:
        check(pointer)
    except WasmtimeError as error:
        raise WasmtimeError(
            f"{error.message}: set Config.consume_fuel before the engine is made"
        ) from None


class BorrowedStore(core.Caller):
    """Base of `Caller` and `StoreContext`: a store, for the length of a host call. Not public.

    All that it does raises ValueError when the host call has ended.
    """

    def data(self) -> Any:
        """The data of the store, as `Store.data`.

        Raises:
            ValueError: The host call has ended.
        """
        return self._store.data()

    def set_fuel(self, fuel: int) -> None:
        """Set how much fuel is left to the code that called, as `Store.set_fuel`.

        Args:
            fuel: Units, 0 ... 2**64-1.

        Raises:
            WasmtimeError: The engine was not configured with `Config.consume_fuel`.
            OverflowError: `fuel` is out of range.
            ValueError: The host call has ended.
        """
        self._store.set_fuel(fuel)

    def get_fuel(self) -> int:
        """How much fuel is left, as `Store.get_fuel`.

        Raises:
            WasmtimeError: The engine was not configured with `Config.consume_fuel`.
            ValueError: The host call has ended.
        """
        return self._store.get_fuel()

    def set_epoch_deadline(self, ticks_after_current: int) -> None:
        """Move the deadline of the code that called, as `Store.set_epoch_deadline`.

        Args:
            ticks_after_current: How many calls of `Engine.increment_epoch` from now, 0 ... 2**64-1.

        Raises:
            OverflowError: Out of range.
            WasmtimeError: The engine was made with `Config.epoch_interruption` False.
            ValueError: The host call has ended.
        """
        self._store.set_epoch_deadline(ticks_after_current)

    def set_timeout(self, seconds: Optional[float]) -> None:
        """Give the code that called so much time from now on, as `Store.set_timeout`.

        Args:
            seconds: Greater than 0; None lifts the timeout.

        Raises:
            TypeError: `seconds` is not a number.
            ValueError: It is 0, negative or not a number (NaN), or the host call has ended.
            WasmtimeError: The engine was made with `Config.epoch_interruption` False.
        """
        self._store.set_timeout(seconds)

    if TYPE_CHECKING:

        @property
        def _store(self) -> Store: ...


class StoreContext(BorrowedStore):
    """A store, for the length of a host call of a component.

    It can stand wherever a store is asked for, until the host call that it was made for returns;
    then it says so.
    """


if TYPE_CHECKING:
    Storelike = Union[Store, Caller, StoreContext]
else:
    Storelike = Union[Store, core.Caller]  # the base of the other two


def store_of(store: Storelike) -> Any:
    """The `Store` behind a store argument: itself, or the one that a Caller borrows.

    Raises:
        TypeError: It is no Store, Caller or StoreContext.
        ValueError: The Caller or StoreContext has expired.
    """
    if isinstance(store, core.Store):
        return store
    if isinstance(store, core.Caller):
        return store._store
    raise ArgumentTypeError(
        f"store must be a Store, Caller or StoreContext, not {type(store).__name__}"
    )


def engine_of(store: Storelike) -> Any:
    """The `Engine` of a store argument.

    Raises:
        TypeError: It is no Store, Caller or StoreContext.
        ValueError: The Caller or StoreContext has expired.
    """
    return store_of(store)._engine


def door(store: Storelike, *items: Any) -> Any:
    """The way into a store for calls through cffi.

    It is a context manager that gives the ``wasmtime_context_t *``. Inside, the store belongs to
    this thread; at the end, an exception that a host function below raised is raised again.

    Args:
        store: A Store, Caller or StoreContext.
        items: What is going to be used in it; each must live in this store.

    Raises:
        ValueError: The store is closed, or the Caller or StoreContext has expired.
        WasmtimeError: The store is in use by another thread, an item lives in another store, or
            this thread's stack is too small.
    """
    entrance = core.Door(store)
    home = store_of(store)
    if home._context_cdata is None:
        home._context_cdata = ffi.cast("wasmtime_context_t *", home._context_address)
    for item in items:
        item._belongs_to(store)
    return entrance


def _limit(name: str, value: Any) -> int:
    """A limit as the library takes it: -1 for every negative number, which is none."""
    number = integer(name, value)
    if number > _MAX_I64:
        raise OverflowError(f"{name}: {number} exceeds 2**63-1")
    return max(number, -1)
