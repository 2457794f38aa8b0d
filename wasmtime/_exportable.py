"""What a module can import and export."""

from __future__ import annotations

from typing import Union

from ._func import Func
from ._globals import Global
from ._memory import Memory
from ._sharedmemory import SharedMemory
from ._table import Table
from ._tag import Tag

__all__ = ["AsExtern"]

AsExtern = Union[Func, Table, Memory, SharedMemory, Global, Tag]
