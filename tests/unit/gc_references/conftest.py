"""
The exports of the guest, for each test.
"""

from __future__ import annotations

from typing import Any, Callable

import pytest

from .guest import POINTS


@pytest.fixture
def exports(exports_of: Callable[..., Any]) -> Any:
    return exports_of(POINTS)
