"""The instructions of a function body, one after the other: where each begins and ends.

Only their lengths are known here. What they mean, and whether they are valid, is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .reader import MalformedBinary, Reader
from .writer import unsigned

__all__ = ["any_encoding", "each_instruction", "skip_locals"]

#: What follows an opcode. n: a number, b: a byte, t: a block type, m: a memory argument, s: a
#: signed number, 4 and 8 and 6: that many bytes (6 stands for 16); in parentheses: any number of.
_FORMS: dict[int, str] = {
    **dict.fromkeys(range(0x100), ""),
    **dict.fromkeys((0x02, 0x03, 0x04, 0x06), "t"),
    **dict.fromkeys((0x07, 0x08, 0x09, 0x0C, 0x0D, 0x10, 0x12, 0x14, 0x15, 0x18), "n"),
    0x0E: "(n)n",
    **dict.fromkeys((0x11, 0x13), "nn"),
    0x1C: "(v)",
    0x1F: "t(c)",
    **dict.fromkeys(range(0x20, 0x27), "n"),
    **dict.fromkeys(range(0x28, 0x3F), "m"),
    **dict.fromkeys((0x3F, 0x40), "n"),
    **dict.fromkeys((0x41, 0x42), "s"),
    0x43: "4",
    0x44: "8",
    0xD0: "s",
    0xD2: "n",
    **dict.fromkeys((0xD5, 0xD6), "n"),
}
#: The same behind a prefix.
_PREFIXED: dict[int, dict[int, str]] = {
    0xFB: {
        **dict.fromkeys(range(0x20), ""),
        **dict.fromkeys((0, 1, 6, 7, 11, 12, 13, 14, 16), "n"),
        **dict.fromkeys((2, 3, 4, 5, 8, 9, 10, 17, 18, 19), "nn"),
        15: "",
        **dict.fromkeys((20, 21, 22, 23), "s"),
        **dict.fromkeys((24, 25), "bnss"),
    },
    0xFC: {
        **dict.fromkeys(range(8), ""),
        **dict.fromkeys((8, 10, 12, 14), "nn"),
        **dict.fromkeys((9, 11, 13, 15, 16, 17), "n"),
        **dict.fromkeys(range(18, 23), ""),  # wide arithmetic
    },
    0xFD: {
        **dict.fromkeys(range(0x200), ""),
        **dict.fromkeys((*range(12), 92, 93), "m"),
        **dict.fromkeys((12, 13), "6"),
        **dict.fromkeys(range(21, 35), "b"),
        **dict.fromkeys(range(84, 92), "mb"),
    },
    0xFE: {
        **dict.fromkeys(range(0x80), "m"),
        3: "b",
    },
}


def any_encoding(number: int) -> bytes:
    """Return a pattern for all encodings of a number: they may be longer than they need to be."""
    shortest = unsigned(number)
    last = re.escape(shortest[-1:])
    padded = re.escape(bytes([shortest[-1] | 0x80])) + b"\x80*\0"
    return re.escape(shortest[:-1]) + b"(?:" + last + b"|" + padded + b")"


def skip_locals(reader: Reader) -> None:
    """Pass over the declarations of locals, with which a function body begins."""
    for _ in range(reader.number()):
        reader.number()
        _skip(reader, "v")


def each_instruction(reader: Reader) -> Iterator[tuple[int, int]]:
    """Yield the opcode of each instruction, and where it begins.

    Args:
        reader: A function body, behind its locals. It stands behind the instruction meanwhile.

    Raises:
        MalformedBinary: There is an instruction that is not known here.
    """
    while reader.at < reader.end:
        start = reader.at
        opcode = reader.byte()
        if opcode in _PREFIXED:
            minor = reader.number()
            form = _PREFIXED[opcode].get(minor)
            opcode = opcode << 16 | minor
        else:
            form = _FORMS[opcode]
        if form is None:
            raise MalformedBinary(f"an instruction that is not known ({opcode:#x})")
        _skip_all(reader, form)
        yield opcode, start


def _skip_all(reader: Reader, form: str) -> None:
    repeated, _, rest = form.rpartition(")")
    if repeated:
        before, _, part = repeated.partition("(")
        _skip_all(reader, before)
        for _ in range(reader.number()):
            _skip(reader, part)
    for part in rest:
        _skip(reader, part)


def _skip(reader: Reader, part: str) -> None:
    """Pass over what one letter stands for."""
    if part in "ns":
        reader.number()
    elif part == "b":
        reader.byte()
    elif part == "m":
        if reader.number() & 0x40:  # a memory by its index
            reader.number()
        reader.number()
    elif part == "t":
        if reader.peek() in (0x63, 0x64):
            _skip(reader, "v")
        else:
            reader.signed()
    elif part == "v":
        if reader.byte() in (0x63, 0x64):
            reader.signed()
    elif part == "c":
        if reader.byte() < 2:
            reader.number()
        reader.number()
    else:
        reader.skip({"4": 4, "8": 8, "6": 16}[part])
