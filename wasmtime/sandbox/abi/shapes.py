"""How values other than numbers pass to the functions of a core module: the documented table.

WebAssembly has numbers alone, and every toolchain has its own way with the rest. These are known:

=======================================  =============================================
a parameter that is text, bytes or JSON  two i32: its address and its length
a result that is                         one i64, ``address << 32 | length``; or two
                                         i32, address and length
where arguments are put                  what the guest's allocator gives: `ALLOCATORS`
=======================================  =============================================

With ``abi="auto"``, the arguments of a call say which kind the values are: text gives text back,
bytes give bytes, and dicts and lists pass as JSON. Nothing is guessed beyond the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Optional, Union, cast

from ... import FuncType
from .values import Kind

__all__ = ["ABIOption", "CoreABI", "Plan", "parse_abi", "plan_call"]

_KINDS = ("auto", "numbers", "str", "bytes", "json")


@dataclass(frozen=True)
class CoreABI:
    """How values pass to the functions of a core module, where ``abi="auto"`` does not fit.

    Args:
        values: ``"str"``, ``"bytes"`` or ``"json"``: what arguments that are no numbers are, and
            what an i64 or two i32 as a result mean; ``"numbers"``: there are nothing but numbers;
            ``"auto"``: as the arguments of each call are.
        allocator: Name of the export that gives memory for arguments; None to find it.
        packing: ``"address-length"`` if an i64 has the address in its upper half, as most do, or
            ``"length-address"``.

    Raises:
        ValueError: An argument is none of these.
    """

    values: Literal["auto", "numbers", "str", "bytes", "json"] = "auto"
    allocator: Optional[str] = None
    packing: Literal["address-length", "length-address"] = "address-length"

    def __post_init__(self) -> None:
        if self.values not in _KINDS:
            raise ValueError(f"values must be one of {', '.join(_KINDS)}, not {self.values!r}")
        if self.packing not in ("address-length", "length-address"):
            raise ValueError(
                f"packing must be address-length or length-address, not {self.packing!r}"
            )


#: What the `abi` argument of `Plugin` may be.
ABIOption = Union[Literal["auto", "numbers", "str", "bytes", "json"], CoreABI]


def parse_abi(abi: ABIOption) -> CoreABI:
    """Read an `abi` argument.

    Raises:
        ValueError: It is no known word.
        TypeError: It is something else.
    """
    if isinstance(abi, CoreABI):
        return abi
    if not isinstance(abi, str):
        raise TypeError(f"abi must be a str or a CoreABI, not {type(abi).__name__}")
    return CoreABI(abi)


class Plan(NamedTuple):
    """How one call passes its values.

    Attributes:
        kinds: The kind of each argument.
        result: The kind of the result.
    """

    kinds: tuple[Kind, ...]
    result: Kind


def plan_call(
    name: str, ty: FuncType, args: Sequence[Any], abi: CoreABI, returns: Optional[Kind] = None
) -> Plan:
    """Decide how the values of a call pass.

    Args:
        name: Name of the function, for errors.
        ty: Its type.
        args: The arguments.
        abi: What the user said.
        returns: The kind of the result, where an annotation says so.

    Raises:
        TypeError: The arguments do not fit the type.
    """
    kinds: tuple[Kind, ...] = tuple(_kind(value, abi) for value in args)
    wanted = sum(1 if kind == "number" else 2 for kind in kinds)
    params = list(map(str, ty.params))
    if wanted != len(params) or not _fits(kinds, params):
        given = ", ".join(kind if kind != "number" else "a number" for kind in kinds) or "nothing"
        raise TypeError(
            f"{name} is {ty}, and cannot be called with {given}: text, bytes and JSON take two "
            "i32 each, address and length, and numbers one; see CoreABI"
        )
    return Plan(kinds, _result(name, ty, kinds, abi, returns))


def _kind(value: Any, abi: CoreABI) -> Kind:
    if isinstance(value, (int, float)) and abi.values != "json":
        return "number"
    if abi.values == "numbers":
        raise TypeError(f'abi="numbers" passes nothing but numbers, not {type(value).__name__}')
    if abi.values in ("str", "bytes", "json"):
        return cast(Kind, abi.values)
    if isinstance(value, str):
        return "str"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "bytes"
    return "json"


def _fits(kinds: Sequence[Kind], params: Sequence[str]) -> bool:
    """Whether the pairs of address and length stand where there are two i32."""
    at = 0
    for kind in kinds:
        if kind != "number" and params[at : at + 2] != ["i32", "i32"]:
            return False
        at += 1 if kind == "number" else 2
    return True


def _result(
    name: str, ty: FuncType, kinds: Sequence[Kind], abi: CoreABI, returns: Optional[Kind]
) -> Kind:
    results = list(map(str, ty.results))
    packed = results in (["i64"], ["i32", "i32"])
    if returns is not None:
        if returns != "number" and not packed:
            raise TypeError(
                f"{name} is {ty}, which returns no {returns}: that is an i64 or two i32"
            )
        return returns
    if not packed:
        return "number"
    if abi.values == "auto":
        given: list[Kind] = [kind for kind in kinds if kind != "number"]
        return given[0] if given else "number"
    return "number" if abi.values == "numbers" else abi.values
