"""The file that describes the library's cache, and the directory that it names."""

from __future__ import annotations

import json
import os
import re
import sys
from typing import Optional

from .._artifacts.private_directory import check_tree
from .._error import WasmtimeError

__all__ = ["check_directory", "check_numbers", "default_file"]

#: A number in the file of the cache, with its unit, between delimiters.
_NUMBER = re.compile(
    rb"""([\w-]*)["']?\s*=\s*["']?\+?([0-9][0-9_]*)\s*([A-Za-z]*)["'\s,}#]""",
)
_UNITS = {
    **{b"m": 60, b"h": 3600, b"d": 86400},
    **{prefix: 1024**power for power, prefix in enumerate((b"K", b"M", b"G", b"T", b"P"), 1)},
}
_LARGEST_NUMBER = 10**15
_LARGEST_QUEUE = 10**6


def check_numbers(path: str) -> None:
    """Refuses numbers in the file of the cache that would overflow in a thread of the library.

    Everything else in it, and that there is a file at all, is checked by the library.
    """
    try:
        with open(path, "rb") as file:
            contents = file.read() + b"\n"
    except OSError:
        return
    for match in _NUMBER.finditer(contents):
        key, digits, unit = match.groups()
        number = int(digits[:30].replace(b"_", b"")) * _UNITS.get(unit[:1], 1)
        queue = key == b"worker-event-queue-size"
        if number > (_LARGEST_QUEUE if queue else _LARGEST_NUMBER):
            raise WasmtimeError(
                f"the cache file {path!r} has a number that is too large: "
                f"{match.group(0).strip().decode('utf-8', 'replace')}"
            )


#: Where the file of the cache names the directory, and the value if it is a string in one line.
_DIRECTORY = re.compile(
    r"""^[^#\n]*?\bdirectory["']?[ \t]*=[ \t]*
        (?:(?:("(?:[^"\\\n]|\\.)*")|'([^'\n]*)')[ \t]*[,}#\n])?""",
    re.MULTILINE | re.VERBOSE,
)


def check_directory(file: str) -> None:
    """Refuses a directory of the library's cache in which others could exchange the machine code.

    The library checks no owners. What is missing is made here, for this user alone.
    """
    try:
        with open(file, encoding="utf-8") as stream:
            contents = stream.read()
    except (OSError, UnicodeDecodeError):
        contents = ""  # the library says what is wrong with it
    directory = _directory_in(contents, file) or _default_directory()
    if not os.path.isabs(directory):
        return  # which the library refuses
    try:
        check_tree(directory, "the cache directory")
    except OSError as error:
        raise WasmtimeError(f"the cache directory cannot be used: {error}") from error


def _directory_in(contents: str, file: str) -> Optional[str]:
    """What the contents of the file of the cache say about the directory, None if nothing."""
    named = _DIRECTORY.search(contents + "\n")
    if named is None:
        return None
    escaped, plain = named.groups()
    if plain is not None:
        return str(plain)
    try:
        return str(json.loads(escaped or ""))  # whose escapes mean the same
    except ValueError:
        raise WasmtimeError(
            f"the cache file {file!r} must name its directory in single quotes, on one line"
        ) from None


def default_file() -> str:
    """Where the library looks for the file of its cache when none is named."""
    if sys.platform == "darwin":
        base = "~/Library/Application Support/BytecodeAlliance.wasmtime"
    else:
        base = os.path.join(_xdg("XDG_CONFIG_HOME", "~/.config"), "wasmtime")
    return os.path.expanduser(os.path.join(base, "config.toml"))


def _default_directory() -> str:
    """Where the library keeps its cache when the file does not say it."""
    if sys.platform == "darwin":
        return os.path.expanduser("~/Library/Caches/BytecodeAlliance.wasmtime")
    return os.path.expanduser(os.path.join(_xdg("XDG_CACHE_HOME", "~/.cache"), "wasmtime"))


def _xdg(variable: str, default: str) -> str:
    value = os.environ.get(variable, "")
    return value if os.path.isabs(value) else default
