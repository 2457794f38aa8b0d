"""Typed Python packages for components and modules.

A component says what it imports and exports in types: records, variants, resources. `generate`
writes the Python package that these types become, with classes, protocols and type hints, so that
a program that uses the component is checked by type checkers and completed by editors.

    >>> from wasmtime.bindgen import generate
    >>> files = generate("adder", '''
    ...     (component
    ...       (core module $m (func (export "add") (param i32 i32) (result i32)
    ...         (i32.add (local.get 0) (local.get 1))))
    ...       (core instance $i (instantiate $m))
    ...       (func (export "add") (param "a" s32) (param "b" s32) (result s32)
    ...         (canon lift (core func $i "add"))))''')
    >>> sorted(files)
    ['__init__.py', '_component.py', 'adder.component.wasm', 'py.typed']

Written to a directory ``adder``, it is used as

    import wasmtime
    from adder import Root

    store = wasmtime.Store()
    Root(store).add(store, 1, 2)

The same from a shell: ``python -m wasmtime.bindgen adder.wasm --out-dir adder``.

With ``asynchronous=True``, or ``--async``, the package is awaited:

    root = await Root(store)
    await root.add(store, 1, 2)

With ``arrays=True``, or ``--arrays``, lists of numbers that come from the component are arrays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Union

if TYPE_CHECKING:
    from .._module import Module

__all__ = ["generate"]


def generate(
    name: str,
    component: Union[str, bytes, bytearray, memoryview, Module],
    *,
    asynchronous: bool = False,
    arrays: bool = False,
) -> dict[str, bytes]:
    """Write the Python package for a component, or for a core module.

    Args:
        name: What it is called: in the documentation, and as the file that it becomes.
        component: The component or module, in binary or text form. For a module, a
            `wasmtime.Module` does as well.
        asynchronous: Whether to write the asynchronous form: what calls the component is an
            ``async def``, instances and resources are awaited where they are made
            (``root = await Root(store)``), and what the host implements may be either.
        arrays: Whether lists of numbers that come from the component are arrays: an `array.array`
            of the element's width, which NumPy takes without a copy. What the component is given
            may be any sequence or buffer of numbers in any case. A module has no lists.

    Returns:
        The contents of each file, by its path inside of the package, with slashes. The same
        component gives the same contents.

    Raises:
        TypeError: An argument is of a wrong type.
        ValueError: `name` has nothing that a name could be made of, or is too long for a file; or
            that of an interface is.
        WasmtimeError: The text does not parse, or the module is not valid.
        UnsupportedComponent: The component is not valid, uses what bindings cannot express
            (imported core modules, values), is nested too deeply or too large. It is a ValueError.
    """
    from .._error import expect
    from .._module import Module
    from .._wasm.reader import kind_of
    from .._wat2wasm import to_wasm
    from ._generator.names import snake
    from ._generator.text import one_line

    expect(asynchronous, bool, "asynchronous")
    expect(arrays, bool, "arrays")
    if not isinstance(name, str):
        raise TypeError(f"name must be a str, not {type(name).__name__}")
    if not snake(name).strip("_"):
        raise ValueError(f"name {name!r} has no letters or digits to make a name of")
    if type(component).__name__ == "Component":
        raise TypeError(
            "component must be the binary or text of a component: a compiled Component does not "
            "know the names of types any more"
        )
    name = one_line(name)
    if not isinstance(component, Module):
        binary = to_wasm(component, "component")
        if kind_of(binary) == "component":
            from ._generator.component import write_component_package

            return write_component_package(name, binary, asynchronous, arrays)
        component_or_module: Union[bytes, Module] = binary
    else:
        component_or_module = component
    from ._generator.core_module import write_module_package

    return write_module_package(name, component_or_module, asynchronous)
