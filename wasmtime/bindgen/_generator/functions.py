"""Functions and methods of generated classes.

The functions here take the names that the class around a function has defined so far as `hidden`:
inside of the class these names do not mean what they mean in the module.
"""

from __future__ import annotations

from collections.abc import Container

from .layout import WIDTH, AnyOf, Code, Group, flat, quote, render_head
from .model import Function, Interface
from .names import free
from .package import parameter_names
from .package_module import PackageModule

__all__ = [
    "write_abstract",
    "write_call",
    "write_exported",
    "write_functions",
    "write_head",
    "write_stub",
]

#: Room that a call needs behind the name of what is called, for its arguments to be readable.
_ROOM = 24


def write_head(
    module: PackageModule,
    name: str,
    first: list[Code],
    function: Function,
    hidden: Container[str],
    exported: bool,
    returns_nothing: bool = False,
    coroutine: bool = False,
    awaitable: bool = False,
) -> list[str]:
    """Write the head of a method.

    Args:
        module: The module to write to.
        name: The method's name.
        first: What comes before its own parameters.
        function: The function.
        hidden: Names of the class around it.
        exported: Whether the component provides it, and gets the arguments; else, the result.
        returns_nothing: Whether it returns nothing whatever its type says, as constructors do.
        coroutine: Whether it is an ``async def``.
        awaitable: Whether it may return its result or something that gives it when awaited.

    Returns:
        The names of the function's own parameters.
    """
    arguments = parameter_names(function)
    parameters = list(first)
    for argument, (_, expression) in zip(arguments, function.params):
        parameters.append(_annotated(argument, module.hint(expression, hidden, given=exported)))
    if returns_nothing:
        result: Code = "None"
    elif awaitable:
        around = module.use("wasmtime.bindgen.support", "MaybeAwaitable", hidden)
        result = module.hint(function.result, hidden, around, given=not exported)
    else:
        result = module.hint(function.result, hidden, given=not exported)
    module.line(render_head(name, parameters, result, 4, coroutine=coroutine), 4)
    return arguments


def _annotated(name: str, hint: Code) -> Code:
    if isinstance(hint, str):
        return f"{name}: {hint}"
    return Group(f"{name}: {hint.head}", hint.brackets, hint.items, hint.tail)


# --- functions that the host implements ----------------------------------------------------------


def write_stub(module: PackageModule, function: Function) -> None:
    """Write the body of a function that only protocols have."""
    if function.docs:
        module.document(function.docs, 8)
    module.line(f"raise {module.use('builtins', 'NotImplementedError')}", 8)


def write_abstract(
    module: PackageModule, name: str, function: Function, hidden: set[str], static: bool = False
) -> None:
    """Write a method of a protocol.

    Args:
        module: The module to write to.
        name: The method's name, which becomes one of `hidden`.
        function: The function.
        hidden: Names of the class around it.
        static: Whether it is a static method.
    """
    module.blank(1)
    if static:
        module.line(f"@{module.use('builtins', 'staticmethod', hidden)}", 4)
    module.line(f"@{module.use('abc', 'abstractmethod', hidden)}", 4)
    first: list[Code] = [] if static else ["self"]
    write_head(module, name, first, function, hidden, False, awaitable=module.asynchronous)
    write_stub(module, function)
    hidden.add(name)


# --- functions that the component exports --------------------------------------------------------


def write_functions(
    module: PackageModule, interface: Interface, given: dict[Function, str], hidden: set[str]
) -> None:
    """Write the functions of an exported interface, or of the top level.

    Args:
        module: The module to write to.
        interface: The interface.
        given: The functions' names, which become some of `hidden`.
        hidden: Names of the class around them.
    """
    for function in interface.functions:
        write_exported(module, given[function], function, hidden)


def write_exported(
    module: PackageModule,
    name: str,
    function: Function,
    hidden: set[str],
    owner: str = "self",
    passes_self: bool = False,
) -> None:
    """Write a method that calls a function of the component.

    Args:
        module: The module to write to.
        name: The method's name, which becomes one of `hidden`.
        function: The function.
        hidden: Names of the class around it.
        owner: "cls" for a class method.
        passes_self: Whether the function takes the object itself as its first argument.
    """
    module.blank(1)
    first: list[Code] = [owner, f"caller: {module.use('', 'wasmtime', hidden)}.Store"]
    if owner == "cls":
        module.line(f"@{module.use('builtins', 'classmethod', hidden)}", 4)
    coroutine = module.asynchronous
    arguments = write_head(module, name, first, function, hidden, True, coroutine=coroutine)
    if function.docs:
        module.document(function.docs, 8)
    given = ["caller", *(["self"] if passes_self else []), *arguments]
    write_call(module, function, f"{owner}._functions", given, hidden)
    hidden.add(name)


def write_call(
    module: PackageModule,
    function: Function,
    functions: str,
    arguments: list[str],
    hidden: Container[str],
) -> None:
    """Write the body of a function that calls the component.

    Args:
        module: The module to write to.
        function: The function.
        functions: The expression for the mapping that has it.
        arguments: The arguments.
        hidden: Names of the class around it.
    """
    call = Group(f"{functions}[{quote(function.export_name)}]", "()", list(arguments))
    if len(call.head) + _ROOM > WIDTH:
        key = Group(functions, "[]", [quote(function.export_name)])
        local = free("function", arguments)
        module.put(key, 8, f"{local} = ")
        call = Group(local, "()", list(arguments))
    if module.asynchronous:
        call = Group(f"await {call.head}", call.brackets, call.items, call.tail)
    if function.result is None:
        module.put(call, 8)
    else:
        _write_result(
            module, call, arguments, module.hint(function.result, AnyOf(hidden, arguments))
        )


def _write_result(module: PackageModule, call: Group, arguments: list[str], hint: Code) -> None:
    """Write statements that return what a call returns, annotated with its type."""
    local = free("result", arguments)
    if 8 + len(f"{local}: {flat(hint)} = {call.head}(") <= WIDTH:
        module.put(call, 8, f"{local}: {flat(hint)} = ")
    else:
        module.put(hint, 8, f"{local}: ")
        module.put(call, 8, f"{local} = ")
    module.line(f"return {local}", 8)
