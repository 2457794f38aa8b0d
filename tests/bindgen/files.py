"""
Generated packages as files.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def write_package(directory: Path, files: Mapping[str, bytes]) -> None:
    """
    Write a package into its directory, which is made.
    """
    for file, contents in files.items():
        path = directory / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents)
