"""Why a guest ended, as data."""

from __future__ import annotations

from enum import Enum

__all__ = ["Reason"]


class Reason(str, Enum):
    """Why a guest ended.

    Each member is its value, a `str` in lower case with hyphens, so it can be logged, stored and
    compared as one: ``str(Reason.OUT_OF_FUEL)`` is ``"out-of-fuel"``.

    Reasons are told apart by the types of exceptions and by what the sandbox itself did, never by
    the text of a message, which a guest could choose.
    """

    #: It came to its end, or called ``exit``; `Result.exit_code` tells with which status.
    EXITED = "exited"
    #: It did something that WebAssembly forbids: `Result.trap`.
    TRAPPED = "trapped"
    #: It used up its wall clock, computing, sleeping or reading.
    TIMEOUT = "timeout"
    #: It used up its fuel.
    OUT_OF_FUEL = "out-of-fuel"
    #: It failed with its memories within one page (64 KiB) of their limit, which is a heuristic.
    OUT_OF_MEMORY = "out-of-memory"
    #: It wrote more than a stream may have, where `ResourceLimits.on_output_limit` is ``"stop"``.
    OUTPUT_LIMIT = "output-limit"
    #: It filled a directory with more than the quota that `Directory` gives it.
    DISK_LIMIT = "disk-limit"
    #: The host stopped it.
    CANCELLED = "cancelled"
    #: A function of the host raised: `Result.exception`.
    HOST_ERROR = "host-error"
    #: The process that it ran in died, or said what no worker says.
    WORKER_LOST = "worker-lost"
    #: It was not accepted, or could not be instantiated: imports, limits, what does not compile.
    NOT_STARTED = "not-started"

    def __str__(self) -> str:
        return self.value
