"""Programs: where they are read from, and how they become modules and components."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Union

from .._artifacts.compiled import class_for
from .._config import Config
from .._engine import Engine
from .._error import WasmtimeError
from .._module import Module
from .._wasm.reader import kind_of
from .._wat2wasm import telling_file, to_wasm
from .status import STATUS_USAGE, Failure

if TYPE_CHECKING:
    from ..component import Component

__all__ = [
    "STANDARD",
    "add_cache_option",
    "announced",
    "binary_of",
    "load",
    "load_module",
    "make_engine",
    "read",
]

#: The name that stands for standard input or output.
STANDARD = "-"

_COMPILED = b"\x7fELF"

_NONE: Mapping[str, Any] = {}


def add_cache_option(parser: argparse.ArgumentParser) -> None:
    """Declare the option that both commands have."""
    parser.add_argument(
        "--no-cache",
        action="store_true",
        help="compile anew and leave nothing in Wasmtime's cache of compiled modules",
    )


def make_engine(no_cache: bool, fuel: bool, settings: Mapping[str, Any] = _NONE) -> Engine:
    """An engine, with the library's cache where there can be one.

    Args:
        no_cache: Leave the cache out.
        fuel: Count fuel.
        settings: Attributes of `Config`.

    Raises:
        Failure: The settings do not go together.
    """
    config = Config()
    try:
        for name, value in settings.items():
            setattr(config, name, value)
        return _make_engine(config, no_cache, fuel)
    except (ValueError, WasmtimeError) as error:
        if not settings:
            raise
        raise Failure(f"these options do not go together: {error}", STATUS_USAGE) from None


def _make_engine(config: Config, no_cache: bool, fuel: bool) -> Engine:
    if fuel:
        config.consume_fuel = True
    if not no_cache:
        try:
            config.cache = True
            return Engine(config)
        except WasmtimeError:
            # A home directory that cannot be written to is no reason not to run a program.
            del config.cache
    return Engine(config)


def load(engine: Engine, path: str, allow_precompiled: bool) -> Union[Module, Component]:
    """The program in a file: binary, text, or made by ``compile``.

    Raises:
        Failure: It cannot be read or loaded, or is compiled without that being allowed.
    """
    # Read once: what a pipe held is gone afterwards.
    data = read(path)
    compiled = data.startswith(_COMPILED)
    if compiled and not allow_precompiled:
        raise Failure(
            f"{path} is a precompiled program; --allow-precompiled runs it, if you trust it"
        )
    try:
        if compiled:
            return _deserialize(engine, data)
        with telling_file(path):
            binary = to_wasm(data)
        with announced(path):
            made: Union[Module, Component] = class_for(kind_of(binary))(engine, binary)
            return made
    except WasmtimeError as error:
        raise Failure(f"{path} cannot be loaded: {error}") from None


def announced(path: str) -> AbstractContextManager[None]:
    """Tell a person at the terminal that a program is being compiled, if it takes its time.

    Args:
        path: The file of the program.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        return nullcontext()
    from .progress import Progress

    return Progress(f"compiling {path}")


def load_module(engine: Engine, path: str, allow_precompiled: bool) -> Module:
    """As `load`, for a core module.

    Raises:
        Failure: As in `load`; or it is a component.
    """
    module = load(engine, path, allow_precompiled)
    if not isinstance(module, Module):
        raise Failure(f"{path} is a component, where a core module is wanted")
    return module


def binary_of(path: str) -> bytes:
    """The binary form of the program in a file, binary or text.

    Raises:
        Failure: It cannot be read, or is no well-formed text.
    """
    try:
        with telling_file(path):
            return to_wasm(read(path))
    except WasmtimeError as error:
        raise Failure(f"{path}: {error}") from None


def read(path: str) -> bytes:
    """What a file holds, or standard input.

    Raises:
        Failure: It cannot be read.
    """
    try:
        if path == STANDARD:
            return sys.stdin.buffer.read() if sys.stdin is not None else b""
        with open(path, "rb") as stream:
            return stream.read()
    except OSError as error:
        raise Failure(f"cannot read {path}: {error.strerror}") from None


def _deserialize(engine: Engine, artifact: bytes) -> Union[Module, Component]:
    try:
        return Module.deserialize(engine, artifact)
    except WasmtimeError as error:
        if "incompatible object file format" not in str(error):
            raise
    from ..component import Component

    return Component.deserialize(engine, artifact)
