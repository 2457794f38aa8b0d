"""Element types of the views of memories."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["cast_view", "numpy_array"]

#: WebAssembly's names of the elements, and Python's.
_FORMATS = {
    "u8": "B",
    "i8": "b",
    "u16": "H",
    "i16": "h",
    "u32": "I",
    "i32": "i",
    "u64": "Q",
    "i64": "q",
    "f32": "f",
    "f64": "d",
}


def _format(dtype: str) -> str:
    try:
        code = _FORMATS[dtype]
    except (KeyError, TypeError):
        raise ValueError(f"dtype must be one of {', '.join(_FORMATS)}, not {dtype!r}") from None
    if sys.byteorder == "big" and dtype not in ("u8", "i8"):
        raise ValueError(f"dtype {dtype!r}: WebAssembly's bytes are in little-endian order")
    return code


def cast_view(view: memoryview, dtype: str) -> memoryview:
    """A view of bytes as a view of elements.

    Raises:
        ValueError: `dtype` is unknown, or the view is no whole number of elements long.
    """
    try:
        code = _format(dtype)
        if code == "B":
            return view
        size = int(dtype[1:]) // 8
        if len(view) % size:
            raise ValueError(
                f"a view of {len(view)} bytes holds no whole number of {dtype} elements, "
                f"which take {size} bytes each"
            )
        elements: memoryview = view.cast(code)  # type: ignore[call-overload]
    except ValueError:
        view.release()
        raise
    view.release()
    return elements


def numpy_array(view: memoryview, dtype: str) -> Any:
    """A view of bytes as a NumPy array over the same bytes.

    Raises:
        ImportError: NumPy is not installed.
        ValueError: `dtype` is unknown, or the view is no whole number of elements long.
    """
    import numpy

    _format(dtype)
    return numpy.frombuffer(view, numpy.dtype(f"<{dtype[0]}{int(dtype[1:]) // 8}"))
