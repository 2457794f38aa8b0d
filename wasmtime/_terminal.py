"""Text for a terminal, some of whose words come from guests."""

from __future__ import annotations

__all__ = ["printable"]

#: What a message may hold besides: our own are laid out with these.
_LAYOUT = "\n\t"


def printable(text: str, layout: str = _LAYOUT) -> str:
    """Text in which a terminal finds nothing to obey: control characters, marks that turn the
    direction of writing, invisible characters and lone surrogates are escaped as in Python.

    Args:
        text: The text.
        layout: Characters that stay as they are nevertheless.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char in layout else repr(char)[1:-1] for char in text
    )
