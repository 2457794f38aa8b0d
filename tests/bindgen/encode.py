"""
Binary components by hand: what no text form and no tool would make.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Union

HEAD = b"\0asm\x0d\0\x01\0"

#: Codes of sections and types.
CUSTOM, COMPONENT, INSTANCE, TYPE, IMPORT, EXPORT = 0, 4, 5, 7, 10, 11
U8, STRING = b"\x7d", b"\x73"


def leb(number: int) -> bytes:
    """
    An unsigned number in LEB128.
    """
    result = b""
    while number > 0x7F:
        result += bytes([number & 0x7F | 0x80])
        number >>= 7
    return result + bytes([number])


def vec(items: Sequence[bytes]) -> bytes:
    return leb(len(items)) + b"".join(items)


def name(text: Union[str, bytes]) -> bytes:
    encoded = text.encode() if isinstance(text, str) else text
    return leb(len(encoded)) + encoded


def section(kind: int, contents: bytes) -> bytes:
    return bytes([kind]) + leb(len(contents)) + contents


def component(*sections: bytes) -> bytes:
    return HEAD + b"".join(sections)


def types(*each: bytes) -> bytes:
    return section(TYPE, vec(each))


def imports(*each: bytes) -> bytes:
    return section(IMPORT, vec([b"\0" + one for one in each]))


def exports(*each: bytes) -> bytes:
    return section(EXPORT, vec([b"\0" + one for one in each]))


def func(params: Sequence[tuple[str, bytes]]) -> bytes:
    """
    The type of a function without a result.
    """
    return b"\x40" + vec([name(label) + ty for label, ty in params]) + b"\x01\0"


def instance_type(*declarations: bytes) -> bytes:
    return b"\x42" + vec(declarations)


def declare_type(ty: bytes) -> bytes:
    """
    A declaration of an instance type: a type.
    """
    return b"\x01" + ty


def export_type(label: str, index: int) -> bytes:
    """
    A declaration of an instance type: a type is exported under a name.
    """
    return b"\x04\0" + name(label) + b"\x03\0" + leb(index)


def export_resource(label: str) -> bytes:
    return b"\x04\0" + name(label) + b"\x03\x01"


def export_func(label: str, index: int) -> bytes:
    return b"\x04\0" + name(label) + b"\x01" + leb(index)


def export_instance(label: str, index: int) -> bytes:
    return b"\x04\0" + name(label) + b"\x05" + leb(index)


def with_section(binary: bytes, label: str, contents: bytes) -> bytes:
    """
    The component with a custom section behind it.
    """
    return binary + section(CUSTOM, name(label) + contents)
