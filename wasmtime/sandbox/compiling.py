"""Compiling within a time limit.

The library cannot stop a compilation. So it runs on a thread, and the caller lets go of it when its
time is over; it runs on then, and uses a processor and memory until it is done. A few may do so at
a time, and while there are that many, nothing new is compiled: hostile code cannot take more of the
machine than that. In the process tier, the worker process compiles, and is killed.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future
from typing import Any, Callable, Optional

from .reasons import Reason
from .source import refusal
from .waiting import watch

__all__ = ["MOST_ABANDONED", "compile_within"]

#: How many compilations that nobody waits for may run on.
MOST_ABANDONED = 3

_lock = threading.Lock()
_abandoned: set[Future[Any]] = set()


def compile_within(seconds: Optional[float], name: str, job: Future[Any], start: Any) -> Any:
    """Wait for a compilation, which is started if it is not running.

    Args:
        seconds: How long to wait; None for as long as it takes.
        name: What is compiled, for errors.
        job: Gets what is compiled.
        start: What compiles, to be called on a thread; None if another thread has started it.

    Returns:
        What was compiled.

    Raises:
        SandboxError: It takes too long, or too many compilations run on that took too long.
        Exception: What compiling raised.
    """
    if start is not None:
        _check_abandoned(name, job)
        threading.Thread(
            target=_run, args=(job, start), name=f"compiling {name}", daemon=True
        ).start()
    wait = _Wait(job)
    watch(wait)
    if wait.ended.wait(seconds) and job.done():
        return job.result()
    _abandon(job)
    why = "was cancelled" if wait.ended.is_set() else f"takes longer than {seconds} s"
    raise refusal("TimeoutError", f"compiling {name} {why}: it goes on, and nobody waits for it")


class _Wait:
    """A wait for a compilation, which ends too when a coroutine is cancelled that waits for it."""

    def __init__(self, job: Future[Any]) -> None:
        self.ended = threading.Event()
        job.add_done_callback(lambda _: self.ended.set())

    def stop(self, reason: Reason) -> None:
        self.ended.set()


def _run(job: Future[Any], compile: Callable[[], Any]) -> None:
    try:
        job.set_result(compile())
    except BaseException as error:
        job.set_exception(error)


def _abandon(job: Future[Any]) -> None:
    with _lock:
        _abandoned.add(job)
    job.add_done_callback(_forget)


def _forget(job: Future[Any]) -> None:
    with _lock:
        _abandoned.discard(job)


def _check_abandoned(name: str, job: Future[Any]) -> None:
    with _lock:
        too_many = len(_abandoned) >= MOST_ABANDONED
    if too_many:
        refused = refusal(
            "RuntimeError",
            f"{name} is not compiled, because {MOST_ABANDONED} compilations that took too long "
            "are still running: try again later, or use isolation='process', which kills them",
        )
        job.set_exception(refused)
        raise refused


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()
    _abandoned.clear()  # their threads are the parent's


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
