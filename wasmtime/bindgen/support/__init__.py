"""What generated packages are made of at run time: nothing here is for use by hand.

A generated package declares how the values of each type are converted between its own classes and
the values of `wasmtime.component` (`shapes`, and `resources` for handles), which functions take and
return which types (`functions`), and an `EmbeddedComponent` or `EmbeddedModule` that has all of
this (`embedded`). `instance` puts the conversions around the functions of an instance. The library
itself lifts and lowers values from and to the component's memory.

The names in this module keep their meaning in all later versions, so that generated packages need
not be generated again.
"""

from __future__ import annotations

from .arrays import FloatArray, Floats, IntArray, Ints
from .asynchronous import AsyncResource, MaybeAwaitable
from .embedded import EmbeddedComponent, EmbeddedModule
from .functions import constructor, function, interface, method, signature, static
from .instance import instance_of
from .resources import Resource, host_resource, resource
from .shapes import (
    PLAIN,
    Shape,
    enum,
    flags,
    list_of,
    map_of,
    option_of,
    option_of_option,
    record,
    result_of,
    tuple_of,
    variant,
)

__all__ = [
    "PLAIN",
    "AsyncResource",
    "EmbeddedComponent",
    "EmbeddedModule",
    "FloatArray",
    "Floats",
    "IntArray",
    "Ints",
    "MaybeAwaitable",
    "Resource",
    "Shape",
    "constructor",
    "enum",
    "flags",
    "function",
    "host_resource",
    "instance_of",
    "interface",
    "list_of",
    "map_of",
    "method",
    "option_of",
    "option_of_option",
    "record",
    "resource",
    "result_of",
    "signature",
    "static",
    "tuple_of",
    "variant",
]
