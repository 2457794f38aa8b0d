"""Text for a terminal, some of whose words come from guests, and the standard streams."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

from .._printable import printable

__all__ = ["complain", "flush_results", "listed", "open_standard_streams", "show"]


def listed(names: Iterable[str]) -> str:
    """Names for a message, each in a form that a terminal does not obey."""
    return ", ".join(printable(name, layout="") for name in names)


def complain(message: str, kind: str = "error") -> None:
    """Tell the user what went wrong, on standard error if there is one."""
    try:
        if sys.stderr is not None:
            print(f"{kind}: {printable(message)}", file=sys.stderr, flush=True)
    except OSError:
        pass  # nobody is there to be told


def show(results: Iterable[str]) -> None:
    """Print what a function returned, a line each.

    A terminal gets it without what it would obey; everything else gets it as it is, as far as the
    encoding goes.
    """
    stream = sys.stdout
    if stream is None:
        return
    for result in results:
        text = printable(result) if stream.isatty() else result
        encoding = stream.encoding or "utf-8"
        print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream)
    stream.flush()


def open_standard_streams() -> None:
    """Give the guest an empty file for each standard stream that is closed.

    Otherwise the next file to be opened, one of this process's own, would be what the guest writes
    to.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def flush_results() -> None:
    """Write out what was printed, or forget it if that fails (its reader may have gone).

    Python would complain once more as it exits.
    """
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
