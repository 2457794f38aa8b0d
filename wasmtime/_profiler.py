"""A profiler for guests, whose results Firefox's profiler shows."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Union

from ._engine import Engine
from ._error import ArgumentTypeError, expect
from ._managed import Managed
from ._module import Module
from ._native import check, encode_name, ffi, lib, take_bytes
from ._store import Store, Storelike, door, store_of

__all__ = ["GuestProfiler"]

_MAX_SECONDS = 2**63 // 10**9


class GuestProfiler(Managed):
    """Samples what a guest is doing, and writes it as JSON for https://profiler.firefox.com.

    `sampling` does it all for a block of code; `sample` takes one sample, for programs that have
    their own way of being called at times (such as an epoch deadline callback). Samples are taken
    where compiled code looks at the epoch, at the starts of functions and loops, and in host
    functions. The profile names functions of the given modules only, and tells nothing else about
    this process.

    Args:
        engine: The engine of the modules.
        name: What the profile is called.
        modules: The modules whose functions appear: a mapping from names to modules, or pairs of
            them. Frames of others are left out.
        interval: Seconds between samples, greater than 0. `sampling` keeps to it; else it is only
            noted in the profile.

    Raises:
        TypeError: An argument is of a wrong type.
        ValueError: `interval` is not positive or is too long, a module is of another engine, or
            something is closed.

    Example:
        >>> from wasmtime import Engine, GuestProfiler, Instance, Module, Store
        >>> engine = Engine()
        >>> module = Module(engine, '(module (func (export "work")))')
        >>> store = Store(engine)
        >>> work = Instance(store, module, []).exports(store)["work"]
        >>> with GuestProfiler(engine, "example", {"guest": module}) as profiler:
        ...     with profiler.sampling(store):
        ...         work(store)
        ...     profile = profiler.finish()  # write it to a file and load that in the browser
        >>> profile[:1]
        b'{'

    C API: ``wasmtime_guestprofiler_new``.
    """

    __slots__ = ("_interval", "_lock")

    def __init__(
        self,
        engine: Engine,
        name: str,
        modules: Union[Mapping[str, Module], Iterable[tuple[str, Module]]],
        interval: float = 0.001,
    ) -> None:
        expect(engine, Engine, "engine")
        nanoseconds = _nanoseconds("interval", interval)
        if nanoseconds == 0:
            raise ValueError(f"interval must be greater than 0, not {interval!r}")
        title, keep_title = _name(name, "name")
        pairs = list(modules.items() if isinstance(modules, Mapping) else modules)
        native = ffi.new("wasmtime_guestprofiler_modules_t[]", max(len(pairs), 1))
        keep: list[object] = [keep_title]
        for entry, (module_name, module) in zip(native, pairs):
            expect(module, Module, f"modules: {module_name!r}")
            if module._engine is not engine:
                raise ValueError(f"modules: {module_name!r} belongs to another engine")
            handle = module._use()
            entry.name, keep_name = _name(module_name, "modules")
            entry.mod = ffi.cast("wasmtime_module_t *", handle.address)
            keep += [handle, entry.name, keep_name]
        engine_handle = engine._use()
        pointer = lib.wasmtime_guestprofiler_new(
            ffi.cast("wasm_engine_t *", engine_handle.address),
            title,
            nanoseconds,
            native,
            len(pairs),
        )
        del keep, engine_handle
        self._adopt("wasmtime_guestprofiler_t", pointer, engine)
        self._interval = nanoseconds / 1e9
        # The library lets one thread at a time use a profiler.
        self._lock = threading.RLock()

    def sample(self, store: Storelike, delta: float = 0.0) -> None:
        """Note what the store's guest is doing now, on this thread.

        Args:
            store: The store, while it runs: in an epoch deadline callback, or in a host function.
                A store that does not run gives a sample without frames.
            delta: Seconds of processor time that the guest used since the sample before; 0 if that
                is not known.

        Raises:
            TypeError: An argument is of a wrong type.
            ValueError: `delta` is negative or too large, or something is closed, or the store is
                of another engine.
            WasmtimeError: The store is in use by another thread.

        C API: ``wasmtime_guestprofiler_sample``.
        """
        nanoseconds = _nanoseconds("delta", delta)
        with door(store):
            home = store_of(store)
            if home._engine is not self._engine:
                raise ValueError("the store belongs to another engine than the profiler")
            with self._lock:
                handle = self._use()
                lib.wasmtime_guestprofiler_sample(
                    ffi.cast("wasmtime_guestprofiler_t *", handle.address),
                    ffi.cast("wasmtime_store_t *", home._address),
                    nanoseconds,
                )
                del handle  # under the lock: `finish` must find nobody who holds it

    @contextmanager
    def sampling(self, store: Store) -> Iterator[GuestProfiler]:
        """Sample the store's guest every `interval` seconds, during a ``with`` block.

        A thread moves the engine's epoch that often, and the store's epoch deadline callback takes
        the samples. So other stores of the engine that have an epoch deadline see it come sooner,
        and the store's own callback and deadline are replaced: afterwards it has neither a
        callback nor a deadline that could end it.

        Raises:
            TypeError: `store` is not a `Store`.
            ValueError: Something is closed, or the store is of another engine.
            WasmtimeError: The store is in use by another thread, or its engine was made with
                `Config.epoch_interruption` False.
        """
        expect(store, Store, "store")
        engine = self._engine
        if store.engine is not engine:
            raise ValueError("the store belongs to another engine than the profiler")
        self._use()
        used = time.thread_time_ns()

        def callback() -> int:
            nonlocal used
            now = time.thread_time_ns()
            # Of a call that moved to another thread nothing is known.
            self.sample(store, max(0, now - used) / 1e9)
            used = now
            return 1

        stop = threading.Event()

        def tick() -> None:
            while not stop.wait(self._interval):
                engine.increment_epoch()

        store.set_epoch_deadline(1)
        store.set_epoch_deadline_callback(callback)
        ticker = threading.Thread(target=tick, name="wasmtime-profiler", daemon=True)
        ticker.start()
        try:
            yield self
        finally:
            stop.set()
            ticker.join()
            if store._is_open:
                store.set_epoch_deadline_callback(None)
                store.set_epoch_deadline(2**64 - 1)

    def finish(self) -> bytes:
        """The profile, as JSON of Firefox's processed profile format. The profiler is closed by it.

        Raises:
            ValueError: The profiler is closed.
            WasmtimeError: The library could not write the profile.

        C API: ``wasmtime_guestprofiler_finish``.
        """
        out = ffi.new("wasm_byte_vec_t *")
        with self._lock:
            pointer = ffi.cast("wasmtime_guestprofiler_t *", self._release().disown())
            check(lib.wasmtime_guestprofiler_finish(pointer, out))
        return take_bytes(out)


def _name(value: object, what: str) -> tuple[object, object]:
    """A ``wasm_name_t *`` and the memory that it points to, which must be kept."""
    data = encode_name(value, what)
    buffer = ffi.from_buffer(data)
    return ffi.new("wasm_name_t *", {"size": len(data), "data": ffi.cast("char *", buffer)}), buffer


def _nanoseconds(what: str, seconds: object) -> int:
    """Seconds as an unsigned number of nanoseconds."""
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise ArgumentTypeError(f"{what} must be a number, not {type(seconds).__name__}")
    if not 0 <= seconds < _MAX_SECONDS:
        raise ValueError(f"{what}: {seconds!r} is not a number of seconds from 0 to 2**33")
    return round(seconds * 1e9)
