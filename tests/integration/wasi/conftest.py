"""
Programs run with a configuration of WASI.
"""

from __future__ import annotations

import functools
from typing import Any, Callable, Optional

import pytest

from wasmtime import Config, Engine, ExitTrap, Func, Linker, Module, Store, WasiConfig

_ENGINES = {
    "own": Engine(),
    "library": Engine(Config(library_wasi=True)),
}


@pytest.fixture(params=_ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    """
    An engine whose guests are served by the package's own functions, or by the library's.
    """
    return _ENGINES[request.param]


@pytest.fixture
def own() -> Engine:
    """
    An engine whose guests are served by the package's own functions.
    """
    return _ENGINES["own"]


@pytest.fixture
def start_of(engine: Engine) -> Callable[..., Any]:
    """
    Instantiate a program with a configuration; its start function, to be called without arguments.
    """

    def start_of(text: str, wasi: WasiConfig, store: Optional[Store] = None) -> Any:
        store = store or Store(engine)
        linker = Linker(engine)
        linker.define_wasi()
        store.set_wasi(wasi)
        instance = linker.instantiate(store, Module(engine, text))
        start = instance.exports(store)["_start"]
        assert isinstance(start, Func)
        return functools.partial(start, store)

    return start_of


@pytest.fixture
def run(start_of: Callable[..., Any]) -> Callable[..., int]:
    """
    Run a program with a configuration; the result is its exit status.
    """

    def run(text: str, wasi: WasiConfig, store: Optional[Store] = None) -> int:
        start = start_of(text, wasi, store)
        try:
            start()
        except ExitTrap as trap:
            return trap.code
        return 0

    return run


@pytest.fixture
def output_of(run: Callable[..., int]) -> Callable[..., bytes]:
    """
    Run a program with a configuration; the result is what it wrote to standard output.
    """

    def output_of(text: str, wasi: WasiConfig) -> bytes:
        output = wasi.capture_stdout()
        assert run(text, wasi) == 0
        return output.getvalue()

    return output_of
