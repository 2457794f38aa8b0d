"""
Pools: order, back pressure, warm instances, workers that die, closing.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
import time
from typing import Any

import pytest
import wasi_programs
from support import posix, until

from wasmtime.sandbox import Plugin, Pool, Program, Reason, ResourceLimits, SandboxError
from wasmtime.sandbox.worker import process

from . import guests

DOUBLE = """
(module (func (export "double") (param i32) (result i32)
  (i32.mul (local.get 0) (i32.const 2))))
"""
PATIENT = ResourceLimits(timeout=60)


class Gate:
    """
    A plug-in whose function ``pass`` waits in the host until it is let through.
    """

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.seen: list[int] = []
        self.plugin = Plugin(
            """(module (import "env" "wait" (func $wait (param i32)))
              (func (export "pass") (param i32) (call $wait (local.get 0))))""",
            functions={"wait": self._wait},
            limits=PATIENT,
        )

    def _wait(self, number: int) -> None:
        self.seen.append(number)
        assert self.opened.wait(60)


@pytest.mark.parametrize("isolation", guests.BOTH_TIERS)
def test_futures_have_the_results(isolation: Any) -> None:
    with Pool(Plugin(DOUBLE), workers=2, isolation=isolation) as pool:
        futures = [pool.submit("double", number) for number in range(20)]
        assert [future.result().value for future in futures] == [2 * n for n in range(20)]
        assert pool.metrics()["reasons"] == {"exited": 20}


def test_keywords_are_those_of_run() -> None:
    with Pool(Program(wasi_programs.CAT), workers=1) as pool:
        assert pool.submit(stdin="abc").result().stdout == b"abc"


def test_runs_are_first_in_first_out_and_a_full_queue_makes_submitters_wait() -> None:
    gate = Gate()
    with Pool(gate.plugin, workers=1, queue=2) as pool:
        futures = [pool.submit("pass", 0)]
        until(lambda: gate.seen == [0])
        futures += [pool.submit("pass", 1), pool.submit("pass", 2)]
        with pytest.raises(SandboxError, match="2 runs wait in the queue"):
            pool.submit_nowait("pass", 9)
        submitters = []
        for number in (3, 4):
            thread = threading.Thread(target=pool.submit, args=("pass", number))
            thread.start()
            submitters.append(thread)
            until(lambda number=number: pool.metrics()["queued"] == number)  # type: ignore[misc]
        assert all(thread.is_alive() for thread in submitters)
        assert pool.metrics()["running"] == 1
        gate.opened.set()
        for thread in submitters:
            thread.join(60)
    assert gate.seen == [0, 1, 2, 3, 4]
    assert all(future.result().ok for future in futures)


def test_a_future_that_is_cancelled_leaves_the_queue() -> None:
    gate = Gate()
    with Pool(gate.plugin, workers=1) as pool:
        pool.submit("pass", 0)
        until(lambda: gate.seen == [0])
        assert pool.submit("pass", 1).cancel()
        last = pool.submit("pass", 2)
        gate.opened.set()
        assert last.result().ok
        assert pool.metrics()["cancelled"] == 1
    assert gate.seen == [0, 2]


def test_a_guest_that_would_wait_for_its_own_pool_is_refused() -> None:
    raised: list[SandboxError] = []

    def again() -> None:
        pool.submit_nowait("run")
        try:
            pool.submit("run")
        except SandboxError as error:
            raised.append(error)

    plugin = Plugin(
        '(module (import "env" "again" (func $f)) (func (export "run") (call $f)))',
        functions={"again": again},
    )
    with Pool(plugin, workers=1, queue=1) as pool:
        pool.submit("run").result()
        pool.close(cancel=True)
    assert "wait in the queue" in str(raised[0])


@pytest.mark.parametrize("isolation", guests.TIERS)
def test_closing_can_end_what_runs_and_cancel_what_waits(isolation: Any) -> None:
    program = Program(guests.SPIN, limits=PATIENT)
    pool = Pool(program, workers=1, isolation=isolation)
    running, waiting = pool.submit(), pool.submit()
    until(lambda: pool.metrics()["running"] == 1)
    pool.close(cancel=True)
    assert running.result().reason is Reason.CANCELLED
    assert waiting.cancelled()
    with pytest.raises(SandboxError, match="closed"):
        pool.submit()


def test_closing_waits_for_what_was_submitted() -> None:
    pool = Pool(Plugin(DOUBLE), workers=1)
    futures = [pool.submit("double", number) for number in range(50)]
    pool.close()
    assert all(future.done() for future in futures)


@posix
def test_a_worker_that_dies_is_replaced_and_its_guest_is_run_again() -> None:
    asked: list[int] = []

    def ask() -> int:
        asked.append(1)
        if len(asked) == 1:
            _kill_workers()
        return len(asked)

    plugin = Plugin(
        '(module (import "env" "ask" (func $f (result i32)))'
        ' (func (export "run") (result i32) (call $f)))',
        functions={"ask": ask},
        limits=PATIENT,
    )
    with Pool(plugin, workers=1, isolation="process") as pool:
        assert pool.submit("run").result().value == 2
        assert pool.metrics()["workers_lost"] == 1
        assert pool.metrics()["reasons"] == {"exited": 1}
    asked.clear()
    with Pool(plugin, workers=1, isolation="process", retries=0) as pool:
        assert pool.submit("run").result().reason is Reason.WORKER_LOST
        assert pool.submit("run").result().value == 2


def _kill_workers() -> None:
    for worker in list(process._workers):
        if worker.is_alive:
            os.kill(worker._process.pid, signal.SIGKILL)


@pytest.mark.parametrize("isolation", guests.BOTH_TIERS)
def test_warm_instances_are_used_once_each(isolation: Any) -> None:
    with Pool(Plugin(guests.COUNTER), workers=1, warm=3, isolation=isolation) as pool:
        assert pool.metrics()["warm"] == 3
        assert [pool.submit("next").result().value for _ in range(5)] == [1] * 5
        until(lambda: pool.metrics()["warm"] == 3)


@pytest.mark.parametrize("isolation", guests.TIERS)
def test_warm_programs_get_the_world_of_their_run(isolation: Any) -> None:
    program = Program(wasi_programs.CAT)
    with Pool(program, workers=1, warm=2, isolation=isolation) as pool:
        for text in (b"one", b"two", b"three"):
            assert pool.submit(stdin=text).result().stdout == text


def test_the_time_of_a_warm_instance_begins_with_its_run() -> None:
    program = Program(guests.QUIET, limits=ResourceLimits(timeout=0.5))
    with Pool(program, workers=1, warm=1) as pool:
        time.sleep(0.6)
        result = pool.submit().result()
    assert result.text == "hello"
    assert result.duration < 0.5


def test_a_warm_instance_has_the_limits_of_its_run() -> None:
    program = Program(guests.SPIN, limits=PATIENT)
    with Pool(program, workers=1, warm=1) as pool:
        short = ResourceLimits(timeout=0.05)
        assert pool.submit(limits=short).result().reason is Reason.TIMEOUT


def test_code_that_runs_when_it_is_instantiated_cannot_wait() -> None:
    plugin = Plugin('(module (func $start) (start $start) (func (export "run")))')
    with pytest.raises(SandboxError, match="start function"):
        Pool(plugin, warm=1)


def test_more_warm_instances_than_fit_are_refused_with_the_number_that_fits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from wasmtime.sandbox.pools import ahead

    mapped = iter([1000, 1000 + 2 * ahead._SAMPLE])
    monkeypatch.setattr(ahead, "_mappings", lambda: next(mapped))
    monkeypatch.setattr(ahead, "_most_mappings", lambda: 5000)
    with pytest.raises(SandboxError, match=r"100000 warm instances .* use warm=1000$"):
        Pool(Plugin(DOUBLE), warm=100_000)


def test_coroutines_wait_their_turn_and_the_loop_goes_on() -> None:
    async def ask(number: int) -> int:
        await asyncio.sleep(0)
        return number + 1

    plugin = Plugin(
        '(module (import "env" "ask" (func $f (param i32) (result i32)))'
        ' (func (export "run") (param i32) (result i32) (call $f (local.get 0))))',
        functions={"ask": ask},
    )

    async def main() -> list[Any]:
        with Pool(plugin, workers=2, queue=1) as pool:
            runs = [pool.run_async("run", number) for number in range(10)]
            return [result.value for result in await asyncio.gather(*runs)]

    assert asyncio.run(main()) == list(range(1, 11))


def test_a_coroutine_that_is_cancelled_ends_its_guest() -> None:
    async def main() -> None:
        with Pool(Program(guests.SPIN, limits=PATIENT), workers=1) as pool:
            running = asyncio.ensure_future(pool.run_async())
            waiting = asyncio.ensure_future(pool.run_async())
            while pool.metrics()["running"] == 0:
                await asyncio.sleep(0.005)
            waiting.cancel()
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            with pytest.raises(asyncio.CancelledError):
                await waiting
            while pool.metrics()["running"]:
                await asyncio.sleep(0.005)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"workers": 0}, ValueError),
        ({"workers": "2"}, TypeError),
        ({"queue": 0}, ValueError),
        ({"warm": -1}, ValueError),
        ({"retries": None}, TypeError),
        ({"isolation": "container"}, ValueError),
    ],
)
def test_arguments_are_checked(options: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=next(iter(options))):
        Pool(Plugin(DOUBLE), **options)


def test_what_is_no_guest_is_refused() -> None:
    with pytest.raises(TypeError, match="Program, Plugin or Interpreter"):
        Pool(guests.QUIET)  # type: ignore[arg-type]


def test_a_plugin_needs_the_name_of_a_function_and_has_no_keywords() -> None:
    with Pool(Plugin(DOUBLE), workers=1) as pool:
        with pytest.raises(TypeError, match="name of a function"):
            pool.submit(1)
        with pytest.raises(TypeError, match="keywords"):
            pool.submit("double", n=1)


def test_a_pool_that_nobody_has_ends_its_threads() -> None:
    pool = Pool(Plugin(DOUBLE), workers=2)
    assert pool.submit("double", 1).result().value == 2
    threads = pool._queue._threads
    del pool
    gc.collect()
    until(lambda: not any(thread.is_alive() for thread in threads))


def test_a_pool_of_an_interpreter_has_copies_of_its_state() -> None:
    from wasmtime.sandbox import Exports, Interpreter

    module = guests.text_plugin(
        body='(func (export "eval") (param i32 i32) (result i64)'
        " (i64.or (i64.shl (i64.extend_i32_u (local.get 0)) (i64.const 32))"
        " (i64.extend_i32_u (local.get 1))))"
    )
    echo = Interpreter(module, Exports("eval"))
    with Pool(echo, workers=1, warm=2) as pool:
        assert pool.submit("abc").result().value == "abc"
        assert [result.value for result in pool.map(["a", "b"])] == ["a", "b"]


@posix
def test_a_forked_child_is_told_that_the_pool_is_its_parents() -> None:
    from support import run_in_subprocess

    ended = run_in_subprocess(
        f"""
        import os
        from wasmtime.sandbox import Plugin, Pool, SandboxError
        pool = Pool(Plugin({DOUBLE!r}), workers=1)
        pool.submit("double", 1).result()
        pid = os.fork()
        if pid == 0:
            try:
                pool.submit("double", 1)
            except SandboxError as error:
                pool.close()
                os._exit(0 if "forked" in str(error) else 1)
            os._exit(2)
        assert os.waitpid(pid, 0)[1] == 0
        assert pool.submit("double", 2).result().value == 4
        """
    )
    ended.check()
