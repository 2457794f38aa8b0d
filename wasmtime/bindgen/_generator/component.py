"""The package for a component, from its binary to the contents of each file."""

from __future__ import annotations

from .interfaces import write_export, write_import, write_world_types
from .package import Package
from .reading import read_world
from .types import write_shared_types
from .wiring import write_wiring
from .world import write_imports, write_root

__all__ = ["write_component_package"]


def write_component_package(
    name: str, binary: bytes, asynchronous: bool = False, arrays: bool = False
) -> dict[str, bytes]:
    """Write the package for a component.

    Args:
        name: What the component is called.
        binary: The component, which becomes part of the package.
        asynchronous: Whether to write the form of the package that is awaited.
        arrays: Whether lists of numbers that come from the component are arrays.

    Returns:
        The contents of each file, by its path with slashes.

    Raises:
        UnsupportedComponent: The component uses what bindings cannot express.
        ValueError: A name is too long for a file.
    """
    package = Package(read_world(binary), name, asynchronous, arrays)
    for place in package.imports:
        write_import(package, place)
    for place in package.exports:
        write_export(package, place)
    write_world_types(package)
    write_imports(package)
    if package.exports:
        package.files["exports/__init__.py"] = b""
    write_root(package)
    # Behind everything that uses shared types.
    write_shared_types(package)
    write_wiring(package, binary)
    package.files["py.typed"] = b""
    return dict(sorted(package.files.items()))
