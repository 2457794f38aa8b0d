"""From a component's functions to those of its codec.

This is all that is loaded for a component that has no codec.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from ..._native import address_of, ffi, lib

if TYPE_CHECKING:
    from ..._config import Config
    from .._component import Component, ExportIndex
    from .._func import Func

__all__ = ["CODEC_NAME", "Codec", "allows_codec", "label"]

#: The export that holds the codec's functions. The number is that of the protocol.
CODEC_NAME = "wasmtime-bulk1"


def label(path: tuple[str, ...]) -> str:
    """Return the name under which the codec exports its half of a function.

    Args:
        path: Name of the export; or of the exported instance, and of the function in it.
    """
    return "c" + "\0".join(path).encode().hex()


def allows_codec(config: Config) -> bool:
    """Tell whether components of an engine may have a codec.

    It needs SIMD, a second memory and bulk instructions. Where fuel is consumed, the guest would
    pay for it; in a pool, it would take places that the user has counted.
    """
    return (
        config.component_bulk
        and not config.consume_fuel
        and config.strategy != "winch"  # which lacks some of the instructions
        and config.wasm_simd
        and config.wasm_multi_memory
        and config.wasm_bulk_memory
        and config.allocation_strategy == "on_demand"
    )


class Codec:
    """The codec of a component, which is a module of its own inside of it.

    Args:
        component: The component, which keeps this.
    """

    def __init__(self, component: Component) -> None:
        self._component = component
        self._places: dict[str, Optional[ExportIndex]] = {}

    def serve(self, func: Func, path: tuple[str, ...], instance: Any, context: Any) -> None:
        """Let calls of a function go through the codec, if it has a half for that.

        Args:
            func: The function.
            path: The names that lead to it; empty if they are not known.
            instance: The native instance that exports it.
            context: The native context of its store, which has been entered.
        """
        call = self._place(label(path))
        if call is None:
            return
        places = [call, *map(self._place, ("feed", "more", "drop", "fail"))]
        natives = [ffi.new("wasmtime_component_func_t *") for _ in places]
        for place, native in zip(places, natives):
            if place is None or not lib.wasmtime_component_instance_get_func(
                instance, context, place._pointer(), native
            ):
                return
        func._use_codec(*map(address_of, natives))

    def _place(self, name: str) -> Optional[ExportIndex]:
        """The place of one of the codec's functions."""
        if name not in self._places:
            outer = self._component._export_index(CODEC_NAME, None)
            self._places[name] = self._component._export_index(name, outer)
        return self._places[name]
