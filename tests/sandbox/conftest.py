"""
Marks: which tests start worker processes.
"""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        parameters = getattr(item, "callspec", None)
        if parameters is not None and "process" in parameters.params.values():
            item.add_marker(pytest.mark.workers)
