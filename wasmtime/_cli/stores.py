"""What a program is given: a store with limits, and WASI."""

from __future__ import annotations

import argparse
import os
from typing import Callable, Optional

from .._engine import Engine
from .._store import Store
from .._wasi import WasiConfig

__all__ = ["environment_of", "make_store"]


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


def environment_of(options: argparse.Namespace) -> dict[str, str]:
    """The variables that the options give to a program."""
    environment = dict(os.environ) if options.inherit_env else {}
    for variable, value in options.variables:
        if value is None:
            value = os.environ.get(variable)
        if value is not None:
            environment[variable] = value
    return environment


def _wasi(options: argparse.Namespace) -> WasiConfig:
    wasi = WasiConfig()
    name = options.argv0 or os.path.basename(options.program)
    wasi.argv = [name] if options.invoke is not None else [name, *options.arguments]
    wasi.env = environment_of(options)
    wasi.inherit_stdin()
    _set_output(wasi, options.output_limit)
    if options.seed is not None:
        wasi.random_seed = options.seed
    if options.clock is not None:
        wasi.clock = options.clock
    for directory in options.directories:
        wasi.preopen_dir(directory.host, directory.guest, directory.perms)
    if options.network:
        wasi.inherit_network()
    if options.http:
        wasi.allow_http()
    return wasi


def _set_output(wasi: WasiConfig, limit: Optional[int]) -> None:
    """Give the guest this process's streams of output, each for so many bytes."""
    if limit is None:
        wasi.inherit_stdout()
        wasi.inherit_stderr()
    else:
        wasi.stdout_custom(_writer(1), limit=limit, on_limit="stop")
        wasi.stderr_custom(_writer(2), limit=limit, on_limit="stop")


def _writer(descriptor: int) -> Callable[[bytes], int]:
    return lambda data: os.write(descriptor, data)
