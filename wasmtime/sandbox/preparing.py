"""Code that snapshots can be taken of: the same, with its state exported."""

from __future__ import annotations

import hashlib
import os
import threading
from typing import TYPE_CHECKING, Optional

from .. import WasmtimeError
from .._snapshots.errors import NotCapturable
from .engines import Recent
from .errors import SandboxError
from .source import Code
from .tiers import prepare

if TYPE_CHECKING:
    from .settings import Settings

__all__ = ["capturable", "prepare_capturable", "prepared_code", "start_function", "why_not"]

_lock = threading.Lock()
_prepared: Recent[Code] = Recent(16)
_refused: Recent[str] = Recent(128)


def prepared_code(code: Code) -> Code:
    """Return code of which snapshots can be taken: its `prepared` says how.

    Raises:
        NotCapturable: There can be none; the message says why.
    """
    if code.prepared is not None:
        return code
    why = why_not(code)
    if why is not None:
        raise NotCapturable(why)
    found = _prepared.find((code.sha256, code.portable))
    return found if found is not None else _prepare(code)


def capturable(code: Code, settings: Settings) -> Code:
    """Return code of which snapshots can be taken, or else the same code as it is."""
    if settings.isolation == "process" or why_not(code) is not None:
        return code
    return prepared_code(code)


def prepare_capturable(code: Code, settings: Settings, data: Optional[bytes]) -> Code:
    """Compile and link code of which snapshots can be taken, or else the same code as it is.

    Args:
        code: The code of a library.
        settings: What its guests may see and use.
        data: Its bytes, if they are at hand.

    Returns:
        The form that was compiled, which is the only one.

    Raises:
        SandboxError: It is not accepted.
    """
    ready = capturable(code, settings)
    if ready is not code:
        try:
            prepare(ready, settings, False, None)
            return ready
        except SandboxError as error:
            if not isinstance(error.__cause__, WasmtimeError):
                raise
    # What is not valid is told of as it was given.
    prepare(code, settings, False, data)
    return code


def why_not(code: Code) -> Optional[str]:
    """Why there can be no snapshots of some code; None if there can be some."""
    if code.prepared is not None:
        return None
    with _lock:
        known = _refused.find(code.sha256)
        if known is not None or _prepared.find((code.sha256, code.portable)) is not None:
            return known
    try:
        _prepare(code)
    except NotCapturable as error:
        with _lock:
            return _refused.keep(code.sha256, str(error))
    return None


def start_function(code: Code) -> bool:
    """Whether some code may run a function when it is instantiated."""
    from .._wasm.layout import read_layout
    from .._wasm.reader import MalformedBinary
    from .._wat2wasm import to_wasm

    if code.prepared is not None:
        return code.prepared.has_start
    if code.compiled is not None:
        return True
    try:
        return read_layout(bytes(to_wasm(code.read()))).start is not None
    except MalformedBinary:  # it has parts that are not known here
        return True


def _prepare(code: Code) -> Code:
    from .._snapshots.rewrite import prepare
    from .._wat2wasm import to_wasm

    if code.kind == "component":
        raise NotCapturable("it is a component, whose memories the C API does not show")
    if code.compiled is not None:
        raise NotCapturable("a Module was given: what it exports of its state is fixed already")
    try:
        prepared = prepare(bytes(to_wasm(code.read())))
    except NotCapturable:
        raise
    except WasmtimeError as error:
        raise NotCapturable(f"it is not valid: {error}") from error
    binary = prepared.binary
    digest = hashlib.sha256(binary).hexdigest()
    made = Code(
        code.name,
        "module",
        digest,
        len(binary),
        data=binary,
        prepared=prepared,
        portable=code.portable,
    )
    with _lock:
        return _prepared.keep((code.sha256, code.portable), made)


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
