"""Element types of the views of memories."""

from __future__ import annotations

import sys
from functools import wraps
from typing import TYPE_CHECKING, Any, Callable, TypeVar, Union

if TYPE_CHECKING:
    from numpy import dtype as _NumPyType
    from numpy import generic as _NumPyScalar
    from numpy.typing import NDArray

    #: What the elements of a view are given as.
    Element = Union[str, _NumPyType[Any], type[_NumPyScalar]]
    Array = NDArray[Any]

__all__ = ["cast_view", "numpy_array", "takes_dtype_first"]

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


def _size(name: str) -> int:
    """Return how many bytes an element takes."""
    return int(name[1:]) // 8


def _numpy_name(name: str) -> str:
    """Return what NumPy calls an element: ``<f4`` for ``f32``."""
    size = _size(name)
    return f"{'<' if size > 1 else '|'}{name[0]}{size}"


#: The names of the elements by NumPy's, which differ: its ``i8`` is a 64-bit integer.
_NUMPY_NAMES = {_numpy_name(name): name for name in _FORMATS}


def _element(dtype: Element) -> str:
    """Return the name of an element type.

    Raises:
        ValueError: It is not one of those that WebAssembly can be said to have.
    """
    name = dtype if isinstance(dtype, str) else _of_numpy(dtype)
    if name not in _FORMATS:
        raise ValueError(
            f"dtype must be one of {', '.join(_FORMATS)}, or NumPy's type for one of these in "
            f"little-endian order, not {dtype!r}"
        )
    if sys.byteorder == "big" and name not in ("u8", "i8"):
        raise ValueError(f"dtype {name!r}: WebAssembly's bytes are in little-endian order")
    return name


def _of_numpy(dtype: Any) -> Any:
    """Return the name of an element type that NumPy has; None for what is not one."""
    numpy = sys.modules.get("numpy")  # there are no types of NumPy without it
    if numpy is None:
        return None
    if isinstance(dtype, type) and issubclass(dtype, numpy.generic):
        scalar = dtype
        try:
            dtype = numpy.dtype(scalar)
        except TypeError:  # a base of several types
            return None
        if dtype.type is not scalar:  # what older versions of NumPy take for such a base
            return None
    return _NUMPY_NAMES.get(dtype.str) if isinstance(dtype, numpy.dtype) else None


def cast_view(view: memoryview, dtype: Element) -> memoryview:
    """Return a view of bytes as a view of elements.

    Raises:
        ValueError: `dtype` is unknown, or the view is no whole number of elements long.
    """
    try:
        name = _element(dtype)
        code = _FORMATS[name]
        if code == "B":
            return view
        size = _size(name)
        if len(view) % size:
            raise ValueError(
                f"a view of {len(view)} bytes holds no whole number of {name} elements, "
                f"which take {size} bytes each"
            )
        elements: memoryview = view.cast(code)  # type: ignore[call-overload]
    except ValueError:
        view.release()
        raise
    view.release()
    return elements


def numpy_array(view: memoryview, dtype: Element) -> Array:
    """Return a view of bytes as a NumPy array over the same bytes.

    Raises:
        ImportError: NumPy is not installed.
        ValueError: `dtype` is unknown, or the view is no whole number of elements long.
    """
    import numpy

    elements = cast_view(view, dtype)
    array: Array = numpy.frombuffer(elements, _numpy_name(_element(dtype)))
    return array


_Method = TypeVar("_Method", bound=Callable[..., Any])


def takes_dtype_first(position: int) -> Callable[[_Method], _Method]:
    """Let a method take its arguments in the order in which `array` had them, with a warning.

    It was dtype, start, stop; `view` and `read` have the range first. A name of a type cannot be
    taken for the start of a range.

    Args:
        position: How many arguments the method takes before these.
    """

    def decorate(method: _Method) -> _Method:
        @wraps(method)
        def reordered(self: Any, *args: Any, **keywords: Any) -> Any:
            old = args[position:]
            if not old or not isinstance(old[0], str):
                return method(self, *args, **keywords)
            from warnings import warn

            warn(
                "array() takes the range before dtype, as view() does: give dtype by its name, "
                f"array(..., dtype={old[0]!r})",
                DeprecationWarning,
                stacklevel=2,
            )
            named = dict(zip(("dtype", "start", "stop", "readonly"), old))
            return method(self, *args[:position], **named, **keywords)

        return reordered  # type: ignore[return-value]

    return decorate
