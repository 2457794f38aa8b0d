"""Guest text made safe to show: in a terminal, in a log, in HTML.

What a guest wrote, and every name in its module, may hold escape sequences, line ends, marks that
change the direction of writing, and HTML. Nothing of it is obeyed where it is shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Union

__all__ = ["LAYOUT", "clip", "html_table", "one_line", "printable"]

#: What a text may hold besides what can be printed: messages are laid out with these.
LAYOUT = "\n\t"


def printable(text: str, layout: str = LAYOUT) -> str:
    r"""Text in which a terminal finds nothing to obey.

    Control characters, marks that turn the direction of writing, invisible characters and lone
    surrogates are escaped as in Python.

    Args:
        text: The text.
        layout: Characters that stay as they are nevertheless.

    >>> from wasmtime._printable import printable
    >>> printable("a\x1b[31mb")
    'a\\x1b[31mb'
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char in layout else repr(char)[1:-1] for char in text
    )


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
    from html import escape

    lines = [
        f"<tr><th>{escape(name)}</th><td><pre>{escape(_shown(value))}</pre></td></tr>"
        for name, value in rows
        if value
    ]
    return f"<table><caption>{escape(printable(title))}</caption>{''.join(lines)}</table>"


def _shown(value: Union[str, bytes, None]) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value or ""
    return clip(printable(text), 10_000)
