"""The memory of a core module, as a place for values: reading, writing, its allocator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Optional

from ... import Func, FuncType, Memory, ValType
from ..source import refusal
from ..steps import Steps, calling

__all__ = ["ALLOCATORS", "Allocator", "find_allocator", "pack", "read", "unpack"]

_I32 = ValType.i32()
_SIZE = FuncType([_I32], [_I32])
_SIZE_ALIGN = FuncType([_I32, _I32], [_I32])
_REALLOC = FuncType([_I32, _I32, _I32, _I32], [_I32])

#: The exports that are taken for allocators, in this order, with the types that they may have.
ALLOCATORS: dict[str, tuple[FuncType, ...]] = {
    "cabi_realloc": (_REALLOC,),
    "malloc": (_SIZE,),
    "allocate": (_SIZE,),
    "alloc": (_SIZE, _SIZE_ALIGN),
    "wasm_alloc": (_SIZE, _SIZE_ALIGN),
    "wasm_malloc": (_SIZE,),
    "guest_alloc": (_SIZE, _SIZE_ALIGN),
    "host_alloc": (_SIZE,),
    "opa_malloc": (_SIZE,),
    "qjs_alloc": (_SIZE,),
    "__wbindgen_malloc": (_SIZE, _SIZE_ALIGN),
}

#: What an allocator with a parameter for it is asked to align to.
_ALIGNMENT = 1


class AllocatorFunction(NamedTuple):
    """An allocator: its name, and how it is called."""

    name: str
    type: FuncType

    def arguments(self, size: int) -> tuple[int, ...]:
        """The arguments that ask for so many bytes."""
        if self.type == _REALLOC:
            return 0, 0, _ALIGNMENT, size
        return (size,) if self.type == _SIZE else (size, _ALIGNMENT)


def find_allocator(
    exports: Mapping[str, Any], name: Optional[str] = None
) -> Optional[AllocatorFunction]:
    """The allocator among the types of a module's exports.

    Args:
        exports: The types by name.
        name: What it is called, if the user says so; of the known names, the first is taken.

    Returns:
        None if there is none of a known name.

    Raises:
        SandboxError: What the user named is no allocator.
    """
    if name is not None:
        ty = exports.get(name)
        if not isinstance(ty, FuncType) or ty not in (_SIZE, _SIZE_ALIGN, _REALLOC):
            raise refusal(
                "ValueError",
                f"{name!r} is no allocator of the guest: its export of that name is "
                f"{ty}, and allocators are (i32) -> i32, (size, align) -> i32 or cabi_realloc's",
            )
        return AllocatorFunction(name, ty)
    for known, types in ALLOCATORS.items():
        if exports.get(known) in types:
            return AllocatorFunction(known, exports[known])
    return None


@dataclass
class Allocator:
    """The allocator of an instance, and the memory that it allocates in."""

    memory: Memory
    func: Func
    function: AllocatorFunction

    @classmethod
    def of(cls, exports: Any) -> Allocator:
        """That of the instance behind a `Caller`.

        Raises:
            LookupError: It exports none of a known name.
        """
        for name, types in ALLOCATORS.items():
            func = exports.get(name)
            if isinstance(func, Func) and func.type(exports) in types:
                return cls(exports["memory"], func, AllocatorFunction(name, func.type(exports)))
        raise LookupError(
            "the guest exports no allocator for what the host gives it; the known names are "
            + ", ".join(ALLOCATORS)
        )

    def placing(self, store: Any, data: bytes) -> Steps[int]:
        """Write bytes into memory that the guest allocates; returns their address."""
        given = yield calling(self.func, store, *self.function.arguments(len(data)))
        address = int(given) & 0xFFFFFFFF
        if address == 0 and data:
            raise MemoryError(f"the guest's {self.function.name} has no {len(data)} bytes left")
        if address + len(data) > self.memory.data_len(store):
            raise ValueError(
                f"the guest's {self.function.name} gave an address outside of its memory"
            )
        self.memory.write(store, data, address)
        return address


def read(store: Any, memory: Memory, address: int, length: int) -> bytes:
    """Bytes of a memory, at an address and of a length as the guest passes them.

    Raises:
        ValueError: They lie outside of the memory.
    """
    address, length = address & 0xFFFFFFFF, length & 0xFFFFFFFF
    if address + length > memory.data_len(store):
        raise ValueError(
            f"the guest gave {length} bytes at {address:#x}, which lie outside of its memory"
        )
    return bytes(memory.read(store, address, address + length))


def pack(address: int, length: int) -> int:
    """Address and length as one signed i64."""
    packed = (address & 0xFFFFFFFF) << 32 | length
    return packed - (1 << 64) if packed >> 63 else packed


def unpack(packed: int) -> tuple[int, int]:
    """Address and length that an i64 has."""
    return packed >> 32 & 0xFFFFFFFF, packed & 0xFFFFFFFF
