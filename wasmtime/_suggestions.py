"""Names that are not there, and what the program may have meant."""

from __future__ import annotations

__all__ = ["unknown_setting"]


def unknown_setting(owner: type, name: str) -> str:
    """The message about a setting that a class does not have.

    Args:
        owner: The class.
        name: What the program wrote.
    """
    import difflib

    public = [one for one in dir(owner) if not one.startswith("_")]
    close = difflib.get_close_matches(name, public, n=2)
    hint = f"; did you mean {' or '.join(map(repr, close))}?" if close else ""
    return f"{owner.__name__} has no setting {name!r}{hint}"
