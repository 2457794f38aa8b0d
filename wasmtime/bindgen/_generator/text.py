"""Texts of components, made harmless before they become part of Python code.

Documentation and names are chosen by whoever made the component. Nothing that is written of them
has another line end than the newline, or characters that hide or reorder other text.
"""

from __future__ import annotations

import unicodedata

__all__ = ["clean", "one_line"]

#: What joins the parts of an emoji, and the letters of some scripts.
_JOINERS = "\u200c\u200d"


def clean(text: str) -> str:
    """The text without characters that hide, reorder or end other text.

    Every kind of line end becomes a newline, and a tab the spaces that it stands for. Control
    characters, lone surrogates and invisible formatting characters become U+FFFD.
    """
    if text.isprintable():
        return text
    return "\n".join("".join(map(_harmless, line.expandtabs())) for line in text.splitlines())


def one_line(text: str) -> str:
    """As `clean`, with spaces for line ends."""
    return " ".join(clean(text).split("\n"))


def _harmless(char: str) -> str:
    if char.isprintable() or char in _JOINERS:
        return char
    return "\ufffd" if unicodedata.category(char) in ("Cc", "Cf", "Cs") else char
