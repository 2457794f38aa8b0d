"""`import` for WebAssembly.

After ``import wasmtime.loader``, ``import name`` finds ``name.wasm`` or ``name.wat`` where it would
find ``name.py`` (which comes first), in directories and zip archives, at the top level and inside
of packages.

A core module is instantiated; its functions become functions of the Python module, without the
store as an argument, and its memories, tables and globals attributes. A function that is called
while another thread is inside of the store waits for it. What a module imports is looked for in
this order: WASI and what `linker` defines; the Python or WebAssembly module of that name, relative
to the package if the name begins with a dot. That module must lie beside the file or in its
package, or be named: ``configure(python_modules=[...])``. Of a Python module, WebAssembly reaches
what ``__all__`` lists; without ``__all__``, what is defined in it.

A component becomes the package that `wasmtime.bindgen` writes for it: instances are made of its
class ``Root``, in any store. It imports nothing by itself.

Everything that goes wrong is an ImportError, with the reason as its cause.

    import wasmtime.loader
    import adder  # adder.wat or adder.wasm

    assert adder.add(1, 2) == 3

Attributes:
    store: The store in which core modules live.
    linker: The linker of core modules. Define in it what they import and no module provides.
    engine: The store's engine.
    python_modules: What `configure` was given under that name, as a tuple.
    predefined_modules: Names of modules that are WASI.

`configure` changes them, for modules that are imported afterwards. ``with lock():`` keeps other
threads out of the store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._linker import Linker
from .._store import Store
from .._wasi_names import CORE_MODULES
from .finder import install
from .settings import configure, lock, named_python_modules, new_linker, new_store

if TYPE_CHECKING:
    from .._engine import Engine
    from .python_imports import PythonModule

    engine: Engine
    python_modules: tuple[PythonModule, ...]

__all__ = [
    "configure",
    "engine",
    "linker",
    "lock",
    "predefined_modules",
    "python_modules",
    "store",
]

#: Names of modules that are WASI, and never imported.
predefined_modules: list[str] = list(CORE_MODULES)
store: Store = new_store()
linker: Linker = new_linker(store)


def __getattr__(name: str) -> Any:
    if name == "engine":
        return store.engine
    if name == "python_modules":
        return named_python_modules()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


install()
