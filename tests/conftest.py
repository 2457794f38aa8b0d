"""
Fixtures that every test may ask for.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, Optional

import pytest
from support import CHECKOUT

from wasmtime import Engine, Instance, Module, Store

# For ci/, vendor/ and benchmarks/. Behind everything else: the installed package must not be
# shadowed by the checkout's.
sys.path.append(str(CHECKOUT))

#: Fixtures that fetch what is not in the cache.
FETCHING = {"wheel", "library"}


def pytest_configure(config: pytest.Config) -> None:
    """
    Shorten the races of a run without slow tests; in any other they take their full time.

    Shells let what they start in the background ignore Ctrl-C, which tests send to processes.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if "not slow" in config.option.markexpr:
        os.environ.setdefault("WASMTIME_SAFETY_RACES", "0.2")


@pytest.hookimpl(hookwrapper=True)
def pytest_collection() -> Iterator[None]:
    """
    Collect no garbage while tests are collected: there is none, and everything would be looked at.
    """
    gc.disable()
    yield
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """
    Mark as `network` what uses a fixture that fetches.
    """
    for item in items:
        if isinstance(item, pytest.Function) and FETCHING.intersection(item.fixturenames):
            item.add_marker(pytest.mark.network)


def pytest_collection_finish() -> None:
    """
    Let collections of garbage look at what tests make, and not at all modules each time.
    """
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: Optional[pytest.Item]) -> None:
    """
    The same after each file: modules that it imported, and reports, would be looked at ever after.
    """
    if nextitem is None or nextitem.path != item.path:
        gc.collect()
        gc.freeze()


@pytest.fixture(scope="session")
def wheel() -> Path:
    """
    The locked wheel of this platform, from the cache or the package index.
    """
    from vendor import fetch

    try:
        return fetch.wheel(log=lambda line: None)
    except fetch.FetchError as error:
        pytest.skip(f"the locked wheel cannot be had: {error}")


@pytest.fixture(scope="session")
def engine() -> Engine:
    """
    An engine with the default configuration; making one takes a while.
    """
    return Engine()


@pytest.fixture
def store(engine: Engine) -> Iterator[Store]:
    """
    A fresh store of `engine`.
    """
    with Store(engine) as store:
        yield store


@pytest.fixture
def exports_of(store: Store) -> Callable[..., Any]:
    """
    Instantiate a module, given as text, in `store`; its exports.
    """

    def exports_of(text: str, *imports: Any) -> Any:
        return Instance(store, Module(store.engine, text), imports).exports(store)

    return exports_of
