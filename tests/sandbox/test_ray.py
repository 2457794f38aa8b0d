"""
The example of a map over Ray, where Ray can be installed.
"""

from __future__ import annotations

import subprocess
import sys

import pytest
from support import CHECKOUT

pytest.importorskip("ray")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_example_adds_squares() -> None:
    command = [sys.executable, str(CHECKOUT / "examples" / "ray_map.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(sum(number * number for number in range(1000)))
