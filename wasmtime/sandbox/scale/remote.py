"""What runs where a batch arrives: in a thread of this process, or in a worker of an executor.

A worker keeps the targets that it was sent, by their hash, and compiles each once. It imports this
module, and needs nothing of ``__main__``.
"""

from __future__ import annotations

import pickle
import threading
from collections.abc import Sequence
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional, Union

from ..._printable import clip
from ..engines import Recent
from ..errors import SandboxError
from ..pools.targets import Input, input_of, refused, run_input
from ..reasons import Reason
from ..result import ExceptionInfo, Result
from .travel import Parcel, this_worker, unpack

if TYPE_CHECKING:
    from ..pools.targets import Target

__all__ = ["Lacking", "Report", "run_batch", "run_here", "run_parcel"]

#: How many targets a worker keeps.
_MOST_TARGETS = 32
_LONGEST = 2_000

_lock = threading.RLock()
_targets: Recent[Any] = Recent(_MOST_TARGETS)


class Report(NamedTuple):
    """What came of a batch.

    Attributes:
        results: Its results; pickled each, if they came from another process.
        seconds: How long they took.
        warnings: What the caller should be warned of.
    """

    results: list[Any]
    seconds: float
    warnings: tuple[str, ...] = ()

    def loaded(self) -> list[Result]:
        """The results, as the worker had them."""
        return [pickle.loads(each) for each in self.results]


class Lacking(NamedTuple):
    """A worker lacks what a guest is made of.

    Attributes:
        worker: Which worker it is.
    """

    worker: str


def run_batch(
    target: Target,
    name: Optional[str],
    inputs: Sequence[Any],
    run: Callable[[Input], Result],
) -> Report:
    """Run a guest for each input.

    Args:
        target: What runs.
        name: The function of a plug-in.
        inputs: The inputs.
        run: Runs one.
    """
    began = perf_counter()
    results = [_run(target, name, each, run) for each in inputs]
    return Report(results, perf_counter() - began)


def _run(target: Target, name: Optional[str], given: Any, run: Callable[[Input], Result]) -> Result:
    try:
        taken = input_of(target, given, name)
    except TypeError as error:
        return refused(error)
    return run(taken)


def run_here(target: Target, name: Optional[str], inputs: Sequence[Any], retries: int) -> Report:
    """Run a guest for each input, on this thread."""
    return run_batch(target, name, inputs, partial(run_input, target, retries=retries))


def run_parcel(
    parcel: Parcel, freight: Optional[bytes], sent: Sequence[Optional[bytes]]
) -> Union[Report, Lacking]:
    """Run a guest for each input that was sent, in a worker.

    Args:
        parcel: What runs.
        freight: What it is made of, if the worker has said that it lacks that.
        sent: The inputs, pickled each; None in the place of one that could not be.

    Returns:
        What came of it; or that this worker lacks what the guest is made of.
    """
    try:
        found = _find(parcel, freight)
    except SandboxError as error:
        return Report([_pickled(error.result)] * len(sent), 0.0)
    if found is None:
        return Lacking(this_worker())
    target, warned = found
    began = perf_counter()
    run = partial(run_input, target, retries=parcel.retries)
    results = [_pickled(_run_sent(target, parcel.name, each, run)) for each in sent]
    return Report(results, perf_counter() - began, warned)


def _find(parcel: Parcel, freight: Optional[bytes]) -> Optional[tuple[Any, tuple[str, ...]]]:
    """The target of a parcel, made if it is new here, and what there is to be warned of then."""
    with _lock:
        known = _targets.find(parcel.key)
        if known is not None:
            return known, ()
        made = unpack(parcel, freight)
        if made is not None:
            _targets.keep(parcel.key, made[0])
        return made


def _run_sent(
    target: Target, name: Optional[str], data: Optional[bytes], run: Callable[[Input], Result]
) -> Result:
    if data is None:
        return Result(Reason.NOT_STARTED)  # the caller knows why
    try:
        given = pickle.loads(data)
    except Exception as error:
        return _unfit("the input cannot be unpickled", error)
    return _run(target, name, given, run)


def _pickled(result: Result) -> bytes:
    try:
        return pickle.dumps(result, pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        return pickle.dumps(_unfit("what the guest returned cannot be pickled", error))


def _unfit(what: str, error: Exception) -> Result:
    text = clip(f"{what}: {type(error).__name__}: {error}", _LONGEST)
    return Result(Reason.NOT_STARTED, exception=ExceptionInfo(type(error).__name__, text))
