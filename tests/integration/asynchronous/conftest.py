"""
What the tests of asynchronous calls share.
"""

from __future__ import annotations

import pytest

from .guests import Guests


@pytest.fixture(scope="session")
def guests() -> Guests:
    return Guests()
