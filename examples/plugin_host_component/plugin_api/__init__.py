"""
The component ``plugin``.
"""

from typing import Optional

import wasmtime
from wasmtime.component import Component

from . import _component
from .exports import filter
from .imports import RootImports

__all__ = ["Root", "RootImports", "filter"]


class Root:
    """
    An instance of the component ``plugin``.

    It lives in the store that it is made in, which its functions take first. Another
    component of the same world can be given, compiled with the store's engine; without
    one it is the component that this package was generated from.
    """

    def __init__(
        self,
        store: wasmtime.Store,
        import_object: RootImports,
        *,
        component: Optional[Component] = None,
    ) -> None:
        self._instance = _component.COMPONENT.instantiate(
            store,
            import_object,
            component,
        )

    def filter(self) -> filter.Filter:
        """
        The interface ``example:plugins/filter@1.0.0``.
        """
        return self._instance.interface(filter.Filter, self)
