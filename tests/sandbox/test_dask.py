"""
Maps over a Dask cluster of worker processes on this machine, some of which die.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from support import CHECKOUT

from wasmtime.sandbox import Plugin, Reason, ResourceLimits

from . import scaled

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform == "win32", reason="workers are killed by signals"),
]
PATIENT = ResourceLimits(timeout=60)


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """
    A client of two worker processes with one thread each.
    """
    options = {
        "distributed.logging.distributed": "critical",
        "distributed.scheduler.allowed-failures": 1,
    }
    # The workers are spawned, and import what the tests import.
    before = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    try:
        with dask.config.set(options):
            cluster = distributed.LocalCluster(
                n_workers=2, threads_per_worker=1, dashboard_address=None, memory_limit=0
            )
            with cluster, distributed.Client(cluster) as client:
                yield client
    finally:
        os.environ["PYTHONPATH"] = before


def double() -> Plugin:
    return Plugin(scaled.ASKING, functions={"look": scaled.kill_at_13}, limits=PATIENT)


def pids(client: Any) -> list[int]:
    return list(client.run(os.getpid).values())


def test_ten_thousand_inputs_come_back_in_order(client: Any) -> None:
    inputs = [number + 14 for number in range(10_000)]
    results = double().map("double", inputs, executor=client)
    assert [result.value for result in results] == [2 * number for number in inputs]


def test_nothing_is_lost_when_a_worker_is_killed_and_one_is_added(client: Any) -> None:
    inputs = [number + 14 for number in range(10_000)]
    results = double().map("double", inputs, executor=client.get_executor(), chunksize=100)
    taken = [next(results).value for _ in range(500)]
    os.kill(pids(client)[0], signal.SIGKILL)
    client.cluster.scale(3)
    taken += [result.value for result in results]
    assert taken == [2 * number for number in inputs]
    client.wait_for_workers(3, timeout=120)


def test_guests_that_never_end_and_odd_inputs_harm_nobody_else(client: Any) -> None:
    plugin = Plugin(
        '(module (func (export "run") (param i32) (loop (br_if 0 (local.get 0)))))',
        limits=ResourceLimits(timeout=0.2),
    )
    inputs: list[Any] = [number % 10 == 0 for number in range(50)]
    inputs[1], inputs[2] = scaled.Unpicklable(), scaled.Unloadable()
    results = list(plugin.map("run", inputs, executor=client))
    assert [result.reason for result in results[::10]] == [Reason.TIMEOUT] * 5
    assert "input 1, <an odd input>, cannot be pickled" in results[1].message
    assert "not here" in results[2].message
    assert sum(result.ok for result in results) == 43


def test_a_guest_that_always_kills_its_worker_is_told_from_the_others(client: Any) -> None:
    results = list(double().map("double", range(40), executor=client, chunksize=10))
    assert results[13].reason is Reason.WORKER_LOST
    assert "KilledWorker" in results[13].message
    values = [result.value for number, result in enumerate(results) if number != 13]
    assert values == [2 * number for number in range(40) if number != 13]


def test_the_example_converts_a_column() -> None:
    pytest.importorskip("dask.dataframe")
    command = [sys.executable, str(CHECKOUT / "examples" / "dask_udf.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "200000 rows, from -40.0 to 100.0"
    assert [line.partition(" ")[0] for line in lines[1:]] == ["exited", "not-started", "exited"]
