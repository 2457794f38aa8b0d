"""What programs, plug-ins and interpreters are made of: WebAssembly of files, of bytes, of text.

A `Code` says which code that is, by its hash, and where its bytes are. It holds nothing native: the
compiled code lies in the cache of the process (`engines`), where all objects of the same code find
it. So it can be copied, pickled and sent to another process at will.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Optional, Union

from .errors import SandboxError
from .reasons import Reason
from .result import ExceptionInfo, Result

if TYPE_CHECKING:
    from .. import Module
    from .._snapshots.rewrite import Prepared
    from ..component import Component

__all__ = ["Code", "Source", "code_of", "refusal"]

#: What a program, plug-in or interpreter can be made of.
Source = Union[str, "os.PathLike[str]", bytes, bytearray, memoryview, "Module", "Component"]

#: White space and comments in front of text; nested comments are left to the parser.
_LEADING = re.compile(r"(?:\s+|;;[^\n]*(?:\n|$)|\(;(?:[^;]|;(?!\)))*;\))*")


@dataclass(frozen=True)
class Code:
    """Which code something runs.

    Attributes:
        name: What the guest is called, its ``argv[0]``: the base name of the file.
        kind: A core module or a component.
        sha256: The hash of the bytes.
        size: How many bytes there are.
        path: The file that they are in, or None.
        data: The bytes, binary or text, or None if they are in a file.
        compiled: The `Module` or `Component` itself, if that is what was given.
        prepared: What was added to it, so that snapshots can be taken; None for code as it is.
        portable: Whether it is compiled for every processor of this architecture.
    """

    name: str
    kind: Literal["module", "component"]
    sha256: str
    size: int
    path: Optional[str] = None
    data: Optional[bytes] = None
    compiled: Any = None
    prepared: Optional[Prepared] = field(default=None, compare=False, repr=False)
    portable: bool = False

    def read(self) -> bytes:
        """The bytes, which are those that the hash is of.

        Raises:
            SandboxError: The file is gone or has changed.
        """
        if self.data is not None:
            return self.data
        assert self.path is not None
        data = _read(self.path)
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise refusal("ValueError", f"the file {self.path!r} has changed since it was loaded")
        return data


def refusal(kind: str, text: str) -> SandboxError:
    """The error for code that is not accepted."""
    return SandboxError(Result(Reason.NOT_STARTED, exception=ExceptionInfo(kind, text)))


def code_of(
    source: Source, limit: Optional[int], portable: bool = False, cache: Any = False
) -> tuple[Code, Optional[bytes]]:
    """Find the code that a `source` argument means.

    Args:
        source: A path, bytes (binary or text), text, a `Module` or a `Component`.
        limit: How many bytes are accepted.
        portable: Whether it is to be compiled for every processor of this architecture.
        cache: Where notes are kept of what large files hold, as `Module` takes it.

    Returns:
        The code; and its bytes, so that they need not be read again. None for compiled ones, and
        for those of a file that was read by another process, and has not changed.

    Raises:
        SandboxError: It cannot be read, or is too large.
        TypeError: `source` is of another type, or compiled already and to be portable.
    """
    code, data = _found(source, limit, cache)
    if not isinstance(portable, bool):
        raise TypeError(f"portable must be a bool, not {type(portable).__name__}")
    if portable and code.compiled is not None:
        raise TypeError("portable=True is for code that is compiled here: give the path or bytes")
    return replace(code, portable=portable), data


def _found(source: Source, limit: Optional[int], cache: Any) -> tuple[Code, Optional[bytes]]:
    if isinstance(source, str) and is_text(source):
        return _of_bytes("guest.wat", source.encode("utf-8", "surrogatepass"), None, limit)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _of_bytes("guest.wasm", bytes(source), None, limit)
    if isinstance(source, (str, os.PathLike)):
        path = os.path.abspath(os.fspath(source))
        with _reading(path):
            return _of_file(path, limit, cache)
    from .. import Module
    from ..component import Component

    if isinstance(source, (Module, Component)):
        kind: Any = "module" if isinstance(source, Module) else "component"
        digest = hashlib.sha256(source.serialize()).hexdigest()
        return Code("guest.wasm", kind, digest, 0, compiled=source), None
    raise TypeError(
        f"source must be a path, text, bytes, a Module or a Component, not {type(source).__name__}"
    )


def is_text(source: str) -> bool:
    """Tell text of WebAssembly from the path of a file."""
    found = _LEADING.match(source)
    start = found.end() if found else 0
    return source[start : start + 1] == "("


def _of_bytes(
    name: str, data: bytes, path: Optional[str], limit: Optional[int]
) -> tuple[Code, Optional[bytes]]:
    if limit is not None and len(data) > limit:
        raise refusal(
            "ValueError", f"{name} has {len(data)} bytes, more than the {limit} that are accepted"
        )
    if data[:4] == b"\x7fELF":
        raise refusal(
            "ValueError",
            f"{name} is native code, which is not sandboxed: load it with "
            "Module.deserialize if you trust it, and give the Module",
        )
    digest = hashlib.sha256(data).hexdigest()
    code = Code(name, _kind(data), digest, len(data), path, data if path is None else None)
    return code, data


def _kind(data: bytes) -> Literal["module", "component"]:
    """Whether bytes are a component; all that is none is compiled as a module, and refused."""
    if data[:1] == b"\0":
        return "component" if data[6:8] == b"\1\0" else "module"  # the layer, in the preamble
    text = data[:65536].decode("utf-8", "replace").lstrip("\ufeff")
    found = _LEADING.match(text)
    start = found.end() if found else 0
    return "component" if re.match(r"\(\s*component\b", text[start:]) else "module"


def _of_file(path: str, limit: Optional[int], cache: Any) -> tuple[Code, Optional[bytes]]:
    """The code in a file, which is not read if it is known to hold what it held before."""
    from .._artifacts.digests import Note, recall, remember

    name = Path(path).name
    with open(path, "rb") as file:
        status = os.fstat(file.fileno())
        if limit is None or status.st_size <= limit:
            note = recall(cache, path, status)
            if note is not None:
                kind: Any = note.kind
                return Code(name, kind, note.digest.hex(), status.st_size, path), None
        code, data = _of_bytes(name, _contents(file, limit), path, limit)
        note = Note(bytes.fromhex(code.sha256), code.kind)
        remember(cache, path, status, os.fstat(file.fileno()), note)
        return code, data


def _contents(file: BinaryIO, limit: Optional[int]) -> bytes:
    """What a file holds; more than the limit if it has more."""
    if limit is None:
        return file.read()
    # No more room than the file needs: making it and giving it back takes long.
    room = min(limit, os.fstat(file.fileno()).st_size) + 1
    data = file.read(room)
    return data if len(data) < room else data + file.read(limit + 1 - room)


def _read(path: str) -> bytes:
    with _reading(path), open(path, "rb") as file:
        return file.read()


@contextmanager
def _reading(path: str) -> Iterator[None]:
    """Let a file that cannot be read be refused like other code that is not accepted."""
    try:
        yield
    except OSError as error:
        refused = refusal("OSError", f"cannot read {path!r}: {error.strerror or error}")
        raise refused from error
