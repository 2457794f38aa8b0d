"""
Programs that import WebAssembly files.

Each runs in an interpreter of its own: what is imported stays.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from .files import Run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """
    Run a program in a fresh interpreter, with files beside it; what it printed.
    """

    def run(program: str, cache: bool = False, **files: Any) -> str:
        for name, contents in files.items():
            path = tmp_path / name.replace("__dot__", ".").replace("__in__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(contents, str):
                contents = textwrap.dedent(contents).encode()
            path.write_bytes(contents)
        (tmp_path / "main.py").write_text(textwrap.dedent(program))
        environment = dict(os.environ)
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        if not cache:
            environment["PYTHONDONTWRITEBYTECODE"] = "1"
        for variable in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"):
            environment[variable] = str(tmp_path / "cache")
        done = subprocess.run(
            [sys.executable, "main.py"],
            cwd=str(tmp_path),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=100,
            check=False,
        )
        output = done.stdout.decode()
        assert done.returncode == 0, output
        return output.replace("\r\n", "\n")

    return run
