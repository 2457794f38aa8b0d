"""What ``%load_ext wasmtime`` brings to IPython and notebooks: the cell magic ``%%wat``."""

from __future__ import annotations

from typing import Any

__all__ = ["load_ipython_extension"]


def load_ipython_extension(ipython: Any) -> None:
    """Define the magic ``%%wat`` in a session of IPython.

    ``%%wat NAME`` compiles the rest of the cell, WebAssembly in the text format, and gives the
    `Module` or `Component` that name. Without a name it is only shown.

    Args:
        ipython: The session, which ``%load_ext wasmtime`` passes.
    """

    def wat(line: str, cell: str) -> Any:
        """Compile a cell of WebAssembly text: ``%%wat [NAME]``."""
        from ._artifacts.compiled import class_for
        from ._engine import Engine
        from ._wasm.reader import kind_of
        from ._wat2wasm import to_wasm

        name = line.strip()
        if name and not name.isidentifier():
            raise ValueError(f"%%wat takes one name for what it compiles, not {name!r}")
        engine = ipython.user_ns.get(_ENGINE)
        if engine is None:
            engine = ipython.user_ns[_ENGINE] = Engine()
        binary = to_wasm(cell)
        compiled = class_for(kind_of(binary))(engine, binary)
        if name:
            ipython.user_ns[name] = compiled
        return compiled

    ipython.register_magic_function(wat, "cell", "wat")


#: Where the session keeps the engine of its cells, so that they can be linked with each other.
_ENGINE = "_wat_engine"
