"""What is missing where a module could not be instantiated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._error import WasmtimeError
from ._store import Storelike
from ._wasi_names import PREVIEW1

if TYPE_CHECKING:
    from ._linker import Linker
    from ._module import Module
    from ._types import ImportType

__all__ = ["explain_link_error", "import_names"]


def import_names(module: Module) -> list[tuple[bytes, bytes]]:
    """The names of what a module imports, as the library takes them."""
    return [(entry.module.encode(), (entry.name or "").encode()) for entry in module.imports]


def explain_link_error(
    linker: Linker, store: Storelike, module: Module, error: WasmtimeError
) -> WasmtimeError:
    """The error to raise when a module could not be instantiated.

    It lists all imports that are missing, if that is why.
    """
    if error._handle is None or "unknown import" not in error.message:
        return error  # not the library's: a host function raised it
    missing: list[ImportType] = [
        entry
        for entry, names in zip(module.imports, import_names(module))
        if linker._is_unknown(store, *names)
    ]
    if not missing:
        return error
    lines = [f"    {entry.module!r} {entry.name!r}: {entry.type}" for entry in missing]
    hint = _wasi_hint({entry.module for entry in missing}, linker._wasi_defined)
    explained = type(error)(
        f"unknown import: {len(missing)} of the module's {len(module.imports)} imports "
        f"{'has' if len(missing) == 1 else 'have'} not been defined:\n" + "\n".join(lines) + hint
    )
    explained.__cause__ = error
    return explained


def _wasi_hint(modules: set[str], defined: bool) -> str:
    """What to do about missing imports from WASI.

    Args:
        modules: The modules that something is missing of.
        defined: Whether `Linker.define_wasi` has been called.
    """
    if not defined and PREVIEW1 in modules:
        return (
            "\nThe names that begin with 'wasi_' are WASI's: call linker.define_wasi() and "
            "store.set_wasi(WasiConfig())."
        )
    others = sorted(name for name in modules if name.startswith("wasi_"))
    if not others:
        return ""
    return (
        f"\nlinker.define_wasi() defines WASI preview 1, {PREVIEW1}, and not "
        f"these of {' and '.join(others)}: compile the program for preview 1 (wasm32-wasip1), or "
        "define them with linker.define_func()."
    )
