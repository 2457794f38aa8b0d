"""Text of guests in which whoever shows it finds nothing to obey."""

from __future__ import annotations

__all__ = ["LAYOUT", "printable"]

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
