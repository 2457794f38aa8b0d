"""Stopping a program where it reads its input, and going on from there.

A program that was built with Binaryen's `--asyncify` can leave all its functions, with their locals
written to memory, and come back to the same place later. It does so when the host asks for it, in a
call of an imported function; the documentation says how to build one. Here the asking is added to
the module itself: calls of WASI's `fd_read` lead to a function of ours, which asks once, at the
first read of standard input, and calls the real one from then on.

So a snapshot of the program holds where it stopped, and any copy goes on with an input of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional

from .._wasi_names import PREVIEW1
from .._wasm.instructions import any_encoding, each_instruction, skip_locals
from .._wasm.layout import CODE, FUNCTION_KIND, GLOBAL_KIND, Layout
from .._wasm.reader import MalformedBinary, Reader
from .._wasm.writer import signed, unsigned

if TYPE_CHECKING:
    from .assembly import Additions

__all__ = ["Suspension", "find_suspension"]

_CALL, _RETURN_CALL = 0x10, 0x12
#: The type of `() -> ()`.
_NO_PARAMETERS = b"\x60\0\0"

#: How much memory is added for the locals of the functions that are left, in pages of 64 KiB.
BUFFER_PAGES = 16

#: States of Asyncify.
_UNWINDING, _REWINDING = 1, 2

#: What Asyncify adds to a module, in the order of `Suspension.controls`.
_CONTROLS = (
    "asyncify_get_state",
    "asyncify_start_unwind",
    "asyncify_stop_unwind",
    "asyncify_start_rewind",
    "asyncify_stop_rewind",
)


@dataclass(frozen=True)
class Suspension:
    """How a program can be stopped.

    Attributes:
        controls: The indices of Asyncify's functions, by name without its prefix.
        read: The index of the imported `fd_read`.
        read_type: The index of its type.
        entry: The index of `_start`.
    """

    controls: dict[str, int]
    read: int
    read_type: int
    entry: int

    def install(self, additions: Additions, prefix: str) -> None:
        """Let the program stop at its first read of standard input once `armed` is 1.

        The globals `armed` and `buffer` are exported, and a function `resume` that goes on.
        """
        places = [additions.global_(b"\x7f\1\x41\0\x0b") for _ in ("armed", "buffer")]
        armed, buffer = (unsigned(place) for place in places)
        for what, place in zip(("armed", "buffer"), places):
            additions.export(prefix + what, GLOBAL_KIND, place)
        hook = additions.function(self.read_type, self._hook(armed, buffer))
        resume = b"\x23" + buffer + self._call("start_rewind") + b"\x10" + unsigned(self.entry)
        resumed = additions.function(additions.type(_NO_PARAMETERS), resume)
        additions.export(prefix + "resume", FUNCTION_KIND, resumed)
        additions.replaced[CODE] = redirect_calls(additions.layout, self.read, hook)

    def _call(self, control: str) -> bytes:
        return b"\x10" + unsigned(self.controls[control])

    def _hook(self, armed: bytes, buffer: bytes) -> bytes:
        """Encode the function that is called in the place of `fd_read`."""
        get, put = b"\x23" + buffer, b"\x24" + buffer
        end = signed(BUFFER_PAGES << 16)
        stop = b"".join(
            (
                b"\x41\0\x24" + armed,
                get + get + b"\x41\x08\x6a" + b"\x36\x02\x00",  # where the locals go
                get + get + b"\x41" + end + b"\x6a" + b"\x36\x02\x04",  # and where that ends
                get + self._call("start_unwind"),
                b"\x41\0\x0f",  # return 0
            )
        )
        is_first_read = b"\x20\0\x45\x23" + armed + b"\x71"
        grow = b"\x41" + signed(BUFFER_PAGES) + b"\x40\0" + put
        has_grown = get + b"\x41\x7f\x46" + _when(b"\x41\0" + put) + get
        to_bytes = get + b"\x41\x10\x74" + put
        make_room = get + b"\x45" + _when(grow + has_grown + _when(to_bytes))
        may_stop = is_first_read + _when(make_room + get + _when(stop))
        is_resumed = self._call("get_state") + b"\x41" + bytes([_REWINDING]) + b"\x46"
        choose = _when(self._call("stop_rewind") + b"\x05" + may_stop)
        read = b"\x20\0\x20\1\x20\2\x20\3\x10" + unsigned(self.read)
        return is_resumed + choose + read


def _when(body: bytes) -> bytes:
    """Encode an `if` without a result."""
    return b"\x04\x40" + body + b"\x0b"


def find_suspension(layout: Layout) -> Optional[Suspension]:
    """Tell how a program can be stopped; None if it was not built for that."""
    functions = layout.imported(FUNCTION_KIND)
    controls = {}
    for control in _CONTROLS:
        exported = layout.exported(control)
        if exported is None or exported[0] != FUNCTION_KIND:
            return None
        controls[control[len("asyncify_") :]] = exported[1]
    entry = layout.exported("_start")
    memory = layout.memories[0] if layout.memories else None
    if entry is None or entry[0] != FUNCTION_KIND or memory is None or memory.wide:
        return None
    for index, item in enumerate(functions):
        if (item.module, item.name) == (PREVIEW1, "fd_read"):
            return Suspension(controls, index, Reader(item.type).number(), entry[1])
    return None


# --- calls ---------------------------------------------------------------------------------------


def redirect_calls(layout: Layout, old: int, new: int) -> bytes:
    """Return the code of a module in which one function is called in the place of another.

    Args:
        layout: The module.
        old: The index of the function that is called.
        new: That of the one to call.

    Raises:
        MalformedBinary: The code has instructions that are not known here.
    """
    reader = layout.contents(CODE)
    if reader is None:
        raise MalformedBinary("the module has no code")
    # Most bodies have nothing that looks like such a call, and need not be read.
    pattern = re.compile(b"[\x10\x12]" + any_encoding(old))
    count = reader.number()
    parts = [unsigned(count)]
    for _ in range(count):
        start = reader.at
        body = reader.part(reader.number())
        if pattern.search(body.data, body.at, body.end) is None:
            parts.append(reader.data[start : reader.at])
        else:
            changed = _redirected(body, old, new)
            parts.append(unsigned(len(changed)) + changed)
    return b"".join(parts)


def _redirected(body: Reader, old: int, new: int) -> bytes:
    """Return a function body with its calls led elsewhere."""
    parts, done = [], body.at
    skip_locals(body)
    for opcode, start in each_instruction(body):
        if opcode in (_CALL, _RETURN_CALL) and Reader(body.data, start + 1).number() == old:
            parts.append(body.data[done : start + 1] + unsigned(new))
            done = body.at
    parts.append(body.data[done : body.end])
    return b"".join(parts)
