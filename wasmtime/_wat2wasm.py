"""The text format, and the rule that text is accepted wherever a binary module is.

The parser is the library's (`wasmtime_wat2wasm`); it knows every proposal that the library knows,
and components too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Union

from ._error import WasmtimeError
from ._native import StrPath, core, encode_name
from ._printable import printable

__all__ = ["Source", "source_bytes", "telling_file", "to_wasm", "wat2wasm"]

#: What a module or component can be given as: text, or the bytes of text or of a binary.
Source = Union[str, bytes, bytearray, memoryview]

#: What the library's parser calls a text.
_NAMELESS = "--> <anon>:"
_BOM = b"\xef\xbb\xbf"


def wat2wasm(wat: Source) -> bytearray:
    r"""Translates the text format of WebAssembly into the binary format.

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
    """Returns the binary form of a module or component that was given in either form.

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


def source_bytes(source: Source) -> bytes:
    """Return the bytes of a module or component, of which text is not parsed yet.

    Raises:
        TypeError: `source` is neither text nor bytes.
        ValueError: `source` is a `str` with lone surrogates.
        WasmtimeError: `source` is a `str` that begins with NUL, as only a binary does.
    """
    data = _read("wasm", source)
    return _translate(data) if isinstance(source, str) and data.startswith(b"\0") else data


@contextmanager
def telling_file(path: StrPath) -> Iterator[None]:
    """Let errors that show a place in a text name the file that the text is from.

    Args:
        path: The file.
    """
    try:
        yield
    except WasmtimeError as error:
        if _NAMELESS not in error.message:
            raise
        name = printable(os.fsdecode(path), layout="")
        raise WasmtimeError(error.message.replace(_NAMELESS, f"--> {name}:", 1)) from None


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
    _check_module_types(text)
    binary: bytes = core.run_job("text", text)
    return binary


#: What text consists of, as far as parentheses and names are to be found: strings and comments
#: hide them.
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|;;[^\n]*|\(;|\(|\)|[^\s()";]+', re.DOTALL)
_COMMENT = re.compile(rb"\(;|;\)")
#: Stands among the words of a form that has ``(import "name")`` inside.
_IMPORTED = b"(import)"


def _check_module_types(text: bytes) -> None:
    """Refuse component text in which a core module's type has a table or global of a named type.

    The library's parser does not look the name up, and ends the process.

    Raises:
        WasmtimeError: There is such a type.
    """
    if b"component" not in text or b"$" not in text or b"ref" not in text:
        return
    forms: list[list[bytes]] = []  # the words of each open form
    for token in _tokens(text):
        if token == b"(":
            forms.append([])
        elif token == b")":
            closed = forms.pop() if forms else []
            if closed[:1] == [b"import"] and len(closed) == 2 and forms:
                forms[-1].append(_IMPORTED)
        elif forms:
            forms[-1].append(token)
            if token.startswith(b"$") and _is_named_type_in_module_type(forms):
                raise WasmtimeError(
                    f"the type {token.decode('utf-8', 'replace')} of a table or global, in the "
                    "type of a core module, must be given by its index instead of its name: the "
                    "library's parser does not know the name there"
                )


def _tokens(text: bytes) -> Iterator[bytes]:
    at = 0
    while True:
        found = _TOKEN.search(text, at)
        if found is None:
            return
        at = found.end()
        if found.group() == b"(;":
            at = _end_of_comment(text, at)
        elif not found.group().startswith(b";;"):
            yield found.group()


def _end_of_comment(text: bytes, at: int) -> int:
    depth = 1
    while depth:
        found = _COMMENT.search(text, at)
        if found is None:
            return len(text)
        depth += 1 if found.group() == b"(;" else -1
        at = found.end()
    return at


def _is_named_type_in_module_type(forms: list[list[bytes]]) -> bool:
    """Whether the last word of these forms is the name in a ``(ref $name)`` there."""
    heads = [form[0] for form in forms if form]
    if heads[-1] != b"ref" or not {b"table", b"global"}.intersection(heads):
        return False
    module = next((n for n, form in enumerate(forms) if b"module" in form[:2]), len(forms))
    around, inside = forms[: module + 1], forms[module + 1 :]
    # Modules that are only described stand in an import, an export or a type, or are imported by a
    # field of their own; and their exports tell types.
    return any(
        form[0] in (b"import", b"export") or form[:2] == [b"core", b"type"] or _IMPORTED in form
        for form in around
        if form
    ) or any(form[0] == b"export" for form in inside if form)
