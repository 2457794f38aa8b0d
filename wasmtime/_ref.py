"""
References to objects of WebAssembly's garbage-collected heap.
"""

from __future__ import annotations

from ._native import core

__all__ = ["AnyRef", "ExnRef", "ExternRef"]


class AnyRef(core.Reference):
    """
    A reference to a struct, an array or a small integer of the GC proposal.

    It keeps its referent alive. Python gets one from calls, globals and tables.
    """

    __slots__ = ("__weakref__",)


class ExnRef(core.Reference):
    """
    A reference to an exception of the exception-handling proposal.
    """

    __slots__ = ("__weakref__",)


class ExternRef(core.Reference):
    """
    An externref that no Python object stands behind, such as a converted anyref.
    """

    __slots__ = ("__weakref__",)
