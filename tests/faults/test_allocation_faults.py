"""
Every allocation of CPython's allocators fails once, in every operation: what follows is
MemoryError, and nothing else is the worse for it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

try:
    import _testcapi
except ImportError:
    _testcapi = None

pytestmark = [
    # Seconds on an idle machine; minutes under the sanitizers beside other tests.
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        not hasattr(_testcapi, "set_nomemory"),
        reason="this CPython was built without _testcapi, which makes allocations fail",
    ),
    pytest.mark.skipif(
        sys.version_info < (3, 11),
        reason="CPython before 3.11 reports a lack of memory in PyErr_Format as another exception",
    ),
    pytest.mark.skipif(
        bool(getattr(sys, "_is_gil_enabled", lambda: True)()) is False,
        reason="a free-threaded CPython allocates objects by other ways",
    ),
]

HERE = Path(__file__).parent
#: Bytes that may stay allocated after a round of attempts; caches of the library differ a little
#: from round to round. One lost box of an externref would be 30 times 56.
NATIVE_NOISE = 1200


def run(tmp_path: Path, *names: str, program: str = "program.py") -> list[dict[str, Any]]:
    import subprocess

    progress = tmp_path / "progress"
    done = subprocess.run(
        [sys.executable, str(HERE / program), str(progress), *names],
        capture_output=True,
        text=True,
        timeout=290,
    )
    tried = progress.read_text().strip() if progress.exists() else "nothing"
    assert done.returncode == 0, f"status {done.returncode} at {tried}\n{done.stderr}"
    assert "panicked at" not in done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def complaints(result: dict[str, Any]) -> list[str]:
    """
    What is wrong with what one operation came to.
    """
    wrong = list(result["wrong"])
    if result["exact"] and result["left"]:
        wrong.append(f"objects that are left: {result['left']}")
    if result["exact"] and result["native_growth"] > NATIVE_NOISE:
        wrong.append(f"{result['native_growth']} bytes of native memory that are left")
    return [f"{result['name']}: {entry}" for entry in wrong]


@pytest.mark.slow
def test_every_failed_allocation_ends_in_memory_error_and_nothing_is_lost(tmp_path: Path) -> None:
    # Where Python code takes part, only with a version that does not crash by itself: 3.12 does
    # when it has no memory for a generator, and each has such places of its own.
    results = run(tmp_path, *([] if sys.version_info[:2] == (3, 11) else ["--exact"]))
    assert len(results) > 50
    assert sum(result["exact"] for result in results) > 50
    assert sum(result["allocations"] for result in results) > 500
    wrong = [entry for result in results for entry in complaints(result)]
    assert not wrong, "\n".join(wrong)


def test_the_harness_sees_what_is_lost(tmp_path: Path) -> None:
    (result,) = run(tmp_path, "keeps_a_reference", program="faulty.py")
    assert any("wasmtime._func.Func" in entry for entry in complaints(result))


def test_the_harness_sees_a_wrong_exception(tmp_path: Path) -> None:
    (result,) = run(tmp_path, "swaps_the_exception", program="faulty.py")
    assert any("KeyError" in entry for entry in complaints(result))


def test_the_harness_sees_a_store_that_stays_entered(tmp_path: Path) -> None:
    (result,) = run(tmp_path, "stays_inside", program="faulty.py")
    assert any("cannot be used and closed" in entry for entry in complaints(result))
