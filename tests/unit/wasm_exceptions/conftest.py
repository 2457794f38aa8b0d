"""
A guest in the test's store.
"""

from __future__ import annotations

import pytest

from wasmtime import Store

from .guest import Guest


@pytest.fixture
def guest(store: Store) -> Guest:
    return Guest(store)
