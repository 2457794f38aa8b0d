"""
Commands run in a directory of the test's own, and programs in it.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any, Callable

import pytest

from wasmtime import wat2wasm

from .commands import COMMAND, Run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """
    Run the command line in an empty directory, with its cache in another one.
    """
    (tmp_path / "cwd").mkdir()

    def run(*arguments: Any, **options: Any) -> subprocess.CompletedProcess[bytes]:
        options.setdefault("input", b"")
        environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
        environment.update(options.pop("extra_env", {}))
        return subprocess.run(
            [*COMMAND, *map(os.fspath, arguments)],
            capture_output=True,
            cwd=str(tmp_path / "cwd"),
            env=environment,
            timeout=60,
            **options,
        )

    return run


@pytest.fixture
def module(tmp_path: Path) -> Callable[..., Path]:
    """
    Write a program to a file, as binary or as text.
    """

    def module(text: str, name: str = "program.wasm") -> Path:
        path = tmp_path / name
        if name.endswith(".wat"):
            path.write_text(text)
        else:
            path.write_bytes(wat2wasm(text))
        return path

    return module
