"""Where pickles of compiled code find the function that restores it: its path is part of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from ._artifacts.compiled import Compiled
    from ._engine import Engine

    _Compiled = TypeVar("_Compiled", bound=Compiled)


def _restore(cls: type[_Compiled], engine: Engine, artifact: bytes) -> _Compiled:
    """Unpickle a module or component."""
    return cls.deserialize(engine, artifact)
