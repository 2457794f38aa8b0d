"""The queue of a pool: what waits for a thread, first in, first out.

It knows nothing of the pool, whose threads it keeps busy: so a pool that nobody has any more can be
collected, and its threads end.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from concurrent.futures import Future
from typing import Any, Callable, Optional

from ..source import refusal

__all__ = ["Queue"]


class _Job:
    """Something to do, and the future of what it returns."""

    __slots__ = ("admitted", "future", "work")

    def __init__(self, work: Callable[[], Any]) -> None:
        self.work = work
        self.future: Future[Any] = Future()
        self.admitted: Optional[threading.Event] = None

    def admit(self) -> None:
        """Let go whoever waits to submit it."""
        if self.admitted is not None:
            self.admitted.set()


class Queue:
    """Jobs that wait, and the threads that do them.

    Args:
        most: How many may wait; None for any number.

    Attributes:
        running: How many are being done.
        cancelled: How many were cancelled before they began.
    """

    def __init__(self, most: Optional[int]) -> None:
        self._most = most
        self._jobs: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._is_closed = False
        self._pid = os.getpid()
        self._threads: list[threading.Thread] = []
        self.running = self.cancelled = 0

    def __len__(self) -> int:
        return len(self._jobs)

    def start(self, count: int, name: str, begin: Callable[[int], None], idle: Any) -> None:
        """Start the threads.

        Args:
            count: How many.
            name: What they are called.
            begin: What each does first; it is given its number.
            idle: What they do while there are no jobs; it tells whether there was something to do.
        """
        for index in range(count):
            thread = threading.Thread(target=self._serve, args=(index, begin, idle), name=name)
            thread.daemon = True
            self._threads.append(thread)
        for thread in self._threads:
            thread.start()

    def put(self, work: Callable[[], Any], *, waits: bool, bounded: bool = True) -> Future[Any]:
        """Have a thread do something.

        Args:
            work: What to do.
            waits: Whether to wait while the queue is full; its place in the queue it has already.
            bounded: Whether it counts that the queue is full.

        Returns:
            The future of what `work` returns.

        Raises:
            SandboxError: The queue is closed; or it is full and must not be waited for, be it that
                one of its own threads would wait.
        """
        job = _Job(work)
        if self._pid != os.getpid():
            raise refusal("RuntimeError", "the pool is of the process that was forked: make one")
        with self._changed:
            if self._is_closed:
                raise refusal("RuntimeError", "the pool is closed")
            if bounded and self._most is not None and len(self._jobs) >= self._most:
                if not waits or threading.current_thread() in self._threads:
                    raise refusal("Full", f"{len(self._jobs)} runs wait in the queue of the pool")
                job.admitted = threading.Event()
            self._jobs.append(job)
            self._changed.notify()
        if job.admitted is not None:
            try:
                job.admitted.wait()
            except BaseException:
                job.future.cancel()
                raise
        return job.future

    def close(self, cancel: bool) -> None:
        """Take nothing more; cancel what waits, if asked to. The threads end behind the rest."""
        with self._changed:
            self._is_closed = True
            jobs = list(self._jobs) if cancel else []
            if cancel:
                self._jobs.clear()
                self.cancelled += len(jobs)
            self._changed.notify_all()
        for job in jobs:
            job.admit()
            job.future.cancel()

    def join(self, patience: float) -> bool:
        """Wait for the threads for some seconds; tell whether they have ended.

        In a forked child there are none; and a thread of the queue does not wait for itself.
        """
        if self._pid != os.getpid():
            return True
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(patience)
                if thread.is_alive():
                    return False
        return True

    # -- the threads

    def _serve(self, index: int, begin: Callable[[int], None], idle: Any) -> None:
        begin(index)
        while True:
            job = self._take(waits=False)
            if job is None and not idle():
                job = self._take(waits=True)
                if job is None:
                    return
            if job is not None:
                self._do(job)
            job = None  # whose result nobody may want any more

    def _take(self, waits: bool) -> Optional[_Job]:
        """The next job; None if there is none, or no more."""
        with self._changed:
            while waits and not self._jobs and not self._is_closed:
                self._changed.wait()
            if not self._jobs:
                return None
            job = self._jobs.popleft()
            if self._most is not None and len(self._jobs) >= self._most:
                self._jobs[self._most - 1].admit()
            job.admit()
            self.running += 1
            return job

    def _do(self, job: _Job) -> None:
        begun = False
        try:
            begun = job.future.set_running_or_notify_cancel()
            if begun:
                job.future.set_result(job.work())
        except BaseException as error:
            job.future.set_exception(error)
        finally:
            with self._changed:
                self.running -= 1
                self.cancelled += not begun
