"""
The text format, and the rule that text is accepted wherever a binary module is.

The parser is the library's (`wasmtime_wat2wasm`); it knows every proposal that the library knows,
and components too.
"""

from __future__ import annotations

import os
from typing import Union

from ._error import WasmtimeError
from ._native import core, encode_name

__all__ = ["Source", "to_wasm", "wat2wasm"]

#: What a module or component can be given as: text, or the bytes of text or of a binary.
Source = Union[str, bytes, bytearray, memoryview]

_BOM = b"\xef\xbb\xbf"


def wat2wasm(wat: Source) -> bytearray:
    r"""
    Translates the text format of WebAssembly into the binary format.

    The result is a `bytearray`, as in the published package. It compares equal to `bytes` of the
    same contents, and everything in this package takes either; where a hashable or constant value
    is needed, write `bytes(wat2wasm(...))`.

    Text is convenient in tests and experiments. A program that ships its module should ship the
    binary, which is smaller and faster to read.

    Args:
        wat: the text, or its UTF-8 encoding as bytes. A byte order mark in front is skipped.

    Returns:
        The binary module, or the binary component if the text is `(component ...)`.

    Raises:
        TypeError: `wat` is neither text nor bytes.
        ValueError: `wat` is a `str` with lone surrogates, which have no encoding.
        WasmtimeError: the text does not parse; the message shows the place.

    Example:
        >>> from wasmtime import wat2wasm
        >>> wat2wasm("(module)")
        bytearray(b'\x00asm\x01\x00\x00\x00')
    """
    return bytearray(_translate(_read("wat", wat)))


def to_wasm(source: Source, what: str = "wasm") -> bytes:
    """
    Returns the binary form of a module or component that was given in either form.

    A `str` is text. Bytes are text if they do not begin with NUL, with which every binary begins
    and no text can. Nothing else is looked at here: whoever compiles the result validates it.

    Args:
        source: the module, as text or binary.
        what: how the caller calls `source`, for messages.

    Raises:
        TypeError: `source` is neither text nor bytes.
        ValueError: `source` is a `str` with lone surrogates.
        WasmtimeError: the text does not parse, or `source` is a compiled artifact.
    """
    data = _read(what, source)
    # Nothing at all is not a text worth a parser's message: let the compiler refuse it.
    if not data or (data.startswith(b"\0") and not isinstance(source, str)):
        return data
    return _translate(data)


def _read(what: str, source: object) -> bytes:
    if isinstance(source, bytes):
        return source
    if isinstance(source, str):
        return encode_name(source, what)
    try:
        view = memoryview(source)  # type: ignore[arg-type]
    except TypeError:
        hint = ""
        if isinstance(source, os.PathLike):
            hint = "; to read a file, use its contents or from_file()"
        raise TypeError(
            f"{what} must be wasm bytes, or text as str or bytes, not {type(source).__name__}{hint}"
        ) from None
    with view:
        return view.tobytes()


def _translate(text: bytes) -> bytes:
    if text.startswith(_BOM):
        text = text[len(_BOM) :]
    elif text.startswith(b"\0asm"):
        raise WasmtimeError("the input is a binary already, not text")
    elif text.startswith(b"\x7fELF"):
        raise WasmtimeError(
            "the input is neither text nor a binary module but a compiled artifact: "
            "use deserialize()"
        )
    binary: bytes = core.run_job("text", text)
    return binary
