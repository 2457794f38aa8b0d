"""
The demonstration of the README: its program is fetched with pip alone, and gives the right answer.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from real_programs import registry

from ci import demo


@pytest.mark.network
def test_the_solver_finds_the_factors(capfd: pytest.CaptureFixture[str]) -> None:
    directory = registry.cache_directory()
    try:
        if registry.mode() == "off" and not (directory / "boolector.wasm").exists():
            pytest.skip("the solver is not cached, and WASMTIME_TEST_PROGRAMS=off")
        program: Path = demo.fetch(sys.executable, directory)
    except demo.Failed as error:
        if registry.mode() == "require":
            raise
        pytest.skip(f"the solver cannot be fetched: {error}")
    demo.solve(sys.executable, program)
    printed = capfd.readouterr().out
    assert "sat" in printed.split()
    assert "bv83 " in printed
    assert "bv97 " in printed
