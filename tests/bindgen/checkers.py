"""
Type checkers and formatters, run on generated packages.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any


def search_path(tmp_path: Path, installed: Path) -> str:
    """
    A directory in which the package is found.
    """
    link = tmp_path / "lib" / "wasmtime"
    if not link.exists():
        try:
            link.symlink_to(installed, target_is_directory=True)
        except OSError:
            shutil.copytree(
                str(installed), str(link), ignore=shutil.ignore_patterns("*.so", "_lib")
            )
    return str(tmp_path / "lib")


def is_installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def run(directory: Path, tool: str, *arguments: str, **environment: str) -> Any:
    return subprocess.run(
        [sys.executable, "-m", tool, *arguments],
        cwd=str(directory),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=250,
        check=False,
        env={**os.environ, **environment},
    )


def check(directory: Path, tool: str, *arguments: str, **environment: str) -> None:
    done = run(directory, tool, *arguments, **environment)
    assert done.returncode == 0, done.stdout.decode("utf-8", "replace")[-6000:]
