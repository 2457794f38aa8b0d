"""Traps stay traps, whatever the program does with signals.

WebAssembly traps by faulting, and the library recognises its own faults in a signal handler. Python
programs replace the handlers of those signals (`signal.signal`, `faulthandler`), and block them
(`signal.pthread_sigmask`), which for a fault means the end of the process. This module sees both at
the moment when they happen, since looking at every call would cost more than the call:

- What the program installs is put below the library's handlers. It gets all faults that are no
  traps, and the signals that are sent.
- The signals of faults stay out of the masks that the program sets. A thread that has blocked them
  in another way, or before this package was imported, has them unblocked when it first enters
  WebAssembly.

The functions are exchanged in `_signal`, which those of `signal` look up at each call: it makes no
difference how, or how early, the program has imported them.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import faulthandler
import functools
import os
import sys
import time
from _thread import RLock
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from . import core

__all__ = ["fault_handlers", "watch_faults"]

_changing = RLock()


def _after_fork() -> None:
    global _changing
    _changing = RLock()


@contextmanager
def fault_handlers() -> Iterator[None]:
    """Surround the making of an engine, which may install the library's handlers of faults."""
    with _changing:
        core.faults(core.FAULTS_PREPARE)
        try:
            yield
        finally:
            core.faults(core.FAULTS_SETTLE)
            core.faults(core.FAULTS_COVERED)


@contextmanager
def _change(step: int) -> Iterator[None]:
    """Surround a change of the process's handlers."""
    with _changing:
        try:
            yield
        finally:
            core.faults(step)


def watch_faults() -> None:
    """See the changes that the program makes from here on. Called once, at import."""
    faulthandler.enable = _enable(faulthandler.enable)
    faulthandler.disable = _disable(faulthandler.disable)
    if os.name == "posix":  # what Windows has instead, nobody can block or take away
        os.register_at_fork(after_in_child=_after_fork)
        _signal.signal = _set_handler(_signal.signal)
        _signal.pthread_sigmask = _set_mask(_signal.pthread_sigmask)


def _enable(original: Any) -> Any:
    @functools.wraps(original)
    def enable(*args: Any, **kwargs: Any) -> None:
        with _changing:
            if core.faults(core.FAULTS_COVERED) and not faulthandler.is_enabled():
                _enable_unseen(original)
                try:
                    original(*args, **kwargs)  # only where and what to report, from here on
                except BaseException:
                    faulthandler.disable()
                    raise
            else:
                original(*args, **kwargs)

    return enable


def _enable_unseen(original: Any) -> None:
    """Let faulthandler come on top, and the library above it again, while other threads may trap.

    Between the two, a trap goes to faulthandler. The library gets it in the end, but not before
    faulthandler has reported. So it reports to nobody at first, and of the one thread that waits
    for it: to walk through the frames of a thread that runs may fault.
    """
    options = {"all_threads": False}
    if sys.version_info >= (3, 14):
        options["c_stack"] = False
    core.faults(core.FAULTS_COVERING)
    with _change(core.FAULTS_COVERED):
        original(_nowhere(), **options)
    time.sleep(0.01)  # for reports that have begun


@functools.lru_cache(None)
def _nowhere() -> int:
    """Return a descriptor of the null device, open as long as the process lives."""
    return os.open(os.devnull, os.O_WRONLY)


def _disable(original: Any) -> Any:
    @functools.wraps(original)
    def disable() -> Any:
        with _change(core.FAULTS_UNCOVERED if faulthandler.is_enabled() else core.FAULTS_COVERED):
            return original()

    return disable


def _set_handler(original: Any) -> Any:
    faults = _fault_signals()

    @functools.wraps(original)
    def set_handler(signalnum: Any, handler: Any, /) -> Any:
        if signalnum not in faults:
            return original(signalnum, handler)
        with _change(core.FAULTS_REPLACED):
            return original(signalnum, handler)

    return set_handler


def _set_mask(original: Any) -> Any:
    faults = _fault_signals()

    @functools.wraps(original)
    def set_mask(how: int, mask: Iterable[int], /) -> Any:
        if how != _signal.SIG_UNBLOCK:
            mask = [number for number in mask if number not in faults]
        return original(how, mask)

    return set_mask


def _fault_signals() -> tuple[int, ...]:
    return (_signal.SIGSEGV, _signal.SIGILL, _signal.SIGFPE, _signal.SIGBUS)
