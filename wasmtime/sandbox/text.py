"""Guest text made safe to show: in a terminal, in a log, in HTML.

What a guest wrote, and every name in its module, may hold escape sequences, line ends, marks that
change the direction of writing, and HTML. Nothing of it is obeyed where it is shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Union

from .._printable import printable

__all__ = ["clip", "html_table", "one_line", "printable"]


def one_line(text: str, length: int = 200) -> str:
    """Text for the line of a message: escaped, line ends too, and cut off where it is long."""
    return clip(printable(text, layout=""), length)


def clip(text: str, length: int) -> str:
    """Text that says by an ellipsis that there is more of it."""
    return text if len(text) <= length else text[:length] + "…"


def html_table(title: str, rows: Iterable[tuple[str, Union[str, bytes, None]]]) -> str:
    """A table of names and texts, all of them escaped; rows without text are left out.

    Args:
        title: The caption.
        rows: Names and texts; bytes are output of the guest.
    """
    lines = [
        f"<tr><th>{escape(name)}</th><td><pre>{escape(_shown(value))}</pre></td></tr>"
        for name, value in rows
        if value
    ]
    return f"<table><caption>{escape(printable(title))}</caption>{''.join(lines)}</table>"


def _shown(value: Union[str, bytes, None]) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value or ""
    return clip(printable(text), 10_000)
