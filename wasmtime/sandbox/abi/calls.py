"""Calling a function of a guest with values of Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Optional

from ... import Func, FuncType, Memory, OutputLimitTrap
from ..steps import Steps, calling
from .host import guest_faults
from .memory import Allocator, find_allocator, read, unpack
from .shapes import CoreABI, Plan, plan_call
from .values import decode, encode

if TYPE_CHECKING:
    from ..execution import Execution
    from ..tiers import Call

__all__ = ["calling_function", "find_function"]


def calling_function(execution: Execution, instance: Any, call: Call) -> Steps[Any]:
    """Call a function of a guest.

    Args:
        execution: The guest.
        instance: Its instance.
        call: What to call.

    Returns:
        The value.

    Raises:
        LookupError: There is no such function.
        TypeError: The arguments do not fit.
        Exception: What the call raises.
    """
    store = execution.store
    exports = instance.exports(store)
    func = find_function(exports, call.name, execution.linked.hides)
    plan = _plan(func, store, call)
    if plan is None:
        value = yield calling(func, store, *call.args)
        return value
    lowered = yield from _lowering(execution, exports, plan, call)
    result = yield calling(func, store, *lowered)
    return _lift(execution, exports, plan, call.abi, result)


def _plan(func: Any, store: Any, call: Call) -> Optional[Plan]:
    """How the values pass; None where they pass as they are: to components, and numbers."""
    if not isinstance(func, Func):
        return None
    plan = plan_call(call.name, func.type(store), call.args, call.abi, call.returns)
    numbers = plan.result == "number" and all(kind == "number" for kind in plan.kinds)
    return None if numbers else plan


def find_function(exports: Any, name: str, hides: Callable[[str], bool]) -> Any:
    """The exported function of a name.

    Args:
        exports: What the guest exports.
        name: The name.
        hides: Tells names that are not the guest's.

    Raises:
        LookupError: There is none.
    """
    from ...component import Func as ComponentFunc

    item = {} if hides(name) else exports
    for part in name.split("#"):
        try:
            item = item[part]
        except (KeyError, TypeError):
            raise LookupError(
                f"the guest exports no function {name!r}: {_known(exports, hides)}"
            ) from None
    if not isinstance(item, (Func, ComponentFunc)):
        raise LookupError(f"the export {name!r} is no function: {_known(exports, hides)}")
    return item


def _known(exports: Any, hides: Callable[[str], bool]) -> str:
    names = []
    for name, item in exports.items():
        if hasattr(item, "get_func"):
            names += [f"{name}#{inner}" for inner in item]
        elif callable(item) and not hides(name):
            names.append(name)
    return "it has " + (", ".join(map(repr, names[:30])) or "none at all")


def _lowering(execution: Execution, exports: Any, plan: Plan, call: Call) -> Steps[list[Any]]:
    """The numbers that stand for the arguments of a call."""
    store = execution.store
    data = [
        value if kind == "number" else encode(kind, value)
        for kind, value in zip(plan.kinds, call.args)
    ]
    if all(kind == "number" for kind in plan.kinds):
        return data
    allocator = _allocator(store, exports, call.abi)
    lowered: list[Any] = []
    for kind, part in zip(plan.kinds, data):
        if kind == "number":
            lowered.append(part)
        else:
            with guest_faults():
                address = yield from allocator.placing(store, part)
            lowered += [address, len(part)]
    return lowered


def _allocator(store: Any, exports: Any, abi: CoreABI) -> Allocator:
    functions = {name: item for name, item in exports.items() if isinstance(item, Func)}
    types: dict[str, FuncType] = {name: func.type(store) for name, func in functions.items()}
    found = find_allocator(types, abi.allocator)
    memory = exports.get("memory")
    if found is None or not isinstance(memory, Memory):
        raise LookupError(
            "the guest exports no memory, or no allocator of a known name, for what is passed to "
            "it; name the allocator with abi=CoreABI(allocator=...)"
        )
    return Allocator(memory, functions[found.name], found)


def _lift(execution: Execution, exports: Any, plan: Plan, abi: CoreABI, result: Any) -> Any:
    """The value that some numbers stand for."""
    if plan.result == "number":
        return result
    address, length = result if isinstance(result, (list, tuple)) else unpack(result)
    if abi.packing == "length-address":
        address, length = length, address
    most = execution.limits.value
    if most is not None and length & 0xFFFFFFFF > most:
        raise OutputLimitTrap(f"the guest returned {length & 0xFFFFFFFF} bytes, more than {most}")
    with guest_faults():
        return decode(plan.result, read(execution.store, exports["memory"], address, length))
