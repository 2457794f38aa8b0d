"""The types of lists of numbers in packages that are generated with arrays.

What a component gives is an `array.array`; what it is given, any sequence or buffer of numbers.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, Union

if TYPE_CHECKING:
    from typing_extensions import Buffer

    class _NumPyArray(Protocol):
        """What NumPy's arrays are to type checkers before Python 3.12, which knows buffers."""

        @property
        def __array_interface__(self) -> dict[str, Any]: ...

    IntArray = array[int]
    FloatArray = array[float]
    Ints = Union[Sequence[int], Buffer, _NumPyArray]
    Floats = Union[Sequence[float], Buffer, _NumPyArray]
else:  # Python before 3.12 can neither subscribe arrays nor name buffers.
    IntArray = FloatArray = array
    Ints = Floats = Any

__all__ = ["FloatArray", "Floats", "IntArray", "Ints"]
