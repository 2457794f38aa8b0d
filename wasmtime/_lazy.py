"""Names of a package that are loaded when they are first asked for (PEP 562).

A package whose parts few programs need together names them here, and imports them for type checkers
alone:

    if TYPE_CHECKING:
        from ._config import Config
    else:
        __getattr__, __dir__ = lazy_names(globals(), {"Config": "_config"})

Type checkers do not see `__getattr__`, so that they still report names that do not exist.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable


def lazy_names(
    namespace: dict[str, Any], places: Mapping[str, str]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Make a module's ``__getattr__`` and ``__dir__``.

    Args:
        namespace: The module's ``globals()``, which keep what was loaded.
        places: The names, and the modules of the same package that have them.

    Returns:
        The two functions.
    """

    def load(name: str) -> object:
        place = places.get(name)
        if place is None:
            raise AttributeError(f"module {namespace['__name__']!r} has no attribute {name!r}")
        from importlib import import_module

        value: object = getattr(import_module(f".{place}", namespace["__package__"]), name)
        namespace[name] = value
        return value

    return load, lambda: sorted({*namespace, *places})
