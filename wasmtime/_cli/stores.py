"""What a program is given: a store with limits, and WASI."""

from __future__ import annotations

import argparse
import os

from .._engine import Engine
from .._store import Store
from .._wasi import WasiConfig

__all__ = ["make_store"]


def make_store(engine: Engine, options: argparse.Namespace) -> Store:
    """A store with the limits and the WASI environment that the options name."""
    store = Store(engine)
    if options.max_memory_size is not None:
        store.set_limits(memory_size=options.max_memory_size)
    if options.fuel is not None:
        store.set_fuel(options.fuel)
    if options.timeout is not None:
        store.set_epoch_deadline(1)
    store.set_wasi(_wasi(options))
    return store


def _wasi(options: argparse.Namespace) -> WasiConfig:
    wasi = WasiConfig()
    name = options.argv0 or os.path.basename(options.program)
    wasi.argv = [name] if options.invoke is not None else [name, *options.arguments]
    environment = dict(os.environ) if options.inherit_env else {}
    for variable, value in options.variables:
        if value is None:
            value = os.environ.get(variable)
        if value is not None:
            environment[variable] = value
    wasi.env = environment
    wasi.inherit_stdin()
    wasi.inherit_stdout()
    wasi.inherit_stderr()
    for directory in options.directories:
        wasi.preopen_dir(directory.host, directory.guest, directory.perms)
    if options.network:
        wasi.inherit_network()
    if options.http:
        wasi.allow_http()
    return wasi
