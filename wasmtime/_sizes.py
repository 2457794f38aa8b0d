"""Numbers of bytes as people write them: the one rule for limits, quotas and the command line.

Units are those of the standards, in letters of either case: ``kB``, ``MB``, ``GB`` and ``TB`` are
powers of 1000, ``KiB``, ``MiB``, ``GiB`` and ``TiB`` powers of 1024. The B may be missing.
"""

from __future__ import annotations

import re

__all__ = ["read_size"]

_SIZE = re.compile(r"\s*([0-9]+)(\.[0-9]+)?\s*([kmgt]?)(i?)b?\s*", re.ASCII | re.IGNORECASE)
_PREFIXES = ("", "k", "m", "g", "t")


def read_size(text: str) -> int:
    """Read a number of bytes.

    Args:
        text: Digits, perhaps with a fraction, and perhaps a unit: ``65536``, ``64 MiB``, ``1.5G``.

    Raises:
        ValueError: It is text of another form.
    """
    found = _SIZE.fullmatch(text)
    if found is None or (found[4] and not found[3]):
        raise ValueError(f'{text!r} is not a size such as 65536, "64 MiB" or "1.5 GB"')
    unit: int = (1024 if found[4] else 1000) ** _PREFIXES.index(found[3].lower())
    return int(found[1]) * unit + round(float(found[2] or 0) * unit)
